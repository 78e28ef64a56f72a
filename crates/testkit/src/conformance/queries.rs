//! Queries: filters, placeholders, output fields, counts, orders, consistency.
//!
//! Invariant: a query returns exactly the rows for which its filter is true.

use milvus_client::{ConsistencyLevel, Error, Order};

use super::documents::Document;
use super::{Check, Lack, Stage, Verdict, check, expect, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(filters_choose_rows),
        check!(
            placeholders_are_filled,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(limits_and_offsets_cut),
        check!(rows_are_counted),
        check!(a_query_without_a_choice_is_refused),
        check!(
            rows_are_ordered,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(one_sees_ones_own_writes),
        check!(a_wrong_filter_is_the_callers_fault),
    ]
}

async fn stocked(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.collection(&Document::schema()).await?;
    let documents = Document::all(0..50);
    stage.client.insert(&name).rows(&documents).await?;
    Ok(name)
}

async fn filters_choose_rows(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    for (filter, matches) in [
        ("id < 10", (|d| d.id < 10) as fn(&Document) -> bool),
        ("year == 2003 and id > 20", |d| d.year == 2003 && d.id > 20),
        ("title like \"title 1%\"", |d| {
            d.title.starts_with("title 1")
        }),
        ("year in [2001, 2002] or id == 49", |d| {
            [2001, 2002].contains(&d.year) || d.id == 49
        }),
        ("not (id >= 5)", |d| d.id < 5),
    ] {
        let query = stage.client.query(&name).filter(filter);
        let mut found: Vec<Document> = query.output_fields(["*"]).await?.to_vec()?;
        found.sort_by_key(|document| document.id);
        let mut expected = Document::all(0..50);
        expected.retain(matches);
        expect_eq(filter, found, expected)?;
    }
    Ok(())
}

async fn placeholders_are_filled(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let found = stage
        .client
        .query(&name)
        .filter("year in {years} and title != {title} and id < {most}")
        .filter_value("years", [2001, 2002])
        .filter_value("title", "title 1")
        .filter_value("most", 20)
        .output_fields(["id"])
        .await?;
    let mut ids = found.column("id")?.values::<i64>()?.to_vec();
    ids.sort_unstable();
    expect_eq("ids", ids, [2, 11, 12])
}

async fn limits_and_offsets_cut(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let query = stage.client.query(&name).output_fields(["id"]);
    let first = query.clone().limit(7).await?;
    expect_eq("rows", first.len(), 7)?;
    let rest = query.filter("id >= 0").limit(100).offset(40).await?;
    expect_eq("rows behind 40", rest.len(), 10)
}

async fn rows_are_counted(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    expect_eq("all", stage.client.query(&name).count().await?, 50)?;
    let some = stage.client.query(&name).filter("year == 2001");
    expect_eq("some", some.count().await?, 5)?;
    let none = stage.client.query(&name).filter("year == 1");
    expect_eq("none", none.count().await?, 0)
}

async fn a_query_without_a_choice_is_refused(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    match stage.client.query(&name).await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("accepted: {other:?}")),
    }
}

async fn rows_are_ordered(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let found = stage
        .client
        .query(&name)
        .filter("id < 10")
        .output_fields(["id"])
        .order_by("id", Order::Descending)
        .limit(3)
        .await?;
    expect_eq("ids", found.column("id")?.values::<i64>()?, [9, 8, 7])
}

async fn one_sees_ones_own_writes(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    for round in 0..5 {
        let documents = Document::all(round * 10..round * 10 + 10);
        let written = stage.client.insert(&name).rows(&documents).await?;
        let expected = (round as u64 + 1) * 10;
        let query = || stage.client.query(&name).filter("id >= 0");
        expect_eq("without a level", query().count().await?, expected)?;
        for level in [
            ConsistencyLevel::Session,
            ConsistencyLevel::Strong,
            ConsistencyLevel::Timestamp(written.timestamp),
        ] {
            let count = query().consistency(level).count().await?;
            expect_eq(&format!("{level:?}"), count, expected)?;
        }
    }
    Ok(())
}

async fn a_wrong_filter_is_the_callers_fault(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let Err(error) = stage.client.query(&name).filter("id >").await else {
        return wrong("the filter `id >` was accepted");
    };
    let reason = error
        .connection_error()
        .and_then(|error| error.answer())
        .map(|answer| answer.reason().to_owned());
    expect(
        "the server's words are kept",
        reason.is_some_and(|reason| !reason.is_empty()),
    )
}
