//! A column: a type, a number of rows, and the blocks that hold them.
//!
//! The invariant, established by [`Column::from_blocks`] and kept by the builder: every block is present, aligned, and as large
//! as type and row count ask; the last offset does not pass the end of the values. Offsets in between are checked when a row is
//! read, and all at once by [`Column::validate`] for bytes that no checksum vouches for.

use bytes::Bytes;

use super::{Block, ColumnError, ColumnType};

/// What a block of a column holds. The numbers are stable: segment files use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum BlockRole {
    /// Bitmap of the rows that are not null, in `u64` words. Absent when no row is null.
    Validity = 1,
    /// Fixed-width values, the bytes of strings, dense vectors, or sparse weights.
    Values = 2,
    /// `u32` start of each row in the values (bytes, elements or sparse entries), and the end of the last.
    Offsets = 3,
    /// `u32` dimensions of sparse entries.
    Indices = 4,
    /// [`Validity`](Self::Validity) of an array's elements.
    ElementValidity = 5,
    /// [`Values`](Self::Values) of an array's elements.
    ElementValues = 6,
    /// [`Offsets`](Self::Offsets) of an array's string elements.
    ElementOffsets = 7,
}

impl BlockRole {
    /// Every role, in the order of the numbers.
    pub const ALL: [Self; 7] = [
        Self::Validity,
        Self::Values,
        Self::Offsets,
        Self::Indices,
        Self::ElementValidity,
        Self::ElementValues,
        Self::ElementOffsets,
    ];

    /// The role with this number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| *role as u8 == number)
    }

    /// The role that a block of an array's element column has in the array's own list of blocks.
    fn of_element(self) -> Option<Self> {
        match self {
            Self::Validity => Some(Self::ElementValidity),
            Self::Values => Some(Self::ElementValues),
            Self::Offsets => Some(Self::ElementOffsets),
            _ => None,
        }
    }
}

/// Rows of one type. Cheap to clone; see the [module](super) for the layout.
#[derive(Debug, Clone)]
pub struct Column {
    pub(super) kind: ColumnType,
    pub(super) rows: usize,
    pub(super) validity: Option<Block>,
    pub(super) storage: Storage,
}

#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// Rows of one width.
    Fixed(Block),
    /// Byte strings.
    Bytes { offsets: Block, bytes: Block },
    /// Lists of scalars.
    List {
        offsets: Block,
        elements: Box<Column>,
    },
    /// Sparse vectors.
    Sparse {
        offsets: Block,
        indices: Block,
        values: Block,
    },
}

/// The blocks that a column is made from, picked by role.
struct Parts<'a> {
    kind: ColumnType,
    rows: usize,
    blocks: &'a [(BlockRole, Bytes)],
}

impl Parts<'_> {
    fn find(&self, role: BlockRole, align: usize) -> Option<Block> {
        let (_, bytes) = self.blocks.iter().find(|(found, _)| *found == role)?;
        Some(Block::aligned(bytes.clone(), align))
    }

    fn need(&self, role: BlockRole, align: usize) -> Result<Block, ColumnError> {
        self.find(role, align).ok_or(ColumnError::MissingBlock {
            kind: self.kind,
            rows: self.rows,
            role,
        })
    }

    fn sized(
        &self,
        role: BlockRole,
        align: usize,
        expected: Option<usize>,
    ) -> Result<Block, ColumnError> {
        let block = self.need(role, align)?;
        let Some(expected) = expected.filter(|size| *size != block.len()) else {
            return Ok(block);
        };
        Err(ColumnError::BlockSize {
            kind: self.kind,
            rows: self.rows,
            role,
            expected,
            actual: block.len(),
        })
    }

    /// The offsets block, and the number of things that it points into.
    fn offsets(&self) -> Result<(Block, usize), ColumnError> {
        let block = self.sized(
            BlockRole::Offsets,
            4,
            Some((self.rows + 1).saturating_mul(4)),
        )?;
        let end = block.as_slice::<u32>().last().copied().unwrap_or(0);
        Ok((block, end as usize))
    }
}

impl Column {
    /// Makes a column of parts of a file or message, by reference where alignment allows it. Blocks of roles that the type
    /// doesn't have are ignored.
    ///
    /// # Errors
    /// When a block is absent or has not the size that `kind` and `rows` ask for.
    pub fn from_blocks(
        kind: ColumnType,
        rows: usize,
        blocks: &[(BlockRole, Bytes)],
    ) -> Result<Self, ColumnError> {
        let parts = Parts { kind, rows, blocks };
        let validity = match parts.find(BlockRole::Validity, 8) {
            None => None,
            Some(_) => Some(parts.sized(BlockRole::Validity, 8, Some(rows.div_ceil(64) * 8))?),
        };
        let storage = match kind {
            ColumnType::Varchar | ColumnType::Json | ColumnType::Geometry => {
                let (offsets, end) = parts.offsets()?;
                Storage::Bytes {
                    offsets,
                    bytes: parts.sized(BlockRole::Values, 1, Some(end))?,
                }
            }
            ColumnType::SparseFloatVector => {
                let (offsets, end) = parts.offsets()?;
                let size = Some(end.saturating_mul(4));
                Storage::Sparse {
                    offsets,
                    indices: parts.sized(BlockRole::Indices, 4, size)?,
                    values: parts.sized(BlockRole::Values, 4, size)?,
                }
            }
            ColumnType::Array(element) => {
                let (offsets, end) = parts.offsets()?;
                let of_elements: Vec<_> =
                    [BlockRole::Validity, BlockRole::Values, BlockRole::Offsets]
                        .into_iter()
                        .filter_map(|role| {
                            let (_, bytes) = blocks
                                .iter()
                                .find(|(found, _)| Some(*found) == role.of_element())?;
                            Some((role, bytes.clone()))
                        })
                        .collect();
                let elements = Self::from_blocks(element.column_type(), end, &of_elements)?;
                Storage::List {
                    offsets,
                    elements: Box::new(elements),
                }
            }
            fixed => {
                let size = fixed.row_width().map(|width| width.saturating_mul(rows));
                Storage::Fixed(parts.sized(BlockRole::Values, fixed.value_align(), size)?)
            }
        };
        Ok(Self {
            kind,
            rows,
            validity,
            storage,
        })
    }

    /// The blocks to write to a segment file, in the order of their roles' numbers. [`Column::from_blocks`] takes them back.
    pub fn blocks(&self) -> Vec<(BlockRole, Bytes)> {
        let mut blocks: Vec<(BlockRole, Bytes)> = Vec::with_capacity(4);
        if let Some(validity) = &self.validity {
            blocks.push((BlockRole::Validity, validity.to_bytes()));
        }
        match &self.storage {
            Storage::Fixed(values) => blocks.push((BlockRole::Values, values.to_bytes())),
            Storage::Bytes { offsets, bytes } => {
                blocks.push((BlockRole::Values, bytes.to_bytes()));
                blocks.push((BlockRole::Offsets, offsets.to_bytes()));
            }
            Storage::Sparse {
                offsets,
                indices,
                values,
            } => {
                blocks.push((BlockRole::Values, values.to_bytes()));
                blocks.push((BlockRole::Offsets, offsets.to_bytes()));
                blocks.push((BlockRole::Indices, indices.to_bytes()));
            }
            Storage::List { offsets, elements } => {
                blocks.push((BlockRole::Offsets, offsets.to_bytes()));
                let of_elements = elements.blocks();
                blocks.extend(
                    of_elements
                        .into_iter()
                        .filter_map(|(role, bytes)| Some((role.of_element()?, bytes))),
                );
            }
        }
        blocks.sort_by_key(|(role, _)| *role);
        blocks
    }

    /// The bytes of a run of rows, shared, in the order of the rows. `None` unless rows have one width and none is null.
    pub(crate) fn shared_rows(&self, rows: std::ops::Range<usize>) -> Option<Bytes> {
        let (Storage::Fixed(values), None) = (&self.storage, &self.validity) else {
            return None;
        };
        let width = self.kind.row_width()?;
        let range = rows.start.checked_mul(width)?..rows.end.checked_mul(width)?;
        (range.start <= range.end && range.end <= values.len())
            .then(|| values.to_bytes().slice(range))
    }

    /// Checks that offsets ascend and integers of enumerations are in range: what sizes alone don't tell.
    ///
    /// # Errors
    /// At the first row whose range is wrong.
    pub fn validate(&self) -> Result<(), ColumnError> {
        let offsets = match &self.storage {
            Storage::Fixed(_) => return Ok(()),
            Storage::Bytes { offsets, .. }
            | Storage::Sparse { offsets, .. }
            | Storage::List { offsets, .. } => offsets,
        };
        let ends = offsets.as_slice::<u32>();
        if let Some(row) = ends.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(ColumnError::Offsets {
                kind: self.kind,
                row,
            });
        }
        match &self.storage {
            Storage::List { elements, .. } => elements.validate(),
            _ => Ok(()),
        }
    }

    /// Type of the rows.
    pub fn column_type(&self) -> ColumnType {
        self.kind
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Words of the validity bitmap (set: not null), or `None` when no row is null. Bits beyond the last row are undefined.
    pub fn validity(&self) -> Option<&[u64]> {
        self.validity.as_ref().map(Block::as_slice)
    }

    /// Whether the row holds a value. False beyond the last row.
    pub fn is_valid(&self, row: usize) -> bool {
        row < self.rows
            && self.validity().is_none_or(|words| {
                words
                    .get(row / 64)
                    .is_some_and(|word| word >> (row % 64) & 1 == 1)
            })
    }

    /// How many rows are null.
    pub fn null_count(&self) -> usize {
        match self.validity() {
            None => 0,
            Some(_) => (0..self.rows).filter(|row| !self.is_valid(*row)).count(),
        }
    }

    /// Bytes of all blocks together.
    pub fn byte_size(&self) -> usize {
        self.blocks().iter().map(|(_, bytes)| bytes.len()).sum()
    }
}
