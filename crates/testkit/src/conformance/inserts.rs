//! Rows in and out again: every scalar type, defaults and nulls, dynamic fields, keys made up, refused
//! rows.
//!
//! Invariant: a row that comes back is the row that went in.

use bytes::Bytes;
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema};
use milvus_client::{Column, ConsistencyLevel, Error, Rule};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::documents::{DIMENSION, Document, vector};
use super::{Check, Lack, Stage, Verdict, check, expect, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(rows_of_every_scalar_type_come_back),
        check!(columns_come_back),
        check!(dynamic_fields_come_back),
        check!(keys_are_made_up_by_the_server),
        check!(nulls_come_back, Milvus23 => Lack::MissingFeature),
        check!(defaults_are_filled_in, Milvus23 => Lack::MissingFeature),
        check!(invalid_rows_are_named_and_nothing_is_sent),
        check!(partition_keys_are_plain_fields_of_rows),
    ]
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    id: i64,
    flag: bool,
    tiny: i8,
    small: i16,
    medium: i32,
    single: f32,
    double: f64,
    text: String,
    json: serde_json::Value,
    numbers: Vec<i64>,
    words: Vec<String>,
    vector: Vec<f32>,
}

fn everything(id: i64) -> Everything {
    Everything {
        id,
        flag: id % 2 == 0,
        tiny: -(id as i8),
        small: 300 + id as i16,
        medium: -70_000 - id as i32,
        single: 0.5 + id as f32,
        double: 1e300 / (id as f64 + 1.0),
        text: format!("naïve \"text\" {id}"),
        json: json!({"id": id, "list": [1, "two", null], "deep": {"x": 1.5}}),
        numbers: (0..id).collect(),
        words: vec!["ä".repeat(id as usize % 3), "b".to_owned()],
        vector: vector(id),
    }
}

async fn rows_of_every_scalar_type_come_back(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::bool("flag"))
        .field(FieldSchema::int8("tiny"))
        .field(FieldSchema::int16("small"))
        .field(FieldSchema::int32("medium"))
        .field(FieldSchema::float("single"))
        .field(FieldSchema::double("double"))
        .field(FieldSchema::varchar("text", 64))
        .field(FieldSchema::json("json"))
        .field(FieldSchema::array("numbers", DataType::Int64, 32))
        .field(FieldSchema::array("words", DataType::VarChar, 8).max_length(16))
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let name = stage.collection(&schema).await?;
    let rows: Vec<_> = (0..20).map(everything).collect();
    let written = stage.client.insert(&name).rows(&rows).await?;
    expect_eq("rows written", written.rows, 20)?;
    expect_eq("ids", written.ids.as_int64(), (0..20).collect::<Vec<_>>())?;
    let found = stage
        .client
        .query(&name)
        .filter("id >= 0")
        .output_fields(["*"])
        .await?;
    let mut found: Vec<Everything> = found.to_vec()?;
    found.sort_by_key(|row| row.id);
    expect_eq("rows", found, rows)
}

async fn columns_come_back(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let documents = Document::all(0..10);
    let packed: Vec<u8> = documents
        .iter()
        .flat_map(|document| document.vector.iter().flat_map(|value| value.to_le_bytes()))
        .collect();
    let titles: Vec<_> = documents.iter().map(|d| d.title.clone()).collect();
    let years: Vec<_> = documents.iter().map(|document| document.year).collect();
    stage
        .client
        .insert(&name)
        .column("id", (0..10).collect::<Vec<i64>>())
        .column("title", titles)
        .column("year", &years)
        .column("vector", Bytes::from(packed))
        .await?;
    let rows = stage
        .client
        .query(&name)
        .filter("id < 10")
        .output_fields(["*"])
        .consistency(ConsistencyLevel::Strong)
        .await?;
    let mut found: Vec<Document> = rows.to_vec()?;
    found.sort_by_key(|row| row.id);
    expect_eq("rows", found, documents)?;
    let column = rows.column("vector")?;
    expect_eq("elements", column.values::<f32>()?.len(), 10 * DIMENSION)?;
    let ids = rows.column("id")?.values::<i64>()?;
    for (row, id) in ids.iter().enumerate() {
        expect_eq(
            "a vector",
            column.float_vector(row)?,
            Some(vector(*id).as_slice()),
        )?;
    }
    Ok(())
}

async fn dynamic_fields_come_back(stage: &mut Stage) -> Verdict {
    let name = stage
        .collection(&CollectionSchema::ids_and_vectors(DIMENSION))
        .await?;
    let rows = [
        json!({"id": 1, "vector": vector(1), "color": "red", "size": 10}),
        json!({"id": 2, "vector": vector(2), "color": "blue"}),
        json!({"id": 3, "vector": vector(3)}),
    ];
    stage.client.insert(&name).rows(&rows).await?;
    stage
        .client
        .insert(&name)
        .column("id", [4_i64])
        .column("vector", vector(4))
        .column("color", ["green"])
        .await?;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Colored {
        id: i64,
        color: Option<String>,
        size: Option<i64>,
    }
    let found = stage
        .client
        .query(&name)
        .filter("id > 0")
        .output_fields(["color", "size"])
        .await?;
    let mut found: Vec<Colored> = found.to_vec()?;
    found.sort_by_key(|row| row.id);
    let row = |id, color: Option<&str>, size| Colored {
        id,
        color: color.map(str::to_owned),
        size,
    };
    let expected = [
        row(1, Some("red"), Some(10)),
        row(2, Some("blue"), None),
        row(3, None, None),
        row(4, Some("green"), None),
    ];
    expect_eq("rows", found, expected)?;
    let red = stage
        .client
        .query(&name)
        .filter("color == \"red\"")
        .output_fields(["id"])
        .await?;
    expect_eq("red rows", red.column("id")?.values::<i64>()?, [1])
}

async fn keys_are_made_up_by_the_server(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key().auto_id())
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let name = stage.collection(&schema).await?;
    let vectors: Vec<f32> = (0..5).flat_map(vector).collect();
    let written = stage.client.insert(&name).column("vector", vectors).await?;
    expect_eq("ids", written.ids.len(), 5)?;
    let found = stage
        .client
        .get(&name)
        .ids(written.ids.as_int64())
        .output_fields(["vector"])
        .await?;
    expect_eq("rows found by the ids", found.len(), 5)?;
    let given = stage
        .client
        .insert(&name)
        .column("id", [1_i64])
        .column("vector", vector(1))
        .await;
    match given {
        Err(Error::InvalidValue(invalid)) => {
            expect_eq("rule", &invalid.rule, &Rule::FilledByServer)
        }
        other => wrong(format!(
            "a key that the server makes up was accepted: {other:?}"
        )),
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sparse {
    id: i64,
    year: Option<i32>,
    title: Option<String>,
    vector: Vec<f32>,
}

async fn nulls_come_back(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::int32("year").nullable())
        .field(FieldSchema::varchar("title", 32).nullable())
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let name = stage.collection_by_verb(schema).await?;
    let rows: Vec<_> = (0..9)
        .map(|id| Sparse {
            id,
            year: (id % 2 == 0).then_some(id as i32),
            title: (id % 3 == 0).then(|| format!("title {id}")),
            vector: vector(id),
        })
        .collect();
    stage.client.insert(&name).rows(&rows).await?;
    let found = stage
        .client
        .query(&name)
        .filter("id >= 0")
        .output_fields(["*"])
        .await?;
    let column = found.column("year")?;
    let nulls = (0..column.len()).filter(|row| column.is_null(*row)).count();
    let mut found: Vec<Sparse> = found.to_vec()?;
    found.sort_by_key(|row| row.id);
    expect_eq("rows", found, rows)?;
    expect_eq("rows without a year", nulls, 4)
}

async fn defaults_are_filled_in(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::int32("year").default_value(1999))
        .field(
            FieldSchema::varchar("title", 32)
                .default_value("untitled")
                .nullable(),
        )
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let name = stage.collection_by_verb(schema).await?;
    stage
        .client
        .insert(&name)
        .column("id", [1_i64, 2])
        .column("year", vec![Some(7), None])
        .column("title", vec![None, Some("given")])
        .column("vector", [vector(1), vector(2)])
        .await?;
    let found = stage
        .client
        .query(&name)
        .filter("id > 0")
        .output_fields(["year", "title"])
        .await?;
    let mut found: Vec<(i64, i32, String)> = found
        .iter::<serde_json::Value>()
        .map(|row| {
            let row = row?;
            let number = |key: &str| row[key].as_i64().unwrap_or_default();
            let title = row["title"].as_str().unwrap_or_default().to_owned();
            Ok((number("id"), number("year") as i32, title))
        })
        .collect::<milvus_client::Result<_>>()?;
    found.sort();
    let expected = [(1, 7, "untitled".to_owned()), (2, 1999, "given".to_owned())];
    expect_eq("rows", found, expected)
}

async fn invalid_rows_are_named_and_nothing_is_sent(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let good = Document::new(1);
    let mut long = Document::new(2);
    long.title = "x".repeat(65);
    let mut flat = Document::new(3);
    flat.vector.pop();
    let mut broken = Document::new(4);
    broken.vector[5] = f32::NAN;
    let cases = [
        (
            long,
            "title",
            Rule::MaxLength {
                limit: 64,
                found: 65,
            },
        ),
        (
            flat,
            "vector",
            Rule::Dimension {
                expected: 8,
                found: 7,
            },
        ),
        (broken, "vector", Rule::Finite { element: Some(5) }),
    ];
    for (bad, field, rule) in cases {
        let rows = [good.clone(), bad];
        match stage.client.insert(&name).rows(&rows).await {
            Err(Error::InvalidValue(invalid)) => {
                expect_eq("row", invalid.row, Some(1))?;
                expect_eq("field", invalid.field.as_str(), field)?;
                expect_eq("rule", &invalid.rule, &rule)?;
                expect_eq("collection", invalid.collection.as_str(), name.as_str())?;
            }
            other => return wrong(format!("{field} was accepted: {other:?}")),
        }
    }
    let unknown = json!({"id": 1, "title": "", "year": 1, "vector": vector(1), "extra": 1});
    let missing = json!({"id": 1, "title": "", "vector": vector(1)});
    for (row, field, rule) in [
        (unknown, "extra", Rule::Unknown),
        (missing, "year", Rule::Required),
    ] {
        match stage.client.insert(&name).rows(&[row]).await {
            Err(Error::InvalidValue(invalid)) => {
                expect_eq("field", invalid.field.as_str(), field)?;
                expect_eq("rule", &invalid.rule, &rule)?;
            }
            other => return wrong(format!("{field} was accepted: {other:?}")),
        }
    }
    let uneven = stage
        .client
        .insert(&name)
        .column("id", [1_i64, 2])
        .column("title", Column::from(["one"]))
        .column("year", [1, 2])
        .column("vector", [vector(1), vector(2)])
        .await;
    expect("columns of uneven length are refused", uneven.is_err())?;
    let count = stage
        .client
        .query(&name)
        .filter("id >= 0")
        .consistency(ConsistencyLevel::Strong)
        .count()
        .await?;
    expect_eq("rows in the collection", count, 0)
}

async fn partition_keys_are_plain_fields_of_rows(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::varchar("id", 32).primary_key())
        .field(FieldSchema::varchar("tenant", 16).partition_key())
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let name = stage.collection(&schema).await?;
    let rows: Vec<_> = (0..30)
        .map(|n| json!({"id": format!("k\"{n}"), "tenant": format!("t{}", n % 3), "vector": vector(n)}))
        .collect();
    let written = stage.client.insert(&name).rows(&rows).await?;
    expect_eq("rows written", written.rows, 30)?;
    let count = stage
        .client
        .query(&name)
        .filter("tenant == \"t1\"")
        .count()
        .await?;
    expect_eq("rows of a tenant", count, 10)?;
    let found = stage
        .client
        .get(&name)
        .ids(["k\"7"])
        .output_fields(["tenant"])
        .await?;
    expect_eq("tenant", found.column("tenant")?.text(0)?, Some("t1"))
}
