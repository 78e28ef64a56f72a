//! What a connection shows to whoever listens: spans of calls and attempts, events of its pool, metrics.
//!
//! Invariant: without a subscriber and a recorder a call pays for a few comparisons and one look into a short table; it
//! allocates nothing and formats nothing. Names, levels and order are documented in `docs/observability.md`, follow
//! OpenTelemetry's semantic conventions where those have a name (database client spans for calls, RPC client spans for
//! attempts), and never hold a secret or a user's data.

use crate::error::{ErrorKind, GrpcCode};
use crate::target::{Endpoint, Host, Target};

#[cfg(feature = "telemetry-cost")]
mod cost;
mod metrics;
mod span;
mod stream;

#[cfg(feature = "telemetry-cost")]
pub use cost::telemetry_of;
pub(crate) use metrics::Metrics;
pub(crate) use span::{
    CallSpan, attempt_abandoned, attempt_made, attempt_span, attempt_timed_out, call_ended,
    call_span, pool_event, repeated,
};
pub(crate) use stream::{OpenStream, StreamSpan};

/// A target or an endpoint by OpenTelemetry's `server.address` and `server.port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerName {
    pub(crate) address: Box<str>,
    /// `None` for a Unix socket, a service in this process, and a target with several endpoints.
    pub(crate) port: Option<u16>,
}

impl ServerName {
    pub(crate) fn of_target(target: &Target) -> Self {
        match target {
            Target::Tcp { endpoints, .. } => match endpoints.as_slice() {
                [endpoint] => Self::of_endpoint(endpoint),
                _ => Self::without_port(&target.address()),
            },
            Target::Unix { path } => Self::without_port(&path.display().to_string()),
            Target::Embedded { .. } | Target::Memory { .. } => {
                Self::without_port(&target.address())
            }
        }
    }

    pub(crate) fn of_endpoint(endpoint: &Endpoint) -> Self {
        Self {
            address: match &endpoint.host {
                Host::V6(ip) => ip.to_string().into(),
                other => other.to_string().into(),
            },
            port: Some(endpoint.port),
        }
    }

    fn without_port(address: &str) -> Self {
        Self {
            address: address.into(),
            port: None,
        }
    }
}

/// OpenTelemetry's `error.type`: one of few words for each kind of failure.
pub(crate) fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidConfiguration => "invalid_configuration",
        ErrorKind::InvalidRequest => "invalid_request",
        ErrorKind::Connect(_) => "connect",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Closed => "closed",
        ErrorKind::DeadlineExceeded => "deadline_exceeded",
        ErrorKind::RequestTooLarge => "request_too_large",
        ErrorKind::ResponseTooLarge => "response_too_large",
        ErrorKind::Decode => "decode",
        ErrorKind::Transport => "transport",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::Unimplemented => "unimplemented",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::Answered => "answered",
    }
}

/// OpenTelemetry's `rpc.response.status_code` of gRPC.
pub(crate) fn status_code(code: GrpcCode) -> &'static str {
    match code {
        GrpcCode::Ok => "OK",
        GrpcCode::Cancelled => "CANCELLED",
        GrpcCode::Unknown => "UNKNOWN",
        GrpcCode::InvalidArgument => "INVALID_ARGUMENT",
        GrpcCode::DeadlineExceeded => "DEADLINE_EXCEEDED",
        GrpcCode::NotFound => "NOT_FOUND",
        GrpcCode::AlreadyExists => "ALREADY_EXISTS",
        GrpcCode::PermissionDenied => "PERMISSION_DENIED",
        GrpcCode::ResourceExhausted => "RESOURCE_EXHAUSTED",
        GrpcCode::FailedPrecondition => "FAILED_PRECONDITION",
        GrpcCode::Aborted => "ABORTED",
        GrpcCode::OutOfRange => "OUT_OF_RANGE",
        GrpcCode::Unimplemented => "UNIMPLEMENTED",
        GrpcCode::Internal => "INTERNAL",
        GrpcCode::Unavailable => "UNAVAILABLE",
        GrpcCode::DataLoss => "DATA_LOSS",
        GrpcCode::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::parse_uri;

    #[test]
    fn a_server_is_named_as_opentelemetry_asks() {
        let named = |uri: &str| ServerName::of_target(&parse_uri(uri).unwrap().target);
        let one = named("http://user:secret@[::1]:19531");
        assert_eq!((&*one.address, one.port), ("::1", Some(19531)));
        let several = named("http://one:19530,two:19530");
        assert_eq!(
            (&*several.address, several.port),
            ("one:19530,two:19530", None)
        );
        let socket = named("unix:/run/milvus.sock");
        assert_eq!((&*socket.address, socket.port), ("/run/milvus.sock", None));
    }
}
