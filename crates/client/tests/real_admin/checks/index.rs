//! Indexes.

use futures_util::TryStreamExt as _;
use milvus_client::admin::{Index, IndexState, IndexType};
use milvus_client::{Error, MetricType};

use crate::Backend;
use crate::backend::{PATIENCE, refusal};

pub(crate) async fn is_built_and_described(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    assert!(client.list_indexes(docs).await.unwrap().is_empty());
    client.flush([docs]).await.unwrap();
    let index = Index::hnsw(MetricType::L2, 8, 64);
    let create = client
        .create_index(docs, "vector", index.clone())
        .name("by_meaning")
        .timeout(PATIENCE);
    let steps: Vec<_> = create.progress().try_collect().await.unwrap();
    let last = steps.last().unwrap();
    assert_eq!(last.done, last.total, "{steps:?}");

    // Milvus Lite names indexes after their fields, whatever they were called.
    let name = if backend.is_lite() {
        "vector"
    } else {
        "by_meaning"
    };
    client
        .wait_for_index(docs, name)
        .timeout(PATIENCE)
        .await
        .unwrap();
    let described = client.describe_index(docs, name).await.unwrap();
    assert_eq!(
        (described.name.as_str(), described.field.as_str()),
        (name, "vector")
    );
    assert_eq!(described.index.index_type, IndexType::Hnsw);
    assert_eq!(described.index.metric_type, Some(MetricType::L2));
    assert_eq!(
        described.index.parameters["M"]
            .to_string()
            .trim_matches('"'),
        "8"
    );
    assert_eq!(described.state, IndexState::Finished);
    assert_eq!(described.progress().fraction(), 1.0);
    assert_eq!(
        client
            .list_indexes(docs)
            .field("vector")
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        client
            .list_indexes(docs)
            .field("id")
            .await
            .unwrap()
            .is_empty()
    );

    client.release_collection(docs).await.unwrap();
    client
        .drop_index(
            docs,
            if backend.is_lite() {
                "vector_idx"
            } else {
                name
            },
        )
        .await
        .unwrap();
    assert!(client.list_indexes(docs).await.unwrap().is_empty());
    let gone = client.wait_for_index(docs, name).timeout(PATIENCE).await;
    assert!(matches!(gone, Err(Error::TaskFailed(_))), "{gone:?}");
    backend.drop(docs).await;
}

pub(crate) async fn failures_are_errors(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    let unsuitable =
        Index::new(IndexType::Other("NO_SUCH_INDEX".into())).metric_type(MetricType::L2);
    if backend.is_milvus() {
        refusal(client.create_index(docs, "vector", unsuitable).await);
    }
    let nowhere = Index::flat(MetricType::L2);
    refusal(client.create_index(docs, "nowhere", nowhere.clone()).await);
    refusal(
        client
            .create_index("no_such_collection", "vector", nowhere.clone())
            .await,
    );
    refusal(client.list_indexes("no_such_collection").await);
    refusal(client.describe_index(docs, "no_such_index").await);
    let unnamed = client.describe_index(docs, "").await;
    assert!(matches!(unnamed, Err(Error::InvalidRequest(_))));
    client
        .create_index(docs, "vector", nowhere)
        .no_wait()
        .await
        .unwrap();
    backend.drop(docs).await;
}

pub(crate) async fn has_properties(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    let index = Index::ivf_flat(MetricType::L2, 4);
    client
        .create_index(docs, "vector", index)
        .timeout(PATIENCE)
        .await
        .unwrap();
    let name = client.list_indexes(docs).await.unwrap().remove(0).name;
    let altered = client
        .alter_index_properties(docs, name.as_str())
        .property("mmap.enabled", true)
        .await;
    backend.lacks("index's properties", altered);
    let dropped = client
        .drop_index_properties(docs, name, ["mmap.enabled"])
        .await;
    backend.lacks("index's properties", dropped);
    backend.drop(docs).await;
}
