//! Rules on calls: when a call of this kind comes for the n-th time, then do that.
//!
//! Invariant: rules are tried in the order in which they were added; the first that matches and has not been used up
//! decides, and a rule counts every call that it matches.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;
use milvus_protocol::common::Status;
use prost::Message;

use super::link::LastStream;

/// A call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// The path of its HTTP/2 request, `/milvus.proto.milvus.MilvusService/Search`.
    pub path: String,
    /// Its metadata.
    pub metadata: HeaderMap,
    /// Its message, without gRPC's five bytes of framing.
    pub message: Bytes,
    /// Which of the server's connections it came on, counted from 1.
    pub connection: u64,
    /// Its HTTP/2 stream.
    pub stream: u32,
    /// Whether a server that was not faulty would have done what the call asks for.
    pub applied: bool,
}

impl Call {
    /// The RPC's name, `Search`.
    pub fn rpc(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The text of a metadata entry.
    pub fn metadata_text(&self, name: &str) -> Option<&str> {
        self.metadata
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// Decodes the message.
    ///
    /// # Errors
    /// When the bytes are not a `Request`.
    pub fn decode<Request: Message + Default>(&self) -> Result<Request, prost::DecodeError> {
        Request::decode(self.message.clone())
    }
}

type Predicate = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// Which calls a rule is about.
#[derive(Clone, Default)]
pub struct When {
    rpc: Option<String>,
    predicate: Option<Predicate>,
}

impl When {
    /// Every call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of the RPC with this name, `Search`.
    pub fn rpc(name: impl Into<String>) -> Self {
        Self {
            rpc: Some(name.into()),
            predicate: None,
        }
    }

    /// Of those, the calls for which `predicate` holds.
    #[must_use]
    pub fn and(mut self, predicate: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    fn matches(&self, call: &Call) -> bool {
        self.rpc.as_ref().is_none_or(|name| name == call.rpc())
            && self
                .predicate
                .as_ref()
                .is_none_or(|predicate| predicate(call))
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filtered = if self.predicate.is_some() {
            ", filtered"
        } else {
            ""
        };
        write!(
            f,
            "When({}{filtered})",
            self.rpc.as_deref().unwrap_or("any call")
        )
    }
}

/// What happens to a call.
#[derive(Clone)]
pub enum Then {
    /// The usual success of its RPC.
    Succeed,
    /// These bytes as the answer's message.
    Answer(Bytes),
    /// The answer that a function makes of the call.
    Compute(Arc<dyn Fn(&Call) -> Bytes + Send + Sync>),
    /// The RPC's response with this in-band status.
    InBand(Status),
    /// This gRPC status (code and text), without a message.
    GrpcStatus(u32, String),
    /// This HTTP status and text without anything of gRPC, as a gateway answers.
    HttpStatus(u16, String),
    /// RST_STREAM with this reason. With `REFUSED_STREAM` the call counts as not applied.
    Reset(Reason),
    /// GOAWAY. With [`LastStream::BeforeThis`] the call is not applied and never answered; else it succeeds. Calls that
    /// came before are answered; the connection stays until the client closes it.
    GoAway(LastStream, Reason),
    /// The connection ends (FIN); the call is applied, its answer is never seen.
    Close,
    /// The connection is reset (RST); the call is applied, its answer is never seen.
    Abort,
    /// The usual success, after this time.
    Delay(Duration),
    /// No answer at all.
    Hang,
    /// The usual success, but the body stops after this many bytes and nothing follows.
    StallBody(usize),
    /// The call is applied, but the stream is reset in the middle of the answer's body, after this many bytes.
    ResetBody(usize, Reason),
    /// The usual success, but the trailers come after this time.
    SlowTrailers(Duration),
    /// The usual success, but the stream ends without a gRPC status.
    NoTrailers,
}

impl Then {
    /// A given answer.
    pub fn message(message: &impl Message) -> Self {
        Self::Answer(message.encode_to_vec().into())
    }

    /// An answer made of the call.
    pub fn compute(answer: impl Fn(&Call) -> Bytes + Send + Sync + 'static) -> Self {
        Self::Compute(Arc::new(answer))
    }

    /// An in-band status with this code and reason; legacy code `UnexpectedError`, as Milvus gives most of its errors.
    pub fn in_band(code: i32, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::InBand(Status {
            error_code: 1,
            code,
            detail: reason.clone(),
            reason,
            ..Status::default()
        })
    }

    /// Milvus's rate limit: code 8, legacy code 49.
    pub fn rate_limited() -> Self {
        let reason = "request is rejected by grpc RateLimiter middleware, please retry later: rate limit exceeded";
        Self::InBand(Status {
            error_code: 49,
            code: 8,
            retriable: true,
            reason: reason.to_owned(),
            detail: reason.to_owned(),
            ..Status::default()
        })
    }

    /// What Milvus 2.3.5 with TLS answers to every call while it starts. (Without TLS it says nothing at all until it is
    /// ready: [`ListenerFault::Silent`](super::ListenerFault::Silent).)
    pub fn not_ready() -> Self {
        let text = "service unavailable: internal: Milvus Proxy is not ready yet. please wait";
        Self::GrpcStatus(2, text.to_owned())
    }

    /// Whether a server that does this has applied the call.
    pub(super) fn applies(&self) -> bool {
        match self {
            Self::InBand(status) => status.is_success(),
            Self::GrpcStatus(code, _) => *code == 0,
            Self::Reset(reason) => *reason != Reason::REFUSED_STREAM,
            Self::GoAway(last, _) => *last != LastStream::BeforeThis,
            Self::HttpStatus(..) => false,
            _ => true,
        }
    }
}

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeed => f.write_str("Succeed"),
            Self::Answer(bytes) => write!(f, "Answer({} bytes)", bytes.len()),
            Self::Compute(_) => f.write_str("Compute"),
            Self::InBand(status) => write!(f, "InBand({}, {:?})", status.code, status.reason),
            Self::GrpcStatus(code, text) => write!(f, "GrpcStatus({code}, {text:?})"),
            Self::HttpStatus(code, text) => write!(f, "HttpStatus({code}, {text:?})"),
            Self::Reset(reason) => write!(f, "Reset({reason:?})"),
            Self::GoAway(last, reason) => write!(f, "GoAway({last:?}, {reason:?})"),
            Self::Close => f.write_str("Close"),
            Self::Abort => f.write_str("Abort"),
            Self::Delay(time) => write!(f, "Delay({time:?})"),
            Self::Hang => f.write_str("Hang"),
            Self::StallBody(bytes) => write!(f, "StallBody({bytes})"),
            Self::ResetBody(bytes, reason) => write!(f, "ResetBody({bytes}, {reason:?})"),
            Self::SlowTrailers(time) => write!(f, "SlowTrailers({time:?})"),
            Self::NoTrailers => f.write_str("NoTrailers"),
        }
    }
}

/// When a call comes, then something happens to it.
#[derive(Clone, Debug)]
pub struct Rule {
    when: When,
    then: Then,
    skip: u64,
    times: u64,
    every: u64,
    seen: u64,
}

impl Rule {
    /// A rule for all calls that `when` matches.
    pub fn new(when: When, then: Then) -> Self {
        Self {
            when,
            then,
            skip: 0,
            times: u64::MAX,
            every: 1,
            seen: 0,
        }
    }

    /// Lets the first `count` matching calls pass.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Acts `count` times, then never again.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    /// Acts on each `count`-th matching call only.
    #[must_use]
    pub fn every(mut self, count: u64) -> Self {
        self.every = count.max(1);
        self
    }
}

/// Counts `call` with each rule that matches it and returns what the first willing one says.
pub(super) fn decide(rules: &mut [Rule], call: &Call) -> Then {
    let mut decision = None;
    for rule in rules.iter_mut().filter(|rule| rule.when.matches(call)) {
        rule.seen += 1;
        let due = rule.seen > rule.skip && (rule.seen - rule.skip).is_multiple_of(rule.every);
        if due && rule.times > 0 && decision.is_none() {
            rule.times -= 1;
            decision = Some(rule.then.clone());
        }
    }
    decision.unwrap_or(Then::Succeed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(rpc: &str) -> Call {
        Call {
            path: format!("/milvus.proto.milvus.MilvusService/{rpc}"),
            metadata: HeaderMap::new(),
            message: Bytes::new(),
            connection: 1,
            stream: 1,
            applied: true,
        }
    }

    fn decisions(rules: &mut [Rule], rpc: &str, count: usize) -> Vec<String> {
        (0..count)
            .map(|_| format!("{:?}", decide(rules, &call(rpc))))
            .collect()
    }

    #[test]
    fn a_rule_skips_acts_and_is_used_up() {
        let mut rules = [Rule::new(When::rpc("Insert"), Then::Hang).skip(1).times(2)];
        assert_eq!(decisions(&mut rules, "Search", 2), ["Succeed", "Succeed"]);
        assert_eq!(
            decisions(&mut rules, "Insert", 4),
            ["Succeed", "Hang", "Hang", "Succeed"]
        );
    }

    #[test]
    fn a_rule_can_act_on_each_nth_call() {
        let mut rules = [Rule::new(When::any(), Then::Close).every(3)];
        let expected = ["Succeed", "Succeed", "Close", "Succeed", "Succeed", "Close"];
        assert_eq!(decisions(&mut rules, "Query", 6), expected);
    }

    #[test]
    fn the_first_rule_that_is_willing_decides() {
        let mut rules = [
            Rule::new(When::any(), Then::Close).times(1),
            Rule::new(When::any(), Then::Hang).skip(2),
        ];
        assert_eq!(
            decisions(&mut rules, "Query", 3),
            ["Close", "Succeed", "Hang"]
        );
    }
}
