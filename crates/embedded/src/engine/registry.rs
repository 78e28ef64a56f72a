//! Which databases this process has open: several handles to one path share one engine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::Engine;
use crate::error::MilvusError;
use crate::storage::{
    DiskFileSystem, Durability, FileSystem, MemoryFileSystem, StorageError, Store,
};

/// Where a database lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Location {
    /// A folder, made when it doesn't exist; by custom its name ends in `.db`.
    Folder(PathBuf),
    /// In memory: gone with its last handle. Handles of one name share it.
    Memory(String),
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::Folder(path.to_owned())
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Folder(path)
    }
}

/// How to open a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What a reply to a write promises. The first handle of a process decides for all that share its engine.
    pub durability: Durability,
}

impl Options {
    /// The defaults with another durability.
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// Why a database didn't open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The files refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The content refused.
    #[error("could not open the database: {0}")]
    Engine(#[from] MilvusError),
}

/// A handle that was just dropped may still be closing its files; so long we wait for it.
const CLOSING: Duration = Duration::from_secs(10);

/// What one process has open. A child of a `fork` sees its parent's engines in its own memory, and must neither use them
/// nor share their files, nor wait for the lock, which a thread of its parent's may have held. It opens a file anew, and
/// learns that its parent has it.
struct Open {
    process: u32,
    engines: Mutex<HashMap<Location, Weak<Engine>>>,
}

impl Open {
    /// What `process`, which is this one, has open. Takes no lock.
    fn of(process: u32) -> Arc<Self> {
        static OPEN: ArcSwapOption<Open> = ArcSwapOption::const_empty();
        loop {
            let known = OPEN.load_full();
            if let Some(open) = known.as_ref().filter(|open| open.process == process) {
                return Arc::clone(open);
            }
            let nothing = Self {
                process,
                engines: Mutex::default(),
            };
            OPEN.compare_and_swap(&known, Some(Arc::new(nothing)));
        }
    }
}

/// Opens, or joins the engine that has it open in this process.
pub(crate) fn open(location: &Location, options: &Options) -> Result<Arc<Engine>, OpenError> {
    let (key, filesystem, folder): (_, Arc<dyn FileSystem>, _) = match location {
        Location::Memory(_) => (
            location.clone(),
            Arc::new(MemoryFileSystem::default()),
            PathBuf::from("memory"),
        ),
        Location::Folder(path) => {
            std::fs::create_dir_all(path)
                .map_err(|source| StorageError::file("create the folder", path, source))?;
            // The name that two ways to the same folder have in common.
            let path = path
                .canonicalize()
                .map_err(|source| StorageError::file("resolve", path, source))?;
            (
                Location::Folder(path.clone()),
                Arc::new(DiskFileSystem),
                path,
            )
        }
    };
    let on_disk = matches!(key, Location::Folder(_));
    let open = Open::of(std::process::id());
    let deadline = Instant::now() + CLOSING;
    loop {
        let mut engines = open.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engines.get(&key).and_then(Weak::upgrade) {
            return Ok(engine);
        }
        match Store::open(
            Arc::clone(&filesystem),
            &folder,
            options.durability,
            on_disk,
        ) {
            Ok(store) => {
                let engine = Arc::new(Engine::start(store, true)?);
                engines.retain(|_, engine| engine.strong_count() > 0);
                engines.insert(key, Arc::downgrade(&engine));
                return Ok(engine);
            }
            Err(StorageError::Locked { holder, .. })
                if holder.pid == std::process::id() && Instant::now() < deadline =>
            {
                drop(engines);
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
