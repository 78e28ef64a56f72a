//! A change in the making: a private copy of the state and the writes that bring the file to it.
//!
//! The state shares everything with the committed one but what was changed. Log parts are applied by one function, at writing and at replay, so that the state after a reopen is the state
//! before it.

use std::sync::Arc;

use super::merge::{find_rows, merge_tail};
use super::{Clock, PartitionSnapshot, Segment, SegmentView, Snapshot, State};
use crate::catalog::{Catalog, CollectionRecord, TIMESTAMP_FIELD, remove_rows};
use crate::column::{Bitmap, Column};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::{LogPart, Table, Write, cut_record, encode_record, record_key};

/// What a change works on.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) state: State,
    pub(crate) writes: Vec<Write>,
    pub(crate) clock: &'a Clock,
    /// Files to remove when the commit fails.
    pub(crate) created_files: Vec<u64>,
    /// Files to remove when it succeeds.
    pub(crate) obsolete_files: Vec<u64>,
    /// Collections whose rows changed.
    pub(crate) touched: Vec<u64>,
    /// The commit is fsynced whatever the durability.
    pub(crate) must_sync: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(state: State, clock: &'a Clock) -> Self {
        Self {
            state,
            writes: Vec::new(),
            clock,
            created_files: Vec::new(),
            obsolete_files: Vec::new(),
            touched: Vec::new(),
            must_sync: false,
        }
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.state.catalog
    }

    /// The catalog to change, and the writes that go with it.
    pub(crate) fn catalog_mut(&mut self) -> (&mut Catalog, &mut Vec<Write>) {
        (Arc::make_mut(&mut self.state.catalog), &mut self.writes)
    }

    /// The collection's rows, to read or to change.
    ///
    /// # Errors
    /// When there is no such collection, or a file of it is damaged.
    pub(crate) fn snapshot(&self, collection: u64) -> Result<Arc<Snapshot>, MilvusError> {
        let found = self.state.collections.get(&collection).cloned();
        let snapshot = found.ok_or_else(|| {
            MilvusError::new(
                MilvusErrorKind::CollectionNotFound,
                format!("collection not found[collection={collection}]"),
            )
        })?;
        snapshot.check_files()?;
        Ok(snapshot)
    }

    pub(crate) fn put_snapshot(&mut self, snapshot: Snapshot) {
        Arc::make_mut(&mut self.state.collections).insert(snapshot.record.id, Arc::new(snapshot));
    }

    /// A copy of a collection's record, to change and put back.
    pub(crate) fn record_to_change(
        &self,
        database: &str,
        collection: &str,
    ) -> Result<CollectionRecord, MilvusError> {
        let record = self.catalog().collection(database, collection)?;
        Ok(CollectionRecord::clone(record))
    }

    /// Adds a collection, or replaces the record of one; partitions that the record lost are gone with their rows.
    pub(crate) fn put_collection(&mut self, record: CollectionRecord) -> Result<(), MilvusError> {
        let (catalog, writes) = self.catalog_mut();
        let record = catalog.put_collection(record, writes)?;
        let snapshot = match self.state.collections.get(&record.id) {
            None => Snapshot::empty(record),
            Some(existing) => {
                let mut snapshot = Snapshot::clone(existing);
                snapshot.partitions.retain(|id, _| {
                    record
                        .partitions
                        .iter()
                        .any(|partition| partition.id == *id)
                });
                for partition in &record.partitions {
                    snapshot.partitions.entry(partition.id).or_default();
                }
                snapshot.record = record;
                snapshot
            }
        };
        self.put_snapshot(snapshot);
        Ok(())
    }

    /// Removes a collection with its rows.
    pub(crate) fn remove_collection(&mut self, id: u64) {
        self.forget_files(id, |_| true);
        let (catalog, writes) = self.catalog_mut();
        catalog.remove_collection(id, writes);
        Arc::make_mut(&mut self.state.collections).remove(&id);
    }

    /// Removes all rows of a collection.
    pub(crate) fn remove_all_rows(&mut self, id: u64) -> Result<(), MilvusError> {
        self.forget_files(id, |_| true);
        remove_rows(id, &mut self.writes);
        let Some(snapshot) = self.state.collections.get(&id) else {
            return Ok(());
        };
        // Also when a file is damaged: it goes with the others.
        let mut empty = Snapshot::empty(Arc::clone(&snapshot.record));
        empty.timestamp = self.clock.next();
        self.put_snapshot(empty);
        Ok(())
    }

    /// Removes a partition with its rows. Its log records stay until the next flush and are skipped at replay, because the partition is no longer there.
    pub(crate) fn remove_partition(
        &mut self,
        mut record: CollectionRecord,
        partition: u64,
    ) -> Result<(), MilvusError> {
        let snapshot = self.snapshot(record.id)?;
        for view in snapshot
            .segments_of(&[partition])
            .filter(|view| view.segment.is_sealed())
        {
            for table in [Table::Segments, Table::Deletions] {
                self.writes.push(Write::Remove(
                    table,
                    segment_key(record.id, view.segment.id),
                ));
            }
            self.obsolete_files.push(view.segment.id);
        }
        record.partitions.retain(|kept| kept.id != partition);
        self.put_collection(record)
    }

    fn forget_files(&mut self, collection: u64, forget: impl Fn(&SegmentView) -> bool) {
        let Some(snapshot) = self.state.collections.get(&collection) else {
            return;
        };
        let files = snapshot
            .segments()
            .filter(|view| view.segment.is_sealed() && forget(view))
            .map(|view| view.segment.id);
        self.obsolete_files.extend(files);
    }

    /// Applies one request's parts and logs them. Gives its timestamp and how many rows it deleted.
    ///
    /// `make_parts` gets the timestamp, because the rows carry it.
    pub(crate) fn append(
        &mut self,
        collection: u64,
        make_parts: impl FnOnce(u64) -> Result<Vec<LogPart>, MilvusError>,
    ) -> Result<(u64, usize), MilvusError> {
        let timestamp = self.clock.next();
        let mut parts = make_parts(timestamp)?;
        for part in &mut parts {
            if let LogPart::Rows { rows, columns, .. } = part {
                let times = Column::from_i64(vec![timestamp as i64; *rows]);
                columns.retain(|(field, _)| *field != TIMESTAMP_FIELD);
                columns.push((TIMESTAMP_FIELD, times));
            }
        }
        let mut snapshot = Snapshot::clone(&*self.snapshot(collection)?);
        let mut deleted = 0;
        for part in &parts {
            deleted += apply_part(&mut snapshot, part)?;
        }
        let record = encode_record(&parts);
        snapshot.timestamp = timestamp;
        snapshot.log_bytes += record.iter().map(bytes::Bytes::len).sum::<usize>();
        self.put_snapshot(snapshot);
        self.touched.push(collection);
        for (value, number) in cut_record(record).into_iter().zip(0..) {
            let key = record_key(collection, timestamp, number);
            self.writes.push(Write::Put(Table::Log, key, value));
        }
        Ok((timestamp, deleted))
    }
}

/// The key of the tables that are ordered by collection and segment (or timestamp).
pub(crate) fn segment_key(collection: u64, second: u64) -> Vec<u8> {
    [collection.to_be_bytes(), second.to_be_bytes()].concat()
}

/// Brings a snapshot from before a log part to after it. Gives the number of rows deleted.
pub(crate) fn apply_part(snapshot: &mut Snapshot, part: &LogPart) -> Result<usize, MilvusError> {
    match part {
        LogPart::Rows {
            partition,
            rows,
            columns,
        } => {
            // The partition may have been dropped after this record was written.
            let Some(slot) = snapshot.partitions.get_mut(partition) else {
                return Ok(0);
            };
            let slot: &mut PartitionSnapshot = Arc::make_mut(slot);
            slot.segments
                .push(SegmentView::new(Segment::in_memory(*rows, columns.clone())));
            merge_tail(&snapshot.record, &mut slot.segments)?;
            Ok(0)
        }
        LogPart::Deletion { partition, keys } => {
            let all: Vec<u64> = match partition {
                0 => snapshot.partitions.keys().copied().collect(),
                one => vec![*one],
            };
            let mut hits: Vec<(u64, Vec<usize>)> = Vec::new();
            for (view, rows) in find_rows(snapshot, &all, keys)? {
                hits.push((Arc::as_ptr(&view.segment) as u64, rows));
            }
            Ok(mark_deleted(snapshot, &hits))
        }
    }
}

/// Marks rows of segments (named by their address, which is unique while the snapshot holds them).
fn mark_deleted(snapshot: &mut Snapshot, hits: &[(u64, Vec<usize>)]) -> usize {
    let mut deleted = 0;
    if hits.is_empty() {
        return 0;
    }
    for partition in snapshot.partitions.values_mut() {
        let rows_of = |view: &SegmentView| {
            hits.iter()
                .find(|(address, _)| *address == Arc::as_ptr(&view.segment) as u64)
        };
        if !partition
            .segments
            .iter()
            .any(|view| rows_of(view).is_some())
        {
            continue;
        }
        let partition: &mut PartitionSnapshot = Arc::make_mut(partition);
        for view in &mut partition.segments {
            let Some((_, rows)) = rows_of(view) else {
                continue;
            };
            let bitmap = view
                .deleted
                .get_or_insert_with(|| Arc::new(Bitmap::new(view.segment.rows())));
            let bitmap = Arc::make_mut(bitmap);
            rows.iter().for_each(|row| bitmap.set(*row, true));
            view.deletions_saved = !view.segment.is_sealed();
            deleted += rows.len();
        }
    }
    deleted
}
