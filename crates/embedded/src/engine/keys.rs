//! Primary keys: 64-bit integers or strings, one of the two in a collection.

use std::cmp::Ordering;

use crate::column::{BytesValues, Column, ColumnBuilder, ColumnType, Value, Values};
use crate::error::MilvusError;

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Int(i64),
    Text(String),
}

/// A column of keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keys<'a> {
    Int(&'a [i64]),
    Text(BytesValues<'a>),
}

impl<'a> Keys<'a> {
    pub(crate) fn of(column: &'a Column) -> Result<Self, MilvusError> {
        match column.values() {
            Values::Int64(values) => Ok(Self::Int(values)),
            Values::Varchar(values) => Ok(Self::Text(values)),
            _ => Err(MilvusError::invalid(
                "a primary key is an Int64 or a VarChar",
            )),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Int(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Order of two rows of two columns of one type.
    pub(crate) fn compare(&self, row: usize, other: &Keys<'_>, other_row: usize) -> Ordering {
        match (self, other) {
            (Self::Int(left), Keys::Int(right)) => left.get(row).cmp(&right.get(other_row)),
            (Self::Text(left), Keys::Text(right)) => left.get(row).cmp(right.get(other_row)),
            (Self::Int(_), Keys::Text(_)) => Ordering::Less,
            (Self::Text(_), Keys::Int(_)) => Ordering::Greater,
        }
    }

    pub(crate) fn get(&self, row: usize) -> Key {
        match self {
            Self::Int(values) => Key::Int(values.get(row).copied().unwrap_or_default()),
            Self::Text(values) => Key::Text(String::from_utf8_lossy(values.get(row)).into_owned()),
        }
    }

    /// The rows that hold the key of `row` of `wanted`, in a column that is sorted.
    pub(crate) fn equal_range(&self, wanted: &Keys<'_>, row: usize) -> std::ops::Range<usize> {
        let start = partition_point(self.len(), |at| {
            self.compare(at, wanted, row) == Ordering::Less
        });
        let mut end = start;
        while end < self.len() && self.compare(end, wanted, row) == Ordering::Equal {
            end += 1;
        }
        start..end
    }

    /// Whether rows ascend (equal keys allowed).
    pub(crate) fn is_sorted(&self) -> bool {
        (1..self.len()).all(|row| self.compare(row - 1, self, row) != Ordering::Greater)
    }

    /// The order that sorts the rows; equal keys stay in their order.
    pub(crate) fn sorting_permutation(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by(|left, right| self.compare(*left, self, *right));
        order
    }
}

fn partition_point(length: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1
        } else {
            high = middle
        }
    }
    low
}

/// A column of these keys.
pub(crate) fn key_column(kind: ColumnType, keys: &[Key]) -> Result<Column, MilvusError> {
    let mut builder = ColumnBuilder::with_capacity(kind, keys.len());
    for key in keys {
        let value = match key {
            Key::Int(number) => Value::Int(*number),
            Key::Text(text) => Value::Varchar(text),
        };
        builder.push(value).map_err(MilvusError::invalid)?;
    }
    Ok(builder.finish())
}
