//! The one background worker: it flushes what has grown and compacts what can be smaller, and leaves everything else to the writer
//! and the readers.
//!
//! Invariants: the writer thread never merges or writes files, it only freezes and installs; searches never wait for this worker. A
//! write waits for it in one case: when four times what makes a flush is growing, it waits until a flush has ended, for two seconds at
//! most, and then goes on. A failed flush loses nothing, the log has the rows; it is tried again after a second. The worker is stopped and joined when
//! the database is closed, after the file that it may be at.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::writer::Jobs;
use super::{Clock, Draft, State, compaction, flush};
use crate::error::MilvusError;
use crate::storage::Store;

/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that a write waits for a flush.
const CROWDED_WAIT: Duration = Duration::from_secs(2);
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
    stop: bool,
}

/// Where the writer and the service leave word for the worker.
#[derive(Default)]
pub(crate) struct Bell {
    board: Mutex<Board>,
    rung: Condvar,
    /// Rung by the worker after each flush.
    flushed: Condvar,
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

    /// Waits until `enough` or until [`CROWDED_WAIT`] is over. Blocks its thread.
    pub(crate) fn wait_for_flush(&self, mut enough: impl FnMut() -> bool) {
        let until = Instant::now() + CROWDED_WAIT;
        let mut board = self.board();
        while !board.stop && !enough() {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                break;
            };
            let waited = self.flushed.wait_timeout(board, left);
            board = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The handle to the worker. Dropping it stops and joins it.
#[derive(Debug)]
pub(crate) struct Maintenance {
    bell: Arc<Bell>,
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

    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.bell.board().stop = true;
        self.bell.rung.notify_all();
        self.bell.flushed.notify_all();
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
                    let mut outcome = self.flush(request.collection);
                    if request.compact && outcome.is_ok() {
                        outcome = self.compact(request.collection);
                    }
                    // Whoever asked may have gone away.
                    let _ = request.done.send(outcome);
                }
                Next::Look => {
                    self.look_for_outlived();
                    look_at = Instant::now() + LOOK_INTERVAL;
                }
                Next::Touched(collection) => {
                    if let Err(error) = self.look_after(collection) {
                        tracing::warn!(collection, %error, "could not flush or compact; the log keeps the rows");
                        not_before = Instant::now() + PAUSE;
                        self.bell.board().touched.insert(collection);
                    }
                }
            }
            self.bell.flushed.notify_all();
        }
        if self.automatic {
            self.flush_before_closing();
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
            if snapshot.oldest_alive(now) == 0 {
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
        let snapshot = || self.state.load().collections.get(&collection).cloned();
        if snapshot().is_some_and(|snapshot| flush::is_full(&snapshot)) {
            self.flush(collection)?;
            self.bell.flushed.notify_all();
        }
        match snapshot() {
            Some(snapshot) if compaction::is_wanted(&snapshot, self.clock.now())? => {
                self.compact(collection)
            }
            _ => Ok(()),
        }
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
            if snapshot.log_bytes < CLOSING_LOG_BYTES {
                continue;
            }
            if let Err(error) = self.flush(snapshot.record.id) {
                tracing::warn!(collection = %snapshot.record.name, %error, "could not flush at close; the log keeps the rows");
            }
        }
    }
}
