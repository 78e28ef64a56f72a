//! Iterators stay at the moment of their first read, whatever is written, flushed or compacted between their pages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use futures_util::{StreamExt as _, pin_mut};
use milvus_client::{Client, ConsistencyLevel, MetricType};
use milvus_embedded::{Location, Options, open};
use milvus_protocol::common::{PlaceholderGroup, PlaceholderType, PlaceholderValue};
use milvus_protocol::milvus::{SearchRequest, SearchResults, search_request};
use milvus_protocol::packed_bytes;
use milvus_protocol::schema::i_ds::IdField;
use prost::Message as _;

#[path = "support/client.rs"]
mod support;
use support::{DIM, ROWS, block_on, client_of, create, fill, in_memory, random};
#[path = "support/mod.rs"]
mod service;

/// Changes everything that an iterator could still come to.
async fn disturb(client: &Client) {
    client.delete("docs").filter("id % 3 == 0").await.unwrap();
    let ids: Vec<i64> = (0..ROWS + 50).filter(|id| id % 3 != 0).collect();
    client
        .upsert("docs")
        .column("n", vec![1000i64; ids.len()])
        .column("text", vec!["new"; ids.len()])
        .column("vector", random(7, ids.len() * DIM))
        .column("id", ids)
        .await
        .unwrap();
    client.flush(["docs"]).await.unwrap();
    client.compact("docs").await.unwrap();
}

#[test]
fn a_query_iterator_stays_at_its_first_moment() {
    block_on(async {
        let client = in_memory("query-iterator").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        let pages = client
            .query("docs")
            .output_fields(["n"])
            .offset(10)
            .page_size(30)
            .pages();
        pin_mut!(pages);
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            ids.extend_from_slice(page.column("id").unwrap().values::<i64>().unwrap());
            numbers.extend_from_slice(page.column("n").unwrap().values::<i64>().unwrap());
            disturb(&client).await;
        }
        assert_eq!(ids, (10..ROWS).collect::<Vec<_>>());
        assert_eq!(numbers, (10..ROWS).map(|id| id % 10).collect::<Vec<_>>());
        // Who doesn't iterate sees what was written.
        let changed = client.query("docs").filter("n == 1000").limit(1).await;
        assert_eq!(changed.unwrap().len(), 1);
    });
}

#[test]
fn a_search_iterator_stays_at_its_first_moment() {
    block_on(async {
        let client = in_memory("search-iterator").await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        let hits = async |disturbed: bool| {
            let pages = client
                .search("docs")
                .vector(random(5, DIM))
                .page_size(30)
                .pages();
            pin_mut!(pages);
            let mut hits = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.unwrap();
                hits.extend_from_slice(page.query(0).int64_ids());
                if disturbed {
                    disturb(&client).await;
                }
            }
            hits
        };
        let undisturbed = hits(false).await;
        assert_eq!(undisturbed.len() as i64, ROWS);
        assert_eq!(hits(true).await, undisturbed);
        assert_ne!(hits(false).await, undisturbed);
    });
}

/// As PyMilvus's first search iterator drives it: the timestamp of the first answer comes back with every further search.
#[test]
fn the_first_search_iterator_stays_at_its_first_moment() {
    block_on(async {
        let name = Location::Memory("first-search-iterator".to_owned());
        let database = open(name, Options::default()).unwrap();
        let client = client_of(&database).await;
        create(&client, "docs", MetricType::L2).await;
        fill(&client, "docs").await;
        let value = PlaceholderValue {
            tag: "$0".to_owned(),
            r#type: PlaceholderType::FloatVector as i32,
            values: vec![packed_bytes(random(5, DIM))],
            ..PlaceholderValue::default()
        };
        let group = PlaceholderGroup {
            placeholders: vec![value],
        };
        let search = async |guarantee_timestamp: u64, params: &str, iterates: bool| {
            let mut search_params = vec![
                service::pair("anns_field", "vector"),
                service::pair("topk", "50"),
                service::pair("params", params),
            ];
            if iterates {
                search_params.push(service::pair("iterator", "True"));
            }
            let request = SearchRequest {
                collection_name: "docs".to_owned(),
                search_params,
                search_input: Some(search_request::SearchInput::PlaceholderGroup(
                    group.encode_to_vec().into(),
                )),
                nq: 1,
                guarantee_timestamp,
                ..SearchRequest::default()
            };
            let answer: SearchResults = service::call(&database, "Search", request).await;
            let ids = answer.results.and_then(|results| results.ids?.id_field);
            let Some(IdField::IntId(ids)) = ids else {
                panic!("{:?}", answer.status)
            };
            (ids.data, answer.session_ts)
        };
        let ring = r#"{"radius": 3.0, "range_filter": 1.5}"#;
        let (first, timestamp) = search(0, "{}", true).await;
        let (second, again) = search(timestamp, ring, true).await;
        assert!(!second.is_empty());
        assert_eq!(again, timestamp);
        disturb(&client).await;
        assert_eq!(search(timestamp, "{}", true).await.0, first);
        assert_eq!(search(timestamp, ring, true).await.0, second);
        assert_ne!(search(timestamp, "{}", false).await.0, first);
        assert_ne!(search(0, "{}", true).await.0, first);
        let level = ConsistencyLevel::Timestamp(timestamp);
        let plain = client.search("docs").vector(random(5, DIM)).limit(50);
        let plain = plain.consistency(level).await.unwrap();
        assert_ne!(plain.query(0).int64_ids(), first);
    });
}
