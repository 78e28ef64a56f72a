//! Times, geometries and vectors that may be missing, from the insert to the answer: defaults, nulls, files, a reopen, and filters; and
//! the filters on texts and the ones that a sample answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use milvus_client::admin::Index;
use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{AnnSearch, Client, MetricType, Query, Rerank};
use milvus_embedded::{Options, open};
use serde_json::{Value, json};

#[path = "support/client.rs"]
mod support;
use support::{DIM, block_on, client_of, create, fill, in_memory, random};

async fn ids(query: Query) -> Vec<i64> {
    let found = query.output_fields(["id"]).await.unwrap();
    found
        .column("id")
        .unwrap()
        .values::<i64>()
        .unwrap()
        .to_vec()
}

async fn matching(client: &Client, filter: &str) -> Vec<i64> {
    ids(client.query("docs").filter(filter)).await
}

/// What a write says while it is refused.
async fn refusal(client: &Client, row: Value) -> String {
    let rows = [row];
    let refused = client.insert("docs").rows(&rows).await;
    refused.map(drop).unwrap_err().to_string()
}

#[test]
fn times_are_kept_in_utc_and_compared_as_instants() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let connect = async || {
            client_of(&open(folder.path().join("demo.db"), Options::default()).unwrap()).await
        };
        let client = connect().await;
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::timestamptz("at").nullable())
            .field(FieldSchema::timestamptz("since").default_value("2020-01-01T00:00:00Z"))
            .field(FieldSchema::float_vector("vector", DIM));
        client
            .create_collection("docs", schema)
            .index("vector", Index::flat(MetricType::L2))
            .await
            .unwrap();
        let vector = random(1, DIM);
        let rows = [
            json!({"id": 1, "at": "2025-01-01T00:00:00+08:00", "since": "2024-06-01T12:00:00Z", "vector": vector}),
            json!({"id": 2, "at": "2025-01-31T23:59:59.5Z", "vector": vector}),
            json!({"id": 3, "at": null, "vector": vector}),
        ];
        client.insert("docs").rows(&rows).await.unwrap();
        let told = async |client: &Client| -> Vec<Value> {
            let query = client.query("docs").filter("id > 0");
            let found = query.output_fields(["at", "since"]).await.unwrap();
            found.to_vec().unwrap()
        };
        let expected = [
            json!({"id": 1, "at": "2024-12-31T16:00:00Z", "since": "2024-06-01T12:00:00Z"}),
            json!({"id": 2, "at": "2025-01-31T23:59:59.5Z", "since": "2020-01-01T00:00:00Z"}),
            json!({"id": 3, "at": null, "since": "2020-01-01T00:00:00Z"}),
        ];
        let filters = async |client: &Client| {
            for (filter, rows) in [
                ("at < ISO '2025-01-01T00:00:00Z'", vec![1]),
                ("at == ISO '2025-01-01T00:00:00+08:00'", vec![1]),
                ("at + INTERVAL 'P1D' > ISO '2025-02-01T00:00:00Z'", vec![2]),
                (
                    "at - INTERVAL 'PT1H' <= ISO '2024-12-31T15:00:00Z'",
                    vec![1],
                ),
                ("at is null", vec![3]),
                ("since == ISO '2020-01-01T00:00:00Z'", vec![2, 3]),
            ] {
                assert_eq!(matching(client, filter).await, rows, "{filter}");
            }
        };
        assert_eq!(told(&client).await, expected);
        filters(&client).await;
        client.flush(["docs"]).await.unwrap();
        drop(client);
        let client = connect().await;
        assert_eq!(told(&client).await, expected);
        filters(&client).await;
        let error = refusal(
            &client,
            json!({"id": 4, "at": "yesterday", "vector": vector}),
        )
        .await;
        assert!(error.contains("yesterday"), "{error}");
    });
}

#[test]
fn time_zones_are_refused_in_plain_words() {
    block_on(async {
        let client = in_memory("time-zones").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        let zone = "Asia/Shanghai";
        let with = |key: &'static str, value: &'static str| {
            client.query("docs").filter("id < 3").parameter(key, value)
        };
        let vector = random(1, DIM);
        let search = client.search("docs").vector(vector.clone()).limit(3);
        let schema = CollectionSchema::ids_and_vectors(DIM);
        let created = client.create_collection("other", schema);
        for refused in [
            with("timezone", zone).await.map(drop),
            with("time_fields", "year").await.map(drop),
            search.search_parameter("timezone", zone).await.map(drop),
            created.property("timezone", zone).await.map(drop),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("in UTC"), "{error}");
        }
        assert_eq!(ids(with("timezone", "UTC")).await, [0, 1, 2]);
    });
}

#[test]
fn geometries_come_back_and_are_related_to_others() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let connect = async || {
            client_of(&open(folder.path().join("demo.db"), Options::default()).unwrap()).await
        };
        let client = connect().await;
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::geometry("place").nullable())
            .field(FieldSchema::float_vector("vector", DIM));
        client
            .create_collection("docs", schema)
            .index("vector", Index::flat(MetricType::L2))
            .await
            .unwrap();
        let vector = random(1, DIM);
        let places = [
            json!("POINT (1 1)"),
            json!("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))"),
            json!("LINESTRING (3 3, 9 9)"),
            json!(null),
        ];
        let rows: Vec<Value> = places
            .iter()
            .zip(1..)
            .map(|(place, id)| json!({"id": id, "place": place, "vector": vector}))
            .collect();
        client.insert("docs").rows(&rows).await.unwrap();
        let check = async |client: &Client| {
            let query = client.query("docs").filter("id > 0");
            let found: Vec<Value> = query
                .output_fields(["place"])
                .await
                .unwrap()
                .to_vec()
                .unwrap();
            let found: Vec<&Value> = found.iter().map(|row| &row["place"]).collect();
            assert_eq!(found, places.iter().collect::<Vec<_>>());
            let square = "'POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))'";
            for (filter, rows) in [
                (format!("st_within(place, {square})"), vec![1]),
                (format!("ST_INTERSECTS(place, {square})"), vec![1, 2]),
                ("st_contains(place, 'POINT (1 1)')".to_owned(), vec![1, 2]),
                (
                    "st_crosses(place, 'POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))')".to_owned(),
                    vec![3],
                ),
                ("st_equals(place, 'POINT (1 1)')".to_owned(), vec![1]),
                (
                    "st_dwithin(place, 'POINT (1 1.0005)', 100.0)".to_owned(),
                    vec![1, 2],
                ),
                ("place is null".to_owned(), vec![4]),
            ] {
                assert_eq!(matching(client, &filter).await, rows, "{filter}");
            }
        };
        check(&client).await;
        client.flush(["docs"]).await.unwrap();
        drop(client);
        check(&connect().await).await;
        let client = connect().await;
        let error = refusal(
            &client,
            json!({"id": 5, "place": "POINT (x)", "vector": vector}),
        )
        .await;
        assert!(error.contains("POINT (x)"), "{error}");
    });
}

#[test]
fn rows_without_a_vector_are_found_by_all_but_its_search() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let connect = async || {
            client_of(&open(folder.path().join("demo.db"), Options::default()).unwrap()).await
        };
        let client = connect().await;
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::float_vector("vector", 2))
            .field(FieldSchema::float_vector("other", 2).nullable());
        client
            .create_collection("docs", schema)
            .index("vector", Index::flat(MetricType::L2))
            .index("other", Index::flat(MetricType::L2))
            .await
            .unwrap();
        let rows: Vec<Value> = (0..6)
            .map(|id| {
                let other = (id % 2 == 0).then_some([id, id]);
                json!({"id": id, "vector": [id, id], "other": other})
            })
            .collect();
        client.insert("docs").rows(&rows).await.unwrap();
        let check = async |client: &Client| {
            let found = client
                .search("docs")
                .field("other")
                .vector(vec![5.0f32, 5.0])
                .limit(10)
                .await
                .unwrap();
            assert_eq!(found.query(0).int64_ids(), [4, 2, 0]);
            let query = client.query("docs").filter("id >= 0");
            let found = query.output_fields(["other"]).await.unwrap();
            let column = found.column("other").unwrap();
            let vectors: Vec<_> = (0..6)
                .map(|row| column.float_vector(row).unwrap())
                .collect();
            assert_eq!(vectors[4], Some(&[4.0f32, 4.0][..]));
            assert_eq!(vectors.iter().filter(|vector| vector.is_none()).count(), 3);
        };
        check(&client).await;
        client.flush(["docs"]).await.unwrap();
        drop(client);
        check(&connect().await).await;
    });
}

#[test]
fn texts_samples_and_templates_are_filtered_through_the_service() {
    block_on(async {
        let client = in_memory("text-filters").await;
        let text = FieldSchema::varchar("text", 200)
            .analyzer(&json!({"type": "english"}))
            .parameter("enable_match", true);
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(text)
            .field(FieldSchema::float_vector("vector", DIM));
        client
            .create_collection("docs", schema)
            .index("vector", Index::flat(MetricType::L2))
            .await
            .unwrap();
        let texts = [
            "the cat runs",
            "a dog runs after the cat",
            "two dogs running",
            "nothing",
        ];
        let rows: Vec<Value> = (0..1000)
            .map(|id| json!({"id": id, "text": texts[id.min(3)], "vector": random(1, DIM)}))
            .collect();
        client.insert("docs").rows(&rows).await.unwrap();
        client.flush(["docs"]).await.unwrap();
        for (filter, rows) in [
            ("text_match(text, 'running cats')", vec![0, 1, 2]),
            (
                "text_match(text, 'running cats', minimum_should_match=2)",
                vec![0, 1],
            ),
            ("phrase_match(text, 'dogs running')", vec![1, 2]),
            ("phrase_match(text, 'cat runs')", vec![0]),
            ("phrase_match(text, 'dog cat', 3)", vec![1]),
        ] {
            assert_eq!(matching(&client, filter).await, rows, "{filter}");
        }
        let sampled = matching(&client, "id < 900 and random_sample(0.5)").await;
        assert!((250..650).contains(&sampled.len()), "{}", sampled.len());
        assert!(sampled.iter().all(|id| *id < 900));
        let query = client
            .query("docs")
            .filter("id in {ids} and text_match(text, {words})");
        let query = query
            .filter_value("ids", vec![1i64, 2, 3])
            .filter_value("words", "dogs");
        assert_eq!(ids(query).await, [1, 2]);
    });
}

#[test]
fn scores_are_rounded_to_what_milvus_allows() {
    block_on(async {
        let client = in_memory("rounding").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        let hybrid = async |places: u8| {
            let search = || AnnSearch::new("vector").vector(random(5, DIM)).limit(5);
            client
                .hybrid_search("docs")
                .search(search())
                .search(search())
                .rerank(Rerank::rrf())
                .limit(5)
                .round_decimal(places)
                .await
        };
        let rounded = hybrid(3).await.unwrap();
        assert_eq!(rounded.query(0).scores()[0], 0.033);
        let error = hybrid(200).await.map(drop).unwrap_err().to_string();
        assert!(error.contains("round_decimal [200] is invalid"), "{error}");
    });
}
