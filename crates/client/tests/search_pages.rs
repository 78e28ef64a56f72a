//! Pages of a search on servers that do not keep the place: far, to the end, and each hit once.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{Client, Connection, Error, MetricType, Result, Search};
use milvus_protocol::milvus::{DescribeCollectionResponse, SearchRequest, SearchResults};
use milvus_protocol::rpc;
use milvus_protocol::schema::{IDs, LongArray, SearchResultData, i_ds::IdField};
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{ConnectionConfig, parse_uri};
use prost::Message as _;
use serde_json::Value;

/// More than a filter can name.
const MANY: i64 = 150_000;
const LARGEST_PAGE: usize = 16_384;

/// A server of the first protocol. The row of a number is as far away as `distance` says.
#[derive(Clone, Copy)]
struct Fake {
    rows: i64,
    distance: fn(i64) -> f32,
    /// How many of the nearest rows it looks at for a ring; all by default.
    depth: usize,
    keeps_to_rings: bool,
}

impl Fake {
    fn new(rows: i64, distance: fn(i64) -> f32) -> Self {
        Self {
            rows,
            distance,
            depth: usize::MAX,
            keeps_to_rings: true,
        }
    }

    fn answer(self, request: &SearchRequest) -> SearchResults {
        let parameter = |key: &str| {
            let pair = request.search_params.iter().find(|pair| pair.key == key);
            pair.map_or("", |pair| pair.value.as_str())
        };
        let limit: usize = parameter("topk").parse().expect("a number");
        let places: i32 = parameter("round_decimal").parse().expect("a number");
        let params: Value = serde_json::from_str(parameter("params")).expect("JSON");
        let bound = |key: &str| params[key].as_f64().map(|bound| bound as f32);
        let known = known(&request.dsl);
        let mut hits: Vec<(f32, i64)> = (0..self.rows)
            .filter(|id| !known.contains(id))
            .map(|id| ((self.distance)(id), id))
            .collect();
        hits.sort_by(|left, right| left.0.total_cmp(&right.0));
        if let Some(radius) = bound("radius").filter(|_| self.keeps_to_rings) {
            let inner = bound("range_filter").unwrap_or(f32::MIN);
            hits.truncate(self.depth);
            hits.retain(|(distance, _)| (inner..radius).contains(distance));
        }
        hits.truncate(limit);
        let rounded = |distance: f32| match places {
            places if places < 0 => distance,
            places => (distance * 10_f32.powi(places)).round() / 10_f32.powi(places),
        };
        let scores: Vec<u8> = hits
            .iter()
            .flat_map(|(distance, _)| rounded(*distance).to_le_bytes())
            .collect();
        let ids = LongArray {
            data: hits.iter().map(|(_, id)| *id).collect(),
        };
        SearchResults {
            results: Some(SearchResultData {
                num_queries: 1,
                top_k: hits.len() as i64,
                topks: vec![hits.len() as i64],
                scores: scores.into(),
                ids: Some(IDs {
                    id_field: Some(IdField::IntId(ids)),
                }),
                ..SearchResultData::default()
            }),
            ..SearchResults::default()
        }
    }

    async fn start(self) -> (FaultServer, Client) {
        let server = FaultServer::start(FaultServerOptions::default())
            .await
            .expect("a free port");
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::float_vector("vector", 2));
        let description = DescribeCollectionResponse {
            schema: Some((&schema).into()),
            collection_name: "docs".to_owned(),
            ..DescribeCollectionResponse::default()
        };
        server.answer(&rpc::DESCRIBE_COLLECTION, &description);
        server.rule(Rule::new(
            When::rpc("Search"),
            Then::compute(move |call| {
                let request = call.decode().expect("a search");
                self.answer(&request).encode_to_vec().into()
            }),
        ));
        let uri = format!("http://{}", server.address());
        let config = ConnectionConfig::new(parse_uri(&uri).expect("a URI").target);
        let connection = Connection::connect("search_pages", config).await;
        let client = Client::new(connection.expect("a server that is up"));
        (server, client)
    }
}

/// The ids that a filter leaves out.
fn known(filter: &str) -> HashSet<i64> {
    let Some((_, list)) = filter.split_once("not in [") else {
        return HashSet::new();
    };
    let (list, _) = list.split_once(']').expect("a list ends");
    let ids = list.split(',').filter(|id| !id.is_empty());
    ids.map(|id| id.trim().parse().expect("a number")).collect()
}

fn search(client: &Client) -> Search {
    client
        .search("docs")
        .vector([0.0, 0.0])
        .metric_type(MetricType::L2)
        .page_size(LARGEST_PAGE)
}

/// All ids, in the order in which they came; where it ended in an error, those before it too.
async fn all(search: Search) -> (Vec<i64>, Result<()>) {
    let mut ids = Vec::new();
    let mut pages = std::pin::pin!(search.pages());
    loop {
        match pages.try_next().await {
            Ok(Some(page)) => ids.extend_from_slice(page.query(0).int64_ids()),
            Ok(None) => return (ids, Ok(())),
            Err(error) => return (ids, Err(error)),
        }
    }
}

fn assert_each_once(mut ids: Vec<i64>, rows: i64) {
    ids.sort_unstable();
    assert!(
        ids.iter().copied().eq(0..rows),
        "{} hits of {rows} rows",
        ids.len()
    );
}

#[tokio::test]
async fn more_hits_than_a_filter_can_name_come_once_each_and_end() {
    let (_server, client) = Fake::new(MANY, |id| id as f32).start().await;
    let (ids, end) = all(search(&client)).await;
    end.expect("an end");
    assert_each_once(ids, MANY);
}

#[tokio::test]
async fn a_server_that_looks_for_rings_among_the_nearest_only_is_read_to_the_end() {
    let mut fake = Fake::new(5_000, |id| id as f32);
    fake.depth = 700;
    let (_server, client) = fake.start().await;
    let (ids, end) = all(search(&client).page_size(500)).await;
    end.expect("an end");
    assert_each_once(ids, 5_000);
}

#[tokio::test]
async fn what_such_a_server_cannot_reach_is_a_feature_that_it_lacks() {
    let mut fake = Fake::new(MANY, |id| id as f32);
    fake.depth = LARGEST_PAGE;
    let (_server, client) = fake.start().await;
    let (ids, end) = all(search(&client)).await;
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "no hit twice");
    assert!(ids.len() > 100_000);
    let Err(Error::MissingFeature(missing)) = end else {
        panic!("not said to be missing: {end:?}");
    };
    assert!(missing.feature.contains("100,000"), "{missing}");
    assert!(!missing.server_version.is_empty(), "{missing}");
}

#[tokio::test]
async fn more_equally_far_hits_than_a_filter_can_name_are_not_told_apart() {
    let (_server, client) = Fake::new(MANY, |_| 1.0).start().await;
    let (ids, end) = all(search(&client)).await;
    assert!(ids.len() > 100_000);
    assert!(matches!(end, Err(Error::MissingFeature(_))), "{end:?}");
}

#[tokio::test]
async fn rounded_scores_lose_no_hits() {
    let (_server, client) = Fake::new(2_000, |id| id as f32 / 64.0).start().await;
    let (ids, end) = all(search(&client).page_size(100).round_decimal(0)).await;
    end.expect("an end");
    assert_each_once(ids, 2_000);
}

#[tokio::test]
async fn a_server_that_pays_no_attention_to_rings_is_not_read_for_ever() {
    let mut fake = Fake::new(1_000, |id| id as f32);
    fake.keeps_to_rings = false;
    let (_server, client) = fake.start().await;
    let (_, end) = all(search(&client).page_size(100)).await;
    assert!(matches!(end, Err(Error::UnexpectedAnswer(_))), "{end:?}");
}

#[tokio::test]
async fn groups_have_no_pages() {
    let (server, client) = Fake::new(10, |id| id as f32).start().await;
    let (_, end) = all(search(&client).group_by("year")).await;
    assert!(matches!(end, Err(Error::InvalidRequest(_))), "{end:?}");
    assert_eq!(server.arrived("Search"), 0);
}
