//! One contiguous run of bytes, shared by reference count, aligned for the type that reads it.
//!
//! The invariant is alignment: a block made for a type can be seen as a slice of that type without a copy. Blocks in a mapped
//! file start at multiples of 64 bytes and so always satisfy it; bytes cut out of a message may not, and are copied once.

use bytemuck::Pod;
use bytes::Bytes;

/// Shared, immutable, aligned bytes.
#[derive(Clone, Default)]
pub struct Block(Bytes);

/// Keeps a typed vector alive behind [`Bytes`]; the vector's own allocation gives the alignment.
struct VecOwner<T>(Vec<T>);

impl<T: Pod> AsRef<[u8]> for VecOwner<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl Block {
    /// Takes a vector's memory without copying it.
    pub fn from_vec<T: Pod + Send + Sync>(values: Vec<T>) -> Self {
        Self(Bytes::from_owner(VecOwner(values)))
    }

    /// Shares `bytes`, or copies them once when they don't start at a multiple of `align` (at most 8).
    pub fn aligned(bytes: Bytes, align: usize) -> Self {
        if bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(align) {
            return Self(bytes);
        }
        // A vector of u64 is aligned for every element type; its tail beyond `bytes` is cut off again by the slice.
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(&bytes);
        Self(Bytes::from_owner(VecOwner(words)).slice(..bytes.len()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, by reference count.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes as values of `T`. Columns check size and alignment when they are made; a block that fits neither reads as
    /// empty.
    pub fn as_slice<T: Pod>(&self) -> &[T] {
        bytemuck::try_cast_slice(&self.0).unwrap_or(&[])
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misaligned_bytes_are_copied_and_aligned_ones_are_shared() {
        let words = Bytes::from_owner(VecOwner((0..16u64).collect::<Vec<_>>()));
        for cut in 0..9 {
            let part = words.slice(cut..cut + 24);
            let block = Block::aligned(part.clone(), 8);
            assert_eq!(block.as_bytes(), &part[..]);
            assert_eq!(block.as_slice::<u64>().len(), 3);
            assert_eq!(block.as_bytes().as_ptr() == part.as_ptr(), cut % 8 == 0);
        }
    }

    #[test]
    fn vectors_are_not_copied() {
        let values = vec![1.0f32, 2.0, 3.0];
        let address = values.as_ptr().addr();
        let block = Block::from_vec(values);
        assert_eq!(block.as_bytes().as_ptr().addr(), address);
        assert_eq!(block.as_slice::<f32>(), &[1.0, 2.0, 3.0]);
    }
}
