//! A constant for every call of every service: its path, its operation class, where its in-band status
//! and its database stand.
//!
//! The rows are generated from the `.proto` files and from the reviewed table `rpc-table.toml`.
//!
//! Invariant: there is exactly one constant per call, and no call without a class that a person chose.

use std::fmt;

use crate::common;
use crate::milvus::UpsertRequest;
use crate::schema::field_partial_update_op::OpType;

pub use crate::generated::rpc_rows::*;

/// What may be done with a call when nobody knows whether an attempt of it was applied.
///
/// An attempt that was certainly not sent, or that the server certainly refused before it looked at it,
/// may be repeated in every class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationClass {
    /// Changes nothing that matters. May be sent again at any time, also to another server at the same
    /// time.
    Read,
    /// Changes something, and changes nothing more when applied again; the second answer is as good as
    /// the first. May be sent again after an attempt whose fate is unknown.
    IdempotentWrite,
    /// Writes rows that the request itself names by key, so that a second application leaves the same
    /// rows; only the counts in the answer may differ, and a write of someone else to the same keys in
    /// between would be overwritten. May be sent again like an idempotent write, but only one attempt
    /// at a time. A caller who knows more (an upsert with automatic ids does not name its keys)
    /// treats the call as [`NonIdempotentWrite`](Self::NonIdempotentWrite).
    KeyedWrite,
    /// Applied twice, it does its work twice. Never sent again after an attempt whose fate is unknown;
    /// the caller is told that it may have been applied.
    NonIdempotentWrite,
    /// Administration: definitions, users, privileges, placement. A second application answers
    /// differently from the first (it exists already, it is gone already) or undoes what another
    /// administrator did in between. Never sent again after an attempt whose fate is unknown.
    Admin,
    /// Stays open waiting for news. Deadlines of ordinary calls do not apply; it is opened anew, not
    /// sent again.
    LongPoll,
}

impl OperationClass {
    /// Whether a call of this class may be sent again after an attempt whose fate is unknown.
    ///
    /// ```
    /// use milvus_protocol::rpc::{self, OperationClass};
    ///
    /// assert!(rpc::SEARCH.class().may_repeat_after_unknown_outcome());
    /// assert!(!rpc::INSERT.class().may_repeat_after_unknown_outcome());
    /// ```
    #[must_use]
    pub const fn may_repeat_after_unknown_outcome(self) -> bool {
        matches!(self, Self::Read | Self::IdempotentWrite | Self::KeyedWrite)
    }
}

/// How many messages go each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpcKind {
    /// One request, one response.
    Unary,
    /// One request, many responses.
    ServerStreaming,
    /// Many requests, one response.
    ClientStreaming,
    /// Many requests and many responses.
    BidiStreaming,
}

/// Where the in-band [`Status`](common::Status) of a response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusPlace {
    /// The response is the status.
    Whole,
    /// The field of this number.
    Field(u32),
    /// The response has none.
    Absent,
}

/// The row of a call without its message types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RpcInfo {
    /// The call's name, `Search`.
    pub name: &'static str,
    /// The service's full name, `milvus.proto.milvus.MilvusService`.
    pub service: &'static str,
    /// The path of its HTTP/2 request, `/milvus.proto.milvus.MilvusService/Search`.
    pub path: &'static str,
    /// The operation class before a look at the request.
    pub class: OperationClass,
    /// How many messages go each way.
    pub kind: RpcKind,
    /// Where the status of a response stands.
    pub status: StatusPlace,
    /// Whether a request names the database in which the call happens.
    pub has_database: bool,
}

impl RpcInfo {
    /// The row whose [`path`](Self::path) is `path`.
    #[must_use]
    pub fn by_path(path: &str) -> Option<&'static Self> {
        ALL.iter().find(|row| row.path == path)
    }
}

/// Finds the in-band status of a response.
pub type StatusOf<Res> = fn(&Res) -> Option<&common::Status>;
type DatabaseOf<Req> = fn(&mut Req) -> Option<&mut String>;

/// A unary call: from one `Req` to one `Res`.
///
/// ```
/// use milvus_protocol::milvus::SearchRequest;
/// use milvus_protocol::rpc::{self, OperationClass};
///
/// assert_eq!(rpc::SEARCH.path(), "/milvus.proto.milvus.MilvusService/Search");
/// assert_eq!(rpc::SEARCH.class(), OperationClass::Read);
///
/// let mut request = SearchRequest::default();
/// if let Some(database) = rpc::SEARCH.database_mut(&mut request) {
///     *database = "books".to_owned();
/// }
/// assert_eq!(request.db_name, "books");
/// ```
pub struct Rpc<Req: 'static, Res: 'static> {
    info: &'static RpcInfo,
    status: StatusOf<Res>,
    database: DatabaseOf<Req>,
    class_of: fn(&Req) -> OperationClass,
}

/// A call with more than one message in at least one direction; [`RpcInfo::kind`] says in which.
pub struct StreamingRpc<Req: 'static, Res: 'static> {
    info: &'static RpcInfo,
    status: StatusOf<Res>,
    database: DatabaseOf<Req>,
}

macro_rules! accessors {
    ($rpc:ident) => {
        impl<Req, Res> $rpc<Req, Res> {
            /// The row without the message types.
            #[must_use]
            pub const fn info(&self) -> &'static RpcInfo {
                self.info
            }

            /// The call's name, `Search`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                self.info.name
            }

            /// The path of its HTTP/2 request.
            #[must_use]
            pub const fn path(&self) -> &'static str {
                self.info.path
            }

            /// The operation class before a look at the request.
            #[must_use]
            pub const fn class(&self) -> OperationClass {
                self.info.class
            }

            /// The in-band status of `response`; `None` when responses of this call have none or this
            /// one carries none.
            #[must_use]
            pub fn status<'a>(&self, response: &'a Res) -> Option<&'a common::Status> {
                (self.status)(response)
            }

            /// The function behind [`status`](Self::status), for one who keeps it without the request's type.
            #[must_use]
            pub const fn status_of(&self) -> StatusOf<Res> {
                self.status
            }

            /// The field of `request` that names the database in which the call happens. `None` when
            /// there is no such field, and when the field names what the call works on
            /// (`CreateDatabase`), which nobody but the caller can say.
            #[must_use]
            pub fn database_mut<'a>(&self, request: &'a mut Req) -> Option<&'a mut String> {
                (self.database)(request)
            }
        }

        impl<Req, Res> Clone for $rpc<Req, Res> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<Req, Res> Copy for $rpc<Req, Res> {}

        impl<Req, Res> fmt::Debug for $rpc<Req, Res> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.info.fmt(f)
            }
        }
    };
}

accessors!(Rpc);
accessors!(StreamingRpc);

impl<Req, Res> Rpc<Req, Res> {
    pub(crate) const fn new(
        info: &'static RpcInfo,
        status: StatusOf<Res>,
        database: DatabaseOf<Req>,
        class_of: fn(&Req) -> OperationClass,
    ) -> Self {
        Self {
            info,
            status,
            database,
            class_of,
        }
    }

    /// The operation class of this very request, which can be stricter than [`class`](Self::class): an
    /// upsert that appends to arrays appends again when it is applied again.
    #[must_use]
    pub fn class_of(&self, request: &Req) -> OperationClass {
        (self.class_of)(request)
    }
}

impl<Req, Res> StreamingRpc<Req, Res> {
    pub(crate) const fn new(
        info: &'static RpcInfo,
        status: StatusOf<Res>,
        database: DatabaseOf<Req>,
    ) -> Self {
        Self {
            info,
            status,
            database,
        }
    }
}

/// An upsert is keyed unless one of its fields is changed relative to what is there. The number is
/// compared as it stands: an operation that a newer protocol adds counts as relative.
pub(crate) fn refine_upsert(request: &UpsertRequest) -> OperationClass {
    let replace = i32::from(OpType::Replace);
    if request.field_ops.iter().any(|change| change.op != replace) {
        OperationClass::NonIdempotentWrite
    } else {
        OperationClass::KeyedWrite
    }
}
