//! What callers and the pool's task hand to each other without a lock: a wish that is told once, and the leases that keep a
//! pool open.
//!
//! Invariant: a wish that was not told is seen by the task when it takes the one that was; and exactly one of those who give
//! back a lease is the last. No type of a runtime is in here, so that a model checker can try every interleaving, as it does
//! with the streams of a channel.

use std::sync::atomic::Ordering;

use crate::channel::streams::{Atomics, Number, Std};

/// A wish of many callers that the task is told of once, until it has taken it.
pub(crate) struct Wish<A: Atomics = Std> {
    told: A::Number,
}

impl<A: Atomics> Wish<A> {
    pub(crate) fn new() -> Self {
        Self {
            told: A::Number::new(0),
        }
    }

    /// Wishes; `true` when the caller has to tell the task.
    #[must_use]
    pub(crate) fn make(&self) -> bool {
        // Who has to tell nobody leaves what it has seen to the task all the same: hence no plain store anywhere.
        self.told.swap(1, Ordering::AcqRel) == 0
    }

    /// The task is about to do what is wished: who wishes from now on tells it anew.
    pub(crate) fn take(&self) {
        self.told.swap(0, Ordering::AcqRel);
    }
}

/// How many handles keep a pool open. Changed under the lock of the directory only, so that none is added to a pool that its
/// last one is about to close.
pub(crate) struct Leases<A: Atomics = Std> {
    count: A::Number,
}

impl<A: Atomics> Leases<A> {
    pub(crate) fn new() -> Self {
        Self {
            count: A::Number::new(0),
        }
    }

    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// `true` when it was the last one.
    #[must_use]
    pub(crate) fn give_back(&self) -> bool {
        self.count.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Whether one handle has given its lease back; clones of it may try at the same time.
pub(crate) struct Returned<A: Atomics = Std> {
    returned: A::Number,
}

impl<A: Atomics> Returned<A> {
    pub(crate) fn new() -> Self {
        Self {
            returned: A::Number::new(0),
        }
    }

    /// `true` for the one who has to give the lease back.
    #[must_use]
    pub(crate) fn now(&self) -> bool {
        self.returned.swap(1, Ordering::AcqRel) == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use loom::sync::atomic::{AtomicBool, AtomicU32};
    use loom::sync::{Condvar, Mutex};
    use loom::thread;

    use super::*;
    use crate::channel::streams::model::{Model, in_all_interleavings};

    #[test]
    fn a_wish_that_is_not_told_is_seen_with_the_one_that_is() {
        in_all_interleavings(|| {
            let wish = Arc::new(Wish::<Model>::new());
            let waiting = Arc::new(AtomicU32::new(0));
            let told = Arc::new(AtomicU32::new(0));
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    let (wish, waiting, told) =
                        (Arc::clone(&wish), Arc::clone(&waiting), Arc::clone(&told));
                    thread::spawn(move || {
                        waiting.fetch_add(1, Ordering::Relaxed);
                        if wish.make() {
                            told.fetch_add(1, Ordering::AcqRel);
                        }
                    })
                })
                .collect();
            let (mut taken, mut seen) = (0, 0);
            let mut look = |taken: &mut u32| {
                if told.load(Ordering::Acquire) > *taken {
                    *taken += 1;
                    wish.take();
                    seen = waiting.load(Ordering::Relaxed);
                }
            };
            look(&mut taken);
            for caller in callers {
                caller.join().unwrap();
            }
            // What has been told by now; with the last of it everyone has been seen.
            look(&mut taken);
            look(&mut taken);
            assert_eq!(seen, 2);
        });
    }

    /// A pool as its leases see it.
    struct Pool {
        leases: Leases<Model>,
        closing: AtomicBool,
    }

    type Directory = Mutex<Option<Arc<Pool>>>;

    /// The steps of `Lease::take`.
    fn take(directory: &Directory, made: &AtomicU32) -> (Arc<Pool>, Returned<Model>) {
        let mut directory = directory.lock().unwrap();
        let pool = directory.get_or_insert_with(|| {
            made.fetch_add(1, Ordering::Relaxed);
            Arc::new(Pool {
                leases: Leases::new(),
                closing: AtomicBool::new(false),
            })
        });
        pool.leases.add();
        (Arc::clone(pool), Returned::new())
    }

    /// The steps of `Lease::close`.
    fn close(directory: &Directory, pool: &Arc<Pool>, returned: &Returned<Model>) -> bool {
        if !returned.now() {
            return false;
        }
        let last = {
            let mut directory = directory.lock().unwrap();
            let last = pool.leases.give_back();
            if last {
                directory.take_if(|listed| Arc::ptr_eq(listed, pool));
            }
            last
        };
        if last {
            assert!(!pool.closing.swap(true, Ordering::AcqRel), "closed twice");
        }
        last
    }

    #[test]
    fn the_last_lease_closes_a_pool_once_and_nobody_is_left_on_it() {
        in_all_interleavings(|| {
            let directory: Arc<Directory> = Arc::new(Mutex::new(None));
            let (made, closed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let users: Vec<_> = (0..2)
                .map(|_| {
                    let directory = Arc::clone(&directory);
                    let (made, closed) = (Arc::clone(&made), Arc::clone(&closed));
                    thread::spawn(move || {
                        let (pool, returned) = take(&directory, &made);
                        assert!(
                            !pool.closing.load(Ordering::Acquire),
                            "a lease on a closing pool"
                        );
                        // The handle is closed, and then dropped.
                        for _ in 0..2 {
                            if close(&directory, &pool, &returned) {
                                closed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        assert!(!returned.now());
                    })
                })
                .collect();
            for user in users {
                user.join().unwrap();
            }
            assert!(
                directory.lock().unwrap().is_none(),
                "a pool that nobody has a lease on"
            );
            assert_eq!(made.load(Ordering::Relaxed), closed.load(Ordering::Relaxed));
        });
    }

    #[test]
    fn clones_of_a_handle_that_close_at_once_give_its_lease_back_once() {
        in_all_interleavings(|| {
            let directory: Arc<Directory> = Arc::new(Mutex::new(None));
            let made = AtomicU32::new(0);
            let other = take(&directory, &made);
            let handle = Arc::new(take(&directory, &made));
            let clone = {
                let (directory, handle) = (Arc::clone(&directory), Arc::clone(&handle));
                thread::spawn(move || close(&directory, &handle.0, &handle.1))
            };
            let mine = close(&directory, &handle.0, &handle.1);
            let theirs = clone.join().unwrap();
            assert!(!mine && !theirs, "the other handle keeps the pool open");
            assert!(!other.0.closing.load(Ordering::Acquire));
            assert!(close(&directory, &other.0, &other.1));
        });
    }

    /// The steps of `Pool::publish` and `Pool::stream`, with a counter and a condition in place of the watch channel: the
    /// snapshot is stored before the change is told, and a caller notes the last change before it looks at the snapshot.
    #[test]
    fn a_channel_that_is_published_is_never_missed_by_one_who_waits() {
        in_all_interleavings(|| {
            let ready = Arc::new(AtomicU32::new(0));
            let changes = Arc::new((Mutex::new(0_u32), Condvar::new()));
            let task = {
                let (ready, changes) = (Arc::clone(&ready), Arc::clone(&changes));
                thread::spawn(move || {
                    // First a snapshot without a channel (a dial has failed), then one with it.
                    for channels in [0, 1] {
                        ready.store(channels, Ordering::Release);
                        *changes.0.lock().unwrap() += 1;
                        changes.1.notify_all();
                    }
                })
            };
            let mut seen = *changes.0.lock().unwrap();
            while ready.load(Ordering::Acquire) == 0 {
                // Missed: the model would stand still here.
                let mut changed = changes.0.lock().unwrap();
                while *changed == seen {
                    changed = changes.1.wait(changed).unwrap();
                }
                seen = *changed;
            }
            task.join().unwrap();
        });
    }
}
