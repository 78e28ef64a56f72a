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

mod failures;
mod in_process;

pub(crate) use in_process::judge_in_process;

use crate::channel::{Channel, StreamPermit};
use crate::credentials::Authorization;
use crate::error::{Applied, Error, ErrorKind, GrpcCode, Phase, ServerAnswer};
use crate::global::GlobalCluster;
use crate::grpc::{Answer, Broken, CallMetadata, HandedOver, RequestId, Taking, exchange};
use crate::pool::budget::RETRY_COST;
use crate::pool::establish::Route;
use crate::pool::{Command, Health, Pool};
use crate::seat::{GivenUp, Ready, Seat};
use crate::telemetry;

/// The first wait before a retry after a failure; doubles up to `LONGEST_WAIT`, with full jitter.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The first wait after an answer that asks to slow down; doubles up to `LONGEST_THROTTLE`.
const FIRST_THROTTLE: Duration = Duration::from_millis(100);
const LONGEST_THROTTLE: Duration = Duration::from_secs(3);
/// Refusals in a row from which on the next attempt waits: the peer refuses on purpose.
const REFUSALS_AT_ONCE: u32 = 3;

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
    /// The handle is closed, and so is the time that its calls had to end.
    Cut,
}

/// Makes attempts until the call has succeeded, has failed for good, or its deadline passes.
pub(crate) async fn run(
    seat: &mut Seat<'_>,
    call: &Call<'_>,
    check: &mut Check<'_>,
) -> Result<(), Error> {
    // Of most calls the first look at the clock is never needed, and so it costs no more than the deadline alone would.
    let first_look = call.began + seat.pool().options.patience_with_silence();
    let mut timer = pin!(tokio::time::sleep_until(call.deadline.min(first_look)));
    let mut attempts = Attempts {
        seat,
        call,
        made: 0,
        refused: 0,
        waits: 0,
        throttles: 0,
        authorized_again: false,
        last_answer: None,
        maybe_applied: false,
    };
    loop {
        match attempts.next(timer.as_mut(), check).await {
            Next::Done => return Ok(()),
            Next::Again => attempts.retried(),
            Next::Later(wait, error) => {
                attempts.doubts_the_primary(&error);
                let in_time = Instant::now() + wait < call.deadline;
                if !attempts.pool().options.retry || !in_time || !attempts.may_go_on() {
                    return Err(attempts.finished(error));
                }
                telemetry::repeated(call, wait, &error);
                attempts.note(&error);
                attempts.pause(wait).await?;
            }
            Next::Fail(error) => {
                if !attempts.follows(&error).await {
                    return Err(attempts.finished(error));
                }
                attempts.note(&error);
            }
        }
    }
}

struct Attempts<'a, 's> {
    seat: &'a mut Seat<'s>,
    call: &'a Call<'a>,
    made: u32,
    refused: u32,
    waits: u32,
    throttles: u32,
    authorized_again: bool,
    /// What the server said to an attempt before.
    last_answer: Option<ServerAnswer>,
    /// Nobody knows what became of an attempt before.
    maybe_applied: bool,
}

impl Attempts<'_, '_> {
    fn pool(&self) -> &Arc<Pool> {
        self.seat.pool()
    }

    fn retried(&self) {
        self.pool().statistics.retried();
        self.pool().metrics.retried();
    }

    /// Another attempt follows one that ended with this.
    fn note(&mut self, error: &Error) {
        self.retried();
        self.maybe_applied |= error.applied() == Applied::Unknown;
        if let Some(answer) = error.answer() {
            self.last_answer = Some(answer.clone());
        }
    }

    /// True while there is a place for another attempt.
    fn may_go_on(&mut self) -> bool {
        self.seat.is_open() || self.seat.move_on()
    }

    /// Asks for a look at the topology when an error may mean that the primary of a global cluster is another one by now.
    fn doubts_the_primary(&self, error: &Error) -> bool {
        match self.seat.cluster() {
            Some(cluster) if GlobalCluster::may_have_moved(error) => {
                cluster.ask();
                true
            }
            _ => false,
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self, wait: Duration) -> Result<(), Error> {
        let waited = self.seat.wait(self.call.deadline, tokio::time::sleep(wait));
        if let Err(GivenUp::Closed) = waited.await
            && !self.seat.move_on()
        {
            return Err(self.finished(self.closed()));
        }
        Ok(())
    }

    /// Whether another attempt follows one that failed: at the next primary of a global cluster, where it does no harm.
    async fn follows(&mut self, error: &Error) -> bool {
        if !self.doubts_the_primary(error) {
            return false;
        }
        let did_nothing = error.answer().is_some_and(GlobalCluster::is_not_primary);
        let may_repeat =
            error.applied() == Applied::No || self.call.class.may_repeat_after_unknown_outcome();
        let harmless = did_nothing || (may_repeat && self.pool().options.retry);
        if !harmless {
            return false;
        }
        // A pool that is down has asked for a look itself: who comes later goes by that.
        let evidence = match self.pool().snapshot().health {
            Health::Down { since, .. } if error.phase() == Phase::Waiting => since,
            _ => Instant::now(),
        };
        self.seat.follow(evidence, self.call.deadline).await
    }

    /// What the next attempt needs; the timer is set anew when that took time.
    async fn wait_until_ready(&mut self, mut timer: Pin<&mut Sleep>) -> Result<Ready, Error> {
        let ready = self.seat.ready(self.call.message.len(), self.call.deadline);
        let ready = ready.await.map_err(|reason| self.not_ready(reason))?;
        let first_look = Instant::now() + self.pool().options.patience_with_silence();
        timer.as_mut().reset(self.call.deadline.min(first_look));
        Ok(ready)
    }

    async fn next(&mut self, mut timer: Pin<&mut Sleep>, check: &mut Check<'_>) -> Next {
        if !self.may_go_on() {
            return Next::Fail(self.closed());
        }
        let (permit, authorization) = match self.seat.ready_now(self.call.message.len()) {
            Some(ready) => ready,
            None => match self.wait_until_ready(timer.as_mut()).await {
                Ok(ready) => ready,
                Err(error) => return Next::Fail(error),
            },
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
                most: self.pool().options.max_response_bytes,
                memory: &channel.answers,
            };
            let (sender, handed_over) = (channel.sender.clone(), HandedOver::default());
            let sent = exchange(sender, request, self.call.message, taking, &handed_over);
            let mut sent = pin!(sent.instrument(span.clone()));
            // Most calls are over before they are looked at; only those that last hear at once that their handle is closed.
            let mut lasts = false;
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut sent => break outcome,
                    () = timer.as_mut() => match self.look_at(channel, sent_at) {
                        Look::Wait(until) => {
                            lasts = true;
                            timer.as_mut().reset(until);
                        }
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
                        Look::Cut => {
                            telemetry::attempt_abandoned(&span);
                            return self.again_if_harmless(self.cut(channel));
                        }
                    },
                    () = self.seat.closed(), if lasts && self.seat.is_open() => {
                        timer.as_mut().reset(Instant::now());
                    }
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
        let drain_deadline = self.seat.drain_deadline();
        if drain_deadline.is_some_and(|deadline| now >= deadline) {
            return Look::Cut;
        }
        let last = drain_deadline.map_or(self.call.deadline, |deadline| {
            deadline.min(self.call.deadline)
        });
        if self.call.class == OperationClass::LongPoll {
            return Look::Wait(last);
        }
        let mut until = sent_at + patience;
        if until <= now {
            until = now + patience / 4;
            if channel.gauges.is_unresponsive() {
                let may_leave = self.call.class == OperationClass::Read
                    && self.pool().options.retry
                    && (self.pool().has_other_than(channel) || self.seat.has_moved());
                if may_leave && self.pool().budget.take(RETRY_COST) {
                    return Look::Leave;
                }
            } else if channel.is_silent() {
                channel.gauges.suspect();
            }
        }
        Look::Wait(until.min(last))
    }

    fn route(&self, channel: &Channel) -> &Route {
        // A channel's endpoint is an index that its pool made; the first route stands in for none.
        let routes = &self.pool().routes;
        routes.get(channel.endpoint).unwrap_or(&routes[0])
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
                self.pool().command(Command::GoingAway(channel.id, None));
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
            Ok(Some(answer)) if self.is_not_here(&answer) => Next::Fail(
                self.error(ErrorKind::Answered, Phase::Answered, "")
                    .with_answer(answer),
            ),
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
        if self.is_not_here(&answer) {
            return Next::Fail(fail(ErrorKind::Answered).with_answer(answer));
        }
        match answer.grpc_code() {
            GrpcCode::Unauthenticated => {
                if !self.authorized_again && self.credentials_changed_since(sent).await {
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
                let version = self.pool().server.load().version.clone();
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

    /// True when a cluster that is not the primary refused the call: it goes on at the primary, wherever that is now.
    fn is_not_here(&self, answer: &ServerAnswer) -> bool {
        self.seat.cluster().is_some() && GlobalCluster::is_not_primary(answer)
    }

    /// Whether the source of the credentials says otherwise by now, as far as there is time to ask it.
    async fn credentials_changed_since(&self, refused: &Authorization) -> bool {
        let changed = self.pool().authorization.changed_since(refused);
        matches!(self.seat.wait(self.call.deadline, changed).await, Ok(true))
    }

    /// The server asks to slow down: it has not done anything, and the channel is as good as before.
    fn throttled(&mut self, answer: ServerAnswer) -> Next {
        self.pool().statistics.throttled();
        self.pool().metrics.throttled();
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
        if self.call.class.may_repeat_after_unknown_outcome() && self.pool().budget.take(RETRY_COST)
        {
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
}

/// What is known of a call of this class whose answer never came.
pub(crate) fn unknown(class: OperationClass) -> Applied {
    match class {
        OperationClass::Read | OperationClass::LongPoll => Applied::No,
        _ => Applied::Unknown,
    }
}
