//! Reading on and on in the order of nearness.
//!
//! Newer servers keep the place themselves (the second protocol: a token, and the bound of the last
//! page). Older ones are asked for rings (the first protocol): each search begins at the distance of the
//! last hit, leaves out the hits of about that distance that are known (computed twice, a distance may
//! differ in its last bits), and ends a width further out. An empty ring is made wider until nothing
//! limits it any more. Some servers look for the ring only among the nearest few; so in the end a plain
//! search that leaves out all known hits says whether there is more. A filter can name so many and no more of
//! them: a server whose rings led beyond that looks further than any few, and where its rings end, the hits do;
//! one whose rings did not is asked for no more than that.
//!
//! A server that keeps its place by the distance of the last hit sends all hits of that distance with
//! it, which may be more than a page; what is too many becomes the next page.
//!
//! Invariant: no hit twice, no page larger than asked for; the end is told only where the server has no more.

use futures_core::Stream;
use futures_util::stream::try_unfold;
use milvus_protocol::common::KeyValuePair;
use milvus_protocol::milvus::DescribeIndexRequest;
use milvus_protocol::rpc;

use super::query_pages::{LARGEST_PAGE, timestamp_now};
use super::search::Search;
use super::target::parameter;
use crate::call::Clock;
use crate::consistency::ConsistencyLevel;
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::ids::literal;
use crate::metric_type::MetricType;
use crate::results::SearchResults;

pub(super) const DEFAULT_PAGE: usize = 1_000;

/// How much wider than the last page a ring is, one try after the other; then without limit.
const WIDTHS: [f32; 3] = [1.0, 10.0, 100.0];
/// The width of a ring when all hits of the last page are equally far.
const SMALLEST_WIDTH: f32 = 0.05;
/// How much a distance may differ when it is computed again, relative to its size.
const SLACK: f32 = 1e-5;
/// Known hits that are left out by name. More would not fit into a filter.
const MOST_KNOWN: usize = 100_000;
/// What a server lacks that neither keeps the place nor finds it by rings.
const FAR_PAGES: Feature = Feature::since("pages of a search beyond 100,000 hits", 2, 5);

pub(super) fn pages(search: Search) -> impl Stream<Item = Result<SearchResults>> + Send + 'static {
    let clock = search.settings.start();
    try_unfold(
        Some(State::New(Box::new(search), clock)),
        |state| async move {
            let Some(state) = state else {
                return Ok(None);
            };
            let (page, next) = state.advance().await?;
            Ok(page.map(|page| (page, next)))
        },
    )
}

enum State {
    New(Box<Search>, Clock),
    /// The server keeps the place.
    Kept(Box<Kept>),
    Rings(Box<Rings>),
}

type Step = (Option<SearchResults>, Option<State>);

impl State {
    async fn advance(self) -> Result<Step> {
        match self {
            Self::New(search, clock) => begin(*search, clock).await,
            Self::Kept(mut kept) => {
                let page = kept.next().await?;
                Ok(unless_empty(page, Self::Kept(kept)))
            }
            Self::Rings(mut rings) => {
                let page = rings.next().await?;
                Ok(unless_empty(page, Self::Rings(rings)))
            }
        }
    }
}

fn unless_empty(page: SearchResults, next: State) -> Step {
    if page.is_empty() {
        (None, None)
    } else {
        (Some(page), Some(next))
    }
}

fn iteration(collection_id: i64) -> Vec<KeyValuePair> {
    vec![
        parameter("iterator", "True"),
        parameter("collection_id", collection_id),
    ]
}

fn pin(search: &mut Search, first: &SearchResults) {
    let timestamp = match first.session_timestamp {
        0 => timestamp_now(),
        timestamp => timestamp,
    };
    search.target.consistency = Some(ConsistencyLevel::Timestamp(timestamp));
}

/// Finds out which protocol the server speaks, and gives the first page.
async fn begin(mut search: Search, clock: Clock) -> Result<Step> {
    search.require()?;
    let refuse =
        |parameter: &str, rule: String| Err(Error::request(search.describe(), parameter, rule));
    if !(1..=LARGEST_PAGE).contains(&search.page_size) {
        let rule = format!("is {}; it may be 1 to {LARGEST_PAGE}", search.page_size);
        return refuse("page_size", rule);
    }
    if search.offset != 0 {
        return refuse("offset", "cannot be used with pages".to_owned());
    }
    if search.ann.vectors.len() != 1 {
        let rule = format!("s are {}; pages are for one", search.ann.vectors.len());
        return refuse("vector", rule);
    }
    if search.grouped {
        return refuse("group_by", "cannot be used with pages".to_owned());
    }
    let mut collection = search.target.require(&clock).await?;
    let found = match probe(&search, &collection, &clock).await {
        Ok(found) => found,
        Err(error) => {
            collection = match search.target.renew(&error, &clock).await {
                Some(fresh) => fresh,
                None => return Err(error),
            };
            probe(&search, &collection, &clock).await?
        }
    };
    let has_token = found
        .cursor
        .as_ref()
        .is_some_and(|cursor| !cursor.token.is_empty());
    if !has_token {
        // Such servers do not look at the collection's id; whether its key still has this name must be asked.
        let target = &mut search.target;
        target.client.forget_collection(&target.collection);
        collection = target.require(&clock).await?;
    }
    pin(&mut search, &found);
    search.ann = search.fitted()?;
    search.ann.limit = search.page_size as u64;
    if has_token {
        let mut kept = Kept {
            search,
            clock,
            collection_id: collection.id,
            token: None,
            last_bound: None,
            rest: None,
        };
        let page = kept.next().await?;
        return Ok(unless_empty(page, State::Kept(Box::new(kept))));
    }
    let key = collection.schema.primary_key().ok_or_else(|| {
        Error::answer(
            format!("the schema of {:?}", collection.name),
            "it has no primary key",
        )
    })?;
    let (mut rings, page) = Rings::begin(search, clock, collection.id, key.name.clone()).await?;
    rings.remember(&page);
    Ok(unless_empty(page, State::Rings(Box::new(rings))))
}

/// The nearest hit: whether the server keeps the place, and which point in time it reads.
async fn probe(
    search: &Search,
    collection: &CollectionDescription,
    clock: &Clock,
) -> Result<SearchResults> {
    let mut ann = search.fitted()?;
    ann.limit = 1;
    ann.more.extend(iteration(collection.id));
    ann.more.push(parameter("search_iter_v2", "True"));
    ann.more.push(parameter("search_iter_batch_size", 1));
    let message = search.message(ann)?;
    Search::call(&search.target.client, message, clock).await
}

struct Kept {
    search: Search,
    clock: Clock,
    collection_id: i64,
    token: Option<String>,
    last_bound: Option<f32>,
    /// Hits that came with the last page and are too many for it.
    rest: Option<SearchResults>,
}

impl Kept {
    async fn next(&mut self) -> Result<SearchResults> {
        let mut page = match self.rest.take() {
            Some(rest) => rest,
            None => self.fetch().await?,
        };
        self.rest = page.split_off(self.search.page_size);
        Ok(page)
    }

    async fn fetch(&mut self) -> Result<SearchResults> {
        let search = &self.search;
        let mut ann = search.ann.clone();
        let more = &mut ann.more;
        more.extend(iteration(self.collection_id));
        more.push(parameter("search_iter_v2", "True"));
        more.push(parameter("search_iter_batch_size", search.page_size));
        if let Some(bound) = self.last_bound {
            more.push(parameter("search_iter_last_bound", bound));
        }
        if let Some(token) = &self.token {
            more.push(parameter("search_iter_id", token));
        }
        let message = search.message(ann)?;
        let page = Search::call(&search.target.client, message, &self.clock).await?;
        let Some(cursor) = page.cursor.clone() else {
            return Err(Error::answer("a page of hits", "the server lost its place"));
        };
        self.last_bound = Some(cursor.last_bound);
        self.token.get_or_insert(cursor.token);
        Ok(page)
    }
}

struct Rings {
    search: Search,
    clock: Clock,
    key: String,
    /// Whether larger scores are further away.
    is_distance: bool,
    width: f32,
    /// The score of the last hit.
    edge: f32,
    /// The hits so far, as literals, with their scores; the furthest last.
    seen: Vec<(f32, String)>,
    /// Whether hits are missing in `seen` that the next rings are known to lie behind.
    has_forgotten: bool,
    /// Whether the server looks for rings only among the nearest few.
    is_shallow: bool,
}

impl Rings {
    async fn begin(
        mut search: Search,
        clock: Clock,
        collection_id: i64,
        key: String,
    ) -> Result<(Self, SearchResults)> {
        let metric = match &search.ann.metric_type {
            Some(metric) => metric.clone(),
            None => metric_of_index(&search, &clock).await?,
        };
        let is_distance = match &metric {
            MetricType::L2 | MetricType::Jaccard | MetricType::Hamming => true,
            MetricType::InnerProduct | MetricType::Cosine | MetricType::Bm25 => false,
            MetricType::Other(name) if name.eq_ignore_ascii_case("TANIMOTO") => true,
            other => {
                return Err(Error::request(
                    search.describe(),
                    "metric_type",
                    format!("is {other}, which has no order that pages could follow"),
                ));
            }
        };
        search.ann.metric_type = Some(metric);
        search.ann.more.extend(iteration(collection_id));
        let message = search.message(search.ann.clone())?;
        let page = Search::call(&search.target.client, message, &clock).await?;
        let scores = page.query(0).scores();
        let width = match (scores.first(), scores.last()) {
            (Some(first), Some(last)) if first != last => (last - first).abs(),
            _ => SMALLEST_WIDTH,
        };
        let rings = Self {
            search,
            clock,
            key,
            is_distance,
            width,
            edge: f32::NAN,
            seen: Vec::new(),
            has_forgotten: false,
            is_shallow: false,
        };
        Ok((rings, page))
    }

    /// Moves the edge to the last hit.
    fn remember(&mut self, page: &SearchResults) {
        for hit in page.query(0) {
            self.edge = hit.score();
            self.seen.push((hit.score(), literal(hit.id())));
        }
        if self.seen.len() > MOST_KNOWN && !self.is_shallow {
            // The rings lie behind all but those at the edge.
            let start = self.seen.len() - self.at_edge();
            self.has_forgotten |= start > 0;
            self.seen.drain(..start);
        }
    }

    /// How far a hit may lie from where it was found before: computed again, or rounded.
    fn slack(&self) -> f32 {
        let rounding = match self.search.ann.round_decimal {
            places if places < 0 => 0.0,
            places => 0.5 / 10_f32.powi(places),
        };
        self.edge.abs() * SLACK + f32::EPSILON + rounding
    }

    /// The inner bound of a ring.
    fn inner(&self) -> f32 {
        if self.is_distance {
            self.edge - self.slack()
        } else {
            self.edge + self.slack()
        }
    }

    /// How many of the last hits are within the next ring.
    fn at_edge(&self) -> usize {
        let slack = self.slack() * 2.0;
        let is_at_edge = |(score, _): &&(f32, String)| (score - self.edge).abs() <= slack;
        self.seen.iter().rev().take_while(is_at_edge).count()
    }

    /// A filter that leaves out the last hits.
    fn without_last(&self, hits: usize) -> String {
        let start = self.seen.len().saturating_sub(hits);
        let ids: Vec<_> = self
            .seen
            .iter()
            .skip(start)
            .map(|(_, id)| id.as_str())
            .collect();
        let unknown = format!("{} not in [{}]", self.key, ids.join(","));
        self.search.ann.filter.and_left(&unknown)
    }

    /// The outer bound of a ring, no further than the caller's own.
    fn outer(&self, width: Option<f32>) -> f32 {
        let own = self.search.ann.parameters.get("radius");
        let own = own
            .and_then(serde_json::Value::as_f64)
            .map(|own| own as f32);
        if self.is_distance {
            let bound = width.map_or(f32::MAX, |width| self.edge + self.width * width);
            own.map_or(bound, |own| bound.min(own))
        } else {
            let bound = width.map_or(f32::MIN, |width| self.edge - self.width * width);
            own.map_or(bound, |own| bound.max(own))
        }
    }

    async fn next(&mut self) -> Result<SearchResults> {
        let mut page = SearchResults::default();
        if !self.is_shallow {
            page = self.ring().await?;
        }
        if page.is_empty() && !self.has_forgotten {
            page = self.unknown().await?;
            self.is_shallow = !page.is_empty();
        }
        self.remember(&page);
        Ok(page)
    }

    /// The nearest hits that are not known yet, wherever they are.
    async fn unknown(&self) -> Result<SearchResults> {
        if self.seen.len() > MOST_KNOWN {
            return Err(self.search.target.client.missing(FAR_PAGES, None));
        }
        let mut ann = self.search.ann.clone();
        ann.filter.expression = self.without_last(self.seen.len());
        let message = self.search.message(ann)?;
        Search::call(&self.search.target.client, message, &self.clock).await
    }

    /// The next ring that is not empty; empty when there is none.
    async fn ring(&self) -> Result<SearchResults> {
        let client = &self.search.target.client;
        let at_edge = self.at_edge();
        if at_edge > MOST_KNOWN {
            // So many are equally far that they cannot all be left out.
            return Err(client.missing(FAR_PAGES, None));
        }
        for width in WIDTHS.map(Some).into_iter().chain([None]) {
            let mut ann = self.search.ann.clone();
            ann.parameters
                .insert("radius".to_owned(), self.outer(width).into());
            ann.parameters
                .insert("range_filter".to_owned(), self.inner().into());
            ann.filter.expression = self.without_last(at_edge);
            let message = self.search.message(ann)?;
            let page = Search::call(client, message, &self.clock).await?;
            if !page.is_empty() {
                self.keeps_to_the_ring(&page)?;
                return Ok(page);
            }
        }
        Ok(SearchResults::default())
    }

    /// A server that pays no attention to the inner bound would give the first hits again and again.
    fn keeps_to_the_ring(&self, page: &SearchResults) -> Result<()> {
        let bound = self.slack() * 2.0;
        let is_nearer = |score: &f32| {
            let ahead = if self.is_distance {
                self.edge - score
            } else {
                score - self.edge
            };
            ahead > bound
        };
        if page.query(0).scores().iter().any(is_nearer) {
            let problem = "the server gave hits that are nearer than it was asked for";
            return Err(Error::answer("a page of hits", problem));
        }
        Ok(())
    }
}

/// The metric of the field's index.
async fn metric_of_index(search: &Search, clock: &Clock) -> Result<MetricType> {
    let field = search.ann.field.clone().unwrap_or_default();
    let message = DescribeIndexRequest {
        collection_name: search.target.collection.clone(),
        ..DescribeIndexRequest::default()
    };
    let client = &search.target.client;
    let feature = Feature::call("descriptions of indexes");
    let answer = client
        .call(feature, &rpc::DESCRIBE_INDEX, message, clock)
        .await?;
    let metric = answer
        .index_descriptions
        .into_iter()
        .filter(|index| index.field_name == field)
        .flat_map(|index| index.params)
        .find(|parameter| parameter.key == "metric_type");
    let metric = metric.map(|parameter| MetricType::from_name(&parameter.value));
    metric.ok_or_else(|| {
        Error::request(
            search.describe(),
            "metric_type",
            format!("is missing, and the index of `{field}` does not say it"),
        )
    })
}
