//! Partitions.

use crate::Backend;
use crate::backend::refusal;

pub(crate) async fn lives_and_dies(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    assert_eq!(client.list_partitions(docs).await.unwrap(), ["_default"]);
    client.create_partition(docs, "old").await.unwrap();
    assert!(client.has_partition(docs, "old").await.unwrap());
    assert!(!client.has_partition(docs, "new").await.unwrap());
    let mut partitions = client.list_partitions(docs).await.unwrap();
    partitions.sort();
    assert_eq!(partitions, ["_default", "old"]);

    client
        .insert(docs)
        .partition("old")
        .column("id", vec![1000_i64, 1001])
        .column("vector", vec![0.5_f32; 8])
        .await
        .unwrap();
    client.flush([docs]).await.unwrap();
    assert_eq!(
        client
            .partition_statistics(docs, "old")
            .await
            .unwrap()
            .row_count,
        2
    );
    assert_eq!(
        client
            .partition_statistics(docs, "_default")
            .await
            .unwrap()
            .row_count,
        100
    );
    refusal(client.partition_statistics(docs, "new").await);

    client.drop_partition(docs, "old").await.unwrap();
    assert!(!client.has_partition(docs, "old").await.unwrap());
    refusal(client.drop_partition(docs, "_default").await);
    refusal(client.list_partitions("no_such_collection").await);
    backend.drop(docs).await;
}
