//! Query: rows by filter, in the order of their primary keys, each key once.

use std::cmp::Ordering;
use std::sync::Arc;

use super::SegmentView;
use super::keys::Keys;
use super::read::{BoundFilter, Reader, RowAddress};
use super::segment::timestamp_values;
use crate::catalog::FieldRecord;
use crate::column::{Column, Value};
use crate::error::MilvusError;

/// What to give.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryRequest {
    pub(crate) filter: Option<Arc<BoundFilter>>,
    pub(crate) offset: usize,
    /// `None`: all rows.
    pub(crate) limit: Option<usize>,
    pub(crate) fields: Vec<FieldRecord>,
}

/// The columns asked for, in their order.
#[derive(Clone, Debug)]
pub(crate) struct QueryAnswer {
    pub(crate) columns: Vec<Column>,
}

impl Reader {
    /// Runs a query.
    pub(crate) fn query(&self, request: &QueryRequest) -> Result<QueryAnswer, MilvusError> {
        let segments = self.segments();
        let rows = self.matching_rows(&segments, request)?;
        let gather = |field: &FieldRecord| self.gather(&segments, field, &rows);
        let columns = request
            .fields
            .iter()
            .map(gather)
            .collect::<Result<_, _>>()?;
        Ok(QueryAnswer { columns })
    }

    /// How many rows satisfy the filter.
    pub(crate) fn count(&self, filter: Option<&BoundFilter>) -> Result<usize, MilvusError> {
        self.segments()
            .iter()
            .map(|view| Ok(self.visible(view, filter)?.count()))
            .sum()
    }

    /// As [`Reader::query`], with the rows in the order of some fields (the bool: descending), then of their keys.
    pub(crate) fn query_ordered(
        &self,
        request: &QueryRequest,
        order: &[(FieldRecord, bool)],
        offset: usize,
        limit: usize,
    ) -> Result<QueryAnswer, MilvusError> {
        let segments = self.segments();
        let rows = self.matching_rows(&segments, request)?;
        let columns = order
            .iter()
            .map(|(field, _)| self.gather(&segments, field, &rows))
            .collect::<Result<Vec<_>, _>>()?;
        let mut places: Vec<usize> = (0..rows.len()).collect();
        places.sort_by(|left, right| {
            let compare = |(column, (_, descending)): (&Column, &(FieldRecord, bool))| {
                let ordering = compare_values(column.value(*left), column.value(*right));
                if *descending {
                    ordering.reverse()
                } else {
                    ordering
                }
            };
            columns
                .iter()
                .zip(order)
                .map(compare)
                .find(|ordering| ordering.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        let rows: Vec<RowAddress> = places
            .into_iter()
            .skip(offset)
            .take(limit)
            .map(|place| rows[place])
            .collect();
        let columns = request
            .fields
            .iter()
            .map(|field| self.gather(&segments, field, &rows))
            .collect::<Result<_, _>>()?;
        Ok(QueryAnswer { columns })
    }

    fn matching_rows(
        &self,
        segments: &[&SegmentView],
        request: &QueryRequest,
    ) -> Result<Vec<RowAddress>, MilvusError> {
        let primary = self.record().primary()?;
        let mut runs = Vec::with_capacity(segments.len());
        for (index, view) in segments.iter().enumerate() {
            let rows = self.visible(view, request.filter.as_deref())?;
            if !rows.none() {
                runs.push(Run {
                    segment: index as u32,
                    view,
                    keys: view.segment.column(primary)?,
                    rows: rows.ones().collect(),
                    at: 0,
                });
            }
        }
        let wanted = request
            .limit
            .map_or(usize::MAX, |limit| request.offset.saturating_add(limit));
        let mut rows = merge_runs(runs, wanted)?;
        rows.drain(..request.offset.min(rows.len()));
        Ok(rows)
    }
}

/// Order of two cells of one column; nulls come first.
fn compare_values(left: Value<'_>, right: Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Bool(left), Value::Bool(right)) => left.cmp(&right),
        (Value::Int(left), Value::Int(right))
        | (Value::Timestamptz(left), Value::Timestamptz(right)) => left.cmp(&right),
        (Value::Float(left), Value::Float(right)) => left.total_cmp(&right),
        (Value::Double(left), Value::Double(right)) => left.total_cmp(&right),
        (Value::Varchar(left), Value::Varchar(right)) => left.cmp(right),
        (Value::Geometry(left), Value::Geometry(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

/// The matching rows of one segment; ascending rows are ascending keys.
struct Run<'a> {
    segment: u32,
    view: &'a SegmentView,
    keys: Column,
    rows: Vec<usize>,
    at: usize,
}

/// The first `wanted` rows by key. Of rows with equal keys (inserted twice) the newest stands for all.
fn merge_runs(mut runs: Vec<Run<'_>>, wanted: usize) -> Result<Vec<RowAddress>, MilvusError> {
    let keys = runs.iter().map(|run| run.keys.clone()).collect::<Vec<_>>();
    let keys = keys.iter().map(Keys::of).collect::<Result<Vec<_>, _>>()?;
    let mut merged: Vec<RowAddress> = Vec::new();
    let mut equal = Vec::new();
    while merged.len() < wanted {
        let mut first: Option<usize> = None;
        for (index, run) in runs.iter().enumerate() {
            let Some(row) = run.rows.get(run.at) else {
                continue;
            };
            let lower = first.is_none_or(|best| {
                let best_row = runs[best].rows[runs[best].at];
                keys[index].compare(*row, &keys[best], best_row) == Ordering::Less
            });
            if lower {
                first = Some(index);
            }
        }
        let Some(first) = first else { break };
        let key_row = runs[first].rows[runs[first].at];
        equal.clear();
        for (index, run) in runs.iter_mut().enumerate() {
            while let Some(row) = run.rows.get(run.at).copied() {
                if keys[index].compare(row, &keys[first], key_row) != Ordering::Equal {
                    break;
                }
                run.at += 1;
                equal.push((index, row));
            }
        }
        let (index, row) = newest(&runs, &equal)?;
        merged.push(RowAddress {
            segment: runs[index].segment,
            row: row as u32,
        });
    }
    Ok(merged)
}

/// The newest of rows with one key, given as run and row; the later one of equally new rows.
fn newest(runs: &[Run<'_>], equal: &[(usize, usize)]) -> Result<(usize, usize), MilvusError> {
    let mut best = equal.first().copied().unwrap_or_default();
    if equal.len() > 1 {
        let mut time = i64::MIN;
        for (index, row) in equal {
            let this = timestamp(runs[*index].view, *row)?;
            if this >= time {
                (time, best) = (this, (*index, *row));
            }
        }
    }
    Ok(best)
}

fn timestamp(view: &SegmentView, row: usize) -> Result<i64, MilvusError> {
    let column = view.segment.timestamps()?;
    Ok(timestamp_values(&column)
        .get(row)
        .copied()
        .unwrap_or_default())
}
