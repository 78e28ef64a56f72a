//! What telemetry costs a call when nobody listens, by itself; for the benchmark alone.
//!
//! Invariant: it does what `Connection::run`, `run_on` and `Attempts::next` do for spans and metrics on the way of one call
//! that succeeds at its first attempt, with the same functions, and nothing else of a call.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milvus_protocol::milvus::GetVersionRequest;
use milvus_protocol::{encode_grpc_frame, rpc};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{CallSpan, ServerName, attempt_made, attempt_span, call_ended, call_span};
use crate::attempt::Call;
use crate::channel::Channel;
use crate::connection::Connection;
use crate::error::{Error, GrpcCode};
use crate::grpc::{Answer, Broken, GrpcStatus, RequestId};
use crate::pool::Pool;

/// How often the future of a small call is polled: sent, head of the answer, its message and trailers.
const POLLS: u32 = 3;
/// What is recorded of each call.
const TOOK: Duration = Duration::from_micros(100);

/// The time that telemetry takes of `calls` calls; `None` without a ready channel.
#[must_use]
pub fn telemetry_of(connection: &Connection, calls: u32) -> Option<Duration> {
    let pool = connection.pool()?;
    let ready = pool.snapshot();
    let channel = ready.channels.first()?;
    let message = encode_grpc_frame(&GetVersionRequest {}, usize::MAX).ok()?;
    let server = ServerName::of_target(&connection.config().target);
    let alias = connection.alias().into();
    let now = Instant::now();
    let call = Call {
        info: rpc::GET_VERSION.info(),
        class: rpc::GET_VERSION.class(),
        message: &message,
        database: None,
        request_id: RequestId::new(),
        began: now,
        deadline: now,
        alias: &alias,
    };
    let began = std::time::Instant::now();
    for _ in 0..calls {
        let mut made = pin!(shown(black_box(&call), black_box(&server), &pool, channel));
        let mut context = Context::from_waker(Waker::noop());
        while made.as_mut().poll(&mut context).is_pending() {}
    }
    Some(began.elapsed())
}

/// A call without the call.
async fn shown(call: &Call<'_>, server: &ServerName, pool: &Pool, channel: &Channel) {
    let facts = CallSpan {
        server,
        database: "",
    };
    let span = call_span(call, &facts);
    let outcome: Result<(), Error> = async {
        let _counted = pool.metrics.call_begins();
        let attempt = attempt_span(call, 1, channel, server);
        let answer = answer_of_nobody().instrument(attempt.clone()).await;
        attempt_made(&attempt, &answer);
        let outcome = Ok(());
        pool.metrics
            .call_ended(call.info.name, TOOK, black_box(&outcome));
        outcome
    }
    .instrument(span.clone())
    .await;
    call_ended(&span, black_box(&outcome));
}

async fn answer_of_nobody() -> Result<Answer, Broken> {
    let mut left = POLLS;
    poll_fn(|_| {
        left -= 1;
        if black_box(left) == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    Ok(Answer {
        status: GrpcStatus {
            code: GrpcCode::Ok,
            message: String::new(),
        },
        message: None,
    })
}
