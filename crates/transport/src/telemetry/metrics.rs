//! Metrics through the `metrics` facade.
//!
//! Invariant: the handles of a pool are registered once, with the pool (those of an operation with its first call); a call
//! that succeeds builds no key. A recorder must be installed before the connection is made, as the facade demands.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram};

use super::error_type;
use crate::error::{Error, ErrorKind};
use crate::event::EventKind;

const DURATION: &str = "db.client.operation.duration";

/// The handles of one pool, or of one service in this process.
pub(crate) struct Metrics {
    server: Box<str>,
    /// The duration of calls that succeeded, by operation. Programs use a handful of the hundred operations.
    durations: ArcSwap<Vec<(&'static str, Histogram)>>,
    in_flight: Gauge,
    waiting: Gauge,
    streams: Gauge,
    retries: Counter,
    throttled: Counter,
    ready: Gauge,
    draining: Gauge,
    dialed: Counter,
    dials_failed: Counter,
    closed: Counter,
    failing: AtomicBool,
}

impl Metrics {
    pub(crate) fn register(server: &str) -> Self {
        let label = || server.to_owned();
        Self {
            durations: ArcSwap::default(),
            in_flight: metrics::gauge!("milvus.client.calls", "state" => "in_flight", "server.address" => label()),
            waiting: metrics::gauge!("milvus.client.calls", "state" => "waiting", "server.address" => label()),
            streams: metrics::gauge!("milvus.client.streams", "server.address" => label()),
            retries: metrics::counter!("milvus.client.retries", "server.address" => label()),
            throttled: metrics::counter!("milvus.client.throttled", "server.address" => label()),
            ready: metrics::gauge!("milvus.client.channels", "state" => "ready", "server.address" => label()),
            draining: metrics::gauge!("milvus.client.channels", "state" => "draining", "server.address" => label()),
            dialed: metrics::counter!("milvus.client.dials", "outcome" => "ready", "server.address" => label()),
            dials_failed: metrics::counter!("milvus.client.dials", "outcome" => "failed", "server.address" => label()),
            closed: metrics::counter!("milvus.client.channels.closed", "server.address" => label()),
            failing: AtomicBool::new(false),
            server: server.into(),
        }
    }

    /// A call is being made until the guard is dropped, also when its future is.
    pub(crate) fn call_begins(&self) -> Counted<'_> {
        Counted::new(&self.in_flight)
    }

    /// A call waits for a stream until the guard is dropped.
    pub(crate) fn wait_begins(&self) -> Counted<'_> {
        Counted::new(&self.waiting)
    }

    /// A stream of messages is being opened; it is there until [`Metrics::stream_is_gone`].
    pub(crate) fn stream_begins(&self) {
        self.streams.increment(1);
    }

    pub(crate) fn stream_is_gone(&self) {
        self.streams.decrement(1);
    }

    pub(crate) fn stream_ended(
        &self,
        operation: &'static str,
        took: Duration,
        outcome: Result<(), ErrorKind>,
    ) {
        match outcome {
            Ok(()) => self.succeeded(operation, took),
            Err(kind) => self.failed(operation, took, kind),
        }
    }

    pub(crate) fn call_ended(
        &self,
        operation: &'static str,
        took: Duration,
        outcome: &Result<(), Error>,
    ) {
        match outcome {
            Ok(()) => self.succeeded(operation, took),
            Err(error) => self.failed(operation, took, error.kind()),
        }
    }

    fn succeeded(&self, operation: &'static str, took: Duration) {
        let known = self.durations.load();
        if let Some((_, duration)) = known.iter().find(|(name, _)| *name == operation) {
            return duration.record(took);
        }
        let duration = metrics::histogram!(
            DURATION,
            "db.system.name" => "milvus",
            "db.operation.name" => operation,
            "server.address" => self.server.to_string(),
        );
        duration.record(took);
        self.durations.rcu(|known| {
            let mut more = Vec::clone(known);
            if !more.iter().any(|(name, _)| *name == operation) {
                more.push((operation, duration.clone()));
            }
            more
        });
    }

    fn failed(&self, operation: &'static str, took: Duration, kind: ErrorKind) {
        let duration = metrics::histogram!(
            DURATION,
            "db.system.name" => "milvus",
            "db.operation.name" => operation,
            "server.address" => self.server.to_string(),
            "error.type" => error_type(kind),
        );
        duration.record(took);
    }

    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    pub(crate) fn throttled(&self) {
        self.throttled.increment(1);
    }

    pub(crate) fn channels(&self, ready: usize, draining: usize) {
        #[allow(clippy::cast_precision_loss, reason = "a handful of channels")]
        let (ready, draining) = (ready as f64, draining as f64);
        self.ready.set(ready);
        self.draining.set(draining);
    }

    /// Counts what happened to the pool, and says it to `tracing`.
    pub(crate) fn pool_event(&self, kind: &EventKind) {
        match kind {
            EventKind::DialFailed { error, .. } if error.is_given_up() => {}
            EventKind::DialFailed { .. } => self.dials_failed.increment(1),
            EventKind::Ready { .. } => self.dialed.increment(1),
            EventKind::Closed { .. } => self.closed.increment(1),
            EventKind::Dialing { .. }
            | EventKind::Unresponsive { .. }
            | EventKind::Responsive { .. }
            | EventKind::Draining { .. }
            | EventKind::PoolClosed => {}
        }
        super::pool_event(&self.server, kind, &self.failing);
    }
}

/// One more on a gauge for as long as it lives.
pub(crate) struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
