//! Loading and releasing.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use milvus_client::MetricType;
use milvus_client::admin::{Index, LoadPriority, LoadState};
use milvus_transport::ErrorKind;

use crate::Backend;
use crate::backend::{PATIENCE, refusal};

async fn indexed(backend: &Backend) -> String {
    let docs = backend.docs("docs").await;
    let index = Index::flat(MetricType::L2);
    let create = backend.client.create_index(docs.as_str(), "vector", index);
    create.timeout(PATIENCE).await.unwrap();
    docs
}

pub(crate) async fn follows_progress(backend: Backend) {
    let client = &backend.client;
    let docs = indexed(&backend).await;
    let docs = docs.as_str();
    client.release_collection(docs).await.unwrap();
    assert_eq!(client.load_state(docs).await.unwrap(), LoadState::NotLoad);
    let load = client.load_collection(docs).timeout(PATIENCE);
    let steps: Vec<_> = load.progress().try_collect().await.unwrap();
    assert_eq!(steps.last().unwrap().fraction(), 1.0);
    assert_eq!(client.load_state(docs).await.unwrap(), LoadState::Loaded);
    assert_eq!(client.loading_progress(docs).await.unwrap().percent, 100);
    client.load_collection(docs).no_wait().await.unwrap();
    client.release_collection(docs).await.unwrap();
    client.release_collection(docs).await.unwrap();
    assert_eq!(client.load_state(docs).await.unwrap(), LoadState::NotLoad);

    let some = client
        .load_collection(docs)
        .fields(["id", "vector"])
        .timeout(PATIENCE)
        .await;
    let urgent = client
        .load_collection(docs)
        .priority(LoadPriority::High)
        .timeout(PATIENCE)
        .await;
    backend.lacks("some fields only", some);
    backend.lacks("priorities", urgent);
    backend.drop(docs).await;
    refusal(client.load_collection(docs).timeout(PATIENCE).await);
}

pub(crate) async fn of_partitions(backend: Backend) {
    let client = &backend.client;
    let docs = indexed(&backend).await;
    let docs = docs.as_str();
    client.release_collection(docs).await.unwrap();
    client.create_partition(docs, "new").await.unwrap();
    let loaded = client
        .load_partitions(docs, ["new"])
        .timeout(PATIENCE)
        .await;
    let released = client.release_partitions(docs, ["new"]);
    if backend.is_milvus() {
        loaded.unwrap();
        let state = |partition: &str| client.load_state(docs).partitions([partition]);
        assert_eq!(state("new").await.unwrap(), LoadState::Loaded);
        assert_eq!(state("_default").await.unwrap(), LoadState::NotLoad);
        let progress = client
            .loading_progress(docs)
            .partitions(["new"])
            .await
            .unwrap();
        assert_eq!(progress.percent, 100);
        released.await.unwrap();
        assert_eq!(state("new").await.unwrap(), LoadState::NotLoad);
    } else {
        backend.lacks("loading of partitions", loaded);
        backend.lacks("releasing of partitions", released.await);
    }
    backend.drop(docs).await;
}

pub(crate) async fn is_refreshed(backend: Backend) {
    let client = &backend.client;
    let docs = indexed(&backend).await;
    let docs = docs.as_str();
    client
        .load_collection(docs)
        .timeout(PATIENCE)
        .await
        .unwrap();
    backend.insert(docs, 100..200).await;
    client.flush([docs]).await.unwrap();
    client.refresh_load(docs).timeout(PATIENCE).await.unwrap();
    backend.drop(docs).await;
}

pub(crate) async fn has_replicas(backend: Backend) {
    let client = &backend.client;
    let docs = indexed(&backend).await;
    let docs = docs.as_str();
    client
        .load_collection(docs)
        .timeout(PATIENCE)
        .await
        .unwrap();
    let replicas = client.describe_replicas(docs).await;
    if backend.is_milvus() {
        let replicas = replicas.unwrap();
        assert_eq!(replicas.len(), 1);
        assert!(!replicas[0].nodes.is_empty(), "{replicas:?}");
        assert!(!replicas[0].shards.is_empty(), "{replicas:?}");
        let brief = client
            .describe_replicas(docs)
            .without_shard_nodes()
            .await
            .unwrap();
        assert_eq!(brief[0].id, replicas[0].id);
    } else {
        backend.lacks("replicas", replicas);
    }
    backend.drop(docs).await;
}

pub(crate) async fn waits_no_longer_than_told(backend: Backend) {
    let client = &backend.client;
    let docs = indexed(&backend).await;
    let docs = docs.as_str();
    match client.load_collection(docs).timeout(Duration::ZERO).await {
        Err(error) => {
            let cause = error.connection_error().expect("the deadline's error");
            assert_eq!(cause.kind(), ErrorKind::DeadlineExceeded, "{error}");
        }
        // Milvus Lite may have loaded it by the first look; a Milvus needs longer.
        Ok(()) => {
            assert!(backend.is_lite());
            assert_eq!(client.load_state(docs).await.unwrap(), LoadState::Loaded);
        }
    }
    backend.drop(docs).await;
}
