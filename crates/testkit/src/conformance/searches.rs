//! Searches: nearness, filters, ranges, groups, several queries, several fields.
//!
//! Invariant: on a flat index a search returns the exactly nearest rows, nearest first.

use milvus_client::schema::{CollectionSchema, FieldSchema, FunctionSchema, FunctionType};
use milvus_client::{AnnSearch, Error, MetricType, Rerank, Rule};
use serde::Deserialize;
use serde_json::json;

use super::documents::{DIMENSION, Document, vector};
use super::{Check, Lack, Stage, Verdict, check, expect, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(the_nearest_come_first),
        check!(several_queries_are_answered_in_order),
        check!(filters_and_ranges_hold),
        check!(offsets_cut_and_scores_are_rounded),
        check!(hits_are_grouped, Milvus23 => Lack::MissingFeature),
        check!(
            search_placeholders_are_filled,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(vectors_that_do_not_fit_are_refused),
        check!(
            groups_have_several_hits,
            Milvus23 => Lack::MissingFeature,
        ),
        check!(
            rows_are_searched_for_by_their_ids,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(
            hits_are_reranked_by_a_function,
            Milvus23 => Lack::MissingFeature,
            Embedded => Lack::MissingFeature,
        ),
        check!(a_metric_can_be_said),
        check!(searches_are_merged, Milvus23 => Lack::MissingFeature),
        check!(searches_of_one_field_are_merged, Milvus23 => Lack::MissingFeature),
    ]
}

async fn stocked(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.collection(&Document::schema()).await?;
    let documents = Document::all(0..50);
    stage.client.insert(&name).rows(&documents).await?;
    Ok(name)
}

async fn the_nearest_come_first(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let found = stage
        .client
        .search(&name)
        .vector(vector(20))
        .output_fields(["title", "year"])
        .limit(5)
        .await?;
    let hits = found.query(0);
    expect_eq("nearest", hits.int64_ids().first(), Some(&20))?;
    let mut ids = hits.int64_ids().to_vec();
    ids.sort_unstable();
    expect_eq("ids", ids, [18, 19, 20, 21, 22])?;
    expect("scores grow with distance", hits.scores().is_sorted())?;
    expect("the nearest is there itself", hits.scores()[0].abs() < 1e-3)?;

    #[derive(Deserialize)]
    struct Fields<'a> {
        id: i64,
        title: &'a str,
        year: i32,
        score: f32,
    }
    for hit in hits {
        let fields: Fields<'_> = hit.fields()?;
        let document = Document::new(fields.id);
        expect_eq("id", hit.id().to_string(), fields.id.to_string())?;
        expect_eq("title", fields.title, document.title.as_str())?;
        expect_eq("year", fields.year, document.year)?;
        expect_eq("score", fields.score, hit.score())?;
    }
    Ok(())
}

async fn several_queries_are_answered_in_order(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let vectors = [vector(3), vector(40), vector(11)];
    let found = stage.client.search(&name).vectors(vectors).limit(2).await?;
    expect_eq("queries", found.len(), 3)?;
    let nearest: Vec<_> = found.queries().map(|hits| hits.int64_ids()[0]).collect();
    expect_eq("nearest", nearest, [3, 40, 11])?;
    expect("two hits each", found.queries().all(|hits| hits.len() == 2))
}

async fn filters_and_ranges_hold(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let search = stage.client.search(&name).vector(vector(20)).limit(50);
    let odd = search.clone().filter("year == 2001").await?;
    expect_eq("filtered", odd.query(0).len(), 5)?;
    // Neighbours differ by 1 in each of 8 dimensions: their squared distance is 8.
    let near = search.clone().radius(9.0).await?;
    let mut ids = near.query(0).int64_ids().to_vec();
    ids.sort_unstable();
    expect_eq("within the radius", ids, [19, 20, 21])?;
    let ring = search.radius(9.0).range_filter(1.0).await?;
    let mut ids = ring.query(0).int64_ids().to_vec();
    ids.sort_unstable();
    expect_eq("in the ring", ids, [19, 21])
}

async fn offsets_cut_and_scores_are_rounded(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let mut query = vector(0);
    query[0] -= 0.123_456;
    let search = stage.client.search(&name).vector(query).limit(3);
    let all = search.clone().limit(5).await?;
    let behind = search.clone().offset(2).await?;
    expect_eq(
        "behind two",
        behind.query(0).int64_ids(),
        &all.query(0).int64_ids()[2..],
    )?;
    let rounded = search.round_decimal(1).await?;
    let is_rounded = |score: &f32| (score * 10.0 - (score * 10.0).round()).abs() < 1e-3;
    expect(
        "scores are rounded",
        rounded.query(0).scores().iter().all(is_rounded),
    )
}

async fn hits_are_grouped(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let found = stage
        .client
        .search(&name)
        .vector(vector(25))
        .group_by("year")
        .output_fields(["year"])
        .limit(10)
        .await?;
    let (column, rows) = found.query(0).column("year")?;
    let mut years = column.values::<i32>()?[rows].to_vec();
    years.sort_unstable();
    years.dedup();
    expect_eq("each year once", years.len(), 10)
}

async fn groups_have_several_hits(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let search = stage
        .client
        .search(&name)
        .vector(vector(25))
        .filter("id >= 10 or year == 2001")
        .group_by("year")
        .output_fields(["year"])
        .limit(3)
        .group_size(5);
    // The row 1 makes the group of 2001 the only one of five.
    let found = search.strict_group_size().await?;
    let (column, rows) = found.query(0).column("year")?;
    let years = &column.values::<i32>()?[rows];
    expect_eq("full groups only", years, [2001; 5])
}

async fn rows_are_searched_for_by_their_ids(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let found = stage.client.search(&name).near_ids([7, 30]).limit(3);
    let found = found.await?;
    expect_eq("queries", found.len(), 2)?;
    for (query, id) in [(0, 7), (1, 30)] {
        let mut ids = found.query(query).int64_ids().to_vec();
        ids.sort_unstable();
        expect_eq("its neighbours", ids, [id - 1, id, id + 1])?;
    }
    Ok(())
}

async fn hits_are_reranked_by_a_function(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let newest = FunctionSchema::new("newest", FunctionType::Rerank)
        .input("year")
        .parameter("reranker", "decay")
        .parameter("function", "gauss")
        .parameter("origin", 2009)
        .parameter("scale", 1)
        .parameter("decay", 0.01);
    let search = stage.client.search(&name).vector(vector(5)).limit(10);
    let plain = search.clone().await?;
    expect_eq("the nearest", plain.query(0).int64_ids()[0], 5)?;
    let reranked = search.rerank(newest).await?;
    expect_eq(
        "the newest of the near",
        reranked.query(0).int64_ids()[0],
        9,
    )
}

async fn a_metric_can_be_said(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let search = stage.client.search(&name).vector(vector(20)).limit(1);
    let same = search.clone().metric_type(MetricType::L2).await?;
    expect_eq("the index's own", same.query(0).int64_ids(), [20])?;
    let novelty = MetricType::Other("NO_SUCH_METRIC".to_owned());
    let refused = search.metric_type(novelty).await;
    expect("one that nobody has", refused.is_err())
}

async fn search_placeholders_are_filled(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let found = stage
        .client
        .search(&name)
        .vector(vector(10))
        .filter("id > {least}")
        .filter_value("least", 30)
        .limit(1)
        .await?;
    expect_eq("nearest", found.query(0).int64_ids(), [31])
}

async fn vectors_that_do_not_fit_are_refused(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    for (query, rule) in [
        (
            vec![1.0; 7],
            Rule::Dimension {
                expected: 8,
                found: 7,
            },
        ),
        (vec![f32::INFINITY; 8], Rule::Finite { element: Some(0) }),
    ] {
        match stage.client.search(&name).vector(query).await {
            Err(Error::InvalidValue(invalid)) => {
                expect_eq("field", invalid.field.as_str(), "vector")?;
                expect_eq("rule", &invalid.rule, &rule)?;
            }
            other => return wrong(format!("accepted: {other:?}")),
        }
    }
    match stage.client.search(&name).await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("a search for nothing was accepted: {other:?}")),
    }
}

async fn searches_are_merged(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("first", DIMENSION))
        .field(FieldSchema::float_vector("second", DIMENSION));
    let name = stage.collection_by_verb(schema).await?;
    let row = |id: i64| json!({"id": id, "first": vector(id), "second": vector(100 - id)});
    let rows: Vec<_> = (0..50).map(row).collect();
    stage.client.insert(&name).rows(&rows).await?;
    let hybrid = |rerank| {
        stage
            .client
            .hybrid_search(&name)
            .search(AnnSearch::new("first").vector(vector(10)).limit(5))
            .search(AnnSearch::new("second").vector(vector(90)).limit(5))
            .rerank(rerank)
            .output_fields(["id"])
            .limit(3)
    };
    for rerank in [Rerank::rrf(), Rerank::weighted([0.5, 0.5])] {
        let found = hybrid(rerank.clone()).await?;
        let hits = found.query(0);
        expect_eq("hits", hits.len(), 3)?;
        expect_eq(&format!("best by {rerank:?}"), hits.int64_ids()[0], 10)?;
    }
    let uneven = hybrid(Rerank::weighted([1.0])).await;
    expect(
        "a weight for each search",
        matches!(uneven, Err(Error::InvalidRequest(_))),
    )?;
    match stage.client.search(&name).vector(vector(1)).await {
        Err(Error::InvalidRequest(invalid)) => {
            expect_eq("parameter", invalid.parameter.as_str(), "field")
        }
        other => wrong(format!(
            "a search in one of two fields was accepted: {other:?}"
        )),
    }
}

async fn searches_of_one_field_are_merged(stage: &mut Stage) -> Verdict {
    let name = stocked(stage).await?;
    let found = stage
        .client
        .hybrid_search(&name)
        .search(AnnSearch::new("vector").vector(vector(10)).limit(3))
        .search(
            AnnSearch::new("vector")
                .vector(vector(30))
                .filter("id > 20")
                .limit(3),
        )
        .limit(6)
        .await?;
    let mut ids = found.query(0).int64_ids().to_vec();
    ids.sort_unstable();
    expect_eq("ids", ids, [9, 10, 11, 29, 30, 31])
}
