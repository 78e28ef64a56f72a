//! Flush: growing rows become segment files, and their log goes.
//!
//! It has three steps, and only the first and the last are the writer's: the growing segments are *frozen* (nothing merges them any
//! more), the files are written while requests go on, and one transaction names the files, saves the deletions and forgets the log
//! up to the moment of the freezing. Rows that were deleted meanwhile are deleted in the new files too.
//!
//! The invariant: every log record that remains is younger than every row in a file, so that replaying it gives the same rows.

use std::sync::Arc;

use bytes::Bytes;

use super::deletions::encode_bitmap;
use super::draft::segment_key;
use super::merge::{Order, merge_for_file};
use super::{Draft, PartitionSnapshot, Segment, SegmentView, Snapshot};
use crate::column::Bitmap;
use crate::error::MilvusError;
use crate::storage::{Store, Table, Write, record_key};

/// Growing rows of a collection that make a flush.
const FLUSH_ROWS: usize = 65_536;
/// Growing bytes of a collection, or bytes of its log, that make a flush.
const FLUSH_BYTES: usize = 32 << 20;
/// Writes wait while so many times more is growing; see [`super::maintenance`].
const CROWDED: usize = 4;

/// The record of a segment in the catalog.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct SegmentRecord {
    pub(crate) partition: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

fn exceeds(snapshot: &Snapshot, times: usize) -> bool {
    let (rows, bytes) = snapshot.growing();
    rows >= times * FLUSH_ROWS
        || bytes >= times * FLUSH_BYTES
        || snapshot.log_bytes >= times * FLUSH_BYTES
}

/// Whether the log of a collection should become a segment.
pub(crate) fn is_full(snapshot: &Snapshot) -> bool {
    exceeds(snapshot, 1)
}

/// Whether enough of what is growing has outlived its TTL by `now` that a flush would give space back.
pub(crate) fn is_outlived(snapshot: &Snapshot, now: u64) -> Result<bool, MilvusError> {
    let oldest = snapshot.oldest_alive(now);
    for view in snapshot.segments().filter(|view| !view.segment.is_sealed()) {
        if oldest > 0 && view.segment.ages_at()? <= oldest {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether so much is growing that writers should wait for a flush.
pub(crate) fn is_crowded(snapshot: &Snapshot) -> bool {
    exceeds(snapshot, CROWDED)
}

/// Segments of a partition that become one file.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pub(crate) partition: u64,
    /// Number of the new file.
    pub(crate) file: u64,
    /// What it replaces, with the rows that were deleted when it was planned.
    pub(crate) views: Vec<SegmentView>,
    /// Rows with lower timestamps have outlived their collection's TTL and are left behind.
    pub(crate) oldest: u64,
}

/// A file that was written for a [`Rewrite`], or that there was nothing to write.
#[derive(Debug)]
pub(crate) struct Rewritten {
    rewrite: Rewrite,
    /// Where each row of the file comes from.
    order: Order,
    /// The file and its size.
    segment: Option<(Segment, u64)>,
}

impl Rewrite {
    /// Writes the file. Nobody else sees it until it is installed.
    pub(crate) fn write(
        self,
        snapshot: &Snapshot,
        store: &Store,
    ) -> Result<Rewritten, MilvusError> {
        let young;
        let views = if self.oldest == 0 {
            &self.views
        } else {
            let alive = self.views.iter();
            let alive = alive.map(|view| view.without_older(self.oldest));
            young = alive.collect::<Result<Vec<_>, MilvusError>>()?;
            &young
        };
        let order = Order::of(&snapshot.record, views)?;
        let mut segment = None;
        if order.rows() > 0 {
            let columns = merge_for_file(&snapshot.record, views, &order)?;
            let bytes = store.write_segment(self.file, order.rows(), columns)?;
            let file = store.open_segment(self.file)?;
            let opened = Segment::in_file(self.file, bytes as usize, file);
            segment = Some((opened, bytes));
        }
        Ok(Rewritten {
            rewrite: self,
            order,
            segment,
        })
    }
}

impl Rewritten {
    /// Removes the file again.
    pub(crate) fn remove(&self, store: &Store) {
        if self.segment.is_some() {
            store.remove_segment(self.rewrite.file);
        }
    }
}

/// What a flush will do.
#[derive(Debug)]
pub(crate) struct FlushPlan {
    pub(crate) collection: u64,
    /// The log up to here is what the files replace.
    until: u64,
    log_bytes: usize,
    pub(crate) rewrites: Vec<Rewrite>,
}

impl Draft<'_> {
    /// Freezes the growing segments of a collection and names the files to write. `None` when there is nothing to flush.
    pub(crate) fn begin_flush(
        &mut self,
        collection: u64,
    ) -> Result<Option<FlushPlan>, MilvusError> {
        let mut snapshot = Snapshot::clone(&*self.snapshot(collection)?);
        let unsaved = |view: &SegmentView| !view.segment.is_sealed() || !view.deletions_saved;
        if snapshot.log_bytes == 0 && !snapshot.segments().any(unsaved) {
            return Ok(None);
        }
        let mut rewrites = Vec::new();
        let oldest = snapshot.oldest_alive(self.clock.now());
        for (partition, slot) in &mut snapshot.partitions {
            if slot.segments.iter().all(|view| view.segment.is_sealed()) {
                continue;
            }
            let slot: &mut PartitionSnapshot = Arc::make_mut(slot);
            let growing = slot
                .segments
                .iter_mut()
                .filter(|view| !view.segment.is_sealed());
            let freeze = |view: &mut SegmentView| {
                view.frozen = true;
                view.clone()
            };
            let views = growing.map(freeze).collect();
            let (catalog, writes) = (Arc::make_mut(&mut self.state.catalog), &mut self.writes);
            rewrites.push(Rewrite {
                partition: *partition,
                file: catalog.next_identifier(writes),
                views,
                oldest,
            });
        }
        let plan = FlushPlan {
            collection,
            until: snapshot.timestamp,
            log_bytes: snapshot.log_bytes,
            rewrites,
        };
        self.put_snapshot(snapshot);
        Ok(Some(plan))
    }

    /// Puts the files in the place of the frozen segments and of the log up to their freezing.
    pub(crate) fn finish_flush(
        &mut self,
        plan: &FlushPlan,
        files: Vec<Rewritten>,
    ) -> Result<(), MilvusError> {
        let Ok(snapshot) = self.snapshot(plan.collection) else {
            self.abandon(files);
            return Ok(());
        };
        let mut snapshot = Snapshot::clone(&snapshot);
        for file in files {
            self.install(&mut snapshot, file)?;
        }
        self.save_deletions(&mut snapshot);
        snapshot.log_bytes = snapshot.log_bytes.saturating_sub(plan.log_bytes);
        self.writes.push(Write::RemoveRange(
            Table::Log,
            record_key(plan.collection, 0, 0),
            record_key(plan.collection, plan.until, u32::MAX),
        ));
        self.put_snapshot(snapshot);
        Ok(())
    }

    /// Files that nobody needs any more, whatever becomes of the commit.
    pub(crate) fn abandon(&mut self, files: Vec<Rewritten>) {
        for file in files.iter().filter(|file| file.segment.is_some()) {
            self.created_files.push(file.rewrite.file);
            self.obsolete_files.push(file.rewrite.file);
        }
    }

    /// Replaces segments by the file that was made of them. When one of them is gone (its partition was dropped, its collection
    /// emptied), so is what the file is for.
    pub(crate) fn install(
        &mut self,
        snapshot: &mut Snapshot,
        file: Rewritten,
    ) -> Result<(), MilvusError> {
        let current = |view: &SegmentView| {
            let partition = snapshot.partitions.get(&file.rewrite.partition)?;
            let same = |known: &&SegmentView| Arc::ptr_eq(&known.segment, &view.segment);
            partition.segments.iter().find(same).cloned()
        };
        let found: Option<Vec<SegmentView>> = file.rewrite.views.iter().map(current).collect();
        let Some(found) = found else {
            self.abandon(vec![file]);
            return Ok(());
        };
        let deleted = deleted_meanwhile(&file, &found);
        let collection = snapshot.record.id;
        for view in found.iter().filter(|view| view.segment.is_sealed()) {
            for table in [Table::Segments, Table::Deletions] {
                self.writes.push(Write::Remove(
                    table,
                    segment_key(collection, view.segment.id),
                ));
            }
            self.obsolete_files.push(view.segment.id);
        }
        let Some(slot) = snapshot.partitions.get_mut(&file.rewrite.partition) else {
            return Ok(());
        };
        let slot: &mut PartitionSnapshot = Arc::make_mut(slot);
        let replaced = |view: &SegmentView| {
            found
                .iter()
                .any(|old| Arc::ptr_eq(&old.segment, &view.segment))
        };
        let place = slot.segments.iter().position(replaced).unwrap_or(0);
        slot.segments.retain(|view| !replaced(view));
        if let Some((segment, bytes)) = file.segment {
            let record = SegmentRecord {
                partition: file.rewrite.partition,
                rows: segment.rows() as u64,
                bytes,
            };
            let json = serde_json::to_vec(&record)
                .map_err(|error| super::writer::internal(error.to_string()))?;
            self.created_files.push(segment.id);
            self.writes.push(Write::Put(
                Table::Segments,
                segment_key(collection, segment.id),
                vec![Bytes::from(json)],
            ));
            let mut view = SegmentView::new(segment);
            view.deletions_saved = deleted.is_none();
            view.deleted = deleted.map(Into::into);
            slot.segments.insert(place, view);
        }
        Ok(())
    }

    /// Writes the deletions that only the log knows yet.
    pub(crate) fn save_deletions(&mut self, snapshot: &mut Snapshot) {
        let collection = snapshot.record.id;
        let unsaved = |view: &SegmentView| view.segment.is_sealed() && !view.deletions_saved;
        for slot in snapshot.partitions.values_mut() {
            if !slot.segments.iter().any(unsaved) {
                continue;
            }
            let slot: &mut PartitionSnapshot = Arc::make_mut(slot);
            for view in slot.segments.iter_mut().filter(|view| unsaved(view)) {
                view.deletions_saved = true;
                if let Some(deleted) = &view.deleted {
                    self.writes.push(Write::Put(
                        Table::Deletions,
                        segment_key(collection, view.segment.id),
                        vec![Bytes::from(encode_bitmap(deleted))],
                    ));
                }
            }
        }
    }
}

/// The rows of a new file whose originals were deleted while it was being written.
fn deleted_meanwhile(file: &Rewritten, now: &[SegmentView]) -> Option<Bitmap> {
    let changed: Vec<Option<&Bitmap>> = file
        .rewrite
        .views
        .iter()
        .zip(now)
        .map(|(before, now)| {
            let same = match (&before.deleted, &now.deleted) {
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                (before, now) => before.is_none() && now.is_none(),
            };
            now.deleted.as_deref().filter(|_| !same)
        })
        .collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let is_deleted = |(view, row): (u32, u32)| {
        let deleted = changed.get(view as usize).copied().flatten();
        deleted.is_some_and(|deleted| deleted.get(row as usize))
    };
    let mut deleted = Bitmap::new(file.order.rows());
    for (row, origin) in file.order.origins().enumerate() {
        if is_deleted(origin) {
            deleted.set(row, true);
        }
    }
    (!deleted.none()).then_some(deleted)
}
