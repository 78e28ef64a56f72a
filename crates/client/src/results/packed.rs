//! Floats as they were received, as a slice.
//!
//! The received bytes stand where the message put them, which need not be a multiple of four; then the
//! values are copied, once, when somebody asks for the slice.
//!
//! Invariant: the slice is always the same one.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use milvus_protocol::{PackedLengthError, PackedValue, packed_values};

#[derive(Debug, Default)]
pub(crate) struct Packed<T> {
    bytes: Bytes,
    copy: OnceLock<Box<[T]>>,
}

impl<T: PackedValue> Packed<T> {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            copy: OnceLock::new(),
        }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / size_of::<T>()
    }

    /// Takes the values from `place` on out of these; nothing is copied.
    pub(crate) fn split_off(&mut self, place: usize) -> Self {
        let at = place.saturating_mul(size_of::<T>()).min(self.bytes.len());
        self.copy = OnceLock::new();
        Self::new(self.bytes.split_off(at))
    }

    pub(crate) fn values(&self) -> Result<&[T], PackedLengthError> {
        if let Some(copy) = self.copy.get() {
            return Ok(copy);
        }
        Ok(match packed_values(&self.bytes)? {
            Cow::Borrowed(values) => values,
            Cow::Owned(values) => self.copy.get_or_init(|| values.into_boxed_slice()),
        })
    }
}

impl<T: Clone> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            copy: self.copy.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_any_offset_become_the_same_values() {
        let values = [1.5f32, -2.0, 3.25];
        let mut buffer = vec![0xEE; 4];
        buffer.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let buffer = Bytes::from(buffer);
        for offset in 0..4 {
            let mut shifted = buffer.slice(offset..4).to_vec();
            let start = shifted.len();
            shifted.extend_from_slice(&buffer[4..]);
            let packed = Packed::<f32>::new(Bytes::from(shifted).slice(start..));
            assert_eq!(packed.values().expect("whole values"), values);
            let first = packed.values().expect("whole values").as_ptr();
            assert_eq!(packed.values().expect("whole values").as_ptr(), first);
        }
    }
}
