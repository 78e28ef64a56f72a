//! `search`: the nearest rows to vectors, texts, or rows that are there.
//!
//! Invariant: a search that the server would answer as a plainer one (ungrouped, not reranked) is never
//! sent to a server that is known to be too old for it.

use futures_core::Stream;
use milvus_protocol::milvus::SearchRequest;
use milvus_protocol::rpc;
use serde_json::Value;

use super::ann::AnnSearch;
use super::rerank::function_score;
use super::search_pages;
use super::target::{ReadTarget, parameter};
use super::vector::QueryVector;
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::{Feature, is_unimplemented};
use crate::filter::{FilterValue, TEMPLATES};
use crate::ids::SEARCH_BY_IDS;
use crate::metric_type::MetricType;
use crate::results::{Ids, SearchResults};
use crate::schema::FunctionSchema;

pub(super) const GROUPS: Feature = Feature::since("grouped searches", 2, 4);
pub(super) const GROUP_SIZES: Feature = Feature::since("groups of more than one hit", 2, 5);
const FUNCTIONS: Feature = Feature::since("reranking functions", 2, 6);

impl Client {
    /// Searches the nearest rows.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let found = client
    ///     .search("docs")
    ///     .vector([0.1, 0.2, 0.3])
    ///     .filter("year > {year}")
    ///     .filter_value("year", 2000)
    ///     .output_fields(["title"])
    ///     .limit(5)
    ///     .await?;
    /// // Several queries at once, by name of the field, with a parameter of its index:
    /// let found = client
    ///     .search("docs")
    ///     .field("vector")
    ///     .vectors([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    ///     .parameter("ef", 64)
    ///     .await?;
    /// # let _ = found;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) when a vector does not fit its field;
    /// [`Error::MissingFeature`](crate::Error::MissingFeature) when the server is too old for a
    /// parameter; [`Error::Connection`].
    pub fn search(&self, collection: impl Into<String>) -> Search {
        Search {
            target: ReadTarget::new(self, collection.into()),
            ann: AnnSearch::anywhere(),
            rerank: Vec::new(),
            rerank_parameters: Vec::new(),
            offset: 0,
            group_size: false,
            grouped: false,
            page_size: search_pages::DEFAULT_PAGE,
            settings: CallSettings::default(),
        }
    }
}

/// A request of [`Client::search`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `.await`"]
pub struct Search {
    pub(super) target: ReadTarget,
    pub(super) ann: AnnSearch,
    rerank: Vec<FunctionSchema>,
    rerank_parameters: Vec<(String, String)>,
    pub(super) offset: u64,
    pub(super) grouped: bool,
    group_size: bool,
    pub(super) page_size: usize,
    pub(super) settings: CallSettings,
}

request!(Search => SearchResults);
read_target!(Search);

impl Search {
    /// Names the vector field; needed when the collection has several.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.ann.field = Some(field.into());
        self
    }

    /// Sets what is searched for: a vector, or a text for a field that BM25 fills.
    pub fn vector(mut self, vector: impl Into<QueryVector>) -> Self {
        self.ann.vectors = vec![vector.into()];
        self
    }

    /// Sets what is searched for, several at once.
    pub fn vectors<I>(mut self, vectors: I) -> Self
    where
        I: IntoIterator<Item: Into<QueryVector>>,
    {
        self.ann.vectors = vectors.into_iter().map(Into::into).collect();
        self
    }

    /// Searches for what is near the rows with these primary keys.
    pub fn near_ids(mut self, ids: impl Into<Ids>) -> Self {
        self.ann.ids = Some(ids.into());
        self
    }

    /// Keeps only rows for which this expression is true.
    pub fn filter(mut self, expression: impl Into<String>) -> Self {
        self.ann.filter.expression = expression.into();
        self
    }

    /// Fills the placeholder `{name}` of the filter.
    pub fn filter_value(mut self, name: impl Into<String>, value: impl Into<FilterValue>) -> Self {
        self.ann.filter.values.push((name.into(), value.into()));
        self
    }

    /// Sets how many hits each query has at most; 10 by default. Servers take up to 16,384, offset
    /// included; see [`pages`](Self::pages) for more.
    pub fn limit(mut self, hits: u64) -> Self {
        self.ann.limit = hits;
        self
    }

    /// Leaves the nearest hits out.
    pub fn offset(mut self, hits: u64) -> Self {
        self.offset = hits;
        self
    }

    /// Keeps only hits nearer than this: scores above it for IP and COSINE, below it for distances.
    pub fn radius(self, radius: f32) -> Self {
        self.parameter("radius", radius)
    }

    /// Leaves out hits nearer than this: scores above it for IP and COSINE, below it for distances.
    pub fn range_filter(self, bound: f32) -> Self {
        self.parameter("range_filter", bound)
    }

    /// Sets a parameter of the index, such as `nprobe` or `ef`.
    pub fn parameter(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.ann.parameters.insert(key.into(), value.into());
        self
    }

    /// Says the metric; the index's own when left out. One that has no name here is
    /// [`MetricType::Other`].
    pub fn metric_type(mut self, metric_type: MetricType) -> Self {
        self.ann.metric_type = Some(metric_type);
        self
    }

    /// Rounds scores to this many decimal places.
    pub fn round_decimal(mut self, places: u8) -> Self {
        self.ann.round_decimal = i32::from(places);
        self
    }

    /// Looks only at segments that are sealed and indexed.
    pub fn ignore_growing(mut self) -> Self {
        self.ann.ignore_growing = true;
        self
    }

    /// Keeps the best hits of each value of this field.
    pub fn group_by(mut self, field: impl Into<String>) -> Self {
        let field: String = field.into();
        self.ann.more.push(parameter("group_by_field", field));
        self.grouped = true;
        self
    }

    /// Sets how many hits of each group are kept; 1 by default.
    pub fn group_size(mut self, hits: u64) -> Self {
        self.ann.more.push(parameter("group_size", hits));
        self.group_size = true;
        self
    }

    /// Leaves out groups that do not have `group_size` hits.
    pub fn strict_group_size(mut self) -> Self {
        self.ann.more.push(parameter("strict_group_size", true));
        self.group_size = true;
        self
    }

    /// Has the server reorder the hits by a function; called again, by several.
    pub fn rerank(mut self, function: FunctionSchema) -> Self {
        self.rerank.push(function);
        self
    }

    /// Sets how several reranking functions work together, such as `boost_mode`.
    pub fn rerank_parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.rerank_parameters.push((key.into(), value.to_string()));
        self
    }

    /// Sets a parameter of the search that has no method here, such as `hints` or `timezone`.
    pub fn search_parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        let key: String = key.into();
        self.ann.more.push(parameter(&key, value));
        self
    }

    /// Sets how many hits a page of [`pages`](Self::pages) has at most; 1,000 by default, 16,384 at
    /// most.
    pub fn page_size(mut self, hits: usize) -> Self {
        self.page_size = hits;
        self
    }

    /// Reads on and on in the order of nearness, page by page; for one query.
    ///
    /// All pages show the collection as it was when the stream was first polled. `limit` does not
    /// bound the pages: take as many as you want. Each hit comes once, and the stream ends where there are no more; a server
    /// before Milvus 2.5 that cannot be read further than 100,000 hits ends it with
    /// [`Error::MissingFeature`](crate::Error::MissingFeature).
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use futures_util::TryStreamExt as _;
    ///
    /// let mut pages = std::pin::pin!(client.search("docs").vector([0.1, 0.2]).pages());
    /// while let Some(page) = pages.try_next().await? {
    ///     if page.query(0).scores().last().is_none_or(|score| *score < 0.5) {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages(self) -> impl Stream<Item = Result<SearchResults>> + Send + 'static {
        search_pages::pages(self)
    }

    pub(super) fn describe(&self) -> String {
        format!("search {:?}", self.target.collection)
    }

    pub(super) fn require(&self) -> Result<()> {
        let client = &self.target.client;
        let needs = [
            (!self.ann.filter.values.is_empty(), TEMPLATES),
            (self.grouped, GROUPS),
            (self.group_size, GROUP_SIZES),
            (self.ann.ids.is_some(), SEARCH_BY_IDS),
            (!self.rerank.is_empty(), FUNCTIONS),
        ];
        needs
            .into_iter()
            .filter(|(is_needed, _)| *is_needed)
            .try_for_each(|(_, feature)| client.require(feature))
    }

    /// The one search of it, checked against the collection as far as that was found.
    pub(super) fn fitted(&self) -> Result<AnnSearch> {
        let mut ann = self.ann.clone();
        // Without a description, the server says what does not fit.
        if let Some(collection) = &self.target.found {
            ann.fit(&self.describe(), collection)?;
        }
        Ok(ann)
    }

    /// The message of this search with `ann` as its one search.
    pub(super) fn message(&self, mut ann: AnnSearch) -> Result<SearchRequest> {
        if self.offset > 0 {
            ann.more.push(parameter("offset", self.offset));
        }
        let guarantee = self.target.guarantee();
        Ok(SearchRequest {
            collection_name: self.target.collection.clone(),
            partition_names: self.target.partitions.clone(),
            output_fields: self.target.output_fields.clone(),
            guarantee_timestamp: guarantee.timestamp,
            consistency_level: guarantee.level,
            use_default_consistency: guarantee.use_default,
            function_score: self.function_score(),
            ..ann.message(&self.describe())?
        })
    }

    fn function_score(&self) -> Option<milvus_protocol::schema::FunctionScore> {
        if self.rerank.is_empty() {
            return None;
        }
        let mut score = function_score(&self.rerank);
        for (key, value) in &self.rerank_parameters {
            score.params.push(parameter(key, value));
        }
        Some(score)
    }

    pub(super) async fn call(
        client: &Client,
        message: SearchRequest,
        clock: &Clock,
    ) -> Result<SearchResults> {
        let answer = client
            .call(Feature::call("searches"), &rpc::SEARCH, message, clock)
            .await?;
        SearchResults::from_answer(answer)
    }

    async fn attempt(&self, clock: &Clock) -> Result<SearchResults> {
        let message = self.message(self.fitted()?)?;
        let client = &self.target.client;
        match Self::call(client, message, clock).await {
            // It does have searches.
            Err(Error::Connection(refusal))
                if !self.rerank.is_empty() && is_unimplemented(&refusal) =>
            {
                Err(client.refused(FUNCTIONS, refusal).await)
            }
            answer => answer,
        }
    }

    async fn send(mut self) -> Result<SearchResults> {
        self.require()?;
        if self.ann.limit == 0 {
            return Err(Error::request(self.describe(), "limit", "is 0"));
        }
        let clock = self.settings.start();
        self.target.find(&clock).await?;
        match self.attempt(&clock).await {
            Err(error) if self.target.renew(&error, &clock).await.is_some() => {
                self.attempt(&clock).await
            }
            answer => answer,
        }
    }
}
