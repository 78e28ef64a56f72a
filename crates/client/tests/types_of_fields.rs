//! Fields of types that a server lacks: a typed error that names the type and the server's version, whatever the server would
//! have said or done.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{Client, Connection, Error, MissingFeature, Result};
use milvus_protocol::common::ServerInfo;
use milvus_protocol::milvus::ConnectResponse;
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{ConnectionConfig, parse_uri};

async fn start(version: &str) -> (FaultServer, Client) {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .expect("a free port");
    let info = ServerInfo {
        build_tags: version.to_owned(),
        ..ServerInfo::default()
    };
    let greeting = ConnectResponse {
        server_info: Some(info),
        ..ConnectResponse::default()
    };
    server.answer(&rpc::CONNECT, &greeting);
    let uri = format!("http://{}", server.address());
    let config = ConnectionConfig::new(parse_uri(&uri).expect("a URI").target);
    let connection = Connection::connect("types_of_fields", config).await;
    let client = Client::new(connection.expect("a server that is up"));
    (server, client)
}

async fn create(client: &Client, field: FieldSchema) -> Result<()> {
    let has_vector = field.data_type.is_vector();
    let mut schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(field);
    if !has_vector {
        schema = schema.field(FieldSchema::float_vector("vector", 8));
    }
    client.create_collection("docs", schema).await
}

fn missing(created: Result<()>) -> Arc<MissingFeature> {
    match created {
        Err(Error::MissingFeature(missing)) => missing,
        other => panic!("not said to be missing: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_is_not_sent_what_it_is_too_old_for() {
    let since_2_4 = [
        (FieldSchema::float16_vector("vector", 8), "float16"),
        (FieldSchema::bfloat16_vector("vector", 8), "bfloat16"),
        (FieldSchema::sparse_float_vector("vector"), "sparse"),
    ];
    let since_2_6 = [
        (FieldSchema::int8_vector("vector", 8), "int8"),
        (FieldSchema::geometry("place"), "geometries"),
        (FieldSchema::timestamptz("time"), "time zone"),
    ];
    let (old, client) = start("v2.3.5").await;
    for (field, name) in since_2_4.iter().chain(&since_2_6) {
        let missing = missing(create(&client, field.clone()).await);
        assert!(missing.feature.contains(name), "{missing}");
        assert_eq!(missing.server_version, "v2.3.5", "{missing}");
    }
    let two = FieldSchema::float_vector("first", 8);
    let two = CollectionSchema::ids_and_vectors(8).field(two);
    let several = missing(client.create_collection("docs", two).await);
    assert!(several.feature.contains("several vector"), "{several}");
    assert_eq!(old.arrived("CreateCollection"), 0);
    create(&client, FieldSchema::float_vector("vector", 8))
        .await
        .expect("every server has these");

    let (newer, client) = start("v2.5.10").await;
    for (field, _) in &since_2_4 {
        create(&client, field.clone()).await.expect("since 2.4");
    }
    for (field, name) in &since_2_6 {
        let missing = missing(create(&client, field.clone()).await);
        assert!(missing.feature.contains(name), "{missing}");
        assert_eq!(missing.since.as_deref(), Some("2.6"), "{missing}");
    }
    assert_eq!(newer.arrived("CreateCollection"), 3);
}

#[tokio::test]
async fn what_milvus_lite_refuses_is_a_missing_feature_with_its_version() {
    let (server, client) = start("milvus_lite").await;
    let refusal = Then::in_band(1, "which MilvusLite does not support");
    server.rule(Rule::new(When::rpc("CreateCollection"), refusal).times(2));
    let missing = missing(create(&client, FieldSchema::float16_vector("vector", 8)).await);
    assert!(missing.feature.contains("float16"), "{missing}");
    assert_eq!(missing.server_version, "v2.6.0-testkit", "it was asked");
    assert!(missing.source.is_some(), "{missing}");
    // Another refusal stays what it is; and what a later one takes is not refused here.
    let refused = create(&client, FieldSchema::float_vector("vector", 8)).await;
    assert!(matches!(refused, Err(Error::Connection(_))), "{refused:?}");
    create(&client, FieldSchema::float16_vector("vector", 8))
        .await
        .expect("taken");
}
