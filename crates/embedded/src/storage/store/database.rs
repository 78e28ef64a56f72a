//! The redb database: how it is made, opened, changed and read.
//!
//! The invariant: a transaction is committed whole or not at all, and a catalog that is damaged is an error, never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase};

use super::{FORMAT_VERSION, Table, Write};
use crate::storage::StorageError;
use crate::storage::backend::{CatalogFile, FileHealth};
use crate::storage::filesystem::FileSystem;

/// Pages that redb keeps. The log is written once and read only at open, so more would only take memory from the segments' pages.
const CACHE_BYTES: usize = 8 << 20;

pub(super) fn open_database(
    filesystem: &dyn FileSystem,
    folder: &Path,
    health: &Arc<FileHealth>,
) -> Result<Database, StorageError> {
    let path = folder.join("catalog.redb");
    open_redb(filesystem, &path, health)
}

fn open_redb(
    filesystem: &dyn FileSystem,
    path: &Path,
    health: &Arc<FileHealth>,
) -> Result<Database, StorageError> {
    let file = filesystem
        .open(path)
        .map_err(|source| StorageError::file("open", path, source))?;
    let backend = CatalogFile {
        file,
        health: Arc::clone(health),
    };
    let open = || {
        Database::builder()
            .set_cache_size(CACHE_BYTES)
            // Every page of the committed trees is checked here, so that damage is an error now and not a surprise later. It
            // reads what replay reads anyway.
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
    };
    // redb meets some kinds of damage with a panic before its check is done.
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| catalog_error(path, error.into())),
        Err(_) => Err(StorageError::corrupt(
            path,
            "the catalog",
            "its structure contradicts itself",
        )),
    }
}

pub(super) fn is_full(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind;
    matches!(
        kind,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

/// Makes the catalog under another name first: a crash on the way leaves no half-made catalog behind.
pub(super) fn create_database(
    filesystem: &dyn FileSystem,
    folder: &Path,
) -> Result<(), StorageError> {
    let path = folder.join("catalog.redb");
    if filesystem.exists(&path) {
        return Ok(());
    }
    let segments = folder.join("segments");
    let names = filesystem
        .list(&segments)
        .map_err(|source| StorageError::file("list", &segments, source))?;
    if names.iter().any(|name| name.ends_with(".seg")) {
        let detail = "it is missing, but there are segments that it must describe";
        return Err(StorageError::corrupt(&path, "the catalog", detail));
    }
    let draft = folder.join("catalog.new");
    let failed = |action| {
        let draft = draft.clone();
        move |source| StorageError::file(action, draft, source)
    };
    filesystem.create(&draft).map_err(failed("create"))?;
    let database = open_redb(filesystem, &draft, &Arc::default())?;
    let create_tables = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        for table in Table::ALL {
            transaction.open_table(table.definition())?;
        }
        transaction
            .open_table(Table::Meta.definition())?
            .insert(&b"version"[..], &FORMAT_VERSION.to_le_bytes()[..])?;
        transaction.commit()?;
        Ok(())
    };
    create_tables().map_err(|error| catalog_error(&draft, error))?;
    drop(database);
    let file = filesystem.open(&draft).map_err(failed("open"))?;
    file.sync().map_err(failed("sync"))?;
    filesystem.rename(&draft, &path).map_err(failed("rename"))?;
    filesystem
        .sync_folder(folder)
        .map_err(failed("sync the folder of"))
}

fn catalog_error(path: &Path, error: redb::Error) -> StorageError {
    match error {
        redb::Error::Io(source) => StorageError::file("open", path, source),
        other => StorageError::corrupt(path, "the catalog", other.to_string()),
    }
}

/// Applies all of `writes` and commits. `buffer` is scratch memory.
pub(super) fn transact(
    database: &Database,
    writes: &[Write],
    sequence: u64,
    immediate: bool,
    buffer: &mut Vec<u8>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(if immediate {
        redb::Durability::Immediate
    } else {
        redb::Durability::None
    })?;
    for write in writes {
        match write {
            Write::Put(table, key, pieces) => {
                let mut rows = transaction.open_table(table.definition())?;
                match pieces.as_slice() {
                    [one] => drop(rows.insert(key.as_slice(), &one[..])?),
                    many => {
                        // One copy in memory that is used again and again; `insert_reserve` would fill a new page with zeros twice first.
                        buffer.clear();
                        many.iter()
                            .for_each(|piece| buffer.extend_from_slice(piece));
                        rows.insert(key.as_slice(), buffer.as_slice())?;
                    }
                }
            }
            Write::Remove(table, key) => drop(
                transaction
                    .open_table(table.definition())?
                    .remove(key.as_slice())?,
            ),
            Write::RemoveRange(table, first, last) => {
                let mut rows = transaction.open_table(table.definition())?;
                rows.retain_in(first.as_slice()..=last.as_slice(), |_, _| false)?;
            }
        }
    }
    transaction
        .open_table(Table::Meta.definition())?
        .insert(&b"sequence"[..], &sequence.to_le_bytes()[..])?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn get(
    database: &Database,
    table: Table,
    key: &[u8],
) -> Result<Option<Vec<u8>>, redb::Error> {
    let transaction = database.begin_read()?;
    let rows = transaction.open_table(table.definition())?;
    Ok(rows.get(key)?.map(|value| value.value().to_vec()))
}
