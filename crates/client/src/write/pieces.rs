//! The requests of a write of rows, made one after the other from the pieces of its source.
//!
//! Invariant: the requests hold every row once, in the order of the rows; none is larger than `limit`.

use std::ops::Range;

use milvus_protocol::schema::FieldData;

use super::source::{Plan, Source};
use super::survey::Survey;
use crate::data::{Batch, FieldColumn, Part, RowTooLarge, Write, split};
use crate::error::{Error, InvalidValue, Result};

/// Rows up to this size are one request: cut smaller, their fixed costs would be felt.
const CUT_FROM: usize = 2 << 20;

pub(super) struct Pieces<'a> {
    source: &'a mut dyn Source,
    plan: Plan<'a>,
    /// Bytes of a request.
    target: usize,
    current: Option<Piece>,
    /// Rows read from the source so far.
    rows: u64,
}

struct Piece {
    batch: Batch,
    parts: std::vec::IntoIter<Part>,
    first_row: u64,
    /// Whether one request takes all of it.
    is_whole: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(source: &'a mut dyn Source, plan: Plan<'a>) -> Self {
        Self {
            source,
            target: plan.piece,
            plan,
            current: None,
            rows: 0,
        }
    }

    /// Checks the rows, as far as they can be before one is sent, and decides how they are cut. Returns how many
    /// requests may be under way at a time.
    pub(super) async fn check(&mut self) -> Result<usize> {
        while !self
            .source
            .check(&self.plan)
            .map_err(|problem| self.invalid(problem))?
        {
            tokio::task::yield_now().await;
        }
        let survey = self.source.survey();
        if let Some(problem) = survey.and_then(Survey::too_large) {
            return Err(too_large(problem, 0, self.plan.limit));
        }
        let concurrency = match (self.plan.write, survey) {
            (Write::Insert, _) => self.plan.pieces,
            (Write::Upsert { .. }, Some(survey)) if !survey.has_repeated_keys() => self.plan.pieces,
            // Rows of later requests may replace rows of earlier ones.
            (Write::Upsert { .. }, _) => 1,
        };
        if let Some(survey) = survey {
            let share = survey.share(concurrency).max(CUT_FROM);
            self.target = self.target.min(share);
        }
        Ok(concurrency)
    }

    fn invalid(&self, problem: InvalidValue) -> Error {
        problem.in_collection(&self.plan.collection.name).into()
    }

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
        let batch = self
            .source
            .next(&self.plan)
            .map_err(|problem| self.invalid(problem))?;
        let Some(batch) = batch else {
            return Ok(());
        };
        let first_row = self.rows;
        let parts = split(&batch, self.target, self.plan.limit)
            .map_err(|problem| too_large(problem, first_row, self.plan.limit))?;
        self.rows += batch.rows as u64;
        self.current = Some(Piece {
            is_whole: parts.len() == 1,
            parts: parts.into_iter(),
            batch,
            first_row,
        });
        Ok(())
    }

    /// The next request: which rows, and their columns.
    pub(super) fn next(&mut self) -> Result<Option<(Range<u64>, Vec<FieldData>)>> {
        self.fill()?;
        let Some(piece) = &mut self.current else {
            return Ok(None);
        };
        let Some(part) = piece.parts.next() else {
            return Ok(None);
        };
        let rows = piece.first_row + part.rows.start as u64..piece.first_row + part.rows.end as u64;
        let fields = if piece.is_whole {
            let columns = std::mem::take(&mut piece.batch.columns);
            columns.into_iter().map(FieldColumn::into_message).collect()
        } else {
            part.messages(&piece.batch)
        };
        if piece.parts.len() == 0 {
            // The last request has its own share of the memory.
            self.current = None;
        }
        Ok(Some((rows, fields)))
    }

    /// How many rows there are, when that is known before the last is read.
    pub(super) fn total(&self) -> Option<u64> {
        self.source.survey().map(Survey::rows)
    }

    /// Rows read so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
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
