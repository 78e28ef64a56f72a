//! Streams of pages: all rows of a query, all hits of a search.
//!
//! Invariant: over all pages, each row comes once.

use futures_util::TryStreamExt as _;
use milvus_client::schema::{CollectionSchema, FieldSchema};
use serde_json::json;

use super::documents::{DIMENSION, Document, vector};
use super::{Check, Stage, Verdict, check, expect, expect_eq};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(a_query_is_read_page_by_page),
        check!(pages_by_text_keys),
        check!(pages_begin_behind_the_offset_and_end_at_the_limit),
        check!(a_search_goes_on_page_by_page),
    ]
}

const ROWS: i64 = 500;

async fn stocked(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.collection(&Document::schema()).await?;
    let documents = Document::all(0..ROWS);
    stage.client.insert(&name).rows(&documents).await?;
    Ok(name)
}

async fn a_query_is_read_page_by_page(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let query = stage.client.query(&name).output_fields(["*"]).page_size(64);
    let mut pages = std::pin::pin!(query.pages());
    let mut found: Vec<Document> = Vec::new();
    let mut number = 0;
    while let Some(page) = pages.try_next().await? {
        expect("a page is no larger than asked for", page.len() <= 64)?;
        found.extend(page.to_vec::<Document>()?);
        if number == 1 {
            // What is written meanwhile is not seen: the stream shows one point in time.
            stage
                .client
                .insert(&name)
                .rows(&[Document::new(ROWS + 1)])
                .await?;
        }
        number += 1;
    }
    found.sort_by_key(|document| document.id);
    found.retain(|document| document.id <= ROWS);
    expect_eq("pages", number >= 8, true)?;
    expect_eq("rows", found, Document::all(0..ROWS))
}

async fn pages_by_text_keys(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::varchar("key", 32).primary_key())
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let name = stage.collection(&schema).await?;
    let key = |n: i64| format!("k\\\"{n:04}");
    let rows: Vec<_> = (0..100)
        .map(|n| json!({"key": key(n), "vector": vector(n)}))
        .collect();
    stage.client.insert(&name).rows(&rows).await?;
    let query = stage
        .client
        .query(&name)
        .output_fields(["key"])
        .page_size(30);
    let mut keys = Vec::new();
    let mut pages = std::pin::pin!(query.pages());
    while let Some(page) = pages.try_next().await? {
        for row in 0..page.len() {
            keys.extend(page.column("key")?.text(row)?.map(str::to_owned));
        }
    }
    keys.sort();
    expect_eq("keys", keys, (0..100).map(key).collect::<Vec<_>>())
}

async fn pages_begin_behind_the_offset_and_end_at_the_limit(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let pages = stage
        .client
        .query(&name)
        .filter("id >= 100 or id < 50")
        .output_fields(["id"])
        .offset(60)
        .limit(100)
        .page_size(40)
        .pages();
    let pages: Vec<_> = pages.try_collect().await?;
    let mut ids = Vec::new();
    for page in &pages {
        ids.extend_from_slice(page.column("id")?.values::<i64>()?);
    }
    ids.sort_unstable();
    expect_eq("ids", ids, (110..210).collect::<Vec<_>>())
}

async fn a_search_goes_on_page_by_page(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let search = stage.client.search(&name).vector(vector(200)).page_size(50);
    let mut ids = Vec::new();
    let mut last = f32::MIN;
    let mut pages = std::pin::pin!(search.output_fields(["title"]).pages());
    while let Some(page) = pages.try_next().await? {
        let hits = page.query(0);
        expect("a page is no larger than asked for", hits.len() <= 50)?;
        expect("nearer hits come first", hits.scores().is_sorted())?;
        expect("pages follow one another", hits.scores()[0] >= last - 1e-3)?;
        last = hits.scores()[hits.len() - 1];
        ids.extend_from_slice(hits.int64_ids());
    }
    let many = ids.len();
    ids.sort_unstable();
    ids.dedup();
    expect_eq("no hit twice", ids.len(), many)?;
    expect_eq("all rows in the end", ids, (0..ROWS).collect::<Vec<_>>())
}
