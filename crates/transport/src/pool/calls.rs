//! The calls that one handle has begun on a pool which it may share with others.
//!
//! Invariant: no call begins once the handle is closed; who waits is told then, and what is in flight has until the drain
//! deadline. Beginning and ending a call takes no lock: one word counts the calls and says whether more may begin, as that of
//! the streams of a channel, which is tried by a model checker.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::channel::streams::Streams;

/// The calls of a handle.
pub(crate) struct Calls {
    begun: Streams,
    drain_deadline: OnceLock<Instant>,
    /// The handle was closed, or its last call has ended since.
    changed: Notify,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            // As many as fit beside the flag.
            begun: Streams::new(u32::MAX >> 1),
            drain_deadline: OnceLock::new(),
            changed: Notify::new(),
        }
    }

    /// Begins a call, which its [`end`](Self::end) must follow; `false` once the handle is closed.
    #[must_use]
    pub(crate) fn begin(&self) -> bool {
        self.begun.take()
    }

    pub(crate) fn end(&self) {
        if self.begun.give_back() {
            self.changed.notify_waiters();
        }
    }

    /// Begins a call that holds on to what it belongs to.
    pub(crate) fn hold(self: &Arc<Self>) -> Option<HeldCall> {
        self.begin().then(|| HeldCall(Arc::clone(self)))
    }

    /// No call begins from now on, and those in flight have until then.
    pub(super) fn close(&self, drain_deadline: Instant) {
        // Closing twice moves no deadline.
        let _ = self.drain_deadline.set(drain_deadline);
        let _ = self.begun.drain();
        self.changed.notify_waiters();
    }

    /// True while calls may begin.
    pub(crate) fn is_open(&self) -> bool {
        !self.begun.is_draining()
    }

    /// When what is in flight is cut; `None` while the handle is open.
    pub(crate) fn drain_deadline(&self) -> Option<Instant> {
        self.drain_deadline.get().copied()
    }

    /// Ends when the handle is closed.
    pub(crate) async fn closed(&self) {
        self.until(|begun| begun.is_draining()).await;
    }

    /// Ends when the handle is closed and its calls have ended, at the latest when they have had `notice` to notice that the
    /// drain deadline has passed: a call that nobody polls can't, and sends nothing either.
    pub(crate) async fn drained(&self, notice: Duration) {
        self.closed().await;
        let at_last = self.drain_deadline().unwrap_or_else(Instant::now) + notice;
        let over = self.until(Streams::is_drained);
        let _ = tokio::time::timeout_at(at_last, over).await;
    }

    /// True when the handle is closed and its calls have ended.
    pub(crate) fn are_over(&self) -> bool {
        self.begun.is_drained()
    }

    async fn until(&self, is_so: impl Fn(&Streams) -> bool) {
        loop {
            // Made before the look, it misses nothing that comes after it.
            let changed = self.changed.notified();
            if is_so(&self.begun) {
                return;
            }
            changed.await;
        }
    }
}

/// A call that lasts for as long as this lives.
pub(crate) struct HeldCall(Arc<Calls>);

impl HeldCall {
    /// Ends when the drain deadline of a closed handle has passed.
    pub(crate) async fn cut(&self) {
        self.0.closed().await;
        if let Some(deadline) = self.0.drain_deadline() {
            tokio::time::sleep_until(deadline).await;
        }
    }
}

impl Drop for HeldCall {
    fn drop(&mut self) {
        self.0.end();
    }
}
