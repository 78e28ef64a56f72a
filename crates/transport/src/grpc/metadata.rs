//! The metadata of a call, made anew for each attempt: credentials may have changed, and time has passed.
//!
//! Invariant: `authorization` is marked sensitive, so that HTTP/2 never puts it into its compression table and no log
//! shows it. Facts: the table "Metadata on each call" of Milvus's SDKs; `grpc-timeout` as in PROTOCOL-HTTP2.md of gRPC.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
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
    pub(crate) request_id: &'a RequestId,
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
        headers.insert(REQUEST_ID.clone(), self.request_id.header());
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
    if micros < WORTH_MICROS {
        return timeout_value(micros, 'u');
    }
    // Rounded up, so that calls with the same time to go say the same, which HTTP/2 then sends as one byte.
    let millis = micros.div_ceil(1_000);
    if millis > MOST {
        return timeout_value((micros / 1_000_000).min(MOST), 'S');
    }
    thread_local! {
        /// What was said last, since the next call mostly says the same.
        static LAST: Cell<Option<(u128, HeaderValue)>> = const { Cell::new(None) };
    }
    let value = match LAST.take() {
        Some((known, value)) if known == millis => value,
        _ => timeout_value(millis, 'm'),
    };
    LAST.set(Some((millis, value.clone())));
    value
}

fn timeout_value(number: u128, unit: char) -> HeaderValue {
    HeaderValue::try_from(format!("{number}{unit}"))
        .unwrap_or_else(|_| HeaderValue::from_static("99999999S"))
}

/// The id under which a server traces a call.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(Id);

#[derive(Clone, Debug)]
enum Id {
    /// In place, since a call needs one whether anybody looks at it or not.
    Own {
        text: [u8; OWN_ID],
        len: usize,
    },
    Given(HeaderValue),
}

/// Sixteen digits for the process, a dash, at most sixteen for the call.
const OWN_ID: usize = 33;

impl RequestId {
    /// An id that is unique in this process, and with overwhelming likelihood beyond it.
    pub(crate) fn new() -> Self {
        static PROCESS: OnceLock<[u8; 16]> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let digit = |number: u64, place: u32| DIGITS[((number >> (4 * place)) & 15) as usize];
        let process = PROCESS.get_or_init(|| {
            let process = fastrand::u64(..);
            let mut text = [0; 16];
            for (byte, place) in text.iter_mut().zip((0..16).rev()) {
                *byte = digit(process, place);
            }
            text
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let places = (64 - (number | 1).leading_zeros()).div_ceil(4);
        let own = (0..places).rev().map(|place| digit(number, place));
        let mut text = [0; OWN_ID];
        let mut len = 0;
        let written = process.iter().copied().chain([b'-']).chain(own);
        for (place, byte) in text.iter_mut().zip(written) {
            *place = byte;
            len += 1;
        }
        Self(Id::Own { text, len })
    }

    /// An id that somebody else has chosen; `None` when it can't be metadata.
    pub(crate) fn given(text: String) -> Option<Self> {
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(Self(Id::Given(value)))
    }

    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Id::Own { text, len } => std::str::from_utf8(text.get(..*len).unwrap_or_default()),
            Id::Given(value) => std::str::from_utf8(value.as_bytes()),
        }
        .unwrap_or_default()
    }

    fn header(&self) -> HeaderValue {
        match &self.0 {
            Id::Own { .. } => {
                let mut value = HeaderValue::from_str(self.as_str())
                    .unwrap_or_else(|_| HeaderValue::from_static("unnamed"));
                value.set_sensitive(true);
                value
            }
            Id::Given(value) => value.clone(),
        }
    }
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
    fn a_timeout_that_is_said_again_is_the_same_and_another_one_is_not() {
        let text = |millis| {
            let value = grpc_timeout(Duration::from_millis(millis));
            value.to_str().unwrap().to_owned()
        };
        for millis in [60_000, 60_000, 10_000, 60_000] {
            assert_eq!(text(millis), format!("{millis}m"));
        }
    }

    #[test]
    fn request_ids_differ_and_are_text() {
        let (one, two) = (RequestId::new(), RequestId::new());
        assert_ne!(one.as_str(), two.as_str());
        let parts = |id: &RequestId| {
            let (process, number) = id.as_str().split_once('-').unwrap();
            assert_eq!(process.len(), 16);
            let number = u64::from_str_radix(number, 16).unwrap();
            (u64::from_str_radix(process, 16).unwrap(), number)
        };
        assert_eq!(parts(&one).0, parts(&two).0);
        assert!(parts(&one).1 < parts(&two).1);
        assert_eq!(one.header(), one.as_str());
        assert!(one.header().is_sensitive());
    }

    #[test]
    fn an_id_that_can_not_be_metadata_is_not_taken() {
        assert!(RequestId::given("two\nlines".into()).is_none());
        let given = RequestId::given("trace-7".into()).unwrap();
        assert_eq!(given.header(), "trace-7");
    }
}
