//! Loading and releasing: collections, partitions, replicas.
//!
//! Invariant: a collection that is said to be loaded can be searched.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use milvus_client::admin::{LoadState, Replica};

use super::PATIENCE;
use crate::conformance::documents::Document;
use crate::conformance::{
    BackendKind, Check, Lack, Stage, Verdict, check, expect, expect_eq, expect_in_time, wrong,
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
    // Milvus takes a node that is late with its sign of life for gone, for a while.
    let is_loaded = || async {
        let state = client.load_state(&name).await?;
        expect_eq("loaded", state, LoadState::Loaded)?;
        let progress = client.loading_progress(&name).await?;
        expect_eq("percent", progress.percent, 100)?;
        let found = client.search(&name).vector(Document::new(7).vector);
        let found = found.limit(1).await?;
        expect_eq("searched", found.query(0).int64_ids(), [7])
    };
    expect_in_time(is_loaded).await?;
    // What is loaded may be loaded again, and what is released be released.
    client.load_collection(&name).no_wait().await?;
    client.release_collection(&name).await?;
    client.release_collection(&name).await?;
    let is_released = || async {
        let state = client.load_state(&name).await?;
        expect_eq("released again", state, LoadState::NotLoad)
    };
    expect_in_time(is_released).await?;
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
    let is_loaded = || async {
        expect_eq("loaded", state("new").await?, LoadState::Loaded)?;
        let progress = client.loading_progress(&name).partitions(["new"]).await?;
        expect_eq("percent", progress.percent, 100)
    };
    expect_in_time(is_loaded).await?;
    expect_eq("not loaded", state("_default").await?, LoadState::NotLoad)?;
    client.release_partitions(&name, ["new"]).await?;
    let is_released = || async { expect_eq("released", state("new").await?, LoadState::NotLoad) };
    expect_in_time(is_released).await
}

async fn loading_is_refreshed(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    stage.client.flush([&name]).timeout(PATIENCE).await?;
    let client = stage.client.clone();
    // It may be refused while a node is taken for gone, or while segments are being exchanged.
    expect_in_time(|| async { Ok(client.refresh_load(&name).timeout(PATIENCE).await?) }).await
}

async fn replicas_are_described(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let (client, kind) = (stage.client.clone(), stage.kind);
    // Milvus takes a node that is late with its sign of life for gone, for a while.
    let described = || async {
        let replicas = client.describe_replicas(&name).await?;
        expect_eq("replicas", replicas.len(), 1)?;
        let are_placed = replicas.iter().all(|replica| !replica.nodes.is_empty());
        expect("on a node", are_placed)?;
        let have_shards = replicas.iter().all(|replica| !replica.shards.is_empty());
        // The engine in this process has none.
        expect("of shards", have_shards || kind == BackendKind::Embedded)?;
        let brief = client
            .describe_replicas(&name)
            .without_shard_nodes()
            .await?;
        let ids = |replicas: &[Replica]| replicas.iter().map(|it| it.id).collect::<Vec<_>>();
        expect_eq("the same in brief", ids(&brief), ids(&replicas))
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
