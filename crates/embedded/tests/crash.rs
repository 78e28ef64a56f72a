//! kill -9 while rows are being written, again and again, with an oracle: every acknowledged request is whole, every other is absent or whole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use milvus_embedded::{Options, open};

mod support;
use support::{collection, flush, insert, keys, runtime};

/// Rows of a request.
const ROWS: i64 = 50;
const FOLDER: &str = "MILVUS_EMBEDDED_CRASH_FOLDER";
/// How often the writer is killed; six times without it.
const ROUNDS: &str = "MILVUS_EMBEDDED_CRASH_ROUNDS";

/// The process that gets killed: writes requests and says of each when it is acknowledged. Does nothing unless the test below started it.
#[test]
fn writer_that_gets_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    runtime().block_on(async {
        let database = open(Path::new(&folder), Options::default()).unwrap();
        collection(&database).await;
        let first = keys(&database)
            .await
            .last()
            .map_or(0, |last| last / ROWS + 1);
        for request in first.. {
            insert(&database, request * ROWS..(request + 1) * ROWS).await;
            eprintln!("acknowledged {request}");
            if request % 20 == 19 {
                flush(&database).await;
            }
        }
    });
}

fn acknowledged(line: &str) -> Option<i64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

#[test]
fn kill_9_loses_no_acknowledged_request_and_halves_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crash.db");
    let mut requests = Vec::new();
    let rounds = std::env::var(ROUNDS).map_or(6, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_that_gets_killed", "--nocapture"])
            .env(FOLDER, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed after so many acknowledgements, so at another moment of the next request each time.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let wanted = requests.len() + 5 + round % 6 * 7;
        while requests.len() < wanted {
            let line = lines
                .next()
                .expect("the writer goes on until it is killed")
                .unwrap();
            requests.extend(acknowledged(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had written to the pipe before it died counts too.
        requests.extend(
            lines
                .map_while(Result::ok)
                .filter_map(|line| acknowledged(&line)),
        );
        let found = runtime()
            .block_on(async { keys(&open(path.clone(), Options::default()).unwrap()).await });
        for request in &requests {
            let whole = (0..ROWS).all(|row| found.binary_search(&(request * ROWS + row)).is_ok());
            assert!(whole, "round {round}: request {request} was acknowledged");
        }
        for chunk in found.chunk_by(|left, right| left / ROWS == right / ROWS) {
            assert_eq!(
                chunk.len() as i64,
                ROWS,
                "round {round}: request {} is there in part",
                chunk[0] / ROWS
            );
        }
    }
}
