//! Making one segment of several: what keeps the growing tail short, what a flush writes, and what compaction does.

use std::cmp::Ordering;

use super::keys::Keys;
use super::{SegmentView, Snapshot};
use crate::catalog::{CollectionRecord, TIMESTAMP_FIELD};
use crate::column::{Column, ColumnBuilder, ColumnError, ColumnType};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::ImageColumn;

/// Growing segments up to this size are merged, so that a scan runs over few of them however small the requests were. The writer does
/// it, and larger ones would cost more copying than they save: requests of a thousand rows stay as they are.
const MERGED_ROWS: usize = 2048;
/// As above, in bytes.
const MERGED_BYTES: usize = 1 << 20;

/// Runs of rows that are written as they are, one after the other, instead of being copied together before.
const MOST_PIECES: usize = 1024;
/// How many rows such a run has at least, on average: a write of a few bytes costs more than their copy.
const SHORTEST_PIECE: usize = 16;

/// Consecutive rows of one view.
#[derive(Clone, Copy, Debug)]
struct Run {
    view: u32,
    start: u32,
    end: u32,
}

/// The rows of several views that are not deleted, in the order of their primary keys; equal keys in the order of the views.
#[derive(Debug)]
pub(crate) struct Order {
    runs: Vec<Run>,
    rows: usize,
}

impl Order {
    pub(crate) fn of(
        record: &CollectionRecord,
        views: &[SegmentView],
    ) -> Result<Self, MilvusError> {
        let primary = record.primary()?;
        let mut runs = Vec::with_capacity(views.len());
        for (view, segment) in (0..).zip(views) {
            runs.extend(alive_runs(view, segment));
        }
        let rows = runs.iter().map(|run| (run.end - run.start) as usize).sum();
        let mut order = Self { runs, rows };
        let columns = views
            .iter()
            .map(|view| view.segment.column(primary))
            .collect::<Result<Vec<_>, MilvusError>>()?;
        let keys = columns
            .iter()
            .map(Keys::of)
            .collect::<Result<Vec<_>, _>>()?;
        let compare = |left: (u32, u32), right: (u32, u32)| {
            let (left_keys, right_keys) = (&keys[left.0 as usize], &keys[right.0 as usize]);
            left_keys.compare(left.1 as usize, right_keys, right.1 as usize)
        };
        // Rows of one view are sorted, so only where one follows another can something be out of order.
        let sorted = order.runs.windows(2).all(|pair| {
            let (last, first) = (
                (pair[0].view, pair[0].end - 1),
                (pair[1].view, pair[1].start),
            );
            compare(last, first) != Ordering::Greater
        });
        if !sorted {
            let mut origins: Vec<(u32, u32)> = order.origins().collect();
            origins.sort_by(|left, right| compare(*left, *right));
            order.runs = runs_of(&origins);
        }
        Ok(order)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// View and row that each row comes from.
    pub(crate) fn origins(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let rows = |run: &Run| {
            let view = run.view;
            (run.start..run.end).map(move |row| (view, row))
        };
        self.runs.iter().flat_map(rows)
    }

    /// The rows of a column in this order, copied together.
    fn column(&self, kind: ColumnType, parts: &[Column]) -> Result<Column, MilvusError> {
        let mut builder = ColumnBuilder::with_capacity(kind, self.rows);
        for run in &self.runs {
            builder
                .extend(
                    &parts[run.view as usize],
                    run.start as usize..run.end as usize,
                )
                .map_err(internal)?;
        }
        Ok(builder.finish())
    }

    /// As [`Order::column`], for a file: what can be written from where it is, is not copied.
    fn image(
        &self,
        field: i64,
        kind: ColumnType,
        parts: &[Column],
    ) -> Result<ImageColumn, MilvusError> {
        if let ([run], [_, ..]) = (self.runs.as_slice(), parts)
            && run.start == 0
            && run.end as usize == parts[run.view as usize].len()
        {
            return Ok(ImageColumn::whole(field, &parts[run.view as usize]));
        }
        if self.runs.len() <= MOST_PIECES && self.rows >= self.runs.len() * SHORTEST_PIECE {
            let piece = |run: &Run| {
                parts[run.view as usize].shared_rows(run.start as usize..run.end as usize)
            };
            if let Some(pieces) = self.runs.iter().map(piece).collect() {
                return Ok(ImageColumn::of_values(field, kind, pieces));
            }
        }
        Ok(ImageColumn::whole(field, &self.column(kind, parts)?))
    }
}

/// The rows of a view that are not deleted.
fn alive_runs(view: u32, segment: &SegmentView) -> Vec<Run> {
    let rows = segment.segment.rows() as u32;
    let whole = Run {
        view,
        start: 0,
        end: rows,
    };
    match &segment.deleted {
        None if rows == 0 => Vec::new(),
        None => vec![whole],
        Some(_) => {
            let alive = segment.alive_rows();
            let origins: Vec<_> = alive.ones().map(|row| (view, row as u32)).collect();
            runs_of(&origins)
        }
    }
}

fn runs_of(origins: &[(u32, u32)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (view, row) in origins.iter().copied() {
        match runs.last_mut() {
            Some(last) if last.view == view && last.end == row => last.end += 1,
            _ => runs.push(Run {
                view,
                start: row,
                end: row + 1,
            }),
        }
    }
    runs
}

/// What each column of the schema has in the views, with its field and type; columns of fields that the schema no longer has are left
/// behind.
fn parts<'a>(
    record: &'a CollectionRecord,
    views: &'a [SegmentView],
) -> impl Iterator<Item = Result<(i64, ColumnType, Vec<Column>), MilvusError>> + 'a {
    let fields = record.fields.iter().map(move |field| {
        let parts = views.iter().map(|view| view.segment.column(field));
        let parts = parts.collect::<Result<_, _>>()?;
        Ok((field.id, field.column_type(), parts))
    });
    let times = std::iter::once_with(move || {
        let parts = views.iter().map(|view| view.segment.timestamps());
        Ok((
            TIMESTAMP_FIELD,
            ColumnType::Int64,
            parts.collect::<Result<_, _>>()?,
        ))
    });
    fields.chain(times)
}

/// The rows of several views as the columns of a file.
pub(crate) fn merge_for_file(
    record: &CollectionRecord,
    views: &[SegmentView],
    order: &Order,
) -> Result<Vec<ImageColumn>, MilvusError> {
    parts(record, views)
        .map(|part| {
            let (field, kind, parts) = part?;
            order.image(field, kind, &parts)
        })
        .collect()
}

/// The rows of several views as columns in memory.
fn merge(
    record: &CollectionRecord,
    views: &[SegmentView],
    order: &Order,
) -> Result<Vec<(i64, Column)>, MilvusError> {
    parts(record, views)
        .map(|part| {
            let (field, kind, parts) = part?;
            Ok((field, order.column(kind, &parts)?))
        })
        .collect()
}

/// Sorts rows by their primary key; does nothing when they are sorted.
pub(crate) fn sort_by_key(columns: &mut [(i64, Column)], primary: i64) -> Result<(), MilvusError> {
    let Some((_, key_column)) = columns.iter().find(|(field, _)| *field == primary) else {
        return Err(MilvusError::invalid("rows without a primary key"));
    };
    let keys = Keys::of(key_column)?;
    if keys.is_sorted() {
        return Ok(());
    }
    let order = keys.sorting_permutation();
    for (_, column) in columns {
        *column = column.select(order.iter().copied()).map_err(internal)?;
    }
    Ok(())
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
        let views = &segments[segments.len() - 2..];
        let order = Order::of(record, views)?;
        let columns = merge(record, views, &order)?;
        segments.truncate(segments.len() - 2);
        if order.rows() > 0 {
            segments.push(SegmentView::new(super::Segment::in_memory(
                order.rows(),
                columns,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::column::{Bitmap, Values};
    use crate::engine::Segment;
    use crate::storage::{encode_columns, encode_image};

    fn record() -> CollectionRecord {
        let field = |id: i64, name: &str| serde_json::json!({"id": id, "name": name, "data_type": 5, "primary": id == 100});
        let record = serde_json::json!({
            "id": 7, "database": 1, "name": "docs", "partitions": [],
            "fields": [field(100, "id"), field(101, "n")],
        });
        serde_json::from_value(record).unwrap()
    }

    fn view(keys: Vec<i64>) -> SegmentView {
        let column = |factor: i64| Column::from_i64(keys.iter().map(|key| key * factor).collect());
        let columns = vec![
            (100, column(1)),
            (101, column(10)),
            (TIMESTAMP_FIELD, column(0)),
        ];
        SegmentView::new(Segment::in_memory(keys.len(), columns))
    }

    fn numbers(column: &Column) -> Vec<i64> {
        match column.values() {
            Values::Int64(values) => values.to_vec(),
            _ => panic!("{column:?}"),
        }
    }

    #[test]
    fn rows_that_follow_each_other_are_written_from_where_they_are() {
        let views = [view((0..100).collect()), view((100..250).collect())];
        let order = Order::of(&record(), &views).unwrap();
        let columns = merge_for_file(&record(), &views, &order).unwrap();
        let pieces = encode_columns(order.rows(), columns).pieces;
        for view in &views {
            for field in [100, 101, TIMESTAMP_FIELD] {
                let column = view.segment.stored(field).unwrap().unwrap();
                let rows = column.shared_rows(0..column.len()).unwrap();
                let is_shared = pieces.iter().any(|piece| piece.as_ptr() == rows.as_ptr());
                assert!(is_shared, "field {field} was copied");
            }
        }
    }

    #[test]
    fn files_hold_what_a_copy_in_memory_holds_in_the_order_of_the_keys() {
        let mut random = fastrand::Rng::with_seed(3);
        for round in 0..200 {
            let views: Vec<SegmentView> = (0..random.usize(1..5))
                .map(|_| {
                    let start = random.i64(0..300);
                    let step = random.i64(1..4);
                    let mut view = view(
                        (0..random.i64(0..120))
                            .map(|row| start + row * step)
                            .collect(),
                    );
                    let rows = view.segment.rows();
                    if random.bool() {
                        let kept = random.u8(1..100);
                        let deleted = Bitmap::from_fn(rows, |_| random.u8(0..100) > kept);
                        view.deleted = Some(Arc::new(deleted));
                    }
                    view
                })
                .collect();
            let order = Order::of(&record(), &views).unwrap();
            let columns = merge(&record(), &views, &order).unwrap();
            let keys = numbers(&columns[0].1);
            let alive: usize = views.iter().map(SegmentView::alive).sum();
            assert_eq!((keys.len(), order.rows()), (alive, alive), "round {round}");
            assert!(keys.is_sorted(), "round {round}");
            let tens: Vec<i64> = keys.iter().map(|key| key * 10).collect();
            assert_eq!(numbers(&columns[1].1), tens, "round {round}");
            let found: Vec<i64> = order
                .origins()
                .map(|(view, row)| {
                    let column = views[view as usize].segment.stored(100).unwrap().unwrap();
                    numbers(&column)[row as usize]
                })
                .collect();
            assert_eq!(found, keys, "round {round}");
            let in_file = merge_for_file(&record(), &views, &order).unwrap();
            let in_file = encode_columns(order.rows(), in_file).pieces.concat();
            assert_eq!(
                in_file,
                encode_image(order.rows(), &columns).pieces.concat(),
                "round {round}"
            );
        }
    }
}
