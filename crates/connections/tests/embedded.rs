//! Databases in this process, by name: the same verbs, the same calls, no server.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use milvus_connections::{ConnectionParams, Connections};
use milvus_protocol::milvus::{CreateDatabaseRequest, ListDatabasesRequest};
use milvus_protocol::rpc;

async fn databases(connections: &Connections, alias: &str) -> Vec<String> {
    let client = connections.get(alias).unwrap();
    let answer = client
        .connection()
        .call(&rpc::LIST_DATABASES, ListDatabasesRequest::default())
        .await
        .unwrap();
    answer.db_names
}

async fn create_database(connections: &Connections, alias: &str, name: &str) {
    let client = connections.get(alias).unwrap();
    let request = CreateDatabaseRequest {
        db_name: name.into(),
        ..CreateDatabaseRequest::default()
    };
    client
        .connection()
        .call(&rpc::CREATE_DATABASE, request)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_keeps_what_was_written_and_is_let_go_at_disconnect() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("demo.db").display().to_string();
    let connections = Connections::isolated();
    connections
        .add_connection([("laptop", ConnectionParams::uri(uri.as_str()))])
        .unwrap();
    connections.connect("laptop").await.unwrap();
    assert!(connections.has_connection("laptop"));
    create_database(&connections, "laptop", "books").await;
    connections.disconnect("laptop").await;
    assert!(!connections.has_connection("laptop"));

    let reader = Connections::isolated();
    reader
        .connect_with(
            "again",
            ConnectionParams::uri(uri.as_str()).db_name("books"),
        )
        .await
        .unwrap();
    assert!(
        databases(&reader, "again")
            .await
            .contains(&"books".to_owned())
    );
    assert_eq!(
        reader
            .get("again")
            .unwrap()
            .connection()
            .status()
            .server
            .deploy_mode,
        "EMBEDDED"
    );
}

#[tokio::test]
async fn an_unknown_database_is_told_at_connect() {
    let connections = Connections::isolated();
    let error = connections
        .connect_with(
            "m",
            ConnectionParams::uri("memory:unknown-database").db_name("nope"),
        )
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the database does not exist")
            && error.to_string().contains("nope"),
        "{error}"
    );
}

#[tokio::test]
async fn handles_of_one_memory_share_it_and_others_do_not() {
    let connections = Connections::isolated();
    for (alias, uri) in [
        ("one", "memory:shared"),
        ("two", "memory:shared"),
        ("three", "memory:other"),
    ] {
        connections
            .connect_with(alias, ConnectionParams::uri(uri))
            .await
            .unwrap();
    }
    create_database(&connections, "one", "books").await;
    assert!(
        databases(&connections, "two")
            .await
            .contains(&"books".to_owned())
    );
    assert!(
        !databases(&connections, "three")
            .await
            .contains(&"books".to_owned())
    );
}
