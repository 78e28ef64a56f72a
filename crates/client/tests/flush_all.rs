//! A flush of everything while collections come and go, against a scripted server.

#![allow(clippy::expect_used, reason = "tests")]

use milvus_client::{Client, Connection};
use milvus_protocol::milvus::FlushAllResponse;
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{ConnectionConfig, parse_uri};

const COLLECTION_NOT_FOUND: i32 = 100;
const DATABASE_NOT_FOUND: i32 = 800;

async fn stage(refusal: Then, times: u64) -> (FaultServer, Client) {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .expect("a free port");
    server.rule(Rule::new(When::rpc("FlushAll"), refusal).times(times));
    let answer = FlushAllResponse {
        flush_all_ts: 7,
        ..FlushAllResponse::default()
    };
    server.answer(&rpc::FLUSH_ALL, &answer);
    let uri = format!("http://{}", server.address());
    let config = ConnectionConfig::new(parse_uri(&uri).expect("a URI").target);
    let connection = Connection::connect("flush_all", config).await;
    let client = Client::new(connection.expect("a server that is up"));
    (server, client)
}

#[tokio::test]
async fn what_was_dropped_meanwhile_does_not_fail_the_flush_of_the_rest() {
    for code in [COLLECTION_NOT_FOUND, DATABASE_NOT_FOUND] {
        let (server, client) = stage(Then::in_band(code, "not found"), 3).await;
        client.flush_all().no_wait().await.expect("the fourth try");
        assert_eq!(server.arrived("FlushAll"), 4);
    }
}

#[tokio::test]
async fn a_database_that_was_asked_for_and_is_not_there_is_told() {
    let refusal = Then::in_band(DATABASE_NOT_FOUND, "database not found");
    let (server, client) = stage(refusal, 1).await;
    let flushed = client.flush_all().database("novels").no_wait().await;
    assert!(flushed.is_err(), "there is none");
    assert_eq!(server.arrived("FlushAll"), 1);
}

#[tokio::test]
async fn a_server_that_never_finds_what_it_looks_for_is_not_asked_for_ever() {
    let refusal = Then::in_band(COLLECTION_NOT_FOUND, "collection not found");
    let (server, client) = stage(refusal, u64::MAX).await;
    let error = client.flush_all().no_wait().await.expect_err("refused");
    assert!(error.is_collection_not_found(), "{error}");
    assert!(server.arrived("FlushAll") < 100);
}
