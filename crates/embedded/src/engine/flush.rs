//! Flush and compaction: growing rows become a segment file, small or mostly deleted files become better ones.
//!
//! The invariant: the transaction that names the new file is the one that forgets what it replaces.

use bytes::Bytes;

use super::draft::segment_key;
use super::merge::merge;
use super::{Draft, PartitionSnapshot, Segment, SegmentView, Snapshot};
use crate::column::Bitmap;
use crate::error::MilvusError;
use crate::storage::{StorageError, Table, Write};

/// Growing rows of a collection that make a flush.
const FLUSH_ROWS: usize = 65_536;
/// Growing bytes of a collection that make a flush.
const FLUSH_BYTES: usize = 128 << 20;
/// Files below this number of rows are small.
const SMALL_ROWS: usize = 16_384;
/// So many small files of a partition are merged.
const SMALL_FILES: usize = 8;
/// A file with more than one in so many rows deleted is written anew.
const DELETED_SHARE: usize = 5;
/// Compaction doesn't make files larger than this.
const COMPACTED_BYTES: usize = 512 << 20;

/// The record of a segment in the catalog.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct SegmentRecord {
    pub(crate) partition: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Whether the log of a collection should become a segment.
pub(crate) fn is_full(snapshot: &Snapshot) -> bool {
    let (rows, bytes) = snapshot.growing();
    rows >= FLUSH_ROWS || bytes >= FLUSH_BYTES
}

impl Draft<'_> {
    /// Moves all growing rows of a collection to files, saves its deletions, empties its log, and compacts what needs it.
    pub(crate) fn flush(&mut self, collection: u64) -> Result<(), MilvusError> {
        let mut snapshot = Snapshot::clone(&*self.snapshot(collection)?);
        let partitions: Vec<u64> = snapshot.partitions.keys().copied().collect();
        for id in partitions {
            let Some(partition) = snapshot.partitions.get(&id) else {
                continue;
            };
            let (sealed, growing): (Vec<_>, Vec<_>) = partition
                .segments
                .iter()
                .cloned()
                .partition(|view| view.segment.is_sealed());
            let mut segments = sealed;
            if !growing.is_empty() {
                segments.extend(self.write_segment(&snapshot, id, &growing)?);
            }
            self.compact(&snapshot, id, &mut segments)?;
            self.save_deletions(collection, &mut segments);
            snapshot
                .partitions
                .insert(id, PartitionSnapshot { segments }.into());
        }
        self.writes.push(Write::RemoveRange(
            Table::Log,
            segment_key(collection, 0),
            segment_key(collection, u64::MAX),
        ));
        self.put_snapshot(snapshot);
        Ok(())
    }

    /// Whether a flush would do anything.
    pub(crate) fn needs_flush(&self, collection: u64) -> Result<bool, MilvusError> {
        let snapshot = self.snapshot(collection)?;
        Ok(snapshot
            .segments()
            .any(|view| !view.segment.is_sealed() || !view.deletions_saved))
    }

    fn write_segment(
        &mut self,
        snapshot: &Snapshot,
        partition: u64,
        views: &[SegmentView],
    ) -> Result<Option<SegmentView>, MilvusError> {
        let merged = merge(&snapshot.record, views)?;
        if merged.rows == 0 {
            return Ok(None);
        }
        let (catalog, writes) = self.catalog_mut();
        let id = catalog.next_identifier(writes);
        let bytes = self.store.write_segment(id, merged.rows, &merged.columns)?;
        self.created_files.push(id);
        let file = self.store.open_segment(id)?;
        let record = SegmentRecord {
            partition,
            rows: merged.rows as u64,
            bytes,
        };
        let json = serde_json::to_vec(&record)
            .map_err(|error| super::writer::internal(error.to_string()))?;
        self.writes.push(Write::Put(
            Table::Segments,
            segment_key(snapshot.record.id, id),
            vec![Bytes::from(json)],
        ));
        Ok(Some(SegmentView::new(Segment::in_file(
            id,
            bytes as usize,
            file,
        ))))
    }

    fn compact(
        &mut self,
        snapshot: &Snapshot,
        partition: u64,
        segments: &mut Vec<SegmentView>,
    ) -> Result<(), MilvusError> {
        let mostly_deleted = |view: &SegmentView| {
            (view.segment.rows() - view.alive()) * DELETED_SHARE > view.segment.rows()
        };
        let small = |view: &SegmentView| view.alive() < SMALL_ROWS;
        let merge_small = segments.iter().filter(|view| small(view)).count() >= SMALL_FILES;
        let mut bytes = 0;
        let (chosen, mut kept): (Vec<_>, Vec<_>) = segments.drain(..).partition(|view| {
            let wanted = mostly_deleted(view) || (merge_small && small(view));
            bytes += if wanted { view.segment.bytes() } else { 0 };
            wanted && bytes <= COMPACTED_BYTES
        });
        if !chosen.is_empty() {
            kept.extend(self.write_segment(snapshot, partition, &chosen)?);
            for view in chosen {
                for table in [Table::Segments, Table::Deletions] {
                    self.writes.push(Write::Remove(
                        table,
                        segment_key(snapshot.record.id, view.segment.id),
                    ));
                }
                self.obsolete_files.push(view.segment.id);
            }
        }
        *segments = kept;
        Ok(())
    }

    fn save_deletions(&mut self, collection: u64, segments: &mut [SegmentView]) {
        for view in segments.iter_mut().filter(|view| !view.deletions_saved) {
            if let Some(deleted) = &view.deleted {
                let value = vec![Bytes::from(encode_bitmap(deleted))];
                self.writes.push(Write::Put(
                    Table::Deletions,
                    segment_key(collection, view.segment.id),
                    value,
                ));
            }
            view.deletions_saved = true;
        }
    }
}

fn encode_bitmap(bitmap: &Bitmap) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 + bitmap.words().len() * 8);
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&(bitmap.len() as u64).to_le_bytes());
    bitmap
        .words()
        .iter()
        .for_each(|word| body.extend_from_slice(&word.to_le_bytes()));
    let checksum = crc32fast::hash(&body[4..]);
    body[..4].copy_from_slice(&checksum.to_le_bytes());
    body
}

/// Reads a bitmap back; it must have `rows` bits.
pub(crate) fn decode_bitmap(
    bytes: &[u8],
    rows: usize,
    path: &std::path::Path,
    segment: u64,
) -> Result<Bitmap, StorageError> {
    let damaged = |detail: &str| {
        StorageError::corrupt(
            path,
            format!("the deletions of segment {segment:016x}"),
            detail,
        )
    };
    let words = bytes.get(16..).ok_or_else(|| damaged("too short"))?;
    let stored = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if stored != crc32fast::hash(&bytes[4..]) {
        return Err(damaged("checksum mismatch"));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&bytes[8..16]);
    if u64::from_le_bytes(length) != rows as u64 || words.len() != rows.div_ceil(64) * 8 {
        return Err(damaged("it has another number of rows than the segment"));
    }
    let words = words
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    Ok(Bitmap::from_words(words, rows))
}
