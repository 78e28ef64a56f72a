//! Byte buffers whose start lies on a 64-byte boundary, so that typed views of blocks need no copy wherever the bytes came from.

use bytes::Bytes;

/// One cache line; the unit that gives a `Vec` its alignment.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes that start on a 64-byte boundary and may grow.
#[derive(Default)]
pub(crate) struct AlignedBuffer {
    lines: Vec<Line>,
    length: usize,
}

impl AlignedBuffer {
    /// Appends.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let used = self.length % 64;
        let fits = if used == 0 {
            0
        } else {
            bytes.len().min(64 - used)
        };
        let (head, rest) = bytes.split_at(fits);
        if let Some(line) = self.lines.last_mut() {
            line.0[used..used + fits].copy_from_slice(head);
        }
        self.lines.reserve(rest.len().div_ceil(64));
        for piece in rest.chunks(64) {
            let mut line = Line([0; 64]);
            line.0[..piece.len()].copy_from_slice(piece);
            self.lines.push(line);
        }
        self.length += bytes.len();
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The bytes, and an empty buffer in their place.
    pub(crate) fn take(&mut self) -> Bytes {
        Bytes::from_owner(std::mem::take(self))
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `lines` owns `lines.len() * 64 >= length` initialised bytes (`Line` is `repr(C)` around 64 `u8`, no padding), they are not
        // moved or changed while `self` is borrowed, and `u8` has no alignment or validity requirement.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<u8>(), self.length) }
    }
}

/// Copies `bytes` to a buffer that starts on a 64-byte boundary.
pub(crate) fn aligned_copy(bytes: &[u8]) -> Bytes {
    let mut buffer = AlignedBuffer::default();
    buffer.extend(bytes);
    buffer.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_equal_and_aligned() {
        for length in [0usize, 1, 63, 64, 65, 1000] {
            let source: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let copy = aligned_copy(&source);
            assert_eq!(copy, source);
            if length > 0 {
                assert_eq!(copy.as_ptr() as usize % 64, 0);
            }
            for cut in [0, 1, 64, 65, 400].map(|cut: usize| cut.min(length)) {
                let mut buffer = AlignedBuffer::default();
                buffer.extend(&source[..cut]);
                buffer.extend(&source[cut..]);
                assert_eq!(buffer.len(), length);
                assert_eq!(buffer.take(), source, "cut at {cut}");
            }
        }
    }
}
