//! A disk that is full for real: the kernel lets a process write no longer files (`RLIMIT_FSIZE`), and later it does.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use milvus_embedded::{Embedded, Options, open};
use milvus_protocol::milvus::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod support;
use support::{call, collection, count, fields, flush, insert, runtime};

const FOLDER: &str = "MILVUS_EMBEDDED_FULL_DISK_FOLDER";
/// Rows of a request.
const ROWS: i64 = 2_000;
/// Bytes that a file may have; a new catalog is smaller.
const LIMIT: u64 = 4 << 20;

async fn try_insert(database: &Embedded, request: i64) -> MutationResult {
    let ids = request * ROWS..(request + 1) * ROWS;
    let request = InsertRequest {
        collection_name: "docs".to_owned(),
        num_rows: ROWS as u32,
        fields_data: fields(ids),
        ..Default::default()
    };
    call(database, "Insert", request).await
}

/// The process with the limit. Does nothing unless the test below started it.
#[test]
fn writer_on_a_full_disk() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    runtime().block_on(async {
        let database = open(Path::new(&folder), Options::default()).unwrap();
        collection(&database).await;
        insert(&database, -10..0).await;
        let before = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: Some(LIMIT),
            ..before
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        let mut requests = 0;
        let status = loop {
            let status = try_insert(&database, requests).await.status.unwrap();
            if !status.is_success() {
                break status;
            }
            requests += 1;
        };
        assert!(requests > 0);
        assert!(status.retriable, "{status:?}");
        for part in ["was not applied", "Reads go on", "File too large"] {
            assert!(status.reason.contains(part), "{part}: {}", status.reason);
        }
        assert_eq!(count(&database).await, 10 + requests * ROWS);
        // Refused again, and still no harm done.
        assert!(
            !try_insert(&database, requests)
                .await
                .status
                .unwrap()
                .is_success()
        );
        assert_eq!(count(&database).await, 10 + requests * ROWS);
        setrlimit(Resource::Fsize, before).unwrap();
        insert(&database, requests * ROWS..(requests + 1) * ROWS).await;
        flush(&database).await;
        let rows = 10 + (requests + 1) * ROWS;
        assert_eq!(count(&database).await, rows);
        eprintln!("rows {rows}");
    });
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.db");
    // Beyond the limit the kernel also sends a signal, which ends who does not ignore it; a shell can say so for the program that it becomes.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "writer_on_a_full_disk", "--nocapture"])
        .env(FOLDER, &path)
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{lines:#?}");
    let rows = lines.iter().find_map(|line| line.strip_prefix("rows "));
    let rows: i64 = rows.unwrap().parse().unwrap();
    let database = open(path, Options::default()).unwrap();
    assert_eq!(runtime().block_on(count(&database)), rows);
}
