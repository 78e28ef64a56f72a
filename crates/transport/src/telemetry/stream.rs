//! What a call with a stream of messages shows of itself, from its opening until both of its halves are gone.
//!
//! Invariant: its end is told once; a stream that is dropped before its end counts neither as succeeded nor as failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;

use super::span::CALL;
use super::{ServerName, error_type};
use crate::channel::Channel;
use crate::error::Error;
use crate::pool::Pool;

/// A stream of messages that is being opened, or is open.
pub(crate) struct OpenStream {
    pool: Arc<Pool>,
    operation: &'static str,
    span: Span,
    began: Instant,
    ended: AtomicBool,
}

/// What the span of a stream says at its start.
pub(crate) struct StreamSpan<'a> {
    pub(crate) operation: &'static str,
    pub(crate) server: &'a ServerName,
    pub(crate) database: &'a str,
    pub(crate) alias: &'a str,
    pub(crate) request_id: &'a str,
}

impl OpenStream {
    pub(crate) fn begin(pool: &Arc<Pool>, facts: &StreamSpan<'_>) -> Self {
        pool.metrics.stream_begins();
        let span = tracing::info_span!(
            target: CALL,
            "milvus.stream",
            otel.kind = "client",
            otel.name = facts.operation,
            otel.status_code = Empty,
            db.system.name = "milvus",
            db.namespace = Some(facts.database).filter(|database| !database.is_empty()),
            db.operation.name = facts.operation,
            server.address = &*facts.server.address,
            server.port = facts.server.port,
            network.peer.address = Empty,
            error.type = Empty,
            milvus.alias = facts.alias,
            milvus.request_id = facts.request_id,
            milvus.channel.id = Empty,
        );
        Self {
            pool: Arc::clone(pool),
            operation: facts.operation,
            span,
            began: Instant::now(),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// It is open, on this channel.
    pub(crate) fn opened(&self, channel: &Channel) {
        self.pool.statistics.stream_opened();
        self.span.record("milvus.channel.id", channel.id.number());
        self.span.record(
            "network.peer.address",
            tracing::field::display(&channel.peer),
        );
    }

    /// The server has ended it well, or it broke.
    pub(crate) fn ended(&self, outcome: Result<(), &Error>) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let outcome = outcome.map_err(Error::kind);
        self.pool
            .metrics
            .stream_ended(self.operation, self.began.elapsed(), outcome);
        if let Err(kind) = outcome {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", error_type(kind));
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.pool.metrics.stream_is_gone();
    }
}
