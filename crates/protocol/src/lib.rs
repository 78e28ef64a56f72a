//! The Milvus wire protocol: the messages and services of a Milvus proxy, a reviewed row for every
//! call, and the way from messages to bytes and back without copying vectors.
//!
//! - [`milvus`], [`schema`], [`common`], [`msg`], [`feder`], [`rg`]: the messages, by protobuf package;
//!   [`health`] is gRPC's own health service.
//! - [`rpc`]: a constant per call, such as [`rpc::SEARCH`], with its path, what may be done when nobody
//!   knows whether it was applied, and where its status stands.
//! - [`encode_grpc_frame`] and [`decode_message`]: between messages and bytes; [`ReceivedMessage`]: a
//!   message in the pieces in which it came; [`packed_bytes`] and [`packed_values`]: between numbers and
//!   bytes.
//! - `server` (feature `server`): the traits that a server implements and the types that answer gRPC
//!   requests with them. Without the feature there is no tonic in here.
//!
//! Invariant: the messages are the official ones, field by field, but that what a reader wants to slice
//! is declared `bytes`, which is the same on the wire: fixed-width packed arrays (vectors, float and
//! double columns, scores) as one `bytes`, text columns as `repeated bytes`.
//! `cargo xtask wire-check` compares them with the official descriptors.

// Generated code has the layout that its generator gives it, and takes its documentation from the
// .proto files, which have none for what the field's name says.
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines, reason = "generated")]
mod generated;
mod frame;
mod packed;
mod received;
mod redaction;
pub mod rpc;
mod segmented;
#[cfg(feature = "server")]
pub mod server;
mod status;

pub use frame::{
    DecodeError, EncodedMessage, GRPC_PREFIX_LEN, MessageTooLarge, decode_message,
    encode_grpc_frame,
};
pub use packed::{PackedLengthError, PackedValue, packed_bytes, packed_iter, packed_values};
pub use received::ReceivedMessage;
pub use segmented::{DEFAULT_SEGMENT_THRESHOLD, SegmentedBuf};

pub use generated::{common, feder, health, milvus, msg, rg, schema};
