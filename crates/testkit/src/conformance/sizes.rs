//! Any size: writes and reads that take many requests.
//!
//! Invariant: every row is written once and read once, however many requests it takes.

use std::sync::Mutex;

use milvus_client::Ids;

use super::documents::{DIMENSION, Document, vector};
use super::{Check, Stage, Verdict, check, expect, expect_eq};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(a_large_insert_takes_many_requests),
        check!(rows_of_an_iterator_are_sent_piece_by_piece),
        check!(many_ids_are_got_and_deleted),
    ]
}

const ROWS: i64 = 3_000;

async fn count(stage: &Stage, name: &str) -> milvus_client::Result<u64> {
    let query = stage.client.query(name).filter("id >= 0");
    query.count().await
}

async fn a_large_insert_takes_many_requests(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let ids: Vec<i64> = (0..ROWS).collect();
    let titles: Vec<_> = ids.iter().map(|id| format!("title {id}")).collect();
    let years = vec![2000; ids.len()];
    let vectors: Vec<f32> = ids.iter().flat_map(|id| vector(*id)).collect();
    let reports = Mutex::new(Vec::new());
    let written = stage
        .client
        .insert(&name)
        .column("id", &ids)
        .column("title", titles)
        .column("year", years)
        .column("vector", vectors)
        .request_bytes(16 << 10)
        .concurrency(3)
        .on_progress(|progress| {
            if let Ok(mut reports) = reports.lock() {
                reports.push((progress.acknowledged, progress.total));
            }
        })
        .await?;
    expect_eq("rows written", written.rows, ROWS as u64)?;
    expect("many requests", written.requests > 5)?;
    expect_eq("ids in the order of the rows", written.ids.as_int64(), ids)?;
    let reports = reports.into_inner().unwrap_or_default();
    expect_eq("reports", reports.len(), written.requests)?;
    expect("progress only grows", reports.is_sorted())?;
    expect_eq(
        "last report",
        reports.last(),
        Some(&(ROWS as u64, Some(ROWS as u64))),
    )?;
    expect_eq(
        "rows in the collection",
        count(stage, &name).await?,
        ROWS as u64,
    )
}

async fn rows_of_an_iterator_are_sent_piece_by_piece(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let written = stage
        .client
        .insert(&name)
        .rows_from((0..ROWS).map(Document::new))
        .request_bytes(32 << 10)
        .await?;
    expect_eq("rows written", written.rows, ROWS as u64)?;
    expect("many requests", written.requests > 2)?;
    expect_eq(
        "rows in the collection",
        count(stage, &name).await?,
        ROWS as u64,
    )
}

async fn many_ids_are_got_and_deleted(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = &stage.client;
    let documents = Document::all(0..ROWS);
    client.insert(&name).rows(&documents).await?;
    // Twice as many ids as a request takes, of which most have no row.
    let ids: Vec<i64> = (0..33_000).collect();
    let rows = client
        .get(&name)
        .ids(ids.as_slice())
        .output_fields(["vector"])
        .await?;
    expect_eq("rows got", rows.len(), ROWS as usize)?;
    let elements = rows.column("vector")?.values::<f32>()?.len();
    expect_eq("elements", elements, ROWS as usize * DIMENSION)?;
    let kept = 10;
    let deleted = client.delete(&name).ids(Ids::from(&ids[kept..])).await?;
    expect("many requests", deleted.requests > 1)?;
    expect_eq("rows left", count(stage, &name).await?, kept as u64)
}
