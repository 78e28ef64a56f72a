//! What goes in comes out: rows and columns against the schema, cut into parts, and read again from the
//! messages that would have been sent.
//!
//! Invariant: a part of a batch holds exactly its rows.

use bytes::Bytes;
use milvus_protocol::milvus::QueryResults;
use milvus_protocol::schema::FieldData;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Batch, Column, RowWriter, Write, bind_columns, split};
use crate::describe_collection::CollectionDescription;
use crate::error::{InvalidValue, Rule};
use crate::results::Rows;
use crate::schema::{CollectionSchema, DataType, FieldSchema, StructArraySchema};

fn described(schema: CollectionSchema) -> CollectionDescription {
    CollectionDescription {
        schema,
        ..CollectionDescription::default()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    id: i64,
    flag: Option<bool>,
    tiny: i8,
    single: f32,
    double: f64,
    text: Option<String>,
    json: serde_json::Value,
    numbers: Vec<i16>,
    words: Vec<String>,
    vector: Vec<f32>,
    bits: Vec<u8>,
    small: Option<Vec<i8>>,
    clips: Option<Vec<Clip>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Clip {
    title: String,
    second: i32,
    score: f32,
    is_cut: bool,
    emb: Vec<f32>,
    bits: Vec<u8>,
}

fn schema() -> CollectionSchema {
    CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::bool("flag").nullable())
        .field(FieldSchema::int8("tiny"))
        .field(FieldSchema::float("single"))
        .field(FieldSchema::double("double"))
        .field(FieldSchema::varchar("text", 400).nullable())
        .field(FieldSchema::json("json"))
        .field(FieldSchema::array("numbers", DataType::Int16, 10))
        .field(FieldSchema::array("words", DataType::VarChar, 5).max_length(400))
        .field(FieldSchema::float_vector("vector", 3))
        .field(FieldSchema::binary_vector("bits", 16))
        .field(FieldSchema::int8_vector("small", 2).nullable())
        .struct_array_field(clips().nullable())
}

fn clips() -> StructArraySchema {
    StructArraySchema::new("clips", 4)
        .field(FieldSchema::varchar("title", 100))
        .field(FieldSchema::int32("second"))
        .field(FieldSchema::float("score"))
        .field(FieldSchema::bool("is_cut"))
        .field(FieldSchema::float_vector("emb", 2))
        .field(FieldSchema::binary_vector("bits", 8))
}

fn finite() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("finite", |value| value.is_finite())
}

prop_compose! {
    fn clip()(
        title in "\\PC{0,20}",
        second in any::<i32>(),
        score in finite(),
        is_cut in any::<bool>(),
        emb in proptest::collection::vec(finite(), 2),
        bits in any::<u8>(),
    ) -> Clip {
        Clip { title, second, score, is_cut, emb, bits: vec![bits] }
    }
}

prop_compose! {
    fn row()(
        id in any::<i64>(),
        flag in any::<Option<bool>>(),
        tiny in any::<i8>(),
        single in finite(),
        double in -1e300..1e300_f64,
        text in proptest::option::of("\\PC{0,60}"),
        number in any::<i32>(),
        numbers in proptest::collection::vec(any::<i16>(), 0..10),
        words in proptest::collection::vec("\\PC{0,20}", 0..5),
        vector in proptest::collection::vec(finite(), 3),
        bits in proptest::collection::vec(any::<u8>(), 2),
        (small, clips) in (
            proptest::option::of(proptest::collection::vec(any::<i8>(), 2)),
            proptest::option::of(proptest::collection::vec(clip(), 0..4)),
        ),
    ) -> Row {
        let json = json!({"number": number, "words": words.clone()});
        Row { id, flag, tiny, single, double, text, json, numbers, words, vector, bits, small, clips }
    }
}

fn write<T: Serialize>(
    schema: CollectionSchema,
    write: Write,
    rows: &[T],
) -> Result<Batch, InvalidValue> {
    let collection = described(schema);
    let mut writer = RowWriter::new(&collection, write, rows.len());
    for row in rows {
        writer.push(row)?;
    }
    writer.finish()
}

/// What a server would answer that stored these columns. Nulls of scalars are padded, as servers do.
fn read(messages: Vec<FieldData>) -> Rows {
    Rows::from_answer(QueryResults {
        fields_data: messages,
        ..QueryResults::default()
    })
    .expect("columns that can be read")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_survive_the_wire(rows in proptest::collection::vec(row(), 1..20)) {
        let batch = write(schema(), Write::Insert, &rows).expect("valid rows");
        prop_assert_eq!(batch.rows, rows.len());
        let messages = batch.columns.into_iter().map(super::FieldColumn::into_message);
        let encoded: Vec<FieldData> = messages
            .map(|message| {
                let bytes = prost::Message::encode_to_vec(&message);
                milvus_protocol::decode_message(Bytes::from(bytes)).expect("a message")
            })
            .collect();
        let found: Vec<Row> = read(encoded).to_vec().expect("rows");
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn parts_cover_every_row_once_and_keep_to_the_limit(
        rows in proptest::collection::vec(row(), 1..60),
        target in 200_usize..6_000,
    ) {
        let batch = write(schema(), Write::Insert, &rows).expect("valid rows");
        let parts = split(&batch, target, usize::MAX).expect("no row is too large");
        let mut next = 0;
        for part in &parts {
            prop_assert_eq!(part.rows.start, next);
            prop_assert!(!part.rows.is_empty());
            next = part.rows.end;
            let messages = part.messages(&batch);
            let bytes: usize = messages.iter().map(|m| prost::Message::encoded_len(m) + 6).sum();
            prop_assert!(bytes <= target || part.rows.len() == 1, "{} of {}", bytes, target);
            let found: Vec<Row> = read(messages).to_vec().expect("rows");
            prop_assert_eq!(found.as_slice(), &rows[part.rows.clone()]);
        }
        prop_assert_eq!(next, rows.len());
    }
}

#[test]
fn a_row_larger_than_a_request_is_named() {
    let rows = [
        json!({"id": 1, "text": "short"}),
        json!({"id": 2, "text": "x".repeat(900)}),
    ];
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::varchar("text", 1000));
    let batch = write(schema, Write::Insert, &rows).expect("valid rows");
    let problem = split(&batch, 500, 500).expect_err("too large");
    assert_eq!(problem.row, 1);
    assert!(problem.bytes > 900);
}

#[test]
fn a_dense_column_is_not_copied() {
    let vectors = Bytes::from(vec![0_u8; 4 * 3 * 100]);
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("vector", 3));
    let columns = vec![
        (
            "id".to_owned(),
            Column::from((0..100).collect::<Vec<i64>>()),
        ),
        ("vector".to_owned(), Column::from(vectors.clone())),
    ];
    let batch = bind_columns(columns, Write::Insert, &described(schema)).expect("valid columns");
    let parts = split(&batch, 400, usize::MAX).expect("small rows");
    assert!(parts.len() > 1);
    let start = vectors.as_ptr() as usize;
    for part in parts {
        for message in part.messages(&batch) {
            if let Some(bytes) = vector_bytes(&message) {
                let offset = bytes.as_ptr() as usize - start;
                assert_eq!(
                    offset,
                    part.rows.start * 12,
                    "a slice of the caller's memory"
                );
            }
        }
    }
}

fn vector_bytes(message: &FieldData) -> Option<&Bytes> {
    use milvus_protocol::schema::{field_data::Field, vector_field::Data};
    match message.field.as_ref()? {
        Field::Vectors(vectors) => match vectors.data.as_ref()? {
            Data::FloatVector(array) => Some(&array.data),
            _ => None,
        },
        _ => None,
    }
}

/// The field and rule of the one row that is not valid.
fn refused(schema: CollectionSchema, row: serde_json::Value) -> String {
    match write(schema, Write::Insert, &[row]) {
        Err(invalid) => invalid.to_string(),
        Ok(batch) => panic!("accepted: {batch:?}"),
    }
}

#[test]
fn each_broken_rule_says_what_was_compared() {
    let field = |field: FieldSchema| {
        CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(field)
    };
    let said = [
        refused(field(FieldSchema::int8("f")), json!({"id": 1, "f": 128})),
        refused(field(FieldSchema::int64("f")), json!({"id": 1, "f": 1.5})),
        refused(
            field(FieldSchema::int64("f")),
            json!({"id": 1, "f": u64::MAX}),
        ),
        refused(field(FieldSchema::float("f")), json!({"id": 1, "f": 1e39})),
        refused(field(FieldSchema::bool("f")), json!({"id": 1, "f": "yes"})),
        refused(
            field(FieldSchema::varchar("f", 3)),
            json!({"id": 1, "f": "ääää"}),
        ),
        refused(
            field(FieldSchema::varchar("f", 3)),
            json!({"id": 1, "f": null}),
        ),
        refused(field(FieldSchema::varchar("f", 3)), json!({"id": 1})),
        refused(
            field(FieldSchema::varchar("f", 3)),
            json!({"id": 1, "f": "a", "g": 1}),
        ),
        refused(
            field(FieldSchema::float_vector("f", 2)),
            json!({"id": 1, "f": [1.0]}),
        ),
        refused(
            field(FieldSchema::float_vector("f", 2)),
            json!({"id": 1, "f": [1.0, "x"]}),
        ),
        refused(
            field(FieldSchema::float_vector("f", 2)),
            json!({"id": 1, "f": "text"}),
        ),
        refused(
            field(FieldSchema::float16_vector("f", 1)),
            json!({"id": 1, "f": [1e6]}),
        ),
        refused(
            field(FieldSchema::int8_vector("f", 1)),
            json!({"id": 1, "f": [200]}),
        ),
        refused(
            field(FieldSchema::array("f", DataType::Int64, 2)),
            json!({"id": 1, "f": [1, 2, 3]}),
        ),
        refused(
            field(FieldSchema::array("f", DataType::VarChar, 2).max_length(1)),
            json!({"id": 1, "f": ["ab"]}),
        ),
        refused(
            field(FieldSchema::sparse_float_vector("f")),
            json!({"id": 1, "f": {"4294967295": 1.0}}),
        ),
        refused(field(FieldSchema::int64("f")), json!([1, 2])),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn fields_that_the_server_fills_must_not_be_given() {
    let schema = || {
        CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key().auto_id())
            .field(FieldSchema::int64("f"))
    };
    let row = [json!({"id": 1, "f": 1})];
    let invalid = write(schema(), Write::Insert, &row).expect_err("the id is made up");
    assert_eq!(
        (invalid.field.as_str(), invalid.rule),
        ("id", Rule::FilledByServer)
    );
    // An upsert names its rows by key, also where keys are made up.
    let batch = write(schema(), Write::Upsert { partial: false }, &row).expect("valid");
    assert_eq!(batch.columns.len(), 2);
    let without = [json!({"f": 1})];
    let invalid = write(schema(), Write::Upsert { partial: true }, &without).expect_err("no key");
    assert_eq!(
        (invalid.field.as_str(), invalid.rule),
        ("id", Rule::Required)
    );
}

#[test]
fn a_partial_upsert_sends_only_what_all_rows_give() {
    let update = Write::Upsert { partial: true };
    let rows = [json!({"id": 1, "tiny": 1}), json!({"id": 2, "tiny": 2})];
    let batch = write(schema(), update, &rows).expect("valid");
    let names: Vec<_> = batch
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["id", "tiny"]);
    let uneven = [json!({"id": 1, "tiny": 1}), json!({"id": 2})];
    let invalid = write(schema(), update, &uneven).expect_err("one row lacks a field");
    assert_eq!(invalid.field, "tiny");
}

#[test]
fn integers_widen_and_floats_become_halves() {
    let collection = described(
        CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::bfloat16_vector("v", 2)),
    );
    let columns = vec![
        ("id".to_owned(), Column::from([1_i8, 2])),
        ("v".to_owned(), Column::from(vec![1.0_f32, 2.0, 3.0, 4.0])),
    ];
    let batch = bind_columns(columns, Write::Insert, &collection).expect("valid");
    assert_eq!(batch.rows, 2);
    assert_eq!(
        batch.columns[1].payload,
        super::Payload::Packed(Bytes::from_static(&[
            0x80, 0x3F, 0x00, 0x40, 0x40, 0x40, 0x80, 0x40
        ]))
    );
}

/// The rule that the columns break.
fn refused_columns(field: FieldSchema, column: Column) -> String {
    let collection = described(
        CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key().auto_id())
            .field(field)
            .dynamic_fields(),
    );
    let columns = vec![("f".to_owned(), column)];
    match bind_columns(columns, Write::Insert, &collection) {
        Err(invalid) => invalid.to_string(),
        Ok(batch) => panic!("accepted: {batch:?}"),
    }
}

#[test]
fn numbers_that_may_be_null_are_not_the_elements_of_vectors() {
    let vector = || FieldSchema::float_vector("f", 8).nullable();
    let numbers = Column::from(vec![Some(1.0_f32); 8]);
    let said = refused_columns(vector(), numbers);
    assert_eq!(
        said,
        "field `f`: the column has 1 values of the field's type for 8 rows that are not null; nothing was sent"
    );
    let collection = described(
        CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key().auto_id())
            .field(vector()),
    );
    let vectors = Column::from(vec![Some(vec![1.0_f32; 8]), None]);
    let columns = vec![("f".to_owned(), vectors)];
    let batch = bind_columns(columns, Write::Insert, &collection).expect("one vector, one null");
    assert_eq!(batch.rows, 2);
}

#[test]
fn numbers_that_json_does_not_have_are_refused_in_rows_and_columns() {
    #[derive(Serialize)]
    struct Row<T> {
        id: i64,
        f: T,
    }
    fn said<T: Serialize>(field: Option<FieldSchema>, f: T) -> String {
        let schema = CollectionSchema::new().field(FieldSchema::int64("id").primary_key());
        let schema = match field {
            Some(field) => schema.field(field),
            None => schema.dynamic_fields(),
        };
        let rows = [Row { id: 1, f }];
        let invalid = write(schema, Write::Insert, &rows).expect_err("not JSON");
        assert!(matches!(invalid.rule, Rule::Finite { .. }), "{invalid}");
        invalid.to_string()
    }
    let expected =
        "row 0, field `f`: the number is NaN or infinite; it must be finite; nothing was sent";
    let json = || Some(FieldSchema::json("f").nullable());
    assert_eq!(said(None, f64::NAN), expected);
    assert_eq!(
        said(None, (None::<i64>, vec![Some(1.0), Some(f32::INFINITY)])),
        expected
    );
    assert_eq!(said(json(), f32::NEG_INFINITY), expected);
    let nested = std::collections::BTreeMap::from([("a", Some(f64::NAN))]);
    assert_eq!(said(json(), nested), expected);
    // A null that the caller gave is one.
    let rows = [Row {
        id: 1,
        f: (None::<i64>, Some(1.5_f64), i128::MAX),
    }];
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .dynamic_fields();
    write(schema, Write::Insert, &rows).expect("JSON");

    let other = FieldSchema::int64("g").nullable();
    let doubles = Column::from(vec![Some(1.0), None, Some(f64::NAN)]);
    assert!(
        refused_columns(other.clone(), doubles).starts_with("row 2, field `f`: the number is NaN")
    );
    let lists = Column::from(vec![vec![1.0], vec![2.0, f64::INFINITY]]);
    assert!(refused_columns(other, lists).starts_with("row 1, field `f`: element 1 is NaN"));
}

#[test]
fn numbers_too_large_for_a_half_are_refused_in_rows_and_columns() {
    for field in [
        FieldSchema::bfloat16_vector("f", 2),
        FieldSchema::float16_vector("f", 2),
    ] {
        let said = refused_columns(field.clone(), Column::from(vec![1.0, f32::MAX]));
        assert!(
            said.contains(&format!(
                "row 0, field `f`: {} is out of the range",
                f32::MAX
            )),
            "{said}"
        );
        let nan = refused_columns(field.clone(), Column::from(vec![1.0, f32::NAN]));
        assert!(nan.contains("element 1 is NaN"), "{nan}");
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(field);
        let said = refused(schema, json!({"id": 1, "f": [1.0, f32::MAX]}));
        assert!(said.contains("is out of the range of"), "{said}");
    }
}

#[test]
fn a_piece_ends_before_it_is_more_than_one_request() {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::array("numbers", DataType::Int64, 4_096));
    let collection = described(schema);
    // On the wire an array has a byte for each number, in memory eight.
    let row = json!({"id": 1, "numbers": vec![1; 4_096]});
    let mut writer = RowWriter::new(&collection, Write::Insert, 0);
    let mut rows = std::iter::repeat_n(&row, 1_000);
    writer.fill(&mut rows, 1 << 20).expect("valid rows");
    assert_eq!(writer.rows(), (1 << 20) / (8 * 4_096) - 1);
}

#[test]
fn lists_of_structs_count_what_they_take_in_memory() {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .struct_array_field(clips());
    let collection = described(schema);
    let clip = json!({
        "title": "", "second": 1, "score": 0.5, "is_cut": true, "emb": [1.0, 2.0], "bits": [7],
    });
    let row = json!({"id": 1, "clips": [clip]});
    let mut writer = RowWriter::new(&collection, Write::Insert, 0);
    let before = writer.bytes();
    writer.push(&row).expect("a valid row");
    let first = writer.bytes() - before;
    let messages = 6 * size_of::<milvus_protocol::schema::VectorField>();
    assert!(first >= messages + size_of::<Bytes>() + 10, "{first}");
    writer.push(&row).expect("a valid row");
    assert_eq!(writer.bytes() - before, 2 * first);
    let bytes = writer.bytes();
    let batch = writer.finish().expect("valid rows");
    assert!(batch.bytes() <= bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_of_one_size_are_one_request_to_a_piece(row in row(), target in 300_usize..6_000) {
        let collection = described(schema());
        let mut rows = std::iter::repeat_n(&row, 50);
        let mut pieces = 0;
        loop {
            let mut writer = RowWriter::new(&collection, Write::Insert, 0);
            writer.fill(&mut rows, target).expect("valid rows");
            if writer.rows() == 0 {
                break;
            }
            let bytes = writer.bytes();
            let batch = writer.finish().expect("valid rows");
            prop_assert!(batch.bytes() <= bytes);
            prop_assert_eq!(split(&batch, target, usize::MAX).expect("no limit").len(), 1);
            pieces += 1;
        }
        prop_assert!(pieces >= 1);
    }
}
