//! The server itself.

use milvus_client::Error;
use serde_json::json;

use crate::Backend;

pub(crate) async fn says_what_it_is(backend: Backend) {
    let client = &backend.client;
    let version = client.version().await.unwrap();
    let expected = if backend.is_milvus() {
        "2.3.5"
    } else {
        "3.2.2"
    };
    assert!(version.contains(expected), "{version}");
    let told = client.server_info().version;
    // Milvus Lite tells its name in the handshake, not its version.
    assert!(told.contains(expected) || backend.is_lite(), "{told}");
    let health = client.check_health().await.unwrap();
    // A Milvus that runs beside three others may be slow to hear of its own parts.
    assert!(
        health.is_healthy || !health.reasons.is_empty(),
        "{health:?}"
    );
}

pub(crate) async fn measures_itself(backend: Backend) {
    let client = &backend.client;
    let metrics = client.metrics(json!({"metric_type": "system_info"})).await;
    let components = client.component_states().await;
    if backend.is_milvus() {
        let metrics = metrics.unwrap();
        assert!(metrics["nodes_info"].is_array(), "{metrics}");
        assert!(!components.unwrap().is_empty());
    } else {
        backend.lacks("metrics", metrics);
        backend.lacks("components", components);
    }
    let refused = client.metrics(json!("system_info")).await;
    assert!(matches!(refused, Err(Error::InvalidRequest(_))));
}
