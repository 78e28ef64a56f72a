//! A file system that lives and dies with its handle: what `memory:` stands on.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use super::aligned_copy;
use super::filesystem::{FileSystem, RandomAccessFile};

/// Files by path. Nothing is ever on a disk, and `sync` promises nothing.
#[derive(Debug, Default)]
pub(crate) struct MemoryFileSystem {
    files: Mutex<BTreeMap<PathBuf, Arc<MemoryFile>>>,
}

#[derive(Debug, Default)]
struct MemoryFile {
    content: RwLock<Content>,
}

#[derive(Debug, Default)]
struct Content {
    growing: Vec<u8>,
    /// All of the bytes, once the file was mapped.
    mapped: Option<Bytes>,
}

impl Content {
    fn bytes(&self) -> &[u8] {
        self.mapped.as_deref().unwrap_or(&self.growing)
    }

    /// The bytes to change; of a mapped file a copy, so that its readers keep what they have.
    fn growing(&mut self) -> &mut Vec<u8> {
        if let Some(bytes) = self.mapped.take() {
            self.growing = bytes.to_vec();
        }
        &mut self.growing
    }
}

fn out_of_bounds() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the file")
}

fn range(offset: u64, length: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| out_of_bounds())?;
    Ok(start..start.checked_add(length).ok_or_else(out_of_bounds)?)
}

impl RandomAccessFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self
            .content
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes()
            .len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let source = content
            .bytes()
            .get(range(offset, out.len())?)
            .ok_or_else(out_of_bounds)?;
        out.copy_from_slice(source);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        let range = range(offset, bytes.len())?;
        let content = content.growing();
        if content.len() < range.end {
            content.resize(range.end, 0);
        }
        content[range].copy_from_slice(bytes);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| out_of_bounds())?;
        self.content
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .growing()
            .resize(length, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl MemoryFileSystem {
    fn find(&self, path: &Path) -> Option<Arc<MemoryFile>> {
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned()
    }
}

impl FileSystem for MemoryFileSystem {
    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn RandomAccessFile>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file: Arc<MemoryFile> = Arc::clone(files.entry(path.to_owned()).or_default());
        Ok(file)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn RandomAccessFile>> {
        let file = Arc::new(MemoryFile::default());
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn map(&self, path: &Path) -> io::Result<Bytes> {
        let file = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        let mut content = file.content.write().unwrap_or_else(PoisonError::into_inner);
        // A mapped file is hardly ever written again, so one copy serves the file and its readers.
        let bytes = match &content.mapped {
            Some(bytes) => bytes.clone(),
            None => aligned_copy(&content.growing),
        };
        content.growing = Vec::new();
        content.mapped = Some(bytes.clone());
        Ok(bytes)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = files.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(path);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }
}
