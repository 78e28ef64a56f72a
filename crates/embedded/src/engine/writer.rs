//! The one thread that changes a database. Requests that wait while it commits share the next commit (group commit).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::maintenance::Bell;
use super::{Clock, Draft, State};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::{Durability, StorageError, Store, Table, Write};

/// Requests that share one commit at most; bounds how much a single failure refuses.
const GROUP: usize = 256;
/// How long a write may stay unsynced with normal durability.
const SYNC_INTERVAL: Duration = Duration::from_millis(50);

/// Answers one request when its group is committed or refused.
type Completion = Box<dyn FnOnce(Result<(), &StorageError>) + Send>;
/// Changes the draft; gives `None` when the request was refused, which it has answered then.
type Job = Box<dyn FnOnce(&mut Draft<'_>) -> Option<Completion> + Send>;

/// The handle to the thread. Dropping it waits for the writes under way.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<Jobs>,
    thread: Option<JoinHandle<()>>,
}

/// The queue of the thread.
#[derive(Clone, Debug)]
pub(crate) struct Jobs(Sender<Job>);

impl Writer {
    pub(crate) fn start(
        store: Arc<Store>,
        state: Arc<ArcSwap<State>>,
        clock: Arc<Clock>,
        bell: Arc<Bell>,
    ) -> std::io::Result<Self> {
        let (jobs, receiver) = channel();
        let worker = Worker {
            store,
            state,
            clock,
            bell,
        };
        let thread = std::thread::Builder::new()
            .name("milvus-writer".to_owned())
            .spawn(move || worker.run(&receiver))?;
        Ok(Self {
            jobs: Some(Jobs(jobs)),
            thread: Some(thread),
        })
    }

    /// The queue, for others. All copies must be gone before the writer can end.
    pub(crate) fn jobs(&self) -> Jobs {
        // It is taken only by `drop`.
        self.jobs.clone().unwrap_or_else(|| Jobs(channel().0))
    }

    /// Queues a change. The receiver fails only when the thread is gone.
    pub(crate) fn submit<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Draft<'_>) -> Result<R, MilvusError> + Send + 'static,
    ) -> oneshot::Receiver<Result<R, MilvusError>> {
        match &self.jobs {
            Some(jobs) => jobs.submit(change),
            None => oneshot::channel().1,
        }
    }
}

impl Jobs {
    /// Queues a change. The receiver fails only when the thread is gone.
    pub(crate) fn submit<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Draft<'_>) -> Result<R, MilvusError> + Send + 'static,
    ) -> oneshot::Receiver<Result<R, MilvusError>> {
        let (sender, receiver) = oneshot::channel();
        // A caller that has gone away is no failure, so the results of `send` don't matter.
        let job: Job = Box::new(move |draft| match change(draft) {
            Ok(answer) => Some(Box::new(move |committed: Result<(), &StorageError>| {
                let _ = sender.send(committed.map(|()| answer).map_err(MilvusError::from));
            })),
            Err(error) => {
                let _ = sender.send(Err(error));
                None
            }
        });
        let _ = self.0.send(job);
        receiver
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    store: Arc<Store>,
    state: Arc<ArcSwap<State>>,
    clock: Arc<Clock>,
    bell: Arc<Bell>,
}

impl Worker {
    fn run(self, jobs: &Receiver<Job>) {
        let mut synced = Instant::now();
        loop {
            let wait = if self.store.durability() == Durability::Normal {
                SYNC_INTERVAL
            } else {
                Duration::from_secs(3600)
            };
            match jobs.recv_timeout(wait) {
                Ok(first) => {
                    self.commit_group(std::iter::once(first).chain(jobs.try_iter()).take(GROUP))
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.store.durability() == Durability::Normal && synced.elapsed() >= SYNC_INTERVAL {
                if let Err(error) = self.store.sync() {
                    tracing::error!(%error, "could not sync");
                }
                synced = Instant::now();
            }
        }
    }

    fn commit_group(&self, jobs: impl Iterator<Item = Job>) {
        let mut draft = Draft::new(State::clone(&self.state.load()), &self.clock);
        let mut completions = Vec::new();
        for job in jobs {
            let before = (
                draft.state.clone(),
                draft.writes.len(),
                draft.created_files.len(),
                draft.obsolete_files.len(),
            );
            // A bug in one request must not take the database down with it: its draft is thrown away, its caller gets an error.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(&mut draft)));
            match outcome {
                Ok(Some(completion)) => completions.push(completion),
                refused => {
                    if refused.is_err() {
                        tracing::error!("a request panicked; it was not applied");
                    }
                    draft.state = before.0;
                    draft.writes.truncate(before.1);
                    remove_files(&self.store, draft.created_files.drain(before.2..));
                    draft.obsolete_files.truncate(before.3);
                }
            }
        }
        let outcome = self.commit(draft);
        for completion in completions {
            completion(outcome.as_ref().copied());
        }
    }

    /// Commits a draft, and makes it the state that readers see.
    fn commit(&self, mut draft: Draft<'_>) -> Result<(), StorageError> {
        if draft.writes.is_empty() {
            // Nothing for the file: at most something that only memory knows.
            self.state.store(Arc::new(draft.state));
            remove_files(&self.store, draft.obsolete_files.drain(..));
            return Ok(());
        }
        let clock = Bytes::copy_from_slice(&self.clock.latest().to_le_bytes());
        draft
            .writes
            .push(Write::Put(Table::Meta, b"clock".to_vec(), vec![clock]));
        // A file may only go when the commit that forgets it can't come undone.
        let synced = draft.must_sync || !draft.obsolete_files.is_empty();
        let outcome = if synced {
            self.store.commit_synced(&draft.writes)
        } else {
            self.store.commit(&draft.writes)
        };
        match &outcome {
            Ok(()) => {
                self.state.store(Arc::new(draft.state));
                remove_files(&self.store, draft.obsolete_files.drain(..));
                if !draft.touched.is_empty() {
                    self.bell.touch(draft.touched.drain(..));
                }
            }
            // Whether the catalog names the new files is unknown then; if not, the next open removes them.
            Err(StorageError::Unknown { .. }) => {}
            Err(_) => remove_files(&self.store, draft.created_files.drain(..)),
        }
        outcome
    }
}

fn remove_files(store: &Store, files: impl Iterator<Item = u64>) {
    files.for_each(|file| store.remove_segment(file));
}

/// For requests whose work can't be finished.
pub(crate) fn internal(message: impl Into<String>) -> MilvusError {
    MilvusError::new(MilvusErrorKind::Internal, message)
}
