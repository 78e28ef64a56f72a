//! What is remembered of a collection: it never makes a valid request fail, and nobody waits for it longer than told.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::fmt::Debug;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{AnnSearch, Client, Connection, Error, MetricType, Result};
use milvus_protocol::common::{KeyValuePair, Status};
use milvus_protocol::milvus::{
    DeleteRequest, DescribeCollectionResponse, HybridSearchRequest, MutationResult, QueryRequest,
    QueryResults, SearchRequest, SearchResults,
};
use milvus_protocol::rpc;
use milvus_protocol::schema::{IDs, LongArray, SearchResultData, StringArray, i_ds::IdField};
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{ConnectionConfig, ConnectionOptions, ErrorKind, parse_uri};
use prost::Message;
use serde_json::json;

async fn start(call_timeout: Duration) -> (FaultServer, Client) {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .expect("a free port");
    let uri = format!("http://{}", server.address());
    let mut options = ConnectionOptions::default();
    options.call_timeout = call_timeout;
    let config = ConnectionConfig::new(parse_uri(&uri).expect("a URI").target).options(options);
    let connection = Connection::connect("old_descriptions", config).await;
    let client = Client::new(connection.expect("a server that is up"));
    (server, client)
}

/// The collection as it is remembered, and as somebody else has made it anew.
const OLD: i64 = 1;
const NEW: i64 = 2;

fn description(id: i64) -> DescribeCollectionResponse {
    let schema = CollectionSchema::new();
    let schema = if id == OLD {
        schema
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::float_vector("vector", 2))
    } else {
        schema
            .field(FieldSchema::varchar("key", 32).primary_key())
            .field(FieldSchema::float_vector("embedding", 3))
    };
    DescribeCollectionResponse {
        schema: Some((&schema).into()),
        collection_name: "docs".to_owned(),
        collection_id: id,
        ..DescribeCollectionResponse::default()
    }
}

/// What a server says to a request that was made for the old collection.
fn refusal() -> Option<Status> {
    Some(Status {
        error_code: 1,
        code: 1100,
        reason: "there is no such field".to_owned(),
        ..Status::default()
    })
}

fn is_old(parameters: &[KeyValuePair]) -> bool {
    let is_old = |pair: &KeyValuePair| match pair.key.as_str() {
        "collection_id" => pair.value != NEW.to_string(),
        "anns_field" => pair.value == "vector",
        _ => false,
    };
    parameters.iter().any(is_old)
}

fn answers<Request: Message + Default + 'static, Answer: Message + 'static>(
    server: &FaultServer,
    rpc: &str,
    answer: fn(Request) -> Answer,
) {
    let compute = Then::compute(move |call| {
        let request = call.decode().expect("the request of this call");
        answer(request).encode_to_vec().into()
    });
    server.rule(Rule::new(When::rpc(rpc), compute));
}

/// A client that remembers the old collection, and a server that has the new one.
async fn remade() -> (FaultServer, Client) {
    let (server, client) = start(Duration::from_secs(60)).await;
    let old = Then::message(&description(OLD));
    server.rule(Rule::new(When::rpc("DescribeCollection"), old).times(1));
    server.answer(&rpc::DESCRIBE_COLLECTION, &description(NEW));
    answers(&server, "Query", |request: QueryRequest| {
        let is_old = request.expr.contains("id ") || is_old(&request.query_params);
        QueryResults {
            status: is_old.then(refusal).flatten(),
            ..QueryResults::default()
        }
    });
    answers(&server, "Search", |request: SearchRequest| {
        let is_old = request.dsl.contains("id ") || is_old(&request.search_params);
        SearchResults {
            status: is_old.then(refusal).flatten(),
            results: Some(nothing()),
            ..SearchResults::default()
        }
    });
    answers(&server, "HybridSearch", |_: HybridSearchRequest| {
        SearchResults {
            results: Some(nothing()),
            ..SearchResults::default()
        }
    });
    answers(&server, "Delete", |request: DeleteRequest| MutationResult {
        status: request.expr.contains("id ").then(refusal).flatten(),
        ..MutationResult::default()
    });
    answers(
        &server,
        "Upsert",
        |_: milvus_protocol::milvus::UpsertRequest| MutationResult {
            upsert_cnt: 1,
            i_ds: Some(IDs {
                id_field: Some(IdField::StrId(StringArray {
                    data: vec!["a".to_owned().into()],
                })),
            }),
            ..MutationResult::default()
        },
    );
    client
        .remembered_collection("docs")
        .await
        .expect("described");
    (server, client)
}

fn nothing() -> SearchResultData {
    SearchResultData {
        num_queries: 1,
        topks: vec![0],
        ids: Some(IDs {
            id_field: Some(IdField::IntId(LongArray::default())),
        }),
        ..SearchResultData::default()
    }
}

/// Fails unless the verb succeeded, and the collection was described once more for it.
fn assert_noticed<T: Debug>(verb: &str, server: &FaultServer, answer: Result<T>) {
    if let Err(error) = answer {
        panic!("{verb}: {error}");
    }
    assert_eq!(server.arrived("DescribeCollection"), 2, "{verb}");
}

#[tokio::test]
async fn a_search_is_made_again_for_the_new_collection() {
    let (server, client) = remade().await;
    let found = client.search("docs").vector([0.0; 3]).await;
    assert_noticed("by its dimension", &server, found);
    // A query fits that is no vector; that the field has another name is what the server says.
    let (server, client) = remade().await;
    let found = client.search("docs").near_ids(["a"]).await;
    assert_noticed("by what the server says", &server, found);
}

#[tokio::test]
async fn a_hybrid_search_is_made_again_for_the_new_collection() {
    let (server, client) = remade().await;
    let part = AnnSearch::new("vector").vector([0.0; 3]);
    let found = client
        .hybrid_search("docs")
        .search(part)
        .search(AnnSearch::new("embedding").vector([0.0; 3]))
        .await;
    assert_noticed("hybrid search", &server, found);
}

#[tokio::test]
async fn a_get_is_made_again_for_the_new_collection() {
    let (server, client) = remade().await;
    let got = client.get("docs").ids(["a", "b"]).await;
    assert_noticed("get", &server, got);
    let (server, client) = remade().await;
    let got: Result<Vec<_>> = client.get("docs").ids(["a"]).pages().try_collect().await;
    assert_noticed("get in parts", &server, got);
}

#[tokio::test]
async fn a_delete_is_made_again_for_the_new_collection() {
    let (server, client) = remade().await;
    let deleted = client.delete("docs").ids(["a", "b"]).await;
    assert_noticed("delete", &server, deleted);
}

#[tokio::test]
async fn an_upsert_is_made_again_for_the_new_collection() {
    let (server, client) = remade().await;
    let rows = [json!({"key": "a", "embedding": [0.0, 0.0, 0.0]})];
    let written = client.upsert("docs").rows(&rows).await;
    assert_noticed("upsert", &server, written);
}

#[tokio::test]
async fn pages_are_begun_again_for_the_new_collection() {
    let (server, client) = remade().await;
    let pages: Result<Vec<_>> = client.query("docs").pages().try_collect().await;
    assert_noticed("pages of a query", &server, pages);
    let (_server, client) = remade().await;
    let search = client.search("docs").vector([0.0; 3]);
    let search = search.metric_type(MetricType::L2);
    let pages: Result<Vec<_>> = search.pages().try_collect().await;
    assert!(pages.expect("pages of a search").is_empty());
}

#[tokio::test]
async fn what_is_wrong_for_the_new_collection_too_is_an_error() {
    let (server, client) = remade().await;
    let got = client.get("docs").ids([1, 2]).await;
    assert!(matches!(got, Err(Error::InvalidRequest(_))), "{got:?}");
    let deleted = client.delete("docs").ids([1, 2]).await;
    assert!(
        matches!(deleted, Err(Error::InvalidRequest(_))),
        "{deleted:?}"
    );
    assert_eq!((server.arrived("Query"), server.arrived("Delete")), (1, 0));
}

/// The error of a caller who has waited long enough for a description that does not come.
fn assert_deadline<T: Debug>(verb: &str, answer: Result<T>) {
    let Err(Error::Connection(error)) = &answer else {
        panic!("{verb}: {answer:?}");
    };
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{verb}: {error}");
    assert_eq!(error.rpc(), Some("DescribeCollection"), "{verb}: {error}");
}

#[tokio::test]
async fn nobody_waits_for_a_description_longer_than_told() {
    // A call may take so long that only the caller's own limit can end the test.
    let (server, client) = start(Duration::from_secs(3600)).await;
    server.rule(Rule::new(When::rpc("DescribeCollection"), Then::Hang));
    let limit = Duration::from_millis(50);
    let rows = [json!({"id": 1, "vector": [0.0, 0.0]})];
    let part = || AnnSearch::new("vector").vector([0.0; 2]);
    let hybrid = client.hybrid_search("docs").search(part()).search(part());
    let (searched, merged, got, deleted, inserted) = tokio::join!(
        client
            .search("docs")
            .vector([0.0; 2])
            .timeout(limit)
            .into_future(),
        hybrid.timeout(limit).into_future(),
        client.get("docs").ids([1]).timeout(limit).into_future(),
        client.delete("docs").ids([1]).timeout(limit).into_future(),
        client
            .insert("docs")
            .rows(&rows)
            .timeout(limit)
            .into_future(),
    );
    assert_deadline("search", searched);
    assert_deadline("hybrid search", merged);
    assert_deadline("get", got);
    assert_deadline("delete", deleted);
    assert_deadline("insert", inserted);
    assert_eq!(
        server.arrived("DescribeCollection"),
        1,
        "one fetch for all who wait"
    );
    let queried = client.query("docs").timeout(limit).pages();
    assert_deadline("pages", queried.try_collect::<Vec<_>>().await);
    let searched = client
        .search("docs")
        .vector([0.0; 2])
        .timeout(limit)
        .pages();
    assert_deadline("pages", searched.try_collect::<Vec<_>>().await);
}
