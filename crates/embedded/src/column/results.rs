//! Columns to the messages of a result.

use bytes::Bytes;
use milvus_protocol::schema::field_data::Field;
use milvus_protocol::schema::scalar_field::Data as Scalar;
use milvus_protocol::schema::vector_field::Data as Vector;
use milvus_protocol::schema::{
    ArrayArray, BoolArray, DataType, DoubleArray, FieldData, FloatArray, GeometryWktArray,
    IntArray, JsonArray, LongArray, ScalarField, SparseFloatArray, StringArray, TimestamptzArray,
    VectorField,
};

use super::{BytesValues, Column, ColumnType, Value, Values};
use crate::filter::format_instant;

impl ColumnType {
    /// The type's number on the wire.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Bool,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float => DataType::Float,
            Self::Double => DataType::Double,
            Self::Timestamptz => DataType::Timestamptz,
            Self::Varchar => DataType::VarChar,
            Self::Json => DataType::Json,
            Self::Geometry => DataType::Geometry,
            Self::Array(element) if element.is_vector() => DataType::ArrayOfVector,
            Self::Array(_) => DataType::Array,
            Self::FloatVector { .. } => DataType::FloatVector,
            Self::Float16Vector { .. } => DataType::Float16Vector,
            Self::BFloat16Vector { .. } => DataType::BFloat16Vector,
            Self::Int8Vector { .. } => DataType::Int8Vector,
            Self::BinaryVector { .. } => DataType::BinaryVector,
            Self::SparseFloatVector => DataType::SparseFloatVector,
        }
    }
}

impl Column {
    /// The field of a result that carries these rows. A `nullable` field says of each row whether it is null; scalars then keep
    /// a placeholder for null rows, vectors leave them out, as SDKs expect. Timestamptz goes out as text in UTC.
    pub fn to_field_data(&self, name: &str, field_id: i64, nullable: bool) -> FieldData {
        let valid_data = if nullable || self.validity().is_some() {
            (0..self.len()).map(|row| self.is_valid(row)).collect()
        } else {
            Vec::new()
        };
        let kind = self.column_type();
        let field = if let Values::Array(lists) = self.values()
            && lists.elements().column_type().is_vector()
        {
            Field::Vectors(self.vector_arrays(lists))
        } else if kind.is_vector() {
            Field::Vectors(self.vectors())
        } else {
            Field::Scalars(scalar_field(self.scalars(0..self.len(), true)))
        };
        FieldData {
            r#type: kind.data_type().into(),
            field_name: name.to_owned(),
            field_id,
            is_dynamic: false,
            valid_data,
            field: Some(field),
        }
    }

    /// Rows of a scalar column. Elements of arrays carry Timestamptz as numbers, fields as text.
    fn scalars(&self, rows: std::ops::Range<usize>, is_field: bool) -> Scalar {
        let whole = rows == (0..self.len());
        let packed = |width: usize| {
            let bytes = self.fixed_bytes();
            if whole {
                bytes
            } else {
                bytes.slice(rows.start * width..rows.end * width)
            }
        };
        match self.values() {
            Values::Bool(values) => Scalar::BoolData(BoolArray {
                data: values[rows].iter().map(|value| *value != 0).collect(),
            }),
            Values::Int8(values) => Scalar::IntData(IntArray {
                data: values[rows].iter().map(|value| (*value).into()).collect(),
            }),
            Values::Int16(values) => Scalar::IntData(IntArray {
                data: values[rows].iter().map(|value| (*value).into()).collect(),
            }),
            Values::Int32(values) => Scalar::IntData(IntArray {
                data: values[rows].to_vec(),
            }),
            Values::Int64(values) => Scalar::LongData(LongArray {
                data: values[rows].to_vec(),
            }),
            Values::Float(_) => Scalar::FloatData(FloatArray { data: packed(4) }),
            Values::Double(_) => Scalar::DoubleData(DoubleArray { data: packed(8) }),
            Values::Timestamptz(values) if is_field => {
                let data = rows.map(|row| {
                    if self.is_valid(row) {
                        Bytes::from(format_instant(values[row]))
                    } else {
                        Bytes::new()
                    }
                });
                Scalar::StringData(StringArray {
                    data: data.collect(),
                })
            }
            Values::Timestamptz(values) => Scalar::TimestamptzData(TimestamptzArray {
                data: values[rows].to_vec(),
            }),
            Values::Varchar(texts) => Scalar::StringData(StringArray {
                data: copies(texts, rows),
            }),
            Values::Json(texts) => Scalar::JsonData(JsonArray {
                data: copies(texts, rows),
            }),
            Values::Geometry(texts) => {
                let data = rows
                    .map(|row| String::from_utf8_lossy(texts.get(row)).into_owned())
                    .collect();
                Scalar::GeometryWktData(GeometryWktArray { data })
            }
            Values::Array(lists) => {
                let data = rows
                    .map(|row| scalar_field(lists.elements().scalars(lists.range(row), false)))
                    .collect();
                let element_type = lists.elements().column_type().data_type().into();
                Scalar::ArrayData(ArrayArray { data, element_type })
            }
            // Vector columns have their own form.
            _ => Scalar::BoolData(BoolArray::default()),
        }
    }

    fn vectors(&self) -> VectorField {
        if self.validity().is_some()
            && let Ok(present) = self.select((0..self.len()).filter(|row| self.is_valid(*row)))
        {
            return present.all_vectors();
        }
        self.all_vectors()
    }

    pub(super) fn all_vectors(&self) -> VectorField {
        let bytes = self.fixed_bytes();
        let (dim, data) = match self.column_type() {
            ColumnType::Float16Vector { dim } => (dim.into(), Vector::Float16Vector(bytes)),
            ColumnType::BFloat16Vector { dim } => (dim.into(), Vector::Bfloat16Vector(bytes)),
            ColumnType::Int8Vector { dim } => (dim.into(), Vector::Int8Vector(bytes)),
            ColumnType::BinaryVector { dim } => (dim.into(), Vector::BinaryVector(bytes)),
            ColumnType::FloatVector { dim } => {
                (dim.into(), Vector::FloatVector(FloatArray { data: bytes }))
            }
            _ => {
                let mut largest = 0;
                let contents = (0..self.len()).map(|row| {
                    let Value::Sparse(indices, weights) = self.value(row) else {
                        return Bytes::new();
                    };
                    largest = largest.max(indices.last().map_or(0, |last| i64::from(*last) + 1));
                    sparse_to_bytes(indices, weights)
                });
                let contents = contents.collect();
                (
                    largest,
                    Vector::SparseFloatVector(SparseFloatArray {
                        contents,
                        dim: largest,
                    }),
                )
            }
        };
        VectorField {
            dim,
            data: Some(data),
        }
    }
}

fn scalar_field(data: Scalar) -> ScalarField {
    ScalarField { data: Some(data) }
}

/// The wire form of a sparse vector: pairs of little-endian `u32` dimension and `f32` weight.
pub fn sparse_to_bytes(indices: &[u32], weights: &[f32]) -> Bytes {
    let pairs = indices.iter().zip(weights);
    pairs
        .flat_map(|(dimension, weight)| {
            dimension
                .to_le_bytes()
                .into_iter()
                .chain(weight.to_le_bytes())
        })
        .collect::<Vec<u8>>()
        .into()
}

fn copies(texts: BytesValues<'_>, rows: std::ops::Range<usize>) -> Vec<Bytes> {
    // One copy for all rows; each value is a slice of it.
    let mut joined = Vec::new();
    let ends: Vec<usize> = rows
        .map(|row| {
            joined.extend_from_slice(texts.get(row));
            joined.len()
        })
        .collect();
    let joined = Bytes::from(joined);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts
        .zip(&ends)
        .map(|(start, end)| joined.slice(start..*end))
        .collect()
}
