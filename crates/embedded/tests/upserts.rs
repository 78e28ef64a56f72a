//! What upserts leave of the rows that were there: arrays and dynamic keys of partial ones, other partitions, automatic keys; and what a
//! request may claim.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use milvus_client::admin::Index;
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema};
use milvus_client::{Client, FieldChange, MetricType};
use milvus_embedded::{Location, Options, open};
use milvus_protocol::common::Status;
use milvus_protocol::milvus::{CreateCollectionRequest, InsertRequest, MutationResult};
use milvus_protocol::schema as wire;
use prost::Message as _;
use serde_json::{Value, json};

#[path = "support/client.rs"]
mod support;
use support::{DIM, ROWS, block_on, create, fill, in_memory, random};
#[path = "support/mod.rs"]
mod service;

async fn rows(client: &Client, filter: &str, fields: &[&str]) -> Vec<Value> {
    let found = client
        .query("docs")
        .filter(filter)
        .output_fields(fields.iter().copied())
        .await
        .unwrap();
    let mut rows: Vec<Value> = found.to_vec().unwrap();
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("id");
    }
    rows
}

async fn with_arrays(name: &str) -> Client {
    let client = in_memory(name).await;
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::array("tags", DataType::VarChar, 4).max_length(8))
        .field(FieldSchema::array("marks", DataType::Double, 4).nullable())
        .field(FieldSchema::int64("n").nullable())
        .field(FieldSchema::float_vector("vector", DIM));
    client
        .create_collection("docs", schema)
        .index("vector", Index::flat(MetricType::L2))
        .await
        .unwrap();
    let vector = random(1, DIM);
    let written = [
        json!({"id": 1, "tags": ["a", "b", "a"], "marks": [1.5, 2.5, 1.5], "n": 1, "vector": vector}),
        json!({"id": 2, "tags": [], "marks": null, "n": 2, "vector": vector}),
    ];
    client.insert("docs").rows(&written).await.unwrap();
    client
}

#[test]
fn arrays_of_a_partial_upsert_are_appended_to_and_removed_from() {
    block_on(async {
        let client = with_arrays("arrays").await;
        client.flush(["docs"]).await.unwrap();
        let upsert = async |row: Value, change: FieldChange| {
            let field = row.as_object().unwrap().keys().find(|key| *key != "id");
            client
                .upsert("docs")
                .rows(std::slice::from_ref(&row))
                .field_change(field.unwrap().clone(), change)
                .await
                .map(drop)
        };
        let append = FieldChange::ArrayAppend;
        upsert(json!({"id": 1, "tags": ["c"]}), append)
            .await
            .unwrap();
        upsert(json!({"id": 2, "tags": ["c", "c"]}), append)
            .await
            .unwrap();
        upsert(json!({"id": 2, "marks": [7.0]}), append)
            .await
            .unwrap();
        let fields = ["tags", "marks", "n"];
        assert_eq!(
            rows(&client, "id > 0", &fields).await,
            [
                json!({"tags": ["a", "b", "a", "c"], "marks": [1.5, 2.5, 1.5], "n": 1}),
                json!({"tags": ["c", "c"], "marks": [7.0], "n": 2}),
            ]
        );
        // One more than there is room for; nothing is changed then.
        let error = upsert(json!({"id": 1, "tags": ["d"]}), append)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("exceeds max capacity (4)"),
            "{error}"
        );
        let remove = FieldChange::ArrayRemove;
        upsert(json!({"id": 1, "tags": ["a", "x"]}), remove)
            .await
            .unwrap();
        upsert(json!({"id": 1, "marks": [1.5]}), remove)
            .await
            .unwrap();
        // A null changes nothing.
        upsert(json!({"id": 2, "marks": null}), remove)
            .await
            .unwrap();
        assert_eq!(
            rows(&client, "id > 0", &fields).await,
            [
                json!({"tags": ["b", "c"], "marks": [2.5], "n": 1}),
                json!({"tags": ["c", "c"], "marks": [7.0], "n": 2}),
            ]
        );
        upsert(json!({"id": 1, "tags": ["z"]}), FieldChange::Replace)
            .await
            .unwrap();
        assert_eq!(
            rows(&client, "id == 1", &["tags"]).await,
            [json!({"tags": ["z"]})]
        );
        let error = upsert(json!({"id": 1, "n": 5}), append).await.unwrap_err();
        assert!(error.to_string().contains("change arrays"), "{error}");
    });
}

#[test]
fn dynamic_keys_that_a_partial_upsert_does_not_name_stay() {
    block_on(async {
        let client = in_memory("dynamic-keys").await;
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::int64("n"))
            .field(FieldSchema::json("doc"))
            .field(FieldSchema::float_vector("vector", DIM))
            .dynamic_fields();
        client
            .create_collection("docs", schema)
            .index("vector", Index::flat(MetricType::L2))
            .await
            .unwrap();
        let row = json!({
            "id": 1, "n": 1, "doc": {"kept": false}, "vector": random(1, DIM),
            "color": "red", "size": 0.1, "quoted \"key\"": [1, {"a": null}],
        });
        client.insert("docs").rows(&[row]).await.unwrap();
        client.flush(["docs"]).await.unwrap();
        let partial = async |row: Value| {
            let rows = [row];
            client.upsert("docs").rows(&rows).partial().await.unwrap();
        };
        partial(json!({"id": 1, "n": 2})).await;
        partial(json!({"id": 1, "color": "blue", "shape": {"of": "it"}})).await;
        // A JSON field is a value, and replaced as one.
        partial(json!({"id": 1, "doc": {"new": true}})).await;
        assert_eq!(
            rows(&client, "id == 1", &["n", "doc", "$meta"]).await,
            [json!({
                "n": 2, "doc": {"new": true},
                "color": "blue", "size": 0.1, "quoted \"key\"": [1, {"a": null}], "shape": {"of": "it"},
            })]
        );
    });
}

#[test]
fn a_partial_upsert_reads_the_partition_that_it_writes() {
    block_on(async {
        let client = in_memory("partial-partitions").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        client.create_partition("docs", "b").await.unwrap();
        client.load_collection("docs").await.unwrap();
        let partial = |partition: &'static str| {
            client
                .upsert("docs")
                .column("id", vec![7i64])
                .column("n", vec![70i64])
                .partition(partition)
                .partial()
        };
        // There is no row 7 in b, so there is nothing to complete it with.
        let error = partial("b").await.map(drop).unwrap_err().to_string();
        assert!(error.contains("don't exist yet"), "{error}");
        partial("_default").await.unwrap();
        let rows = client.query("docs").count().await.unwrap();
        assert_eq!(rows, ROWS as u64);
    });
}

#[test]
fn an_upsert_where_keys_are_automatic_makes_new_ones() {
    block_on(async {
        let client = in_memory("auto-upsert").await;
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key().auto_id())
            .field(FieldSchema::int64("n"))
            .field(FieldSchema::float_vector("vector", DIM));
        client
            .create_collection("docs", schema)
            .index("vector", Index::flat(MetricType::L2))
            .await
            .unwrap();
        let written = client
            .insert("docs")
            .column("n", vec![1i64, 2])
            .column("vector", random(1, 2 * DIM))
            .await
            .unwrap();
        let keys = written.ids.as_int64().to_vec();
        let replaced = client
            .upsert("docs")
            .column("id", vec![keys[0]])
            .column("n", vec![10i64])
            .column("vector", random(1, DIM))
            .await
            .unwrap();
        let new = replaced.ids.as_int64().to_vec();
        assert!(!keys.contains(&new[0]), "{new:?}, {keys:?}");
        let changed = client
            .upsert("docs")
            .column("id", vec![keys[1]])
            .column("n", vec![20i64])
            .partial()
            .await
            .unwrap();
        let expected = [(new[0], 10), (changed.ids.as_int64()[0], 20)];
        let found = client
            .query("docs")
            .filter("n > 0")
            .output_fields(["n"])
            .await
            .unwrap();
        let ids = found
            .column("id")
            .unwrap()
            .values::<i64>()
            .unwrap()
            .to_vec();
        let numbers = found.column("n").unwrap().values::<i64>().unwrap().to_vec();
        assert_eq!(ids.into_iter().zip(numbers).collect::<Vec<_>>(), expected);
    });
}

#[test]
fn a_request_cannot_claim_more_rows_than_it_carries() {
    service::runtime().block_on(async {
        let database = open(Location::Memory("claims".to_owned()), Options::default()).unwrap();
        let pair = service::pair;
        let field = |name: &str, data_type: wire::DataType| wire::FieldSchema {
            name: name.to_owned(),
            data_type: data_type as i32,
            ..Default::default()
        };
        let schema = wire::CollectionSchema {
            name: "docs".to_owned(),
            fields: vec![
                wire::FieldSchema {
                    is_primary_key: true,
                    auto_id: true,
                    ..field("id", wire::DataType::Int64)
                },
                wire::FieldSchema {
                    default_value: Some(wire::ValueField {
                        data: Some(wire::value_field::Data::StringData("x".repeat(1000))),
                    }),
                    type_params: vec![pair("max_length", "1000")],
                    ..field("text", wire::DataType::VarChar)
                },
                wire::FieldSchema {
                    type_params: vec![pair("dim", "4")],
                    ..field("vector", wire::DataType::FloatVector)
                },
            ],
            enable_dynamic_field: true,
            ..Default::default()
        };
        let request = CreateCollectionRequest {
            collection_name: "docs".to_owned(),
            schema: schema.encode_to_vec().into(),
            ..Default::default()
        };
        let created: Status = service::call(&database, "CreateCollection", request).await;
        service::succeeded(created);
        let request = InsertRequest {
            collection_name: "docs".to_owned(),
            num_rows: 1_000_000,
            ..Default::default()
        };
        let answer: MutationResult = service::call(&database, "Insert", request).await;
        let status = answer.status.unwrap();
        assert_eq!(status.code, 1102, "{status:?}");
        assert!(status.reason.contains("send fewer rows"), "{status:?}");
    });
}
