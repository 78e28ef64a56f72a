//! Threads of our own for work that reads files, scans rows or takes a core for long.
//!
//! Invariants: never more work runs at once than there are threads, and they are made when they are first needed and used again, so that
//! little memory stays behind for each. Work that nobody waits for any more is not begun, and is told when it has begun. A panic ends the
//! work, not its thread. Nothing is joined: a thread that finds its owner gone ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::MilvusError;

type Job = Box<dyn FnOnce() + Send>;

/// Whether anybody still waits for some work. Cheap to clone and to ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Says that nobody waits any more.
    pub(crate) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// For loops that ask often.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// An error when nobody waits any more.
    pub(crate) fn check(&self) -> Result<(), MilvusError> {
        match self.0.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(super::writer::internal(
                "the caller has gone away, so the request was given up",
            )),
        }
    }
}

/// Cancels when it is dropped: with the future of whoever waits.
struct Waiting(Cancellation);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

struct Shared {
    name: &'static str,
    most: usize,
    queue: Mutex<Queue>,
    rung: Condvar,
}

/// Up to so many threads. Dropping it lets them end.
pub(crate) struct Threads(Arc<Shared>);

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads")
            .field("name", &self.0.name)
            .field("most", &self.0.most)
            .finish_non_exhaustive()
    }
}

impl Threads {
    /// None is made before there is work.
    pub(crate) fn new(name: &'static str, most: usize) -> Self {
        Self(Arc::new(Shared {
            name,
            most,
            queue: Mutex::default(),
            rung: Condvar::new(),
        }))
    }

    /// Runs `work` on one of them and waits for its answer; `None` when it panicked. Dropping the future cancels it.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancellation) -> R + Send + 'static,
    ) -> Option<R> {
        let (sender, receiver) = oneshot::channel();
        let cancellation = Cancellation::default();
        let _waiting = Waiting(cancellation.clone());
        self.submit(Box::new(move || {
            if cancellation.check().is_err() {
                return;
            }
            if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| work(&cancellation))) {
                // Whoever asked may have gone away.
                let _ = sender.send(answer);
            }
        }));
        receiver.await.ok()
    }

    fn submit(&self, job: Job) {
        let mut queue = self.0.queue();
        queue.jobs.push_back(job);
        if queue.idle < queue.jobs.len() && queue.threads < self.0.most {
            let shared = Arc::clone(&self.0);
            let started = std::thread::Builder::new()
                .name(shared.name.to_owned())
                .spawn(move || shared.work());
            match started {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    tracing::error!(%error, "could not start a thread");
                    // Its receiver fails.
                    queue.jobs.clear();
                }
                // Those that are there do it.
                Err(_) => {}
            }
        }
        drop(queue);
        self.0.rung.notify_one();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.rung.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.queue();
            } else if queue.closed {
                return;
            } else {
                queue.idle += 1;
                queue = self
                    .rung
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn as_many_threads_as_allowed_are_used_again_and_again() {
        let threads = Arc::new(Threads::new("test", 2));
        let names = block_on(async {
            let mut names = HashSet::new();
            for _ in 0..20 {
                let calls = (0..5).map(|_| threads.run(|_| std::thread::current().id()));
                names.extend(futures_util::future::join_all(calls).await);
            }
            names
        });
        assert!((1..=2).contains(&names.len()), "{names:?}");
        assert!(!names.contains(&None));
    }

    #[test]
    fn a_panic_ends_the_work_and_not_the_thread() {
        let threads = Threads::new("test", 1);
        block_on(async {
            assert_eq!(threads.run(|_| -> u8 { panic!("a fault") }).await, None);
            assert_eq!(threads.run(|_| 7).await, Some(7));
        });
    }

    #[test]
    fn work_that_nobody_waits_for_is_told_and_what_waits_behind_it_is_not_begun() {
        let threads = Threads::new("test", 1);
        let (begun, has_begun) = channel();
        let (ended, has_ended) = channel();
        block_on(async {
            let long = threads.run(move |cancellation| {
                begun.send(()).unwrap();
                while cancellation.check().is_ok() {
                    std::thread::yield_now();
                }
                ended.send(()).unwrap();
            });
            let behind = threads.run(|_| panic!("nobody waits for this"));
            let mut both = Box::pin(futures_util::future::join(long, behind));
            futures_util::future::poll_fn(|context| {
                assert!(both.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            has_begun.recv().unwrap();
            drop(both);
            has_ended.recv().unwrap();
            assert_eq!(threads.run(|_| 7).await, Some(7));
        });
    }
}
