//! Making one segment of several: what keeps the growing tail short, what a flush writes, and what compaction does.

use super::keys::Keys;
use super::{SegmentView, Snapshot};
use crate::catalog::{CollectionRecord, TIMESTAMP_FIELD};
use crate::column::{Column, ColumnBuilder, ColumnError, ColumnType};
use crate::error::{MilvusError, MilvusErrorKind};

/// Growing segments up to this size are merged, so that a scan runs over few of them however small the requests were. The writer does
/// it, and larger ones would cost more copying than they save: requests of a thousand rows stay as they are.
const MERGED_ROWS: usize = 2048;
/// As above, in bytes.
const MERGED_BYTES: usize = 1 << 20;

/// Rows that are not deleted, of all `views`, as columns sorted by primary key.
pub(crate) struct Merged {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<(i64, Column)>,
    /// View and row that each row comes from.
    pub(crate) origins: Vec<(u32, u32)>,
}

/// Merges; columns of fields that the schema no longer has are left behind.
pub(crate) fn merge(
    record: &CollectionRecord,
    views: &[SegmentView],
) -> Result<Merged, MilvusError> {
    let primary = record.primary()?.id;
    let mut columns = Vec::with_capacity(record.fields.len() + 1);
    for field in &record.fields {
        let parts = views
            .iter()
            .map(|view| Ok((view, view.segment.column(field)?)))
            .collect::<Result<Vec<_>, MilvusError>>()?;
        columns.push((
            field.id,
            append_alive(field.column_type(), &parts).map_err(internal)?,
        ));
    }
    let parts = views
        .iter()
        .map(|view| Ok((view, view.segment.timestamps()?)))
        .collect::<Result<Vec<_>, MilvusError>>()?;
    columns.push((
        TIMESTAMP_FIELD,
        append_alive(ColumnType::Int64, &parts).map_err(internal)?,
    ));
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let alive = views.iter().enumerate().flat_map(|(index, view)| {
        let rows: Vec<usize> = match &view.deleted {
            None => (0..view.segment.rows()).collect(),
            Some(_) => view.alive_rows().ones().collect(),
        };
        rows.into_iter().map(move |row| (index as u32, row as u32))
    });
    let mut origins: Vec<(u32, u32)> = alive.collect();
    if let Some(order) = sort_by_key(&mut columns, primary)? {
        origins = order
            .iter()
            .filter_map(|row| origins.get(*row).copied())
            .collect();
    }
    Ok(Merged {
        rows,
        columns,
        origins,
    })
}

/// Sorts rows by their primary key, and gives the order that they had; does nothing when they are sorted.
pub(crate) fn sort_by_key(
    columns: &mut [(i64, Column)],
    primary: i64,
) -> Result<Option<Vec<usize>>, MilvusError> {
    let Some((_, key_column)) = columns.iter().find(|(field, _)| *field == primary) else {
        return Err(MilvusError::invalid("rows without a primary key"));
    };
    let keys = Keys::of(key_column)?;
    if keys.is_sorted() {
        return Ok(None);
    }
    let order = keys.sorting_permutation();
    for (_, column) in columns {
        *column = column.select(order.iter().copied()).map_err(internal)?;
    }
    Ok(Some(order))
}

fn append_alive(kind: ColumnType, parts: &[(&SegmentView, Column)]) -> Result<Column, ColumnError> {
    let mut builder =
        ColumnBuilder::with_capacity(kind, parts.iter().map(|(view, _)| view.alive()).sum());
    for (view, column) in parts {
        match &view.deleted {
            None => builder.extend(column, 0..column.len())?,
            Some(_) => builder.extend_rows(column, view.alive_rows().ones())?,
        }
    }
    Ok(builder.finish())
}

/// Merges the last growing segments of a partition while the one before is not larger: like carrying in a binary counter, so that each row is copied a
/// logarithmic number of times.
pub(crate) fn merge_tail(
    record: &CollectionRecord,
    segments: &mut Vec<SegmentView>,
) -> Result<(), MilvusError> {
    while let [.., left, right] = segments.as_slice() {
        let small = !left.segment.is_sealed()
            && !left.frozen
            && left.segment.rows() <= right.segment.rows()
            && left.segment.rows() + right.segment.rows() <= MERGED_ROWS
            && left.segment.bytes() + right.segment.bytes() <= MERGED_BYTES;
        if !small {
            break;
        }
        let merged = merge(record, &segments[segments.len() - 2..])?;
        segments.truncate(segments.len() - 2);
        if merged.rows > 0 {
            segments.push(SegmentView::new(super::Segment::in_memory(
                merged.rows,
                merged.columns,
            )));
        }
    }
    Ok(())
}

/// The rows that hold one of `keys`, in some partitions of a snapshot.
pub(crate) fn find_rows<'a>(
    snapshot: &'a Snapshot,
    partitions: &'a [u64],
    keys: &Column,
) -> Result<Vec<(&'a SegmentView, Vec<usize>)>, MilvusError> {
    let primary = snapshot.record.primary()?;
    let mut found = Vec::new();
    for view in snapshot.segments_of(partitions) {
        let column = view.segment.column(primary)?;
        let mut rows = super::segment::rows_with_keys(&column, keys)?;
        if let Some(deleted) = &view.deleted {
            rows.retain(|row| !deleted.get(*row));
        }
        if !rows.is_empty() {
            found.push((view, rows));
        }
    }
    Ok(found)
}

fn internal(error: ColumnError) -> MilvusError {
    MilvusError::new(MilvusErrorKind::Internal, error.to_string())
}
