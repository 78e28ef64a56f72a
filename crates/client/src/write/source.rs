//! Where the rows of a write come from.
//!
//! Columns and slices of rows are checked as a whole before anything is sent. A slice is not turned into columns as a
//! whole for that: what does not fit into the first requests is written into small pieces, which are checked and
//! dropped, and is written again when its turn comes. An iterator of rows is read and checked a request at a time, so
//! that it need not fit into memory.
//!
//! Invariant: a source that can be read again gives the same rows again; errors count rows from the source's first.

use std::collections::VecDeque;

use serde::Serialize;

use super::survey::Survey;
use crate::data::{Batch, Column, RowWriter, Write, bind_columns};
use crate::describe_collection::CollectionDescription;
use crate::error::InvalidValue;

pub(super) type Checked<T> = Result<T, InvalidValue>;

/// What is to be done with the rows.
pub(super) struct Plan<'a> {
    pub(super) collection: &'a CollectionDescription,
    pub(super) write: Write,
    /// Bytes of a piece.
    pub(super) piece: usize,
    /// How many pieces may be in memory at a time.
    pub(super) pieces: usize,
    /// Bytes that no row may exceed.
    pub(super) limit: usize,
}

/// Large enough that a request's fixed costs vanish, small enough that four of them are not felt in memory and that the
/// server's work on one overlaps the way of the next.
const REQUEST_BYTES: usize = 16 << 20;
/// Requests whose columns are made of rows are still in the processor's cache when they are sent.
const ROWS_REQUEST_BYTES: usize = 4 << 20;

/// Rows in pieces.
pub(super) trait Source: Send {
    /// The size of a request unless the caller says another.
    fn request_bytes(&self) -> usize {
        REQUEST_BYTES
    }

    /// Checks some of the rows, if they are all there already. To be called until it is `true`: not all at once, because
    /// it takes about as long as copying the rows.
    fn check(&mut self, plan: &Plan<'_>) -> Checked<bool>;

    /// What is known about all rows once they have been checked; `None` when they have to be read first.
    fn survey(&self) -> Option<&Survey>;

    /// The next piece; `None` at the end. Columns are one piece, of any size.
    fn next(&mut self, plan: &Plan<'_>) -> Checked<Option<Batch>>;

    /// Starts over; `false` when that is not possible any more.
    fn rewind(&mut self) -> bool;
}

/// Columns.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) columns: Vec<(String, Column)>,
    bound: Option<Batch>,
    survey: Option<Survey>,
}

impl Source for Columns {
    fn check(&mut self, plan: &Plan<'_>) -> Checked<bool> {
        let batch = bind_columns(self.columns.clone(), plan.write, plan.collection)?;
        self.survey = Some(Survey::of(&batch, plan));
        self.bound = Some(batch);
        Ok(true)
    }

    fn survey(&self) -> Option<&Survey> {
        self.survey.as_ref()
    }

    fn next(&mut self, _plan: &Plan<'_>) -> Checked<Option<Batch>> {
        Ok(self.bound.take())
    }

    fn rewind(&mut self) -> bool {
        true
    }
}

/// A slice of rows.
pub(super) struct Slice<'a, T> {
    rows: &'a [T],
    /// Rows that have been checked.
    checked: usize,
    survey: Survey,
    /// The first pieces, which were kept when they had been checked.
    ready: VecDeque<Batch>,
    /// Rows that have been given, or are in `ready`.
    made: usize,
}

/// Bytes of a piece that is only checked: few enough to stay in a processor's own cache.
const CHECKED_AT_A_TIME: usize = 256 << 10;
/// Bytes checked before other tasks get their turn.
const CHECKED_IN_A_TURN: usize = 4 << 20;

impl<'a, T: Serialize> Slice<'a, T> {
    pub(super) fn new(rows: &'a [T]) -> Self {
        Self {
            rows,
            checked: 0,
            survey: Survey::default(),
            ready: VecDeque::new(),
            made: 0,
        }
    }

    /// The rows from `start` on, as many as `bytes` bytes have.
    fn piece(&self, plan: &Plan<'_>, start: usize, bytes: usize) -> Checked<Option<Batch>> {
        let rows = self.rows.get(start..).unwrap_or_default();
        if rows.is_empty() {
            return Ok(None);
        }
        let counted = |invalid: InvalidValue| invalid.after_rows(start as u64);
        let mut writer = RowWriter::of_piece(plan.collection, plan.write, rows.len(), bytes);
        writer.fill(&mut rows.iter(), bytes).map_err(counted)?;
        writer.finish().map(Some).map_err(counted)
    }
}

impl<T: Serialize + Sync> Source for Slice<'_, T> {
    fn request_bytes(&self) -> usize {
        ROWS_REQUEST_BYTES
    }

    fn check(&mut self, plan: &Plan<'_>) -> Checked<bool> {
        let mut in_this_turn = 0;
        while in_this_turn < CHECKED_IN_A_TURN {
            let is_kept = self.checked == self.made && self.ready.len() < plan.pieces.max(1);
            let size = if is_kept {
                plan.piece
            } else {
                CHECKED_AT_A_TIME.min(plan.piece)
            };
            let Some(batch) = self.piece(plan, self.checked, size)? else {
                self.survey.finish()?;
                return Ok(true);
            };
            self.checked += batch.rows;
            in_this_turn += self.survey.add(&batch, plan);
            if is_kept {
                self.made = self.checked;
                self.ready.push_back(batch);
            }
        }
        Ok(false)
    }

    fn survey(&self) -> Option<&Survey> {
        Some(&self.survey)
    }

    fn next(&mut self, plan: &Plan<'_>) -> Checked<Option<Batch>> {
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Some(batch));
        }
        let batch = self.piece(plan, self.made, plan.piece)?;
        self.made += batch.as_ref().map_or(0, |batch| batch.rows);
        Ok(batch)
    }

    fn rewind(&mut self) -> bool {
        *self = Self::new(self.rows);
        true
    }
}

/// An iterator of rows.
pub(super) struct Iterated<I> {
    rows: I,
    is_begun: bool,
    read: u64,
}

impl<I> Iterated<I> {
    pub(super) fn new(rows: I) -> Self {
        Self {
            rows,
            is_begun: false,
            read: 0,
        }
    }
}

impl<I> Source for Iterated<I>
where
    I: Iterator + Send,
    I::Item: Serialize,
{
    fn request_bytes(&self) -> usize {
        ROWS_REQUEST_BYTES
    }

    fn check(&mut self, _plan: &Plan<'_>) -> Checked<bool> {
        Ok(true)
    }

    fn survey(&self) -> Option<&Survey> {
        None
    }

    fn next(&mut self, plan: &Plan<'_>) -> Checked<Option<Batch>> {
        self.is_begun = true;
        let read = self.read;
        let counted = |invalid: InvalidValue| invalid.after_rows(read);
        let mut writer = RowWriter::new(plan.collection, plan.write, 0);
        writer.fill(&mut self.rows, plan.piece).map_err(counted)?;
        if writer.rows() == 0 {
            return Ok(None);
        }
        self.read += writer.rows() as u64;
        writer.finish().map(Some).map_err(counted)
    }

    fn rewind(&mut self) -> bool {
        !self.is_begun
    }
}
