//! The conformance suite against real servers: Milvus 2.3.5 and Milvus Lite 3.2.2.

#![allow(clippy::expect_used, reason = "tests")]

use std::time::Duration;

use milvus_client::{Client, Connection};
use milvus_testkit::conformance::{Backend, BackendKind, admin_checks, data_checks, run};
use milvus_testkit::real::{self, Server};
use milvus_transport::{ConnectionConfig, ConnectionOptions, Credentials, parse_uri};

/// How long a server that shares a busy machine with others may take for one call.
const PATIENCE: Duration = Duration::from_secs(150);

async fn client(server: &Server) -> Client {
    let target = parse_uri(&server.uri()).expect("a URI").target;
    let mut options = ConnectionOptions::default();
    options.connect_timeout = PATIENCE;
    options.call_timeout = PATIENCE;
    let mut config = ConnectionConfig::new(target).options(options);
    if let Some((user, password)) = &server.credentials {
        config = config.credentials(Credentials::password(user.as_str(), password.as_str()));
    }
    let connection = Connection::connect("conformance", config).await;
    Client::new(connection.expect("a server that is up"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn milvus_2_3_5_passes_the_data_checks() {
    let client = client(&real::plain()).await;
    let backend = Backend::new("Milvus 2.3.5", BackendKind::Milvus23, client);
    run(&backend, &data_checks()).await.assert_all_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn milvus_2_3_5_passes_the_admin_checks() {
    let client = client(&real::auth()).await;
    let backend = Backend::new("Milvus 2.3.5", BackendKind::Milvus23, client);
    run(&backend, &admin_checks()).await.assert_all_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn milvus_lite_3_2_2_passes_all_checks() {
    let client = client(&real::lite()).await;
    let backend = Backend::new("Milvus Lite 3.2.2", BackendKind::MilvusLite, client);
    run(&backend, &[data_checks(), admin_checks()].concat())
        .await
        .assert_all_passed();
}
