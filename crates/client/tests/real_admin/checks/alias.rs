//! Aliases.

use crate::Backend;
use crate::backend::{refusal, unique};

pub(crate) async fn moves_between_collections(backend: Backend) {
    let client = &backend.client;
    let (first, second) = (backend.docs("first").await, backend.docs("second").await);
    let alias = unique("current");
    client
        .create_alias(first.as_str(), alias.as_str())
        .await
        .unwrap();
    refusal(client.create_alias(second.as_str(), alias.as_str()).await);
    assert_eq!(
        client
            .describe_collection(alias.as_str())
            .await
            .unwrap()
            .name,
        first
    );

    let described = client.describe_alias(alias.as_str()).await;
    let listed = client.list_aliases().collection(first.as_str()).await;
    let described = described.unwrap();
    assert_eq!(
        (described.alias, described.collection),
        (alias.clone(), first.clone())
    );
    assert_eq!(listed.unwrap(), [alias.as_str()]);
    assert!(client.list_aliases().await.unwrap().contains(&alias));
    // Milvus Lite tells them here only.
    if backend.is_milvus() {
        let of_first = client.describe_collection(first.as_str()).await.unwrap();
        assert_eq!(of_first.aliases, [alias.as_str()]);
    }

    client
        .alter_alias(second.as_str(), alias.as_str())
        .await
        .unwrap();
    assert_eq!(
        client
            .describe_collection(alias.as_str())
            .await
            .unwrap()
            .name,
        second
    );
    client.drop_alias(alias.as_str()).await.unwrap();
    assert!(
        client
            .describe_collection(alias)
            .await
            .unwrap_err()
            .is_collection_not_found()
    );
    backend.drop(&first).await;
    backend.drop(&second).await;
}
