//! A real Milvus that is killed, starts again, and is stopped for a while: what `connect` says meanwhile, and that a
//! connection made before goes on by itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use milvus_protocol::milvus::{GetVersionRequest, HasCollectionRequest};
use milvus_protocol::rpc;
use milvus_testkit::real::{Milvus, MilvusOptions};
use milvus_transport::{
    ConnectFailure, Connection, ConnectionConfig, ConnectionOptions, ConnectionState, ErrorKind,
    parse_uri,
};

/// Calls that are made all the time; ends when told to, with the number that succeeded.
fn keep_calling(
    connection: &Connection,
) -> (
    tokio::task::JoinHandle<u32>,
    tokio::sync::watch::Sender<bool>,
) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let connection = connection.clone();
    let calling = tokio::spawn(async move {
        let mut succeeded = 0;
        while !*stopped.borrow() {
            let request = HasCollectionRequest {
                collection_name: "none".into(),
                ..HasCollectionRequest::default()
            };
            connection
                .call(&rpc::HAS_COLLECTION, request)
                .await
                .unwrap();
            succeeded += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        succeeded
    });
    (calling, stop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_outlives_its_server_and_connect_tells_a_proxy_that_is_not_ready() {
    let mut milvus = tokio::task::spawn_blocking(|| Milvus::start(MilvusOptions::default()))
        .await
        .unwrap()
        .unwrap();
    let target = parse_uri(&milvus.server().uri()).unwrap().target;
    let mut options = ConnectionOptions::default();
    // Enough for a restart on a busy machine: reads wait it out.
    options.call_timeout = Duration::from_secs(100);
    options.outage_patience = Duration::from_secs(100);
    let config = ConnectionConfig::new(target).options(options);
    let connection = Connection::connect("survivor", config.clone())
        .await
        .unwrap();
    let (calling, stop) = keep_calling(&connection);

    milvus.kill();
    milvus.begin_restart().unwrap();
    let mut impatient = config;
    impatient.options.dial_timeout = Duration::from_millis(300);
    let mut seen = BTreeSet::new();
    let started = async {
        loop {
            match Connection::connect("newcomer", impatient.clone()).await {
                Ok(connection) => return connection.close().await,
                Err(error) => {
                    let ErrorKind::Connect(failure) = error.kind() else {
                        panic!("{error}")
                    };
                    seen.insert(format!("{failure:?}"));
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(100), started)
        .await
        .unwrap();
    assert!(
        seen.contains(&format!("{:?}", ConnectFailure::ProxyNotReady)),
        "{seen:?}"
    );

    connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();
    assert_eq!(connection.status().state, ConnectionState::Ready);

    // Stopped, not dead: the calls wait, and go on.
    milvus.pause().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    milvus.resume().unwrap();
    connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();

    stop.send(true).unwrap();
    assert!(calling.await.unwrap() > 0, "no read failed");
    connection.close().await;
}
