//! Which pools there are, and who uses them.
//!
//! Invariant: handles with one fingerprint share one pool; each holds a lease, and the pool closes with its last one.
//! Closing one handle never disturbs another. No lock is held across an `.await`. A child of a `fork` has a directory of its
//! own: its parent's may have been locked when it was forked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::establish::Route;
use super::handover::Returned;
use super::{Command, Pool};
use crate::config::{ConnectionConfig, Fingerprint};
use crate::moment::after;
use crate::per_process::PerProcess;

/// A pool lives on the runtime that it was made on: its sockets are registered there.
type Key = (Fingerprint, tokio::runtime::Id);

type Pools = Mutex<HashMap<Key, Arc<Pool>>>;

static DIRECTORY: PerProcess<Pools> = PerProcess::new();

/// A panic elsewhere leaves the map as it was before or after one whole change.
fn lock(pools: &Pools) -> MutexGuard<'_, HashMap<Key, Arc<Pool>>> {
    pools.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to use a pool. The last one closes it.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    returned: Returned,
}

impl Lease {
    /// A lease on the pool of this configuration, which is made if there is none. Must be called on a runtime.
    pub(crate) fn take(config: &ConnectionConfig, routes: Vec<Route>) -> Self {
        let key = (config.fingerprint(), tokio::runtime::Handle::current().id());
        let pools = DIRECTORY.get();
        let mut directory = lock(&pools);
        directory.retain(|_, pool| !pool.is_over() && !pool.is_closing());
        let pool = directory
            .entry(key)
            .or_insert_with(|| Pool::start(config, routes));
        pool.leases.add();
        Self {
            pool: Arc::clone(pool),
            returned: Returned::new(),
        }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// True when this handle may still begin calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.returned.is()
    }

    /// Gives the lease back; `true` when it was the last one and the pool is now to be closed.
    fn give_back(&self) -> bool {
        if !self.returned.now() {
            return false;
        }
        // Under the lock, so that nobody takes a lease on a pool that is about to close.
        let pools = DIRECTORY.get();
        let mut directory = lock(&pools);
        let last = self.pool.leases.give_back();
        if last {
            directory.retain(|_, pool| !Arc::ptr_eq(pool, &self.pool));
        }
        last
    }

    /// Takes the pool off the list: what it was found by is no longer true of it. Its users keep it.
    pub(crate) fn unlist(&self) {
        lock(&DIRECTORY.get()).retain(|_, pool| !Arc::ptr_eq(pool, &self.pool));
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
            let deadline = after(Instant::now(), self.pool.options.drain_timeout);
            self.pool.command(Command::Close(deadline));
        }
    }
}
