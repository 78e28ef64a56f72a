//! What went wrong, said so that the reader knows what to do.
//!
//! Invariant: every error says what was being done, under which alias, at which address, in which phase, what the peer
//! answered, whether a write may have been applied, and what to try next. No error holds a secret.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

mod answer;
mod connect_failure;

pub use answer::{GrpcCode, ServerAnswer};
pub use connect_failure::{ConnectError, ConnectFailure};

/// A failed connect or call. Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<Facts>);

#[derive(Clone)]
struct Facts {
    kind: ErrorKind,
    phase: Phase,
    alias: Arc<str>,
    address: Arc<str>,
    rpc: Option<&'static str>,
    applied: Applied,
    attempts: u32,
    elapsed: Duration,
    detail: String,
    hint: Option<String>,
    answer: Option<ServerAnswer>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What kind of failure it is; decides what a program does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration can't be used; nothing was sent.
    InvalidConfiguration,
    /// The request can't be used; nothing was sent.
    InvalidRequest,
    /// No connection could be made.
    Connect(ConnectFailure),
    /// No channel was ready within the deadline, or none is to be expected soon.
    Unavailable,
    /// The connection has been closed by its owner.
    Closed,
    /// The deadline passed.
    DeadlineExceeded,
    /// The request is larger than the limit; nothing was sent.
    RequestTooLarge,
    /// The answer is larger than the limit.
    ResponseTooLarge,
    /// The answer can't be decoded.
    Decode,
    /// The channel broke after the request had been sent.
    Transport,
    /// The server does not accept the credentials.
    Unauthenticated,
    /// The user may not do this.
    PermissionDenied,
    /// The server does not have this call.
    Unimplemented,
    /// The server limits the rate of such calls.
    RateLimited,
    /// Any other answer that is an error.
    Answered,
}

/// Where in the life of a connect or call it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Before anything was sent: reading the configuration or the request.
    Configuration,
    /// Looking the name up.
    Dns,
    /// Opening the TCP connection or Unix socket.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The HTTP/2 greeting.
    Http2,
    /// Milvus's own handshake.
    Handshake,
    /// Milvus checked the credentials.
    Authentication,
    /// Milvus looked for the database.
    Database,
    /// Waiting for a ready channel.
    Waiting,
    /// The request was on its way or the answer was awaited.
    Exchange,
    /// The answer was read.
    Decode,
    /// The server answered with an error.
    Answered,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Http2 => "HTTP/2",
            Self::Handshake => "Milvus handshake",
            Self::Authentication => "authentication",
            Self::Database => "database",
            Self::Waiting => "waiting for a channel",
            Self::Exchange => "waiting for the answer",
            Self::Decode => "decoding the answer",
            Self::Answered => "answered",
        })
    }
}

/// Whether what the request asked for may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// It has not been done.
    No,
    /// It may or may not have been done: the answer never came.
    Unknown,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        phase: Phase,
        alias: &Arc<str>,
        address: &Arc<str>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Facts {
            kind,
            phase,
            alias: Arc::clone(alias),
            address: Arc::clone(address),
            rpc: None,
            applied: Applied::No,
            attempts: 0,
            elapsed: Duration::ZERO,
            detail: detail.into(),
            hint: None,
            answer: None,
            source: None,
        }))
    }

    /// A request that the caller must change; nothing was sent.
    pub fn invalid_request(
        alias: &str,
        rpc: Option<&'static str>,
        detail: impl Into<String>,
    ) -> Self {
        let mut error = Self::new(
            ErrorKind::InvalidRequest,
            Phase::Configuration,
            &alias.into(),
            &"".into(),
            detail,
        );
        error.facts_mut().rpc = rpc;
        error
    }

    /// A configuration that can't be used; nothing was sent.
    pub fn invalid_configuration(alias: &str, address: &str, detail: impl Into<String>) -> Self {
        Self::new(
            ErrorKind::InvalidConfiguration,
            Phase::Configuration,
            &alias.into(),
            &address.into(),
            detail,
        )
    }

    /// A read whose answer somebody else has asked for, and which its caller has stopped waiting for at the deadline.
    pub fn waited_too_long(
        alias: &str,
        address: &str,
        rpc: &'static str,
        elapsed: Duration,
    ) -> Self {
        Self::new(
            ErrorKind::DeadlineExceeded,
            Phase::Exchange,
            &alias.into(),
            &address.into(),
            format!("no answer within {:.1} s", elapsed.as_secs_f32()),
        )
        .with_call(rpc, 1, elapsed)
        .with_hint("Give the call more time, or look at the server's load.")
    }

    pub(crate) fn connect(alias: &Arc<str>, error: &ConnectError) -> Self {
        let mut this = Self::new(
            ErrorKind::Connect(error.failure),
            error.phase,
            alias,
            &error.address,
            error.detail.clone(),
        );
        let facts = this.facts_mut();
        facts.elapsed = error.elapsed;
        facts.hint = Some(error.failure.hint().to_owned());
        facts.answer = error.answer.clone();
        facts.source = error.source.clone();
        this
    }

    fn facts_mut(&mut self) -> &mut Facts {
        Arc::make_mut(&mut self.0)
    }

    pub(crate) fn with_call(mut self, rpc: &'static str, attempts: u32, elapsed: Duration) -> Self {
        let facts = self.facts_mut();
        facts.rpc = Some(rpc);
        facts.attempts = attempts;
        facts.elapsed = elapsed;
        self
    }

    pub(crate) fn with_applied(mut self, applied: Applied) -> Self {
        self.facts_mut().applied = applied;
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.facts_mut().hint = Some(hint.into());
        self
    }

    pub(crate) fn with_answer(mut self, answer: ServerAnswer) -> Self {
        self.facts_mut().answer = Some(answer);
        self
    }

    pub(crate) fn with_source(mut self, source: Arc<dyn std::error::Error + Send + Sync>) -> Self {
        self.facts_mut().source = Some(source);
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it happened.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// The alias that was used; empty when the connection has none.
    pub fn alias(&self) -> &str {
        &self.0.alias
    }

    /// The address that was used.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// The call, by its name in the Milvus service; `None` while connecting.
    pub fn rpc(&self) -> Option<&'static str> {
        self.0.rpc
    }

    /// Whether what the request asked for may have been done.
    pub fn applied(&self) -> Applied {
        self.0.applied
    }

    /// How often the request was tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How long it took to fail.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// What the server answered, when it did.
    pub fn answer(&self) -> Option<&ServerAnswer> {
        self.0.answer.as_ref()
    }

    /// What was found out beyond the kind; may be empty.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What to try next.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &*self.0;
        match facts.rpc {
            Some(rpc) => write!(f, "{rpc} failed")?,
            None if matches!(facts.kind, ErrorKind::InvalidConfiguration) => {
                f.write_str("the configuration can't be used")?
            }
            None if matches!(facts.kind, ErrorKind::InvalidRequest) => {
                f.write_str("the request can't be used")?
            }
            None => f.write_str("can't connect")?,
        }
        if !facts.alias.is_empty() {
            write!(f, " on {:?}", &*facts.alias)?;
        }
        if !facts.address.is_empty() {
            write!(f, " ({})", facts.address)?;
        }
        f.write_str(": ")?;
        self.write_reason(f)?;
        f.write_str(".")?;
        if facts.attempts > 1 {
            write!(
                f,
                " Tried {} times in {}.",
                facts.attempts,
                Short(facts.elapsed)
            )?;
        }
        if facts.applied == Applied::Unknown {
            f.write_str(" The write may or may not have been applied.")?;
        }
        if let Some(hint) = &facts.hint {
            write!(f, " {hint}")?;
        }
        Ok(())
    }
}

impl Error {
    fn write_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &*self.0;
        let reason = match facts.kind {
            ErrorKind::Connect(failure) => failure.meaning(),
            ErrorKind::Unavailable => "no channel is ready",
            ErrorKind::Closed => "the connection has been closed",
            ErrorKind::DeadlineExceeded => "the deadline passed",
            ErrorKind::RequestTooLarge => "the request is too large",
            ErrorKind::ResponseTooLarge => "the answer is too large",
            ErrorKind::Decode => "the answer can't be decoded",
            ErrorKind::Transport => "the channel broke after the request had been sent",
            ErrorKind::Unauthenticated => "the server does not accept the credentials",
            ErrorKind::PermissionDenied => "the user may not do this",
            ErrorKind::Unimplemented => "the server does not have this call",
            ErrorKind::RateLimited => "the server limits the rate",
            ErrorKind::Answered => "the server answered",
            ErrorKind::InvalidConfiguration | ErrorKind::InvalidRequest => "",
        };
        f.write_str(reason)?;
        if !facts.detail.is_empty() {
            let separator = if reason.is_empty() { "" } else { ": " };
            write!(f, "{separator}{}", facts.detail.trim_end_matches('.'))?;
        }
        if let Some(answer) = &facts.answer
            && !facts.detail.contains(answer.reason())
        {
            write!(f, " (the server said: {answer})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &*self.0;
        f.debug_struct("Error")
            .field("kind", &facts.kind)
            .field("phase", &facts.phase)
            .field("alias", &facts.alias)
            .field("address", &facts.address)
            .field("rpc", &facts.rpc)
            .field("applied", &facts.applied)
            .field("attempts", &facts.attempts)
            .field("elapsed", &facts.elapsed)
            .field("detail", &facts.detail)
            .field("answer", &facts.answer)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A duration as people say it: `3 ms`, `2.5 s`.
pub(crate) struct Short(pub(crate) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            micros @ 0..1_000 => write!(f, "{micros} µs"),
            micros @ 1_000..1_000_000 => write!(f, "{} ms", micros / 1_000),
            micros => write!(f, "{:.1} s", micros as f64 / 1e6),
        }
    }
}
