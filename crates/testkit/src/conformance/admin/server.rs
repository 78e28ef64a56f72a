//! The server itself: version, health, metrics, components.
//!
//! Invariant: what a server says of itself is not empty.

use serde_json::json;

use crate::conformance::{Check, Lack, Stage, Verdict, check, expect};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(it_says_its_version_and_health),
        check!(
            it_measures_itself,
            MilvusLite => Lack::MissingFeature,
            Embedded => Lack::MissingFeature,
        ),
        check!(
            it_lists_its_components,
            MilvusLite => Lack::MissingFeature,
            Embedded => Lack::MissingFeature,
        ),
    ]
}

async fn it_says_its_version_and_health(stage: &mut Stage) -> Verdict {
    let version = stage.client.version().await?;
    expect("a version", version.contains('.'))?;
    let told = stage.client.server_info().version;
    expect("the handshake tells something too", !told.is_empty())?;
    let health = stage.client.check_health().await?;
    // A server among others on a slow machine may be slow to hear of its own parts.
    expect(
        "healthy, or with a reason",
        health.is_healthy || !health.reasons.is_empty(),
    )
}

async fn it_measures_itself(stage: &mut Stage) -> Verdict {
    let request = json!({"metric_type": "system_info"});
    let metrics = stage.client.metrics(request).await?;
    expect("the nodes are listed", metrics["nodes_info"].is_array())
}

async fn it_lists_its_components(stage: &mut Stage) -> Verdict {
    let components = stage.client.component_states().await?;
    expect("there is a component", !components.is_empty())
}
