//! One process at a time: an advisory lock on a file of the folder, which also says who holds it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{StorageError, Store};

/// Who has a database open, as told by its `lock` file.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LockHolder {
    /// Process id.
    #[serde(default)]
    pub pid: u32,
    /// Name of the program.
    #[serde(default)]
    pub program: String,
    /// Where it serves the database; empty when it doesn't.
    #[serde(default)]
    pub served_at: String,
}

impl LockHolder {
    fn this_process() -> Self {
        let program = std::env::current_exe()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Self {
            pid: std::process::id(),
            program: program.unwrap_or_default(),
            served_at: String::new(),
        }
    }

    /// What somebody may do who finds the database taken.
    pub(crate) fn advice(&self, path: &Path) -> String {
        if self.served_at.is_empty() {
            format!(
                "close it there, or share it with `milvusctl serve {}` and connect to that port instead",
                path.display()
            )
        } else {
            format!("it is served there: connect to {} instead", self.served_at)
        }
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.program.as_str()) {
            (0, _) => f.write_str("it did not leave its name"),
            (pid, "") => write!(f, "process {pid}"),
            (pid, program) => write!(f, "{program}, process {pid}"),
        }
    }
}

/// The lock is held for as long as this value lives; the kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

impl FolderLock {
    pub(crate) fn acquire(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join("lock");
        let failed = |action| {
            let path = path.clone();
            move |source| StorageError::file(action, path, source)
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // A holder that has just started may not have written yet; the refusal stands either way.
                let _ = file.read_to_string(&mut text);
                let holder = serde_json::from_str(&text).unwrap_or_default();
                return Err(StorageError::Locked {
                    path: folder.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock the database")(source)),
        }
        let lock = Self { file };
        lock.describe(&LockHolder::this_process());
        Ok(lock)
    }

    /// The text is for people only. A disk that is too full to take it must still open, to be read and emptied.
    fn describe(&self, holder: &LockHolder) {
        let text = serde_json::to_string(holder).unwrap_or_default();
        let mut file = &self.file;
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()));
    }
}

impl Store {
    /// Tells other processes, which find the database taken, where it is served.
    pub(crate) fn announce(&self, served_at: &str) {
        if let Some(lock) = &self.folder_lock {
            lock.describe(&LockHolder {
                served_at: served_at.to_owned(),
                ..LockHolder::this_process()
            });
        }
    }
}
