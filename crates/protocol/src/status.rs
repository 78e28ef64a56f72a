//! What the in-band status of an answer says.
//!
//! Invariant: success is decided here alone, and an answer counts as success only when both the current
//! and the older error number are zero.

use crate::common::Status;

/// The error number of a server that refuses a call because of its rate limit.
const RATE_LIMIT: i32 = 8;
/// The same in the older numbering, `ErrorCode::RateLimit`.
const RATE_LIMIT_LEGACY: i32 = 49;
/// The error number of a call that names a collection which does not exist.
const COLLECTION_NOT_FOUND: i32 = 100;
/// The same in the older numbering, `ErrorCode::CollectionNotExists`.
const COLLECTION_NOT_FOUND_LEGACY: i32 = 4;

impl Status {
    /// Whether the call succeeded.
    ///
    /// ```
    /// use milvus_protocol::common::Status;
    ///
    /// assert!(Status::default().is_success());
    /// assert!(!Status { code: 100, ..Status::default() }.is_success());
    /// assert!(!Status { error_code: 4, ..Status::default() }.is_success());
    /// ```
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == 0 && self.error_code == 0
    }

    /// Whether the server refused the call because of a rate limit; it was not applied and may be sent
    /// again later.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.code == RATE_LIMIT || self.error_code == RATE_LIMIT_LEGACY
    }

    /// Whether the call named a collection that does not exist.
    #[must_use]
    pub fn is_collection_not_found(&self) -> bool {
        self.code == COLLECTION_NOT_FOUND || self.error_code == COLLECTION_NOT_FOUND_LEGACY
    }

    /// Whether the server says that the fault is in the request.
    #[must_use]
    pub fn is_input_error(&self) -> bool {
        self.extra_info
            .get("is_input_error")
            .is_some_and(|value| value == "true")
    }
}
