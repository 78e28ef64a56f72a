//! Column images: the one byte form of rows, used for segment files and inside log records.
//!
//! The invariant: a column is handed out only after the checksums of its blocks were verified, so damage is an error that names file and block and
//! never a wrong row. The check is made when a column is first read, not at open, so opening costs nothing for columns that nobody asks for.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::StorageError;
use crate::column::{BlockRole, Column, ColumnType, ElementType};

const MAGIC: [u8; 8] = *b"\x89MVCOL\r\n";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const COLUMN_ENTRY: usize = 16;
const BLOCK_ENTRY: usize = 32;
/// Blocks begin at multiples of this, so that typed views of a mapped file are aligned and no vector row straddles a cache line needlessly.
const ALIGNMENT: usize = 64;

static ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];

/// An image ready to be written: pieces that follow each other without gaps. Blocks are shared with the columns, not copied.
#[derive(Debug)]
pub(crate) struct EncodedImage {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) length: usize,
}

/// A column to be written: its blocks, each in pieces that follow each other.
#[derive(Debug)]
pub(crate) struct ImageColumn {
    field: i64,
    kind: ColumnType,
    blocks: Vec<(BlockRole, Vec<Bytes>)>,
}

impl ImageColumn {
    /// All rows of a column.
    pub(crate) fn whole(field: i64, column: &Column) -> Self {
        let blocks = column.blocks().into_iter();
        Self {
            field,
            kind: column.column_type(),
            blocks: blocks.map(|(role, bytes)| (role, vec![bytes])).collect(),
        }
    }

    /// Rows of one width, of which none is null, by their bytes.
    pub(crate) fn of_values(field: i64, kind: ColumnType, pieces: Vec<Bytes>) -> Self {
        Self {
            field,
            kind,
            blocks: vec![(BlockRole::Values, pieces)],
        }
    }
}

/// Lays `columns` (field id and column, all of `rows` rows) out as an image.
pub(crate) fn encode_image(rows: usize, columns: &[(i64, Column)]) -> EncodedImage {
    let columns = columns.iter();
    encode_columns(
        rows,
        columns
            .map(|(field, column)| ImageColumn::whole(*field, column))
            .collect(),
    )
}

/// As [`encode_image`].
pub(crate) fn encode_columns(rows: usize, columns: Vec<ImageColumn>) -> EncodedImage {
    let mut pieces = vec![Bytes::new()];
    let mut offset = HEADER;
    let mut entries = Vec::new();
    let mut blocks = 0u32;
    for column in &columns {
        let (kind, parameter) = type_code(column.kind);
        entries.extend_from_slice(&column.field.to_le_bytes());
        entries.extend_from_slice(&kind.to_le_bytes());
        entries.extend_from_slice(&parameter.to_le_bytes());
    }
    let count = columns.len() as u32;
    for (index, column) in (0u32..).zip(columns) {
        for (role, of_block) in column.blocks {
            let length: usize = of_block.iter().map(Bytes::len).sum();
            let mut checksum = crc32fast::Hasher::new();
            of_block.iter().for_each(|piece| checksum.update(piece));
            entries.extend_from_slice(&index.to_le_bytes());
            entries.extend_from_slice(&u32::from(role as u8).to_le_bytes());
            entries.extend_from_slice(&(offset as u64).to_le_bytes());
            entries.extend_from_slice(&(length as u64).to_le_bytes());
            entries.extend_from_slice(&checksum.finalize().to_le_bytes());
            entries.extend_from_slice(&[0; 4]);
            let padding = length.next_multiple_of(ALIGNMENT) - length;
            offset += length + padding;
            pieces.extend(of_block);
            pieces.push(Bytes::from_static(&ZEROS[..padding]));
            blocks += 1;
        }
    }
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&count.to_le_bytes());
    header.extend_from_slice(&blocks.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&(rows as u64).to_le_bytes());
    header.extend_from_slice(&(offset as u64).to_le_bytes());
    header.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&entries).to_le_bytes());
    header.extend_from_slice(&[0; 8]);
    let checksum = crc32fast::hash(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    if let Some(first) = pieces.first_mut() {
        *first = Bytes::from(header);
    }
    let length = offset + entries.len();
    pieces.push(Bytes::from(entries));
    EncodedImage { pieces, length }
}

#[derive(Debug, Clone)]
struct BlockEntry {
    column: u32,
    role: u32,
    range: std::ops::Range<usize>,
    checksum: u32,
}

/// An image in a mapped file or a buffer, its header and directory checked.
#[derive(Debug, Clone)]
pub(crate) struct ImageReader {
    bytes: Bytes,
    path: PathBuf,
    rows: usize,
    columns: Vec<(i64, ColumnType)>,
    blocks: Vec<BlockEntry>,
}

impl ImageReader {
    /// Reads header and directory. `path` is named in errors. `bytes` may go on after the image's end only when `exact` is false.
    pub(crate) fn open(bytes: Bytes, path: &Path, exact: bool) -> Result<Self, StorageError> {
        let damaged = |place: &str, detail: &str| StorageError::corrupt(path, place, detail);
        let header = bytes
            .get(..HEADER)
            .ok_or_else(|| damaged("the header", "the file is shorter than a header"))?;
        if header[..8] != MAGIC {
            return Err(damaged("the header", "this is not a column image"));
        }
        if u32_at(header, 60) != crc32fast::hash(&header[..60]) {
            return Err(damaged("the header", "checksum mismatch"));
        }
        let version = u32_at(header, 8);
        if version > VERSION {
            return Err(StorageError::TooNew {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        let (start, length) = (u64_at(header, 32) as usize, u64_at(header, 40) as usize);
        let end = start
            .checked_add(length)
            .filter(|end| *end <= bytes.len() && (!exact || *end == bytes.len()));
        let Some(end) = end else {
            return Err(damaged(
                "the directory",
                &format!(
                    "the file has {} bytes, the header says otherwise",
                    bytes.len()
                ),
            ));
        };
        let directory = &bytes[start..end];
        if u32_at(header, 48) != crc32fast::hash(directory) {
            return Err(damaged("the directory", "checksum mismatch"));
        }
        let rows = u64_at(header, 24) as usize;
        let (columns, blocks) = read_directory(directory, u32_at(header, 12) as usize, start)
            .ok_or_else(|| damaged("the directory", "its entries don't fit the file"))?;
        Ok(Self {
            rows,
            columns,
            blocks,
            path: path.to_owned(),
            bytes,
        })
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Ids of the fields in the image.
    pub(crate) fn fields(&self) -> impl Iterator<Item = i64> + '_ {
        self.columns.iter().map(|(field, _)| *field)
    }

    /// The column of a field, its checksums verified; `None` when the image has no such field.
    pub(crate) fn column(&self, field: i64) -> Result<Option<Column>, StorageError> {
        let Some(index) = self.columns.iter().position(|(found, _)| *found == field) else {
            return Ok(None);
        };
        let kind = self.columns[index].1;
        let place = |what: &str| format!("the {what} of field {field} ({kind})");
        let mut blocks = Vec::with_capacity(4);
        for entry in self
            .blocks
            .iter()
            .filter(|entry| entry.column as usize == index)
        {
            let role = u8::try_from(entry.role).ok().and_then(BlockRole::from_u8);
            let Some(role) = role else {
                return Err(StorageError::corrupt(
                    &self.path,
                    place("block"),
                    format!("unknown role {}", entry.role),
                ));
            };
            let bytes = self.bytes.slice(entry.range.clone());
            if crc32fast::hash(&bytes) != entry.checksum {
                let what = format!("{role:?} block at byte {}", entry.range.start);
                return Err(StorageError::corrupt(
                    &self.path,
                    place(&what),
                    "checksum mismatch",
                ));
            }
            blocks.push((role, bytes));
        }
        let checked = Column::from_blocks(kind, self.rows, &blocks)
            .and_then(|column| column.validate().map(|()| column));
        checked
            .map(Some)
            .map_err(|error| StorageError::corrupt(&self.path, place("column"), error.to_string()))
    }
}

/// Field and type of the columns, and the blocks.
type Directory = (Vec<(i64, ColumnType)>, Vec<BlockEntry>);

fn read_directory(directory: &[u8], columns: usize, limit: usize) -> Option<Directory> {
    let (of_columns, of_blocks) = directory.split_at_checked(columns.checked_mul(COLUMN_ENTRY)?)?;
    if of_blocks.len() % BLOCK_ENTRY != 0 {
        return None;
    }
    let read_column = |entry: &[u8]| {
        Some((
            u64_at(entry, 0) as i64,
            type_from_code(u32_at(entry, 8), u32_at(entry, 12))?,
        ))
    };
    let read_block = |entry: &[u8]| {
        let start = usize::try_from(u64_at(entry, 8)).ok()?;
        let end = start.checked_add(usize::try_from(u64_at(entry, 16)).ok()?)?;
        let inside = start >= HEADER && end <= limit && start.is_multiple_of(ALIGNMENT);
        let column = u32_at(entry, 0);
        (inside && (column as usize) < columns).then(|| BlockEntry {
            column,
            role: u32_at(entry, 4),
            range: start..end,
            checksum: u32_at(entry, 24),
        })
    };
    Some((
        of_columns
            .chunks_exact(COLUMN_ENTRY)
            .map(read_column)
            .collect::<Option<_>>()?,
        of_blocks
            .chunks_exact(BLOCK_ENTRY)
            .map(read_block)
            .collect::<Option<_>>()?,
    ))
}

/// Little-endian number at `at`; zero beyond the end, which the checksums and range checks then refuse.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|piece| piece.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

/// As [`u32_at`], eight bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|piece| piece.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// Milvus's number of a type, and the one parameter that some types have.
fn type_code(kind: ColumnType) -> (u32, u32) {
    match kind {
        ColumnType::Bool => (1, 0),
        ColumnType::Int8 => (2, 0),
        ColumnType::Int16 => (3, 0),
        ColumnType::Int32 => (4, 0),
        ColumnType::Int64 => (5, 0),
        ColumnType::Float => (10, 0),
        ColumnType::Double => (11, 0),
        ColumnType::Varchar => (21, 0),
        ColumnType::Array(element) if element.is_vector() => {
            // The element's number in the upper 8 bits, its dimension below.
            let (number, dim) = type_code(element.column_type());
            (106, number << 24 | dim & DIMENSION_BITS)
        }
        ColumnType::Array(element) => (22, type_code(element.column_type()).0),
        ColumnType::Json => (23, 0),
        ColumnType::Geometry => (24, 0),
        ColumnType::Timestamptz => (26, 0),
        ColumnType::BinaryVector { dim } => (100, dim),
        ColumnType::FloatVector { dim } => (101, dim),
        ColumnType::Float16Vector { dim } => (102, dim),
        ColumnType::BFloat16Vector { dim } => (103, dim),
        ColumnType::SparseFloatVector => (104, 0),
        ColumnType::Int8Vector { dim } => (105, dim),
    }
}

fn type_from_code(kind: u32, parameter: u32) -> Option<ColumnType> {
    let dim = parameter;
    Some(match kind {
        1 => ColumnType::Bool,
        2 => ColumnType::Int8,
        3 => ColumnType::Int16,
        4 => ColumnType::Int32,
        5 => ColumnType::Int64,
        10 => ColumnType::Float,
        11 => ColumnType::Double,
        21 => ColumnType::Varchar,
        22 => ColumnType::Array(element_from_code(parameter)?),
        23 => ColumnType::Json,
        24 => ColumnType::Geometry,
        26 => ColumnType::Timestamptz,
        100 => ColumnType::BinaryVector { dim },
        101 => ColumnType::FloatVector { dim },
        102 => ColumnType::Float16Vector { dim },
        103 => ColumnType::BFloat16Vector { dim },
        104 => ColumnType::SparseFloatVector,
        105 => ColumnType::Int8Vector { dim },
        106 => ColumnType::Array(vector_element(parameter >> 24, dim & DIMENSION_BITS)?),
        _ => return None,
    })
}

/// Bits of a parameter that hold the dimension of an array's vectors.
const DIMENSION_BITS: u32 = (1 << 24) - 1;

/// The element type of an array of vectors from Milvus's number of it, and their dimension. Sparse vectors have none.
pub(crate) fn vector_element(kind: u32, dim: u32) -> Option<ElementType> {
    Some(match kind {
        100 => ElementType::BinaryVector { dim },
        101 => ElementType::FloatVector { dim },
        102 => ElementType::Float16Vector { dim },
        103 => ElementType::BFloat16Vector { dim },
        105 => ElementType::Int8Vector { dim },
        _ => return None,
    })
}

/// The element type of an array from Milvus's number of it.
pub(crate) fn element_from_code(kind: u32) -> Option<ElementType> {
    Some(match kind {
        1 => ElementType::Bool,
        2 => ElementType::Int8,
        3 => ElementType::Int16,
        4 => ElementType::Int32,
        5 => ElementType::Int64,
        10 => ElementType::Float,
        11 => ElementType::Double,
        20 | 21 => ElementType::Varchar,
        26 => ElementType::Timestamptz,
        _ => return None,
    })
}
