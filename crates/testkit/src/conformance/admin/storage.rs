//! What is on disk: flush, compaction, segments, bulk import.
//!
//! Invariant: what a server does in the background can be waited for, and its failure is an error.

use milvus_client::Error;
use milvus_client::admin::{CompactionState, SegmentState};

use super::PATIENCE;
use crate::conformance::documents::Document;
use crate::conformance::{
    Check, Lack, Stage, Verdict, check, expect, expect_eq, expect_in_time, wrong,
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(collections_are_flushed),
        check!(all_collections_are_flushed, MilvusLite => Lack::MissingFeature),
        check!(collections_are_compacted),
        check!(plans_of_compactions_are_told, MilvusLite => Lack::MissingFeature),
        check!(stored_segments_are_listed, MilvusLite => Lack::MissingFeature),
        check!(loaded_segments_are_listed, MilvusLite => Lack::MissingFeature),
        check!(
            files_are_imported,
            MilvusLite => Lack::MissingFeature,
            Embedded => Lack::MissingFeature,
        ),
    ]
}

const ROWS: i64 = 60;

async fn stocked(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.collection(&Document::schema()).await?;
    let client = &stage.client;
    client.insert(&name).rows(&Document::all(0..ROWS)).await?;
    client.flush([&name]).timeout(PATIENCE).await?;
    Ok(name)
}

async fn collections_are_flushed(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    client.insert(&name).rows(&Document::all(0..ROWS)).await?;
    let flushed = client.flush([&name]).timeout(PATIENCE).await?;
    expect_eq("collections", flushed.len(), 1)?;
    expect_eq("name", flushed[0].collection.as_str(), name.as_str())?;
    expect("done", client.flush_state(&flushed[0]).await?)?;
    let none: [&str; 0] = [];
    match client.flush(none).await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("a flush of nothing was accepted: {other:?}")),
    }
}

async fn all_collections_are_flushed(stage: &mut Stage) -> Verdict {
    stocked(stage).await?;
    // Its end can take minutes where other collections are written to. Its beginning flushes each collection of the server,
    // those of other tests among them.
    let flush = stage.client.flush_all().no_wait();
    flush.timeout(PATIENCE).await?;
    Ok(())
}

async fn collections_are_compacted(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    let compaction = client.compact(&name).await?;
    client
        .wait_for_compaction(compaction.id)
        .timeout(PATIENCE)
        .await?;
    let progress = client.compaction_state(compaction.id).await?;
    expect_eq("state", progress.state, CompactionState::Completed)?;
    // Milvus may still be exchanging the segments that it has in memory.
    let counted = || async {
        let count = client.query(&name).filter("id >= 0").count().await?;
        expect_eq("rows", count, ROWS as u64)
    };
    expect_in_time(counted).await?;
    match client.compact(stage.name()).await {
        Err(error) if error.is_collection_not_found() => Ok(()),
        other => wrong(format!("compacted what is not there: {other:?}")),
    }
}

async fn plans_of_compactions_are_told(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    let compaction = client.compact(&name).await?;
    client
        .wait_for_compaction(compaction.id)
        .timeout(PATIENCE)
        .await?;
    let plans = client.compaction_plans(compaction.id).await?;
    expect_eq("state", plans.state, CompactionState::Completed)
}

async fn stored_segments_are_listed(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let client = stage.client.clone();
    let listed = || async {
        let segments = client.list_persistent_segments(&name).await?;
        let rows: i64 = segments.iter().map(|segment| segment.rows).sum();
        expect_eq("rows", rows, ROWS)?;
        let is_flushed = |state: SegmentState| state == SegmentState::Flushed;
        let are_flushed = segments.iter().all(|segment| is_flushed(segment.state));
        expect("flushed", are_flushed)
    };
    expect_in_time(listed).await
}

async fn loaded_segments_are_listed(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    // Loaded anew, so that what was written to disk is what is loaded.
    stage.client.release_collection(&name).await?;
    let load = stage.client.load_collection(&name);
    load.timeout(PATIENCE).await?;
    let client = stage.client.clone();
    let listed = || async {
        let segments = client.list_loaded_segments(&name).await?;
        let rows: i64 = segments.iter().map(|segment| segment.rows).sum();
        expect_eq("rows", rows, ROWS)
    };
    expect_in_time(listed).await
}

async fn files_are_imported(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    let tasks = client
        .import_files(&name, ["import/no_such_file.json"])
        .await?;
    let Some(task) = tasks.first().copied() else {
        return wrong("no task was made");
    };
    match client.wait_for_import(task).timeout(PATIENCE).await {
        Err(Error::TaskFailed(failed)) => {
            let is_told = failed.reason.contains("no_such_file");
            expect("the reason names the file", is_told)?;
        }
        other => return wrong(format!("a file that is not there: {other:?}")),
    }
    let listed = client.list_imports().collection(&name).await?;
    let is_listed = listed.iter().any(|listed| listed.id == task);
    expect("the task is listed", is_listed)
}
