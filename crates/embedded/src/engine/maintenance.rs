//! The one background worker: it flushes what has grown and compacts what can be smaller, and leaves everything else to the writer
//! and the readers.
//!
//! Invariants: the writer thread never merges or writes files, it only freezes and installs; searches never wait for this worker. A
//! write waits for it in one case: while four times what makes a flush is growing, so that memory is bounded. A failed flush loses nothing,
//! the log has the rows; it is tried again after a second, and writes that would wait for it are refused meanwhile. A panic is a failure as
//! well: the worker goes on, and whoever asked gets an error. The worker is stopped and joined when the database is closed, after the file
//! that it may be at.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};

use super::writer::{Jobs, internal};
use super::{Clock, Draft, State, compaction, flush};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::Store;

/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How often rows are looked for that have outlived their TTL. Tests don't wait for a minute.
const LOOK_INTERVAL: Duration = if cfg!(test) {
    Duration::from_millis(20)
} else {
    Duration::from_secs(60)
};
/// A log of more bytes than this becomes files when the database is closed, so that the next open needs not replay it.
const CLOSING_LOG_BYTES: usize = 8 << 20;

/// What someone waits for.
struct Request {
    collection: u64,
    compact: bool,
    done: oneshot::Sender<Result<(), MilvusError>>,
}

#[derive(Default)]
struct Board {
    touched: BTreeSet<u64>,
    requests: VecDeque<Request>,
    /// Why the last flush of a collection failed.
    failed: HashMap<u64, MilvusError>,
    stop: bool,
}

/// Where the writer and the service leave word for the worker.
#[derive(Default)]
pub(crate) struct Bell {
    board: Mutex<Board>,
    rung: Condvar,
    /// Told by the worker after each piece of work.
    progress: watch::Sender<()>,
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl Bell {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the rows of a collection changed.
    pub(crate) fn touch(&self, collections: impl IntoIterator<Item = u64>) {
        self.board().touched.extend(collections);
        self.rung.notify_one();
    }

    fn request(
        &self,
        collection: u64,
        compact: bool,
    ) -> oneshot::Receiver<Result<(), MilvusError>> {
        let (done, receiver) = oneshot::channel();
        let mut board = self.board();
        if !board.stop {
            board.requests.push_back(Request {
                collection,
                compact,
                done,
            });
        }
        drop(board);
        self.rung.notify_one();
        receiver
    }
}

/// The handle to the worker. Dropping it stops and joins it.
#[derive(Debug)]
pub(crate) struct Maintenance {
    bell: Arc<Bell>,
    automatic: bool,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the worker. When not `automatic` it does only what it is asked for.
    pub(crate) fn start(
        store: Arc<Store>,
        state: Arc<ArcSwap<State>>,
        clock: Arc<Clock>,
        jobs: Jobs,
        bell: Arc<Bell>,
        automatic: bool,
    ) -> std::io::Result<Self> {
        let worker = Worker {
            store,
            state,
            clock,
            jobs,
            bell: Arc::clone(&bell),
            automatic,
        };
        let thread = std::thread::Builder::new()
            .name("milvus-maintenance".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            bell,
            automatic,
            thread: Some(thread),
        })
    }

    /// Flushes a collection, and compacts it when asked to. The receiver fails only when the database is closed.
    pub(crate) fn flush(
        &self,
        collection: u64,
        compact: bool,
    ) -> oneshot::Receiver<Result<(), MilvusError>> {
        self.bell.request(collection, compact)
    }

    /// Waits while a collection `is_crowded`, unless nobody flushes it or flushing it fails.
    pub(crate) async fn wait_for_room(
        &self,
        collection: u64,
        is_crowded: impl Fn() -> bool,
    ) -> Result<(), MilvusError> {
        let mut progress = self.bell.progress.subscribe();
        while self.automatic && is_crowded() {
            progress.mark_unchanged();
            let failed = self.bell.board().failed.get(&collection).cloned();
            if let Some(error) = failed {
                return Err(MilvusError {
                    kind: MilvusErrorKind::ServiceUnavailable,
                    message: format!(
                        "nothing was written: too many rows wait in memory for a flush, and flushes fail ({error})"
                    ),
                    retriable: true,
                });
            }
            if !is_crowded() || progress.changed().await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.bell.board().stop = true;
        self.bell.rung.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Next {
    Request(Request),
    Touched(u64),
    /// Time has passed.
    Look,
    Stop,
}

/// A fault of the worker must not take those down who wait for it.
fn unless_panicked(work: impl FnOnce() -> Result<(), MilvusError>) -> Result<(), MilvusError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(internal(
            "the background worker hit a fault of the engine; the rows are in the log",
        ))
    })
}

struct Worker {
    store: Arc<Store>,
    state: Arc<ArcSwap<State>>,
    clock: Arc<Clock>,
    jobs: Jobs,
    bell: Arc<Bell>,
    automatic: bool,
}

impl Worker {
    fn run(self) {
        let (mut not_before, mut look_at) = (Instant::now(), Instant::now() + LOOK_INTERVAL);
        loop {
            match self.next(not_before, look_at) {
                Next::Stop => break,
                Next::Request(request) => {
                    let outcome = unless_panicked(|| {
                        self.flush_noting(request.collection)?;
                        match request.compact {
                            true => self.compact(request.collection),
                            false => Ok(()),
                        }
                    });
                    // Whoever asked may have gone away.
                    let _ = request.done.send(outcome);
                }
                Next::Look => {
                    let looked = unless_panicked(|| {
                        self.look_for_outlived();
                        Ok(())
                    });
                    if let Err(error) = looked {
                        tracing::error!(%error, "could not look for rows that outlived their TTL");
                    }
                    look_at = Instant::now() + LOOK_INTERVAL;
                }
                Next::Touched(collection) => {
                    if let Err(error) = unless_panicked(|| self.look_after(collection)) {
                        tracing::warn!(collection, %error, "could not flush or compact; the log keeps the rows");
                        not_before = Instant::now() + PAUSE;
                        self.bell.board().touched.insert(collection);
                    }
                }
            }
            self.bell.progress.send_replace(());
        }
        if self.automatic
            && let Err(error) = unless_panicked(|| {
                self.flush_before_closing();
                Ok(())
            })
        {
            tracing::warn!(%error, "could not flush at close; the log keeps the rows");
        }
    }

    /// Waits for something to do. After a failure only requests are taken before `not_before`; at `look_at` it is time to look.
    fn next(&self, not_before: Instant, look_at: Instant) -> Next {
        let mut board = self.bell.board();
        loop {
            if board.stop {
                // Their receivers fail, which says that the database is closed.
                board.requests.clear();
                return Next::Stop;
            }
            if let Some(request) = board.requests.pop_front() {
                return Next::Request(request);
            }
            if !self.automatic {
                board.touched.clear();
                let rung = self.bell.rung.wait(board);
                board = rung.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let pause = not_before.checked_duration_since(Instant::now());
            if pause.is_none()
                && let Some(collection) = board.touched.pop_first()
            {
                return Next::Touched(collection);
            }
            let Some(left) = look_at.checked_duration_since(Instant::now()) else {
                return Next::Look;
            };
            let wait = match pause {
                Some(pause) if !board.touched.is_empty() => left.min(pause),
                _ => left,
            };
            let waited = self.bell.rung.wait_timeout(board, wait);
            board = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Flushes or compacts the collections in which enough rows have outlived their TTL, also when nobody writes to them.
    fn look_for_outlived(&self) {
        let state = self.state.load_full();
        let now = self.clock.now();
        for snapshot in state.collections.values() {
            if snapshot.oldest_alive(now) == 0 || snapshot.check_files().is_err() {
                continue;
            }
            let collection = snapshot.record.id;
            let work = || -> Result<(), MilvusError> {
                if flush::is_outlived(snapshot, now)? {
                    self.flush(collection)?;
                }
                self.compact(collection)
            };
            if let Err(error) = work() {
                tracing::warn!(collection, %error, "could not remove rows that outlived their TTL; they stay hidden");
            }
        }
    }

    fn look_after(&self, collection: u64) -> Result<(), MilvusError> {
        // A damaged collection stays as it is.
        let snapshot = || {
            let found = self.state.load().collections.get(&collection).cloned();
            found.filter(|snapshot| snapshot.check_files().is_ok())
        };
        if snapshot().is_some_and(|snapshot| flush::is_full(&snapshot)) {
            self.flush_noting(collection)?;
            self.bell.progress.send_replace(());
        }
        match snapshot() {
            Some(snapshot) if compaction::is_wanted(&snapshot, self.clock.now())? => {
                self.compact(collection)
            }
            _ => Ok(()),
        }
    }

    /// Flushes, and lets those who wait for it know when that failed.
    fn flush_noting(&self, collection: u64) -> Result<(), MilvusError> {
        let outcome = unless_panicked(|| self.flush(collection));
        let failed = &mut self.bell.board().failed;
        match &outcome {
            Ok(()) => drop(failed.remove(&collection)),
            // There is nobody to wait for it.
            Err(error) if error.kind == MilvusErrorKind::CollectionNotFound => {
                failed.remove(&collection);
            }
            Err(error) => drop(failed.insert(collection, error.clone())),
        }
        outcome
    }

    /// Runs a change in the writer and waits for its commit, which is fsynced.
    fn write<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Draft<'_>) -> Result<R, MilvusError> + Send + 'static,
    ) -> Result<R, MilvusError> {
        let answer = self.jobs.submit(change).blocking_recv();
        answer.unwrap_or_else(|_| Err(MilvusError::closed()))
    }

    fn flush(&self, collection: u64) -> Result<(), MilvusError> {
        let Some(mut plan) = self.write(move |draft| draft.begin_flush(collection))? else {
            return Ok(());
        };
        let Some(snapshot) = self.state.load().collections.get(&collection).cloned() else {
            return Ok(());
        };
        let mut files = Vec::with_capacity(plan.rewrites.len());
        for rewrite in std::mem::take(&mut plan.rewrites) {
            match rewrite.write(&snapshot, &self.store) {
                Ok(file) => files.push(file),
                Err(error) => {
                    files.iter().for_each(|file| file.remove(&self.store));
                    return Err(error);
                }
            }
        }
        self.write(move |draft| {
            draft.must_sync = true;
            draft.finish_flush(&plan, files)
        })
    }

    /// Compacts until there is nothing to gain.
    fn compact(&self, collection: u64) -> Result<(), MilvusError> {
        while !self.bell.board().stop {
            let Some(rewrite) = self.write(move |draft| draft.begin_compaction(collection))? else {
                break;
            };
            let Some(snapshot) = self.state.load().collections.get(&collection).cloned() else {
                break;
            };
            let file = rewrite.write(&snapshot, &self.store)?;
            self.write(move |draft| {
                draft.must_sync = true;
                draft.finish_compaction(collection, file)
            })?;
        }
        Ok(())
    }

    fn flush_before_closing(&self) {
        let state = self.state.load_full();
        for snapshot in state.collections.values() {
            if snapshot.log_bytes < CLOSING_LOG_BYTES || snapshot.check_files().is_err() {
                continue;
            }
            if let Err(error) = self.flush(snapshot.record.id) {
                tracing::warn!(collection = %snapshot.record.name, %error, "could not flush at close; the log keeps the rows");
            }
        }
    }
}
