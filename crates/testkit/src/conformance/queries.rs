//! Queries: filters, placeholders, output fields, counts, orders, consistency.
//!
//! Invariant: a query returns exactly the rows for which its filter is true.

use milvus_client::{ConsistencyLevel, Error, Order};

use super::documents::{Document, vector};
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
        check!(every_read_sees_ones_own_writes),
        check!(own_writes_are_seen_through_an_alias),
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
    for own in [
        ConsistencyLevel::Bounded,
        ConsistencyLevel::Eventually,
        ConsistencyLevel::Session,
        ConsistencyLevel::Strong,
    ] {
        let name = stage.collection_of_level(&Document::schema(), own).await?;
        for round in 0..5 {
            let documents = Document::all(round * 10..round * 10 + 10);
            let written = stage.client.insert(&name).rows(&documents).await?;
            let expected = (round as u64 + 1) * 10;
            let query = || stage.client.query(&name).filter("id >= 0");
            let what = format!("{own:?}, without a level");
            expect_eq(&what, query().count().await?, expected)?;
            for level in [
                ConsistencyLevel::Session,
                ConsistencyLevel::Strong,
                ConsistencyLevel::Timestamp(written.timestamp),
            ] {
                let count = query().consistency(level).count().await?;
                expect_eq(&format!("{own:?}, {level:?}"), count, expected)?;
            }
        }
    }
    Ok(())
}

async fn every_read_sees_ones_own_writes(stage: &mut Stage) -> Verdict {
    use futures_util::TryStreamExt as _;
    let name = stage.collection(&Document::schema()).await?;
    let client = &stage.client;
    for round in 0..5_i64 {
        let ids = round * 10..round * 10 + 10;
        let documents = Document::all(ids.clone());
        client.insert(&name).rows(&documents).await?;
        // Each kind of read is the first one after a write of its own.
        let found = client.search(&name).vector(vector(ids.end)).limit(1);
        let nearest = found.await?.query(0).int64_ids().to_vec();
        expect_eq("searched", nearest, [ids.end - 1])?;
        client
            .upsert(&name)
            .rows(&[Document::new(ids.start)])
            .await?;
        let got = client
            .get(&name)
            .ids(ids.clone().collect::<Vec<_>>())
            .await?;
        expect_eq("got", got.len(), 10)?;
        client.delete(&name).ids([ids.start]).await?;
        let left = client.query(&name).filter("id >= 0").count().await?;
        expect_eq("after a delete", left, ids.end as u64 - round as u64 - 1)?;
        client
            .insert(&name)
            .rows(&[Document::new(1_000 + round)])
            .await?;
        let pages = client.query(&name).filter("id >= 1000").pages();
        let pages: Vec<_> = pages.try_collect().await?;
        let rows: usize = pages.iter().map(|page| page.len()).sum();
        expect_eq("in pages", rows, 1)?;
        client.delete(&name).ids([1_000 + round]).await?;
    }
    Ok(())
}

async fn own_writes_are_seen_through_an_alias(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let alias = stage.alias().await;
    let client = stage.client.clone();
    client.create_alias(&name, &alias).await?;
    for round in 0..4_i64 {
        let (written, read) = if round % 2 == 0 {
            (&name, &alias)
        } else {
            (&alias, &name)
        };
        client.insert(written).rows(&[Document::new(round)]).await?;
        let count = client.query(read).filter("id >= 0").count().await?;
        expect_eq(
            &format!("written to {written}, read from {read}"),
            count as i64,
            round + 1,
        )?;
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
