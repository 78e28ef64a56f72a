//! Compaction: small files, and files with many rows that are deleted or have outlived their TTL, become better ones.
//!
//! The new file is written while requests go on, and takes the place of the old ones in one transaction, as a flush does it; the log
//! is left alone. So rows that nobody can see any more give their space back, and a search meets few segments however small the flushes were.

use super::flush::{Rewrite, Rewritten};
use super::segment::WASTED_SHARE;
use super::{Draft, SegmentView, Snapshot};
use crate::error::MilvusError;

/// Files below this number of rows, and of bytes, are small.
const SMALL_ROWS: usize = 16_384;
/// As above.
const SMALL_BYTES: usize = 64 << 20;
/// So many small files of a partition are merged.
const SMALL_FILES: usize = 8;
/// A compaction doesn't read more than this, but for a single file.
const COMPACTED_BYTES: usize = 512 << 20;

/// The files of a partition that one compaction replaces, when rows older than `oldest` are dead; empty for none.
fn choose(segments: &[SegmentView], oldest: u64) -> Result<Vec<SegmentView>, MilvusError> {
    let sealed = || segments.iter().filter(|view| view.segment.is_sealed());
    let small =
        |view: &SegmentView| view.alive() < SMALL_ROWS && view.segment.bytes() < SMALL_BYTES;
    let merge_small = sealed().filter(|view| small(view)).count() >= SMALL_FILES;
    let wasteful = |view: &SegmentView| -> Result<bool, MilvusError> {
        let deleted = view.segment.rows() - view.alive();
        Ok(deleted * WASTED_SHARE > view.segment.rows()
            || (oldest > 0 && view.segment.ages_at()? <= oldest))
    };
    let mut bytes = 0;
    let mut chosen: Vec<SegmentView> = Vec::new();
    for view in sealed() {
        let is_worth_it = (merge_small && small(view)) || wasteful(view)?;
        if !is_worth_it {
            continue;
        }
        bytes += view.segment.bytes();
        if bytes > COMPACTED_BYTES && !chosen.is_empty() {
            break;
        }
        chosen.push(view.clone());
    }
    Ok(chosen)
}

/// The first partition with files that a compaction would replace at `now`, those files, and the age from which rows are dead.
fn plan(snapshot: &Snapshot, now: u64) -> Result<Option<Chosen>, MilvusError> {
    let oldest = snapshot.oldest_alive(now);
    for (partition, slot) in &snapshot.partitions {
        let views = choose(&slot.segments, oldest)?;
        if !views.is_empty() {
            return Ok(Some((*partition, views, oldest)));
        }
    }
    Ok(None)
}

type Chosen = (u64, Vec<SegmentView>, u64);

/// Whether a collection has files that a compaction would replace at `now`.
pub(crate) fn is_wanted(snapshot: &Snapshot, now: u64) -> Result<bool, MilvusError> {
    Ok(plan(snapshot, now)?.is_some())
}

impl Draft<'_> {
    /// Names the files to write. `None` when there is nothing to gain.
    pub(crate) fn begin_compaction(
        &mut self,
        collection: u64,
    ) -> Result<Option<Rewrite>, MilvusError> {
        if !self.state.collections.contains_key(&collection) {
            // Dropped meanwhile.
            return Ok(None);
        }
        let snapshot = self.snapshot(collection)?;
        let Some((partition, views, oldest)) = plan(&snapshot, self.clock.now())? else {
            return Ok(None);
        };
        let (catalog, writes) = self.catalog_mut();
        let file = catalog.next_identifier(writes);
        Ok(Some(Rewrite {
            partition,
            file,
            views,
            oldest,
        }))
    }

    /// Puts the file in the place of those that it was made of.
    pub(crate) fn finish_compaction(
        &mut self,
        collection: u64,
        file: Rewritten,
    ) -> Result<(), MilvusError> {
        let Ok(snapshot) = self.snapshot(collection) else {
            self.abandon(vec![file]);
            return Ok(());
        };
        let mut snapshot = Snapshot::clone(&snapshot);
        self.install(&mut snapshot, file)?;
        self.save_deletions(&mut snapshot);
        self.put_snapshot(snapshot);
        Ok(())
    }
}
