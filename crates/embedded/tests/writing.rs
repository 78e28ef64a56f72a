//! What writes do to rows: whole and partial upserts, deletions and their counts, rows that expire; and who may open a database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use milvus_client::admin::{Index, IndexType};
use milvus_client::schema::{CollectionSchema, FieldSchema, FunctionSchema};
use milvus_client::{Client, MetricType};
use milvus_embedded::{Options, open};

#[path = "support/client.rs"]
mod support;
use support::{DIM, ROWS, block_on, client_of, create, fill, in_memory, random, stored};

async fn count(client: &Client) -> u64 {
    client.query("docs").count().await.unwrap()
}

async fn row(client: &Client, id: i64) -> (i64, String, Vec<f32>) {
    let rows = client
        .query("docs")
        .filter(format!("id == {id}"))
        .output_fields(["n", "text", "vector"])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    let column = |name: &str| rows.column(name).unwrap();
    (
        column("n").values::<i64>().unwrap()[0],
        column("text").text(0).unwrap().unwrap().to_owned(),
        column("vector").float_vector(0).unwrap().unwrap().to_vec(),
    )
}

#[test]
fn a_partial_upsert_changes_what_it_names() {
    block_on(async {
        let client = in_memory("partial").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        client.flush(["docs"]).await.unwrap();
        // One key in the file, one that was changed since.
        let upsert = |ids: Vec<i64>, numbers: Vec<i64>| {
            client
                .upsert("docs")
                .column("id", ids)
                .column("n", numbers)
                .partial()
        };
        upsert(vec![7], vec![70]).await.unwrap();
        upsert(vec![7, 8], vec![700, 800]).await.unwrap();
        for (id, n) in [(7, 700), (8, 800)] {
            let vector = stored()[id as usize * DIM..(id as usize + 1) * DIM].to_vec();
            assert_eq!(row(&client, id).await, (n, format!("text {id}"), vector));
        }
        assert_eq!(count(&client).await, ROWS as u64);
        let error = upsert(vec![5000], vec![1])
            .await
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("don't exist yet"), "{error}");
        assert_eq!(count(&client).await, ROWS as u64);
    });
}

#[test]
fn an_upsert_replaces_rows_and_adds_the_others() {
    block_on(async {
        let client = in_memory("upsert").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        let vectors = random(9, 3 * DIM);
        let write = |ids: Vec<i64>| {
            let texts: Vec<String> = ids.iter().map(|id| format!("new {id}")).collect();
            client
                .upsert("docs")
                .column("id", ids)
                .column("n", vec![1i64, 2, 3])
                .column("text", texts)
                .column("vector", vectors.clone())
        };
        // The same key twice: the last one counts.
        write(vec![4, 4, 1000]).await.unwrap();
        assert_eq!(count(&client).await, ROWS as u64 + 1);
        assert_eq!(
            row(&client, 4).await,
            (2, "new 4".to_owned(), vectors[DIM..2 * DIM].to_vec())
        );
        let nearest = client
            .search("docs")
            .vector(&vectors[..DIM])
            .filter("id == 4")
            .limit(5)
            .await
            .unwrap();
        assert_eq!(nearest.query(0).int64_ids(), [4]);
    });
}

#[test]
fn deletions_take_rows_wherever_they_are() {
    block_on(async {
        let client = in_memory("delete").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        client.flush(["docs"]).await.unwrap();
        client.delete("docs").ids(vec![1i64, 2, 3]).await.unwrap();
        assert_eq!(count(&client).await, ROWS as u64 - 3);
        let deleted = client.delete("docs").filter("n == 5").await.unwrap();
        assert_eq!(deleted.rows, ROWS as u64 / 10);
        assert_eq!(count(&client).await, ROWS as u64 - 3 - ROWS as u64 / 10);
        // A row that comes back after its deletion is there.
        client
            .upsert("docs")
            .column("id", vec![1i64])
            .column("n", vec![5i64])
            .column("text", vec!["again"])
            .column("vector", random(3, DIM))
            .await
            .unwrap();
        assert_eq!(row(&client, 1).await.1, "again");
        let found = client
            .search("docs")
            .vector(random(3, DIM))
            .limit(ROWS as u64)
            .await
            .unwrap();
        assert_eq!(found.query(0).len() as u64, count(&client).await);
    });
}

#[test]
fn rows_that_outlived_their_time_are_not_seen() {
    block_on(async {
        let client = in_memory("ttl").await;
        let schema = CollectionSchema::ids_and_vectors(DIM);
        client
            .create_collection("docs", schema)
            .index("vector", Index::flat(MetricType::L2))
            .property("collection.ttl.seconds", 2)
            .await
            .unwrap();
        let insert = async |id: i64| {
            client
                .insert("docs")
                .column("id", vec![id])
                .column("vector", random(1, DIM))
                .await
                .unwrap();
            Instant::now()
        };
        let written = insert(1).await;
        let seen = count(&client).await;
        assert!(seen == 1 || written.elapsed() >= Duration::from_secs(1));
        // What it waits for is the clock itself.
        while count(&client).await > 0 {
            assert!(
                written.elapsed() < Duration::from_secs(30),
                "the row never expires"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(written.elapsed() >= Duration::from_secs(1));
        let found = client
            .search("docs")
            .vector(random(1, DIM))
            .limit(5)
            .await
            .unwrap();
        assert_eq!(found.query(0).len(), 0);
        client.flush(["docs"]).await.unwrap();
        assert_eq!(count(&client).await, 0);
    });
}

#[test]
fn rows_that_outlived_their_time_are_not_used_either() {
    block_on(async {
        let client = in_memory("ttl-uses").await;
        let text = FieldSchema::varchar("text", 100).analyzer(&serde_json::json!({}));
        let schema = || {
            CollectionSchema::new()
                .field(FieldSchema::int64("id").primary_key())
                .field(text.clone())
                .field(FieldSchema::sparse_float_vector("terms"))
                .field(FieldSchema::float_vector("vector", DIM))
                .function(FunctionSchema::bm25("bm25", "text", "terms"))
        };
        for (name, seconds) in [("docs", 2), ("fresh", 1_000_000)] {
            client
                .create_collection(name, schema())
                .index(
                    "terms",
                    Index::new(IndexType::SparseInvertedIndex).metric_type(MetricType::Bm25),
                )
                .index("vector", Index::flat(MetricType::L2))
                .property("collection.ttl.seconds", seconds)
                .await
                .unwrap();
        }
        let insert = async |name: &str, ids: Vec<i64>, text: &str| {
            client
                .insert(name)
                .column("text", vec![text; ids.len()])
                .column("vector", random(1, ids.len() * DIM))
                .column("id", ids)
                .await
                .unwrap();
        };
        let score = async |name: &str| {
            let search = client.search(name).field("terms").vector("milvus").limit(1);
            let found = search.await.unwrap();
            found.query(0).scores().first().copied()
        };
        insert("docs", (0..50).collect(), "milvus and others").await;
        let by_key = async || {
            client
                .search("docs")
                .field("vector")
                .near_ids(vec![7i64])
                .limit(1)
                .await
        };
        let (written, searched) = (Instant::now(), by_key().await);
        assert!(searched.is_ok() || written.elapsed() >= Duration::from_secs(1));
        score("docs").await;
        // What it waits for is the clock itself.
        while count(&client).await > 0 {
            assert!(
                written.elapsed() < Duration::from_secs(30),
                "the rows never expire"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let error = by_key().await.map(drop).unwrap_err().to_string();
        assert!(error.contains("do not exist"), "{error}");
        let partial = client
            .upsert("docs")
            .column("id", vec![7i64])
            .column("text", vec!["x"]);
        let error = partial.partial().await.map(drop).unwrap_err().to_string();
        assert!(error.contains("don't exist yet"), "{error}");
        insert("docs", vec![100, 101], "milvus alone").await;
        insert("fresh", vec![100, 101], "milvus alone").await;
        // The last part of a row's life is the clock's too.
        let (expected, inserted) = (score("fresh").await, Instant::now());
        loop {
            let found = score("docs").await;
            if found.is_none() || found == expected {
                break;
            }
            assert!(
                inserted.elapsed() < Duration::from_secs(30),
                "{found:?}, {expected:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn handles_to_one_path_share_a_database() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("other")).unwrap();
        let first = open(folder.path().join("demo.db"), Options::default()).unwrap();
        let second = open(folder.path().join("other/../demo.db"), Options::default()).unwrap();
        let (writer, reader) = (client_of(&first).await, client_of(&second).await);
        create(&writer, "docs", MetricType::L2).await;
        fill(&writer, "docs").await;
        assert_eq!(count(&reader).await, ROWS as u64);
        drop((first, writer));
        // The other handle keeps it open.
        assert_eq!(count(&reader).await, ROWS as u64);
        reader.delete("docs").ids(vec![1i64]).await.unwrap();
        drop((second, reader));
        let again =
            client_of(&open(folder.path().join("demo.db"), Options::default()).unwrap()).await;
        assert_eq!(count(&again).await, ROWS as u64 - 1);
    });
}

const SECOND: &str = "MILVUS_EMBEDDED_SECOND_PROCESS";

/// The second process of the test below; does nothing by itself.
#[test]
fn second_process() {
    let Ok(path) = std::env::var(SECOND) else {
        return;
    };
    match open(std::path::Path::new(&path), Options::default()) {
        Ok(_) => eprintln!("opened"),
        Err(error) => eprintln!("refused: {error}"),
    }
}

#[test]
fn a_second_process_is_told_who_has_the_database_and_how_to_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.db");
    let told = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "second_process", "--nocapture"])
            .env(SECOND, &path)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let database = open(path.clone(), Options::default()).unwrap();
    let refusal = told();
    let who = format!("process {}", std::process::id());
    for part in [
        "refused:",
        "is open in another process",
        &who,
        "milvusctl serve",
    ] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    drop(database);
    let opened = told();
    assert!(opened.contains("opened"), "{opened}");
}
