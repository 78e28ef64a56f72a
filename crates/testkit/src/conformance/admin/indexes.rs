//! Indexes: built, described, altered, dropped.
//!
//! Invariant: an index is described as it was asked for, and its end of building can be waited for.

use futures_util::TryStreamExt as _;
use milvus_client::admin::{Index, IndexState, IndexType};
use milvus_client::{Error, MetricType};

use super::PATIENCE;
use crate::conformance::documents::Document;
use crate::conformance::{
    Check, Lack, Stage, Verdict, check, expect, expect_eq, expect_in_time, wrong,
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(an_index_is_built_and_described),
        check!(an_index_has_the_name_it_was_given, MilvusLite => Lack::Silent),
        check!(an_index_is_dropped, MilvusLite => Lack::Refused("index")),
        check!(an_index_that_cannot_be_is_refused),
        check!(an_unknown_type_of_index_is_refused),
        check!(
            properties_of_indexes_are_altered,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
    ]
}

/// A collection of some rows on disk, without an index.
async fn stocked(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.name();
    let client = &stage.client;
    client.create_collection(&name, Document::schema()).await?;
    client.insert(&name).rows(&Document::all(0..100)).await?;
    client.flush([&name]).timeout(PATIENCE).await?;
    Ok(name)
}

async fn an_index_is_built_and_described(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    expect(
        "none at first",
        client.list_indexes(&name).await?.is_empty(),
    )?;
    let create = client.create_index(&name, "vector", Index::hnsw(MetricType::L2, 8, 64));
    let steps: Vec<_> = create.timeout(PATIENCE).progress().try_collect().await?;
    let is_done = steps.last().is_some_and(|last| last.done == last.total);
    expect("the last step is the whole", is_done)?;
    let indexes = client.list_indexes(&name).field("vector").await?;
    expect_eq("indexes of the field", indexes.len(), 1)?;
    expect_eq(
        "of another",
        client.list_indexes(&name).field("id").await?.len(),
        0,
    )?;
    let index = indexes[0].name.clone();
    client
        .wait_for_index(&name, &index)
        .timeout(PATIENCE)
        .await?;
    let described = client.describe_index(&name, &index).await?;
    expect_eq("field", described.field.as_str(), "vector")?;
    expect_eq("type", described.index.index_type.clone(), IndexType::Hnsw)?;
    let metric = described.index.metric_type.clone();
    expect_eq("metric", metric, Some(MetricType::L2))?;
    let parameter = described.index.parameters.get("M").map(ToString::to_string);
    let parameter = parameter.as_deref().map(|text| text.trim_matches('"'));
    expect_eq("parameter", parameter, Some("8"))?;
    // Segments that a server has merged since then are indexed anew.
    let is_built = || async {
        let described = client.describe_index(&name, &index).await?;
        expect_eq("state", described.state, IndexState::Finished)?;
        expect_eq("progress", described.progress().fraction(), 1.0)
    };
    expect_in_time(is_built).await
}

async fn an_index_has_the_name_it_was_given(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    let create = client.create_index(&name, "vector", Index::flat(MetricType::L2));
    create.name("by_meaning").timeout(PATIENCE).await?;
    let names: Vec<_> = client
        .list_indexes(&name)
        .await?
        .into_iter()
        .map(|index| index.name)
        .collect();
    expect_eq("names", names, ["by_meaning"])
}

async fn an_index_is_dropped(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    let create = client.create_index(&name, "vector", Index::flat(MetricType::L2));
    create.timeout(PATIENCE).await?;
    let Some(index) = client.list_indexes(&name).await?.pop() else {
        return wrong("the index is not listed");
    };
    client.drop_index(&name, &index.name).await?;
    expect("none is left", client.list_indexes(&name).await?.is_empty())?;
    match client
        .wait_for_index(&name, &index.name)
        .timeout(PATIENCE)
        .await
    {
        Err(Error::TaskFailed(_)) => Ok(()),
        other => wrong(format!("waited for an index that is gone: {other:?}")),
    }
}

async fn an_index_that_cannot_be_is_refused(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    let flat = || Index::flat(MetricType::L2);
    let nowhere = client.create_index(&name, "nowhere", flat()).await;
    expect("of no field", nowhere.is_err())?;
    let nothing = client.create_index(stage.name(), "vector", flat()).await;
    expect("of no collection", nothing.is_err())?;
    let nothing = client.list_indexes(stage.name()).await;
    expect("none of no collection", nothing.is_err())?;
    let unknown = client.describe_index(&name, "no_such_index").await;
    expect("of no name", unknown.is_err())?;
    match client.describe_index(&name, "").await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("an empty name was accepted: {other:?}")),
    }
}

async fn an_unknown_type_of_index_is_refused(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let unknown = Index::new(IndexType::Other("NO_SUCH_INDEX".into()));
    let unknown = unknown.metric_type(MetricType::L2);
    let created = stage.client.create_index(&name, "vector", unknown).await;
    expect("refused", created.is_err())
}

async fn properties_of_indexes_are_altered(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    let create = client.create_index(&name, "vector", Index::ivf_flat(MetricType::L2, 4));
    create.timeout(PATIENCE).await?;
    let Some(index) = client.list_indexes(&name).await?.pop() else {
        return wrong("the index is not listed");
    };
    let altered = client.alter_index_properties(&name, &index.name);
    altered.property("mmap.enabled", true).await?;
    let dropped = client.drop_index_properties(&name, &index.name, ["mmap.enabled"]);
    dropped.await?;
    Ok(())
}
