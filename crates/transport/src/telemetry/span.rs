//! Spans and events for `tracing`.
//!
//! Invariant: every field that is known only later is declared when the span is made; nothing is formatted for a span
//! that nobody listens to.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Span;
use tracing::field::Empty;

use super::{ServerName, error_type, status_code};
use crate::attempt::Call;
use crate::channel::Channel;
use crate::error::{Error, GrpcCode};
use crate::event::EventKind;
use crate::grpc::{Answer, Broken};

/// Where the spans and events of calls are found by filters.
pub(super) const CALL: &str = "milvus_transport::call";
/// Where the spans and events of attempts are found by filters.
const ATTEMPT: &str = "milvus_transport::attempt";
/// Where the events of pools are found by filters.
const POOL: &str = "milvus_transport::pool";

/// What the span of a call says beyond the call itself.
pub(crate) struct CallSpan<'a> {
    pub(crate) server: &'a ServerName,
    pub(crate) database: &'a str,
}

/// The span of a call: a database client span.
pub(crate) fn call_span(call: &Call<'_>, facts: &CallSpan<'_>) -> Span {
    tracing::info_span!(
        target: CALL,
        "milvus.call",
        otel.kind = "client",
        otel.name = call.info.name,
        otel.status_code = Empty,
        db.system.name = "milvus",
        db.namespace = Some(facts.database).filter(|database| !database.is_empty()),
        db.operation.name = call.info.name,
        db.response.status_code = Empty,
        server.address = &*facts.server.address,
        server.port = facts.server.port,
        error.type = Empty,
        milvus.alias = &**call.alias,
        milvus.request_id = call.request_id.as_str(),
        milvus.attempts = Empty,
        milvus.applied = Empty,
    )
}

/// What became of a call.
pub(crate) fn call_ended(span: &Span, outcome: &Result<(), Error>) {
    let Err(error) = outcome else { return };
    if span.is_disabled() {
        return;
    }
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error_type(error.kind()));
    span.record("milvus.attempts", error.attempts());
    span.record("milvus.applied", tracing::field::debug(error.applied()));
    match error.answer() {
        Some(answer) if answer.code() != 0 => {
            span.record("db.response.status_code", answer.code());
        }
        Some(answer) if answer.legacy_code() != 0 => {
            span.record("db.response.status_code", answer.legacy_code());
        }
        Some(answer) => {
            span.record("db.response.status_code", status_code(answer.grpc_code()));
        }
        None => {}
    }
}

/// The span of one attempt: an RPC client span within the call's.
pub(crate) fn attempt_span(
    call: &Call<'_>,
    number: u32,
    channel: &Channel,
    server: &ServerName,
) -> Span {
    // Where the method stands in the path of the request.
    let method = call.info.path.trim_start_matches('/');
    tracing::debug_span!(
        target: ATTEMPT,
        "milvus.attempt",
        otel.kind = "client",
        otel.name = method,
        otel.status_code = Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
        server.address = &*server.address,
        server.port = server.port,
        network.peer.address = %channel.peer,
        error.type = Empty,
        milvus.attempt = number,
        milvus.channel.id = channel.id.number(),
    )
}

/// What became of an attempt that was not overtaken by the deadline.
pub(crate) fn attempt_made(span: &Span, outcome: &Result<Answer, Broken>) {
    if span.is_disabled() {
        return;
    }
    let failed = match outcome {
        Ok(answer) => {
            let code = status_code(answer.status.code);
            span.record("rpc.response.status_code", code);
            (answer.status.code != GrpcCode::Ok).then_some(code)
        }
        Err(broken) => Some(match broken {
            Broken::NotSent(_) => "not_sent",
            Broken::Refused(_) => "refused",
            Broken::MaybeSent(_) => "maybe_sent",
            Broken::Malformed(_) => "malformed",
            Broken::TooLarge { .. } => "response_too_large",
            Broken::NotGrpc { .. } => "not_grpc",
        }),
    };
    if let Some(failed) = failed {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", failed);
    }
}

/// The deadline overtook an attempt.
pub(crate) fn attempt_timed_out(span: &Span) {
    let code = status_code(GrpcCode::DeadlineExceeded);
    span.record("rpc.response.status_code", code);
    span.record("otel.status_code", "ERROR");
    span.record("error.type", "deadline_exceeded");
}

/// A read was taken away from a peer that does not answer.
pub(crate) fn attempt_abandoned(span: &Span) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", "unresponsive");
}

/// There will be another attempt after a wait.
pub(crate) fn repeated(call: &Call<'_>, wait: std::time::Duration, error: &Error) {
    tracing::debug!(
        target: ATTEMPT,
        {
            db.operation.name = call.info.name,
            milvus.retry.wait_seconds = wait.as_secs_f64(),
            error.type = error_type(error.kind()),
            %error
        },
        "the call is tried again"
    );
}

/// Something that happened to a pool. `failing` remembers whether the dial before had failed too: only the first failure
/// in a row is a warning, so that an outage does not fill a log.
pub(crate) fn pool_event(server: &str, kind: &EventKind, failing: &AtomicBool) {
    match kind {
        EventKind::Dialing { channel, address } => tracing::debug!(
            target: POOL,
            { server.address = &**address, milvus.channel.id = channel.number() },
            "channel dialing"
        ),
        EventKind::DialFailed { channel, error } if error.is_given_up() => tracing::debug!(
            target: POOL,
            { server.address = server, milvus.channel.id = channel.number() },
            "channel given up"
        ),
        EventKind::DialFailed { channel, error } => {
            let channel = channel.number();
            if failing.swap(true, Ordering::Relaxed) {
                tracing::debug!(
                    target: POOL,
                    { server.address = server, milvus.channel.id = channel, %error },
                    "channel failed again"
                );
            } else {
                tracing::warn!(
                    target: POOL,
                    { server.address = server, milvus.channel.id = channel, %error },
                    "channel failed; dialing goes on"
                );
            }
        }
        EventKind::Ready { channel, peer } => {
            failing.store(false, Ordering::Relaxed);
            tracing::info!(
                target: POOL,
                {
                    server.address = server,
                    network.peer.address = &**peer,
                    milvus.channel.id = channel.number()
                },
                "channel ready"
            );
        }
        EventKind::Unresponsive { channel } => tracing::warn!(
            target: POOL,
            { server.address = server, milvus.channel.id = channel.number() },
            "channel does not answer"
        ),
        EventKind::Responsive { channel } => tracing::info!(
            target: POOL,
            { server.address = server, milvus.channel.id = channel.number() },
            "channel answers again"
        ),
        EventKind::Draining { channel, reason } => tracing::debug!(
            target: POOL,
            { server.address = server, milvus.channel.id = channel.number(), reason },
            "channel draining"
        ),
        EventKind::Closed { channel, reason } => tracing::info!(
            target: POOL,
            { server.address = server, milvus.channel.id = channel.number(), reason = &**reason },
            "channel closed"
        ),
        EventKind::PoolClosed => {
            tracing::debug!(target: POOL, { server.address = server }, "pool closed");
        }
    }
}
