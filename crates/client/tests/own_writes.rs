//! Reads see this process's own writes, also while the memory of collections is being emptied by others.

#![allow(clippy::expect_used, reason = "tests")]

use std::sync::{Arc, Mutex, OnceLock};

use futures_util::FutureExt as _;
use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{Client, Connection, ConsistencyLevel};
use milvus_protocol::milvus::{
    DescribeCollectionResponse, MutationResult, QueryRequest, QueryResults, SearchRequest,
    SearchResults,
};
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{ConnectionConfig, parse_uri};
use prost::Message as _;

const WRITTEN_AT: u64 = 7;

/// Level, timestamp, and whether the collection's level was left to the server.
type Asked = Arc<Mutex<Vec<(i32, u64, bool)>>>;

/// A server whose collections have the level Bounded. While it describes one, the client forgets another, as it does when
/// that is dropped: the description that is on its way is then not remembered.
async fn stage(asked: &Asked) -> (FaultServer, Client) {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .expect("a free port");
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("vector", 2));
    let description = DescribeCollectionResponse {
        schema: Some((&schema).into()),
        collection_name: "docs".to_owned(),
        consistency_level: ConsistencyLevel::Bounded.number(),
        ..DescribeCollectionResponse::default()
    };
    let client: Arc<OnceLock<Client>> = Arc::default();
    let forgetful = Arc::clone(&client);
    server.rule(Rule::new(
        When::rpc("DescribeCollection"),
        Then::compute(move |_| {
            if let Some(client) = forgetful.get() {
                // Forgets before it calls; the call itself is of no interest.
                let _ = client
                    .drop_collection("another")
                    .into_future()
                    .now_or_never();
            }
            description.encode_to_vec().into()
        }),
    ));
    server.answer(
        &rpc::INSERT,
        &MutationResult {
            insert_cnt: 1,
            timestamp: WRITTEN_AT,
            ..MutationResult::default()
        },
    );
    let queries = Arc::clone(asked);
    server.rule(Rule::new(
        When::rpc("Query"),
        Then::compute(move |call| {
            let request: QueryRequest = call.decode().expect("a query");
            queries.lock().expect("no panic").push((
                request.consistency_level,
                request.guarantee_timestamp,
                request.use_default_consistency,
            ));
            QueryResults::default().encode_to_vec().into()
        }),
    ));
    let searches = Arc::clone(asked);
    server.rule(Rule::new(
        When::rpc("Search"),
        Then::compute(move |call| {
            let request: SearchRequest = call.decode().expect("a search");
            searches.lock().expect("no panic").push((
                request.consistency_level,
                request.guarantee_timestamp,
                request.use_default_consistency,
            ));
            SearchResults::default().encode_to_vec().into()
        }),
    ));
    let uri = format!("http://{}", server.address());
    let config = ConnectionConfig::new(parse_uri(&uri).expect("a URI").target);
    let connection = Connection::connect("own_writes", config).await;
    let connected = Client::new(connection.expect("a server that is up"));
    let _ = client.set(connected.clone());
    (server, connected)
}

#[tokio::test]
async fn a_description_that_is_not_remembered_still_tells_the_level() {
    let asked = Asked::default();
    let (_server, client) = stage(&asked).await;
    let insert = client
        .insert("docs")
        .column("id", vec![1_i64])
        .column("vector", vec![0.5_f32, 1.5]);
    insert.await.expect("accepted");
    client
        .query("docs")
        .filter("id >= 0")
        .await
        .expect("answered");
    let get = client.get("docs").ids([1]);
    get.await.expect("answered");
    let search = client.search("docs").vector([0.5, 1.5]).limit(1);
    // The answer is empty, which is of no interest here.
    let _ = search.await;
    let asked = asked.lock().expect("no panic").clone();
    let session = ConsistencyLevel::Session.number();
    assert_eq!(asked.len(), 3);
    for (level, timestamp, is_default) in asked {
        // A read of level Bounded would leave the row out; the server ignores a timestamp where the level is its own.
        assert_eq!((level, is_default), (session, false));
        assert!(timestamp >= WRITTEN_AT);
    }
}
