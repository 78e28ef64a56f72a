//! Log records: what one request changes. A large one is cut into several values of the log; all of it or nothing is there after a
//! crash, because one transaction holds them all.

use std::path::Path;

use bytes::Bytes;

use super::image::{EncodedImage, u32_at, u64_at};
use super::{ImageReader, StorageError, encode_image};
use crate::column::Column;

const MAGIC: [u8; 4] = *b"MVLR";
const VERSION: u32 = 1;
const PART_HEADER: usize = 64;
const KIND_ROWS: u32 = 1;
const KIND_DELETION: u32 = 2;
/// The catalog keeps a value in a page of its own whose size is a power of two, and writes the whole page. A record of 590 KB would
/// so write 1 MiB; cut into values that fill their pages it writes 592 KiB. What is left below this stays one value.
const SMALLEST_CUT: usize = 32 << 10;
/// As above; bounds the buffer through which values go.
const LARGEST_CUT: usize = 1 << 20;
/// What a page holds besides its value: a header, the key, two offsets. Measured: 32 bytes.
const PAGE_OVERHEAD: usize = 64;

/// One step of a request. Steps apply in order.
#[derive(Debug, Clone)]
pub(crate) enum LogPart {
    /// Rows that become part of a partition: field id and column.
    Rows {
        partition: u64,
        rows: usize,
        columns: Vec<(i64, Column)>,
    },
    /// Rows with these primary keys are deleted, in one partition or (0) in all.
    Deletion { partition: u64, keys: Column },
}

/// The pieces of a record, to be written one after the other.
pub(crate) fn encode_record(parts: &[LogPart]) -> Vec<Bytes> {
    let mut head = Vec::with_capacity(64);
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&(parts.len() as u32).to_le_bytes());
    let checksum = crc32fast::hash(&head);
    head.extend_from_slice(&checksum.to_le_bytes());
    head.resize(64, 0);
    let mut pieces = vec![Bytes::from(head)];
    for part in parts {
        let (kind, partition, image) = match part {
            LogPart::Rows {
                partition,
                rows,
                columns,
            } => (KIND_ROWS, *partition, encode_image(*rows, columns)),
            LogPart::Deletion { partition, keys } => (
                KIND_DELETION,
                *partition,
                encode_image(keys.len(), &[(0, keys.clone())]),
            ),
        };
        let EncodedImage {
            pieces: of_image,
            length,
        } = image;
        let mut fields = Vec::with_capacity(24);
        fields.extend_from_slice(&partition.to_le_bytes());
        fields.extend_from_slice(&(length as u64).to_le_bytes());
        fields.extend_from_slice(&[0; 8]);
        let mut header = Vec::with_capacity(PART_HEADER);
        header.extend_from_slice(&kind.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&fields).to_le_bytes());
        header.extend_from_slice(&fields);
        header.resize(PART_HEADER, 0);
        pieces.push(Bytes::from(header));
        pieces.extend(of_image);
        pieces.push(Bytes::from(vec![0; length.next_multiple_of(64) - length]));
    }
    pieces
}

/// Cuts a record into the values that the log keeps, in their order. Nothing is copied.
pub(crate) fn cut_record(record: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut left: usize = record.iter().map(Bytes::len).sum();
    let mut pieces = record.into_iter();
    let mut next = Bytes::new();
    let mut values = Vec::new();
    while left > 0 {
        let mut missing = value_length(left);
        left -= missing;
        let mut value = Vec::new();
        while missing > 0 {
            if next.is_empty() {
                // There are as many bytes as were counted.
                let Some(piece) = pieces.next() else { break };
                next = piece;
                continue;
            }
            let part = next.split_to(missing.min(next.len()));
            missing -= part.len();
            value.push(part);
        }
        values.push(value);
    }
    values
}

/// Length of the next value of a record of which so many bytes are left.
fn value_length(left: usize) -> usize {
    if left + PAGE_OVERHEAD <= SMALLEST_CUT {
        return left;
    }
    let page = 1usize << (left + PAGE_OVERHEAD).ilog2();
    page.min(LARGEST_CUT) - PAGE_OVERHEAD
}

/// The key of a value of a record: collection and timestamp, and for all but the first value which one it is.
pub(crate) fn record_key(collection: u64, timestamp: u64, value: u32) -> Vec<u8> {
    let mut key = [collection.to_be_bytes(), timestamp.to_be_bytes()].concat();
    if value > 0 {
        key.extend_from_slice(&value.to_be_bytes());
    }
    key
}

/// Reads a record back. `bytes` start on a 64-byte boundary, the columns share them. `path` and `place` are named in errors.
pub(crate) fn decode_record(
    bytes: &Bytes,
    path: &Path,
    place: &str,
) -> Result<Vec<LogPart>, StorageError> {
    let damaged = |detail: &str| StorageError::corrupt(path, place, detail);
    if bytes.len() < 64 || bytes[..4] != MAGIC || u32_at(bytes, 12) != crc32fast::hash(&bytes[..12])
    {
        return Err(damaged("its header"));
    }
    let version = u32_at(bytes, 4);
    if version > VERSION {
        return Err(StorageError::TooNew {
            path: path.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    let mut at = 64usize;
    let mut parts = Vec::new();
    for _ in 0..u32_at(bytes, 8) {
        let header = bytes
            .get(at..at.saturating_add(PART_HEADER))
            .ok_or_else(|| damaged("it ends too early"))?;
        if u32_at(header, 4) != crc32fast::hash(&header[8..32]) {
            return Err(damaged("checksum of a part"));
        }
        let (kind, partition, length) = (
            u32_at(header, 0),
            u64_at(header, 8),
            u64_at(header, 16) as usize,
        );
        let start = at + PART_HEADER;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= bytes.len())
            .ok_or_else(|| damaged("it ends too early"))?;
        let image = ImageReader::open(bytes.slice(start..end), path, true)?;
        parts.push(match kind {
            KIND_ROWS => {
                let fields: Vec<i64> = image.fields().collect();
                let mut columns = Vec::with_capacity(fields.len());
                for field in fields {
                    columns.extend(image.column(field)?.map(|column| (field, column)));
                }
                LogPart::Rows {
                    partition,
                    rows: image.rows(),
                    columns,
                }
            }
            KIND_DELETION => {
                let keys = image
                    .column(0)?
                    .ok_or_else(|| damaged("a deletion without keys"))?;
                LogPart::Deletion { partition, keys }
            }
            _ => return Err(damaged("a part of unknown kind")),
        });
        at = end.next_multiple_of(64);
    }
    Ok(parts)
}
