//! What is said of each row when a write of many requests meets trouble, against a scripted server.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use milvus_client::schema::{CollectionSchema, FieldSchema, StructArraySchema};
use milvus_client::{Client, Connection, Error, IncompleteWrite};
use milvus_protocol::milvus::{
    DeleteRequest, DescribeCollectionResponse, InsertRequest, MutationResult, UpsertRequest,
};
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
    server.rule(Rule::new(
        When::rpc("Upsert"),
        Then::compute(|call| {
            let request: UpsertRequest = call.decode().expect("an upsert");
            let answer = MutationResult {
                upsert_cnt: i64::from(request.num_rows),
                ..MutationResult::default()
            };
            prost::Message::encode_to_vec(&answer).into()
        }),
    ));
    server.rule(Rule::new(
        When::rpc("Delete"),
        Then::compute(|call| {
            let request: DeleteRequest = call.decode().expect("a delete");
            let answer = MutationResult {
                delete_cnt: request.expr.matches(',').count() as i64 + 1,
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

/// Forty rows of about a thousand bytes.
fn forty() -> Vec<serde_json::Value> {
    (0..ROWS)
        .map(|id| json!({"id": id, "text": "x".repeat(1_000)}))
        .collect()
}

/// Four rows to a request, one request at a time.
async fn insert(client: &Client) -> Result<milvus_client::WriteResult, Error> {
    client
        .insert("docs")
        .rows(&forty())
        .request_bytes(4_400)
        .concurrency(1)
        .timeout(Duration::from_secs(60))
        .await
}

fn incomplete<T: std::fmt::Debug>(result: Result<T, Error>) -> IncompleteWrite {
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
async fn the_last_row_is_checked_before_the_first_is_sent() {
    let (server, client) = stage(None).await;
    // Of ten requests: all but the first are only checked at first.
    let send = |rows: Vec<serde_json::Value>| {
        let client = client.clone();
        async move {
            let insert = client.insert("docs").rows(&rows).concurrency(1);
            insert.request_bytes(4_400).await.expect_err("one row")
        }
    };
    let mut rows = forty();
    rows[39] = json!({"id": 39, "text": "x".repeat(2_001)});
    let error = send(rows).await;
    let invalid = error.invalid_value().expect("a value");
    assert_eq!((invalid.row, invalid.field.as_str()), (Some(39), "text"));
    let mut config = client.connection().config().clone();
    config.options.max_request_bytes = 1_900;
    let other = Connection::connect("small", config)
        .await
        .expect("a server");
    let other = Client::new(other);
    let mut rows = forty();
    rows[38] = json!({"id": 38, "text": "x".repeat(1_500)});
    let error = other.insert("docs").rows(&rows).await.expect_err("a row");
    assert!(error.to_string().contains("row 38"), "{error}");
    // A field that some rows of a partial upsert give, and those of a later request do not.
    let mut rows = forty();
    rows.truncate(36);
    rows.extend((36..40).map(|id| json!({"id": id})));
    let upsert = client.upsert("docs").rows(&rows).partial();
    let error = upsert.request_bytes(4_400).await.expect_err("uneven");
    let said = error.to_string();
    assert!(
        said.contains("field `text`: the row cannot be read: some rows"),
        "{said}"
    );
    assert_eq!((server.arrived("Insert"), server.arrived("Upsert")), (0, 0));
}

#[tokio::test]
async fn rows_of_one_size_are_requests_of_one_size_from_a_slice_and_from_an_iterator() {
    let (server, client) = stage(None).await;
    let rows = forty();
    let slice = client.insert("docs").rows(&rows).request_bytes(4_400).await;
    let iterated = client.insert("docs").rows_from(&rows).request_bytes(4_400);
    let iterated = iterated.await.expect("no trouble");
    assert_eq!(slice.expect("no trouble").requests, 10);
    assert_eq!((iterated.requests, iterated.rows), (10, ROWS));
    assert_eq!(server.arrived("Insert"), 20);
}

#[tokio::test]
async fn rows_with_structs_are_checked_and_cut_as_others_are() {
    let clips = StructArraySchema::new("clips", 8)
        .field(FieldSchema::varchar("title", 100))
        .field(FieldSchema::float_vector("emb", 64));
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .struct_array_field(clips);
    let (server, client) = stage_of(&schema, None).await;
    // Each row has a little over a thousand bytes.
    let clip = json!({"title": "one", "emb": vec![0.5; 64]});
    let row = |id: i64| json!({"id": id, "clips": vec![clip.clone(); 4]});
    let rows: Vec<_> = (0..40).map(row).collect();
    let insert = || client.insert("docs").request_bytes(6_000).concurrency(1);
    let slice = insert().rows(&rows).await.expect("no trouble");
    let iterated = insert().rows_from(&rows).await.expect("no trouble");
    assert_eq!((slice.requests, iterated.requests), (10, 10));
    let lists: Vec<_> = rows.iter().map(|row| row["clips"].clone()).collect();
    let ids: Vec<i64> = (0..40).collect();
    let columns = insert().column("id", ids).column("clips", lists).await;
    assert!((8..=10).contains(&columns.expect("no trouble").requests));
    // The last row is checked before the first is sent, and a column of structs must be there.
    let arrived = server.arrived("Insert");
    let mut wrong = rows.clone();
    wrong[39]["clips"][3]["emb"] = json!([1.0]);
    let error = insert().rows(&wrong).await.expect_err("a short vector");
    let invalid = error.invalid_value().expect("a value");
    assert_eq!((invalid.row, invalid.field.as_str()), (Some(39), "clips"));
    let error = insert().column("id", vec![1_i64]).await.expect_err("none");
    let invalid = error.invalid_value().expect("a value");
    assert_eq!(invalid.field, "clips");
    assert_eq!(server.arrived("Insert"), arrived);
}

#[tokio::test]
async fn what_could_be_one_request_is_cut_for_a_few_under_way_if_it_is_large() {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("vector", 256));
    let (_server, client) = stage_of(&schema, None).await;
    let ids = |rows: i64| (0..rows).collect::<Vec<_>>();
    let vectors = |rows: usize| vec![0.5_f32; rows * 256];
    let insert = |rows: u16| {
        let ids = ids(i64::from(rows));
        let insert = client.insert("docs").column("id", ids);
        insert.column("vector", vectors(usize::from(rows)))
    };
    // 10 MB.
    let written = insert(10_000).await.expect("accepted");
    assert_eq!((written.rows, written.requests), (10_000, 4));
    let written = insert(10_000).concurrency(1).await.expect("accepted");
    assert_eq!(written.requests, 1);
    // 3 and 1 MB.
    assert_eq!(insert(3_000).await.expect("accepted").requests, 2);
    assert_eq!(insert(1_000).await.expect("accepted").requests, 1);
    // Of rows with one key, the last one stays: one request after the other, none smaller than it has to be.
    let upsert = |ids: Vec<i64>| {
        let upsert = client.upsert("docs").column("vector", vectors(ids.len()));
        upsert.column("id", ids)
    };
    let written = upsert(ids(10_000)).await.expect("accepted");
    assert_eq!(written.requests, 4);
    let mut repeated = ids(10_000);
    repeated[9_999] = 0;
    assert_eq!(upsert(repeated).await.expect("accepted").requests, 1);
}

#[tokio::test]
async fn an_upsert_that_stops_says_what_became_of_each_row() {
    let trouble = Rule::new(When::rpc("Upsert"), Then::in_band(1100, "no"))
        .skip(3)
        .times(1);
    let (server, client) = stage(Some(trouble)).await;
    let rows = forty();
    let upsert = client.upsert("docs").rows(&rows).request_bytes(4_400);
    let write = incomplete(upsert.concurrency(1).await);
    assert_eq!(write.operation, "upsert into \"docs\"");
    assert_eq!(write.acknowledged, vec![0..12; 1]);
    assert!(write.unknown.is_empty());
    assert_eq!(write.not_applied, vec![12..40; 1]);
    assert_eq!(server.arrived("Upsert"), 4);
}

#[tokio::test]
async fn a_delete_of_ids_keeps_to_the_size_of_a_request_and_says_what_became_of_each() {
    let (server, client) = stage(None).await;
    let ids: Vec<i64> = (0..ROWS as i64).collect();
    // An id counts as many bytes as it may have.
    let delete = || client.delete("docs").ids(ids.clone()).request_bytes(4 * 21);
    let deleted = delete().await.expect("no trouble");
    assert_eq!((deleted.requests, server.arrived("Delete")), (10, 10));

    let trouble = Rule::new(When::rpc("Delete"), Then::in_band(1100, "no"))
        .skip(5)
        .times(1);
    let (server, client) = stage(Some(trouble)).await;
    let delete = client.delete("docs").ids(ids).request_bytes(4 * 21);
    let write = incomplete(delete.concurrency(1).await);
    assert_eq!(write.acknowledged, vec![0..20; 1]);
    assert!(write.unknown.is_empty());
    assert_eq!(write.not_applied, vec![20..40; 1]);
    covers_all(&write);
    assert_eq!(server.arrived("Delete"), 6);
}
