//! Resource groups.

use milvus_client::admin::ResourceGroupConfig;

use crate::Backend;
use crate::backend::{eventually, refusal, unique};

const DEFAULT: &str = "__default_resource_group";

pub(crate) async fn lives_and_dies(backend: Backend) {
    const FEATURE: &str = "resource groups";
    let client = &backend.client;
    let name = unique("interactive");
    let name = name.as_str();
    let created = client.create_resource_group(name).await;
    if backend.is_lite() {
        backend.lacks(FEATURE, created);
        backend.lacks(FEATURE, client.list_resource_groups().await);
        backend.lacks(FEATURE, client.describe_resource_group(DEFAULT).await);
        backend.lacks(FEATURE, client.transfer_node(DEFAULT, name, 1).await);
        backend.lacks(
            FEATURE,
            client.transfer_replica(DEFAULT, name, "docs", 1).await,
        );
        backend.lacks(FEATURE, client.drop_resource_group(name).await);
        let config = [(name, ResourceGroupConfig::new(1, 1))];
        backend.lacks(
            "declared resource groups",
            client.update_resource_groups(config).await,
        );
        return;
    }
    created.unwrap();
    let groups = client.list_resource_groups().await.unwrap();
    assert!(groups.contains(&name.to_owned()) && groups.contains(&DEFAULT.to_owned()));
    let described = client.describe_resource_group(name).await.unwrap();
    assert_eq!((described.name.as_str(), described.capacity), (name, 0));
    // A node that is late with its sign of life is not available for a while.
    eventually(|| async {
        let default = client.describe_resource_group(DEFAULT).await.unwrap();
        (default.available_nodes == 1).then_some(()).ok_or(default)
    })
    .await;

    // The only node stays where the other checks need it; what can't be moved is refused.
    refusal(client.transfer_node(name, DEFAULT, 1).await);
    refusal(
        client
            .transfer_replica(name, DEFAULT, "no_such_collection", 1)
            .await,
    );
    let config = ResourceGroupConfig::new(1, 1);
    let declared = client
        .create_resource_group("x")
        .config(config.clone())
        .await;
    backend.lacks("declared resource groups", declared);
    let updated = client.update_resource_groups([(name, config)]).await;
    backend.lacks("declared resource groups", updated);
    client.drop_resource_group(name).await.unwrap();
    assert!(
        !client
            .list_resource_groups()
            .await
            .unwrap()
            .contains(&name.to_owned())
    );
    refusal(client.describe_resource_group(name).await);
}
