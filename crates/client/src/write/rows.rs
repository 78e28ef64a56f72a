//! Insert and upsert, which differ only in their message: from a source of rows to acknowledged rows.
//!
//! The rows are checked against the remembered schema. When they break a rule of it, or the server says
//! that the schema has changed, the schema is fetched once more, and the write is tried again if it is
//! another one and nothing was applied.
//!
//! Invariant: an error means that no row of it was applied unless it says so.

use std::ops::Range;
use std::sync::Arc;

use milvus_protocol::milvus::{InsertRequest, MutationResult, UpsertRequest};
use milvus_protocol::rpc::{self, OperationClass};
use milvus_protocol::schema::{FieldData, FieldPartialUpdateOp};

use super::options::{WriteOptions, WriteProgress};
use super::pieces::Pieces;
use super::pipeline::{self, Fates};
use super::source::{Columns, Plan, Source};
use super::{Answers, WriteResult};
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::data::{Column, Write};
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, IncompleteWrite, Result};
use crate::feature::Feature;

/// A write of rows.
pub(super) struct RowWrite<'a> {
    pub(super) requests: RowRequests,
    pub(super) input: Input<'a>,
    pub(super) options: WriteOptions<'a>,
    pub(super) settings: CallSettings,
}

/// What all requests of a write have in common.
pub(super) struct RowRequests {
    pub(super) client: Client,
    pub(super) collection: String,
    pub(super) write: Write,
    pub(super) field_changes: Vec<FieldPartialUpdateOp>,
}

/// What the caller gave.
#[derive(Default)]
pub(super) enum Input<'a> {
    #[default]
    Nothing,
    Columns(Columns),
    Rows(Box<dyn Source + 'a>),
    /// Rows twice, or rows and columns.
    Both,
}

impl<'a> Input<'a> {
    pub(super) fn column(&mut self, name: String, column: Column) {
        match self {
            Self::Columns(columns) => columns.columns.push((name, column)),
            Self::Nothing => {
                let mut columns = Columns::default();
                columns.columns.push((name, column));
                *self = Self::Columns(columns);
            }
            Self::Rows(_) | Self::Both => *self = Self::Both,
        }
    }

    pub(super) fn rows(&mut self, rows: impl Source + 'a) {
        *self = match self {
            Self::Nothing => Self::Rows(Box::new(rows)),
            _ => Self::Both,
        };
    }
}

/// Bytes of a request beside its columns: names, timestamps, tags.
const REQUEST_BYTES: usize = 512;

impl RowWrite<'_> {
    pub(super) async fn send(mut self) -> Result<WriteResult> {
        let operation = self.requests.operation();
        let mut source: Box<dyn Source> = match std::mem::take(&mut self.input) {
            Input::Columns(columns) => Box::new(columns),
            Input::Rows(rows) => rows,
            Input::Nothing => {
                let rule = "are missing: give `column`s, `rows` or `rows_from`";
                return Err(Error::request(operation, "rows", rule));
            }
            Input::Both => {
                let rule =
                    "are given twice: give `column`s, `rows` or `rows_from`, and the latter once";
                return Err(Error::request(operation, "rows", rule));
            }
        };
        let clock = self.settings.start();
        let mut collection = self.requests.description(&clock).await?;
        let mut is_second_try = false;
        loop {
            let (error, is_untouched) = match self.run(&collection, &mut *source, &clock).await {
                Ok(result) => return Ok(result),
                Err((error, is_untouched)) => (error, is_untouched),
            };
            let may_be_stale = error.may_come_of_an_old_description();
            if is_second_try || !may_be_stale || !is_untouched || !source.rewind() {
                return Err(error);
            }
            is_second_try = true;
            let RowRequests {
                client,
                collection: name,
                ..
            } = &self.requests;
            match client.renewed(name, &collection, &error, &clock).await {
                Some(fresh) => collection = fresh,
                None => return Err(error),
            }
        }
    }

    /// One try. The error says whether nothing was applied for certain.
    async fn run(
        &mut self,
        collection: &Arc<CollectionDescription>,
        source: &mut dyn Source,
        clock: &Clock,
    ) -> Result<WriteResult, (Error, bool)> {
        let requests = &self.requests;
        let partition = self.options.partition.as_str();
        let limit = requests
            .client
            .connection()
            .config()
            .options
            .max_request_bytes
            .saturating_sub(REQUEST_BYTES + requests.collection.len() + partition.len());
        let request_bytes = self.options.request_bytes;
        let request_bytes = request_bytes.unwrap_or_else(|| source.request_bytes());
        let plan = Plan {
            collection,
            write: requests.write,
            piece: request_bytes.min(limit).max(1),
            pieces: self.options.concurrency,
            limit,
        };
        let mut pieces = Pieces::new(source, plan);
        let concurrency = pieces.check().await.map_err(|error| (error, true))?;
        let mut progress = self.options.progress.take();
        let (mut answers, mut acknowledged) = (Answers::default(), 0);
        let total = pieces.total();
        let next = || {
            let Some((rows, fields)) = pieces.next()? else {
                return Ok(None);
            };
            let count = (rows.end - rows.start) as usize;
            let request = requests.request(collection, partition, fields, count, clock);
            Ok(Some((rows, request)))
        };
        let acknowledge = |rows: Range<u64>, answer: MutationResult| {
            requests.client.remember_write(
                &requests.collection,
                &collection.name,
                answer.timestamp,
            );
            acknowledged += rows.end - rows.start;
            if let Some(report) = &mut progress {
                report(WriteProgress {
                    acknowledged,
                    total,
                });
            }
            let count = match requests.write {
                Write::Insert => answer.insert_cnt,
                Write::Upsert { .. } => answer.upsert_cnt,
            };
            answers.add(rows.start, count, answer)
        };
        let (fates, reason) = pipeline::run(concurrency, next, acknowledge).await;
        let rows = total.unwrap_or(pieces.rows());
        let outcome = match reason {
            None => Ok(answers.finish()),
            Some(reason) => {
                let is_untouched = fates.is_untouched();
                let error = incomplete(requests.operation(), fates, rows, total.is_none(), reason);
                Err((error, is_untouched))
            }
        };
        self.options.progress = progress;
        outcome
    }
}

impl RowRequests {
    fn operation(&self) -> String {
        let verb = match self.write {
            Write::Insert => "insert into",
            Write::Upsert { .. } => "upsert into",
        };
        format!("{verb} {:?}", self.collection)
    }

    async fn description(&self, clock: &Clock) -> Result<Arc<CollectionDescription>> {
        self.client.collection(&self.collection, clock).await
    }

    /// One request.
    fn request(
        &self,
        collection: &CollectionDescription,
        partition: &str,
        fields_data: Vec<FieldData>,
        rows: usize,
        clock: &Clock,
    ) -> impl Future<Output = Result<MutationResult>> + Send + use<> {
        let (client, clock, write) = (self.client.clone(), clock.clone(), self.write);
        let collection_name = self.collection.clone();
        let partition_name = partition.to_owned();
        let schema_timestamp = collection.update_timestamp;
        let num_rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let field_ops = self.field_changes.clone();
        // An upsert with keys that the server makes up does not name its rows: twice is two rows.
        let is_keyed = collection
            .schema
            .primary_key()
            .is_some_and(|key| !key.is_auto_id);
        async move {
            match write {
                Write::Insert => {
                    let message = InsertRequest {
                        collection_name,
                        partition_name,
                        fields_data,
                        num_rows,
                        schema_timestamp,
                        ..InsertRequest::default()
                    };
                    let feature = Feature::call("inserts");
                    client.call(feature, &rpc::INSERT, message, &clock).await
                }
                Write::Upsert { partial } => {
                    let message = UpsertRequest {
                        collection_name,
                        partition_name,
                        fields_data,
                        num_rows,
                        schema_timestamp,
                        partial_update: partial,
                        field_ops,
                        ..UpsertRequest::default()
                    };
                    let class = (!is_keyed).then_some(OperationClass::NonIdempotentWrite);
                    let feature = Feature::call("upserts");
                    client
                        .call_as(class, feature, &rpc::UPSERT, message, &clock)
                        .await
                }
            }
        }
    }
}

/// The error for a write that stopped. A write that was a single request needs no account of its rows:
/// the connection's error says whether it may have been applied.
fn incomplete(
    operation: String,
    mut fates: Fates,
    rows: u64,
    input_left: bool,
    reason: Error,
) -> Error {
    let started: u64 = [&fates.acknowledged, &fates.unknown, &fates.not_applied]
        .into_iter()
        .flatten()
        .map(|range| range.end - range.start)
        .sum();
    let is_single = fates.acknowledged.is_empty() && started == rows && !input_left;
    if is_single || (started == 0 && fates.is_untouched()) {
        return reason;
    }
    fates.rest_not_applied(rows);
    Error::IncompleteWrite(Arc::new(IncompleteWrite {
        operation,
        acknowledged: fates.acknowledged,
        unknown: fates.unknown,
        not_applied: fates.not_applied,
        input_left,
        reason,
    }))
}
