//! Rows for tests: a collection with a field of every type that filters read, and random values from small domains, so that
//! comparisons hold about as often as not.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::{Field, Schema};
use crate::column::{ColumnBuilder, ColumnType, ElementType, RowBatch, Value};

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) i8: Option<i8>,
    pub(super) i64: i64,
    pub(super) f: Option<f32>,
    pub(super) d: Option<f64>,
    pub(super) b: Option<bool>,
    pub(super) s: Option<String>,
    pub(super) j: Option<Json>,
    pub(super) ai: Option<Vec<i32>>,
    pub(super) at: Option<Vec<String>>,
    pub(super) ts: Option<i64>,
    pub(super) meta: Json,
    /// Members `n` and `t` of the structs of `k`.
    pub(super) k: Option<Vec<(i32, String)>>,
    /// The struct that a condition is about.
    pub(super) element: Option<(i32, String)>,
}

pub(super) const INTS: ColumnType = ColumnType::Array(ElementType::Int32);
pub(super) const TEXTS: ColumnType = ColumnType::Array(ElementType::Varchar);
const VECTORS: ColumnType = ColumnType::Array(ElementType::FloatVector { dim: 1 });

const KINDS: [(&str, ColumnType); 14] = [
    ("i8", ColumnType::Int8),
    ("i64", ColumnType::Int64),
    ("f", ColumnType::Float),
    ("d", ColumnType::Double),
    ("b", ColumnType::Bool),
    ("s", ColumnType::Varchar),
    ("j", ColumnType::Json),
    ("ai", INTS),
    ("at", TEXTS),
    ("ts", ColumnType::Timestamptz),
    ("k[n]", INTS),
    ("k[t]", TEXTS),
    ("k[v]", VECTORS),
    ("$meta", ColumnType::Json),
];

pub(super) fn schema() -> Schema {
    Schema::new(
        KINDS[..13]
            .iter()
            .map(|(name, kind)| Field::new(*name, *kind)),
        true,
    )
}

fn json() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        2 => (-2i64..3).prop_map(Json::from),
        1 => prop::sample::select(vec![-1.0, 0.5, 1.0, 2.5]).prop_map(Json::from),
        2 => "[ab]{0,2}".prop_map(Json::from),
        1 => Just(json!("a\"b")),
        1 => any::<bool>().prop_map(Json::from),
        1 => Just(Json::Null),
    ];
    let list = prop::collection::vec(scalar.clone(), 0..4).prop_map(Json::from);
    let inner = prop_oneof![4 => scalar.clone(), 2 => list.clone(), 1 => Just(json!({"b": 1, "0": "x"})), 1 => Just(json!([[1, 2], "a"]))];
    let object =
        prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), inner, 0..4)
            .prop_map(|map| {
                Json::Object(
                    map.into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            });
    prop_oneof![8 => object, 1 => scalar, 1 => list]
}

pub(super) fn row() -> impl Strategy<Value = Row> {
    let maybe = 0.8;
    let floats = vec![-1.5, -0.0, 0.0, 0.1, 0.5, 1.0, 2.0, f64::NAN];
    (
        (prop::option::weighted(maybe, -3i8..4), -3i64..4),
        prop::option::weighted(
            maybe,
            prop::sample::select(floats.clone()).prop_map(|number| number as f32),
        ),
        prop::option::weighted(maybe, prop::sample::select(floats)),
        prop::option::weighted(maybe, any::<bool>()),
        prop::option::weighted(maybe, "[abé%]{0,3}"),
        prop::option::weighted(maybe, json()),
        prop::option::weighted(maybe, prop::collection::vec(-2i32..3, 0..4)),
        prop::option::weighted(maybe, prop::collection::vec("[ab]{0,2}", 0..4)),
        prop::option::weighted(maybe, (-40i64..40).prop_map(|days| days * 43_200_000_000)),
        (
            json().prop_filter("the dynamic field is an object", Json::is_object),
            prop::option::weighted(maybe, prop::collection::vec((-2i32..3, "[ab]{0,2}"), 0..4)),
        ),
    )
        .prop_map(|((i8, i64), f, d, b, s, j, ai, at, ts, (meta, k))| Row {
            i8,
            i64,
            f,
            d,
            b,
            s,
            j,
            ai,
            at,
            ts,
            meta,
            k,
            element: None,
        })
}

fn list<T>(
    kind: ColumnType,
    values: &[T],
    value: impl Fn(&T) -> Value<'_>,
) -> crate::column::Column {
    let mut elements = ColumnBuilder::new(kind);
    values
        .iter()
        .for_each(|element| elements.push(value(element)).unwrap());
    elements.finish()
}

fn members(name: &str, structs: &[(i32, String)]) -> crate::column::Column {
    match name {
        "k[n]" => list(ColumnType::Int32, structs, |(number, _)| {
            Value::Int((*number).into())
        }),
        "k[t]" => list(ColumnType::Varchar, structs, |(_, text)| {
            Value::Varchar(text)
        }),
        _ => list(ColumnType::FloatVector { dim: 1 }, structs, |_| {
            Value::Dense(&[0; 4])
        }),
    }
}

pub(super) fn batch(rows: &[Row]) -> RowBatch {
    let mut batch = RowBatch::new(rows.len());
    for (name, kind) in KINDS {
        let mut builder = ColumnBuilder::new(kind);
        for row in rows {
            let pushed = match name {
                "i8" => builder.push(
                    row.i8
                        .map_or(Value::Null, |number| Value::Int(number.into())),
                ),
                "i64" => builder.push(Value::Int(row.i64)),
                "f" => builder.push(row.f.map_or(Value::Null, Value::Float)),
                "d" => builder.push(row.d.map_or(Value::Null, Value::Double)),
                "b" => builder.push(row.b.map_or(Value::Null, Value::Bool)),
                "s" => builder.push(row.s.as_deref().map_or(Value::Null, Value::Varchar)),
                "ts" => builder.push(row.ts.map_or(Value::Null, Value::Timestamptz)),
                "j" => match &row.j {
                    None => builder.push(Value::Null),
                    Some(value) => builder.push(Value::Json(value.to_string().as_bytes())),
                },
                "$meta" => builder.push(Value::Json(
                    serde_json::to_string_pretty(&row.meta).unwrap().as_bytes(),
                )),
                "k[n]" | "k[t]" | "k[v]" => match &row.k {
                    None => builder.push(Value::Null),
                    Some(structs) => {
                        let elements = members(name, structs);
                        builder.push(Value::Array(&elements, 0, elements.len()))
                    }
                },
                "ai" => match &row.ai {
                    None => builder.push(Value::Null),
                    Some(values) => {
                        let elements = list(ColumnType::Int32, values, |value| {
                            Value::Int((*value).into())
                        });
                        builder.push(Value::Array(&elements, 0, elements.len()))
                    }
                },
                _ => match &row.at {
                    None => builder.push(Value::Null),
                    Some(values) => {
                        let elements =
                            list(ColumnType::Varchar, values, |value| Value::Varchar(value));
                        builder.push(Value::Array(&elements, 0, elements.len()))
                    }
                },
            };
            pushed.unwrap();
        }
        batch.push(name, builder.finish()).unwrap();
    }
    batch
}
