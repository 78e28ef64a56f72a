//! Functions that random expressions leave out, and what plans tell about themselves.

use std::sync::Arc;

use super::super::{Constant, Field, Schema, Templates, compile};
use crate::column::{Bitmap, Column, ColumnBuilder, ColumnType, RowBatch, Value};
use crate::text::Analyzer;

fn texts(kind: ColumnType, values: &[Option<&str>]) -> Column {
    let mut builder = ColumnBuilder::new(kind);
    for value in values {
        let value = match (kind, value) {
            (_, None) => Value::Null,
            (ColumnType::Geometry, Some(text)) => Value::Geometry(text.as_bytes()),
            (_, Some(text)) => Value::Varchar(text),
        };
        builder.push(value).unwrap();
    }
    builder.finish()
}

fn rows(expression: &str, schema: &Schema, batch: &RowBatch) -> Vec<usize> {
    compile(expression, schema, &Templates::new())
        .unwrap()
        .evaluate(batch)
        .ones()
        .collect()
}

#[test]
fn text_conditions_use_the_fields_analyzer() {
    let mut field = Field::new("t", ColumnType::Varchar);
    field.analyzer = Some(Arc::new(Analyzer::english()));
    let schema = Schema::new([field], false);
    let mut batch = RowBatch::new(4);
    let values = [
        Some("Running with the dogs"),
        Some("a dog ran"),
        None,
        Some("cats and dogs run"),
    ];
    batch
        .push("t", texts(ColumnType::Varchar, &values))
        .unwrap();
    assert_eq!(rows("text_match(t, 'run')", &schema, &batch), [0, 3]);
    assert_eq!(
        rows(
            "TEXT_MATCH(t, 'dogs cat', minimum_should_match=2)",
            &schema,
            &batch
        ),
        [3]
    );
    assert_eq!(rows("not text_match(t, 'run')", &schema, &batch), [1]);
    assert_eq!(
        rows("phrase_match(t, 'dogs running')", &schema, &batch),
        [3]
    );
    assert_eq!(
        rows("phrase_match(t, 'running dogs', 2)", &schema, &batch),
        [0, 3]
    );
}

#[test]
fn spatial_functions_read_wkt() {
    let schema = Schema::new([Field::new("g", ColumnType::Geometry)], false);
    let mut batch = RowBatch::new(3);
    batch
        .push(
            "g",
            texts(
                ColumnType::Geometry,
                &[Some("POINT (1 1)"), None, Some("POINT (5 5)")],
            ),
        )
        .unwrap();
    let square = "'POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))'";
    assert_eq!(
        rows(&format!("st_within(g, {square})"), &schema, &batch),
        [0]
    );
    assert_eq!(
        rows(&format!("not ST_INTERSECTS(g, {square})"), &schema, &batch),
        [2]
    );
    assert_eq!(
        rows("st_dwithin(g, 'POINT (5 5.001)', 120.0)", &schema, &batch),
        [2]
    );
    assert_eq!(rows("st_isvalid(g)", &schema, &batch), [0, 2]);
    let error = compile("st_within(g, 'POINT (x)')", &schema, &Templates::new()).unwrap_err();
    assert!(error.reason().contains("is not a WKT"), "{error}");
}

#[test]
fn templates_stand_for_constants() {
    let schema = Schema::new([Field::new("id", ColumnType::Int64)], false);
    let mut batch = RowBatch::new(4);
    batch
        .push("id", Column::from_i64(vec![1, 2, 3, 4]))
        .unwrap();
    let list = Constant::List(vec![Constant::Int(2), Constant::Int(9)]);
    let templates = Templates::from([
        ("ids".to_owned(), list),
        ("high".to_owned(), Constant::Int(3)),
    ]);
    let plan = compile("id in {ids} or id > {high}", &schema, &templates).unwrap();
    assert_eq!(plan.evaluate(&batch).ones().collect::<Vec<_>>(), [1, 3]);
    let error = compile("id > {low}", &schema, &templates).unwrap_err();
    assert_eq!(
        error.reason(),
        "the value of expression template variable name {low} is not found"
    );
}

#[test]
fn samples_keep_their_share_and_differ_by_seed() {
    let schema = Schema::new([Field::new("id", ColumnType::Int64)], false);
    let mut batch = RowBatch::new(10_000);
    batch
        .push("id", Column::from_i64((0..10_000).collect()))
        .unwrap();
    let plan = compile(
        "id < 5000 and random_sample(0.1)",
        &schema,
        &Templates::new(),
    )
    .unwrap();
    let samples: Vec<Bitmap> = (0..2)
        .map(|seed| plan.evaluate_seeded(&batch, seed))
        .collect();
    assert!(
        samples
            .iter()
            .all(|sample| sample.count() == 500 && sample.ones().all(|row| row < 5000))
    );
    assert_ne!(samples[0], samples[1]);
    assert_eq!(samples[0], plan.evaluate_seeded(&batch, 0));
    for misplaced in [
        "random_sample(0.1) and id > 2",
        "id > 2 or random_sample(0.1)",
        "not random_sample(0.1)",
    ] {
        assert!(
            compile(misplaced, &schema, &Templates::new()).is_err(),
            "{misplaced}"
        );
    }
}

#[test]
fn fields_that_rows_do_not_have_take_their_default_or_null() {
    let mut with_default = Field::new("n", ColumnType::Int32);
    with_default.default = Some(Constant::Int(7));
    let schema = Schema::new([with_default, Field::new("m", ColumnType::Int32)], true);
    let batch = RowBatch::new(2);
    assert_eq!(rows("n == 7", &schema, &batch), [0, 1]);
    assert_eq!(
        rows("m == 7 or m != 7", &schema, &batch),
        Vec::<usize>::new()
    );
    assert_eq!(rows("m is null and other is null", &schema, &batch), [0, 1]);
}

#[test]
fn plans_tell_which_keys_they_need() {
    let schema = Schema::new(
        [
            Field::new("id", ColumnType::Int64),
            Field::new("n", ColumnType::Int64),
        ],
        false,
    );
    let pinned = |expression: &str| {
        let values = compile(expression, &schema, &Templates::new())
            .unwrap()
            .pinned_values("id")?;
        let mut numbers: Vec<String> = values.iter().map(Constant::to_string).collect();
        numbers.sort();
        Some(numbers.join(" "))
    };
    assert_eq!(pinned("id in [3, 1]").as_deref(), Some("1 3"));
    assert_eq!(pinned("n > 2 and 5 == id").as_deref(), Some("5"));
    assert_eq!(pinned("id in []").as_deref(), Some(""));
    assert_eq!(pinned("id in [3] or n == 2"), None);
    assert_eq!(pinned("not (id == 3)"), None);
    assert_eq!(pinned("id + 1 == 3"), None);
    assert!(
        compile(" \n", &schema, &Templates::new())
            .unwrap()
            .matches_all()
    );
    assert!(
        compile("true or id == 1", &schema, &Templates::new())
            .unwrap()
            .matches_all()
    );
}

#[test]
fn literals_have_the_forms_of_c() {
    let schema = Schema::new(
        [
            Field::new("n", ColumnType::Double),
            Field::new("s", ColumnType::Varchar),
        ],
        false,
    );
    let mut batch = RowBatch::new(1);
    let mut number = ColumnBuilder::new(ColumnType::Double);
    number.push(Value::Double(16.0)).unwrap();
    batch.push("n", number.finish()).unwrap();
    batch
        .push("s", texts(ColumnType::Varchar, &[Some("a\té\\'")]))
        .unwrap();
    for sixteen in [
        "16",
        "020",
        "0x10",
        "0b10000",
        "16.",
        "1.6e1",
        "0x1p4",
        "0x.8p5",
        "2 ** 4",
        "-(-16)",
        "+16",
        "4 * (1 + 3)",
        "33 / 2",
        "16 % 17",
    ] {
        assert_eq!(
            rows(&format!("n == {sixteen}"), &schema, &batch),
            [0],
            "{sixteen}"
        );
    }
    for text in [
        r#""a\t\u00e9\\'""#,
        r"'a\x09é\\\''",
        r"'\141\011\u00E9\\\''",
        r#"u8"a	é\\'""#,
    ] {
        assert_eq!(
            rows(&format!("s == {text}"), &schema, &batch),
            [0],
            "{text}"
        );
    }
    assert_eq!(rows(r#"s =~ r"^a\sé\\'$""#, &schema, &batch), [0]);
    assert_eq!(rows("-9223372036854775808 < n", &schema, &batch), [0]);
    for wrong in [
        "08",
        "0x",
        "0b2",
        "1e",
        "12abc",
        "0xg",
        "1.2.3",
        "9223372036854775808",
        "1e999",
    ] {
        assert!(
            compile(&format!("n == {wrong}"), &schema, &Templates::new()).is_err(),
            "{wrong}"
        );
    }
}
