//! The example programs on real servers: Milvus 2.3.5 and Milvus Lite.

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

use milvus_testkit::real;

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn semantic_search_finds_what_is_meant() {
    let mut out = Vec::new();
    semantic_search::run(&real::plain().uri(), &mut out)
        .await
        .unwrap();
    let out = text(out);
    assert!(
        out.contains("0.57  [planets] Beneath the ice of Europa"),
        "{out}"
    );
    assert!(out.contains("0.72  [databases] Error 1205 means"), "{out}");
}

#[tokio::test]
async fn hybrid_search_says_what_an_old_server_lacks() {
    let mut out = Vec::new();
    hybrid_search::run(&real::plain().uri(), &mut out)
        .await
        .unwrap();
    let out = text(out);
    assert!(
        out.starts_with("No hybrid search here: the server at "),
        "{out}"
    );
    assert!(
        out.contains("2.3.5") && out.contains("does not have functions"),
        "{out}"
    );
}

#[tokio::test]
async fn hybrid_search_finds_by_words_and_by_meaning() {
    let mut out = Vec::new();
    hybrid_search::run(&real::lite().uri(), &mut out)
        .await
        .unwrap();
    let out = text(out);
    assert!(out.contains("By words:\n  Error 1205 means"), "{out}");
    assert!(
        out.contains("By meaning:\n  To patch an inner tube"),
        "{out}"
    );
}

/// Neither of the two has fields for the 16-bit vectors of the sample.
#[tokio::test]
async fn bulk_load_loads_the_sample() {
    for server in [real::plain(), real::lite()] {
        let mut out = Vec::new();
        bulk_load::run(None, &server.uri(), &mut out).await.unwrap();
        let out = text(out);
        assert!(out.starts_with("64 rows of 384 numbers"), "{out}");
        assert!(out.contains("nearest to row 32: row 32\n"), "{out}");
    }
}

#[tokio::test]
async fn dev_and_prod_may_be_of_two_kinds() {
    let mut out = Vec::new();
    dev_and_prod::run(&real::lite().uri(), &real::plain().uri(), &mut out)
        .await
        .unwrap();
    let out = text(out);
    assert_eq!(
        out.matches("same").count() + out.matches("different").count(),
        8,
        "{out}"
    );
    assert!(out.contains("weather    different"), "{out}");
    assert!(out.contains("databases  same       Error 1205"), "{out}");
}
