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
use super::pipeline::{self, Fates};
use super::source::{Columns, Source};
use super::{Answers, WriteResult};
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::data::{Batch, Column, Part, RowTooLarge, Write, split};
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, IncompleteWrite, InvalidValue, Result};
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
        self.requests.refuse_structs(&collection)?;
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
        let target = self.options.request_bytes.min(limit).max(1);
        let mut pieces = Pieces {
            write: requests.write,
            collection,
            source,
            target,
            limit,
            current: None,
            rows: 0,
        };
        // The first piece is made before anything is sent: for columns and slices it is all there is.
        pieces.fill().map_err(|error| (error, true))?;
        let concurrency = if pieces.must_keep_order() {
            1
        } else {
            self.options.concurrency
        };
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
        let rows = pieces.rows;
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

    /// Fields of structs are created and described here, but their values are not made.
    fn refuse_structs(&self, collection: &CollectionDescription) -> Result<()> {
        match collection.schema.struct_array_fields.first() {
            Some(field) if !matches!(self.write, Write::Upsert { partial: true }) => {
                let rule = format!(
                    "cannot be given: `{}` is a list of structs, which this client does not write; send an \
                     InsertRequest by `connection().call`",
                    field.name
                );
                Err(Error::request(self.operation(), "rows", rule))
            }
            _ => Ok(()),
        }
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
    let first_unsent = [&fates.acknowledged, &fates.unknown, &fates.not_applied]
        .into_iter()
        .flatten()
        .map(|range| range.end)
        .max()
        .unwrap_or(0);
    if first_unsent < rows {
        fates.not_applied.push(first_unsent..rows);
        fates.tidy();
    }
    Error::IncompleteWrite(Arc::new(IncompleteWrite {
        operation,
        acknowledged: fates.acknowledged,
        unknown: fates.unknown,
        not_applied: fates.not_applied,
        input_left,
        reason,
    }))
}

/// The requests of a write, made one after the other from the pieces of its source.
struct Pieces<'a> {
    write: Write,
    collection: &'a CollectionDescription,
    source: &'a mut dyn Source,
    target: usize,
    limit: usize,
    current: Option<Piece>,
    /// Rows read from the source so far.
    rows: u64,
}

struct Piece {
    batch: Batch,
    parts: std::vec::IntoIter<Part>,
    first_row: u64,
    /// Whether this is all there is and one request takes it.
    is_whole: bool,
}

impl Pieces<'_> {
    /// Reads the next piece if there is none at hand.
    fn fill(&mut self) -> Result<()> {
        if self
            .current
            .as_ref()
            .is_some_and(|piece| piece.parts.len() > 0)
        {
            return Ok(());
        }
        self.current = None;
        let invalid = |invalid: InvalidValue, rows: u64| {
            Error::from(
                invalid
                    .after_rows(rows)
                    .in_collection(&self.collection.name),
            )
        };
        let batch = self
            .source
            .next(self.collection, self.write, self.target)
            .map_err(|problem| invalid(problem, self.rows))?;
        let Some(batch) = batch else {
            return Ok(());
        };
        let first_row = self.rows;
        let parts = split(&batch, self.target, self.limit)
            .map_err(|problem| too_large(problem, first_row, self.limit))?;
        self.rows += batch.rows as u64;
        self.current = Some(Piece {
            is_whole: parts.len() == 1,
            parts: parts.into_iter(),
            batch,
            first_row,
        });
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Range<u64>, Vec<FieldData>)>> {
        self.fill()?;
        let Some(piece) = &mut self.current else {
            return Ok(None);
        };
        let Some(part) = piece.parts.next() else {
            return Ok(None);
        };
        let rows = piece.first_row + part.rows.start as u64..piece.first_row + part.rows.end as u64;
        let fields = if piece.is_whole {
            std::mem::take(&mut piece.batch.columns)
                .into_iter()
                .map(crate::data::FieldColumn::into_message)
                .collect()
        } else {
            part.messages(&piece.batch)
        };
        Ok(Some((rows, fields)))
    }

    /// How many rows there are, when the source has nothing more than the first piece.
    fn total(&self) -> Option<u64> {
        self.source.is_exhausted().then_some(self.rows)
    }

    /// Whether rows of later requests may replace rows of earlier ones.
    fn must_keep_order(&self) -> bool {
        let Write::Upsert { .. } = self.write else {
            return false;
        };
        let Some(piece) = &self.current else {
            return false;
        };
        if !self.source.is_exhausted() {
            return true;
        }
        piece.parts.len() > 1 && has_equal_keys(&piece.batch, self.collection)
    }
}

fn has_equal_keys(batch: &Batch, collection: &CollectionDescription) -> bool {
    use std::collections::HashSet;

    use crate::data::Payload;
    let Some(key) = collection.schema.primary_key() else {
        return false;
    };
    let column = batch.columns.iter().find(|column| column.name == key.name);
    match column.map(|column| &column.payload) {
        Some(Payload::Long(keys)) => {
            let mut seen = HashSet::with_capacity(keys.len());
            !keys.iter().all(|key| seen.insert(*key))
        }
        Some(Payload::Slices(keys)) => {
            let mut seen = HashSet::with_capacity(keys.len());
            !keys.iter().all(|key| seen.insert(key))
        }
        _ => false,
    }
}

fn too_large(problem: RowTooLarge, first_row: u64, limit: usize) -> Error {
    let row = first_row + problem.row as u64;
    Error::request(
        "write of rows",
        format!("row {row}"),
        format!(
            "takes up to {} bytes, more than a request may have ({limit} bytes; see max_request_bytes)",
            problem.bytes
        ),
    )
}
