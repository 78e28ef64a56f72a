//! What is on disk: flush, compaction, import, segments.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use milvus_client::admin::{CompactionState, ImportState, Index, SegmentState};
use milvus_client::{Client, Error, MetricType};
use milvus_transport::ErrorKind;

use crate::Backend;
use crate::backend::{PATIENCE, eventually, refusal};

/// The statistics follow a flush; how soon depends on the server's leisure.
async fn has_rows(client: &Client, collection: &str, rows: u64) {
    eventually(|| async {
        let statistics = client.collection_statistics(collection).await.unwrap();
        (statistics.row_count == rows)
            .then_some(())
            .ok_or(statistics)
    })
    .await;
}

pub(crate) async fn flushes(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    let flushed = client.flush([docs]).timeout(PATIENCE).await.unwrap();
    assert_eq!(flushed[0].collection, docs);
    assert!(client.flush_state(&flushed[0]).await.unwrap());
    if backend.is_milvus() {
        // Which of the two lists has them depends on who was faster: a flush of all collections may be under way, too.
        let segments = [&flushed[0].sealed_segments, &flushed[0].flushed_segments];
        assert!(segments.iter().any(|list| !list.is_empty()), "{flushed:?}");
        assert!(flushed[0].timestamp > 0);
    }
    has_rows(client, docs, 100).await;
    backend.insert(docs, 100..110).await;
    let steps: Vec<_> = client
        .flush([docs])
        .timeout(PATIENCE)
        .progress()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(steps.last().unwrap().done, 1);
    has_rows(client, docs, 110).await;
    let none: [&str; 0] = [];
    assert!(matches!(
        client.flush(none).await,
        Err(Error::InvalidRequest(_))
    ));
    backend.drop(docs).await;
    if backend.is_milvus() {
        refusal(client.flush([docs]).await);
    }
}

pub(crate) async fn flushes_all(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let accepted = client.flush_all().no_wait().await;
    let flushed = client.flush_all().timeout(Duration::from_secs(1)).await;
    if backend.is_milvus() {
        accepted.unwrap();
        // It says so when all its channels have moved on, which can take minutes; it is asked in any case.
        if let Err(error) = flushed {
            let cause = error.connection_error().unwrap();
            assert_eq!(cause.kind(), ErrorKind::DeadlineExceeded, "{error}");
            // On a slow machine a second may be over before it has begun.
            let asked = ["FlushAll", "GetFlushAllState"];
            assert!(
                cause.rpc().is_some_and(|rpc| asked.contains(&rpc)),
                "{error}"
            );
        }
    } else {
        backend.lacks("all collections", accepted);
        backend.lacks("all collections", flushed);
    }
    backend.drop(&docs).await;
}

pub(crate) async fn compacts(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    client.flush([docs]).timeout(PATIENCE).await.unwrap();
    let compaction = client.compact(docs).await.unwrap();
    client
        .wait_for_compaction(compaction.id)
        .timeout(PATIENCE)
        .await
        .unwrap();
    let progress = client.compaction_state(compaction.id).await.unwrap();
    assert_eq!(progress.state, CompactionState::Completed);
    assert_eq!((progress.failed, progress.timed_out), (0, 0));
    let plans = client.compaction_plans(compaction.id).await;
    let clustering = client.compact(docs).clustering().await;
    let deletions = client.compact(docs).level_zero().await;
    if backend.is_milvus() {
        assert_eq!(plans.unwrap().state, CompactionState::Completed);
    } else {
        backend.lacks("plans", plans);
    }
    backend.lacks("clustering compaction", clustering);
    backend.lacks("compaction of deletions", deletions);
    backend.drop(docs).await;
    assert!(
        client
            .compact(docs)
            .await
            .unwrap_err()
            .is_collection_not_found()
    );
}

pub(crate) async fn imports(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    let tasks = client
        .import_files(docs, ["import/no_such_file.json"])
        .await;
    if backend.is_milvus() {
        let task = tasks.unwrap()[0];
        let failed = client.wait_for_import(task).timeout(PATIENCE).await;
        let Err(Error::TaskFailed(failed)) = failed else {
            panic!("a file that is not there: {failed:?}");
        };
        assert!(failed.reason.contains("no_such_file"), "{failed}");
        let state = client.import_state(task).await.unwrap();
        assert!(
            matches!(
                state.state,
                ImportState::Failed | ImportState::FailedAndCleaned
            ),
            "{state:?}"
        );
        let listed = client
            .list_imports()
            .collection(docs)
            .limit(10)
            .await
            .unwrap();
        assert!(listed.iter().any(|listed| listed.id == task), "{listed:?}");
        refusal(client.import_state(1).await);
    } else {
        backend.lacks("bulk import", tasks);
        backend.lacks("bulk import", client.import_state(1).await);
        backend.lacks("bulk import", client.list_imports().await);
        backend.lacks("bulk import", client.wait_for_import(1).await);
    }
    backend.drop(docs).await;
}

pub(crate) async fn lists_segments(backend: Backend) {
    let client = &backend.client;
    let docs = backend.docs("docs").await;
    let docs = docs.as_str();
    client.flush([docs]).timeout(PATIENCE).await.unwrap();
    let index = Index::flat(MetricType::L2);
    client
        .create_index(docs, "vector", index)
        .timeout(PATIENCE)
        .await
        .unwrap();
    client
        .load_collection(docs)
        .timeout(PATIENCE)
        .await
        .unwrap();
    let stored = client.list_persistent_segments(docs).await;
    let loaded = client.list_loaded_segments(docs).await;
    if backend.is_milvus() {
        stored.unwrap();
        loaded.unwrap();
        eventually(|| async {
            let stored = client.list_persistent_segments(docs).await.unwrap();
            let is_flushed = |state: SegmentState| state == SegmentState::Flushed;
            let are_flushed = stored.iter().all(|segment| is_flushed(segment.state));
            let rows: i64 = stored.iter().map(|segment| segment.rows).sum();
            (rows == 100 && are_flushed).then_some(()).ok_or(stored)
        })
        .await;
        eventually(|| async {
            let loaded = client.list_loaded_segments(docs).await.unwrap();
            let rows: i64 = loaded.iter().map(|segment| segment.rows).sum();
            (rows == 100).then_some(()).ok_or(loaded)
        })
        .await;
    } else {
        backend.lacks("segments", stored);
        backend.lacks("segments", loaded);
    }
    backend.drop(docs).await;
}
