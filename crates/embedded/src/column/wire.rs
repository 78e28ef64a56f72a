//! Columns from and to the messages of a request or a result.
//!
//! Dense vectors and float columns are taken by reference when the message's buffer is aligned, else copied once; nothing is
//! converted value by value that has the same bytes on both sides. The invariant is that a column made here is valid through and
//! through: texts are UTF-8, JSON parses, integers fit their type, sparse dimensions ascend, and there is one value for each row.

use bytes::Bytes;
use milvus_protocol::schema::field_data::Field;
use milvus_protocol::schema::scalar_field::Data as Scalar;
use milvus_protocol::schema::vector_field::Data as Vector;
use milvus_protocol::schema::{ArrayArray, DataType, FieldData, ScalarField, VectorField};
use serde::de::IgnoredAny;

use super::storage::Storage;
use super::{BlockRole, Column, ColumnBuilder, ColumnError, ColumnType, ElementType, Value};
use crate::filter::parse_instant;

/// What a field is called in errors, and what it must be.
pub(super) struct Target<'a> {
    pub(super) field: &'a str,
    pub(super) kind: ColumnType,
    pub(super) rows: usize,
    /// One flag a row, or empty when none is null.
    pub(super) valid: &'a [bool],
}

impl Column {
    /// The column that a request's field carries.
    ///
    /// Null rows are those whose flag in `valid_data` is false; their values may stand in the data as placeholders, or be left
    /// out (SDKs differ). Timestamptz comes as text or as microseconds.
    ///
    /// # Errors
    /// When the data is of another type than `kind`, has not one value for each of `rows` rows, or a value is malformed. The
    /// error names the field, and the row where there is one.
    pub fn from_field_data(
        data: FieldData,
        kind: ColumnType,
        rows: usize,
    ) -> Result<Self, ColumnError> {
        let FieldData {
            field_name,
            valid_data,
            field,
            ..
        } = data;
        let target = Target {
            field: &field_name,
            kind,
            rows,
            valid: &valid_data,
        };
        if !valid_data.is_empty() && valid_data.len() != rows {
            return Err(target.row_count(valid_data.len()));
        }
        match field {
            Some(Field::Scalars(ScalarField {
                data: Some(data), ..
            })) if !kind.is_vector() => target.scalars(data),
            Some(Field::Vectors(VectorField {
                dim,
                data: Some(data),
                ..
            })) if kind.is_vector() => target.vectors(dim, data),
            Some(Field::Vectors(VectorField {
                data: Some(Vector::VectorArray(lists)),
                ..
            })) if kind.data_type() == DataType::ArrayOfVector => target.vector_arrays(lists),
            // An array of no values may be left out altogether.
            None | Some(Field::Scalars(_) | Field::Vectors(_))
                if rows == 0 || valid_data.iter().all(|valid| !valid) && !valid_data.is_empty() =>
            {
                let mut builder = ColumnBuilder::with_capacity(kind, rows);
                (0..rows).for_each(|_| builder.push_null());
                Ok(builder.finish())
            }
            Some(Field::Scalars(_)) => Err(target.wrong_type("scalars")),
            Some(Field::Vectors(_)) => Err(target.wrong_type("vectors")),
            Some(Field::StructArrays(_)) => Err(target.wrong_type("struct arrays")),
            None => Err(target.row_count(0)),
        }
    }
}

impl Target<'_> {
    fn row_count(&self, actual: usize) -> ColumnError {
        ColumnError::RowCount {
            field: self.field.to_owned(),
            expected: self.rows,
            actual,
        }
    }

    pub(super) fn wrong_type(&self, found: impl Into<String>) -> ColumnError {
        ColumnError::FieldType {
            field: self.field.to_owned(),
            expected: self.kind,
            found: found.into(),
        }
    }

    fn malformed(&self, row: usize, reason: impl Into<String>) -> ColumnError {
        ColumnError::Malformed {
            field: self.field.to_owned(),
            row,
            reason: reason.into(),
        }
    }

    fn is_valid(&self, row: usize) -> bool {
        self.valid.get(row).is_none_or(|valid| *valid)
    }

    /// Whether the data has a value for every row; false when values of null rows are left out.
    fn is_full(&self, values: usize) -> Result<bool, ColumnError> {
        if values == self.rows {
            return Ok(true);
        }
        let present = self.valid.iter().filter(|valid| **valid).count();
        if !self.valid.is_empty() && values == present {
            Ok(false)
        } else {
            Err(self.row_count(values))
        }
    }

    /// Builds the column row by row; `push` appends the value at a place in the data.
    pub(super) fn each(
        &self,
        values: usize,
        mut push: impl FnMut(&mut ColumnBuilder, usize) -> Result<(), ColumnError>,
    ) -> Result<Column, ColumnError> {
        let full = self.is_full(values)?;
        let mut builder = ColumnBuilder::with_capacity(self.kind, self.rows);
        let mut next = 0;
        for row in 0..self.rows {
            if !self.is_valid(row) {
                builder.push_null();
                next += usize::from(full);
                continue;
            }
            push(&mut builder, next).map_err(|error| match error {
                error @ ColumnError::TooLarge { .. } => error,
                ColumnError::Malformed { reason, .. } => self.malformed(row, reason),
                other => self.malformed(row, other.to_string()),
            })?;
            next += 1;
        }
        Ok(builder.finish())
    }

    /// Values of fixed width, as bytes: by reference when no row is null, else row by row.
    fn packed(&self, bytes: Bytes) -> Result<Column, ColumnError> {
        let width = self
            .kind
            .row_width()
            .filter(|width| *width > 0)
            .unwrap_or(1);
        if !bytes.len().is_multiple_of(width) {
            let reason = format!(
                "{} bytes are no whole number of rows of {width} bytes",
                bytes.len()
            );
            return Err(self.malformed(bytes.len() / width, reason));
        }
        let values = bytes.len() / width;
        if self.is_full(values)? && self.valid.iter().all(|valid| *valid) {
            return Column::from_blocks(self.kind, self.rows, &[(BlockRole::Values, bytes)]);
        }
        self.each(values, |builder, at| {
            builder.append_fixed(&bytes[at * width..(at + 1) * width]);
            Ok(())
        })
    }

    fn scalars(&self, data: Scalar) -> Result<Column, ColumnError> {
        match (self.kind, data) {
            (ColumnType::Bool, Scalar::BoolData(values)) => self
                .each(values.data.len(), |builder, at| {
                    builder.push(Value::Bool(values.data[at]))
                }),
            (ColumnType::Int8 | ColumnType::Int16 | ColumnType::Int32, Scalar::IntData(values)) => {
                self.each(values.data.len(), |builder, at| {
                    builder.push(Value::Int(values.data[at].into()))
                })
            }
            (ColumnType::Int64, Scalar::LongData(values))
                if self.valid.is_empty() && values.data.len() == self.rows =>
            {
                Ok(Column::from_i64(values.data))
            }
            (ColumnType::Int64, Scalar::LongData(values)) => self
                .each(values.data.len(), |builder, at| {
                    builder.push(Value::Int(values.data[at]))
                }),
            (ColumnType::Float, Scalar::FloatData(values)) => self.packed(values.data),
            (ColumnType::Double, Scalar::DoubleData(values)) => self.packed(values.data),
            (ColumnType::Timestamptz, Scalar::TimestamptzData(values)) => self
                .each(values.data.len(), |builder, at| {
                    builder.push(Value::Timestamptz(values.data[at]))
                }),
            (ColumnType::Timestamptz, Scalar::LongData(values)) => self
                .each(values.data.len(), |builder, at| {
                    builder.push(Value::Timestamptz(values.data[at]))
                }),
            (ColumnType::Timestamptz, Scalar::StringData(values)) => {
                self.each(values.data.len(), |builder, at| {
                    let micros = parse_instant(text(&values.data[at])?).map_err(malformed)?;
                    builder.push(Value::Timestamptz(micros))
                })
            }
            (ColumnType::Varchar, Scalar::StringData(values)) => self
                .each(values.data.len(), |builder, at| {
                    builder.push(Value::Varchar(text(&values.data[at])?))
                }),
            (ColumnType::Json, Scalar::JsonData(values)) => {
                self.each(values.data.len(), |builder, at| {
                    let json: &[u8] = &values.data[at];
                    serde_json::from_slice::<IgnoredAny>(json)
                        .map_err(|error| malformed(format!("not JSON: {error}")))?;
                    builder.push(Value::Json(json))
                })
            }
            (ColumnType::Geometry, Scalar::GeometryWktData(values)) => self
                .each(values.data.len(), |builder, at| {
                    push_geometry(builder, &values.data[at])
                }),
            (ColumnType::Geometry, Scalar::StringData(values)) => self
                .each(values.data.len(), |builder, at| {
                    push_geometry(builder, text(&values.data[at])?)
                }),
            (ColumnType::Array(element), Scalar::ArrayData(values)) => self.arrays(element, values),
            (_, other) => Err(self.wrong_type(scalar_name(&other))),
        }
    }

    fn arrays(&self, element: ElementType, values: ArrayArray) -> Result<Column, ColumnError> {
        let mut cells: Vec<Option<Scalar>> =
            values.data.into_iter().map(|cell| cell.data).collect();
        self.each(cells.len(), |builder, at| {
            let kind = element.column_type();
            let elements = match cells[at].take() {
                // An empty array may come without a type.
                None => ColumnBuilder::new(kind).finish(),
                Some(data) => {
                    let rows = scalar_len(&data);
                    let inner = Target {
                        field: self.field,
                        kind,
                        rows,
                        valid: &[],
                    };
                    inner.scalars(data).map_err(|error| match error {
                        ColumnError::Malformed { row, reason, .. } => {
                            malformed(format!("element {row}: {reason}"))
                        }
                        ColumnError::FieldType { found, .. } => {
                            malformed(format!("expected elements of {kind}, found {found}"))
                        }
                        other => other,
                    })?
                }
            };
            builder.push(Value::Array(&elements, 0, elements.len()))
        })
    }

    pub(super) fn vectors(&self, dim: i64, data: Vector) -> Result<Column, ColumnError> {
        if let Some(expected) = self.kind.dim()
            && i64::from(expected) != dim
        {
            return Err(self.wrong_type(format!("vectors of dimension {dim}")));
        }
        match (self.kind, data) {
            (ColumnType::FloatVector { .. }, Vector::FloatVector(values)) => {
                self.packed(values.data)
            }
            (ColumnType::Float16Vector { .. }, Vector::Float16Vector(bytes))
            | (ColumnType::BFloat16Vector { .. }, Vector::Bfloat16Vector(bytes))
            | (ColumnType::Int8Vector { .. }, Vector::Int8Vector(bytes))
            | (ColumnType::BinaryVector { .. }, Vector::BinaryVector(bytes)) => self.packed(bytes),
            (ColumnType::SparseFloatVector, Vector::SparseFloatVector(values)) => {
                self.each(values.contents.len(), |builder, at| {
                    let (indices, weights) =
                        sparse_from_bytes(&values.contents[at]).map_err(malformed)?;
                    builder.push(Value::Sparse(&indices, &weights))
                })
            }
            (_, other) => Err(self.wrong_type(vector_name(&other))),
        }
    }
}

pub(super) fn malformed(reason: impl Into<String>) -> ColumnError {
    ColumnError::Malformed {
        field: String::new(),
        row: 0,
        reason: reason.into(),
    }
}

fn text(bytes: &Bytes) -> Result<&str, ColumnError> {
    std::str::from_utf8(bytes).map_err(|error| malformed(format!("not UTF-8: {error}")))
}

fn push_geometry(builder: &mut ColumnBuilder, wkt: &str) -> Result<(), ColumnError> {
    crate::filter::check_wkt(wkt).map_err(malformed)?;
    builder.push(Value::Geometry(wkt.as_bytes()))
}

/// The sparse vector of a request: pairs of little-endian `u32` dimension and `f32` weight, in any order.
///
/// # Errors
/// When the bytes are no whole number of pairs, a dimension comes twice or is 2³² − 1, or a weight is not a finite number.
pub fn sparse_from_bytes(bytes: &[u8]) -> Result<(Vec<u32>, Vec<f32>), String> {
    let (pairs, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(format!(
            "a sparse vector has 8 bytes for each entry, found {} bytes",
            bytes.len()
        ));
    }
    let mut entries: Vec<(u32, f32)> = pairs
        .iter()
        .map(|[a, b, c, d, e, f, g, h]| {
            (
                u32::from_le_bytes([*a, *b, *c, *d]),
                f32::from_le_bytes([*e, *f, *g, *h]),
            )
        })
        .collect();
    if !entries.is_sorted_by_key(|(dimension, _)| *dimension) {
        entries.sort_by_key(|(dimension, _)| *dimension);
    }
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("a sparse vector has dimension {} twice", pair[0].0));
    }
    if let Some((dimension, weight)) = entries
        .iter()
        .find(|(dimension, weight)| *dimension == u32::MAX || !weight.is_finite())
    {
        return Err(format!(
            "a sparse vector can't have the weight {weight} at dimension {dimension}"
        ));
    }
    Ok(entries.into_iter().unzip())
}

fn scalar_len(data: &Scalar) -> usize {
    match data {
        Scalar::BoolData(values) => values.data.len(),
        Scalar::IntData(values) => values.data.len(),
        Scalar::LongData(values) => values.data.len(),
        Scalar::FloatData(values) => values.data.len() / 4,
        Scalar::DoubleData(values) => values.data.len() / 8,
        Scalar::StringData(values) => values.data.len(),
        Scalar::TimestamptzData(values) => values.data.len(),
        _ => 0,
    }
}

fn scalar_name(data: &Scalar) -> &'static str {
    match data {
        Scalar::BoolData(_) => "bools",
        Scalar::IntData(_) => "32-bit integers",
        Scalar::LongData(_) => "64-bit integers",
        Scalar::FloatData(_) => "floats",
        Scalar::DoubleData(_) => "doubles",
        Scalar::StringData(_) => "strings",
        Scalar::BytesData(_) => "bytes",
        Scalar::ArrayData(_) => "arrays",
        Scalar::JsonData(_) => "JSON",
        Scalar::GeometryData(_) => "geometries in WKB; send them in WKT",
        Scalar::GeometryWktData(_) => "geometries",
        Scalar::TimestamptzData(_) => "timestamps",
        Scalar::MolData(_) | Scalar::MolSmilesData(_) => "molecules",
        Scalar::DateData(_) => "dates",
        Scalar::TimeData(_) => "times",
    }
}

pub(super) fn vector_name(data: &Vector) -> &'static str {
    match data {
        Vector::FloatVector(_) => "float vectors",
        Vector::BinaryVector(_) => "binary vectors",
        Vector::Float16Vector(_) => "float16 vectors",
        Vector::Bfloat16Vector(_) => "bfloat16 vectors",
        Vector::SparseFloatVector(_) => "sparse vectors",
        Vector::Int8Vector(_) => "int8 vectors",
        Vector::VectorArray(_) => "arrays of vectors",
    }
}

impl Column {
    /// Bytes of the values of fixed width, by reference count; empty for other types.
    pub(super) fn fixed_bytes(&self) -> Bytes {
        match &self.storage {
            Storage::Fixed(values) => values.to_bytes(),
            _ => Bytes::new(),
        }
    }
}
