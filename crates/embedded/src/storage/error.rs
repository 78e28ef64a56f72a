//! What can go wrong below the engine, in words that say which file, which block, and what to do.

use std::io;
use std::path::PathBuf;

use super::LockHolder;

/// A failure of the files of an embedded database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process has the database open.
    #[error(
        "{} is open in another process ({holder}). An embedded database belongs to one process at a time: {}",
        path.display(), holder.advice(path)
    )]
    Locked {
        /// The folder of the database.
        path: PathBuf,
        /// Who holds it, as far as the lock file says.
        holder: LockHolder,
    },
    /// A file can't be read, written, created or removed.
    #[error("{}: could not {action}: {source}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A file's content contradicts its checksum or the format.
    #[error("{}: {place} is damaged ({detail}). Nothing was changed; restore the file from a copy, or drop the collection it belongs to", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which block or record.
        place: String,
        /// What contradicts what.
        detail: String,
    },
    /// The database was written by a later program.
    #[error("{} has format version {found}; this program reads versions up to {supported}. Open it with the milvus-connections release that wrote it, or a later one", path.display())]
    TooNew {
        /// The folder of the database.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The highest version this program knows.
        supported: u32,
    },
    /// The write didn't happen (a full disk, for example). Reads go on, and so do writes once the cause is gone.
    #[error("{}: the write was not applied: {detail}. Reads go on; try the write again when the cause is gone", path.display())]
    NotApplied {
        /// The folder of the database.
        path: PathBuf,
        /// What failed.
        detail: String,
    },
    /// The write failed and it can't be told now whether it is in the file.
    #[error("{}: the write failed and may or may not have been applied: {detail}", path.display())]
    Unknown {
        /// The folder of the database.
        path: PathBuf,
        /// What failed.
        detail: String,
    },
    /// Writes are refused until the database is closed and opened again.
    #[error("{} is read-only since {reason}. Reads go on; close every handle and open it again to write", path.display())]
    ReadOnly {
        /// The folder of the database.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
}

impl StorageError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File {
            action,
            path: path.into(),
            source,
        }
    }

    pub(crate) fn corrupt(
        path: impl Into<PathBuf>,
        place: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::Corrupt {
            path: path.into(),
            place: place.into(),
            detail: detail.into(),
        }
    }
}
