//! `query`: rows by filter.
//!
//! Invariant: what the server would ignore or misread (a placeholder, an order) is never sent to one
//! that is known to be too old.

use futures_core::Stream;
use milvus_protocol::common::KeyValuePair;
use milvus_protocol::milvus::QueryRequest;
use milvus_protocol::rpc;

use super::query_pages;
use super::target::{ReadTarget, parameter};
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::filter::{Filter, TEMPLATES};
use crate::results::Rows;

const ORDER: Feature = Feature::since("ordered queries", 3, 0)
    .not_in_lite()
    .in_embedded();
const GROUPS: Feature = Feature::since("grouped queries", 3, 0).not_in_lite();

impl Client {
    /// Reads rows by filter.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let rows = client
    ///     .query("docs")
    ///     .filter("year >= {year} and lang in {langs}")
    ///     .filter_value("year", 2000)
    ///     .filter_value("langs", ["en", "de"])
    ///     .output_fields(["title"])
    ///     .limit(100)
    ///     .await?;
    /// let many = client.query("docs").filter("year >= 2000").count().await?;
    /// # let _ = (rows, many);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] without filter and limit; [`Error::Connection`].
    pub fn query(&self, collection: impl Into<String>) -> Query {
        Query {
            target: ReadTarget::new(self, collection.into()),
            filter: Filter::default(),
            limit: None,
            offset: None,
            ignore_growing: false,
            order: Vec::new(),
            group_by: Vec::new(),
            parameters: Vec::new(),
            page_size: query_pages::DEFAULT_PAGE,
            settings: CallSettings::default(),
        }
    }
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// A request of [`Client::query`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `.await`"]
pub struct Query {
    pub(super) target: ReadTarget,
    pub(super) filter: Filter,
    pub(super) limit: Option<u64>,
    pub(super) offset: Option<u64>,
    ignore_growing: bool,
    order: Vec<(String, Order)>,
    group_by: Vec<String>,
    parameters: Vec<(String, String)>,
    pub(super) page_size: usize,
    pub(super) settings: CallSettings,
}

request!(Query => Rows);
read_target!(Query);
read_filter!(Query);

impl Query {
    /// Sets how many rows come back at most. Servers take up to 16,384, offset included; see
    /// [`pages`](Self::pages) for more.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Leaves the first rows out.
    pub fn offset(mut self, rows: u64) -> Self {
        self.offset = Some(rows);
        self
    }

    /// Looks only at segments that are sealed and indexed.
    pub fn ignore_growing(mut self) -> Self {
        self.ignore_growing = true;
        self
    }

    /// Orders the rows; called again, it orders rows that are equal so far.
    pub fn order_by(mut self, field: impl Into<String>, order: Order) -> Self {
        self.order.push((field.into(), order));
        self
    }

    /// Groups the rows by a field; the output fields are then aggregates such as `sum(price)`.
    pub fn group_by(mut self, field: impl Into<String>) -> Self {
        self.group_by.push(field.into());
        self
    }

    /// Sets a parameter that has no method here, such as `timezone`.
    pub fn parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.parameters.push((key.into(), value.to_string()));
        self
    }

    /// Counts the rows instead of reading them.
    pub fn count(mut self) -> Count {
        self.target.output_fields = vec!["count(*)".to_owned()];
        Count {
            settings: self.settings.clone(),
            query: self,
        }
    }

    /// Sets how many rows a page of [`pages`](Self::pages) has at most; 1,000 by default, 16,384 at
    /// most.
    pub fn page_size(mut self, rows: usize) -> Self {
        self.page_size = rows;
        self
    }

    /// Reads all rows, however many, page by page in the order of the primary key.
    ///
    /// All pages show the collection as it was when the stream was first polled. `limit` bounds all
    /// pages together. A page is asked for when the stream is polled.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use futures_util::TryStreamExt as _;
    ///
    /// let mut pages = std::pin::pin!(client.query("docs").output_fields(["title"]).pages());
    /// while let Some(rows) = pages.try_next().await? {
    ///     println!("{} more", rows.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages(self) -> impl Stream<Item = Result<Rows>> + Send + 'static {
        query_pages::pages(self)
    }

    fn describe(&self) -> String {
        format!("query {:?}", self.target.collection)
    }

    /// What only newer servers have.
    fn require(&self) -> Result<()> {
        let client = &self.target.client;
        if !self.filter.values.is_empty() {
            client.require(TEMPLATES)?;
        }
        if !self.order.is_empty() {
            client.require(ORDER)?;
        }
        if !self.group_by.is_empty() {
            client.require(GROUPS)?;
        }
        Ok(())
    }

    /// The message; `more` are parameters of an iteration.
    pub(super) fn message(
        &self,
        expression: String,
        limit: Option<u64>,
        more: Vec<KeyValuePair>,
    ) -> QueryRequest {
        let mut query_params = more;
        if let Some(limit) = limit {
            query_params.push(parameter("limit", limit));
        }
        if let Some(offset) = self.offset {
            query_params.push(parameter("offset", offset));
        }
        query_params.push(parameter("ignore_growing", self.ignore_growing));
        if !self.order.is_empty() {
            let order: Vec<_> = self.order.iter().map(order_text).collect();
            query_params.push(parameter("order_by_fields", order.join(",")));
        }
        if !self.group_by.is_empty() {
            query_params.push(parameter("group_by_fields", self.group_by.join(",")));
        }
        for (key, value) in &self.parameters {
            query_params.push(parameter(key, value));
        }
        let guarantee = self.target.guarantee();
        QueryRequest {
            collection_name: self.target.collection.clone(),
            expr: expression,
            output_fields: self.target.output_fields.clone(),
            partition_names: self.target.partitions.clone(),
            guarantee_timestamp: guarantee.timestamp,
            consistency_level: guarantee.level,
            use_default_consistency: guarantee.use_default,
            expr_template_values: self.filter.template_values(),
            query_params,
            ..QueryRequest::default()
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.require()
    }

    pub(super) async fn call(
        client: &Client,
        message: QueryRequest,
        clock: &Clock,
    ) -> Result<Rows> {
        let answer = client
            .call(Feature::call("queries"), &rpc::QUERY, message, clock)
            .await?;
        Rows::from_answer(answer)
    }

    async fn send(mut self) -> Result<Rows> {
        let counts = self.target.output_fields.iter().any(|f| f.contains('('));
        if self.filter.expression.trim().is_empty() && self.limit.is_none() && !counts {
            return Err(Error::request(
                self.describe(),
                "limit",
                "is missing: a query without a filter needs one (or `pages()`, to read everything)",
            ));
        }
        self.check()?;
        let clock = self.settings.start();
        self.target.resolve_own_writes(&clock).await?;
        let message = self.message(self.filter.expression.clone(), self.limit, Vec::new());
        Self::call(&self.target.client, message, &clock).await
    }
}

fn order_text((field, order): &(String, Order)) -> String {
    let direction = match order {
        Order::Ascending => "asc",
        Order::Descending => "desc",
    };
    format!("{field}:{direction}")
}

/// A request of [`Query::count`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `.await`"]
pub struct Count {
    query: Query,
    settings: CallSettings,
}

request!(Count => u64);

impl Count {
    async fn send(mut self) -> Result<u64> {
        self.query.settings = self.settings;
        // Servers refuse a limit beside count(*).
        self.query.limit = None;
        let rows = self.query.send().await?;
        rows.count().ok_or_else(|| {
            Error::answer("the number of rows", "the server sent no column `count(*)`")
        })
    }
}
