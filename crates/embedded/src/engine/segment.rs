//! A segment: rows that never change, sorted by primary key, in memory (growing) or in a mapped file (sealed).
//!
//! The same type for both, so that every read is written once. Columns of a file are checked and viewed at their first use and kept; who
//! needs another column doesn't wait for that. A file that is damaged or missing is a segment as well, each of whose columns is an error.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::keys::Keys;
use crate::catalog::{DefaultValue, FieldRecord, TIMESTAMP_FIELD};
use crate::column::{Bitmap, Column, ColumnType, Value, Values};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::ImageReader;
use crate::text::bm25::Statistics;

/// Immutable rows.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Number of the file, 0 for rows in memory.
    pub(crate) id: u64,
    rows: usize,
    bytes: usize,
    source: Source,
    /// Columns in memory, or those of the file that were asked for so far. Locked only to find a slot.
    columns: Mutex<HashMap<i64, Arc<Slot>>>,
    /// See [`Segment::ages_at`].
    ages_at: OnceLock<u64>,
}

#[derive(Debug)]
enum Source {
    Memory,
    File(Box<ImageReader>),
    /// The file can't be read.
    Damaged(MilvusError),
}

/// A column, and what was computed from all of its rows.
#[derive(Debug, Default)]
struct Slot {
    column: OnceLock<Column>,
    statistics: OnceLock<Arc<Statistics>>,
    /// Held by the one who fills the slot.
    filling: Mutex<()>,
}

impl Slot {
    fn of(column: Column) -> Self {
        Self {
            column: OnceLock::from(column),
            ..Self::default()
        }
    }

    /// What `cell` has, or what `make` makes, once.
    fn fill<'a, T>(
        &self,
        cell: &'a OnceLock<T>,
        make: impl FnOnce() -> Result<T, MilvusError>,
    ) -> Result<&'a T, MilvusError> {
        if let Some(value) = cell.get() {
            return Ok(value);
        }
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = cell.get() {
            return Ok(value);
        }
        let value = make()?;
        Ok(cell.get_or_init(|| value))
    }
}

/// A segment with more than one in so many rows deleted, or outlived, is written anew.
pub(crate) const WASTED_SHARE: usize = 5;

impl Segment {
    /// Rows in memory. `columns` are sorted by the primary key.
    pub(crate) fn in_memory(rows: usize, columns: Vec<(i64, Column)>) -> Self {
        let bytes = columns.iter().map(|(_, column)| column.byte_size()).sum();
        Self {
            id: 0,
            rows,
            bytes,
            source: Source::Memory,
            columns: Mutex::new(
                columns
                    .into_iter()
                    .map(|(field, column)| (field, Arc::new(Slot::of(column))))
                    .collect(),
            ),
            ages_at: OnceLock::new(),
        }
    }

    /// Rows in a file.
    pub(crate) fn in_file(id: u64, bytes: usize, file: ImageReader) -> Self {
        Self {
            id,
            rows: file.rows(),
            bytes,
            source: Source::File(Box::new(file)),
            columns: Mutex::default(),
            ages_at: OnceLock::new(),
        }
    }

    /// Rows in a file that can't be read, because of `error`.
    pub(crate) fn damaged(id: u64, bytes: usize, rows: usize, error: MilvusError) -> Self {
        Self {
            id,
            rows,
            bytes,
            source: Source::Damaged(error),
            columns: Mutex::default(),
            ages_at: OnceLock::new(),
        }
    }

    /// An error when the file can't be read at all.
    pub(crate) fn check_file(&self) -> Result<(), MilvusError> {
        match &self.source {
            Source::Damaged(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_sealed(&self) -> bool {
        !matches!(self.source, Source::Memory)
    }

    /// The column as it was written, or `None` when the field is younger than the segment.
    pub(crate) fn stored(&self, field: i64) -> Result<Option<Column>, MilvusError> {
        let file = match &self.source {
            Source::Memory => {
                let slot = self.known_slot(field);
                return Ok(slot.and_then(|slot| slot.column.get().cloned()));
            }
            Source::Damaged(error) => return Err(error.clone()),
            Source::File(file) => file,
        };
        if !file.fields().any(|known| known == field) {
            return Ok(self
                .known_slot(field)
                .and_then(|slot| slot.column.get().cloned()));
        }
        let slot = self.slot(field);
        let column = slot.fill(&slot.column, || {
            let column = file.column(field)?;
            column.ok_or_else(|| super::writer::internal(format!("no field {field} in a file")))
        })?;
        Ok(Some(column.clone()))
    }

    fn known_slot(&self, field: i64) -> Option<Arc<Slot>> {
        let columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        columns.get(&field).cloned()
    }

    fn slot(&self, field: i64) -> Arc<Slot> {
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(columns.entry(field).or_default())
    }

    /// Term statistics of a BM25 field over all rows, also those that are deleted. Made once.
    pub(crate) fn statistics(&self, field: &FieldRecord) -> Result<Arc<Statistics>, MilvusError> {
        let column = self.column(field)?;
        let slot = self.slot(field.id);
        let statistics = slot.fill(&slot.statistics, || {
            let mut all = Statistics::default();
            if let Values::SparseFloatVector(rows) = column.values() {
                for row in (0..self.rows).filter(|row| column.is_valid(*row)) {
                    let (terms, counts) = rows.get(row);
                    all.add(terms, counts);
                }
            }
            Ok(Arc::new(all))
        })?;
        Ok(Arc::clone(statistics))
    }

    /// The column of a field of the schema; its default or nulls when the segment is older than the field.
    pub(crate) fn column(&self, field: &FieldRecord) -> Result<Column, MilvusError> {
        if let Some(column) = self.stored(field.id)? {
            if column.column_type() != field.column_type() {
                let message = format!(
                    "field {} is a {} in segment {:016x}",
                    field.name,
                    column.column_type(),
                    self.id
                );
                return Err(MilvusError::new(MilvusErrorKind::Internal, message));
            }
            return Ok(column);
        }
        let slot = self.slot(field.id);
        let column = slot.fill(&slot.column, || default_column(field, self.rows))?;
        Ok(column.clone())
    }

    /// The column of row timestamps.
    pub(crate) fn timestamps(&self) -> Result<Column, MilvusError> {
        let column = self.stored(TIMESTAMP_FIELD)?;
        column.ok_or_else(|| {
            MilvusError::new(
                MilvusErrorKind::Internal,
                format!("segment {:016x} has no timestamps", self.id),
            )
        })
    }

    /// The rows that are at least as young as `oldest`.
    pub(crate) fn young_rows(&self, oldest: u64) -> Result<Bitmap, MilvusError> {
        let column = self.timestamps()?;
        let times = timestamp_values(&column);
        Ok(Bitmap::from_fn(self.rows, |row| {
            times.get(row).is_some_and(|time| *time as u64 >= oldest)
        }))
    }

    /// When rows must be younger than this timestamp to be alive, more than one in [`WASTED_SHARE`] is not. Found out once, so that it
    /// may be asked for after each write.
    pub(crate) fn ages_at(&self) -> Result<u64, MilvusError> {
        if let Some(known) = self.ages_at.get() {
            return Ok(*known);
        }
        let column = self.timestamps()?;
        let mut times: Vec<i64> = timestamp_values(&column).to_vec();
        let place = times.len() / WASTED_SHARE;
        let found = match times.get(place) {
            // No row is wasted.
            None => u64::MAX,
            Some(_) => (*times.select_nth_unstable(place).1 as u64).saturating_add(1),
        };
        Ok(*self.ages_at.get_or_init(|| found))
    }
}

/// The rows of a field that nobody gave values: its default, or nulls.
pub(crate) fn default_column(field: &FieldRecord, rows: usize) -> Result<Column, MilvusError> {
    let kind = field.column_type();
    let value = match &field.default {
        None if kind == ColumnType::Json && field.dynamic => Value::Json(b"{}"),
        None => Value::Null,
        Some(default) => default_value(kind, default),
    };
    Column::constant(kind, value, rows).map_err(|error| {
        MilvusError::invalid(format!("default value of field {}: {error}", field.name))
    })
}

/// A default as a cell.
pub(crate) fn default_value(kind: ColumnType, default: &DefaultValue) -> Value<'_> {
    match default {
        DefaultValue::Bool(value) => Value::Bool(*value),
        DefaultValue::Int(value) if kind == ColumnType::Timestamptz => Value::Timestamptz(*value),
        DefaultValue::Int(value) => Value::Int(*value),
        DefaultValue::Float(value) => Value::Float(*value),
        DefaultValue::Double(value) => Value::Double(*value),
        DefaultValue::String(text) if kind == ColumnType::Geometry => {
            Value::Geometry(text.as_bytes())
        }
        DefaultValue::String(text) => Value::Varchar(text),
        DefaultValue::Bytes(bytes) => Value::Json(bytes),
    }
}

/// The timestamps of a column made by [`Segment::timestamps`].
pub(crate) fn timestamp_values(column: &Column) -> &[i64] {
    match column.values() {
        Values::Int64(values) => values,
        _ => &[],
    }
}

/// Rows of `keys` (a sorted column of `segment`) that hold one of the `wanted` keys.
pub(crate) fn rows_with_keys(keys: &Column, wanted: &Column) -> Result<Vec<usize>, MilvusError> {
    let (keys, wanted) = (Keys::of(keys)?, Keys::of(wanted)?);
    let Some(last) = keys.len().checked_sub(1) else {
        return Ok(Vec::new());
    };
    // Most segments hold none of the keys, which their first and last key tell.
    let may_hold = |row: &usize| {
        keys.compare(0, &wanted, *row) != Ordering::Greater
            && keys.compare(last, &wanted, *row) != Ordering::Less
    };
    Ok((0..wanted.len())
        .filter(may_hold)
        .flat_map(|row| keys.equal_range(&wanted, row))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// The writer looks for keys while a search checks a column of vectors for the first time.
    #[test]
    fn who_needs_another_column_does_not_wait_for_one_that_is_being_read() {
        let keys = Column::from_i64(vec![1, 2]);
        let segment = Segment::in_memory(2, vec![(100, keys)]);
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel();
        std::thread::scope(|scope| {
            let slot = segment.slot(101);
            let reading = scope.spawn(move || {
                let column = slot.fill(&slot.column, || {
                    begun.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    Ok(Column::from_i64(vec![3, 4]))
                });
                column.unwrap().len()
            });
            has_begun.recv().unwrap();
            assert_eq!(segment.stored(100).unwrap().unwrap().len(), 2);
            go_on.send(()).unwrap();
            assert_eq!(reading.join().unwrap(), 2);
        });
        // It is made once.
        let slot = segment.slot(101);
        let again = slot.fill(&slot.column, || unreachable!("it is there"));
        assert_eq!(again.unwrap().len(), 2);
    }
}
