//! From a message to the bytes of a gRPC request and from the bytes of a response to a message.
//!
//! Invariant: a message is encoded once; whoever sends it again sends the same bytes. Neither direction
//! copies a byte field of more than a few kilobytes.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use prost::Message;

use crate::received::ReceivedMessage;
use crate::segmented::SegmentedBuf;

/// Length of what gRPC puts before each message: a flag and the message's length.
pub const GRPC_PREFIX_LEN: usize = 5;

/// A message ready to be sent over gRPC: the five-byte prefix (not compressed, length in big-endian)
/// and the encoded message, in segments. A clone shares the segments.
#[derive(Clone)]
pub struct EncodedMessage {
    segments: Arc<[Bytes]>,
    len: usize,
}

impl EncodedMessage {
    /// The segments in the order in which they are to be sent. The first begins with the prefix; none
    /// is empty.
    #[must_use]
    pub fn segments(&self) -> &[Bytes] {
        &self.segments
    }

    /// Number of bytes in all segments, prefix included.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "the prefix is always there")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Length of the message in bytes, without the prefix: what a server's message limit counts.
    #[must_use]
    pub fn message_len(&self) -> usize {
        self.len.saturating_sub(GRPC_PREFIX_LEN)
    }

    /// The segments as one; copies unless there is only one.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &*self.segments {
            [only] => only.clone(),
            several => several.concat().into(),
        }
    }
}

// The content may hold a password.
impl fmt::Debug for EncodedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedMessage")
            .field("segments", &self.segments.len())
            .field("len", &self.len)
            .finish()
    }
}

/// Encodes `message` as a gRPC request or response body of one message.
///
/// `limit` is the largest message, in bytes and without the prefix, that the peer takes; the length is
/// known before anything is encoded.
///
/// # Errors
/// [`MessageTooLarge`] when the message is longer than `limit`, or than the 4 GiB that the prefix can
/// express.
///
/// ```
/// use milvus_protocol::{encode_grpc_frame, milvus::GetVersionRequest};
///
/// let frame = encode_grpc_frame(&GetVersionRequest::default(), 64 << 20).unwrap();
/// assert_eq!(frame.segments(), [&[0_u8, 0, 0, 0, 0][..]]);
/// ```
pub fn encode_grpc_frame<M: Message>(
    message: &M,
    limit: usize,
) -> Result<EncodedMessage, MessageTooLarge> {
    let length = message.encoded_len();
    let too_large = |limit| MessageTooLarge {
        message: short_name::<M>(),
        length,
        limit,
    };
    if length > limit {
        return Err(too_large(limit));
    }
    let Ok(prefix_length) = u32::try_from(length) else {
        return Err(too_large(u32::MAX as usize));
    };
    let mut buf = SegmentedBuf::new(length.saturating_add(GRPC_PREFIX_LEN));
    buf.put_u8(0);
    buf.put_u32(prefix_length);
    message.encode_raw(&mut buf);
    debug_assert_eq!(buf.len(), length + GRPC_PREFIX_LEN);
    Ok(EncodedMessage {
        len: buf.len(),
        segments: buf.into_segments().into(),
    })
}

/// Decodes one message, without the gRPC prefix. Byte fields of the result, vectors and scores among
/// them, are slices of `encoded` and keep it alive.
///
/// # Errors
/// [`DecodeError`] when `encoded` is not such a message.
///
/// ```
/// use milvus_protocol::{decode_message, milvus::BoolResponse};
///
/// let answer: BoolResponse = decode_message(vec![0x10, 1].into()).unwrap();
/// assert!(answer.value);
/// ```
pub fn decode_message<M: Message + Default>(encoded: Bytes) -> Result<M, DecodeError> {
    ReceivedMessage::from(encoded).decode()
}

pub(crate) fn decode_error<M>(length: usize, source: prost::DecodeError) -> DecodeError {
    DecodeError {
        message: short_name::<M>(),
        length,
        source,
    }
}

/// The name of a message type without the modules it stands in.
fn short_name<M>() -> &'static str {
    let name = type_name::<M>();
    name.rsplit_once("::").map_or(name, |(_, last)| last)
}

/// A message is longer than the peer takes; nothing was encoded or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageTooLarge {
    /// The message's type, `InsertRequest`.
    pub message: &'static str,
    /// The message's length in bytes.
    pub length: usize,
    /// The limit in bytes.
    pub limit: usize,
}

impl fmt::Display for MessageTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the encoded {} has {} bytes, more than the limit of {} bytes; send it in smaller parts, or raise the \
             limit here and at the server",
            self.message, self.length, self.limit
        )
    }
}

impl std::error::Error for MessageTooLarge {}

/// Bytes from a peer are not the message that they should be.
#[derive(Debug, Clone)]
pub struct DecodeError {
    message: &'static str,
    length: usize,
    source: prost::DecodeError,
}

impl DecodeError {
    /// The type of message that was expected, `SearchResults`.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.message
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            length,
            source,
        } = self;
        write!(
            f,
            "the {length} bytes received are not a {message}: {source}"
        )?;
        let text = source.to_string();
        if text.contains("ThirtyTwoBit") || text.contains("SixtyFourBit") {
            f.write_str(
                "; does the peer send an array of floats value by value instead of packed?",
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
