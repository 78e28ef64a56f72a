//! A received message, and how it is decoded so that its numbers can be read where they stand.
//!
//! A vector column lies in a message wherever the fields before it leave it, mostly where no `f32` may stand; reading it as
//! numbers would cost a copy into fresh memory. But of a message that was put together from network frames, we own the
//! buffer, and the head of a field (its key and length) is of no use once it has been read: a large field is moved over it,
//! by less than eight bytes, to where numbers may stand.
//!
//! Invariant: decoding sees exactly the bytes of the message, in their order, and what has been handed out is never touched
//! again.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

use crate::frame::{DecodeError, decode_error};

/// Where the largest numbers of the protocol, `f64` and `i64`, may stand, and where `f32` may.
const ALIGNMENTS: [usize; 2] = [8, 4];
/// Shorter fields are left where they are.
const SMALLEST_MOVED: usize = 1024;

/// The bytes of one message: a buffer of its own, one shared buffer, or several of them.
///
/// ```
/// use bytes::Bytes;
/// use milvus_protocol::ReceivedMessage;
/// use milvus_protocol::milvus::BoolResponse;
///
/// let mut received = ReceivedMessage::default();
/// received.push(Bytes::from_static(&[0x10]));
/// received.push(Bytes::from_static(&[1]));
/// let answer: BoolResponse = received.decode().unwrap();
/// assert!(answer.value);
/// ```
#[derive(Default)]
pub struct ReceivedMessage {
    own: BytesMut,
    /// They follow `own`; none is empty.
    shared: VecDeque<Bytes>,
    len: usize,
}

impl ReceivedMessage {
    /// Adds a piece, by reference.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len = self.len.saturating_add(piece.len());
            self.shared.push_back(piece);
        }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Decodes the message. Its byte fields, vectors and scores among them, are slices of the message's memory; only one that
    /// spans several shared pieces is copied. Large fields of a message that has a buffer of its own stand aligned.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not such a message.
    pub fn decode<M: Message + Default>(mut self) -> Result<M, DecodeError> {
        let first = if self.own.is_empty() {
            Piece::Shared(self.shared.pop_front().unwrap_or_default())
        } else {
            Piece::Own {
                buffer: self.own,
                read: 0,
            }
        };
        let reader = Reader {
            first,
            rest: self.shared,
            remaining: self.len,
        };
        M::decode(reader).map_err(|source| decode_error::<M>(self.len, source))
    }
}

impl From<Bytes> for ReceivedMessage {
    fn from(whole: Bytes) -> Self {
        let mut this = Self::default();
        this.push(whole);
        this
    }
}

impl From<BytesMut> for ReceivedMessage {
    fn from(own: BytesMut) -> Self {
        Self {
            len: own.len(),
            own,
            shared: VecDeque::new(),
        }
    }
}

// The content may hold a password.
impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedMessage")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

enum Piece {
    Shared(Bytes),
    /// The first `read` bytes have been read and were not handed out.
    Own {
        buffer: BytesMut,
        read: usize,
    },
}

impl Piece {
    #[inline]
    fn unread(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own { buffer, read } => buffer.get(*read..).unwrap_or_default(),
        }
    }

    #[inline]
    fn skip(&mut self, count: usize) {
        match self {
            Self::Shared(bytes) => bytes.advance(count),
            Self::Own { read, .. } => *read += count,
        }
    }

    /// Hands out the next `len` bytes, of which there are as many.
    fn take(&mut self, len: usize) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes.split_to(len),
            Self::Own { buffer, read } => {
                let back = if len < SMALLEST_MOVED {
                    0
                } else {
                    distance_to_alignment(buffer, *read)
                };
                let start = *read - back;
                if back > 0 {
                    buffer.copy_within(*read..*read + len, start);
                }
                buffer.advance(start);
                // What was behind the field before it was moved.
                *read = back;
                buffer.split_to(len).freeze()
            }
        }
    }
}

/// By how many bytes the field that begins at `start` must be moved towards the beginning.
fn distance_to_alignment(buffer: &BytesMut, start: usize) -> usize {
    let address = buffer.as_ptr().addr() + start;
    let distances = ALIGNMENTS.map(|alignment| address % alignment);
    let possible = distances.into_iter().find(|distance| *distance <= start);
    possible.unwrap_or(0)
}

/// A message while it is read.
struct Reader {
    /// Has unread bytes unless nothing remains.
    first: Piece,
    rest: VecDeque<Bytes>,
    remaining: usize,
}

impl Reader {
    #[inline]
    fn leave_what_is_read(&mut self) {
        while self.first.unread().is_empty()
            && let Some(next) = self.rest.pop_front()
        {
            self.first = Piece::Shared(next);
        }
    }
}

impl Buf for Reader {
    #[inline]
    fn remaining(&self) -> usize {
        self.remaining
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self.first.unread()
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining, "no more bytes are left");
        self.remaining -= count;
        let mut left = count;
        loop {
            let step = left.min(self.first.unread().len());
            self.first.skip(step);
            left -= step;
            self.leave_what_is_read();
            if left == 0 {
                return;
            }
        }
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        assert!(len <= self.remaining, "no more bytes are left");
        if len <= self.first.unread().len() {
            self.remaining -= len;
            let field = self.first.take(len);
            self.leave_what_is_read();
            return field;
        }
        let mut joined = BytesMut::with_capacity(len);
        while joined.len() < len {
            let unread = self.first.unread();
            let step = unread.len().min(len - joined.len());
            joined.extend_from_slice(&unread[..step]);
            self.advance(step);
        }
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::milvus::{InsertRequest, QueryResults};
    use crate::schema::{
        FieldData, FloatArray, ScalarField, VectorField, field_data, vector_field,
    };

    fn received(encoded: &[u8], cuts: &[usize]) -> ReceivedMessage {
        let mut rest = Bytes::copy_from_slice(encoded);
        let mut received = ReceivedMessage::default();
        for cut in cuts {
            received.push(rest.split_to((*cut).min(rest.len())));
        }
        received.push(rest);
        received
    }

    fn vectors(values: Vec<f32>) -> QueryResults {
        let vectors = VectorField {
            dim: 8,
            data: Some(vector_field::Data::FloatVector(FloatArray::from(values))),
        };
        QueryResults {
            collection_name: "docs".to_owned(),
            fields_data: vec![
                FieldData {
                    field: Some(field_data::Field::Scalars(ScalarField::default())),
                    ..FieldData::default()
                },
                FieldData {
                    field_name: "vector".to_owned(),
                    field: Some(field_data::Field::Vectors(vectors)),
                    ..FieldData::default()
                },
            ],
            ..QueryResults::default()
        }
    }

    fn packed(answer: &QueryResults, field: usize) -> Bytes {
        match &answer.fields_data[field].field {
            Some(field_data::Field::Vectors(VectorField {
                data: Some(vector_field::Data::FloatVector(floats)),
                ..
            })) => floats.data.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// As it comes over the network.
    fn owned(encoded: &[u8], before: usize) -> ReceivedMessage {
        // The allocator aligns; so that the fields stand at all places, some bytes before them are cut off.
        let mut buffer = BytesMut::with_capacity(before + encoded.len());
        buffer.extend_from_slice(&[0; 8][..before]);
        buffer.extend_from_slice(encoded);
        buffer.advance(before);
        buffer.into()
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_however_it_is_cut(
            names in proptest::collection::vec(".{0,40}", 0..6),
            count in 0_usize..4000,
            cuts in proptest::collection::vec(0_usize..6000, 0..8),
        ) {
            let mut message = vectors((0..count * 8).map(|value| value as f32).collect());
            message.output_fields = names;
            let encoded = message.encode_to_vec();
            let received = received(&encoded, &cuts);
            prop_assert_eq!(received.len(), encoded.len());
            prop_assert_eq!(&received.decode::<QueryResults>().unwrap(), &message);
            for before in 0..8 {
                let received = owned(&encoded, before);
                prop_assert_eq!(&received.decode::<QueryResults>().unwrap(), &message);
            }
        }

        #[test]
        fn bytes_that_are_no_message_are_an_error_and_no_panic(
            encoded in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(0_usize..40, 0..12),
        ) {
            let whole = InsertRequest::decode(encoded.as_slice());
            let pieces = received(&encoded, &cuts).decode::<InsertRequest>();
            prop_assert_eq!(whole.is_ok(), pieces.is_ok());
            let owned = owned(&encoded, cuts.len() % 8).decode::<InsertRequest>();
            prop_assert_eq!(whole.is_ok(), owned.is_ok());
        }
    }

    #[test]
    fn large_fields_of_a_message_with_its_own_buffer_can_be_read_as_numbers_where_they_stand() {
        for before in 0..8 {
            let mut message = vectors((0..100_000).map(|value| value as f32).collect());
            message.fields_data.push(message.fields_data[1].clone());
            let received = owned(&message.encode_to_vec(), before);
            let decoded: QueryResults = received.decode().unwrap();
            assert_eq!(decoded, message);
            for field in [1, 2] {
                let packed = packed(&decoded, field);
                let values = crate::packed_values::<f32>(&packed).unwrap();
                assert!(
                    matches!(values, std::borrow::Cow::Borrowed(_)),
                    "{before} {field}"
                );
            }
        }
    }

    #[test]
    fn a_field_within_one_piece_is_a_slice_of_it() {
        let encoded = Bytes::from(vectors(vec![0.5; 10_000]).encode_to_vec());
        let decoded: QueryResults = ReceivedMessage::from(encoded.clone()).decode().unwrap();
        let place = packed(&decoded, 1).as_ptr() as usize;
        let start = encoded.as_ptr() as usize;
        assert!((start..start + encoded.len()).contains(&place));
    }

    #[test]
    fn the_content_is_not_shown() {
        let received = ReceivedMessage::from(Bytes::from_static(b"secret"));
        assert!(!format!("{received:?}").contains("secret"));
    }
}
