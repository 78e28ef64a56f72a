//! What `/metrics` shows, in Prometheus's text format.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) calls_in_flight: AtomicU64,
    pub(crate) calls_unauthenticated: AtomicU64,
    pub(crate) calls_refused: AtomicU64,
}

impl Counters {
    pub(crate) fn text(&self) -> String {
        let rows = [
            (
                "milvus_server_connections_total",
                "counter",
                "Connections accepted.",
                &self.connections,
            ),
            (
                "milvus_server_connections_open",
                "gauge",
                "Connections open now.",
                &self.connections_open,
            ),
            (
                "milvus_server_connections_refused_total",
                "counter",
                "Connections closed because there were too many.",
                &self.connections_refused,
            ),
            (
                "milvus_server_calls_total",
                "counter",
                "Calls received.",
                &self.calls,
            ),
            (
                "milvus_server_calls_in_flight",
                "gauge",
                "Calls being answered now.",
                &self.calls_in_flight,
            ),
            (
                "milvus_server_calls_unauthenticated_total",
                "counter",
                "Calls refused for their credentials.",
                &self.calls_unauthenticated,
            ),
            (
                "milvus_server_calls_refused_total",
                "counter",
                "Calls refused because there were too many at once.",
                &self.calls_refused,
            ),
        ];
        let row = |(name, kind, help, value): (&str, &str, &str, &AtomicU64)| {
            format!(
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {}\n",
                value.load(Ordering::Relaxed)
            )
        };
        rows.into_iter().map(row).collect()
    }
}

/// Counts up now and down when dropped.
pub(crate) struct Held<'a>(&'a AtomicU64);

impl<'a> Held<'a> {
    pub(crate) fn new(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
