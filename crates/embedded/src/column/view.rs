//! Typed, borrowed views of a column's blocks: what loops read.
//!
//! No view panics: a row whose offsets are wrong reads as empty, a row beyond the end as null.

use bytemuck::Pod;

use super::storage::Storage;
use super::{Column, ColumnType};

/// All rows of a column, by type. Null rows read as zero or empty: ask [`Column::validity`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Values<'a> {
    /// One byte a row, 0 or 1.
    Bool(&'a [u8]),
    /// Values of `Int8`.
    Int8(&'a [i8]),
    /// Values of `Int16`.
    Int16(&'a [i16]),
    /// Values of `Int32`.
    Int32(&'a [i32]),
    /// Values of `Int64`.
    Int64(&'a [i64]),
    /// Values of `Float`.
    Float(&'a [f32]),
    /// Values of `Double`.
    Double(&'a [f64]),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamptz(&'a [i64]),
    /// UTF-8 texts.
    Varchar(BytesValues<'a>),
    /// JSON texts.
    Json(BytesValues<'a>),
    /// WKT texts.
    Geometry(BytesValues<'a>),
    /// Lists of scalars.
    Array(ListValues<'a>),
    /// Rows of binary32.
    FloatVector(DenseValues<'a, f32>),
    /// Rows of binary16, as bits.
    Float16Vector(DenseValues<'a, u16>),
    /// Rows of bfloat16, as bits.
    BFloat16Vector(DenseValues<'a, u16>),
    /// Rows of 8-bit integers.
    Int8Vector(DenseValues<'a, i8>),
    /// Rows of bits, eight to a byte; `width` counts bytes.
    BinaryVector(DenseValues<'a, u8>),
    /// Rows of pairs of dimension and weight.
    SparseFloatVector(SparseValues<'a>),
}

/// Byte strings of a `Varchar`, `Json` or `Geometry` column.
#[derive(Debug, Clone, Copy)]
pub struct BytesValues<'a> {
    offsets: &'a [u32],
    bytes: &'a [u8],
}

impl<'a> BytesValues<'a> {
    /// Bytes of a row; empty when null or out of range.
    #[inline]
    pub fn get(&self, row: usize) -> &'a [u8] {
        match self.offsets.get(row..row + 2) {
            Some(&[start, end]) => self.bytes.get(start as usize..end as usize).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.offsets.windows(2).map(move |range| {
            bytes
                .get(range[0] as usize..range[1] as usize)
                .unwrap_or(&[])
        })
    }
}

/// Lists of an `Array` column.
#[derive(Debug, Clone, Copy)]
pub struct ListValues<'a> {
    offsets: &'a [u32],
    elements: &'a Column,
}

impl<'a> ListValues<'a> {
    /// Where the row's elements stand in [`ListValues::elements`]; empty when null or out of range.
    #[inline]
    pub fn range(&self, row: usize) -> std::ops::Range<usize> {
        match self.offsets.get(row..row + 2) {
            Some(&[start, end]) if start <= end => {
                start as usize..(end as usize).min(self.elements.len())
            }
            _ => 0..0,
        }
    }

    /// The elements of all rows, one after the other.
    pub fn elements(&self) -> &'a Column {
        self.elements
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Vectors of one width, row after row.
#[derive(Debug, Clone, Copy)]
pub struct DenseValues<'a, T> {
    /// Components of all rows.
    pub data: &'a [T],
    /// Components of one row (for binary vectors: bytes).
    pub width: usize,
}

impl<'a, T> DenseValues<'a, T> {
    /// Components of a row; empty when out of range.
    #[inline]
    pub fn get(&self, row: usize) -> &'a [T] {
        let start = row.saturating_mul(self.width);
        self.data
            .get(start..start.saturating_add(self.width))
            .unwrap_or(&[])
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Sparse vectors in compressed sparse row form.
#[derive(Debug, Clone, Copy)]
pub struct SparseValues<'a> {
    offsets: &'a [u32],
    indices: &'a [u32],
    values: &'a [f32],
}

impl<'a> SparseValues<'a> {
    /// Dimensions (ascending) and weights of a row; empty when null or out of range.
    #[inline]
    pub fn get(&self, row: usize) -> (&'a [u32], &'a [f32]) {
        let Some(&[start, end]) = self.offsets.get(row..row + 2) else {
            return (&[], &[]);
        };
        let range = start as usize..end as usize;
        match (self.indices.get(range.clone()), self.values.get(range)) {
            (Some(indices), Some(values)) => (indices, values),
            _ => (&[], &[]),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One cell of a column.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value.
    Null,
    /// Of a `Bool` column.
    Bool(bool),
    /// Of an integer column.
    Int(i64),
    /// Of a `Float` column.
    Float(f32),
    /// Of a `Double` column.
    Double(f64),
    /// Of a `Timestamptz` column, in microseconds since 1970-01-01T00:00:00Z.
    Timestamptz(i64),
    /// Of a `Varchar` column. Bytes that are not UTF-8 (of a corrupt file) read as empty.
    Varchar(&'a str),
    /// Of a `Json` column: its text.
    Json(&'a [u8]),
    /// Of a `Geometry` column: its WKT.
    Geometry(&'a [u8]),
    /// Of an `Array` column: the column of elements, and which of them.
    Array(&'a Column, usize, usize),
    /// Of a dense vector column: its little-endian components.
    Dense(&'a [u8]),
    /// Of a sparse vector column: ascending dimensions, weights.
    Sparse(&'a [u32], &'a [f32]),
}

impl Column {
    /// The rows by type, without a copy.
    pub fn values(&self) -> Values<'_> {
        match (&self.storage, self.kind) {
            (Storage::Bytes { offsets, bytes }, kind) => {
                let values = BytesValues {
                    offsets: offsets.as_slice(),
                    bytes: bytes.as_bytes(),
                };
                match kind {
                    ColumnType::Json => Values::Json(values),
                    ColumnType::Geometry => Values::Geometry(values),
                    _ => Values::Varchar(values),
                }
            }
            (Storage::List { offsets, elements }, _) => Values::Array(ListValues {
                offsets: offsets.as_slice(),
                elements,
            }),
            (
                Storage::Sparse {
                    offsets,
                    indices,
                    values,
                },
                _,
            ) => Values::SparseFloatVector(SparseValues {
                offsets: offsets.as_slice(),
                indices: indices.as_slice(),
                values: values.as_slice(),
            }),
            (Storage::Fixed(values), kind) => match kind {
                ColumnType::Int8 => Values::Int8(values.as_slice()),
                ColumnType::Int16 => Values::Int16(values.as_slice()),
                ColumnType::Int32 => Values::Int32(values.as_slice()),
                ColumnType::Int64 => Values::Int64(values.as_slice()),
                ColumnType::Float => Values::Float(values.as_slice()),
                ColumnType::Double => Values::Double(values.as_slice()),
                ColumnType::Timestamptz => Values::Timestamptz(values.as_slice()),
                ColumnType::FloatVector { .. } => Values::FloatVector(self.dense(values)),
                ColumnType::Float16Vector { .. } => Values::Float16Vector(self.dense(values)),
                ColumnType::BFloat16Vector { .. } => Values::BFloat16Vector(self.dense(values)),
                ColumnType::Int8Vector { .. } => Values::Int8Vector(self.dense(values)),
                ColumnType::BinaryVector { .. } => Values::BinaryVector(self.dense(values)),
                _ => Values::Bool(values.as_slice()),
            },
        }
    }

    fn dense<'a, T: Pod>(&self, values: &'a super::Block) -> DenseValues<'a, T> {
        let width = self.kind.row_width().unwrap_or(0) / size_of::<T>();
        DenseValues {
            data: values.as_slice(),
            width,
        }
    }

    /// One cell; [`Value::Null`] for a null row and beyond the last one. For loops over rows take [`Column::values`].
    pub fn value(&self, row: usize) -> Value<'_> {
        if !self.is_valid(row) {
            return Value::Null;
        }
        self.stored_value(row).unwrap_or(Value::Null)
    }

    fn stored_value(&self, row: usize) -> Option<Value<'_>> {
        Some(match self.values() {
            Values::Bool(values) => Value::Bool(*values.get(row)? != 0),
            Values::Int8(values) => Value::Int(i64::from(*values.get(row)?)),
            Values::Int16(values) => Value::Int(i64::from(*values.get(row)?)),
            Values::Int32(values) => Value::Int(i64::from(*values.get(row)?)),
            Values::Int64(values) => Value::Int(*values.get(row)?),
            Values::Float(values) => Value::Float(*values.get(row)?),
            Values::Double(values) => Value::Double(*values.get(row)?),
            Values::Timestamptz(values) => Value::Timestamptz(*values.get(row)?),
            Values::Varchar(values) => {
                Value::Varchar(std::str::from_utf8(values.get(row)).unwrap_or(""))
            }
            Values::Json(values) => Value::Json(values.get(row)),
            Values::Geometry(values) => Value::Geometry(values.get(row)),
            Values::Array(lists) => {
                let range = lists.range(row);
                Value::Array(lists.elements(), range.start, range.end)
            }
            Values::SparseFloatVector(rows) => {
                let (indices, values) = rows.get(row);
                Value::Sparse(indices, values)
            }
            Values::FloatVector(rows) => Value::Dense(bytemuck::cast_slice(rows.get(row))),
            Values::Float16Vector(rows) | Values::BFloat16Vector(rows) => {
                Value::Dense(bytemuck::cast_slice(rows.get(row)))
            }
            Values::Int8Vector(rows) => Value::Dense(bytemuck::cast_slice(rows.get(row))),
            Values::BinaryVector(rows) => Value::Dense(rows.get(row)),
        })
    }
}
