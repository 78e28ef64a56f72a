//! From the columns of a request to rows that can be logged: everything is checked, completed and computed here, before the writer sees it.
//!
//! The invariant: a prepared batch can't be refused for its content any more, so that a group commit never carries half a request.

use std::sync::Arc;

use super::keys::Keys;
use super::merge::sort_by_key;
use super::segment::{default_column, default_value};
use super::{Clock, Draft};
use crate::catalog::{CollectionRecord, DYNAMIC_FIELD, FieldRecord, PartitionRecord};
use crate::column::{Column, ColumnBuilder, ColumnType, Value, Values};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::LogPart;

/// Longest JSON value in bytes, as in Milvus.
const MAX_JSON: usize = 65_536;

/// Rows ready for the log.
#[derive(Debug)]
pub(crate) struct PreparedRows {
    pub(crate) record: Arc<CollectionRecord>,
    /// Primary keys in the order of the request.
    pub(crate) keys: Column,
    /// The keys of the rows that these replace, when that is not `keys` because keys are automatic.
    replaced: Option<Column>,
    columns: Vec<(i64, Column)>,
    destinations: Vec<Destination>,
}

/// A partition and the rows that go there; `None` for all.
type Destination = (u64, Option<Vec<usize>>);

/// Keys to delete.
#[derive(Debug)]
pub(crate) struct PreparedDelete {
    pub(crate) record: Arc<CollectionRecord>,
    pub(crate) keys: Column,
    /// 0 for all partitions.
    pub(crate) partition: u64,
}

impl PreparedRows {
    /// Checks and completes the columns of a request. `partition` is the name given, empty for none.
    pub(crate) fn new(
        record: Arc<CollectionRecord>,
        rows: usize,
        given: Vec<(String, Column)>,
        partition: &str,
        clock: &Clock,
    ) -> Result<Self, MilvusError> {
        let allow_auto_id = record
            .properties
            .get("allow_insert_auto_id")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Self::prepare(record, rows, given, partition, clock, allow_auto_id)
    }

    /// As [`PreparedRows::new`] for rows that replace others, which are named by their keys. Where keys are automatic the new rows get
    /// new ones, as in Milvus.
    pub(crate) fn for_upsert(
        record: Arc<CollectionRecord>,
        rows: usize,
        mut given: Vec<(String, Column)>,
        partition: &str,
        clock: &Clock,
    ) -> Result<Self, MilvusError> {
        let primary = record.primary()?;
        let Some(position) = given.iter().position(|(name, _)| *name == primary.name) else {
            let name = &primary.name;
            return Err(MilvusError::invalid(format!(
                "upsert needs the primary key: must assign pk field {name} when upsert"
            )));
        };
        if !primary.auto_id {
            return Self::prepare(record, rows, given, partition, clock, false);
        }
        let replaced = complete(primary, given.swap_remove(position).1, rows)?;
        let prepared = Self::prepare(record, rows, given, partition, clock, false)?;
        Ok(Self {
            replaced: Some(replaced),
            ..prepared
        })
    }

    fn prepare(
        record: Arc<CollectionRecord>,
        rows: usize,
        mut given: Vec<(String, Column)>,
        partition: &str,
        clock: &Clock,
        allow_auto_id: bool,
    ) -> Result<Self, MilvusError> {
        let mut columns = Vec::with_capacity(record.fields.len() + 1);
        for field in record.fields.iter().filter(|field| !field.function_output) {
            let position = given.iter().position(|(name, _)| *name == field.name);
            let column = position.map(|position| given.swap_remove(position).1);
            let column = match column {
                Some(_) if field.primary && field.auto_id && !allow_auto_id => {
                    let name = &field.name;
                    let message = format!(
                        "there's no need to pass values for the auto id primary field {name}: the server generates them"
                    );
                    return Err(MilvusError::invalid(message));
                }
                None if field.primary && field.auto_id => automatic_keys(field, rows, clock)?,
                Some(column) => complete(field, column, rows)?,
                None => absent(field, rows)?,
            };
            check_values(field, &column)?;
            columns.push((field.id, column));
        }
        if let Some((name, _)) = given.first() {
            let hint = if record
                .field(name)
                .is_some_and(|field| field.function_output)
            {
                format!("field {name} is the output of a function and can't be given values")
            } else if name == DYNAMIC_FIELD {
                "the dynamic field is not enabled for this collection".to_owned()
            } else {
                format!("field {name} does not exist in collection {}", record.name)
            };
            return Err(MilvusError::invalid(hint));
        }
        super::functions::compute(&record, &mut columns)?;
        let primary = record.primary()?.id;
        let keys = find(&columns, primary)?.clone();
        let destinations = destinations(&record, &columns, rows, partition)?;
        Ok(Self {
            record,
            keys,
            replaced: None,
            columns,
            destinations,
        })
    }

    /// Keeps, of rows with equal keys, only the last: what an upsert of them one after the other would leave.
    pub(crate) fn keep_last_of_equal_keys(mut self) -> Result<Self, MilvusError> {
        let keys = Keys::of(&self.keys)?;
        let order = keys.sorting_permutation();
        let mut kept: Vec<usize> = Vec::with_capacity(order.len());
        let mut is_kept = vec![false; order.len()];
        for (at, row) in order.iter().enumerate() {
            let last = order
                .get(at + 1)
                .is_none_or(|next| keys.compare(*row, &keys, *next) != std::cmp::Ordering::Equal);
            if last {
                kept.push(*row);
                is_kept[*row] = true;
            }
        }
        if kept.len() == self.keys.len() {
            return Ok(self);
        }
        for (_, rows) in &mut self.destinations {
            match rows {
                None => *rows = Some(kept.clone()),
                Some(rows) => rows.retain(|row| is_kept[*row]),
            }
        }
        Ok(self)
    }

    /// The log parts: one for each partition that gets rows, sorted by key.
    pub(crate) fn into_parts(self) -> Result<Vec<LogPart>, MilvusError> {
        let primary = self.record.primary()?.id;
        let mut parts = Vec::with_capacity(self.destinations.len());
        for (partition, rows) in self.destinations {
            let mut columns = match &rows {
                None => self.columns.clone(),
                Some(rows) if rows.is_empty() => continue,
                Some(rows) => {
                    let select = |(field, column): &(i64, Column)| {
                        Ok((*field, column.select(rows.iter().copied())?))
                    };
                    self.columns
                        .iter()
                        .map(select)
                        .collect::<Result<_, crate::column::ColumnError>>()
                        .map_err(MilvusError::invalid)?
                }
            };
            sort_by_key(&mut columns, primary)?;
            let rows = columns.first().map_or(0, |(_, column)| column.len());
            parts.push(LogPart::Rows {
                partition,
                rows,
                columns,
            });
        }
        Ok(parts)
    }
}

impl Draft<'_> {
    /// The collection as it is now, when rows prepared for `record` still fit it.
    pub(crate) fn check_current(
        &self,
        record: &CollectionRecord,
        partitions: &[u64],
    ) -> Result<Arc<CollectionRecord>, MilvusError> {
        let Some(current) = self.catalog().collection_by_id(record.id) else {
            return Err(MilvusError::collection_not_found("", &record.name));
        };
        if current.fields != record.fields || current.functions != record.functions {
            let message = format!(
                "the schema of collection {} changed while rows were on their way; send them again",
                record.name
            );
            return Err(MilvusError {
                retriable: true,
                ..MilvusError::new(MilvusErrorKind::SchemaMismatch, message)
            });
        }
        for partition in partitions {
            if !current
                .partitions
                .iter()
                .any(|found| found.id == *partition)
            {
                let name = record
                    .partitions
                    .iter()
                    .find(|found| found.id == *partition)
                    .map_or("", |found| found.name.as_str());
                return Err(MilvusError::partition_not_found(name));
            }
        }
        Ok(Arc::clone(current))
    }

    /// Adds rows. Gives the timestamp.
    pub(crate) fn insert(&mut self, rows: PreparedRows) -> Result<u64, MilvusError> {
        let partitions: Vec<u64> = rows
            .destinations
            .iter()
            .map(|(partition, _)| *partition)
            .collect();
        self.check_current(&rows.record, &partitions)?;
        let id = rows.record.id;
        Ok(self.append(id, |_| rows.into_parts())?.0)
    }

    /// Replaces the rows that have the keys of these rows, and adds the others. Gives the timestamp.
    pub(crate) fn upsert(&mut self, rows: PreparedRows) -> Result<u64, MilvusError> {
        let partitions: Vec<u64> = rows
            .destinations
            .iter()
            .map(|(partition, _)| *partition)
            .collect();
        self.check_current(&rows.record, &partitions)?;
        let id = rows.record.id;
        // A row with a partition key may have been in any partition; others replace only what is where they go, as in Milvus.
        let partition = match (rows.record.partition_key(), partitions.as_slice()) {
            (None, [only]) => *only,
            _ => 0,
        };
        let (keys, rows) = match rows.replaced.clone() {
            Some(replaced) => (replaced, rows),
            None => (rows.keys.clone(), rows.keep_last_of_equal_keys()?),
        };
        let make = |_| {
            let mut parts = vec![LogPart::Deletion { partition, keys }];
            parts.extend(rows.into_parts()?);
            Ok(parts)
        };
        Ok(self.append(id, make)?.0)
    }

    /// Deletes by keys. Gives the timestamp and the number of rows deleted.
    pub(crate) fn delete(&mut self, delete: PreparedDelete) -> Result<(u64, usize), MilvusError> {
        let PreparedDelete {
            record,
            keys,
            partition,
        } = delete;
        let partitions = if partition == 0 {
            vec![]
        } else {
            vec![partition]
        };
        self.check_current(&record, &partitions)?;
        if keys.is_empty() {
            return Ok((self.clock.next(), 0));
        }
        self.append(record.id, |_| {
            Ok(vec![LogPart::Deletion { partition, keys }])
        })
    }
}

fn find(columns: &[(i64, Column)], id: i64) -> Result<&Column, MilvusError> {
    let found = columns
        .iter()
        .find(|(field, _)| *field == id)
        .map(|(_, column)| column);
    found.ok_or_else(|| super::writer::internal(format!("field {id} was not prepared")))
}

fn automatic_keys(field: &FieldRecord, rows: usize, clock: &Clock) -> Result<Column, MilvusError> {
    let first = clock.reserve(rows as u64);
    let numbers = (0..rows as u64).map(|row| (first + row) as i64);
    if field.column_type() == ColumnType::Int64 {
        return Ok(Column::from_i64(numbers.collect()));
    }
    let mut builder = ColumnBuilder::with_capacity(ColumnType::Varchar, rows);
    for number in numbers {
        builder
            .push(Value::Varchar(&number.to_string()))
            .map_err(MilvusError::invalid)?;
    }
    Ok(builder.finish())
}

/// A column that the request gave, with the default in the place of nulls.
fn complete(field: &FieldRecord, column: Column, rows: usize) -> Result<Column, MilvusError> {
    let name = &field.name;
    if column.column_type() != field.column_type() {
        let (expected, actual) = (field.column_type(), column.column_type());
        return Err(MilvusError::expected(
            expected,
            actual,
            &format!("field {name} has another type"),
        ));
    }
    if column.len() != rows {
        let about = format!(
            "the num_rows ({}) of field ({name}) is not equal to passed num_rows ({rows})",
            column.len()
        );
        return Err(MilvusError::expected(rows, column.len(), &about));
    }
    if column.null_count() == 0 {
        return Ok(column);
    }
    if let Some(default) = &field.default {
        let kind = column.column_type();
        let mut builder = ColumnBuilder::with_capacity(kind, rows);
        for row in 0..rows {
            let value = if column.is_valid(row) {
                column.value(row)
            } else {
                default_value(kind, default)
            };
            builder.push(value).map_err(MilvusError::invalid)?;
        }
        return Ok(builder.finish());
    }
    if field.nullable {
        return Ok(column);
    }
    Err(MilvusError::invalid(format!(
        "field {name} is not nullable and has no default value, but a row has null for it"
    )))
}

/// A column that the request left out.
fn absent(field: &FieldRecord, rows: usize) -> Result<Column, MilvusError> {
    if field.nullable || field.default.is_some() || field.dynamic {
        return default_column(field, rows);
    }
    let about = format!(
        "fieldSchema({}) has no corresponding fieldData pass in",
        field.name
    );
    Err(MilvusError::expected(
        "need to pass in all field",
        "the field is missing",
        &about,
    ))
}

fn check_values(field: &FieldRecord, column: &Column) -> Result<(), MilvusError> {
    let name = &field.name;
    let max_length = field
        .number("max_length")
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(usize::MAX);
    let not_finite =
        || MilvusError::invalid(format!("value of field {name} is not a number or infinity"));
    match column.values() {
        Values::Varchar(texts) => {
            if let Some((row, text)) = texts
                .iter()
                .enumerate()
                .find(|(_, text)| text.len() > max_length)
            {
                return Err(MilvusError::invalid(format!(
                    "length of varchar field {name} exceeds max length, row number: {row}, length: {}, max length: {max_length}",
                    text.len()
                )));
            }
        }
        Values::Json(texts) => {
            for (row, text) in texts
                .iter()
                .enumerate()
                .filter(|(row, _)| column.is_valid(*row))
            {
                check_json(field, row, text)?;
            }
        }
        Values::Array(lists) => {
            let capacity = field
                .number("max_capacity")
                .and_then(|limit| usize::try_from(limit).ok())
                .unwrap_or(usize::MAX);
            if let Some(row) = (0..lists.len()).find(|row| lists.range(*row).len() > capacity) {
                let length = lists.range(row).len();
                let message = format!(
                    "the length ({length}) of {row}th array of field {name} exceeds max capacity ({capacity})"
                );
                return Err(MilvusError::invalid(message));
            }
            if let Values::Varchar(texts) = lists.elements().values()
                && let Some(text) = texts.iter().find(|text| text.len() > max_length)
            {
                let message = format!(
                    "length ({}) of an element of array field {name} exceeds max length ({max_length})",
                    text.len()
                );
                return Err(MilvusError::invalid(message));
            }
        }
        Values::Float(values) if values.iter().any(|value| !value.is_finite()) => {
            return Err(not_finite());
        }
        Values::Double(values) if values.iter().any(|value| !value.is_finite()) => {
            return Err(not_finite());
        }
        Values::FloatVector(rows) if rows.data.iter().any(|value| !value.is_finite()) => {
            return Err(not_finite());
        }
        Values::Float16Vector(rows) if rows.data.iter().any(|bits| bits & 0x7c00 == 0x7c00) => {
            return Err(not_finite());
        }
        Values::BFloat16Vector(rows) if rows.data.iter().any(|bits| bits & 0x7f80 == 0x7f80) => {
            return Err(not_finite());
        }
        _ => {}
    }
    Ok(())
}

/// What the wire's own check (that it is JSON) leaves.
fn check_json(field: &FieldRecord, row: usize, text: &[u8]) -> Result<(), MilvusError> {
    let name = &field.name;
    if text.len() > MAX_JSON {
        let message = format!(
            "the length ({}) of json field ({name}) exceeds max length ({MAX_JSON})",
            text.len()
        );
        return Err(MilvusError::invalid(message));
    }
    if field.dynamic && text.first() != Some(&b'{') {
        return Err(MilvusError::invalid(format!(
            "row {row}: the dynamic field holds an object of keys and values"
        )));
    }
    Ok(())
}

fn destinations(
    record: &CollectionRecord,
    columns: &[(i64, Column)],
    rows: usize,
    partition: &str,
) -> Result<Vec<Destination>, MilvusError> {
    let Some(key) = record.partition_key() else {
        let name = if partition.is_empty() {
            crate::catalog::DEFAULT_PARTITION
        } else {
            partition
        };
        return Ok(vec![(record.partition(name)?.id, None)]);
    };
    if !partition.is_empty() {
        return Err(MilvusError::invalid(
            "not support manually specifying the partition names if partition key mode is used",
        ));
    }
    let partitions: &[PartitionRecord] = &record.partitions;
    let keys = Keys::of(find(columns, key.id)?)?;
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); partitions.len()];
    for row in 0..rows {
        let slot = partition_of(&keys, row, partitions.len());
        if let Some(rows) = chosen.get_mut(slot) {
            rows.push(row);
        }
    }
    let used = partitions
        .iter()
        .zip(chosen)
        .filter(|(_, rows)| !rows.is_empty());
    Ok(used
        .map(|(partition, rows)| (partition.id, Some(rows)))
        .collect())
}

/// Which of `count` partitions a key belongs to: the CRC of its bytes (of a string: the first 100, as Milvus has it).
fn partition_of(keys: &Keys<'_>, row: usize, count: usize) -> usize {
    let hash = match keys {
        Keys::Int(values) => {
            crc32fast::hash(&values.get(row).copied().unwrap_or_default().to_le_bytes())
        }
        Keys::Text(values) => {
            let text = values.get(row);
            crc32fast::hash(&text[..text.len().min(100)])
        }
    };
    hash as usize % count.max(1)
}
