//! kill -9 at any instant while rows are inserted, replaced and deleted and the background worker writes and merges files, again and again, with
//! an oracle: every acknowledged request is there whole, the one under way is there whole or not at all, and nothing else is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use milvus_embedded::{Embedded, Options, open};
use milvus_protocol::milvus::*;
use milvus_protocol::schema::{
    FieldData, ScalarField, StringArray, field_data::Field, scalar_field,
};

mod support;
use support::{call, collection, fields, query_request, runtime, succeeded};

/// Rows of a request.
const ROWS: i64 = 50;
const FOLDER: &str = "MILVUS_EMBEDDED_CRASH_FOLDER";
/// The number of the writer's first request.
const FIRST: &str = "MILVUS_EMBEDDED_CRASH_FIRST";
/// How often the writer is killed; twelve times without it.
const ROUNDS: &str = "MILVUS_EMBEDDED_CRASH_ROUNDS";

/// Text of each key.
type Model = BTreeMap<i64, String>;

/// What a request does; its number decides, so that the test knows it as well as the process that is killed.
#[derive(Debug)]
enum Change {
    Insert(Range<i64>),
    Upsert(Range<i64>),
    Delete(Range<i64>),
}

impl Change {
    fn of(request: i64) -> Self {
        let mut random = fastrand::Rng::with_seed(request as u64);
        let new = request * ROWS..(request + 1) * ROWS;
        let older = random.i64(0..=request) * ROWS + random.i64(0..ROWS);
        match random.u8(0..10) {
            0..5 => Self::Insert(new),
            5..8 => Self::Upsert(older..older + ROWS),
            _ => Self::Delete(older..older + random.i64(1..2 * ROWS)),
        }
    }

    fn apply(&self, request: i64, model: &mut Model) {
        match self {
            Self::Insert(keys) | Self::Upsert(keys) => {
                model.extend(keys.clone().map(|key| (key, text(request))));
            }
            Self::Delete(keys) => model.retain(|key, _| !keys.contains(key)),
        }
    }

    async fn send(&self, request: i64, database: &Embedded) {
        let rows = |keys: &Range<i64>| {
            let mut data = fields(keys.clone());
            data[1].field = Some(texts(keys.clone().map(|_| text(request))));
            data
        };
        let (collection_name, num_rows) = ("docs".to_owned(), ROWS as u32);
        let answer: MutationResult = match self {
            Self::Insert(keys) => {
                let request = InsertRequest {
                    collection_name,
                    num_rows,
                    fields_data: rows(keys),
                    ..Default::default()
                };
                call(database, "Insert", request).await
            }
            Self::Upsert(keys) => {
                let request = UpsertRequest {
                    collection_name,
                    num_rows,
                    fields_data: rows(keys),
                    ..Default::default()
                };
                call(database, "Upsert", request).await
            }
            Self::Delete(keys) => {
                let request = DeleteRequest {
                    collection_name,
                    expr: format!("id >= {} and id < {}", keys.start, keys.end),
                    ..Default::default()
                };
                call(database, "Delete", request).await
            }
        };
        succeeded(answer.status.unwrap_or_default());
    }
}

fn text(request: i64) -> String {
    format!("of request {request}")
}

fn texts(texts: impl Iterator<Item = String>) -> Field {
    let data = texts.map(Bytes::from).collect();
    Field::Scalars(ScalarField {
        data: Some(scalar_field::Data::StringData(StringArray { data })),
    })
}

/// The process that gets killed: changes rows and says of each request when it is acknowledged, while the worker flushes and compacts without a
/// pause. Does nothing unless the test below started it.
#[test]
fn writer_that_gets_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let first: i64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let database = open(Path::new(&folder), Options::default()).unwrap();
    runtime().block_on(collection(&database));
    let worked = database.clone();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let id = describe(&worked).await;
            for turn in 0.. {
                if turn % 3 > 0 {
                    support::flush(&worked).await;
                    continue;
                }
                let request = ManualCompactionRequest {
                    collection_id: id,
                    ..Default::default()
                };
                let _: ManualCompactionResponse = call(&worked, "ManualCompaction", request).await;
            }
        });
    });
    runtime().block_on(async {
        for request in first.. {
            Change::of(request).send(request, &database).await;
            eprintln!("acknowledged {request}");
        }
    });
}

async fn describe(database: &Embedded) -> i64 {
    let request = DescribeCollectionRequest {
        collection_name: "docs".to_owned(),
        ..Default::default()
    };
    let answer: DescribeCollectionResponse = call(database, "DescribeCollection", request).await;
    answer.collection_id
}

fn column(data: &FieldData) -> &scalar_field::Data {
    match &data.field {
        Some(Field::Scalars(ScalarField { data: Some(data) })) => data,
        other => panic!("{other:?}"),
    }
}

async fn stored(database: &Embedded) -> Model {
    let request = query_request("id >= 0", &["id", "text"]);
    let answer: QueryResults = call(database, "Query", request).await;
    succeeded(answer.status.clone().unwrap_or_default());
    let [ids, texts] = answer.fields_data.as_slice() else {
        panic!("{answer:?}");
    };
    let (scalar_field::Data::LongData(ids), scalar_field::Data::StringData(texts)) =
        (column(ids), column(texts))
    else {
        panic!("{answer:?}");
    };
    let texts = texts.data.iter().map(|text| text.to_vec());
    let texts = texts.map(|text| String::from_utf8(text).unwrap());
    ids.data.iter().copied().zip(texts).collect()
}

fn acknowledged(line: &str) -> Option<i64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

#[test]
fn kill_9_loses_no_acknowledged_request_and_halves_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crash.db");
    let mut model = Model::new();
    let mut next = 0;
    let mut random = fastrand::Rng::with_seed(5);
    let rounds = std::env::var(ROUNDS).map_or(12, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_that_gets_killed", "--nocapture"])
            .env(FOLDER, &path)
            .env(FIRST, next.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = next;
        let mut note = |line: &str| {
            if let Some(request) = acknowledged(line) {
                assert_eq!(request, next);
                Change::of(request).apply(request, &mut model);
                next += 1;
            }
            next - first
        };
        let wanted = random.i64(5..40);
        loop {
            let line = lines.next().expect("it goes on until it is killed");
            if note(&line.unwrap()) >= wanted {
                break;
            }
        }
        // Not to wait for something, but so that the end comes at any instant of what is under way.
        std::thread::sleep(Duration::from_micros(random.u64(0..8_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had written to the pipe before it died counts too.
        lines.map_while(Result::ok).for_each(|line| {
            note(&line);
        });
        let database = open(path.clone(), Options::default()).unwrap();
        let found = runtime().block_on(stored(&database));
        if found != model {
            // Then the request under way was committed, whole.
            Change::of(next).apply(next, &mut model);
            next += 1;
        }
        assert!(
            found == model,
            "round {round}, after request {next}: {:?}",
            difference(&found, &model)
        );
    }
    assert!(next > rounds * 5 && !model.is_empty());
}

/// The first rows that are not the same.
fn difference(found: &Model, expected: &Model) -> Vec<(i64, Option<String>, Option<String>)> {
    let keys = found.keys().chain(expected.keys());
    let different = keys.filter(|key| found.get(key) != expected.get(key));
    different
        .take(10)
        .map(|key| (*key, found.get(key).cloned(), expected.get(key).cloned()))
        .collect()
}
