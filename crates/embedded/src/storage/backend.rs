//! redb's view of the catalog file, on top of our [`FileSystem`](super::filesystem::FileSystem); it notes what failed, because redb itself only says *that*.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::filesystem::RandomAccessFile;

/// What went wrong below redb since the file was opened.
#[derive(Debug, Default)]
pub(crate) struct FileHealth {
    /// A failed fsync: the kernel may have dropped pages, so nothing written since the last good one can be trusted to be there.
    pub(crate) sync_failed: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct CatalogFile {
    pub(crate) file: Arc<dyn RandomAccessFile>,
    pub(crate) health: Arc<FileHealth>,
}

impl redb::StorageBackend for CatalogFile {
    fn len(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file
            .sync()
            .inspect_err(|_| self.health.sync_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }
}
