//! One call, attempt by attempt.
//!
//! Invariant: what an attempt *proves* decides what happens next, never the wording of an error. A request that was
//! certainly not sent or not looked at is sent again for free; one whose fate is unknown is sent again only if its
//! operation class says that this does no harm. The message is encoded once; every attempt sends the same bytes.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use milvus_protocol::rpc::{OperationClass, RpcInfo};
use milvus_protocol::{DecodeError, EncodedMessage, ReceivedMessage};
use tokio::time::{Instant, Sleep};
use tracing::Instrument as _;

use crate::channel::{Channel, StreamPermit};
use crate::credentials::Authorization;
use crate::error::{Applied, ConnectError, Error, ErrorKind, GrpcCode, Phase, ServerAnswer};
use crate::grpc::{Answer, Broken, CallMetadata, HandedOver, RequestId, Taking, exchange};
use crate::pool::budget::RETRY_COST;
use crate::pool::establish::Route;
use crate::pool::{Command, NoStream, Pool};
use crate::telemetry;

mod in_process;

pub(crate) use in_process::judge_in_process;

/// The first wait before a retry after a failure; doubles up to `LONGEST_WAIT`, with full jitter.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The first wait after an answer that asks to slow down; doubles up to `LONGEST_THROTTLE`.
const FIRST_THROTTLE: Duration = Duration::from_millis(100);
const LONGEST_THROTTLE: Duration = Duration::from_secs(3);
/// Refusals in a row from which on the next attempt waits: the peer refuses on purpose.
const REFUSALS_AT_ONCE: u32 = 3;

/// What to try when a peer is connected and mute.
const SILENT_HINT: &str = "The server hangs, or something between loses what it sends: look at its process and at the network.";

/// A call without its message types.
pub(crate) struct Call<'a> {
    pub(crate) info: &'static RpcInfo,
    pub(crate) class: OperationClass,
    pub(crate) message: &'a EncodedMessage,
    pub(crate) database: Option<HeaderValue>,
    pub(crate) request_id: RequestId,
    pub(crate) began: Instant,
    pub(crate) deadline: Instant,
    pub(crate) alias: &'a Arc<str>,
}

/// Decodes an answer; `Some` when Milvus's own status inside it is an error.
pub(crate) type Check<'c> =
    dyn FnMut(ReceivedMessage) -> Result<Option<ServerAnswer>, DecodeError> + Send + 'c;

/// What comes after an attempt.
enum Next {
    Done,
    /// For free and at once.
    Again,
    /// After a wait; the error is returned where waiting is in vain.
    Later(Duration, Error),
    Fail(Error),
}

/// What to do about an attempt whose answer has not come.
enum Look {
    /// Look again then.
    Wait(Instant),
    /// Try elsewhere.
    Leave,
    /// The deadline has passed.
    TooLate,
}

/// Makes attempts until the call has succeeded, has failed for good, or its deadline passes.
pub(crate) async fn run(pool: &Pool, call: &Call<'_>, check: &mut Check<'_>) -> Result<(), Error> {
    // Of most calls the first look at the clock is never needed, and so it costs no more than the deadline alone would.
    let first_look = call.began + pool.options.patience_with_silence();
    let mut timer = pin!(tokio::time::sleep_until(call.deadline.min(first_look)));
    let mut attempts = Attempts {
        pool,
        call,
        made: 0,
        refused: 0,
        waits: 0,
        throttles: 0,
        authorized_again: false,
        last_answer: None,
    };
    loop {
        match attempts.next(timer.as_mut(), check).await {
            Next::Done => return Ok(()),
            Next::Again => attempts.retried(),
            Next::Later(wait, error) => {
                if !pool.options.retry || Instant::now() + wait >= call.deadline {
                    return Err(attempts.finished(error));
                }
                telemetry::repeated(call, wait, &error);
                attempts.retried();
                attempts.last_answer = error.answer().cloned().or(attempts.last_answer);
                tokio::time::sleep(wait).await;
            }
            Next::Fail(error) => return Err(attempts.finished(error)),
        }
    }
}

struct Attempts<'a> {
    pool: &'a Pool,
    call: &'a Call<'a>,
    made: u32,
    refused: u32,
    waits: u32,
    throttles: u32,
    authorized_again: bool,
    /// What the server said to an attempt before.
    last_answer: Option<ServerAnswer>,
}

impl Attempts<'_> {
    fn retried(&self) {
        self.pool.statistics.retried();
        self.pool.metrics.retried();
    }

    async fn next(&mut self, mut timer: Pin<&mut Sleep>, check: &mut Check<'_>) -> Next {
        let permit = match self.pool.try_stream(self.call.message.len()) {
            Some(permit) => permit,
            None => {
                timer.as_mut().reset(self.call.deadline);
                let permit = tokio::select! {
                    biased;
                    permit = self.pool.stream(self.call.message.len()) => permit,
                    () = timer.as_mut() => return Next::Fail(self.waited_in_vain()),
                };
                let first_look = Instant::now() + self.pool.options.patience_with_silence();
                timer.as_mut().reset(self.call.deadline.min(first_look));
                match permit {
                    Ok(permit) => permit,
                    Err(reason) => return Next::Fail(self.no_stream(reason)),
                }
            }
        };
        let authorization = match self.pool.authorization.current().await {
            Ok(authorization) => authorization,
            Err(error) => {
                return Next::Fail(self.error(
                    ErrorKind::Unauthenticated,
                    Phase::Configuration,
                    error.to_string(),
                ));
            }
        };
        self.made += 1;
        let channel = permit.channel();
        let span =
            telemetry::attempt_span(self.call, self.made, channel, &self.route(channel).server);
        let sent_at = Instant::now();
        let request = self
            .metadata(&permit, &authorization, sent_at)
            .into_request();
        let outcome = {
            let taking = Taking {
                most: self.pool.options.max_response_bytes,
                memory: &channel.answers,
            };
            let (sender, handed_over) = (channel.sender.clone(), HandedOver::default());
            let sent = exchange(sender, request, self.call.message, taking, &handed_over);
            let mut sent = pin!(sent.instrument(span.clone()));
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut sent => break outcome,
                    () = timer.as_mut() => match self.look_at(channel, sent_at) {
                        Look::Wait(until) => timer.as_mut().reset(until),
                        Look::Leave => {
                            telemetry::attempt_abandoned(&span);
                            return Next::Later(self.wait(), self.unresponsive(channel));
                        }
                        Look::TooLate => {
                            telemetry::attempt_timed_out(&span);
                            return Next::Fail(if handed_over.is() {
                                self.unanswered(channel)
                            } else {
                                self.without_stream()
                            });
                        }
                    },
                }
            }
        };
        telemetry::attempt_made(&span, &outcome);
        drop(span);
        match outcome {
            Ok(answer) => {
                channel.gauges.note_answer();
                drop(permit);
                self.answered(answer, &authorization, check).await
            }
            Err(broken) => self.broken(broken, &permit),
        }
    }

    /// What to do about an attempt on `channel` whose answer has not come. Whether the peer is slow or dead is for the
    /// channel's driver to find out, by a ping; only a read leaves a peer for which it has found no sign of life.
    fn look_at(&self, channel: &Channel, sent_at: Instant) -> Look {
        let now = Instant::now();
        let patience = channel.keepalive.patience;
        if now >= self.call.deadline {
            channel.gauges.suspect();
            return Look::TooLate;
        }
        if self.call.class == OperationClass::LongPoll {
            return Look::Wait(self.call.deadline);
        }
        let mut until = sent_at + patience;
        if until <= now {
            until = now + patience / 4;
            if channel.gauges.is_unresponsive() {
                let may_leave = self.call.class == OperationClass::Read
                    && self.pool.options.retry
                    && self.pool.has_other_than(channel);
                if may_leave && self.pool.budget.take(RETRY_COST) {
                    return Look::Leave;
                }
            } else if channel.is_silent() {
                channel.gauges.suspect();
            }
        }
        Look::Wait(until.min(self.call.deadline))
    }

    fn route(&self, channel: &Channel) -> &Route {
        // A channel's endpoint is an index that its pool made; the first route stands in for none.
        self.pool
            .routes
            .get(channel.endpoint)
            .unwrap_or(&self.pool.routes[0])
    }

    fn metadata<'m>(
        &'m self,
        permit: &'m StreamPermit,
        authorization: &'m Authorization,
        now: Instant,
    ) -> CallMetadata<'m> {
        let channel = permit.channel();
        let route = self.route(channel);
        CallMetadata {
            secure: route.secure,
            authority: &route.authority,
            path: self.call.info.path,
            authorization: authorization.header.as_ref(),
            database: self.call.database.as_ref(),
            identifier: channel.identifier,
            request_id: &self.call.request_id,
            remaining: Some(self.call.deadline.saturating_duration_since(now)),
        }
    }

    fn broken(&mut self, broken: Broken, permit: &StreamPermit) -> Next {
        match broken {
            Broken::NotSent(_) => {
                let channel = permit.channel();
                // In this order: without a call in flight the driver ends at once, and the pool shall know why by then.
                self.pool.command(Command::GoingAway(channel.id, None));
                channel.gauges.start_draining();
                Next::Again
            }
            Broken::Refused(error) => {
                self.refused += 1;
                if self.refused <= REFUSALS_AT_ONCE {
                    return Next::Again;
                }
                let refused = self.error(
                    ErrorKind::Unavailable,
                    Phase::Exchange,
                    "the server refuses new calls on every channel",
                );
                Next::Later(self.wait(), refused.with_source(Arc::new(error)))
            }
            Broken::MaybeSent(error) => {
                let channel = permit.channel();
                let cause = if channel.gauges.was_cut() {
                    "the drain deadline passed".into()
                } else {
                    error.to_string()
                };
                let detail = format!("{cause} (channel {} to {})", channel.id, channel.peer);
                let broke = self
                    .error(ErrorKind::Transport, Phase::Exchange, detail)
                    .with_applied(self.unknown())
                    .with_source(Arc::new(error));
                self.again_if_harmless(broke)
            }
            Broken::Malformed(detail) => Next::Fail(
                self.error(ErrorKind::Decode, Phase::Decode, detail)
                    .with_applied(self.unknown()),
            ),
            Broken::TooLarge { len, limit } => {
                let detail = format!("it has {len} bytes, the limit is {limit} bytes");
                let hint =
                    "Ask for fewer rows or output fields at once, or raise max_response_bytes.";
                Next::Fail(
                    self.error(ErrorKind::ResponseTooLarge, Phase::Decode, detail)
                        .with_hint(hint)
                        .with_applied(self.unknown()),
                )
            }
            Broken::NotGrpc {
                status,
                content_type,
            } => {
                let detail =
                    format!("something in front of Milvus answered HTTP {status} ({content_type})");
                let kind = match status {
                    StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Unavailable,
                    _ => {
                        return Next::Fail(
                            self.error(ErrorKind::Answered, Phase::Answered, detail)
                                .with_applied(self.unknown()),
                        );
                    }
                };
                self.again_if_harmless(
                    self.error(kind, Phase::Answered, detail)
                        .with_applied(self.unknown()),
                )
            }
        }
    }

    async fn answered(
        &mut self,
        answer: Answer,
        sent: &Arc<Authorization>,
        check: &mut Check<'_>,
    ) -> Next {
        if answer.status.code != GrpcCode::Ok {
            return self
                .answered_by_grpc(
                    ServerAnswer::from_grpc(answer.status.code, answer.status.message),
                    sent,
                )
                .await;
        }
        match check(answer.message.unwrap_or_default()) {
            Ok(None) => Next::Done,
            Ok(Some(answer)) if answer.is_rate_limited() => self.throttled(answer),
            Ok(Some(answer)) if answer.retriable() => {
                let error = self
                    .error(ErrorKind::Answered, Phase::Answered, "")
                    .with_answer(answer)
                    .with_applied(self.unknown());
                self.again_if_harmless(error)
            }
            Ok(Some(answer)) => Next::Fail(
                self.error(ErrorKind::Answered, Phase::Answered, "")
                    .with_answer(answer),
            ),
            Err(error) => Next::Fail(
                self.error(ErrorKind::Decode, Phase::Decode, error.to_string())
                    .with_applied(self.unknown())
                    .with_source(Arc::new(error)),
            ),
        }
    }

    async fn answered_by_grpc(&mut self, answer: ServerAnswer, sent: &Arc<Authorization>) -> Next {
        let fail = |kind| self.error(kind, Phase::Answered, "");
        match answer.grpc_code() {
            GrpcCode::Unauthenticated => {
                if !self.authorized_again
                    && self.pool.authorization.changed_since(sent).await.is_some()
                {
                    self.authorized_again = true;
                    return Next::Again;
                }
                let hint = "Check user and password or the token; if they have changed, update them for this alias.";
                Next::Fail(
                    fail(ErrorKind::Unauthenticated)
                        .with_answer(answer)
                        .with_hint(hint),
                )
            }
            GrpcCode::PermissionDenied => Next::Fail(
                fail(ErrorKind::PermissionDenied)
                    .with_answer(answer)
                    .with_hint("Ask for the privilege, or connect as another user."),
            ),
            GrpcCode::Unimplemented => {
                let version = self.pool.server.load().version.clone();
                let detail = if version.is_empty() {
                    String::new()
                } else {
                    format!("its version is {version}")
                };
                let error = self
                    .error(ErrorKind::Unimplemented, Phase::Answered, detail)
                    .with_answer(answer);
                Next::Fail(error.with_hint("Use a newer Milvus for this feature."))
            }
            // gRPC says so too when the request is larger than the server takes.
            GrpcCode::ResourceExhausted if answer.reason().contains("larger than max") => {
                let hint = "Send fewer rows at once, or raise the server's grpc.serverMaxRecvSize.";
                Next::Fail(
                    fail(ErrorKind::RequestTooLarge)
                        .with_answer(answer)
                        .with_hint(hint),
                )
            }
            GrpcCode::ResourceExhausted => self.throttled(answer),
            GrpcCode::Unavailable => {
                let error = fail(ErrorKind::Unavailable)
                    .with_answer(answer)
                    .with_applied(self.unknown());
                self.again_if_harmless(error)
            }
            GrpcCode::DeadlineExceeded => Next::Fail(
                fail(ErrorKind::DeadlineExceeded)
                    .with_answer(answer)
                    .with_applied(self.unknown()),
            ),
            GrpcCode::InvalidArgument
            | GrpcCode::NotFound
            | GrpcCode::AlreadyExists
            | GrpcCode::FailedPrecondition
            | GrpcCode::OutOfRange => Next::Fail(fail(ErrorKind::Answered).with_answer(answer)),
            _ => Next::Fail(
                fail(ErrorKind::Answered)
                    .with_answer(answer)
                    .with_applied(self.unknown()),
            ),
        }
    }

    /// The server asks to slow down: it has not done anything, and the channel is as good as before.
    fn throttled(&mut self, answer: ServerAnswer) -> Next {
        self.pool.statistics.throttled();
        self.pool.metrics.throttled();
        let bound = FIRST_THROTTLE
            .saturating_mul(2u32.saturating_pow(self.throttles))
            .min(LONGEST_THROTTLE);
        self.throttles += 1;
        let error = self
            .error(ErrorKind::RateLimited, Phase::Answered, "")
            .with_answer(answer);
        let error =
            error.with_hint("Call less often, or raise the server's quota (quotaAndLimits).");
        Next::Later(bound.mul_f64(0.5 + 0.5 * fastrand::f64()), error)
    }

    fn again_if_harmless(&mut self, error: Error) -> Next {
        if self.call.class.may_repeat_after_unknown_outcome() && self.pool.budget.take(RETRY_COST) {
            Next::Later(self.wait(), error)
        } else {
            Next::Fail(error)
        }
    }

    fn wait(&mut self) -> Duration {
        let bound = FIRST_WAIT
            .saturating_mul(2u32.saturating_pow(self.waits))
            .min(LONGEST_WAIT);
        self.waits += 1;
        bound.mul_f64(fastrand::f64())
    }

    fn no_stream(&self, reason: NoStream) -> Error {
        match reason {
            NoStream::Closed => self
                .error(ErrorKind::Closed, Phase::Waiting, "")
                .with_hint("Connect again."),
            NoStream::Down(error) => self.down(&error, ""),
        }
    }

    fn down(&self, error: &Arc<ConnectError>, waited: &str) -> Error {
        let this = self.error(
            ErrorKind::Unavailable,
            Phase::Waiting,
            format!("{waited}{error}"),
        );
        this.with_hint(error.failure.hint())
            .with_source(Arc::clone(error) as Arc<dyn std::error::Error + Send + Sync>)
    }

    /// The deadline passed before a channel was ready.
    fn waited_in_vain(&self) -> Error {
        let snapshot = self.pool.snapshot();
        match &snapshot.last_error {
            Some(error) if snapshot.channels.is_empty() => self.down(
                error,
                "waited until the deadline; the last connect failed: ",
            ),
            _ if snapshot
                .channels
                .iter()
                .all(|channel| channel.gauges.is_unresponsive()) =>
            {
                self.error(
                    ErrorKind::DeadlineExceeded,
                    Phase::Waiting,
                    "the server has stopped answering, pings as well, so nothing was sent to it",
                )
                .with_hint(SILENT_HINT)
            }
            _ => self.without_stream(),
        }
    }

    /// The deadline passed before the peer allowed a stream.
    fn without_stream(&self) -> Error {
        self.error(
            ErrorKind::DeadlineExceeded,
            Phase::Waiting,
            "every stream that the server allows was in use until then",
        )
    }

    /// A read leaves a peer that does not answer; seen only where no time is left for another attempt.
    fn unresponsive(&self, channel: &Channel) -> Error {
        let detail = format!(
            "the server does not answer, pings as well (channel {} to {})",
            channel.id, channel.peer
        );
        self.error(ErrorKind::Transport, Phase::Exchange, detail)
            .with_applied(self.unknown())
            .with_hint(SILENT_HINT)
    }

    /// The deadline passed while the answer was awaited.
    fn unanswered(&self, channel: &Channel) -> Error {
        let budget = self
            .call
            .deadline
            .saturating_duration_since(self.call.began);
        let mut detail = format!("no answer within {:.1} s", budget.as_secs_f32());
        let hint = if channel.gauges.is_unresponsive() {
            detail.push_str(", and none to a ping");
            SILENT_HINT
        } else {
            "Give the call more time, or look at the server's load."
        };
        self.error(ErrorKind::DeadlineExceeded, Phase::Exchange, detail)
            .with_applied(self.unknown())
            .with_hint(hint)
    }

    fn unknown(&self) -> Applied {
        unknown(self.call.class)
    }

    fn error(&self, kind: ErrorKind, phase: Phase, detail: impl Into<String>) -> Error {
        Error::new(kind, phase, self.call.alias, &self.pool.address, detail)
    }

    fn finished(&self, error: Error) -> Error {
        let error = match (&self.last_answer, error.answer()) {
            (Some(answer), None) => error.with_answer(answer.clone()),
            _ => error,
        };
        error.with_call(self.call.info.name, self.made, self.call.began.elapsed())
    }
}

/// What is known of a call of this class whose answer never came.
pub(crate) fn unknown(class: OperationClass) -> Applied {
    match class {
        OperationClass::Read | OperationClass::LongPoll => Applied::No,
        _ => Applied::Unknown,
    }
}
