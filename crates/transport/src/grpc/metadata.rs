//! The metadata of a call, made anew for each attempt: credentials may have changed, and time has passed.
//!
//! Invariant: `authorization` is marked sensitive, so that HTTP/2 never puts it into its compression table and no log
//! shows it. Facts: the table "Metadata on each call" of Milvus's SDKs; `grpc-timeout` as in PROTOCOL-HTTP2.md of gRPC.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

static DATABASE: HeaderName = HeaderName::from_static("dbname");
static IDENTIFIER: HeaderName = HeaderName::from_static("identifier");
static REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
static REQUEST_TIME: HeaderName = HeaderName::from_static("client-request-unixmsec");
static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What the metadata of one attempt is made from.
pub(crate) struct CallMetadata<'a> {
    pub(crate) secure: bool,
    pub(crate) authority: &'a Authority,
    pub(crate) path: &'static str,
    pub(crate) authorization: Option<&'a HeaderValue>,
    pub(crate) database: Option<&'a HeaderValue>,
    pub(crate) identifier: Option<i64>,
    pub(crate) request_id: &'a HeaderValue,
    pub(crate) remaining: Option<Duration>,
}

impl CallMetadata<'_> {
    /// The HTTP/2 request without its body.
    pub(crate) fn into_request(self) -> Request<()> {
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(if self.secure {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        });
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = Some(PathAndQuery::from_static(self.path));

        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("milvus-connections/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(remaining) = self.remaining {
            headers.insert(TIMEOUT.clone(), grpc_timeout(remaining));
        }
        if let Some(value) = self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if let Some(value) = self.database {
            headers.insert(DATABASE.clone(), value.clone());
        }
        if let Some(identifier) = self.identifier {
            headers.insert(IDENTIFIER.clone(), HeaderValue::from(identifier));
        }
        // The same for hardly two calls: kept out of HTTP/2's compression table, where they would push out what repeats.
        let mut request_id = self.request_id.clone();
        request_id.set_sensitive(true);
        headers.insert(REQUEST_ID.clone(), request_id);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let mut request_time = HeaderValue::from(u64::try_from(now).unwrap_or(u64::MAX));
        request_time.set_sensitive(true);
        headers.insert(REQUEST_TIME.clone(), request_time);

        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        // All three parts are there, which is all that `from_parts` asks for.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        *request.headers_mut() = headers;
        request
    }
}

/// The header value for the time that is left: at most eight digits and a unit.
fn grpc_timeout(remaining: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    /// From here on, whole milliseconds are exact enough.
    const WORTH_MICROS: u128 = 10_000;
    let micros = remaining.as_micros().max(1);
    let text = if micros < WORTH_MICROS {
        format!("{micros}u")
    } else if micros.div_ceil(1_000) <= MOST {
        // Rounded up, so that calls with the same time to go say the same, which HTTP/2 then sends as one byte.
        format!("{}m", micros.div_ceil(1_000))
    } else {
        format!("{}S", (micros / 1_000_000).min(MOST))
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("99999999S"))
}

/// An id for tracing: unique in this process, and with overwhelming likelihood beyond it.
pub(crate) fn new_request_id() -> HeaderValue {
    static PROCESS: OnceLock<Arc<str>> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let process = PROCESS.get_or_init(|| format!("{:016x}", fastrand::u64(..)).into());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    HeaderValue::try_from(format!("{process}-{number:x}"))
        .unwrap_or_else(|_| HeaderValue::from_static("unnamed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_has_at_most_eight_digits() {
        let text = |duration| grpc_timeout(duration).to_str().unwrap().to_owned();
        assert_eq!(text(Duration::ZERO), "1u");
        assert_eq!(text(Duration::from_micros(9_999)), "9999u");
        assert_eq!(text(Duration::from_micros(1_500_001)), "1501m");
        assert_eq!(text(Duration::from_secs(100)), "100000m");
        assert_eq!(text(Duration::from_secs(200_000)), "200000S");
        assert_eq!(text(Duration::MAX), "99999999S");
    }

    #[test]
    fn request_ids_differ() {
        assert_ne!(new_request_id(), new_request_id());
    }
}
