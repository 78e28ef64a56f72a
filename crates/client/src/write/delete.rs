//! `delete`: rows by primary key or by filter.
//!
//! Invariant: nothing is deleted without an explicit choice; an empty filter is refused.

use std::ops::Range;
use std::sync::Arc;

use milvus_protocol::milvus::{DeleteRequest, MutationResult};
use milvus_protocol::rpc;

use super::options::{WriteOptions, WriteProgress};
use super::pipeline;
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::consistency::ConsistencyLevel;
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, IncompleteWrite, Result};
use crate::feature::Feature;
use crate::filter::{Filter, FilterValue, TEMPLATES};
use crate::ids::id_filters;
use crate::results::Ids;

impl Client {
    /// Deletes rows by primary key (any number) or by filter.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.delete("docs").ids([1, 2, 3]).await?;
    /// let deleted = client
    ///     .delete("docs")
    ///     .filter("year < {oldest}")
    ///     .filter_value("oldest", 1990)
    ///     .await?;
    /// println!("{} rows", deleted.rows);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert); rows are counted in the order of the ids.
    pub fn delete<'a>(&self, collection: impl Into<String>) -> Delete<'a> {
        Delete {
            requests: DeleteRequests {
                client: self.clone(),
                collection: collection.into(),
                consistency: None,
            },
            ids: None,
            filter: Filter::default(),
            options: WriteOptions::default(),
            settings: CallSettings::default(),
        }
    }
}

/// A request of [`Client::delete`].
#[must_use = "nothing is sent before `.await`"]
pub struct Delete<'a> {
    requests: DeleteRequests,
    ids: Option<Ids>,
    filter: Filter,
    options: WriteOptions<'a>,
    settings: CallSettings,
}

/// What all requests of a delete have in common.
struct DeleteRequests {
    client: Client,
    collection: String,
    consistency: Option<ConsistencyLevel>,
}

/// What is to be deleted by each request, and which of the caller's ids these are.
type Filters<'a> = Box<dyn ExactSizeIterator<Item = (Range<u64>, Filter)> + Send + 'a>;

/// What a delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// Rows deleted, as the server counts them: many servers count the ids they were given, whether
    /// there was such a row or not.
    pub rows: u64,
    /// The (hybrid) timestamp of the last delete.
    pub timestamp: u64,
    /// The primary keys of the rows, from servers that say them: Milvus before 2.4 and Milvus Lite.
    pub ids: Ids,
    /// How many requests it took.
    pub requests: usize,
    /// What the delete cost, from services that count it (in their own unit); else 0.
    pub cost: u64,
}

request!(Delete<'a> => DeleteResult);
write_options!(Delete);

impl Delete<'_> {
    /// Deletes the rows with these primary keys.
    pub fn ids(mut self, ids: impl Into<Ids>) -> Self {
        self.ids = Some(ids.into());
        self
    }

    /// Deletes the rows for which this expression is true.
    pub fn filter(mut self, expression: impl Into<String>) -> Self {
        self.filter.expression = expression.into();
        self
    }

    /// Fills the placeholder `{name}` of the filter.
    pub fn filter_value(mut self, name: impl Into<String>, value: impl Into<FilterValue>) -> Self {
        self.filter.values.push((name.into(), value.into()));
        self
    }

    /// Sets how fresh the data must be in which rows are looked for.
    pub fn consistency(mut self, level: ConsistencyLevel) -> Self {
        self.requests.consistency = Some(level);
        self
    }

    fn check(&self) -> Result<()> {
        let request = format!("delete from {:?}", self.requests.collection);
        let has_filter = !self.filter.expression.trim().is_empty();
        match (&self.ids, has_filter) {
            (Some(_), true) => Err(Error::request(
                request,
                "filter",
                "is given together with ids; give one of them",
            )),
            (None, false) => Err(Error::request(
                request,
                "filter",
                "is missing: give ids or a filter (to delete everything, drop or truncate the collection)",
            )),
            _ => Ok(()),
        }
    }

    async fn send(mut self) -> Result<DeleteResult> {
        self.check()?;
        let clock = self.settings.start();
        let (client, name) = (
            self.requests.client.clone(),
            self.requests.collection.clone(),
        );
        let collection = client.collection(&name, &clock).await?;
        let (error, is_untouched) = match self.run(&collection, &clock).await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        if !is_untouched {
            return Err(error);
        }
        match client.renewed(&name, &collection, &error, &clock).await {
            Some(fresh) => self.run(&fresh, &clock).await.map_err(|(error, _)| error),
            None => Err(error),
        }
    }

    /// One try. The error says whether nothing was applied for certain.
    async fn run(
        &mut self,
        collection: &CollectionDescription,
        clock: &Clock,
    ) -> Result<DeleteResult, (Error, bool)> {
        let requests = &self.requests;
        let partition = self.options.partition.as_str();
        let bytes = self.options.request_bytes;
        let (total, mut filters) = requests
            .filters(collection, self.ids.as_ref(), &self.filter, bytes)
            .map_err(|error| (error, true))?;
        let count = filters.len();
        let mut progress = self.options.progress.take();
        let mut result = DeleteResult::default();
        let mut acknowledged = 0;
        let next = || {
            let next = filters.next();
            Ok(next.map(|(rows, filter)| (rows, requests.request(partition, &filter, clock))))
        };
        let acknowledge = |rows: Range<u64>, answer: MutationResult| {
            requests.client.remember_write(
                &requests.collection,
                &collection.name,
                answer.timestamp,
            );
            acknowledged += rows.end - rows.start;
            result.rows += u64::try_from(answer.delete_cnt).unwrap_or(0);
            result.timestamp = result.timestamp.max(answer.timestamp);
            result.requests += 1;
            result.ids.extend(Ids::from_wire(answer.i_ds)?);
            result.cost += answer.status.as_ref().map_or(0, super::cost);
            if let Some(report) = &mut progress {
                report(WriteProgress {
                    acknowledged,
                    total: Some(total),
                });
            }
            Ok(())
        };
        let (mut fates, reason) = pipeline::run(self.options.concurrency, next, acknowledge).await;
        self.options.progress = progress;
        let Some(reason) = reason else {
            return Ok(result);
        };
        let is_untouched = fates.is_untouched();
        if count == 1 {
            return Err((reason, is_untouched));
        }
        fates.rest_not_applied(total);
        let error = Error::IncompleteWrite(Arc::new(IncompleteWrite {
            operation: format!("delete from {:?}", requests.collection),
            acknowledged: fates.acknowledged,
            unknown: fates.unknown,
            not_applied: fates.not_applied,
            input_left: false,
            reason,
        }));
        Err((error, is_untouched))
    }
}

impl DeleteRequests {
    /// How many ids there are (one, of a filter), and the filters of the requests.
    fn filters<'a>(
        &self,
        collection: &'a CollectionDescription,
        ids: Option<&'a Ids>,
        filter: &Filter,
        bytes: Option<usize>,
    ) -> Result<(u64, Filters<'a>)> {
        let Some(ids) = ids else {
            if !filter.values.is_empty() {
                self.client.require(TEMPLATES)?;
            }
            return Ok((1, Box::new(std::iter::once((0..1, filter.clone())))));
        };
        let filters = id_filters(&self.client, collection, ids, bytes)?;
        Ok((ids.len() as u64, Box::new(filters)))
    }

    fn message(&self, partition: &str, filter: &Filter) -> DeleteRequest {
        DeleteRequest {
            collection_name: self.collection.clone(),
            partition_name: partition.to_owned(),
            expr: filter.expression.clone(),
            consistency_level: self.consistency.map_or(0, ConsistencyLevel::number),
            expr_template_values: filter.template_values(),
            ..DeleteRequest::default()
        }
    }

    fn request(
        &self,
        partition: &str,
        filter: &Filter,
        clock: &Clock,
    ) -> impl Future<Output = Result<MutationResult>> + Send + use<> {
        let (client, clock) = (self.client.clone(), clock.clone());
        let message = self.message(partition, filter);
        async move {
            let feature = Feature::call("deletes");
            client.call(feature, &rpc::DELETE, message, &clock).await
        }
    }
}
