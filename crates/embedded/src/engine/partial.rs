//! Partial upserts: what a request leaves out comes from the rows as they are, and what it gives may change a value instead of replacing it.
//!
//! The invariant: a value that the request doesn't name stays as it is. So keys of the dynamic field are merged, and an array that is
//! appended to keeps its elements.

use std::collections::{HashMap, HashSet};

use super::SegmentView;
use super::keys::Keys;
use super::read::{Reader, RowAddress};
use super::segment::{default_column, timestamp_values};
use crate::catalog::{CollectionRecord, DEFAULT_PARTITION, FieldRecord};
use crate::column::{Column, ColumnBuilder, ColumnType, Value, json};
use crate::error::MilvusError;

/// How the array that a request gives changes the one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArrayChange {
    /// The elements come behind those that are there.
    Append,
    /// Every element that equals a given one goes.
    Remove,
}

/// The columns of a partial upsert, which has the primary key among them.
#[derive(Debug)]
pub(crate) struct PartialRows {
    pub(crate) given: Vec<(String, Column)>,
    /// By the names of their fields.
    pub(crate) changes: HashMap<String, ArrayChange>,
}

/// The partitions in which an upsert replaces rows: the one it writes to; with a partition key all, because the row may have had another.
pub(crate) fn replaced_partitions(
    record: &CollectionRecord,
    partition: &str,
) -> Result<Vec<u64>, MilvusError> {
    match (record.partition_key(), partition) {
        (Some(_), _) => record.partition_ids(&[]),
        (None, "") => Ok(vec![record.partition(DEFAULT_PARTITION)?.id]),
        (None, name) => Ok(vec![record.partition(name)?.id]),
    }
}

/// For each key the row that has it now.
struct Current<'a> {
    segments: Vec<&'a SegmentView>,
    rows: Vec<Option<RowAddress>>,
}

impl Current<'_> {
    /// The column and the place in it where a row of the request has its value now.
    fn stored(
        &self,
        field: &FieldRecord,
        row: usize,
    ) -> Result<Option<(Column, usize)>, MilvusError> {
        let Some(address) = self.rows.get(row).copied().flatten() else {
            return Ok(None);
        };
        let Some(view) = self.segments.get(address.segment as usize) else {
            return Ok(None);
        };
        Ok(Some((view.segment.column(field)?, address.row as usize)))
    }
}

impl PartialRows {
    /// Whole rows: what is left out comes from the rows of the same keys that the reader sees. Keys that don't exist get nulls or
    /// defaults, if the schema has them.
    pub(crate) fn complete(self, reader: &Reader) -> Result<Vec<(String, Column)>, MilvusError> {
        let Self { mut given, changes } = self;
        let record = reader.record();
        let primary = record.primary()?;
        let Some((_, keys)) = given.iter().find(|(name, _)| *name == primary.name) else {
            return Ok(given);
        };
        let current = Current {
            segments: reader.segments(),
            rows: reader.newest_rows(keys)?,
        };
        for (name, column) in &mut given {
            let Some(field) = record.field(name) else {
                continue;
            };
            if field.dynamic {
                *column = merge_objects(field, column, &current)?;
            } else if let Some(change) = changes.get(name) {
                *column = change_arrays(field, column, *change, &current)?;
            }
        }
        let missing = record.fields.iter().filter(|field| {
            !field.function_output && !given.iter().any(|(name, _)| *name == field.name)
        });
        let filled = missing
            .filter_map(|field| fill(field, &current).transpose())
            .map(|filled| filled.map(|(field, column)| (field.name.clone(), column)))
            .collect::<Result<Vec<_>, MilvusError>>()?;
        given.extend(filled);
        Ok(given)
    }
}

/// The values of a field that the request left out; `None` when all rows are new and the schema says what they have.
fn fill<'a>(
    field: &'a FieldRecord,
    current: &Current<'_>,
) -> Result<Option<(&'a FieldRecord, Column)>, MilvusError> {
    let optional = field.nullable || field.default.is_some() || field.dynamic;
    if optional && current.rows.iter().all(Option::is_none) {
        return Ok(None);
    }
    if !optional && current.rows.iter().any(Option::is_none) {
        let about = format!(
            "field {} is left out for keys that don't exist yet",
            field.name
        );
        return Err(MilvusError::expected(
            "need to pass in all field of new rows",
            "the field is missing",
            &about,
        ));
    }
    let fallback = default_column(field, 1).ok();
    let mut builder = ColumnBuilder::with_capacity(field.column_type(), current.rows.len());
    for row in 0..current.rows.len() {
        match (current.stored(field, row)?, &fallback) {
            (Some((column, at)), _) => builder.extend_rows(&column, [at]),
            (None, Some(column)) => builder.extend_rows(column, [0]),
            (None, None) => builder.push(Value::Null),
        }
        .map_err(MilvusError::invalid)?;
    }
    Ok(Some((field, builder.finish())))
}

/// The keys of the dynamic field that rows have, with the given ones put in or replaced.
fn merge_objects(
    field: &FieldRecord,
    given: &Column,
    current: &Current<'_>,
) -> Result<Column, MilvusError> {
    let mut builder = ColumnBuilder::with_capacity(given.column_type(), given.len());
    for row in 0..given.len() {
        let stored = current.stored(field, row)?;
        let stored = stored.as_ref().map(|(column, at)| column.value(*at));
        match (stored, given.value(row)) {
            // What is no object is refused with all other values, later.
            (Some(Value::Json(stored)), Value::Json(given)) if given.starts_with(b"{") => {
                builder.push(Value::Json(&merged_object(stored, given)))
            }
            (Some(stored), Value::Null) => builder.push(stored),
            (_, given) => builder.push(given),
        }
        .map_err(MilvusError::invalid)?;
    }
    Ok(builder.finish())
}

/// Values keep their text, so that no number changes on the way.
fn merged_object(stored: &[u8], given: &[u8]) -> Vec<u8> {
    let replaced: HashSet<_> = json::entry_texts(given)
        .map(|(key, _)| json::unescape(key))
        .collect();
    let kept =
        json::entry_texts(stored).filter(|(key, _)| !replaced.contains(&json::unescape(key)));
    let mut merged = Vec::with_capacity(stored.len() + given.len());
    merged.push(b'{');
    for (key, value) in kept.chain(json::entry_texts(given)) {
        if merged.len() > 1 {
            merged.push(b',');
        }
        merged.push(b'"');
        merged.extend_from_slice(key);
        merged.extend_from_slice(b"\":");
        merged.extend_from_slice(value);
    }
    merged.push(b'}');
    merged
}

/// The arrays that rows have, changed by the given ones. A null given changes nothing; a row that has no array has an empty one.
fn change_arrays(
    field: &FieldRecord,
    given: &Column,
    change: ArrayChange,
    current: &Current<'_>,
) -> Result<Column, MilvusError> {
    let ColumnType::Array(element) = given.column_type() else {
        return Err(MilvusError::invalid(format!(
            "field {} is no array, so nothing can be appended to it or removed from it",
            field.name
        )));
    };
    let mut builder = ColumnBuilder::with_capacity(given.column_type(), given.len());
    for row in 0..given.len() {
        let stored = current.stored(field, row)?;
        let stored = stored.as_ref().map(|(column, at)| column.value(*at));
        let Value::Array(new, start, end) = given.value(row) else {
            builder
                .push(stored.unwrap_or(Value::Null))
                .map_err(MilvusError::invalid)?;
            continue;
        };
        let mut elements = ColumnBuilder::new(element.column_type());
        if let Some(Value::Array(old, first, last)) = stored {
            let removed = |at: &usize| {
                change == ArrayChange::Remove
                    && (start..end).any(|other| equal(old.value(*at), new.value(other)))
            };
            let kept = (first..last).filter(|at| !removed(at));
            elements
                .extend_rows(old, kept)
                .map_err(MilvusError::invalid)?;
        }
        if change == ArrayChange::Append {
            elements
                .extend(new, start..end)
                .map_err(MilvusError::invalid)?;
        }
        let elements = elements.finish();
        builder
            .push(Value::Array(&elements, 0, elements.len()))
            .map_err(MilvusError::invalid)?;
    }
    Ok(builder.finish())
}

/// Whether two elements are equal; numbers by IEEE 754, as Milvus has it.
fn equal(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right))
        | (Value::Timestamptz(left), Value::Timestamptz(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Double(left), Value::Double(right)) => left == right,
        (Value::Varchar(left), Value::Varchar(right)) => left == right,
        _ => false,
    }
}

impl Reader {
    /// For each key the newest of the rows that hold it and are alive.
    pub(crate) fn newest_rows(
        &self,
        keys: &Column,
    ) -> Result<Vec<Option<RowAddress>>, MilvusError> {
        let primary = self.record().primary()?;
        let wanted = Keys::of(keys)?;
        let mut newest: Vec<Option<(u64, RowAddress)>> = vec![None; wanted.len()];
        for (segment, view) in self.segments().into_iter().enumerate() {
            let stored = view.segment.column(primary)?;
            let stored = Keys::of(&stored)?;
            let times = view.segment.timestamps()?;
            let times = timestamp_values(&times);
            for (at, slot) in newest.iter_mut().enumerate() {
                for row in stored.equal_range(&wanted, at) {
                    let time = times.get(row).copied().unwrap_or_default() as u64;
                    let is_deleted = view.deleted.as_ref().is_some_and(|rows| rows.get(row));
                    if is_deleted || self.has_outlived(time) {
                        continue;
                    }
                    if slot.is_none_or(|(best, _)| time >= best) {
                        let address = RowAddress {
                            segment: segment as u32,
                            row: row as u32,
                        };
                        *slot = Some((time, address));
                    }
                }
            }
        }
        Ok(newest
            .into_iter()
            .map(|slot| slot.map(|(_, address)| address))
            .collect())
    }
}
