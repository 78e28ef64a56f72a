//! The conformance suite over the databases in this process: what holds for a server holds for a file and for memory.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "tests")]

use milvus_connections::{Client, ConnectionParams, Connections};
use milvus_testkit::conformance::{Backend, BackendKind, admin_checks, data_checks, run};

async fn client(connections: &Connections, uri: &str) -> Client {
    let params = ConnectionParams::uri(uri);
    connections.connect_with("engine", params).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_passes_all_checks() {
    let connections = Connections::isolated();
    let client = client(&connections, "memory:conformance").await;
    let backend = Backend::new("memory", BackendKind::Embedded, client);
    run(&backend, &[data_checks(), admin_checks()].concat())
        .await
        .assert_all_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_passes_all_checks() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("conformance.db").display().to_string();
    let connections = Connections::isolated();
    let client = client(&connections, &uri).await;
    let backend = Backend::new("a file", BackendKind::Embedded, client);
    run(&backend, &[data_checks(), admin_checks()].concat())
        .await
        .assert_all_passed();
}
