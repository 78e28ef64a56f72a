//! What a server answered when the answer is an error: gRPC's status, or Milvus's own inside an OK.
//!
//! Invariant: nothing that the server said is lost or rephrased.

use std::fmt;

use milvus_protocol::common;

/// The status codes of gRPC (`google.rpc.Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are gRPC's own")]
pub enum GrpcCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcCode {
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of a number; numbers that gRPC does not define count as `Unknown`, as its specification asks.
    pub fn from_number(number: u32) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|index| Self::ALL.get(index))
            .copied()
            .unwrap_or(Self::Unknown)
    }
}

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ServerAnswer {
    grpc: GrpcCode,
    code: i32,
    legacy_code: i32,
    reason: String,
    retriable: bool,
    input_error: bool,
    #[serde(skip)]
    rate_limited: bool,
}

impl ServerAnswer {
    /// An answer by gRPC's own status.
    pub(crate) fn from_grpc(grpc: GrpcCode, message: String) -> Self {
        Self {
            grpc,
            code: 0,
            legacy_code: 0,
            reason: message,
            retriable: false,
            input_error: false,
            rate_limited: false,
        }
    }

    /// An answer by Milvus's status inside a gRPC OK.
    pub(crate) fn from_status(status: &common::Status) -> Self {
        #[allow(deprecated, reason = "servers before 2.3 fill in nothing else")]
        let legacy_code = status.error_code;
        let reason = if status.reason.is_empty() {
            status.detail.clone()
        } else {
            status.reason.clone()
        };
        Self {
            grpc: GrpcCode::Ok,
            code: status.code,
            legacy_code,
            reason,
            retriable: status.retriable,
            input_error: status.is_input_error(),
            rate_limited: status.is_rate_limited(),
        }
    }

    /// gRPC's status; `Ok` when the error is inside the answer, as it nearly always is with Milvus.
    pub fn grpc_code(&self) -> GrpcCode {
        self.grpc
    }

    /// Milvus's error code; 0 when there is none.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// The error code of servers before 2.3, which newer ones still send beside `code`; 0 when there is none.
    pub fn legacy_code(&self) -> i32 {
        self.legacy_code
    }

    /// The server's own words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// True when the server marked the error as one that may pass.
    pub fn retriable(&self) -> bool {
        self.retriable
    }

    /// True when Milvus said that the rate of calls is limited.
    pub(crate) fn is_rate_limited(&self) -> bool {
        self.rate_limited
    }

    /// True when the server marked the request as wrong.
    pub fn input_error(&self) -> bool {
        self.input_error
    }
}

impl fmt::Display for ServerAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = if self.reason.is_empty() {
            "nothing more"
        } else {
            self.reason.trim_end_matches('.')
        };
        match (self.grpc, self.code, self.legacy_code) {
            (GrpcCode::Ok, 0, legacy) => write!(f, "{reason} [legacy code {legacy}]"),
            (GrpcCode::Ok, code, _) => write!(f, "{reason} [code {code}]"),
            (grpc, ..) => write!(f, "{reason} [gRPC {grpc:?}]"),
        }
    }
}
