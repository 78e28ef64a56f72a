//! `hybrid_search`: several searches of one collection, their hits merged.
//!
//! Invariant: all searches see the collection at the same point in time; the server sees to it.

use milvus_protocol::milvus::HybridSearchRequest;
use milvus_protocol::rpc;

use super::ann::{AnnSearch, DEFAULT_LIMIT};
use super::rerank::Rerank;
use super::search::{GROUP_SIZES, GROUPS};
use super::target::{ReadTarget, parameter};
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::filter::TEMPLATES;
use crate::results::SearchResults;

const HYBRID: Feature = Feature::since("hybrid search", 2, 4);
const FUNCTIONS: Feature = Feature::since("reranking functions", 2, 6);

impl Client {
    /// Makes several searches in one collection and merges their hits.
    ///
    /// ```no_run
    /// use milvus_client::{AnnSearch, Rerank};
    ///
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let found = client
    ///     .hybrid_search("docs")
    ///     .search(AnnSearch::new("terms").vector("full text search").limit(50))
    ///     .search(AnnSearch::new("vector").vector([0.1, 0.2]).limit(50))
    ///     .rerank(Rerank::weighted([0.3, 0.7]))
    ///     .output_fields(["title"])
    ///     .limit(10)
    ///     .await?;
    /// # let _ = found;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search); [`Error::MissingFeature`](crate::Error::MissingFeature) from
    /// servers before 2.4.
    pub fn hybrid_search(&self, collection: impl Into<String>) -> HybridSearch {
        HybridSearch {
            target: ReadTarget::new(self, collection.into()),
            searches: Vec::new(),
            rerank: Rerank::default(),
            limit: DEFAULT_LIMIT,
            offset: 0,
            round_decimal: -1,
            grouping: Vec::new(),
            more: Vec::new(),
            settings: CallSettings::default(),
        }
    }
}

/// A request of [`Client::hybrid_search`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `.await`"]
pub struct HybridSearch {
    target: ReadTarget,
    searches: Vec<AnnSearch>,
    rerank: Rerank,
    limit: u64,
    offset: u64,
    round_decimal: i32,
    grouping: Vec<(&'static str, String)>,
    more: Vec<(String, String)>,
    settings: CallSettings,
}

request!(HybridSearch => SearchResults);
read_target!(HybridSearch);

impl HybridSearch {
    /// Adds a search.
    pub fn search(mut self, search: AnnSearch) -> Self {
        self.searches.push(search);
        self
    }

    /// Sets how the hits are merged; reciprocal rank fusion by default.
    pub fn rerank(mut self, rerank: Rerank) -> Self {
        self.rerank = rerank;
        self
    }

    /// Sets how many hits come back at most; 10 by default.
    pub fn limit(mut self, hits: u64) -> Self {
        self.limit = hits;
        self
    }

    /// Leaves the best hits out.
    pub fn offset(mut self, hits: u64) -> Self {
        self.offset = hits;
        self
    }

    /// Rounds scores to this many decimal places.
    pub fn round_decimal(mut self, places: u8) -> Self {
        self.round_decimal = i32::from(places);
        self
    }

    /// Keeps the best hits of each value of this field.
    pub fn group_by(mut self, field: impl Into<String>) -> Self {
        self.grouping.push(("group_by_field", field.into()));
        self
    }

    /// Sets how many hits of each group are kept; 1 by default.
    pub fn group_size(mut self, hits: u64) -> Self {
        self.grouping.push(("group_size", hits.to_string()));
        self
    }

    /// Leaves out groups that do not have `group_size` hits.
    pub fn strict_group_size(mut self) -> Self {
        self.grouping.push(("strict_group_size", "true".to_owned()));
        self
    }

    /// Sets a parameter of the ranking that has no method here, such as `rank_group_scorer`.
    pub fn rank_parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.more.push((key.into(), value.to_string()));
        self
    }

    fn describe(&self) -> String {
        format!("hybrid_search {:?}", self.target.collection)
    }

    fn check(&self) -> Result<()> {
        let client = &self.target.client;
        client.require(HYBRID)?;
        if self
            .searches
            .iter()
            .any(|search| !search.filter.values.is_empty())
        {
            client.require(TEMPLATES)?;
        }
        if !self.grouping.is_empty() {
            client.require(GROUPS)?;
        }
        if self
            .grouping
            .iter()
            .any(|(key, _)| *key != "group_by_field")
        {
            client.require(GROUP_SIZES)?;
        }
        if matches!(self.rerank, Rerank::Function(_)) {
            client.require(FUNCTIONS)?;
        }
        if self.searches.is_empty() {
            let rule = "is missing: add at least one";
            return Err(Error::request(self.describe(), "search", rule));
        }
        if let Rerank::Weighted { weights, .. } = &self.rerank
            && weights.len() != self.searches.len()
        {
            let rule = format!(
                "has {} weights for {} searches",
                weights.len(),
                self.searches.len()
            );
            return Err(Error::request(self.describe(), "rerank", rule));
        }
        Ok(())
    }

    fn message(&self) -> Result<HybridSearchRequest> {
        let request = self.describe();
        let guarantee = self.target.guarantee();
        let mut requests = Vec::with_capacity(self.searches.len());
        for search in &self.searches {
            let mut search = search.clone();
            // Without a description, the server says what does not fit.
            if let Some(collection) = &self.target.found {
                search.fit(&request, collection)?;
            }
            let mut message = search.message(&request)?;
            message.collection_name.clone_from(&self.target.collection);
            message.partition_names.clone_from(&self.target.partitions);
            message.guarantee_timestamp = guarantee.timestamp;
            message.consistency_level = guarantee.level;
            message.use_default_consistency = guarantee.use_default;
            requests.push(message);
        }
        let mut rank_params = self.rerank.parameters();
        rank_params.push(parameter("limit", self.limit));
        rank_params.push(parameter("round_decimal", self.round_decimal));
        rank_params.push(parameter("offset", self.offset));
        for (key, value) in &self.grouping {
            rank_params.push(parameter(key, value));
        }
        for (key, value) in &self.more {
            rank_params.push(parameter(key, value));
        }
        Ok(HybridSearchRequest {
            collection_name: self.target.collection.clone(),
            partition_names: self.target.partitions.clone(),
            output_fields: self.target.output_fields.clone(),
            requests,
            rank_params,
            guarantee_timestamp: guarantee.timestamp,
            consistency_level: guarantee.level,
            use_default_consistency: guarantee.use_default,
            function_score: self.rerank.function_score(),
            ..HybridSearchRequest::default()
        })
    }

    async fn send(mut self) -> Result<SearchResults> {
        self.check()?;
        let clock = self.settings.start();
        self.target.find(&clock).await?;
        match self.attempt(&clock).await {
            Err(error) if self.target.renew(&error, &clock).await.is_some() => {
                self.attempt(&clock).await
            }
            answer => answer,
        }
    }

    async fn attempt(&self, clock: &Clock) -> Result<SearchResults> {
        let message = self.message()?;
        let client = &self.target.client;
        let answer = client
            .call(HYBRID, &rpc::HYBRID_SEARCH, message, clock)
            .await?;
        SearchResults::from_answer(answer)
    }
}
