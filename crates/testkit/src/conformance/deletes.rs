//! Rows replaced and deleted.
//!
//! Invariant: what was deleted is not read again by the one who deleted it.

use milvus_client::Error;
use serde_json::json;

use super::documents::{Document, vector};
use super::{Check, Lack, Stage, Verdict, check, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(rows_are_deleted_by_ids_and_by_filter),
        check!(
            a_filter_of_a_delete_has_placeholders,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(a_delete_without_a_choice_is_refused),
        check!(an_upsert_replaces_rows),
        check!(the_last_row_of_a_key_stays),
        check!(a_partial_upsert_keeps_the_rest, Milvus23 => Lack::MissingFeature),
    ]
}

async fn stocked(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.collection(&Document::schema()).await?;
    let documents = Document::all(0..20);
    stage.client.insert(&name).rows(&documents).await?;
    Ok(name)
}

async fn ids(stage: &Stage, name: &str) -> milvus_client::Result<Vec<i64>> {
    let query = stage.client.query(name).filter("id >= 0");
    let rows = query.output_fields(["id"]).await?;
    let mut ids = if rows.is_empty() {
        Vec::new()
    } else {
        rows.column("id")?.values::<i64>()?.to_vec()
    };
    ids.sort_unstable();
    Ok(ids)
}

async fn rows_are_deleted_by_ids_and_by_filter(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    stage.client.delete(&name).ids([0, 1, 2]).await?;
    expect_eq("ids", ids(stage, &name).await?, (3..20).collect::<Vec<_>>())?;
    stage.client.delete(&name).filter("id in [3, 4, 5]").await?;
    expect_eq("ids", ids(stage, &name).await?, (6..20).collect::<Vec<_>>())
}

async fn a_filter_of_a_delete_has_placeholders(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    stage
        .client
        .delete(&name)
        .filter("id in {gone}")
        .filter_value("gone", (5..20).collect::<Vec<i64>>())
        .await?;
    expect_eq("ids", ids(stage, &name).await?, [0, 1, 2, 3, 4])
}

async fn a_delete_without_a_choice_is_refused(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    for delete in [
        stage.client.delete(&name),
        stage.client.delete(&name).filter(" "),
        stage.client.delete(&name).ids([1]).filter("id > 1"),
    ] {
        match delete.await {
            Err(Error::InvalidRequest(_)) => {}
            other => return wrong(format!("accepted: {other:?}")),
        }
    }
    expect_eq("rows", ids(stage, &name).await?.len(), 20)
}

async fn an_upsert_replaces_rows(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let mut changed = Document::new(7);
    changed.title = "changed".to_owned();
    let rows = [changed.clone(), Document::new(100)];
    let written = stage.client.upsert(&name).rows(&rows).await?;
    expect_eq("rows written", written.rows, 2)?;
    expect_eq("rows", ids(stage, &name).await?.len(), 21)?;
    let found = stage
        .client
        .get(&name)
        .ids([7])
        .output_fields(["*"])
        .await?;
    expect_eq("row", found.row::<Document>(0)?, changed)
}

async fn the_last_row_of_a_key_stays(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    // Each request takes one row, so that four would be under way at a time.
    let row = |year: i32| json!({"id": 1, "title": "t", "year": year, "vector": vector(1)});
    let rows: Vec<_> = (0..12).map(row).collect();
    stage
        .client
        .upsert(&name)
        .rows(&rows)
        .request_bytes(1)
        .await?;
    let found = stage
        .client
        .get(&name)
        .ids([1])
        .output_fields(["year"])
        .await?;
    expect_eq("years", found.column("year")?.values::<i32>()?, [11])
}

async fn a_partial_upsert_keeps_the_rest(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    stage
        .client
        .upsert(&name)
        .rows(&[json!({"id": 3, "title": "new"})])
        .partial()
        .await?;
    let mut expected = Document::new(3);
    expected.title = "new".to_owned();
    let found = stage
        .client
        .get(&name)
        .ids([3])
        .output_fields(["*"])
        .await?;
    expect_eq("row", found.row::<Document>(0)?, expected)
}
