//! Deleted rows of a segment as the catalog keeps them.
//!
//! The invariant: a bitmap that is damaged, or belongs to a segment of another size, is an error and never a wrong row.

use crate::column::Bitmap;
use crate::storage::StorageError;

/// The bytes of the table `deletions`.
pub(crate) fn encode_bitmap(bitmap: &Bitmap) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 + bitmap.words().len() * 8);
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&(bitmap.len() as u64).to_le_bytes());
    bitmap
        .words()
        .iter()
        .for_each(|word| body.extend_from_slice(&word.to_le_bytes()));
    let checksum = crc32fast::hash(&body[4..]);
    body[..4].copy_from_slice(&checksum.to_le_bytes());
    body
}

/// Reads a bitmap back; it must have `rows` bits.
pub(crate) fn decode_bitmap(
    bytes: &[u8],
    rows: usize,
    path: &std::path::Path,
    segment: u64,
) -> Result<Bitmap, StorageError> {
    let damaged = |detail: &str| {
        StorageError::corrupt(
            path,
            format!("the deletions of segment {segment:016x}"),
            detail,
        )
    };
    let words = bytes.get(16..).ok_or_else(|| damaged("too short"))?;
    let stored = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if stored != crc32fast::hash(&bytes[4..]) {
        return Err(damaged("checksum mismatch"));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&bytes[8..16]);
    if u64::from_le_bytes(length) != rows as u64 || words.len() != rows.div_ceil(64) * 8 {
        return Err(damaged("it has another number of rows than the segment"));
    }
    let words = words
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    Ok(Bitmap::from_words(words, rows))
}
