//! The same requests to this engine and to a real Milvus 2.3.5, through the same client: the answers must be the same.
//!
//! What 2.3.5 doesn't have (other types of vectors, groups, orders, partial upserts) is tested without it in the other files here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;

use milvus_client::admin::{Index, IndexType};
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema};
use milvus_client::{Client, ConsistencyLevel, MetricType, QueryVector, Search};
use milvus_testkit::real;
use milvus_transport::{Connection, ConnectionConfig, parse_uri};

#[path = "support/client.rs"]
mod support;
use support::{DIM, block_on, create, fill, in_memory, random};

/// What was asked and what was answered, a line each.
#[derive(Default)]
struct Story(String);

impl Story {
    fn tell(&mut self, asked: &str, answer: impl std::fmt::Display) {
        writeln!(self.0, "{asked}: {answer}").unwrap();
    }

    /// Keys and scores to three places; where many rows have the same score, which of them are given is anyone's choice.
    async fn search(&mut self, asked: &str, search: Search, with_keys: bool) {
        let answer = match search.await {
            Err(_) => "refused".to_owned(),
            Ok(found) => {
                let hits = found.query(0);
                let keys = hits.int64_ids();
                let hit = |(place, score): (usize, &f32)| match with_keys {
                    true => format!("{} {score:.3}", keys[place]),
                    false => format!("{score:.3}"),
                };
                hits.scores()
                    .iter()
                    .enumerate()
                    .map(hit)
                    .collect::<Vec<_>>()
                    .join(", ")
            }
        };
        self.tell(asked, answer);
    }
}

async fn tell(client: &Client, collection: &str) -> String {
    let mut story = Story::default();
    for (place, metric) in [MetricType::L2, MetricType::InnerProduct, MetricType::Cosine]
        .into_iter()
        .enumerate()
    {
        let name = format!("{collection}_{place}");
        create(client, &name, metric.clone()).await;
        fill(client, &name).await;
        floats(client, &name, &metric, &mut story).await;
        if metric == MetricType::L2 {
            rows(client, &name, &mut story).await;
        }
        client.drop_collection(&name).await.unwrap();
    }
    for metric in [MetricType::Hamming, MetricType::Jaccard] {
        bits(
            client,
            &format!("{collection}_{metric:?}"),
            metric,
            &mut story,
        )
        .await;
    }
    story.0
}

async fn floats(client: &Client, name: &str, metric: &MetricType, story: &mut Story) {
    let search = || {
        client
            .search(name)
            .vector(random(2, DIM))
            .consistency(ConsistencyLevel::Strong)
    };
    let found = search().limit(30).await.unwrap();
    let scores = found.query(0).scores().to_vec();
    let between = |left: usize, right: usize| (scores[left] + scores[right]) / 2.0;
    let (worse, better) = (between(20, 21), between(4, 5));
    let asked = [
        ("plain", search().limit(10)),
        (
            "filter",
            search().limit(10).filter("n in [2, 3] and id < 150"),
        ),
        (
            "filter on text",
            search().limit(10).filter("text like \"text 1%\""),
        ),
        ("nothing passes", search().limit(10).filter("n > 100")),
        ("offset", search().limit(5).offset(7)),
        ("more than there are", search().limit(300)),
        ("radius", search().limit(50).radius(worse)),
        (
            "radius and filter",
            search().limit(50).radius(worse).range_filter(better),
        ),
        (
            "bounds the wrong way round",
            search().limit(50).radius(better).range_filter(worse),
        ),
        ("limit too large", search().limit(16_385)),
    ];
    for (what, search) in asked {
        story
            .search(&format!("{metric:?}, {what}"), search, true)
            .await;
    }
}

async fn rows(client: &Client, name: &str, story: &mut Story) {
    let keys = async |filter: &str, offset: u64, limit: u64| {
        let query = client
            .query(name)
            .filter(filter)
            .output_fields(["id"])
            .offset(offset)
            .limit(limit);
        match query.consistency(ConsistencyLevel::Strong).await {
            Ok(rows) => format!("{:?}", rows.column("id").unwrap().values::<i64>().unwrap()),
            Err(_) => "refused".to_owned(),
        }
    };
    for (filter, offset, limit) in [
        ("id >= 0", 0, 5),
        ("n == 4", 3, 4),
        ("id in [199, 3, 700]", 0, 10),
        ("n ==", 0, 5),
    ] {
        story.tell(
            &format!("query {filter} {offset} {limit}"),
            keys(filter, offset, limit).await,
        );
    }
    let count = async || {
        client
            .query(name)
            .consistency(ConsistencyLevel::Strong)
            .count()
            .await
            .unwrap()
    };
    story.tell("count", count().await);
    // How many rows a deletion says it deleted.
    for filter in [
        "id in [1, 2, 1000]",
        "id == 3",
        "id == 3",
        "id in [4, 4]",
        "n == 5 and id < 100",
    ] {
        let deleted = client.delete(name).filter(filter).await;
        story.tell(
            &format!("delete {filter}"),
            deleted.map_or("refused".to_owned(), |deleted| deleted.rows.to_string()),
        );
        story.tell("count", count().await);
    }
    client
        .upsert(name)
        .column("id", vec![10i64, 11, 5000])
        .column("n", vec![77i64, 77, 77])
        .column("text", vec!["a", "b", "c"])
        .column("vector", random(4, 3 * DIM))
        .await
        .unwrap();
    story.tell("count", count().await);
    story.tell("upserted", keys("n == 77", 0, 10).await);
    let search = client
        .search(name)
        .vector(random(4, DIM))
        .consistency(ConsistencyLevel::Strong);
    story
        .search("nearest of what was upserted", search.limit(3), true)
        .await;
}

async fn bits(client: &Client, name: &str, metric: MetricType, story: &mut Story) {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::binary_vector("vector", 64));
    client
        .create_collection(name, schema)
        .index(
            "vector",
            Index::new(IndexType::BinFlat).metric_type(metric.clone()),
        )
        .await
        .unwrap();
    let mut random = fastrand::Rng::with_seed(8);
    let vectors: Vec<u8> = (0..100 * 8).map(|_| random.u8(..)).collect();
    let ids: Vec<i64> = (0..100).collect();
    client
        .insert(name)
        .column("id", ids)
        .column("vector", bytes::Bytes::from(vectors.clone()))
        .await
        .unwrap();
    let search = |row: usize| {
        let query = QueryVector::packed(
            DataType::BinaryVector,
            vectors[row * 8..(row + 1) * 8].to_vec(),
        );
        client
            .search(name)
            .vector(query)
            .consistency(ConsistencyLevel::Strong)
    };
    for row in [3, 50] {
        story
            .search(
                &format!("{metric:?} of {row}"),
                search(row).limit(10),
                false,
            )
            .await;
    }
    story
        .search(
            &format!("{metric:?}, filter"),
            search(3).limit(10).filter("id > 40"),
            false,
        )
        .await;
    client.drop_collection(name).await.unwrap();
}

#[test]
fn searches_queries_and_deletions_answer_as_milvus_does() {
    block_on(async {
        let target = parse_uri(&real::plain().uri()).unwrap().target;
        let connection = Connection::connect("milvus", ConnectionConfig::new(target))
            .await
            .unwrap();
        let collection = format!("matches_{}", std::process::id());
        let milvus = tell(&Client::new(connection), &collection).await;
        let ours = tell(&in_memory("matches").await, &collection).await;
        for (expected, found) in milvus.lines().zip(ours.lines()) {
            assert_eq!(
                found, expected,
                "\nwhole story of Milvus:\n{milvus}\nof this engine:\n{ours}"
            );
        }
        assert_eq!(milvus.lines().count(), ours.lines().count());
    });
}

/// What upserts do to rows of one key in two partitions, told by a client of any Milvus.
async fn partitions_story(client: &Client, name: &str) -> Vec<String> {
    create(client, name, MetricType::L2).await;
    fill(client, name).await;
    let mut story = Vec::new();
    client.create_partition(name, "b").await.unwrap();
    client.load_partitions(name, ["b"]).await.unwrap();
    let upsert = async |partition: Option<&str>, n: i64| {
        let request = client
            .upsert(name)
            .column("id", vec![7i64])
            .column("n", vec![n])
            .column("text", vec!["x"])
            .column("vector", random(1, DIM));
        match partition {
            Some(partition) => request.partition(partition).await.unwrap(),
            None => request.await.unwrap(),
        };
    };
    for step in [(Some("b"), 70), (None, 700), (Some("b"), 7000)] {
        upsert(step.0, step.1).await;
        for partition in ["_default", "b"] {
            let found = client
                .query(name)
                .filter("id == 7")
                .partition(partition)
                .output_fields(["n"])
                .consistency(ConsistencyLevel::Strong)
                .await
                .unwrap();
            let found = found
                .column("n")
                .map(|n| n.values::<i64>().unwrap().to_vec());
            story.push(format!(
                "{step:?}: {partition} {:?}",
                found.unwrap_or_default()
            ));
        }
    }
    client.drop_collection(name).await.unwrap();
    story
}

#[test]
fn an_upsert_leaves_rows_of_other_partitions_as_they_are_like_milvus() {
    block_on(async {
        let target = parse_uri(&real::plain().uri()).unwrap().target;
        let connection = Connection::connect("milvus", ConnectionConfig::new(target)).await;
        let name = format!("upserts_{}", std::process::id());
        let milvus = partitions_story(&Client::new(connection.unwrap()), &name).await;
        let ours = partitions_story(&in_memory("upsert-partitions").await, &name).await;
        assert_eq!(ours, milvus);
        assert!(
            milvus.contains(&"(Some(\"b\"), 70): _default [7]".to_owned()),
            "{milvus:?}"
        );
    });
}
