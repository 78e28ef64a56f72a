//! Columns as callers give them: vectors and slices of plain types, bytes, JSON, lists, sparse vectors.
//!
//! A column does not know its field yet; `f32`s are a `Float` column or the vectors of a `FloatVector`
//! field, one after the other, whichever the schema says.
//!
//! Invariant: making a column from a `Vec` or from `Bytes` copies no value, but for lists that are joined to one; making
//! one from a slice copies each value once.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use milvus_protocol::packed_bytes;

/// The values of one field, row by row.
///
/// Made `from` what callers have; a `Vec` or `Bytes` is taken over without a copy, a slice is copied
/// once:
///
/// | from | for fields of type |
/// |---|---|
/// | `Vec<bool>` | `Bool` |
/// | `Vec<i8>`, `Vec<i16>`, `Vec<i32>`, `Vec<i64>` | `Int8` to `Int64` (range checked) |
/// | `Vec<f32>`, `Vec<f64>` | `Float`, `Double` |
/// | `Vec<f32>`, `Vec<[f32; N]>`, `Vec<Vec<f32>>` | `FloatVector`; `Float16Vector` and `BFloat16Vector` (converted) |
/// | `Bytes` | any dense vector field, packed as on the wire (little-endian) |
/// | `Vec<Bytes>` | any dense vector field, one vector each |
/// | `Vec<String>`, `Vec<&str>` | `VarChar`, `Text`, `Geometry`, `Timestamptz` |
/// | `Vec<serde_json::Value>`; texts that are JSON | `JSON`; arrays of structs (a list of objects for each row) |
/// | `Vec<Vec<i8>>` | `Int8Vector` |
/// | `Vec<Vec<T>>` of `bool`, integers, floats, `String` | `Array` |
/// | `Vec<SparseVector>` | `SparseFloatVector` |
/// | `Vec<Option<T>>` of any of these | the same, nullable or with a default |
///
/// ```
/// use milvus_client::Column;
///
/// let ids = Column::from(vec![1_i64, 2, 3]);
/// let titles = Column::from(["a", "b", "c"]);
/// let scores = Column::from(vec![Some(0.5_f32), None, Some(1.0)]);
/// # let _ = (ids, titles, scores);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub(crate) values: Values,
    /// For each row, whether it has a value; `values` holds only those that are there.
    pub(crate) valid: Option<Vec<bool>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Bool(Vec<bool>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    /// Packed `f32`: one for each row, or the elements of vectors.
    Float(Bytes),
    /// Packed `f64`.
    Double(Bytes),
    /// Packed `f32` lists of the given lengths.
    FloatLists {
        packed: Bytes,
        lengths: Vec<usize>,
    },
    /// Dense vectors as on the wire.
    Packed(Bytes),
    PackedRows(Vec<Bytes>),
    /// Dense vectors as on the wire, of this many bytes each.
    #[cfg(feature = "arrow")]
    PackedOf {
        packed: Bytes,
        width: usize,
    },
    /// UTF-8.
    Text(Vec<Bytes>),
    Json(Vec<Bytes>),
    Sparse(Vec<SparseVector>),
    BoolLists(Vec<Vec<bool>>),
    IntLists(Vec<Vec<i64>>),
    DoubleLists(Vec<Vec<f64>>),
    TextLists(Vec<Vec<String>>),
}

impl Values {
    /// What was given, in words for an error.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Bool(_) => "booleans",
            Self::Int8(_) => "8-bit integers",
            Self::Int16(_) => "16-bit integers",
            Self::Int32(_) => "32-bit integers",
            Self::Int64(_) => "64-bit integers",
            Self::Float(_) => "32-bit floats",
            Self::Double(_) => "64-bit floats",
            Self::FloatLists { .. } => "lists of 32-bit floats",
            Self::Packed(_) => "bytes",
            Self::PackedRows(_) => "a list of bytes",
            #[cfg(feature = "arrow")]
            Self::PackedOf { .. } => "a list of bytes",
            Self::Text(_) => "text",
            Self::Json(_) => "JSON",
            Self::Sparse(_) => "sparse vectors",
            Self::BoolLists(_) => "lists of booleans",
            Self::IntLists(_) => "lists of integers",
            Self::DoubleLists(_) => "lists of 64-bit floats",
            Self::TextLists(_) => "lists of text",
        }
    }
}

impl From<Values> for Column {
    fn from(values: Values) -> Self {
        Self {
            values,
            valid: None,
        }
    }
}

/// A value that columns are made of; see the table at [`Column`].
pub trait ColumnItem: Clone {
    #[doc(hidden)]
    fn column(values: Vec<Self>) -> Column;

    /// The column of values that stay the caller's.
    #[doc(hidden)]
    fn copied<'a, I>(values: I) -> Column
    where
        I: Iterator<Item = &'a Self> + Clone,
        Self: 'a,
    {
        Self::column(values.cloned().collect())
    }
}

macro_rules! items {
    ($($item:ty => $values:path),* $(,)?) => {$(
        impl ColumnItem for $item {
            fn column(values: Vec<Self>) -> Column {
                $values(values).into()
            }
        }
    )*};
}
items! {
    bool => Values::Bool,
    i8 => Values::Int8,
    i16 => Values::Int16,
    i32 => Values::Int32,
    i64 => Values::Int64,
    Bytes => Values::PackedRows,
    SparseVector => Values::Sparse,
    Vec<bool> => Values::BoolLists,
    Vec<i64> => Values::IntLists,
    Vec<f64> => Values::DoubleLists,
    Vec<String> => Values::TextLists,
}

macro_rules! integer_lists {
    ($($integer:ty),*) => {$(
        impl ColumnItem for Vec<$integer> {
            fn column(lists: Vec<Self>) -> Column {
                Self::copied(lists.iter())
            }

            fn copied<'a, I: Iterator<Item = &'a Self> + Clone>(lists: I) -> Column {
                let widen = |list: &Self| list.iter().copied().map(i64::from).collect();
                Values::IntLists(lists.map(widen).collect()).into()
            }
        }
    )*};
}
integer_lists!(i8, i16, i32);

impl ColumnItem for f32 {
    fn column(values: Vec<Self>) -> Column {
        Values::Float(packed_bytes::<f32, _>(values)).into()
    }
}

impl<const N: usize> ColumnItem for [f32; N] {
    fn column(vectors: Vec<Self>) -> Column {
        let lengths = vec![N; vectors.len()];
        let packed = packed_bytes::<f32, _>(vectors.into_flattened());
        Values::FloatLists { packed, lengths }.into()
    }
}

impl ColumnItem for Vec<f32> {
    fn column(vectors: Vec<Self>) -> Column {
        Self::copied(vectors.iter())
    }

    fn copied<'a, I: Iterator<Item = &'a Self> + Clone>(vectors: I) -> Column {
        let lengths: Vec<usize> = vectors.clone().map(Vec::len).collect();
        let mut all = Vec::with_capacity(lengths.iter().sum());
        vectors.for_each(|vector| all.extend_from_slice(vector));
        let packed = packed_bytes::<f32, _>(all);
        Values::FloatLists { packed, lengths }.into()
    }
}

impl ColumnItem for f64 {
    fn column(values: Vec<Self>) -> Column {
        Values::Double(packed_bytes::<f64, _>(values)).into()
    }
}

impl ColumnItem for String {
    fn column(values: Vec<Self>) -> Column {
        Values::Text(values.into_iter().map(Bytes::from).collect()).into()
    }

    fn copied<'a, I: Iterator<Item = &'a Self> + Clone>(values: I) -> Column {
        texts(values.map(String::as_str))
    }
}

impl ColumnItem for &str {
    fn column(values: Vec<Self>) -> Column {
        texts(values.into_iter())
    }
}

/// One buffer for all texts, so that the column costs few allocations however many rows it has.
fn texts<'a>(values: impl Iterator<Item = &'a str> + Clone) -> Column {
    let mut buffer = BytesMut::with_capacity(values.clone().map(str::len).sum());
    let slice = |value: &str| {
        buffer.put_slice(value.as_bytes());
        buffer.split().freeze()
    };
    Values::Text(values.map(slice).collect()).into()
}

impl ColumnItem for serde_json::Value {
    fn column(values: Vec<Self>) -> Column {
        let text = |value: Self| Bytes::from(value.to_string());
        Values::Json(values.into_iter().map(text).collect()).into()
    }
}

impl<T: ColumnItem> ColumnItem for Option<T> {
    fn column(values: Vec<Self>) -> Column {
        let valid = values.iter().map(Option::is_some).collect();
        let mut column = T::column(values.into_iter().flatten().collect());
        column.valid = Some(valid);
        column
    }

    fn copied<'a, I>(values: I) -> Column
    where
        I: Iterator<Item = &'a Self> + Clone,
        T: 'a,
    {
        let mut column = T::copied(values.clone().filter_map(Option::as_ref));
        column.valid = Some(values.map(Option::is_some).collect());
        column
    }
}

impl From<Bytes> for Column {
    fn from(packed: Bytes) -> Self {
        Values::Packed(packed).into()
    }
}

impl<T: ColumnItem> From<Vec<T>> for Column {
    fn from(values: Vec<T>) -> Self {
        T::column(values)
    }
}

impl<T: ColumnItem> From<&[T]> for Column {
    fn from(values: &[T]) -> Self {
        T::copied(values.iter())
    }
}

impl<T: ColumnItem> From<&Vec<T>> for Column {
    fn from(values: &Vec<T>) -> Self {
        T::copied(values.iter())
    }
}

impl<T: ColumnItem, const N: usize> From<[T; N]> for Column {
    fn from(values: [T; N]) -> Self {
        T::column(Vec::from(values))
    }
}

/// A sparse vector: its non-zero dimensions, by ascending index.
///
/// ```
/// use milvus_client::SparseVector;
///
/// let vector = SparseVector::from([(7, 0.5), (2, 1.0)]);
/// assert_eq!(vector.pairs(), [(2, 1.0), (7, 0.5)]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseVector(Vec<(u32, f32)>);

impl SparseVector {
    /// The non-zero dimensions, by ascending index.
    pub fn pairs(&self) -> &[(u32, f32)] {
        &self.0
    }

    /// The bytes of the wire: index and value of each pair, little-endian.
    pub(crate) fn to_wire(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.0.len() * 8);
        for (index, value) in &self.0 {
            bytes.put_u32_le(*index);
            bytes.put_f32_le(*value);
        }
        bytes.freeze()
    }

    /// Reads the bytes of the wire; `None` when they are not whole pairs.
    pub(crate) fn from_wire(bytes: &[u8]) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return None;
        }
        let pair = |&[a, b, c, d, e, f, g, h]: &[u8; 8]| {
            (
                u32::from_le_bytes([a, b, c, d]),
                f32::from_le_bytes([e, f, g, h]),
            )
        };
        Some(Self(pairs.iter().map(pair).collect()))
    }
}

impl FromIterator<(u32, f32)> for SparseVector {
    fn from_iter<I: IntoIterator<Item = (u32, f32)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by_key(|(index, _)| *index);
        Self(pairs)
    }
}

impl From<Vec<(u32, f32)>> for SparseVector {
    fn from(pairs: Vec<(u32, f32)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<const N: usize> From<[(u32, f32); N]> for SparseVector {
    fn from(pairs: [(u32, f32); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<BTreeMap<u32, f32>> for SparseVector {
    fn from(pairs: BTreeMap<u32, f32>) -> Self {
        pairs.into_iter().collect()
    }
}

impl serde::Serialize for SparseVector {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl<'de> serde::Deserialize<'de> for SparseVector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(|pairs: BTreeMap<u32, f32>| pairs.into())
    }
}
