//! A simulated disk for tests: it forgets what was not synced when the power goes (bytes of files, and names of folders), tears writes, fails
//! any one operation, or is full.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::aligned_copy;
use super::filesystem::{FileSystem, RandomAccessFile};

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails; the next ones work.
    Once,
    /// The power goes: it and all later ones fail, and what was not synced may be lost.
    PowerLoss,
    /// As power loss, and if it is a write, its first half is on the disk.
    TornWrite,
    /// The disk is full from then on, as after [`SimulatedDisk::set_full`].
    Full,
}

#[derive(Debug)]
struct Faults {
    fault: Fault,
    /// Operations until the fault.
    countdown: AtomicU64,
    operations: AtomicU64,
    dead: AtomicBool,
    full: AtomicBool,
    panics: AtomicBool,
}

impl Faults {
    fn check(&self) -> io::Result<bool> {
        self.operations.fetch_add(1, Ordering::SeqCst);
        if self.dead.load(Ordering::SeqCst) {
            return Err(io::Error::other("the power is off"));
        }
        let before = self.countdown.load(Ordering::SeqCst);
        self.countdown
            .store(before.saturating_sub(1), Ordering::SeqCst);
        if before != 1 {
            return Ok(false);
        }
        if self.fault == Fault::Full {
            self.full.store(true, Ordering::SeqCst);
            return Ok(false);
        }
        self.dead.store(self.fault != Fault::Once, Ordering::SeqCst);
        if self.fault == Fault::TornWrite {
            Ok(true)
        } else {
            Err(io::Error::other("injected fault"))
        }
    }
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Length(length) => content.resize(*length, 0),
            Self::Write(offset, bytes) => {
                if content.len() < offset + bytes.len() {
                    content.resize(offset + bytes.len(), 0);
                }
                content[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync.
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct SimulatedFile {
    content: Mutex<Content>,
    faults: Arc<Faults>,
}

impl SimulatedFile {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Pending) -> io::Result<()> {
        let torn = self.faults.check()?;
        if self.faults.full.load(Ordering::SeqCst)
            && !matches!(change, Pending::Length(length) if length <= self.content().current.len())
        {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let mut content = self.content();
        let change = match change {
            Pending::Write(offset, bytes) if torn => {
                Pending::Write(offset, bytes[..bytes.len() / 2].to_vec())
            }
            other => other,
        };
        change.apply(&mut content.current);
        content.pending.push(change);
        if torn {
            Err(io::Error::other("torn write"))
        } else {
            Ok(())
        }
    }
}

impl RandomAccessFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.content().current.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.content();
        let start = offset as usize;
        let source = content
            .current
            .get(start..start + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(source);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Pending::Write(offset as usize, bytes.to_vec()))
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.change(Pending::Length(length as usize))
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.check()?;
        let mut content = self.content();
        content.durable = content.current.clone();
        content.pending.clear();
        Ok(())
    }
}

type Files = BTreeMap<PathBuf, Arc<SimulatedFile>>;

/// The disk.
#[derive(Debug)]
pub(crate) struct SimulatedDisk {
    files: Mutex<Files>,
    /// The files by the names that their folders had when they were last synced.
    synced_names: Mutex<Files>,
    faults: Arc<Faults>,
}

impl SimulatedDisk {
    /// A disk with a fault at the `at`-th operation that changes something, counted from 1; 0 for none.
    pub(crate) fn new(fault: Fault, at: u64) -> Self {
        let faults = Faults {
            fault,
            countdown: AtomicU64::new(at),
            operations: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            full: AtomicBool::new(false),
            panics: AtomicBool::new(false),
        };
        Self {
            files: Mutex::default(),
            synced_names: Mutex::default(),
            faults: Arc::new(faults),
        }
    }

    /// Changing operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.faults.operations.load(Ordering::SeqCst)
    }

    /// From now on every write that needs space fails, or works again.
    pub(crate) fn set_full(&self, full: bool) {
        self.faults.full.store(full, Ordering::SeqCst);
    }

    /// From now on whoever makes a file hits a bug, or no longer.
    pub(crate) fn set_panics(&self, panics: bool) {
        self.faults.panics.store(panics, Ordering::SeqCst);
    }

    fn lock(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
        files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk as the next start finds it: what was synced, and of what was not, whatever `choose` keeps (it is asked for each write, and for
    /// each name that was given or taken away).
    pub(crate) fn after_power_loss(&self, mut choose: impl FnMut() -> bool) -> Self {
        let fresh = Self::new(Fault::Once, 0);
        let (now, synced) = (Self::lock(&self.files), Self::lock(&self.synced_names));
        let paths: std::collections::BTreeSet<&PathBuf> = now.keys().chain(synced.keys()).collect();
        for path in paths {
            let (new, old) = (now.get(path), synced.get(path));
            let is_settled = match (new, old) {
                (Some(new), Some(old)) => Arc::ptr_eq(new, old),
                _ => false,
            };
            let Some(file) = (if is_settled || choose() { new } else { old }) else {
                continue;
            };
            let content = file.content();
            let mut kept = content.durable.clone();
            content
                .pending
                .iter()
                .filter(|_| choose())
                .for_each(|pending| pending.apply(&mut kept));
            fresh.put(path, kept);
        }
        fresh.sync_names(|_| true);
        drop((now, synced));
        fresh
    }

    /// The disk as it is, without faults.
    pub(crate) fn healed(&self) -> Self {
        let fresh = Self::new(Fault::Once, 0);
        for (path, file) in &*Self::lock(&self.files) {
            fresh.put(path, file.content().current.clone());
        }
        fresh.sync_names(|_| true);
        fresh
    }

    /// Makes the names of the files that are `chosen` durable, and their absence.
    fn sync_names(&self, chosen: impl Fn(&Path) -> bool) {
        let mut synced = Self::lock(&self.synced_names);
        synced.retain(|path, _| !chosen(path));
        for (path, file) in &*Self::lock(&self.files) {
            if chosen(path) {
                synced.insert(path.clone(), Arc::clone(file));
            }
        }
    }

    fn put(&self, path: &Path, bytes: Vec<u8>) {
        let content = Mutex::new(Content {
            current: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        });
        let file = Arc::new(SimulatedFile {
            content,
            faults: Arc::clone(&self.faults),
        });
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), file);
    }

    /// The files whose names end so, with their lengths.
    pub(crate) fn files(&self, ending: &str) -> Vec<(PathBuf, usize)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = files
            .iter()
            .filter(|(path, _)| path.to_string_lossy().ends_with(ending));
        chosen
            .map(|(path, file)| (path.clone(), file.content().current.len()))
            .collect()
    }

    /// A copy of the disk with one bit of a file flipped.
    pub(crate) fn with_flip(&self, path: &Path, at: usize) -> Self {
        let copy = self.healed();
        let file = copy.find(path);
        if let Some(file) = file {
            let mut content = file.content();
            content.current[at] ^= 0x10;
            content.durable[at] ^= 0x10;
        }
        copy
    }

    fn find(&self, path: &Path) -> Option<Arc<SimulatedFile>> {
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned()
    }
}

impl FileSystem for SimulatedDisk {
    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn RandomAccessFile>> {
        if self.find(path).is_none() {
            self.put(path, Vec::new());
        }
        let file = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(file)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn RandomAccessFile>> {
        assert!(!self.faults.panics.load(Ordering::SeqCst), "injected panic");
        self.faults.check()?;
        self.put(path, Vec::new());
        self.open(path)
    }

    fn map(&self, path: &Path) -> io::Result<Bytes> {
        let file = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(aligned_copy(&file.content().current))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = files.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.faults.check()?;
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
        self.faults.check()?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.faults.check()?;
        self.sync_names(|path| path.parent() == Some(folder));
        Ok(())
    }
}
