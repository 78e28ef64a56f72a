//! The forms of search and query: by ids, in a range, in groups, in pages, rounded, ordered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use futures_util::{StreamExt as _, pin_mut};
use milvus_client::{Client, MetricType, Search};

#[path = "support/client.rs"]
mod support;
use support::{DIM, ROWS, block_on, create, fill, in_memory, random, stored};

async fn filled(name: &str, metric: MetricType) -> Client {
    let client = in_memory(name).await;
    create(&client, "docs", metric).await;
    fill(&client, "docs").await;
    client
}

fn search(client: &Client, limit: u64) -> Search {
    client.search("docs").vector(random(2, DIM)).limit(limit)
}

async fn hits(search: Search) -> Vec<(i64, f32)> {
    let found = search.await.unwrap();
    let hits = found.query(0);
    hits.int64_ids()
        .iter()
        .copied()
        .zip(hits.scores().iter().copied())
        .collect()
}

async fn refused(search: Search) -> String {
    search
        .await
        .map(|found| found.len())
        .unwrap_err()
        .to_string()
}

#[test]
fn stored_vectors_are_searched_for_by_their_keys() {
    block_on(async {
        let client = filled("by-ids", MetricType::L2).await;
        let vectors = stored();
        let by_ids = client
            .search("docs")
            .near_ids(vec![17, 3])
            .limit(5)
            .await
            .unwrap();
        for (place, id) in [17usize, 3].into_iter().enumerate() {
            let vector = vectors[id * DIM..(id + 1) * DIM].to_vec();
            let by_vector = client.search("docs").vector(vector).limit(5).await.unwrap();
            assert_eq!(
                by_ids.query(place).int64_ids(),
                by_vector.query(0).int64_ids()
            );
            assert_eq!(by_ids.query(place).int64_ids()[0], id as i64);
            assert_eq!(by_ids.query(place).scores(), by_vector.query(0).scores());
        }
        let error = refused(client.search("docs").near_ids(vec![3, 9999]).limit(5)).await;
        assert!(error.contains("do not exist"), "{error}");
    });
}

#[test]
fn a_range_excludes_its_radius_and_includes_its_filter() {
    block_on(async {
        for metric in [MetricType::L2, MetricType::InnerProduct, MetricType::Cosine] {
            let client = filled(&format!("range-{metric:?}"), metric).await;
            let all = hits(search(&client, ROWS as u64)).await;
            assert_eq!(all.len(), ROWS as usize);
            // The better bound is the score of the 10th hit, the worse one that of the 30th.
            let found = hits(
                search(&client, 100)
                    .radius(all[29].1)
                    .range_filter(all[9].1),
            )
            .await;
            assert_eq!(found, &all[9..29]);
            let found = hits(search(&client, 100).radius(all[29].1)).await;
            assert_eq!(found, &all[..29]);
            let error = refused(search(&client, 10).radius(all[9].1).range_filter(all[29].1)).await;
            assert!(error.contains("range_filter must be"), "{error}");
        }
    });
}

#[test]
fn offsets_continue_where_the_page_before_ended() {
    block_on(async {
        let client = filled("offset", MetricType::Cosine).await;
        let all = hits(search(&client, 60)).await;
        let mut paged = Vec::new();
        for page in 0..4 {
            paged.extend(hits(search(&client, 15).offset(page * 15)).await);
        }
        assert_eq!(paged, all);
        assert!(hits(search(&client, 15).offset(500)).await.is_empty());
        let error = refused(search(&client, 10).offset(16_380)).await;
        assert!(error.contains("16384"), "{error}");
    });
}

#[test]
fn scores_are_rounded_and_not_reordered() {
    block_on(async {
        let client = filled("rounded", MetricType::L2).await;
        let exact = hits(search(&client, 20)).await;
        for places in [0u8, 2, 6] {
            let rounded = hits(search(&client, 20).round_decimal(places)).await;
            for ((id, exact), (same, rounded)) in exact.iter().zip(&rounded) {
                assert_eq!(id, same);
                let scale = 10f64.powi(places.into());
                let expected = ((f64::from(*exact) * scale).round() / scale) as f32;
                assert_eq!(*rounded, expected);
            }
        }
    });
}

#[test]
fn groups_hold_their_best_hits() {
    block_on(async {
        let client = filled("groups", MetricType::L2).await;
        let all = hits(search(&client, ROWS as u64)).await;
        let best_of = |group: i64| all.iter().filter(move |(id, _)| id % 10 == group).copied();
        let mut order: Vec<i64> = Vec::new();
        for (id, _) in &all {
            if !order.contains(&(id % 10)) {
                order.push(id % 10);
            }
        }
        let found = hits(search(&client, 4).group_by("n")).await;
        let expected: Vec<_> = order
            .iter()
            .take(4)
            .filter_map(|group| best_of(*group).next())
            .collect();
        assert_eq!(found, expected);
        let found = hits(
            search(&client, 3)
                .group_by("n")
                .group_size(2)
                .strict_group_size(),
        )
        .await;
        let expected: Vec<_> = order
            .iter()
            .take(3)
            .flat_map(|group| best_of(*group).take(2))
            .collect();
        assert_eq!(found.len(), 6);
        for hit in &expected {
            assert!(found.contains(hit), "{hit:?} of {found:?}");
        }
        // Filters apply before groups are made.
        let found = hits(search(&client, 10).group_by("n").filter("n in [3, 4]")).await;
        assert_eq!(found.len(), 2);
    });
}

#[test]
fn queries_are_ordered_by_key_unless_asked_otherwise() {
    block_on(async {
        let client = filled("order", MetricType::L2).await;
        client.flush(["docs"]).await.unwrap();
        client.delete("docs").filter("id in [5, 6]").await.unwrap();
        let ids = async |filter: &str, order: Option<&str>, offset: u64, limit: u64| -> Vec<i64> {
            let mut query = client
                .query("docs")
                .filter(filter)
                .output_fields(["id"])
                .offset(offset)
                .limit(limit);
            if let Some(order) = order {
                query = query.parameter("order_by_fields", order);
            }
            let rows = query.await.unwrap();
            rows.column("id").unwrap().values::<i64>().unwrap().to_vec()
        };
        assert_eq!(ids("id >= 0", None, 3, 4).await, [3, 4, 7, 8]);
        assert_eq!(ids("id < 100", Some("id:desc"), 0, 3).await, [99, 98, 97]);
        assert_eq!(
            ids("id < 30", Some("n:desc,id:asc"), 1, 4).await,
            [19, 29, 8, 18]
        );
        assert_eq!(ids("id < 30", Some("text"), 0, 4).await, [0, 1, 10, 11]);
        let query = client
            .query("docs")
            .filter("id >= 0")
            .output_fields(["id"])
            .parameter("order_by_fields", "nope");
        let error = query
            .limit(3)
            .await
            .map(|rows| rows.len())
            .unwrap_err()
            .to_string();
        assert!(error.contains("nope"), "{error}");
    });
}

#[test]
fn iterators_meet_every_row_once() {
    block_on(async {
        let client = filled("iterators", MetricType::L2).await;
        let mut seen = Vec::new();
        let pages = client
            .query("docs")
            .filter("n != 3")
            .output_fields(["id"])
            .page_size(17)
            .pages();
        pin_mut!(pages);
        while let Some(page) = pages.next().await {
            seen.extend(
                page.unwrap()
                    .column("id")
                    .unwrap()
                    .values::<i64>()
                    .unwrap()
                    .to_vec(),
            );
        }
        let expected: Vec<i64> = (0..ROWS).filter(|id| id % 10 != 3).collect();
        assert_eq!(seen, expected);

        let all = hits(search(&client, ROWS as u64)).await;
        let mut found = Vec::new();
        let pages = client
            .search("docs")
            .vector(random(2, DIM))
            .limit(ROWS as u64)
            .page_size(13)
            .pages();
        pin_mut!(pages);
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            let hits = page.query(0);
            found.extend(
                hits.int64_ids()
                    .iter()
                    .copied()
                    .zip(hits.scores().iter().copied()),
            );
        }
        assert_eq!(found, all);
    });
}
