//! Databases that earlier versions wrote open and give their rows back. The files in `tests/data` are never changed; a new version adds its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use milvus_embedded::{Durability, Options, open};
use milvus_protocol::milvus::{DeleteRequest, MutationResult};

mod support;
use support::{call, collection, flush, insert, keys, runtime};

/// Names the folder to write the current format to; without it nothing is written.
const WRITE: &str = "MILVUS_EMBEDDED_WRITE_FORMAT";

async fn delete(database: &milvus_embedded::Embedded, filter: &str) {
    let request = DeleteRequest {
        collection_name: "docs".to_owned(),
        expr: filter.to_owned(),
        ..Default::default()
    };
    let answer: MutationResult = call(database, "Delete", request).await;
    assert!(answer.delete_cnt > 0, "{:?}", answer.status);
}

/// A segment, saved deletions, and a log with rows and a deletion.
#[test]
fn write_the_current_format() {
    let Ok(folder) = std::env::var(WRITE) else {
        return;
    };
    runtime().block_on(async {
        let database = open(Path::new(&folder), Options::default()).unwrap();
        collection(&database).await;
        insert(&database, 0..30).await;
        flush(&database).await;
        delete(&database, "id < 3").await;
        flush(&database).await;
        delete(&database, "id == 10").await;
        insert(&database, 40..45).await;
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn version_1_opens_and_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("format-1.db");
    copy(
        &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1.db"),
        &path,
    );
    let mut expected: Vec<i64> = (3..30).filter(|id| *id != 10).chain(40..45).collect();
    runtime().block_on(async {
        let database = open(path.clone(), Options::default()).unwrap();
        assert_eq!(keys(&database).await, expected);
        insert(&database, 50..52).await;
        flush(&database).await;
        drop(database);
        expected.extend([50, 51]);
        assert_eq!(
            keys(&open(path, Options::default()).unwrap()).await,
            expected
        );
    });
}

#[test]
fn what_was_not_yet_synced_is_synced_at_close() {
    for durability in [Durability::Normal, Durability::Off] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lazy.db");
        runtime().block_on(async {
            let database =
                open(path.clone(), Options::default().with_durability(durability)).unwrap();
            collection(&database).await;
            insert(&database, 0..10).await;
            drop(database);
            assert_eq!(
                keys(&open(path, Options::default()).unwrap()).await.len(),
                10,
                "{durability:?}"
            );
        });
    }
}
