//! The types a column can have. They fix the layout of its blocks and nothing else: length limits, nullability and defaults
//! belong to the collection's schema.

use std::fmt;

/// Type of a column; for dense vectors with the dimension, because it fixes the width of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColumnType {
    /// True or false.
    Bool,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// IEEE 754 binary32.
    Float,
    /// IEEE 754 binary64.
    Double,
    /// Instant, in microseconds since 1970-01-01T00:00:00Z.
    Timestamptz,
    /// UTF-8 text.
    Varchar,
    /// JSON text.
    Json,
    /// A geometry in WKT.
    Geometry,
    /// A list of scalars of one type, or of vectors of one type: then it is a member of an array of structs.
    Array(ElementType),
    /// `dim` × binary32.
    FloatVector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` × binary16.
    Float16Vector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` × bfloat16.
    BFloat16Vector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` × 8-bit signed integer.
    Int8Vector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` bits; `dim` is a multiple of 8.
    BinaryVector {
        /// Number of bits.
        dim: u32,
    },
    /// Pairs of dimension and binary32 weight.
    SparseFloatVector,
}

/// Type of the elements of an array column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// True or false.
    Bool,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// IEEE 754 binary32.
    Float,
    /// IEEE 754 binary64.
    Double,
    /// UTF-8 text.
    Varchar,
    /// Instant, in microseconds since 1970-01-01T00:00:00Z.
    Timestamptz,
    /// `dim` × binary32.
    FloatVector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` × binary16.
    Float16Vector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` × bfloat16.
    BFloat16Vector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` × 8-bit signed integer.
    Int8Vector {
        /// Number of components.
        dim: u32,
    },
    /// `dim` bits; `dim` is a multiple of 8.
    BinaryVector {
        /// Number of bits.
        dim: u32,
    },
}

impl ColumnType {
    /// Bytes of one row in the values block, or `None` when rows vary in length.
    pub fn row_width(self) -> Option<usize> {
        Some(match self {
            Self::Bool | Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::Float => 4,
            Self::Int64 | Self::Double | Self::Timestamptz => 8,
            Self::FloatVector { dim } => dim as usize * 4,
            Self::Float16Vector { dim } | Self::BFloat16Vector { dim } => dim as usize * 2,
            Self::Int8Vector { dim } => dim as usize,
            Self::BinaryVector { dim } => dim as usize / 8,
            Self::Varchar
            | Self::Json
            | Self::Geometry
            | Self::Array(_)
            | Self::SparseFloatVector => return None,
        })
    }

    /// Alignment in bytes that readers of the values block need.
    pub(crate) fn value_align(self) -> usize {
        match self {
            Self::Bool | Self::Int8 | Self::Varchar | Self::Json | Self::Geometry => 1,
            Self::Int8Vector { .. } | Self::BinaryVector { .. } => 1,
            Self::Int16 | Self::Float16Vector { .. } | Self::BFloat16Vector { .. } => 2,
            Self::Int32 | Self::Float | Self::FloatVector { .. } | Self::SparseFloatVector => 4,
            Self::Int64 | Self::Double | Self::Timestamptz => 8,
            Self::Array(element) => element.column_type().value_align(),
        }
    }

    /// Whether this is a vector type.
    pub fn is_vector(self) -> bool {
        self.is_dense_vector() || self == Self::SparseFloatVector
    }

    /// Whether this is a vector type with a fixed number of components.
    pub fn is_dense_vector(self) -> bool {
        matches!(
            self,
            Self::FloatVector { .. }
                | Self::Float16Vector { .. }
                | Self::BFloat16Vector { .. }
                | Self::Int8Vector { .. }
                | Self::BinaryVector { .. }
        )
    }

    /// Whether this is one of the four integer types.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }

    /// Whether this is `Float` or `Double`.
    pub fn is_floating(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Number of components of a dense vector.
    pub fn dim(self) -> Option<u32> {
        match self {
            Self::FloatVector { dim }
            | Self::Float16Vector { dim }
            | Self::BFloat16Vector { dim }
            | Self::Int8Vector { dim }
            | Self::BinaryVector { dim } => Some(dim),
            _ => None,
        }
    }
}

impl ElementType {
    /// The column type that holds such elements.
    pub fn column_type(self) -> ColumnType {
        match self {
            Self::Bool => ColumnType::Bool,
            Self::Int8 => ColumnType::Int8,
            Self::Int16 => ColumnType::Int16,
            Self::Int32 => ColumnType::Int32,
            Self::Int64 => ColumnType::Int64,
            Self::Float => ColumnType::Float,
            Self::Double => ColumnType::Double,
            Self::Varchar => ColumnType::Varchar,
            Self::Timestamptz => ColumnType::Timestamptz,
            Self::FloatVector { dim } => ColumnType::FloatVector { dim },
            Self::Float16Vector { dim } => ColumnType::Float16Vector { dim },
            Self::BFloat16Vector { dim } => ColumnType::BFloat16Vector { dim },
            Self::Int8Vector { dim } => ColumnType::Int8Vector { dim },
            Self::BinaryVector { dim } => ColumnType::BinaryVector { dim },
        }
    }

    /// Whether the elements are vectors.
    pub fn is_vector(self) -> bool {
        self.column_type().is_vector()
    }
}

impl fmt::Display for ColumnType {
    /// Milvus's name of the type, as in its own error texts: `Int64`, `VarChar`, `Array(Int32)`, `FloatVector(768)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("Bool"),
            Self::Int8 => f.write_str("Int8"),
            Self::Int16 => f.write_str("Int16"),
            Self::Int32 => f.write_str("Int32"),
            Self::Int64 => f.write_str("Int64"),
            Self::Float => f.write_str("Float"),
            Self::Double => f.write_str("Double"),
            Self::Timestamptz => f.write_str("Timestamptz"),
            Self::Varchar => f.write_str("VarChar"),
            Self::Json => f.write_str("JSON"),
            Self::Geometry => f.write_str("Geometry"),
            Self::Array(element) if element.is_vector() => {
                write!(f, "ArrayOfVector({})", element.column_type())
            }
            Self::Array(element) => write!(f, "Array({})", element.column_type()),
            Self::FloatVector { dim } => write!(f, "FloatVector({dim})"),
            Self::Float16Vector { dim } => write!(f, "Float16Vector({dim})"),
            Self::BFloat16Vector { dim } => write!(f, "BFloat16Vector({dim})"),
            Self::Int8Vector { dim } => write!(f, "Int8Vector({dim})"),
            Self::BinaryVector { dim } => write!(f, "BinaryVector({dim})"),
            Self::SparseFloatVector => f.write_str("SparseFloatVector"),
        }
    }
}
