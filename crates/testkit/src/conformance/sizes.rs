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
        check!(a_large_upsert_takes_many_requests),
        check!(rows_of_an_iterator_are_upserted_piece_by_piece),
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

/// Documents that are there, changed, and as many new ones.
fn changed(ids: std::ops::Range<i64>) -> impl Iterator<Item = Document> + Clone {
    ids.map(|id| Document {
        title: format!("changed {id}"),
        ..Document::new(id)
    })
}

/// Fails unless all rows are there, and those that were upserted, and no others, are changed.
async fn expect_changed(stage: &Stage, name: &str, rows: i64, from: i64) -> Verdict {
    expect_eq("rows", count(stage, name).await?, rows as u64)?;
    let query = stage.client.query(name);
    let changed = query.filter("title like \"changed%\"").count().await?;
    expect_eq("changed rows", changed, (rows - from) as u64)?;
    let last = stage.client.get(name).ids([from - 1, from, rows - 1]);
    let last = last.output_fields(["*"]).await?;
    let mut titles: Vec<_> = last.to_vec::<Document>()?;
    titles.sort_by_key(|document| document.id);
    let titles: Vec<_> = titles.into_iter().map(|document| document.title).collect();
    let expected = [
        format!("title {}", from - 1),
        format!("changed {from}"),
        format!("changed {}", rows - 1),
    ];
    expect_eq("titles", titles, expected)
}

async fn a_large_upsert_takes_many_requests(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    let half = ROWS / 2;
    client.insert(&name).rows(&Document::all(0..ROWS)).await?;
    let rows: Vec<_> = changed(half..half + ROWS).collect();
    let upsert = client.upsert(&name).rows(&rows).request_bytes(16 << 10);
    let written = upsert.concurrency(3).await?;
    expect_eq("rows written", written.rows, ROWS as u64)?;
    expect("many requests", written.requests > 5)?;
    let ids: Vec<_> = (half..half + ROWS).collect();
    expect_eq("ids in the order of the rows", written.ids.as_int64(), ids)?;
    expect_changed(stage, &name, half + ROWS, half).await
}

async fn rows_of_an_iterator_are_upserted_piece_by_piece(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    let half = ROWS / 2;
    client.insert(&name).rows(&Document::all(0..ROWS)).await?;
    let upsert = client.upsert(&name).rows_from(changed(half..half + ROWS));
    let written = upsert.request_bytes(32 << 10).await?;
    expect_eq("rows written", written.rows, ROWS as u64)?;
    expect("many requests", written.requests > 2)?;
    expect_changed(stage, &name, half + ROWS, half).await
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
