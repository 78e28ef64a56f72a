//! A buffer to encode messages into that keeps large byte fields by reference.
//!
//! prost hands every `Bytes` field to [`BufMut::put`] as a clone, which costs a reference count. An
//! ordinary buffer copies it there; this one takes a large field over as a segment of its own, so that
//! a vector column travels from the caller to the socket without being copied.
//!
//! Invariant: the segments, one after the other, are exactly what the calls of [`BufMut`] have put, in
//! their order, and what has been written is never moved again.

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A byte field of at least this length becomes a segment of its own. Below, a copy costs less than
/// one more segment on its way through HTTP/2.
pub const DEFAULT_SEGMENT_THRESHOLD: usize = 4 * 1024;

const FIRST_CHUNK: usize = 4 * 1024;
const LARGEST_CHUNK: usize = 256 * 1024;

/// A growing list of byte segments, written through [`BufMut`].
///
/// ```
/// use bytes::{BufMut, Bytes};
/// use milvus_protocol::SegmentedBuf;
///
/// let vectors = Bytes::from(vec![0_u8; 100_000]);
/// let mut buf = SegmentedBuf::new(100_007);
/// buf.put_slice(b"before");
/// buf.put(vectors.clone());
/// buf.put_u8(b'.');
///
/// let segments = buf.into_segments();
/// assert_eq!(segments.len(), 3);
/// assert_eq!(segments[1].as_ptr(), vectors.as_ptr());
/// ```
#[derive(Debug)]
pub struct SegmentedBuf {
    /// What is complete, in order; none of them is empty.
    segments: Vec<Bytes>,
    /// Where small pieces are written; follows the last segment.
    tail: BytesMut,
    /// Number of bytes in `segments`.
    sealed: usize,
    /// Number of bytes that the caller expects in the end.
    expected: usize,
    /// Size of the next chunk for small pieces, unless less is expected.
    next_chunk: usize,
    threshold: usize,
}

impl SegmentedBuf {
    /// An empty buffer for about `expected_len` bytes. More or fewer may be put; the number only decides
    /// how much memory is taken at once for small pieces.
    #[must_use]
    pub fn new(expected_len: usize) -> Self {
        Self::with_threshold(expected_len, DEFAULT_SEGMENT_THRESHOLD)
    }

    /// As [`new`](Self::new), with another length from which a byte field is kept by reference. Empty
    /// fields never become segments.
    #[must_use]
    pub fn with_threshold(expected_len: usize, threshold: usize) -> Self {
        Self {
            segments: Vec::new(),
            tail: BytesMut::new(),
            sealed: 0,
            expected: expected_len,
            next_chunk: FIRST_CHUNK,
            threshold: threshold.max(1),
        }
    }

    /// Number of bytes put so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sealed.saturating_add(self.tail.len())
    }

    /// Whether nothing has been put.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The segments in order; none is empty.
    #[must_use]
    pub fn into_segments(mut self) -> Vec<Bytes> {
        self.seal_tail();
        self.segments
    }

    /// Makes what was written into the tail a segment; the tail keeps the rest of its memory.
    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let piece = self.tail.split().freeze();
            self.sealed = self.sealed.saturating_add(piece.len());
            self.segments.push(piece);
        }
    }

    /// Makes room for at least one byte in the tail. A full tail is sealed and replaced, not enlarged:
    /// enlarging would copy what is in it.
    fn ensure_room(&mut self) {
        if self.tail.len() < self.tail.capacity() {
            return;
        }
        self.seal_tail();
        let rest = self.expected.saturating_sub(self.sealed);
        let size = if rest == 0 {
            self.next_chunk
        } else {
            rest.min(self.next_chunk)
        };
        self.tail = BytesMut::with_capacity(size);
        self.next_chunk = (self.next_chunk * 2).min(LARGEST_CHUNK);
    }
}

// SAFETY: `chunk_mut` and `advance_mut` act on the same `BytesMut`, whose own implementation upholds
// the contract: the slice that `chunk_mut` hands out is the spare capacity behind its length, and
// `advance_mut(n)` only adds `n` to that length after checking it against the capacity. Between the two
// calls nothing else can touch the tail, since both take `&mut self` and the slice borrows it. The
// slice is never empty, because `ensure_room` leaves capacity beyond the length. `remaining_mut` only
// tells callers when to give up: it falls from `usize::MAX` by what was put and never wraps, since `len`
// saturates, and no memory access depends on it. `put` and `put_slice` are overridden by safe code that
// puts all of `src` in order, as the defaults do.
unsafe impl BufMut for SegmentedBuf {
    #[inline]
    fn remaining_mut(&self) -> usize {
        usize::MAX - self.len()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, cnt: usize) {
        // SAFETY: the caller promises that it has initialised the first `cnt` bytes of the last
        // `chunk_mut`, which is the tail's own chunk.
        unsafe { self.tail.advance_mut(cnt) }
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.ensure_room();
        self.tail.chunk_mut()
    }

    #[inline]
    fn put<T: Buf>(&mut self, mut src: T)
    where
        Self: Sized,
    {
        if src.remaining() >= self.threshold {
            self.seal_tail();
            let segment = src.copy_to_bytes(src.remaining());
            self.sealed = self.sealed.saturating_add(segment.len());
            self.segments.push(segment);
            return;
        }
        while src.has_remaining() {
            let piece = src.chunk();
            let length = piece.len();
            self.put_slice(piece);
            src.advance(length);
        }
    }

    #[inline]
    fn put_slice(&mut self, mut src: &[u8]) {
        while !src.is_empty() {
            self.ensure_room();
            let room = self.tail.capacity() - self.tail.len();
            let (now, later) = src.split_at(src.len().min(room));
            self.tail.extend_from_slice(now);
            src = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concatenated(segments: &[Bytes]) -> Vec<u8> {
        segments
            .iter()
            .flat_map(|segment| segment.iter().copied())
            .collect()
    }

    #[test]
    fn a_large_field_is_kept_by_reference_and_a_small_one_is_copied() {
        let large = Bytes::from(vec![1_u8; DEFAULT_SEGMENT_THRESHOLD]);
        let small = Bytes::from(vec![2_u8; DEFAULT_SEGMENT_THRESHOLD - 1]);
        let mut buf = SegmentedBuf::new(0);
        buf.put(large.clone());
        buf.put(small.clone());
        assert_eq!(buf.len(), large.len() + small.len());
        let segments = buf.into_segments();
        assert_eq!(segments.len(), 2);
        assert_eq!(segments[0].as_ptr(), large.as_ptr());
        assert_ne!(segments[1].as_ptr(), small.as_ptr());
        assert_eq!(segments[1], small);
    }

    #[test]
    fn a_small_message_of_the_expected_length_is_one_exact_allocation() {
        let mut buf = SegmentedBuf::new(10);
        buf.put_slice(b"0123");
        buf.put_u32(7);
        buf.put_u16(7);
        assert_eq!(buf.tail.capacity(), 10);
        assert_eq!(buf.into_segments().len(), 1);
    }

    #[test]
    fn nothing_put_is_no_segment() {
        let mut buf = SegmentedBuf::with_threshold(0, 0);
        buf.put(Bytes::new());
        buf.put_slice(&[]);
        assert!(buf.is_empty());
        assert!(buf.into_segments().is_empty());
    }

    #[test]
    fn a_source_in_several_pieces_is_put_whole() {
        for threshold in [1, 4, 100] {
            let mut buf = SegmentedBuf::with_threshold(3, threshold);
            buf.put(Bytes::from_static(b"abc").chain(Bytes::from_static(b"defg")));
            assert_eq!(concatenated(&buf.into_segments()), b"abcdefg");
        }
    }

    #[test]
    fn what_exceeds_the_expected_length_goes_into_further_chunks() {
        let mut buf = SegmentedBuf::with_threshold(3, usize::MAX);
        let mut expected = Vec::new();
        for byte in 0..=255_u8 {
            for _ in 0..40 {
                buf.put_u8(byte);
                expected.push(byte);
            }
        }
        assert_eq!(buf.len(), expected.len());
        assert_eq!(concatenated(&buf.into_segments()), expected);
    }

    #[test]
    fn written_memory_stays_where_it_is_when_the_buffer_grows() {
        let mut buf = SegmentedBuf::with_threshold(8, usize::MAX);
        buf.put_slice(b"12345678");
        let before = buf.tail.as_ptr();
        buf.put_slice(&[0; 10_000]);
        assert_eq!(buf.into_segments()[0].as_ptr(), before);
    }

    #[test]
    fn the_raw_interface_writes_chunk_by_chunk() {
        let mut buf = SegmentedBuf::with_threshold(2, 4);
        for byte in 0..10_u8 {
            let chunk = buf.chunk_mut();
            assert!(chunk.len() > 0);
            chunk.write_byte(0, byte);
            // SAFETY: one byte of the chunk has just been written.
            unsafe { buf.advance_mut(1) };
            if byte == 5 {
                buf.put(Bytes::from_static(b"large"));
            }
        }
        assert_eq!(
            concatenated(&buf.into_segments()),
            [0, 1, 2, 3, 4, 5, b'l', b'a', b'r', b'g', b'e', 6, 7, 8, 9]
        );
    }
}
