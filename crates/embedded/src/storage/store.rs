//! The store of one database: tables, log and segment files behind one commit.
//!
//! The invariant: when [`Store::commit`] returns an error that says "not applied", the files hold the state before it; when it can't know, it says so and
//! refuses further writes. A failed fsync is never tried again, because the kernel may have dropped the pages that it could not write.

mod database;
mod segments;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use self::database::{create_database, get, is_full, open_database, transact};
use super::backend::FileHealth;
use super::filesystem::FileSystem;
use super::image::{u32_at, u64_at};
use super::lock::FolderLock;
use super::{Durability, StorageError};

/// The version of `docs/embedded-format.md` that this program writes.
const FORMAT_VERSION: u32 = 3;

/// The scratch buffer is kept from one commit to the next up to this size, which every value of the log fits into.
const KEPT_BUFFER: usize = 1 << 20;

/// The tables of `catalog.redb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Meta,
    Databases,
    Collections,
    Access,
    Segments,
    Deletions,
    Log,
}

impl Table {
    const ALL: [Self; 7] = [
        Self::Meta,
        Self::Databases,
        Self::Collections,
        Self::Access,
        Self::Segments,
        Self::Deletions,
        Self::Log,
    ];

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(match self {
            Self::Meta => "meta",
            Self::Databases => "databases",
            Self::Collections => "collections",
            Self::Access => "access",
            Self::Segments => "segments",
            Self::Deletions => "deletions",
            Self::Log => "log",
        })
    }
}

/// One change of a table.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// The value is the pieces one after the other.
    Put(Table, Vec<u8>, Vec<Bytes>),
    Remove(Table, Vec<u8>),
    /// Removes the keys from the first (inclusive) to the second (inclusive).
    RemoveRange(Table, Vec<u8>, Vec<u8>),
}

/// Whether writes are possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    #[default]
    Good,
    /// The last commit failed and redb could not be reopened yet; `expected` is the `sequence` that the failed commit would have left.
    Interrupted {
        expected: u64,
    },
    ReadOnly(String),
}

#[derive(Debug)]
struct Inner {
    database: Option<Database>,
    sequence: u64,
    /// Through which values of several pieces go to redb.
    buffer: Vec<u8>,
}

/// The files of one open database.
#[derive(Debug)]
pub(crate) struct Store {
    filesystem: Arc<dyn FileSystem>,
    folder: PathBuf,
    durability: Durability,
    file_health: Arc<FileHealth>,
    inner: Mutex<Inner>,
    /// Apart from what a commit holds while it syncs, so that asking doesn't wait for that.
    health: Mutex<Health>,
    unsynced: AtomicBool,
    /// The version of the format that the files have.
    format: AtomicU32,
    pub(super) folder_lock: Option<FolderLock>,
}

impl Store {
    /// Opens the database in `folder`, which is made when absent. `shared_lock` is false for memory, which no other process can reach.
    pub(crate) fn open(
        filesystem: Arc<dyn FileSystem>,
        folder: &Path,
        durability: Durability,
        locked: bool,
    ) -> Result<Self, StorageError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| StorageError::file(action, path, source)
        };
        let segments = folder.join("segments");
        filesystem
            .create_folder(folder)
            .map_err(failed("create the folder", folder))?;
        let lock = if locked {
            Some(FolderLock::acquire(folder)?)
        } else {
            None
        };
        filesystem
            .create_folder(&segments)
            .map_err(failed("create the folder", &segments))?;
        let file_health = Arc::new(FileHealth::default());
        create_database(&*filesystem, folder)?;
        let database = open_database(&*filesystem, folder, &file_health)?;
        let store = Self {
            filesystem,
            folder: folder.to_owned(),
            durability,
            file_health,
            inner: Mutex::new(Inner {
                database: Some(database),
                sequence: 0,
                buffer: Vec::new(),
            }),
            health: Mutex::default(),
            unsynced: AtomicBool::new(false),
            format: AtomicU32::new(FORMAT_VERSION),
            folder_lock: lock,
        };
        store.read_meta()?;
        // The names themselves must survive a crash before anything in them is acknowledged.
        store
            .filesystem
            .sync_folder(folder)
            .map_err(failed("sync the folder", folder))?;
        if let Some(parent) = folder
            .parent()
            .filter(|parent| locked && !parent.as_os_str().is_empty())
        {
            let _ = store.filesystem.sync_folder(parent);
        }
        Ok(store)
    }

    fn read_meta(&self) -> Result<(), StorageError> {
        let version = self.get(Table::Meta, b"version")?;
        match version.as_deref().map(|bytes| u32_at(bytes, 0)) {
            None => Err(StorageError::corrupt(
                self.catalog_path(),
                "the version",
                "it is missing",
            )),
            Some(found) if found > FORMAT_VERSION => Err(StorageError::TooNew {
                path: self.folder.clone(),
                found,
                supported: FORMAT_VERSION,
            }),
            Some(found) => {
                let sequence = self.get(Table::Meta, b"sequence")?;
                self.lock().sequence = sequence.map_or(0, |bytes| u64_at(&bytes, 0));
                self.format.store(found, Ordering::Release);
                Ok(())
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the format that the files have.
    pub(crate) fn format(&self) -> u32 {
        self.format.load(Ordering::Acquire)
    }

    /// What brings files of an older format to the current one; `None` when they have it.
    pub(crate) fn upgrade(&self) -> Option<Write> {
        let version = Bytes::copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let write = Write::Put(Table::Meta, b"version".to_vec(), vec![version]);
        (self.format() < FORMAT_VERSION).then_some(write)
    }

    /// [`Store::upgrade`] is committed.
    pub(crate) fn set_upgraded(&self) {
        self.format.store(FORMAT_VERSION, Ordering::Release);
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    pub(crate) fn health(&self) -> Health {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.clone()
    }

    /// Runs something while the store is held as a commit holds it.
    #[cfg(test)]
    pub(crate) fn while_committing<R>(&self, work: impl FnOnce() -> R) -> R {
        let _held = self.lock();
        work()
    }

    fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    pub(crate) fn catalog_path(&self) -> PathBuf {
        self.folder.join("catalog.redb")
    }

    /// Applies all of `writes` in one transaction. With full durability they have been fsynced when it returns.
    ///
    /// # Errors
    /// `NotApplied` when the files are as before; `Unknown` when that can't be told; `ReadOnly` when nothing was tried.
    pub(crate) fn commit(&self, writes: &[Write]) -> Result<(), StorageError> {
        let immediate = self.durability == Durability::Full;
        self.commit_with(writes, immediate)
    }

    /// As [`Store::commit`], fsynced whatever the durability: for transactions after which files are removed.
    pub(crate) fn commit_synced(&self, writes: &[Write]) -> Result<(), StorageError> {
        self.commit_with(writes, true)
    }

    /// Makes everything acknowledged so far durable. Does nothing when it is.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        if self.unsynced.load(Ordering::Acquire) {
            self.commit_with(&[], true)
        } else {
            Ok(())
        }
    }

    fn commit_with(&self, writes: &[Write], immediate: bool) -> Result<(), StorageError> {
        let mut inner = self.lock();
        self.recover(&mut inner, true)?;
        let Inner {
            database: Some(database),
            sequence,
            buffer,
            ..
        } = &mut *inner
        else {
            return Err(self.not_applied("the catalog is closed"));
        };
        let next = *sequence + 1;
        let outcome = transact(database, writes, next, immediate, buffer);
        if buffer.capacity() > KEPT_BUFFER {
            *buffer = Vec::new();
        }
        match outcome {
            Ok(()) => {
                inner.sequence = next;
                self.unsynced.store(!immediate, Ordering::Release);
                Ok(())
            }
            Err(error) => self.after_failure(&mut inner, next, error),
        }
    }

    /// Decides what a failed transaction means for the file, by looking at it afresh.
    fn after_failure(
        &self,
        inner: &mut Inner,
        next: u64,
        error: redb::Error,
    ) -> Result<(), StorageError> {
        let detail = error.to_string();
        let full = matches!(&error, redb::Error::Io(error) if is_full(error.kind()));
        if self.file_health.sync_failed.load(Ordering::Acquire) {
            let reason = format!(
                "an fsync of {} failed ({detail})",
                self.catalog_path().display()
            );
            self.set_health(Health::ReadOnly(reason));
            return Err(StorageError::Unknown {
                path: self.folder.clone(),
                detail,
            });
        }
        // Acknowledged commits that were never synced live only in the redb handle that just failed: dropping it would lose them silently.
        if self.unsynced.load(Ordering::Acquire) {
            self.set_health(Health::ReadOnly(format!(
                "a write failed ({detail}) while earlier ones were not yet synced"
            )));
            return Err(StorageError::Unknown {
                path: self.folder.clone(),
                detail,
            });
        }
        self.set_health(Health::Interrupted { expected: next });
        inner.database = None;
        match self.recover(inner, false) {
            Ok(()) if inner.sequence == next => Ok(()),
            Ok(()) => Err(self.not_applied(&detail)),
            // The write that makes a commit count replaces bytes in place and needs no space, so it was not reached.
            Err(StorageError::NotApplied { .. }) if full => Err(self.not_applied(&detail)),
            Err(_) => Err(StorageError::Unknown {
                path: self.folder.clone(),
                detail,
            }),
        }
    }

    /// Reopens redb after an interrupted commit, and finds out which side of that commit the file is on. Once the commit has
    /// been `reported` as failed it must not turn out to be there: memory lacks it, so only a fresh open may go on from it.
    fn recover(&self, inner: &mut Inner, reported: bool) -> Result<(), StorageError> {
        let expected = match self.health() {
            Health::Good => return Ok(()),
            Health::ReadOnly(reason) => {
                return Err(StorageError::ReadOnly {
                    path: self.folder.clone(),
                    reason,
                });
            }
            Health::Interrupted { expected } => expected,
        };
        let database =
            open_database(&*self.filesystem, &self.folder, &self.file_health).map_err(|error| {
                self.not_applied(&format!("the catalog can't be reopened yet: {error}"))
            })?;
        let found = get(&database, Table::Meta, b"sequence")
            .map_err(|error| self.not_applied(&error.to_string()))?;
        let found = found.map_or(0, |bytes| u64_at(&bytes, 0));
        let fits = found + 1 == expected || (found == expected && !reported);
        if !fits || self.file_health.sync_failed.load(Ordering::Acquire) {
            let reason = format!("a write failed and left transaction {found} behind");
            self.set_health(Health::ReadOnly(reason.clone()));
            return Err(StorageError::ReadOnly {
                path: self.folder.clone(),
                reason,
            });
        }
        inner.database = Some(database);
        inner.sequence = found;
        self.set_health(Health::Good);
        Ok(())
    }

    fn not_applied(&self, detail: &str) -> StorageError {
        StorageError::NotApplied {
            path: self.folder.clone(),
            detail: detail.to_owned(),
        }
    }

    /// One value, or `None`.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let inner = self.lock();
        let Some(database) = &inner.database else {
            return Err(self.not_applied("the catalog is closed"));
        };
        get(database, table, key).map_err(|error| self.damaged(&error))
    }

    /// Calls `visit` with every key and value of a table, in the order of the keys.
    pub(crate) fn scan(
        &self,
        table: Table,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let inner = self.lock();
        let Some(database) = &inner.database else {
            return Err(self.not_applied("the catalog is closed"));
        };
        let read = || -> Result<_, redb::Error> {
            let transaction = database.begin_read()?;
            Ok(transaction.open_table(table.definition())?)
        };
        let rows = read().map_err(|error| self.damaged(&error))?;
        for entry in rows.iter().map_err(|error| self.damaged(&error.into()))? {
            let (key, value) = entry.map_err(|error| self.damaged(&error.into()))?;
            visit(key.value(), value.value())?;
        }
        Ok(())
    }

    fn damaged(&self, error: &redb::Error) -> StorageError {
        StorageError::corrupt(self.catalog_path(), "a page", error.to_string())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::error!(folder = %self.folder.display(), %error, "could not sync at close; writes since the last sync may be lost");
        }
    }
}
