//! The closed set of field types, with an escape for types that only newer servers know.
//!
//! Invariant: `DataType::from_number(t.number()) == t` for every type, known or not.

use std::fmt;

/// The type of a field, named as Milvus names it.
///
/// Sizes, lengths and element types are properties of the field, not of its type; see
/// [`FieldSchema`](crate::schema::FieldSchema).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// `true` or `false`.
    Bool,
    /// Signed 8-bit integer.
    Int8,
    /// Signed 16-bit integer.
    Int16,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// 32-bit floating point.
    Float,
    /// 64-bit floating point.
    Double,
    /// UTF-8 text of at most `max_length` bytes.
    VarChar,
    /// A list of scalars of one type, at most `max_capacity` long.
    Array,
    /// Any JSON value.
    Json,
    /// A geometry, written as well-known text.
    Geometry,
    /// UTF-8 text without a length limit.
    Text,
    /// A moment with a time zone, written as ISO 8601.
    Timestamptz,
    /// A molecule, written as SMILES.
    Mol,
    /// Days since 1970-01-01.
    Date,
    /// Time of day.
    Time,
    /// A vector of bits, 8 to a byte.
    BinaryVector,
    /// A vector of 32-bit floats.
    FloatVector,
    /// A vector of IEEE 754 half-precision floats.
    Float16Vector,
    /// A vector of bfloat16 floats.
    BFloat16Vector,
    /// A vector given by its non-zero dimensions.
    SparseFloatVector,
    /// A vector of signed bytes.
    Int8Vector,
    /// A list of vectors of one type (a field of a struct array).
    ArrayOfVector,
    /// A list of structs.
    ArrayOfStruct,
    /// One struct.
    Struct,
    /// A type this crate does not know, by its number in the protocol.
    Other(i32),
}

impl DataType {
    /// The number of this type in the protocol (`schema.DataType`).
    pub const fn number(self) -> i32 {
        match self {
            Self::Bool => 1,
            Self::Int8 => 2,
            Self::Int16 => 3,
            Self::Int32 => 4,
            Self::Int64 => 5,
            Self::Float => 10,
            Self::Double => 11,
            Self::VarChar => 21,
            Self::Array => 22,
            Self::Json => 23,
            Self::Geometry => 24,
            Self::Text => 25,
            Self::Timestamptz => 26,
            Self::Mol => 27,
            Self::Date => 28,
            Self::Time => 29,
            Self::BinaryVector => 100,
            Self::FloatVector => 101,
            Self::Float16Vector => 102,
            Self::BFloat16Vector => 103,
            Self::SparseFloatVector => 104,
            Self::Int8Vector => 105,
            Self::ArrayOfVector => 106,
            Self::ArrayOfStruct => 200,
            Self::Struct => 201,
            Self::Other(number) => number,
        }
    }

    /// The type with this number in the protocol.
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Bool,
            2 => Self::Int8,
            3 => Self::Int16,
            4 => Self::Int32,
            5 => Self::Int64,
            10 => Self::Float,
            11 => Self::Double,
            21 => Self::VarChar,
            22 => Self::Array,
            23 => Self::Json,
            24 => Self::Geometry,
            25 => Self::Text,
            26 => Self::Timestamptz,
            27 => Self::Mol,
            28 => Self::Date,
            29 => Self::Time,
            100 => Self::BinaryVector,
            101 => Self::FloatVector,
            102 => Self::Float16Vector,
            103 => Self::BFloat16Vector,
            104 => Self::SparseFloatVector,
            105 => Self::Int8Vector,
            106 => Self::ArrayOfVector,
            200 => Self::ArrayOfStruct,
            201 => Self::Struct,
            other => Self::Other(other),
        }
    }

    /// Whether a field of this type can be searched by similarity.
    pub const fn is_vector(self) -> bool {
        self.is_dense_vector() || matches!(self, Self::SparseFloatVector)
    }

    /// Whether every value of a field of this type has the same number of dimensions.
    pub const fn is_dense_vector(self) -> bool {
        matches!(
            self,
            Self::BinaryVector
                | Self::FloatVector
                | Self::Float16Vector
                | Self::BFloat16Vector
                | Self::Int8Vector
        )
    }

    /// Bytes on the wire for one dense vector of `dimension` dimensions; `None` for other types.
    ///
    /// A binary vector's dimension counts bits. A dimension that no memory holds gives `usize::MAX`.
    pub const fn dense_vector_bytes(self, dimension: usize) -> Option<usize> {
        match self {
            Self::FloatVector => Some(dimension.saturating_mul(4)),
            Self::Float16Vector | Self::BFloat16Vector => Some(dimension.saturating_mul(2)),
            Self::Int8Vector => Some(dimension),
            Self::BinaryVector => Some(dimension.div_ceil(8)),
            _ => None,
        }
    }

    /// How many dimensions a dense vector of so many bytes has; 0 for other types.
    pub(crate) const fn dimensions_of(self, bytes: usize) -> usize {
        match self {
            Self::FloatVector => bytes / 4,
            Self::Float16Vector | Self::BFloat16Vector => bytes / 2,
            Self::Int8Vector => bytes,
            Self::BinaryVector => bytes.saturating_mul(8),
            _ => 0,
        }
    }

    /// Whether a field of this type can be the primary key.
    pub const fn can_be_primary_key(self) -> bool {
        matches!(self, Self::Int64 | Self::VarChar)
    }

    /// Whether values of this type are limited by the field's `max_length`.
    pub const fn has_max_length(self) -> bool {
        matches!(self, Self::VarChar)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => formatter.write_str("JSON"),
            Self::Other(number) => write!(formatter, "type number {number}"),
            known => fmt::Debug::fmt(known, formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives_the_round_trip() {
        for number in -1..300 {
            assert_eq!(DataType::from_number(number).number(), number);
        }
    }

    #[test]
    fn dense_vectors_have_a_fixed_width() {
        assert_eq!(DataType::FloatVector.dense_vector_bytes(768), Some(3072));
        assert_eq!(DataType::BinaryVector.dense_vector_bytes(128), Some(16));
        assert_eq!(DataType::Int8Vector.dense_vector_bytes(3), Some(3));
        assert_eq!(DataType::SparseFloatVector.dense_vector_bytes(3), None);
    }
}
