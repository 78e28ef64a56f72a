//! Which pools there are, and who uses them.
//!
//! Invariant: handles with one fingerprint share one pool; each holds a lease, and the pool closes with its last one.
//! Closing one handle never disturbs another. No lock is held across an `.await`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::establish::Route;
use super::{Command, Pool};
use crate::config::{ConnectionConfig, Fingerprint};

/// A pool lives on the runtime that it was made on: its sockets are registered there.
type Key = (Fingerprint, tokio::runtime::Id);

struct Entry {
    pool: Arc<Pool>,
    leases: usize,
}

fn directory() -> MutexGuard<'static, HashMap<Key, Entry>> {
    static DIRECTORY: OnceLock<Mutex<HashMap<Key, Entry>>> = OnceLock::new();
    // A panic elsewhere leaves the map as it was before or after one whole change.
    DIRECTORY
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// The right to use a pool. The last one closes it.
pub(crate) struct Lease {
    key: Key,
    pool: Arc<Pool>,
    returned: AtomicBool,
}

impl Lease {
    /// A lease on the pool of this configuration, which is made if there is none. Must be called on a runtime.
    pub(crate) fn take(config: &ConnectionConfig, routes: Vec<Route>) -> Self {
        let key = (config.fingerprint(), tokio::runtime::Handle::current().id());
        let mut directory = directory();
        directory.retain(|_, entry| !entry.pool.is_over());
        let usable = directory
            .get(&key)
            .is_some_and(|entry| !entry.pool.is_closing());
        if !usable {
            directory.remove(&key);
        }
        let entry = directory.entry(key).or_insert_with(|| Entry {
            pool: Pool::start(config, routes),
            leases: 0,
        });
        entry.leases += 1;
        Self {
            key,
            pool: Arc::clone(&entry.pool),
            returned: AtomicBool::new(false),
        }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// True when this handle may still begin calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.returned.load(Ordering::Acquire)
    }

    /// Gives the lease back; `true` when it was the last one and the pool is now to be closed.
    fn give_back(&self) -> bool {
        if self.returned.swap(true, Ordering::AcqRel) {
            return false;
        }
        let mut directory = directory();
        match directory.get_mut(&self.key) {
            Some(entry) if Arc::ptr_eq(&entry.pool, &self.pool) => {
                entry.leases -= 1;
                let last = entry.leases == 0;
                if last {
                    directory.remove(&self.key);
                }
                last
            }
            // The pool had ended and has been replaced; what is left of it may go.
            _ => true,
        }
    }

    /// Gives the lease back; the last one drains the pool for at most `patience` and waits for it.
    pub(crate) async fn close(&self, patience: Duration) {
        if self.give_back() {
            self.pool.close(patience).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.give_back() {
            self.pool.command(Command::Close(
                tokio::time::Instant::now() + self.pool.options.drain_timeout,
            ));
        }
    }
}
