//! What is on disk: flush, compaction, segments, bulk import.
//!
//! Invariant: what a server does in the background can be waited for, and its failure is an error.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use milvus_client::Error;
use milvus_client::admin::{CompactionState, ImportState, SegmentState};
use serde_json::json;

use super::PATIENCE;
use crate::Failure;
use crate::conformance::documents::Document;
use crate::conformance::{
    BackendKind, Check, Lack, Problem, Stage, Verdict, check, expect, expect_eq, expect_in_time,
    wrong,
};
use crate::directories::Scratch;

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
        check!(
            a_file_that_is_not_there_is_not_imported,
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
    let flushed = &flushed[0];
    let is_done = || async { expect("done", client.flush_state(flushed).await?) };
    expect_in_time(is_done).await?;
    if stage.kind == BackendKind::Milvus23 {
        // Which of the two lists has them depends on who was faster: a flush of all collections may be under way, too.
        let segments = [&flushed.sealed_segments, &flushed.flushed_segments];
        let are_named = segments.iter().any(|list| !list.is_empty());
        expect("segments are named", are_named && flushed.timestamp > 0)?;
    }
    let more = Document::all(ROWS..ROWS + 10);
    client.insert(&name).rows(&more).await?;
    let steps = client.flush([&name]).timeout(PATIENCE).progress();
    let steps: Vec<_> = steps.try_collect().await?;
    expect_eq("the last step", steps.last().map(|step| step.done), Some(1))?;
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
    let began = stage.client.flush_all().no_wait().timeout(PATIENCE).await;
    expect_done_or_late(began)?;
    let ended = stage.client.flush_all().timeout(Duration::from_secs(1));
    expect_done_or_late(ended.await.map(drop))
}

/// A flush of everything may be late, and then says at what; no other failure is one of the moment.
fn expect_done_or_late<T>(flushed: milvus_client::Result<T>) -> Verdict {
    match flushed {
        Ok(_) => Ok(()),
        Err(error) => {
            let cause = error.connection_error();
            let is_late = cause.is_some_and(|cause| {
                let asked = ["FlushAll", "GetFlushAllState"];
                let is_asked = cause.rpc().is_some_and(|rpc| asked.contains(&rpc));
                is_asked && cause.answer().is_none()
            });
            if is_late { Ok(()) } else { Err(error.into()) }
        }
    }
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

/// The servers under test keep their files on this machine, and find there what is named with its whole path.
async fn files_are_imported(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let rows = json!({"rows": Document::all(0..ROWS)});
    let unwritten = |error: Failure| Problem::Wrong(error.to_string());
    let scratch = Scratch::new("import").map_err(unwritten)?;
    let file = scratch.write("rows.json", &rows.to_string());
    let file = file.map_err(unwritten)?;
    imported(stage, &name, &file.display().to_string()).await
}

async fn imported(stage: &Stage, name: &str, file: &str) -> Verdict {
    let client = stage.client.clone();
    let tasks = client.import_files(name, [file]).await?;
    expect_eq("tasks", tasks.len(), 1)?;
    let steps = client.wait_for_import(tasks[0]).timeout(PATIENCE);
    let steps: Vec<_> = steps.progress().try_collect().await?;
    let fraction = steps.last().map(|step| step.fraction());
    expect_eq("the last step", fraction, Some(1.0))?;
    let task = client.import_state(tasks[0]).await?;
    expect_eq("state", task.state, ImportState::Completed)?;
    expect_eq("rows of the task", task.row_count, ROWS)?;
    // Its segments are loaded when the server has seen them.
    let are_found = || async {
        let query = client.query(name).filter("id >= 0").output_fields(["*"]);
        let mut found: Vec<Document> = query.await?.to_vec()?;
        found.sort_by_key(|document| document.id);
        expect_eq("rows", found, Document::all(0..ROWS))
    };
    expect_in_time(are_found).await
}

async fn a_file_that_is_not_there_is_not_imported(stage: &mut Stage) -> Verdict {
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
    let state = client.import_state(task).await?.state;
    let has_failed = matches!(state, ImportState::Failed | ImportState::FailedAndCleaned);
    expect("the state says so too", has_failed)?;
    let unknown = client.import_state(1).await;
    expect("a task that is not there", unknown.is_err())?;
    let listed = client.list_imports().collection(&name).limit(10).await?;
    let is_listed = listed.iter().any(|listed| listed.id == task);
    expect("the task is listed", is_listed)
}
