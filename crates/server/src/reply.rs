//! Answers that do not come from the service: refusals, health, metrics.

use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use tonic::body::Body;

const DEADLINE_EXCEEDED: &str = "4";
const UNAVAILABLE: &str = "14";
const UNAUTHENTICATED: &str = "16";

/// The credentials are missing or wrong.
pub(crate) fn unauthenticated(reason: &str) -> Response<Body> {
    refusal(UNAUTHENTICATED, reason)
}

/// Nothing was done; the same call may succeed later.
pub(crate) fn unavailable(reason: &str) -> Response<Body> {
    refusal(UNAVAILABLE, reason)
}

/// The caller's own deadline has passed.
pub(crate) fn deadline_exceeded() -> Response<Body> {
    refusal(
        DEADLINE_EXCEEDED,
        "the deadline of the call passed before the answer was there; a write may have been applied",
    )
}

/// A gRPC refusal: a status and nothing else.
fn refusal(code: &'static str, reason: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert("grpc-status", HeaderValue::from_static(code));
    let encoded =
        percent_encoding::utf8_percent_encode(reason, percent_encoding::CONTROLS).to_string();
    if let Ok(message) = HeaderValue::try_from(encoded) {
        headers.insert("grpc-message", message);
    }
    response
}

/// A plain answer for people and probes.
pub(crate) fn text(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let body = http_body_util::Full::new(body.into()).map_err(|never| match never {});
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
