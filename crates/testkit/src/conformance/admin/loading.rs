//! Loading and releasing: collections, partitions, replicas.
//!
//! Invariant: a collection that is said to be loaded can be searched.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use milvus_client::admin::LoadState;

use super::PATIENCE;
use crate::conformance::documents::Document;
use crate::conformance::{
    Check, Lack, Stage, Verdict, check, expect, expect_eq, expect_in_time, wrong,
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(loading_can_be_followed),
        check!(partitions_are_loaded, MilvusLite => Lack::MissingFeature),
        check!(loading_is_refreshed),
        check!(replicas_are_described, MilvusLite => Lack::MissingFeature),
        check!(loading_waits_no_longer_than_told),
        check!(
            some_fields_are_loaded,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
    ]
}

async fn stocked(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.collection(&Document::schema()).await?;
    stage
        .client
        .insert(&name)
        .rows(&Document::all(0..50))
        .await?;
    Ok(name)
}

async fn loading_can_be_followed(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    client.release_collection(&name).await?;
    let state = client.load_state(&name).await?;
    expect_eq("released", state, LoadState::NotLoad)?;
    let load = client.load_collection(&name).timeout(PATIENCE);
    let steps: Vec<_> = load.progress().try_collect().await?;
    let fraction = steps.last().map(|step| step.fraction());
    expect_eq("the last step", fraction, Some(1.0))?;
    let state = client.load_state(&name).await?;
    expect_eq("loaded", state, LoadState::Loaded)?;
    let progress = client.loading_progress(&name).await?;
    expect_eq("percent", progress.percent, 100)?;
    let found = client
        .search(&name)
        .vector(Document::new(7).vector)
        .limit(1)
        .await?;
    expect_eq("searched", found.query(0).int64_ids(), [7])?;
    let nothing = client.load_collection(stage.name()).timeout(PATIENCE).await;
    expect("what is not there is not loaded", nothing.is_err())
}

async fn partitions_are_loaded(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    client.release_collection(&name).await?;
    client.create_partition(&name, "new").await?;
    client
        .load_partitions(&name, ["new"])
        .timeout(PATIENCE)
        .await?;
    let state = |partition: &str| client.load_state(&name).partitions([partition]);
    expect_eq("loaded", state("new").await?, LoadState::Loaded)?;
    expect_eq("not loaded", state("_default").await?, LoadState::NotLoad)?;
    client.release_partitions(&name, ["new"]).await?;
    expect_eq("released", state("new").await?, LoadState::NotLoad)
}

async fn loading_is_refreshed(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    stage.client.flush([&name]).timeout(PATIENCE).await?;
    stage.client.refresh_load(&name).timeout(PATIENCE).await?;
    Ok(())
}

async fn replicas_are_described(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    // Milvus takes a node that is late with its sign of life for gone, for a while.
    let described = || async {
        let replicas = client.describe_replicas(&name).await?;
        expect_eq("replicas", replicas.len(), 1)?;
        let are_placed = replicas.iter().all(|replica| !replica.nodes.is_empty());
        expect("on a node", are_placed)
    };
    expect_in_time(described).await
}

async fn loading_waits_no_longer_than_told(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    client.release_collection(&name).await?;
    match client.load_collection(&name).timeout(Duration::ZERO).await {
        Err(error) if error.connection_error().is_some() => Ok(()),
        // An engine in this process may need no time; then it must have done it.
        Ok(()) => expect_eq("state", client.load_state(&name).await?, LoadState::Loaded),
        Err(other) => wrong(format!("not the deadline's error: {other}")),
    }
}

async fn some_fields_are_loaded(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    client.release_collection(&name).await?;
    let load = client.load_collection(&name).fields(["id", "vector"]);
    load.timeout(PATIENCE).await?;
    let found = client
        .search(&name)
        .vector(Document::new(7).vector)
        .limit(1)
        .await?;
    expect_eq("searched", found.query(0).int64_ids(), [7])
}
