//! What readers work on: the catalog and the segments of every collection, at one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::Segment;
use super::clock::{oldest_alive, timestamp_of};
use crate::catalog::{Catalog, CollectionRecord, FieldRecord};
use crate::column::{Bitmap, Values};
use crate::error::MilvusError;
use crate::text::bm25::Statistics;

/// Into so many parts the life of a row is divided; statistics leave out those that are over.
const AGES: u64 = 64;

/// A segment and which of its rows are deleted.
#[derive(Clone, Debug)]
pub(crate) struct SegmentView {
    pub(crate) segment: Arc<Segment>,
    pub(crate) deleted: Option<Arc<Bitmap>>,
    /// Whether the file knows these deletions without the log.
    pub(crate) deletions_saved: bool,
    /// A flush is writing it to a file, so it must stay as it is.
    pub(crate) frozen: bool,
}

impl SegmentView {
    pub(crate) fn new(segment: Segment) -> Self {
        Self {
            segment: Arc::new(segment),
            deleted: None,
            deletions_saved: true,
            frozen: false,
        }
    }

    /// Rows that are not deleted.
    pub(crate) fn alive(&self) -> usize {
        self.segment.rows() - self.deleted.as_ref().map_or(0, |deleted| deleted.count())
    }

    /// The same rows without those older than `oldest`, which count as deleted then.
    pub(crate) fn without_older(&self, oldest: u64) -> Result<Self, MilvusError> {
        let mut outlived = self.segment.young_rows(oldest)?;
        outlived.invert();
        if outlived.none() {
            return Ok(self.clone());
        }
        if let Some(deleted) = &self.deleted {
            outlived.union(deleted);
        }
        Ok(Self {
            deleted: Some(Arc::new(outlived)),
            ..self.clone()
        })
    }

    /// The set of rows that are not deleted.
    pub(crate) fn alive_rows(&self) -> Bitmap {
        let mut rows = Bitmap::full(self.segment.rows());
        if let Some(deleted) = &self.deleted {
            rows.subtract(deleted);
        }
        rows
    }
}

/// Segments of a partition, the older first, the growing ones last.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionSnapshot {
    pub(crate) segments: Vec<SegmentView>,
}

/// A collection.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) record: Arc<CollectionRecord>,
    pub(crate) partitions: BTreeMap<u64, Arc<PartitionSnapshot>>,
    /// Of the last request that changed the rows.
    pub(crate) timestamp: u64,
    /// Size of its records in the log.
    pub(crate) log_bytes: usize,
    /// Term statistics by field, and the age up to which rows are in them; made when a search needs them.
    statistics: Mutex<HashMap<i64, (u64, Arc<Statistics>)>>,
}

impl Clone for Snapshot {
    /// A copy is made to be changed, so what was computed from the rows stays behind.
    fn clone(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            partitions: self.partitions.clone(),
            timestamp: self.timestamp,
            log_bytes: self.log_bytes,
            statistics: Mutex::default(),
        }
    }
}

impl Snapshot {
    pub(crate) fn empty(record: Arc<CollectionRecord>) -> Self {
        let partitions = record
            .partitions
            .iter()
            .map(|partition| (partition.id, Arc::default()))
            .collect();
        Self {
            record,
            partitions,
            timestamp: 0,
            log_bytes: 0,
            statistics: Mutex::default(),
        }
    }

    /// The lowest timestamp that a row may have to be alive at `now`; 0 when rows live for ever.
    pub(crate) fn oldest_alive(&self, now: u64) -> u64 {
        let lifetime = self.record.ttl_seconds();
        lifetime.map_or(0, |seconds| oldest_alive(now, seconds))
    }

    /// All segments of some partitions.
    pub(crate) fn segments_of<'a>(
        &'a self,
        partitions: &'a [u64],
    ) -> impl Iterator<Item = &'a SegmentView> {
        partitions
            .iter()
            .filter_map(|id| self.partitions.get(id))
            .flat_map(|partition| &partition.segments)
    }

    /// All segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &SegmentView> {
        self.partitions
            .values()
            .flat_map(|partition| &partition.segments)
    }

    /// An error when a file of the collection is damaged or missing: then it is neither read nor changed, only emptied or dropped.
    pub(crate) fn check_files(&self) -> Result<(), MilvusError> {
        self.segments()
            .try_for_each(|view| view.segment.check_file())
            .map_err(|error| MilvusError {
                message: format!(
                    "collection {} can't be read: {error}. Other collections can",
                    self.record.name
                ),
                ..error
            })
    }

    /// Term statistics of a BM25 field over all rows that are not deleted and not older than `oldest`, whatever the filter of a
    /// search. Each segment reckons its own once, so that a write doesn't have the next search reckon everything anew. A row that has outlived its TTL counts a little longer, [`AGES`]: else each search would count anew.
    pub(crate) fn statistics(
        &self,
        field: &FieldRecord,
        oldest: u64,
    ) -> Result<Arc<Statistics>, MilvusError> {
        let age = self.record.ttl_seconds().unwrap_or(0).saturating_mul(1000) / AGES;
        let oldest = oldest - oldest % timestamp_of(age.max(1));
        let mut known = self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((of, statistics)) = known.get(&field.id)
            && *of >= oldest
        {
            return Ok(Arc::clone(statistics));
        }
        let mut all = Statistics::default();
        for view in self.segments() {
            all.merge(&*view.segment.statistics(field)?);
            if view.deleted.is_none() && oldest == 0 {
                continue;
            }
            let column = view.segment.column(field)?;
            let Values::SparseFloatVector(rows) = column.values() else {
                continue;
            };
            let mut gone = view.alive_rows();
            if oldest > 0 {
                gone.intersect(&view.segment.young_rows(oldest)?);
            }
            gone.invert();
            for row in gone.ones().filter(|row| column.is_valid(*row)) {
                let (terms, counts) = rows.get(row);
                all.remove(terms, counts);
            }
        }
        let all = Arc::new(all);
        known.insert(field.id, (oldest, Arc::clone(&all)));
        Ok(all)
    }

    /// Rows and bytes that only the log has.
    pub(crate) fn growing(&self) -> (usize, usize) {
        let growing = self.segments().filter(|view| !view.segment.is_sealed());
        growing.fold((0, 0), |(rows, bytes), view| {
            (rows + view.segment.rows(), bytes + view.segment.bytes())
        })
    }
}

/// Everything, at one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) collections: Arc<HashMap<u64, Arc<Snapshot>>>,
}
