//! What is said of each row when a write of many requests meets trouble, against a scripted server.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use milvus_client::schema::{CollectionSchema, FieldSchema, StructArraySchema};
use milvus_client::{Client, Connection, Error, IncompleteWrite};
use milvus_protocol::milvus::{DescribeCollectionResponse, InsertRequest, MutationResult};
use milvus_protocol::rpc;
use milvus_protocol::schema::{IDs, LongArray, i_ds::IdField};
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{Applied, ConnectionConfig, parse_uri};
use serde_json::json;

const ROWS: u64 = 40;

/// A server that takes every insert, but for what `trouble` says.
async fn stage(trouble: Option<Rule>) -> (FaultServer, Client) {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::varchar("text", 2_000));
    stage_of(&schema, trouble).await
}

async fn stage_of(schema: &CollectionSchema, trouble: Option<Rule>) -> (FaultServer, Client) {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .expect("a free port");
    // Earlier rules come first.
    if let Some(trouble) = trouble {
        server.rule(trouble);
    }
    server.answer(
        &rpc::DESCRIBE_COLLECTION,
        &DescribeCollectionResponse {
            schema: Some(schema.into()),
            collection_name: "docs".to_owned(),
            ..DescribeCollectionResponse::default()
        },
    );
    server.rule(Rule::new(
        When::rpc("Insert"),
        Then::compute(|call| {
            let request: InsertRequest = call.decode().expect("an insert");
            let answer = MutationResult {
                insert_cnt: i64::from(request.num_rows),
                i_ds: Some(IDs {
                    id_field: Some(IdField::IntId(LongArray {
                        data: (0..i64::from(request.num_rows)).collect(),
                    })),
                }),
                timestamp: 7,
                ..MutationResult::default()
            };
            prost::Message::encode_to_vec(&answer).into()
        }),
    ));
    let uri = format!("http://{}", server.address());
    let config = ConnectionConfig::new(parse_uri(&uri).expect("a URI").target);
    let connection = Connection::connect("writes", config).await;
    (
        server,
        Client::new(connection.expect("a server that is up")),
    )
}

/// Forty rows of about a thousand bytes, four to a request, one request at a time.
async fn insert(client: &Client) -> Result<milvus_client::WriteResult, Error> {
    let rows: Vec<_> = (0..ROWS)
        .map(|id| json!({"id": id, "text": "x".repeat(1_000)}))
        .collect();
    client
        .insert("docs")
        .rows(&rows)
        .request_bytes(4_400)
        .concurrency(1)
        .timeout(Duration::from_secs(60))
        .await
}

fn incomplete(result: Result<milvus_client::WriteResult, Error>) -> IncompleteWrite {
    match result {
        Err(Error::IncompleteWrite(write)) => (*write).clone(),
        other => panic!("{other:?}"),
    }
}

fn covers_all(write: &IncompleteWrite) {
    let mut rows: Vec<u64> = [&write.acknowledged, &write.unknown, &write.not_applied]
        .into_iter()
        .flatten()
        .cloned()
        .flatten()
        .collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        (0..ROWS).collect::<Vec<_>>(),
        "every row exactly once"
    );
}

#[tokio::test]
async fn every_row_arrives_once() {
    let (server, client) = stage(None).await;
    let written = insert(&client).await.expect("no trouble");
    assert_eq!(written.rows, ROWS);
    assert_eq!(written.requests, 10);
    assert_eq!(written.timestamp, 7);
    assert_eq!(server.arrived("Insert"), 10);
    assert_eq!(
        server.arrived("DescribeCollection"),
        1,
        "the schema is remembered"
    );
}

#[tokio::test]
async fn a_refused_request_leaves_its_rows_and_the_rest_not_applied() {
    let refusal = Then::in_band(1100, "no");
    let trouble = Rule::new(When::rpc("Insert"), refusal).skip(3).times(1);
    let (server, client) = stage(Some(trouble)).await;
    let write = incomplete(insert(&client).await);
    assert_eq!(write.acknowledged, vec![0..12; 1]);
    assert!(write.unknown.is_empty());
    assert_eq!(write.not_applied, vec![12..40; 1]);
    covers_all(&write);
    assert_eq!(
        server.arrived("Insert"),
        4,
        "nothing is sent after the failure"
    );
}

#[tokio::test]
async fn a_lost_answer_leaves_its_rows_unknown() {
    let trouble = Rule::new(When::rpc("Insert"), Then::Close).skip(5).times(1);
    let (_server, client) = stage(Some(trouble)).await;
    let write = incomplete(insert(&client).await);
    assert_eq!(write.acknowledged, vec![0..20; 1]);
    assert_eq!(write.unknown, vec![20..24; 1]);
    assert_eq!(write.not_applied, vec![24..40; 1]);
    covers_all(&write);
    let reason = write.reason.connection_error().expect("the connection's");
    assert_eq!(reason.applied(), Applied::Unknown);
    let said = Error::IncompleteWrite(write.into()).to_string();
    let expected = "insert into \"docs\" stopped: 20 rows acknowledged (0..20), 4 may have been applied (20..24), \
                    16 not applied (24..40): Insert failed";
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test]
async fn a_schema_mismatch_makes_the_schema_be_fetched_again() {
    let mismatch = Then::in_band(109, "collection schema mismatch");
    let trouble = Rule::new(When::rpc("Insert"), mismatch).times(1);
    let (server, client) = stage(Some(trouble)).await;
    // The schema that comes is the same: the write is not tried again.
    let error = insert(&client).await.expect_err("the same schema");
    assert!(error.is_schema_mismatch(), "{error}");
    assert_eq!(server.arrived("Insert"), 1);
    assert_eq!(server.arrived("DescribeCollection"), 2);
}

#[tokio::test]
async fn rows_of_a_collection_with_lists_of_structs_are_refused_before_anything_is_sent() {
    let clips = StructArraySchema::new("clips", 8).field(FieldSchema::varchar("title", 100));
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .struct_array_field(clips);
    let (server, client) = stage_of(&schema, None).await;
    let rows = [json!({"id": 1, "clips": [{"title": "one"}]})];
    let columns = client.insert("docs").column("id", vec![1_i64]).await;
    let inserted = client.insert("docs").rows(&rows).await;
    let upserted = client.upsert("docs").rows(&rows).await;
    for refused in [columns, inserted, upserted] {
        let error = refused.expect_err("lists of structs are not written");
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("`clips` is a list of structs"), "{said}");
        assert!(said.contains("connection().call"), "{said}");
    }
    assert_eq!((server.arrived("Insert"), server.arrived("Upsert")), (0, 0));
    // Such a collection is described with the field.
    let described = client.describe_collection("docs").await.expect("described");
    assert_eq!(
        described.schema.struct_array_fields,
        schema.struct_array_fields
    );
}
