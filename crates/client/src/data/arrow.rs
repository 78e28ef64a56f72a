//! Columns from Arrow arrays.
//!
//! Invariant: the values of floats, texts and vectors are slices of the array's own buffers, unless nulls
//! stand between them.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{Array, ArrayRef, GenericStringArray, OffsetSizeTrait, RecordBatch};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::DataType as ArrowType;
use bytes::Bytes;

use super::column::{Column, Values};
use crate::error::{Error, Result};

/// A buffer as the owner of `Bytes`.
struct Owner(Buffer);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

fn bytes(buffer: &Buffer) -> Bytes {
    Bytes::from_owner(Owner(buffer.clone()))
}

impl Column {
    /// The columns of a record batch, by name.
    ///
    /// # Errors
    /// As [`TryFrom<&dyn Array>`](#impl-TryFrom%3C%26dyn+Array%3E-for-Column).
    pub fn all_from(batch: &RecordBatch) -> Result<Vec<(String, Self)>> {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        columns
            .map(|(field, array)| Ok((field.name().clone(), array.as_ref().try_into()?)))
            .collect()
    }
}

/// A column of the values of an Arrow array.
///
/// # Errors
/// [`Error::InvalidRequest`] for types that no field has.
impl TryFrom<&dyn Array> for Column {
    type Error = Error;

    fn try_from(array: &dyn Array) -> Result<Self> {
        let values = match array.data_type() {
            ArrowType::Boolean => Values::Bool(array.as_boolean().iter().flatten().collect()),
            ArrowType::Int8 => Values::Int8(present::<Int8Type>(array)),
            ArrowType::Int16 => Values::Int16(present::<Int16Type>(array)),
            ArrowType::Int32 => Values::Int32(present::<Int32Type>(array)),
            ArrowType::Int64 => Values::Int64(present::<Int64Type>(array)),
            ArrowType::UInt8 => Values::Int64(widened::<UInt8Type>(array)),
            ArrowType::UInt16 => Values::Int64(widened::<UInt16Type>(array)),
            ArrowType::UInt32 => Values::Int64(widened::<UInt32Type>(array)),
            ArrowType::Float32 => Values::Float(packed::<Float32Type>(array)),
            ArrowType::Float64 => Values::Double(packed::<Float64Type>(array)),
            ArrowType::Utf8 => Values::Text(texts(array.as_string::<i32>())),
            ArrowType::LargeUtf8 => Values::Text(texts(array.as_string::<i64>())),
            ArrowType::FixedSizeBinary(_) => Values::PackedRows(
                array
                    .as_fixed_size_binary()
                    .iter()
                    .flatten()
                    .map(Bytes::copy_from_slice)
                    .collect(),
            ),
            ArrowType::FixedSizeList(_, _) | ArrowType::List(_) | ArrowType::LargeList(_) => {
                lists(array)?
            }
            other => return Err(unsupported(other)),
        };
        let valid = array
            .logical_nulls()
            .map(|nulls| nulls.iter().collect::<Vec<bool>>());
        Ok(Self { values, valid })
    }
}

impl TryFrom<&ArrayRef> for Column {
    type Error = Error;

    fn try_from(array: &ArrayRef) -> Result<Self> {
        Arc::as_ref(array).try_into()
    }
}

fn unsupported(data_type: &ArrowType) -> Error {
    Error::request(
        "column of an Arrow array",
        data_type.to_string(),
        "has no counterpart in Milvus",
    )
}

/// The values that are there.
fn present<T: ArrowPrimitiveType>(array: &dyn Array) -> Vec<T::Native> {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        array.values().to_vec()
    } else {
        array.iter().flatten().collect()
    }
}

fn widened<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &dyn Array) -> Vec<i64> {
    present::<T>(array).into_iter().map(Into::into).collect()
}

/// Floats as bytes: those of the array itself when all are there.
fn packed<T: ArrowPrimitiveType>(array: &dyn Array) -> Bytes {
    let primitive = array.as_primitive::<T>();
    if primitive.null_count() == 0 && cfg!(target_endian = "little") {
        return bytes(primitive.values().inner());
    }
    let mut all = Vec::with_capacity(primitive.len() * size_of::<T::Native>());
    for value in primitive.iter().flatten() {
        all.extend_from_slice(little_endian::<T>(value).as_ref());
    }
    all.into()
}

fn little_endian<T: ArrowPrimitiveType>(value: T::Native) -> impl AsRef<[u8]> {
    let mut bytes = arrow_buffer::ToByteSlice::to_byte_slice(&value).to_vec();
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
    bytes
}

fn texts<O: OffsetSizeTrait>(array: &GenericStringArray<O>) -> Vec<Bytes> {
    let all = bytes(array.values());
    let offsets = array.value_offsets();
    let slice = |row: usize| {
        let start = offsets.get(row).map_or(0, |offset| offset.as_usize());
        let end = offsets
            .get(row + 1)
            .map_or(start, |offset| offset.as_usize());
        all.slice(start..end)
    };
    let is_there = |row: &usize| array.is_valid(*row);
    (0..array.len()).filter(is_there).map(slice).collect()
}

/// The lists that are there, one after the other, and their lengths.
fn flattened(array: &dyn Array) -> (Vec<ArrayRef>, Vec<usize>, Option<ArrayRef>) {
    let whole = |values: &ArrayRef, start: usize, end: usize| values.slice(start, end - start);
    let (rows, all): (Vec<ArrayRef>, Option<ArrayRef>) = match array.data_type() {
        ArrowType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let start = list.offset() * size;
            let all = (list.null_count() == 0).then(|| {
                let values = list.values();
                // A sliced list keeps the values of the whole; its offset says where it begins.
                if values.len() == list.len() * size {
                    Arc::clone(values)
                } else {
                    whole(values, start, start + list.len() * size)
                }
            });
            (list.iter().flatten().collect(), all)
        }
        ArrowType::LargeList(_) => {
            let list = array.as_list::<i64>();
            (
                list.iter().flatten().collect(),
                contiguous(list.offsets(), list.values(), list.null_count()),
            )
        }
        _ => {
            let list = array.as_list::<i32>();
            (
                list.iter().flatten().collect(),
                contiguous(list.offsets(), list.values(), list.null_count()),
            )
        }
    };
    let lengths = rows.iter().map(|row| row.len()).collect();
    (rows, lengths, all)
}

fn contiguous<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    values: &ArrayRef,
    nulls: usize,
) -> Option<ArrayRef> {
    let start = offsets.first().as_usize();
    let end = offsets.last().as_usize();
    (nulls == 0).then(|| values.slice(start, end - start))
}

fn lists(array: &dyn Array) -> Result<Values> {
    let (rows, lengths, all) = flattened(array);
    let element = match array.data_type() {
        ArrowType::FixedSizeList(field, _)
        | ArrowType::List(field)
        | ArrowType::LargeList(field) => field.data_type(),
        other => return Err(unsupported(other)),
    };
    if rows.iter().any(|row| row.null_count() > 0) {
        return Err(Error::request(
            "column of an Arrow array",
            array.data_type().to_string(),
            "has nulls inside its lists; an array of Milvus has none",
        ));
    }
    let each = |row: &ArrayRef| -> Vec<i64> {
        match element {
            ArrowType::Int8 => widened::<Int8Type>(row),
            ArrowType::Int16 => widened::<Int16Type>(row),
            ArrowType::Int32 => widened::<Int32Type>(row),
            ArrowType::UInt16 => widened::<UInt16Type>(row),
            ArrowType::UInt32 => widened::<UInt32Type>(row),
            _ => present::<Int64Type>(row),
        }
    };
    Ok(match element {
        ArrowType::Float32 => Values::FloatLists {
            packed: match all {
                Some(all) => packed::<Float32Type>(&all),
                None => {
                    let rows = rows.iter().map(|row| packed::<Float32Type>(row));
                    rows.collect::<Vec<_>>().concat().into()
                }
            },
            lengths,
        },
        // The bytes of binary vectors.
        ArrowType::UInt8 => {
            let vector = |row: &ArrayRef| Bytes::from(present::<UInt8Type>(row));
            Values::PackedRows(rows.iter().map(vector).collect())
        }
        ArrowType::Float64 => {
            Values::DoubleLists(rows.iter().map(|row| present::<Float64Type>(row)).collect())
        }
        ArrowType::Boolean => {
            let list = |row: &ArrayRef| row.as_boolean().iter().flatten().collect();
            Values::BoolLists(rows.iter().map(list).collect())
        }
        ArrowType::Utf8 => {
            let list = |row: &ArrayRef| {
                let texts = row.as_string::<i32>().iter().flatten();
                texts.map(str::to_owned).collect()
            };
            Values::TextLists(rows.iter().map(list).collect())
        }
        ArrowType::Int8
        | ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::Int64
        | ArrowType::UInt16
        | ArrowType::UInt32 => Values::IntLists(rows.iter().map(each).collect()),
        _ => return Err(unsupported(array.data_type())),
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::{FixedSizeListArray, Float32Array, Int32Array, ListArray, StringArray};

    use super::*;

    fn column(array: &dyn Array) -> Column {
        array.try_into().expect("a supported type")
    }

    #[test]
    fn floats_are_taken_over_without_a_copy() {
        let array = Float32Array::from(vec![1.0, 2.0, 3.0]);
        let start = array.values().as_ptr().cast::<u8>();
        let Values::Float(packed) = column(&array).values else {
            panic!("floats");
        };
        assert_eq!(packed.as_ptr(), start);
        // Also those of a slice, and of vectors.
        let Values::Float(packed) = column(&array.slice(1, 2)).values else {
            panic!("floats");
        };
        assert_eq!(
            packed.as_ref(),
            [2.0_f32.to_le_bytes(), 3.0_f32.to_le_bytes()].concat()
        );
        let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            (0..4).map(|n| Some([n as f32, 0.5].map(Some))),
            2,
        );
        let start = vectors
            .values()
            .as_primitive::<Float32Type>()
            .values()
            .as_ptr();
        let Values::FloatLists { packed, lengths } = column(&vectors).values else {
            panic!("vectors");
        };
        assert_eq!((packed.as_ptr(), lengths), (start.cast(), vec![2; 4]));
        let Values::FloatLists { packed, lengths } = column(&vectors.slice(1, 2)).values else {
            panic!("vectors");
        };
        assert_eq!(lengths, [2, 2]);
        assert_eq!(packed.get(..4), Some(&1.0_f32.to_le_bytes()[..]));
        assert_eq!(packed.len(), 16);
    }

    #[test]
    fn nulls_are_left_out_and_remembered() {
        let array = Int32Array::from(vec![Some(1), None, Some(3)]);
        let found = column(&array);
        assert_eq!(found, Column::from(vec![Some(1), None, Some(3)]));
        let array = StringArray::from(vec![Some("a"), None, Some("ccc")]);
        assert_eq!(
            column(&array),
            Column::from(vec![Some("a"), None, Some("ccc")])
        );
    }

    #[test]
    fn lists_become_lists() {
        let lists = vec![
            Some(vec![Some(1), Some(2)]),
            Some(vec![]),
            Some(vec![Some(3)]),
        ];
        let array = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
        let expected = Column::from(vec![vec![1_i64, 2], vec![], vec![3]]);
        assert_eq!(column(&array), expected);
    }
}
