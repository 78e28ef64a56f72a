//! The example programs, over databases in this process: each is run, and what it prints is read.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::duplicate_mod,
    reason = "each example is a program with modules of its own"
)]

#[allow(dead_code, reason = "a program of its own")]
#[path = "../examples/bulk_load.rs"]
mod bulk_load;
#[allow(dead_code, reason = "a program of its own")]
#[path = "../examples/dev_and_prod.rs"]
mod dev_and_prod;
#[allow(dead_code, reason = "a program of its own")]
#[path = "../examples/hybrid_search.rs"]
mod hybrid_search;
#[allow(dead_code, reason = "a program of its own")]
#[path = "../examples/semantic_search.rs"]
mod semantic_search;

use std::path::Path;

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn semantic_search_finds_what_is_meant() {
    let mut out = Vec::new();
    semantic_search::run("memory:example-semantic", &mut out)
        .await
        .unwrap();
    let out = text(out);
    insta::assert_snapshot!(out.lines().take(9).collect::<Vec<_>>().join("\n"));
    assert!(out.contains("And about the weather only:\n"), "{out}");
    assert!(
        out.trim_end().lines().last().unwrap().contains("[weather]"),
        "{out}"
    );
}

#[tokio::test]
async fn semantic_search_runs_on_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("library.db").display().to_string();
    let mut out = Vec::new();
    semantic_search::run(&uri, &mut out).await.unwrap();
    assert!(text(out).contains("Europa"));
}

#[tokio::test]
async fn hybrid_search_finds_by_words_and_by_meaning() {
    let mut out = Vec::new();
    hybrid_search::run("memory:example-hybrid", &mut out)
        .await
        .unwrap();
    insta::assert_snapshot!(text(out));
}

#[tokio::test]
async fn bulk_load_loads_the_sample() {
    let mut out = Vec::new();
    bulk_load::run(None, "memory:example-bulk", &mut out)
        .await
        .unwrap();
    insta::assert_snapshot!(text(out));
}

#[tokio::test]
async fn bulk_load_loads_many_vectors() {
    // Real ones where they are at hand, made ones elsewhere.
    let real =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/wordnet_queries_f16.npy");
    let folder = tempfile::tempdir().unwrap();
    let path = if real.exists() {
        real
    } else {
        let path = folder.path().join("made.npy");
        std::fs::write(&path, made(1_000)).unwrap();
        path
    };
    let uri = folder.path().join("bulk.db").display().to_string();
    let mut out = Vec::new();
    bulk_load::run(Some(&path), &uri, &mut out).await.unwrap();
    let out = text(out);
    assert!(out.starts_with("1000 rows of "), "{out}");
    assert!(out.contains("nearest to row 500: row 500\n"), "{out}");
}

/// A NumPy file of unlike vectors.
fn made(rows: usize) -> Vec<u8> {
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 16), }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&u16::try_from(head.len()).unwrap().to_le_bytes());
    file.extend_from_slice(head.as_bytes());
    for number in 0..rows * 16 {
        let value = (number as f32 * 0.737).sin();
        file.extend_from_slice(&value.to_le_bytes());
    }
    file
}

#[tokio::test]
async fn bulk_load_says_what_is_no_numpy_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.parquet");
    std::fs::write(&path, b"PAR1").unwrap();
    let error = bulk_load::run(Some(&path), "memory:example-no-file", &mut Vec::new()).await;
    let said = error.unwrap_err().to_string();
    assert_eq!(
        said,
        "not a NumPy file of vectors: it does not begin with \\x93NUMPY"
    );
}

#[tokio::test]
async fn dev_and_prod_are_compared() {
    let mut out = Vec::new();
    dev_and_prod::run("memory:example-dev", "memory:example-prod", &mut out)
        .await
        .unwrap();
    insta::assert_snapshot!(text(out));
}
