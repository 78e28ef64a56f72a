//! Cutting rows into requests that the server takes.
//!
//! Sizes are upper bounds (a varint counts with its longest form), so that a part is never larger on
//! the wire than was asked for.
//!
//! Invariant: the parts cover every row exactly once, in order.

use std::ops::Range;

use super::{Batch, FieldColumn};

/// Some rows of a batch, and for each column the places of their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) rows: Range<usize>,
    values: Vec<Range<usize>>,
}

/// A row that is larger than a whole request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowTooLarge {
    pub(crate) row: usize,
    pub(crate) bytes: usize,
}

impl Part {
    /// The columns of this part as messages.
    pub(crate) fn messages(&self, batch: &Batch) -> Vec<milvus_protocol::schema::FieldData> {
        batch
            .columns
            .iter()
            .zip(&self.values)
            .map(|(column, values)| column.part(self.rows.clone(), values.clone()))
            .collect()
    }
}

/// Cuts a batch into parts of at most `target` bytes. A row larger than that is a part of its own, up
/// to `limit` bytes.
pub(crate) fn split(batch: &Batch, target: usize, limit: usize) -> Result<Vec<Part>, RowTooLarge> {
    let columns = &batch.columns;
    let header: usize = columns.iter().map(FieldColumn::header_bytes).sum();
    let fixed = columns.iter().map(FieldColumn::fixed_bytes_per_row);
    let fixed = fixed.fold(0, usize::saturating_add);
    let target = target.saturating_sub(header);
    let limit = limit.saturating_sub(header);

    let mut parts = Vec::new();
    let mut places = vec![0; columns.len()];
    let mut starts = places.clone();
    let (mut first_row, mut bytes) = (0, 0);
    for row in 0..batch.rows {
        let mut row_bytes = fixed;
        for (column, place) in columns.iter().zip(&places) {
            if column.varies() && has_value(column, row) {
                row_bytes = row_bytes.saturating_add(column.value_bytes(*place));
            }
        }
        if row_bytes > limit {
            return Err(RowTooLarge {
                row,
                bytes: row_bytes.saturating_add(header),
            });
        }
        if row > first_row && bytes + row_bytes > target {
            parts.push(part(first_row..row, &starts, &places));
            starts.clone_from(&places);
            (first_row, bytes) = (row, 0);
        }
        bytes += row_bytes;
        for (column, place) in columns.iter().zip(&mut places) {
            *place += usize::from(has_value(column, row));
        }
    }
    if first_row < batch.rows {
        parts.push(part(first_row..batch.rows, &starts, &places));
    }
    Ok(parts)
}

fn has_value(column: &FieldColumn, row: usize) -> bool {
    column
        .valid
        .as_ref()
        .is_none_or(|valid| valid.get(row).copied().unwrap_or(false))
}

fn part(rows: Range<usize>, starts: &[usize], ends: &[usize]) -> Part {
    Part {
        rows,
        values: starts
            .iter()
            .zip(ends)
            .map(|(start, end)| *start..*end)
            .collect(),
    }
}
