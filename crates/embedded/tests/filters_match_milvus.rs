//! Random filters over random rows: this engine must find the rows that Milvus 2.3.5 finds.
//!
//! The rows and expressions come from a fixed seed. Fields are never null and functions are those of 2.3.5, because it knows no
//! others. An expression that 2.3.5 rejects (it has fewer forms) tells nothing; that few are rejected is checked too.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use milvus_embedded::column::{
    Column, ColumnBuilder, ColumnType, Columns, ElementType, RowBatch, Value,
};
use milvus_embedded::filter::{Field, Schema, Templates, compile};
use milvus_testkit::{Scratch, real};
use serde_json::{Value as Json, json};

const ROWS: usize = 300;
const EXPRESSIONS: usize = 300;

const KINDS: [(&str, ColumnType); 11] = [
    ("id", ColumnType::Int64),
    ("i8", ColumnType::Int8),
    ("i64", ColumnType::Int64),
    ("f", ColumnType::Float),
    ("d", ColumnType::Double),
    ("b", ColumnType::Bool),
    ("s", ColumnType::Varchar),
    ("j", ColumnType::Json),
    ("ai", ColumnType::Array(ElementType::Int64)),
    ("at", ColumnType::Array(ElementType::Varchar)),
    ("$meta", ColumnType::Json),
];

fn pick<'a>(random: &mut fastrand::Rng, choices: &[&'a str]) -> &'a str {
    choices[random.usize(..choices.len())]
}

fn text(random: &mut fastrand::Rng) -> String {
    (0..random.usize(..4))
        .map(|_| pick(random, &["a", "b", "é"]))
        .collect()
}

fn scalar(random: &mut fastrand::Rng) -> Json {
    match random.u8(..5) {
        0 | 1 => random.i64(-2..3).into(),
        2 => [-1.0, 0.5, 1.0, 2.5][random.usize(..4)].into(),
        3 => text(random).into(),
        _ => random.bool().into(),
    }
}

/// An element of a list. Milvus 2.3.5 does not find the integer 1 in a list with 1.0, later versions and this engine do; so
/// there are no whole floats here.
fn element(random: &mut fastrand::Rng) -> Json {
    match scalar(random) {
        number if number.is_f64() => json!(1.5),
        other => other,
    }
}

fn object(random: &mut fastrand::Rng, keys: &[&str]) -> Json {
    let mut map = serde_json::Map::new();
    for key in keys {
        let value = match random.u8(..8) {
            0..4 => scalar(random),
            4 => (0..random.usize(..4))
                .map(|_| element(random))
                .collect::<Vec<_>>()
                .into(),
            5 => (0..random.usize(..4))
                .map(|_| Json::from(random.i64(-1..3)))
                .collect::<Vec<_>>()
                .into(),
            6 => json!({"b": scalar(random)}),
            _ => continue,
        };
        map.insert((*key).to_owned(), value);
    }
    map.into()
}

fn of(random: &mut fastrand::Rng, choices: &[f64]) -> f64 {
    choices[random.usize(..choices.len())]
}

fn row(random: &mut fastrand::Rng, id: usize) -> Json {
    let ints: Vec<i64> = (0..random.usize(..4)).map(|_| random.i64(-2..3)).collect();
    let texts: Vec<String> = (0..random.usize(..4)).map(|_| text(random)).collect();
    let mut row = json!({
        "id": id,
        "i8": random.i64(-3..4),
        "i64": random.i64(-3..4),
        "f": of(random, &[-1.5, 0.0, 0.5, 1.0, 2.0]),
        "d": of(random, &[-1.5, 0.0, 0.1, 0.5, 1.0, 2.0]),
        "b": random.bool(),
        "s": text(random),
        "j": object(random, &["a", "b", "c"]),
        "ai": ints,
        "at": texts,
    });
    if let (Json::Object(row), Json::Object(dynamic)) = (&mut row, object(random, &["x", "y"])) {
        row.extend(dynamic);
    }
    row
}

const OPS: &[&str] = &["<", "<=", ">", ">=", "==", "!="];
const INTS: &[&str] = &["-2", "0", "1", "2", "0x2"];
const NUMBERS: &[&str] = &["-1", "0", "0.5", "1", "1.0", "2.5"];
const TEXTS: &[&str] = &["''", "'a'", "\"ab\"", "'é'", "'b'"];
const PATHS: &[&str] = &[
    "j[\"a\"]",
    "j['b']",
    "j[\"c\"][0]",
    "j[\"a\"][\"b\"]",
    "x",
    "$meta['y']",
    "y[1]",
];
const LISTS: &[&str] = &["[1]", "[1, 2]", "[-1, 0, 2]"];

/// Templates whose `#` are filled with the choices in order.
const ATOMS: &[(&str, &[&[&str]])] = &[
    ("# # #", &[&["i8", "i64"], OPS, INTS]),
    ("# # #", &[INTS, OPS, &["i8", "i64"]]),
    ("# # #", &[&["f", "d"], OPS, NUMBERS]),
    ("d # 0.1", &[OPS]),
    (
        "i64 # 2 # #",
        &[&["+", "-", "*", "/", "%"], &["==", "!="], INTS],
    ),
    (
        "# # 0.5 # #",
        &[
            &["f", "d"],
            &["+", "-", "*", "/"],
            &["==", "!="],
            &["0.5", "1.0", "-1.5"],
        ],
    ),
    (
        "# # #",
        &[&["i8", "i64", "f", "d"], OPS, &["i64", "d", "f", "i8"]],
    ),
    (
        "-1 # # # 2",
        &[
            &["<", "<="],
            &["i8", "i64", "f", "d", "j['a']", "ai[0]", "x"],
            &["<", "<="],
        ],
    ),
    (
        "1 # # # -0.5",
        &[&[">", ">="], &["f", "d", "j['b']"], &[">", ">="]],
    ),
    ("# # #", &[&["i8", "i64"], &["in", "not in"], LISTS]),
    ("b # #", &[&["==", "!="], &["true", "false"]]),
    ("s # #", &[OPS, TEXTS]),
    ("s # ['a', 'é', '']", &[&["in", "not in"]]),
    (
        "# like #",
        &[&["s", "j['a']", "x"], &["'a%'", "'é%'", "'%'", "'ab'"]],
    ),
    ("'a' < # <= 'b'", &[&["s", "j['a']"]]),
    ("# # #", &[PATHS, OPS, INTS]),
    ("# # #", &[PATHS, OPS, NUMBERS]),
    ("# # #", &[PATHS, OPS, TEXTS]),
    ("# # #", &[PATHS, &["==", "!="], &["true", "false"]]),
    (
        "# # #",
        &[
            PATHS,
            &["in", "not in"],
            &["[1]", "[1, 2]", "['a', 'b']", "[0.5, 1.0]", "[true]"],
        ],
    ),
    (
        "# # 2 # #",
        &[
            PATHS,
            &["+", "-", "*", "%"],
            &["==", "!="],
            &["1", "0", "2"],
        ],
    ),
    ("exists #", &[PATHS]),
    (
        "json_contains(#, #)",
        &[PATHS, &["1", "'a'", "0.5", "true"]],
    ),
    (
        "#(#, #)",
        &[
            &["json_contains_all", "JSON_CONTAINS_ANY"],
            PATHS,
            &["[1, 2]", "['a', 'b']", "[1, 'a']"],
        ],
    ),
    (
        "array_length(#) # #",
        &[&["ai", "at"], &["==", "!="], &["0", "1", "2"]],
    ),
    ("ai[#] # #", &[&["0", "1", "7"], OPS, INTS]),
    ("at[#] # #", &[&["0", "2"], OPS, TEXTS]),
    ("ai[0] # #", &[&["in", "not in"], LISTS]),
    ("array_contains(ai, #)", &[INTS]),
    (
        "#(#)",
        &[
            &["array_contains_all", "array_contains_any"],
            &["ai, [1, 2]", "at, ['a', 'b']", "at, ['']"],
        ],
    ),
    ("ai # #", &[&["==", "!="], LISTS]),
];

fn expression(random: &mut fastrand::Rng, depth: usize) -> String {
    if depth > 0 && random.u8(..3) > 0 {
        let left = expression(random, depth - 1);
        return match random.u8(..5) {
            0 => format!("not ({left})"),
            1 | 2 => format!("({left}) and ({})", expression(random, depth - 1)),
            _ => format!("({left}) || ({})", expression(random, depth - 1)),
        };
    }
    let (template, choices) = ATOMS[random.usize(..ATOMS.len())];
    let mut choices = choices.iter();
    template
        .split('#')
        .enumerate()
        .fold(String::new(), |text, (index, piece)| {
            let filling = if index == 0 {
                ""
            } else {
                choices.next().map_or("", |choices| pick(random, choices))
            };
            text + filling + piece
        })
}

fn list(kind: ColumnType, values: &Json) -> Column {
    let mut elements = ColumnBuilder::new(kind);
    for value in values.as_array().unwrap() {
        let value = value
            .as_str()
            .map_or_else(|| Value::Int(value.as_i64().unwrap()), Value::Varchar);
        elements.push(value).unwrap();
    }
    elements.finish()
}

fn batch(rows: &[Json]) -> RowBatch {
    let mut batch = RowBatch::new(rows.len());
    for (name, kind) in KINDS {
        let mut builder = ColumnBuilder::new(kind);
        for row in rows {
            let value = &row[name];
            let pushed = match kind {
                ColumnType::Bool => builder.push(Value::Bool(value.as_bool().unwrap())),
                ColumnType::Float => builder.push(Value::Float(value.as_f64().unwrap() as f32)),
                ColumnType::Double => builder.push(Value::Double(value.as_f64().unwrap())),
                ColumnType::Varchar => builder.push(Value::Varchar(value.as_str().unwrap())),
                ColumnType::Array(element) => {
                    let elements = list(element.column_type(), value);
                    builder.push(Value::Array(&elements, 0, elements.len()))
                }
                ColumnType::Json if name == "$meta" => {
                    let dynamic: serde_json::Map<_, _> = ["x", "y"]
                        .iter()
                        .filter_map(|key| Some(((*key).to_owned(), row.get(key)?.clone())))
                        .collect();
                    builder.push(Value::Json(Json::from(dynamic).to_string().as_bytes()))
                }
                ColumnType::Json => builder.push(Value::Json(value.to_string().as_bytes())),
                _ => builder.push(Value::Int(value.as_i64().unwrap())),
            };
            pushed.unwrap();
        }
        batch.push(name, builder.finish()).unwrap();
    }
    batch
}

#[test]
fn filters_find_the_rows_that_milvus_finds() {
    let mut random = fastrand::Rng::with_seed(235);
    let rows: Vec<Json> = (0..ROWS).map(|id| row(&mut random, id)).collect();
    let expressions: Vec<String> = (0..EXPRESSIONS)
        .map(|index| expression(&mut random, index % 3))
        .collect();

    let scratch = Scratch::new("filters").unwrap();
    let input = scratch
        .write(
            "input.json",
            &json!({"rows": rows, "expressions": expressions}).to_string(),
        )
        .unwrap();
    let script = include_str!("filters_match_milvus.py");
    let arguments = [&*real::plain().uri(), input.to_str().unwrap()];
    let answers = real::pymilvus()
        .run_json(script, &arguments, Duration::from_secs(600))
        .unwrap();

    let schema = Schema::new(
        KINDS[..10]
            .iter()
            .map(|(name, kind)| Field::new(*name, *kind)),
        true,
    );
    let batch = batch(&rows);
    assert_eq!(batch.rows(), ROWS);
    let (mut rejected, mut differences) = (Vec::new(), Vec::new());
    for (expression, answer) in expressions.iter().zip(answers.as_array().unwrap()) {
        let Some(expected) = answer.as_array() else {
            rejected.push(format!("{expression}: {answer}"));
            continue;
        };
        let expected: Vec<usize> = expected
            .iter()
            .filter_map(Json::as_u64)
            .map(|id| id as usize)
            .collect();
        match compile(expression, &schema, &Templates::new()) {
            Err(error) => differences.push(error.to_string()),
            Ok(plan) => {
                let found: Vec<usize> = plan.evaluate(&batch).ones().collect();
                let differing = (0..ROWS).find(|id| found.contains(id) != expected.contains(id));
                if let Some(id) = differing {
                    differences.push(format!(
                        "{expression}: {} rows instead of {}, first {}",
                        found.len(),
                        expected.len(),
                        rows[id]
                    ));
                }
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {EXPRESSIONS} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(
        rejected.len() < EXPRESSIONS / 8,
        "Milvus rejects {}:\n{}",
        rejected.len(),
        rejected.join("\n")
    );
}
