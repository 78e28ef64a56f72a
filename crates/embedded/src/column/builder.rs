//! Makes columns: cell by cell from requests and defaults, or run by run from other columns (flush, compaction, results).
//!
//! The invariant is that a failed call leaves the builder as it was: a row is there whole or not at all.

use super::storage::Storage;
use super::{Block, Column, ColumnError, ColumnType, Value, Values};

/// A growing column.
///
/// ```
/// use milvus_embedded::column::{ColumnBuilder, ColumnType, Value};
/// let mut builder = ColumnBuilder::new(ColumnType::Int32);
/// builder.push(Value::Int(7))?;
/// builder.push(Value::Null)?;
/// let column = builder.finish();
/// assert_eq!((column.len(), column.null_count()), (2, 1));
/// # Ok::<(), milvus_embedded::column::ColumnError>(())
/// ```
#[derive(Debug)]
pub struct ColumnBuilder {
    kind: ColumnType,
    rows: usize,
    /// Words of the validity bitmap; made at the first null.
    validity: Option<Vec<u64>>,
    /// Fixed-width values, string bytes.
    bytes: Vec<u8>,
    /// Ends of rows of variable length, led by a zero.
    offsets: Vec<u32>,
    /// Dimensions of sparse entries.
    indices: Vec<u32>,
    /// Weights of sparse entries.
    weights: Vec<f32>,
    /// Elements of lists.
    elements: Option<Box<ColumnBuilder>>,
}

impl ColumnBuilder {
    /// An empty column of this type.
    pub fn new(kind: ColumnType) -> Self {
        Self::with_capacity(kind, 0)
    }

    /// An empty column with room for `rows` rows of fixed width.
    pub fn with_capacity(kind: ColumnType, rows: usize) -> Self {
        let elements = match kind {
            ColumnType::Array(element) => Some(Box::new(Self::new(element.column_type()))),
            _ => None,
        };
        let mut offsets = Vec::new();
        if kind.row_width().is_none() {
            offsets.reserve(rows + 1);
            offsets.push(0);
        }
        let bytes = Vec::with_capacity(kind.row_width().unwrap_or(0).saturating_mul(rows));
        Self {
            kind,
            rows: 0,
            validity: None,
            bytes,
            offsets,
            indices: Vec::new(),
            weights: Vec::new(),
            elements,
        }
    }

    /// Number of rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Type of the rows.
    pub fn column_type(&self) -> ColumnType {
        self.kind
    }

    fn note_valid(&mut self, valid: bool) {
        let row = self.rows;
        self.rows += 1;
        if !valid && self.validity.is_none() {
            // The rows so far are valid; bits beyond them are set below, one by one.
            let mut words = vec![u64::MAX; row.div_ceil(64)];
            if let (Some(last), used @ 1..) = (words.last_mut(), row % 64) {
                *last = (1u64 << used) - 1;
            }
            self.validity = Some(words);
        }
        if let Some(words) = &mut self.validity {
            words.resize(row / 64 + 1, 0);
            if valid {
                words[row / 64] |= 1 << (row % 64);
            }
        }
    }

    fn too_large(&self) -> ColumnError {
        ColumnError::TooLarge { kind: self.kind }
    }

    fn end_offset(&self, length: usize) -> Result<u32, ColumnError> {
        u32::try_from(length).map_err(|_| self.too_large())
    }

    fn mismatch(&self, found: impl Into<String>) -> ColumnError {
        ColumnError::TypeMismatch {
            kind: self.kind,
            found: found.into(),
        }
    }

    /// Appends a null row.
    pub fn push_null(&mut self) {
        match self.kind.row_width() {
            Some(width) => self.bytes.resize(self.bytes.len() + width, 0),
            None => self.offsets.push(self.offsets.last().copied().unwrap_or(0)),
        }
        self.note_valid(false);
    }

    /// Appends a cell.
    ///
    /// # Errors
    /// When the value is of another type, outside the integer type's range, a dense vector of another dimension, a sparse
    /// vector whose dimensions don't ascend, or too large for 32-bit offsets.
    pub fn push(&mut self, value: Value<'_>) -> Result<(), ColumnError> {
        match (self.kind, value) {
            (_, Value::Null) => {
                self.push_null();
                return Ok(());
            }
            (ColumnType::Bool, Value::Bool(flag)) => self.bytes.push(u8::from(flag)),
            (kind, Value::Int(number)) if kind.is_integer() => self.push_integer(number)?,
            (ColumnType::Float, Value::Float(number)) => {
                self.bytes.extend_from_slice(&number.to_le_bytes())
            }
            (ColumnType::Double, Value::Double(number)) => {
                self.bytes.extend_from_slice(&number.to_le_bytes())
            }
            (ColumnType::Timestamptz, Value::Timestamptz(micros)) => {
                self.bytes.extend_from_slice(&micros.to_le_bytes())
            }
            (ColumnType::Varchar, Value::Varchar(text)) => self.push_bytes(text.as_bytes())?,
            (ColumnType::Json, Value::Json(text))
            | (ColumnType::Geometry, Value::Geometry(text)) => self.push_bytes(text)?,
            (kind, Value::Dense(bytes)) if kind.is_dense_vector() => {
                let width = kind.row_width().unwrap_or(0);
                if bytes.len() != width {
                    return Err(self.mismatch(format!(
                        "a vector of {} bytes instead of {width}",
                        bytes.len()
                    )));
                }
                self.bytes.extend_from_slice(bytes);
            }
            (ColumnType::SparseFloatVector, Value::Sparse(indices, weights)) => {
                self.push_sparse(indices, weights)?
            }
            (ColumnType::Array(_), Value::Array(elements, start, end)) => {
                self.push_list(elements, start, end)?
            }
            (_, other) => return Err(self.mismatch(describe(&other))),
        }
        self.note_valid(true);
        Ok(())
    }

    fn push_integer(&mut self, number: i64) -> Result<(), ColumnError> {
        let out_of_range = |_| self.mismatch(format!("{number}, which is outside its range"));
        match self.kind {
            ColumnType::Int8 => self
                .bytes
                .extend(i8::try_from(number).map_err(out_of_range)?.to_le_bytes()),
            ColumnType::Int16 => self
                .bytes
                .extend(i16::try_from(number).map_err(out_of_range)?.to_le_bytes()),
            ColumnType::Int32 => self
                .bytes
                .extend(i32::try_from(number).map_err(out_of_range)?.to_le_bytes()),
            _ => self.bytes.extend(number.to_le_bytes()),
        }
        Ok(())
    }

    fn push_bytes(&mut self, text: &[u8]) -> Result<(), ColumnError> {
        let end = self.end_offset(self.bytes.len() + text.len())?;
        self.bytes.extend_from_slice(text);
        self.offsets.push(end);
        Ok(())
    }

    fn push_sparse(&mut self, indices: &[u32], weights: &[f32]) -> Result<(), ColumnError> {
        if indices.len() != weights.len() {
            return Err(self.mismatch(format!(
                "{} dimensions with {} weights",
                indices.len(),
                weights.len()
            )));
        }
        if indices.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(self.mismatch("a sparse vector whose dimensions do not ascend"));
        }
        let end = self.end_offset(self.indices.len() + indices.len())?;
        self.indices.extend_from_slice(indices);
        self.weights.extend_from_slice(weights);
        self.offsets.push(end);
        Ok(())
    }

    fn push_list(
        &mut self,
        elements: &Column,
        start: usize,
        end: usize,
    ) -> Result<(), ColumnError> {
        let too_large = self.too_large();
        let Some(child) = &mut self.elements else {
            return Err(self.mismatch("an array"));
        };
        if elements.column_type() != child.kind {
            let found = format!("an array of {}", elements.column_type());
            return Err(self.mismatch(found));
        }
        let end_offset =
            u32::try_from(child.rows + end.saturating_sub(start)).map_err(|_| too_large)?;
        child.extend(elements, start..end)?;
        self.offsets.push(end_offset);
        Ok(())
    }

    /// Appends a run of another column's rows; for fixed widths one copy of memory.
    ///
    /// # Errors
    /// When the types differ, the range passes the end, or the result is too large for 32-bit offsets.
    pub fn extend(
        &mut self,
        from: &Column,
        range: std::ops::Range<usize>,
    ) -> Result<(), ColumnError> {
        if from.kind != self.kind {
            return Err(self.mismatch(format!("rows of a {} column", from.kind)));
        }
        if range.start > range.end || range.end > from.rows {
            return Err(self.mismatch(format!("rows {range:?} of a column of {} rows", from.rows)));
        }
        match (&from.storage, self.kind.row_width()) {
            (Storage::Fixed(values), Some(width)) => {
                let run = values
                    .as_bytes()
                    .get(range.start * width..range.end * width)
                    .unwrap_or(&[]);
                self.bytes.extend_from_slice(run);
                self.note_run(from, range);
                Ok(())
            }
            _ => self.extend_rows(from, range),
        }
    }

    fn note_run(&mut self, from: &Column, range: std::ops::Range<usize>) {
        if from.validity.is_none() && self.validity.is_none() {
            self.rows += range.len();
        } else {
            range.for_each(|row| self.note_valid(from.is_valid(row)));
        }
    }

    /// Appends chosen rows of another column, in the order given. Rows beyond its end become null.
    ///
    /// # Errors
    /// When the types differ or the result is too large for 32-bit offsets. The builder then keeps the rows that it had.
    pub fn extend_rows(
        &mut self,
        from: &Column,
        rows: impl IntoIterator<Item = usize>,
    ) -> Result<(), ColumnError> {
        if from.kind != self.kind {
            return Err(self.mismatch(format!("rows of a {} column", from.kind)));
        }
        let before = self.rows;
        for row in rows {
            let pushed = match from.values() {
                // Text of a corrupt file may not be UTF-8; it is carried over as it is.
                Values::Varchar(texts) if from.is_valid(row) => self
                    .push_bytes(texts.get(row))
                    .map(|()| self.note_valid(true)),
                _ => self.push(from.value(row)),
            };
            if let Err(error) = pushed {
                self.truncate(before);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Appends a row that is not null by its bytes, of which there must be as many as the type's width.
    pub(super) fn append_fixed(&mut self, bytes: &[u8]) {
        debug_assert_eq!(Some(bytes.len()), self.kind.row_width());
        self.bytes.extend_from_slice(bytes);
        self.note_valid(true);
    }

    /// Removes the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        if rows >= self.rows {
            return;
        }
        self.rows = rows;
        if let Some(words) = &mut self.validity {
            words.truncate(rows.div_ceil(64));
            if let (Some(last), used @ 1..) = (words.last_mut(), rows % 64) {
                *last &= (1u64 << used) - 1;
            }
        }
        if let Some(width) = self.kind.row_width() {
            self.bytes.truncate(rows * width);
            return;
        }
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().copied().unwrap_or(0) as usize;
        match self.kind {
            ColumnType::SparseFloatVector => {
                self.indices.truncate(end);
                self.weights.truncate(end);
            }
            ColumnType::Array(_) => {
                if let Some(child) = &mut self.elements {
                    child.truncate(end);
                }
            }
            _ => self.bytes.truncate(end),
        }
    }

    /// The finished column.
    pub fn finish(self) -> Column {
        let offsets = Block::from_vec(self.offsets);
        let storage = match self.kind {
            ColumnType::Varchar | ColumnType::Json | ColumnType::Geometry => Storage::Bytes {
                offsets,
                bytes: Block::from_vec(self.bytes),
            },
            ColumnType::SparseFloatVector => Storage::Sparse {
                offsets,
                indices: Block::from_vec(self.indices),
                values: Block::from_vec(self.weights),
            },
            ColumnType::Array(element) => {
                let child = self
                    .elements
                    .unwrap_or_else(|| Box::new(Self::new(element.column_type())));
                Storage::List {
                    offsets,
                    elements: Box::new(child.finish()),
                }
            }
            fixed => {
                // Allocators align large blocks enough for any element; where one does not, this copies.
                let values = Block::from_vec(self.bytes).to_bytes();
                Storage::Fixed(Block::aligned(values, fixed.value_align()))
            }
        };
        Column {
            kind: self.kind,
            rows: self.rows,
            validity: self.validity.map(Block::from_vec),
            storage,
        }
    }
}

impl Column {
    /// The rows of several columns of one type, one after the other.
    ///
    /// # Errors
    /// When the types differ or the result is too large for 32-bit offsets.
    pub fn concat(kind: ColumnType, columns: &[Column]) -> Result<Column, ColumnError> {
        if let [only] = columns
            && only.kind == kind
        {
            return Ok(only.clone());
        }
        let mut builder = ColumnBuilder::with_capacity(kind, columns.iter().map(Column::len).sum());
        for column in columns {
            builder.extend(column, 0..column.len())?;
        }
        Ok(builder.finish())
    }

    /// Chosen rows, in the order given.
    ///
    /// # Errors
    /// When the result is too large for 32-bit offsets (rows may repeat).
    pub fn select(&self, rows: impl IntoIterator<Item = usize>) -> Result<Column, ColumnError> {
        let mut builder = ColumnBuilder::new(self.kind);
        builder.extend_rows(self, rows)?;
        Ok(builder.finish())
    }

    /// A column of `rows` equal cells: for defaults, and for fields that old segments don't have.
    ///
    /// # Errors
    /// As [`ColumnBuilder::push`].
    pub fn constant(
        kind: ColumnType,
        value: Value<'_>,
        rows: usize,
    ) -> Result<Column, ColumnError> {
        let mut builder = ColumnBuilder::with_capacity(kind, rows);
        for _ in 0..rows {
            builder.push(value)?;
        }
        Ok(builder.finish())
    }

    /// A column of integers that takes the vector's memory: primary keys, timestamps.
    pub fn from_i64(values: Vec<i64>) -> Column {
        let rows = values.len();
        Column {
            kind: ColumnType::Int64,
            rows,
            validity: None,
            storage: Storage::Fixed(Block::from_vec(values)),
        }
    }
}

fn describe(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Double(_) => "a double",
        Value::Timestamptz(_) => "a timestamptz",
        Value::Varchar(_) => "a string",
        Value::Json(_) => "JSON",
        Value::Geometry(_) => "a geometry",
        Value::Array(..) => "an array",
        Value::Dense(_) => "a dense vector",
        Value::Sparse(..) => "a sparse vector",
    }
}
