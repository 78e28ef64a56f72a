//! The server itself: version, health, metrics, components.
//!
//! Invariant: what a server says of itself is not empty.

use milvus_client::Error;
use serde_json::json;

use crate::conformance::{BackendKind, Check, Lack, Stage, Verdict, check, expect, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(it_says_its_version_and_health),
        check!(metrics_are_asked_for_by_an_object),
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
    let own = match stage.kind {
        BackendKind::Milvus23 => "2.3.5",
        BackendKind::MilvusLite => "3.2.2",
        BackendKind::Embedded => ".",
    };
    expect("its version", version.contains(own))?;
    let told = stage.client.server_info().version;
    // Milvus Lite tells its name in the handshake, not its version.
    let is_told = told.contains(own) || stage.kind == BackendKind::MilvusLite;
    expect("the handshake tells it too", is_told && !told.is_empty())?;
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

async fn metrics_are_asked_for_by_an_object(stage: &mut Stage) -> Verdict {
    match stage.client.metrics(json!("system_info")).await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("accepted: {other:?}")),
    }
}

async fn it_lists_its_components(stage: &mut Stage) -> Verdict {
    let components = stage.client.component_states().await?;
    expect("there is a component", !components.is_empty())
}
