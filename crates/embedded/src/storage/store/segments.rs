//! The segment files of a store.
//!
//! The invariant: a file is complete and fsynced before anything names it, and nothing writes to it afterwards.

use std::path::PathBuf;

use super::{Health, Store};
use crate::storage::{EncodedImage, ImageColumn, ImageReader, StorageError, encode_columns};

impl Store {
    pub(crate) fn segment_path(&self, segment: u64) -> PathBuf {
        self.folder
            .join("segments")
            .join(format!("{segment:016x}.seg"))
    }

    /// Writes and fsyncs a segment file. It is an orphan until a commit names it.
    pub(crate) fn write_segment(
        &self,
        segment: u64,
        rows: usize,
        columns: Vec<ImageColumn>,
    ) -> Result<u64, StorageError> {
        if let Health::ReadOnly(reason) = self.health() {
            return Err(StorageError::ReadOnly {
                path: self.folder.clone(),
                reason,
            });
        }
        let path = self.segment_path(segment);
        let EncodedImage { pieces, length } = encode_columns(rows, columns);
        let write = || {
            let file = self.filesystem.create(&path)?;
            let mut offset = 0;
            // What was copied together for this file is given back with each piece.
            for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
                file.write_at(offset, &piece)?;
                offset += piece.len() as u64;
            }
            Ok(file)
        };
        let file = write().map_err(|error: std::io::Error| {
            // The half-written file would only hold space that the disk may be short of.
            let _ = self.filesystem.remove(&path);
            self.not_applied(&format!("could not write {}: {error}", path.display()))
        })?;
        let folder = self.folder.join("segments");
        let synced = file
            .sync()
            .and_then(|()| self.filesystem.sync_folder(&folder));
        synced.map_err(|error| {
            // The next try could succeed without the pages that this one lost.
            let reason = format!("an fsync of {} failed ({error})", path.display());
            self.set_health(Health::ReadOnly(reason.clone()));
            StorageError::ReadOnly {
                path: self.folder.clone(),
                reason,
            }
        })?;
        Ok(length as u64)
    }

    /// Maps a segment file and checks its header and directory.
    pub(crate) fn open_segment(&self, segment: u64) -> Result<ImageReader, StorageError> {
        let path = self.segment_path(segment);
        let bytes = self
            .filesystem
            .map(&path)
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => {
                    StorageError::corrupt(&path, "the file", "it is missing")
                }
                _ => StorageError::file("open the segment", &path, source),
            })?;
        ImageReader::open(bytes, &path, true)
    }

    /// Removes a segment file that no commit names any more. Failing is harmless: it is an orphan, removed at the next open.
    pub(crate) fn remove_segment(&self, segment: u64) {
        if let Err(error) = self.filesystem.remove(&self.segment_path(segment)) {
            tracing::warn!(segment, %error, "could not remove a segment file; the next open will");
        }
    }

    /// Removes the segment files that `keep` refuses.
    pub(crate) fn remove_orphans(&self, keep: impl Fn(u64) -> bool) -> Result<(), StorageError> {
        let folder = self.folder.join("segments");
        let names = self
            .filesystem
            .list(&folder)
            .map_err(|source| StorageError::file("list", &folder, source))?;
        for name in names {
            let id = name
                .strip_suffix(".seg")
                .filter(|id| id.len() == 16)
                .and_then(|id| u64::from_str_radix(id, 16).ok());
            if let Some(id) = id.filter(|id| !keep(*id)) {
                self.remove_segment(id);
            }
        }
        Ok(())
    }
}
