//! A damaged or missing segment file closes its own collection and nothing else: the others work, the closed one says which file it is, can be
//! dropped or emptied, and is whole again when the file is restored.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use milvus_client::{Client, MetricType};
use milvus_embedded::{Options, open};

#[path = "support/client.rs"]
mod support;
use support::{DIM, ROWS, block_on, client_of, create, fill, stored};

/// What happens to the file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// A bit of the header flips.
    Header,
    /// The file loses its end.
    Cut,
    Missing,
}

const DAMAGES: [(Damage, &str); 3] = [
    (Damage::Header, "the header"),
    (Damage::Cut, "the directory"),
    (Damage::Missing, "it is missing"),
];

impl Damage {
    fn happen(self, file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        match self {
            Self::Header => bytes[26] ^= 1,
            Self::Cut => bytes.truncate(bytes.len() / 2),
            Self::Missing => return fs::remove_file(file).unwrap(),
        }
        fs::write(file, bytes).unwrap();
    }
}

async fn client(path: &Path) -> Client {
    client_of(&open(path.to_owned(), Options::default()).unwrap()).await
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(path.join("segments")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// A database with the collections `docs`, whose last deletion is only in the log, and `other`; and the file of `docs`.
async fn database(path: &Path) -> PathBuf {
    let client = client(path).await;
    create(&client, "docs", MetricType::L2).await;
    fill(&client, "docs").await;
    client.flush(["docs"]).await.unwrap();
    let [file] = segments(path).try_into().unwrap();
    client.delete("docs").filter("id < 10").await.unwrap();
    create(&client, "other", MetricType::L2).await;
    fill(&client, "other").await;
    client.flush(["other"]).await.unwrap();
    file
}

async fn check_refusals(client: &Client, file: &Path, place: &str) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let search = client.search("docs").vector(&stored()[..DIM]);
    let failures = [
        ("count", client.query("docs").count().await.err()),
        ("query", client.query("docs").filter("id == 1").await.err()),
        ("search", search.limit(3).await.err()),
        ("delete", client.delete("docs").filter("id > 5").await.err()),
        ("flush", client.flush(["docs"]).await.err()),
        (
            "insert",
            client
                .insert("docs")
                .column("id", vec![1000])
                .column("n", vec![1])
                .column("text", vec!["x".to_owned()])
                .column("vector", vec![0.0f32; DIM])
                .await
                .err(),
        ),
    ];
    for (what, failure) in failures {
        let text = failure.expect(what).to_string();
        for part in [name, place, "docs", "drop the collection"] {
            assert!(text.contains(part), "{what}: {text}");
        }
    }
}

#[test]
fn one_damaged_file_closes_its_own_collection_and_a_restored_one_opens_it() {
    for (damage, place) in DAMAGES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.db");
        block_on(async {
            let file = database(&path).await;
            let whole = fs::read(&file).unwrap();
            damage.happen(&file);
            let opened = client(&path).await;
            assert_eq!(opened.query("other").count().await.unwrap(), ROWS as u64);
            check_refusals(&opened, &file, place).await;
            assert_eq!(opened.list_collections().await.unwrap().len(), 2);
            drop(opened);
            // Nothing was lost meanwhile, not the deletion in the log either.
            fs::write(&file, whole).unwrap();
            let opened = client(&path).await;
            let count = opened.query("docs").count().await.unwrap();
            assert_eq!(count, ROWS as u64 - 10, "{damage:?}");
        });
    }
}

#[test]
fn a_damaged_collection_can_be_dropped_or_emptied() {
    for (damage, _) in DAMAGES {
        for empty in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("damaged.db");
            block_on(async {
                let file = database(&path).await;
                damage.happen(&file);
                let opened = client(&path).await;
                if empty {
                    opened.truncate_collection("docs").await.unwrap();
                } else {
                    opened.drop_collection("docs").await.unwrap();
                    create(&opened, "docs", MetricType::L2).await;
                }
                fill(&opened, "docs").await;
                drop(opened);
                let opened = client(&path).await;
                for collection in ["docs", "other"] {
                    let count = opened.query(collection).count().await.unwrap();
                    assert_eq!(count, ROWS as u64, "{damage:?}, {collection}");
                }
                assert!(!file.exists());
            });
        }
    }
}
