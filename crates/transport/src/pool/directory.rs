//! Which pools there are, and who uses them.
//!
//! Invariant: handles with one fingerprint share one pool; each holds a lease, and the pool closes with its last one.
//! Closing one handle never disturbs another. No lock is held across an `.await`. A child of a `fork` has a directory of its
//! own: its parent's may have been locked when it was forked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::calls::Calls;
use super::establish::Route;
use super::handover::Returned;
use super::{Command, Pool};
use crate::config::{ConnectionConfig, Fingerprint};
use crate::credentials::CredentialSource;
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
    calls: Arc<Calls>,
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
            calls: Arc::new(Calls::new()),
            returned: Returned::new(),
        }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// True when this handle may still begin calls.
    pub(crate) fn is_open(&self) -> bool {
        self.calls.is_open()
    }

    /// Gives the lease back: its calls have until `drain_deadline`. `true` when it was the last one and the pool is now to
    /// be closed.
    fn give_back(&self, drain_deadline: Instant) -> bool {
        if !self.returned.now() {
            return false;
        }
        self.calls.close(drain_deadline);
        // Under the lock, so that nobody takes a lease on a pool that is about to close.
        let pools = DIRECTORY.get();
        let mut directory = lock(&pools);
        let last = self.pool.leases.give_back();
        if last {
            directory.retain(|_, pool| !Arc::ptr_eq(pool, &self.pool));
        }
        last
    }

    /// Replaces the credentials of the pool, for all who share it. Channels stay.
    pub(crate) fn replace_credentials(&self, source: CredentialSource) {
        if !self.is_open() {
            return;
        }
        // What the pool was found by is no longer true of it: nobody may come to share it by the old ones.
        lock(&DIRECTORY.get()).retain(|_, pool| !Arc::ptr_eq(pool, &self.pool));
        self.pool.authorization.replace(source);
        self.pool.command(Command::CredentialsChanged);
    }

    /// Gives the lease back; ends when its calls have, after `patience` at the latest but for the time that a call takes to
    /// notice. The last lease closes the pool.
    pub(crate) async fn close(&self, patience: Duration) {
        if self.give_back(after(Instant::now(), patience)) {
            self.pool.close(patience).await;
        } else {
            let notice = self.pool.options.patience_with_silence();
            self.calls.drained(notice).await;
        }
    }

    /// Gives the lease back; calls in flight have the usual time to end. The last lease closes the pool.
    pub(crate) fn retire(&self) {
        let drain_deadline = after(Instant::now(), self.pool.options.drain_timeout);
        if self.give_back(drain_deadline) {
            self.pool.command(Command::Close(drain_deadline));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.retire();
    }
}
