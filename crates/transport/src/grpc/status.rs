//! gRPC's own status: the `grpc-status` and `grpc-message` of an answer.

use http::HeaderMap;
use percent_encoding::percent_decode;

use crate::error::GrpcCode;

/// How a gRPC exchange ended by gRPC's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrpcStatus {
    pub(crate) code: GrpcCode,
    pub(crate) message: String,
}

impl GrpcStatus {
    /// Reads trailers, or the headers of an answer that has nothing else.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?;
        let number = code.to_str().ok().and_then(|text| text.parse().ok());
        let message = match headers.get("grpc-message") {
            Some(message) => percent_decode(message.as_bytes())
                .decode_utf8_lossy()
                .into_owned(),
            None => String::new(),
        };
        Some(Self {
            code: number.map_or(GrpcCode::Unknown, GrpcCode::from_number),
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_percent_decoded_and_unknown_numbers_are_unknown() {
        let mut headers = HeaderMap::new();
        assert_eq!(GrpcStatus::from_headers(&headers), None);
        headers.insert("grpc-status", "16".parse().unwrap());
        headers.insert(
            "grpc-message",
            "auth%20check failed: caf%C3%A9".parse().unwrap(),
        );
        let status = GrpcStatus::from_headers(&headers).unwrap();
        assert_eq!(status.code, GrpcCode::Unauthenticated);
        assert_eq!(status.message, "auth check failed: café");
        for odd in ["99", "x", "-1", "4294967296"] {
            headers.insert("grpc-status", odd.parse().unwrap());
            assert_eq!(
                GrpcStatus::from_headers(&headers).unwrap().code,
                GrpcCode::Unknown
            );
        }
    }
}
