//! Grouped searches against what all hits, in their order, make of groups; with more groups than are held at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use milvus_client::{Client, MetricType, Search};

#[path = "support/client.rs"]
mod support;
use support::{DIM, block_on, create, in_memory, random};

const MANY: i64 = 6000;
/// Rows of most groups; some have one more, some one fewer.
const EACH: i64 = 3;

fn group_of(id: i64) -> i64 {
    (id * 7919 % MANY) / EACH + i64::from(id % 11 == 0)
}

async fn filled(name: &str) -> Client {
    let client = in_memory(name).await;
    create(&client, "docs", MetricType::L2).await;
    // Half in a file, half growing.
    for ids in [0..MANY / 2, MANY / 2..MANY] {
        let ids: Vec<i64> = ids.collect();
        let groups: Vec<i64> = ids.iter().map(|id| group_of(*id)).collect();
        let texts: Vec<String> = groups
            .iter()
            .map(|group| format!("group {group}"))
            .collect();
        client
            .insert("docs")
            .column("n", groups)
            .column("text", texts)
            .column("vector", random(ids[0] as u64, ids.len() * DIM))
            .column("id", ids.clone())
            .await
            .unwrap();
        if ids[0] == 0 {
            client.flush(["docs"]).await.unwrap();
        }
    }
    client
}

fn search(client: &Client, seed: u64) -> Search {
    client.search("docs").vector(random(seed, DIM))
}

#[test]
fn groups_are_those_of_the_hits_in_their_order() {
    block_on(async {
        let client = filled("many-groups").await;
        for seed in [100, 101] {
            let all = search(&client, seed).limit(MANY as u64).await.unwrap();
            let all = all.query(0).int64_ids().to_vec();
            let mut order: Vec<i64> = Vec::new();
            for id in &all {
                if !order.contains(&group_of(*id)) {
                    order.push(group_of(*id));
                }
            }
            assert!(order.len() > 1500, "{}", order.len());
            let best_of = |group: i64, size: usize| -> Vec<i64> {
                let members = all.iter().filter(|id| group_of(**id) == group);
                members.copied().take(size).collect()
            };
            for (field, size, strict, offset) in [
                ("n", 1, false, 0),
                ("n", 3, false, 2),
                ("text", 2, false, 0),
                ("n", 4, true, 0),
                ("text", 3, true, 5),
            ] {
                let mut request = search(&client, seed)
                    .group_by(field)
                    .group_size(size)
                    .limit(8)
                    .offset(offset);
                if strict {
                    request = request.strict_group_size();
                }
                let found = request.await.unwrap();
                let found = found.query(0).int64_ids().to_vec();
                let lists = order.iter().map(|group| best_of(*group, size as usize));
                let expected: Vec<i64> = lists
                    .filter(|list| !strict || list.len() == size as usize)
                    .skip(offset as usize)
                    .take(8)
                    .flatten()
                    .collect();
                let sorted = |mut ids: Vec<i64>| {
                    ids.sort_unstable();
                    ids
                };
                assert_eq!(
                    sorted(found),
                    sorted(expected),
                    "{field} {size} {strict} {offset}"
                );
            }
        }
    });
}

#[test]
fn groups_have_the_bounds_that_milvus_gives_them() {
    block_on(async {
        let client = filled("group-bounds").await;
        let grouped = || search(&client, 1).group_by("n").limit(3);
        let refused = [
            (
                grouped().group_size(11),
                "exceeds configured max group size:10",
            ),
            (
                grouped().parameter("radius", 5.0),
                "Not allowed to do range-search",
            ),
            (
                grouped().search_parameter("iterator", "True"),
                "Not allowed to do groupBy when doing iteration",
            ),
        ];
        for (request, words) in refused {
            let error = request.await.map(drop).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    });
}
