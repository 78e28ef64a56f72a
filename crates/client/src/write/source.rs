//! Where the rows of a write come from.
//!
//! Columns and slices of rows are checked as a whole before anything is sent; an iterator of rows is
//! read and checked a request at a time, so that it need not fit into memory.
//!
//! Invariant: a source that can be read again gives the same rows again.

use serde::Serialize;

use crate::data::{Batch, Column, RowWriter, Write, bind_columns};
use crate::describe_collection::CollectionDescription;
use crate::error::InvalidValue;

type Checked<T> = Result<T, InvalidValue>;

/// Rows in pieces.
pub(super) trait Source: Send {
    /// The next piece, of about `bytes` bytes if the source is one that is read bit by bit; `None` at
    /// the end.
    fn next(
        &mut self,
        collection: &CollectionDescription,
        write: Write,
        bytes: usize,
    ) -> Checked<Option<Batch>>;

    /// Starts over; `false` when that is not possible any more.
    fn rewind(&mut self) -> bool;

    /// Whether all rows are known to have been read.
    fn is_exhausted(&self) -> bool;
}

/// Columns.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) columns: Vec<(String, Column)>,
    is_read: bool,
}

impl Source for Columns {
    fn next(
        &mut self,
        collection: &CollectionDescription,
        write: Write,
        _bytes: usize,
    ) -> Checked<Option<Batch>> {
        if std::mem::replace(&mut self.is_read, true) {
            return Ok(None);
        }
        bind_columns(self.columns.clone(), write, collection).map(Some)
    }

    fn rewind(&mut self) -> bool {
        self.is_read = false;
        true
    }

    fn is_exhausted(&self) -> bool {
        self.is_read
    }
}

/// A slice of rows.
pub(super) struct Slice<'a, T> {
    rows: &'a [T],
    is_read: bool,
}

impl<'a, T> Slice<'a, T> {
    pub(super) fn new(rows: &'a [T]) -> Self {
        Self {
            rows,
            is_read: false,
        }
    }
}

impl<T: Serialize + Sync> Source for Slice<'_, T> {
    fn next(
        &mut self,
        collection: &CollectionDescription,
        write: Write,
        _bytes: usize,
    ) -> Checked<Option<Batch>> {
        if std::mem::replace(&mut self.is_read, true) {
            return Ok(None);
        }
        let mut writer = RowWriter::new(collection, write, self.rows.len());
        for row in self.rows {
            writer.push(row)?;
        }
        writer.finish().map(Some)
    }

    fn rewind(&mut self) -> bool {
        self.is_read = false;
        true
    }

    fn is_exhausted(&self) -> bool {
        self.is_read
    }
}

/// An iterator of rows.
pub(super) struct Iterated<I> {
    rows: I,
    is_begun: bool,
}

impl<I> Iterated<I> {
    pub(super) fn new(rows: I) -> Self {
        Self {
            rows,
            is_begun: false,
        }
    }
}

/// Most rows of one piece, so that the builders' first allocation is bounded.
const ROWS_AT_A_TIME: usize = 100_000;

impl<I> Source for Iterated<I>
where
    I: Iterator + Send,
    I::Item: Serialize,
{
    fn next(
        &mut self,
        collection: &CollectionDescription,
        write: Write,
        bytes: usize,
    ) -> Checked<Option<Batch>> {
        self.is_begun = true;
        let mut writer = RowWriter::new(collection, write, 0);
        while writer.rows() < ROWS_AT_A_TIME && writer.bytes() < bytes {
            let Some(row) = self.rows.next() else {
                break;
            };
            writer.push(&row)?;
        }
        if writer.rows() == 0 {
            return Ok(None);
        }
        writer.finish().map(Some)
    }

    fn rewind(&mut self) -> bool {
        !self.is_begun
    }

    fn is_exhausted(&self) -> bool {
        false
    }
}
