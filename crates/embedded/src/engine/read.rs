//! What every read begins with: a snapshot, the partitions asked for, and which of their rows are visible.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use super::keys::{Key, key_column};
use super::{Cancellation, SegmentView, Snapshot};
use crate::catalog::{CollectionRecord, FieldRecord};
use crate::column::{Bitmap, Column, ColumnBuilder, ColumnType, Columns, Value};
use crate::error::MilvusError;
use crate::filter::{Constant, Plan};

/// One moment of some partitions of a collection.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) snapshot: Arc<Snapshot>,
    partitions: Vec<u64>,
    /// Rows with lower timestamps have outlived their collection's TTL.
    oldest: u64,
    /// Whether anybody still waits.
    pub(crate) cancellation: Cancellation,
}

/// A compiled filter, and the only primary keys that can satisfy it when it names them: then rows are looked up and not scanned.
#[derive(Debug)]
pub(crate) struct BoundFilter {
    plan: Plan,
    keys: Option<Column>,
    /// How many keys the filter lists, when it does nothing else.
    listed_keys: Option<usize>,
}

impl BoundFilter {
    pub(crate) fn new(record: &CollectionRecord, plan: Plan) -> Result<Self, MilvusError> {
        let primary = record.primary()?;
        let wanted = plan.pinned_values(&primary.name);
        let keys = wanted.and_then(|values| {
            values
                .iter()
                .map(|value| key(primary.column_type(), value))
                .collect::<Option<Vec<_>>>()
        });
        let keys = match keys {
            None => None,
            Some(mut keys) => {
                keys.sort_unstable();
                keys.dedup();
                Some(key_column(primary.column_type(), &keys)?)
            }
        };
        let listed_keys = plan.listed_values(&primary.name);
        Ok(Self {
            plan,
            keys,
            listed_keys,
        })
    }

    /// How many primary keys the filter lists (`id in [1, 2]`), when it says nothing else.
    pub(crate) fn listed_keys(&self) -> Option<usize> {
        self.listed_keys
    }

    /// The rows of a segment that satisfy it.
    fn evaluate(
        &self,
        record: &CollectionRecord,
        view: &SegmentView,
    ) -> Result<Bitmap, MilvusError> {
        let Some(keys) = &self.keys else {
            return evaluate(&self.plan, record, view, None);
        };
        let stored = view.segment.column(record.primary()?)?;
        let mut candidates = super::segment::rows_with_keys(&stored, keys)?;
        candidates.sort_unstable();
        let mut rows = Bitmap::new(view.segment.rows());
        if !candidates.is_empty() {
            let matching = evaluate(&self.plan, record, view, Some(&candidates))?;
            matching
                .ones()
                .filter_map(|at| candidates.get(at))
                .for_each(|row| rows.set(*row, true));
        }
        Ok(rows)
    }
}

fn key(kind: ColumnType, value: &Constant) -> Option<Key> {
    match (kind, value) {
        (ColumnType::Int64, Constant::Int(number)) => Some(Key::Int(*number)),
        (ColumnType::Varchar, Constant::Text(text)) => Some(Key::Text(text.clone())),
        _ => None,
    }
}

/// A row: which segment of the reader, which row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowAddress {
    pub(crate) segment: u32,
    pub(crate) row: u32,
}

impl Reader {
    pub(crate) fn new(snapshot: Arc<Snapshot>, partitions: Vec<u64>, now: u64) -> Self {
        Self {
            oldest: snapshot.oldest_alive(now),
            snapshot,
            partitions,
            cancellation: Cancellation::default(),
        }
    }

    /// Gives up when nobody waits any more.
    pub(crate) fn until(self, cancellation: Cancellation) -> Self {
        Self {
            cancellation,
            ..self
        }
    }

    /// Whatever is stored, also rows that outlived their TTL.
    pub(crate) fn of_all_rows(snapshot: Arc<Snapshot>, partitions: Vec<u64>) -> Self {
        Self {
            snapshot,
            partitions,
            oldest: 0,
            cancellation: Cancellation::default(),
        }
    }

    /// The vector of the row with this key, as it travels.
    pub(crate) fn vector_of(
        &self,
        field: &FieldRecord,
        key: &Key,
    ) -> Result<Option<Vec<u8>>, MilvusError> {
        let primary = self.record().primary()?;
        let wanted = key_column(primary.column_type(), std::slice::from_ref(key))?;
        let Some(row) = self.newest_rows(&wanted)?.pop().flatten() else {
            return Ok(None);
        };
        let column = self.gather(&self.segments(), field, &[row])?;
        Ok(match column.value(0) {
            Value::Dense(bytes) => Some(bytes.to_vec()),
            Value::Sparse(dimensions, weights) => {
                let pairs = dimensions.iter().zip(weights);
                let bytes = pairs.flat_map(|(dimension, weight)| {
                    [dimension.to_le_bytes(), weight.to_le_bytes()]
                });
                Some(bytes.flatten().collect())
            }
            _ => None,
        })
    }

    /// The lowest timestamp that rows may have; 0 when they live for ever.
    pub(crate) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Whether a row of this timestamp has outlived its collection's TTL.
    pub(crate) fn has_outlived(&self, time: u64) -> bool {
        time < self.oldest
    }

    pub(crate) fn record(&self) -> &CollectionRecord {
        &self.snapshot.record
    }

    /// The segments, in a fixed order.
    pub(crate) fn segments(&self) -> Vec<&SegmentView> {
        self.snapshot.segments_of(&self.partitions).collect()
    }

    /// The rows of a segment that exist at this moment and satisfy the filter.
    pub(crate) fn visible(
        &self,
        view: &SegmentView,
        filter: Option<&BoundFilter>,
    ) -> Result<Bitmap, MilvusError> {
        self.cancellation.check()?;
        let mut rows = view.alive_rows();
        if self.oldest > 0 {
            rows.intersect(&view.segment.young_rows(self.oldest)?);
        }
        if let Some(filter) = filter
            && !rows.none()
        {
            rows.intersect(&filter.evaluate(self.record(), view)?);
        }
        Ok(rows)
    }

    /// The values of a field for some rows, in their order.
    pub(crate) fn gather(
        &self,
        segments: &[&SegmentView],
        field: &FieldRecord,
        rows: &[RowAddress],
    ) -> Result<Column, MilvusError> {
        let kind = field.column_type();
        let mut builder = ColumnBuilder::with_capacity(kind, rows.len());
        let mut at = 0;
        // Runs of rows of one segment are copied together.
        while let Some(first) = rows.get(at) {
            let run = rows[at..]
                .iter()
                .take_while(|row| row.segment == first.segment)
                .count();
            if let Some(view) = segments.get(first.segment as usize) {
                let column = view.segment.column(field)?;
                let chosen = rows[at..at + run].iter().map(|row| row.row as usize);
                builder
                    .extend_rows(&column, chosen)
                    .map_err(MilvusError::invalid)?;
            }
            at += run;
        }
        Ok(builder.finish())
    }
}

/// The columns of a segment (or of some of its rows), loaded when the filter first asks for them.
struct SegmentColumns<'a> {
    view: &'a SegmentView,
    rows: Option<&'a [usize]>,
    fields: Vec<(&'a FieldRecord, OnceCell<Option<Column>>)>,
    failure: RefCell<Option<MilvusError>>,
}

impl SegmentColumns<'_> {
    fn load(&self, field: &FieldRecord) -> Result<Column, MilvusError> {
        let column = self.view.segment.column(field)?;
        match self.rows {
            None => Ok(column),
            Some(rows) => column
                .select(rows.iter().copied())
                .map_err(MilvusError::invalid),
        }
    }
}

impl Columns for SegmentColumns<'_> {
    fn rows(&self) -> usize {
        self.rows.map_or(self.view.segment.rows(), <[usize]>::len)
    }

    fn column(&self, field: &str) -> Option<&Column> {
        let (record, cell) = self
            .fields
            .iter()
            .find(|(record, _)| record.name == field)?;
        let load = || match self.load(record) {
            Ok(column) => Some(column),
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                None
            }
        };
        cell.get_or_init(load).as_ref()
    }
}

fn evaluate(
    plan: &Plan,
    record: &CollectionRecord,
    view: &SegmentView,
    rows: Option<&[usize]>,
) -> Result<Bitmap, MilvusError> {
    let fields = record
        .fields
        .iter()
        .map(|field| (field, OnceCell::new()))
        .collect();
    let columns = SegmentColumns {
        view,
        rows,
        fields,
        failure: RefCell::new(None),
    };
    let matching = plan.evaluate(&columns);
    match columns.failure.into_inner() {
        Some(error) => Err(error),
        None => Ok(matching),
    }
}
