//! Compaction: small files, and files with many deleted rows, become better ones.
//!
//! The new file is written while requests go on, and takes the place of the old ones in one transaction, as a flush does it; the log
//! is left alone. So rows that were deleted give their space back, and a search meets few segments however small the flushes were.

use super::flush::{Rewrite, Rewritten};
use super::{Draft, SegmentView, Snapshot};
use crate::error::MilvusError;

/// Files below this number of rows, and of bytes, are small.
const SMALL_ROWS: usize = 16_384;
/// As above.
const SMALL_BYTES: usize = 64 << 20;
/// So many small files of a partition are merged.
const SMALL_FILES: usize = 8;
/// A file with more than one in so many rows deleted is written anew.
const DELETED_SHARE: usize = 5;
/// A compaction doesn't read more than this, but for a single file.
const COMPACTED_BYTES: usize = 512 << 20;

/// The files of a partition that one compaction replaces; empty for none.
fn choose(segments: &[SegmentView]) -> Vec<SegmentView> {
    let sealed = || segments.iter().filter(|view| view.segment.is_sealed());
    let small =
        |view: &SegmentView| view.alive() < SMALL_ROWS && view.segment.bytes() < SMALL_BYTES;
    let merge_small = sealed().filter(|view| small(view)).count() >= SMALL_FILES;
    let mostly_deleted = |view: &SegmentView| {
        (view.segment.rows() - view.alive()) * DELETED_SHARE > view.segment.rows()
    };
    let mut bytes = 0;
    let mut chosen: Vec<SegmentView> = Vec::new();
    for view in sealed().filter(|view| mostly_deleted(view) || (merge_small && small(view))) {
        bytes += view.segment.bytes();
        if bytes > COMPACTED_BYTES && !chosen.is_empty() {
            break;
        }
        chosen.push(view.clone());
    }
    chosen
}

/// Whether a collection has files that a compaction would replace.
pub(crate) fn is_wanted(snapshot: &Snapshot) -> bool {
    snapshot
        .partitions
        .values()
        .any(|partition| !choose(&partition.segments).is_empty())
}

impl Draft<'_> {
    /// Names the files to write. `None` when there is nothing to gain.
    pub(crate) fn begin_compaction(
        &mut self,
        collection: u64,
    ) -> Result<Option<Rewrite>, MilvusError> {
        let snapshot = self.snapshot(collection)?;
        let wanted = snapshot
            .partitions
            .iter()
            .map(|(partition, slot)| (*partition, choose(&slot.segments)))
            .find(|(_, views)| !views.is_empty());
        let Some((partition, views)) = wanted else {
            return Ok(None);
        };
        let (catalog, writes) = self.catalog_mut();
        let file = catalog.next_identifier(writes);
        Ok(Some(Rewrite {
            partition,
            file,
            views,
        }))
    }

    /// Puts the file in the place of those that it was made of.
    pub(crate) fn finish_compaction(
        &mut self,
        collection: u64,
        file: Rewritten,
    ) -> Result<(), MilvusError> {
        let snapshot = self.snapshot(collection)?;
        let mut snapshot = Snapshot::clone(&snapshot);
        self.install(&mut snapshot, file)?;
        self.save_deletions(&mut snapshot);
        self.put_snapshot(snapshot);
        Ok(())
    }
}
