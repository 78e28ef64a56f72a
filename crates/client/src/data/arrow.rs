//! Columns from Arrow arrays.
//!
//! Invariant: the values of floats, texts, bytes and vectors are slices of the array's own buffers; where nulls stand
//! between packed values, those that are there are copied once.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::ByteArrayType;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, GenericByteArray, OffsetSizeTrait, RecordBatch,
};
use arrow_buffer::{ArrowNativeType as _, Buffer, OffsetBuffer};
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

/// A column of the values of an Arrow array:
///
/// | Arrow | for fields of type |
/// |---|---|
/// | `Boolean`, integers, `Float32`, `Float64` | the same; integers are range checked |
/// | `Utf8`, `LargeUtf8` | `VarChar` and other texts; `JSON`, of text that is JSON |
/// | lists of `Float32` | `FloatVector`; `Float16Vector` and `BFloat16Vector` (converted); `Array` |
/// | lists of `Float16` | `Float16Vector` |
/// | lists of `Int8` | `Int8Vector`, `Array` |
/// | lists of `UInt8`, `FixedSizeBinary` | any dense vector field, packed as on the wire |
/// | `Binary`, `LargeBinary` | the same; `SparseFloatVector`: pairs of `u32` index and `f32` value, little-endian |
/// | lists of booleans, integers, floats, text | `Array` |
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
            ArrowType::Utf8 => Values::Text(slices(array.as_string::<i32>())),
            ArrowType::LargeUtf8 => Values::Text(slices(array.as_string::<i64>())),
            ArrowType::Binary => Values::PackedRows(slices(array.as_binary::<i32>())),
            ArrowType::LargeBinary => Values::PackedRows(slices(array.as_binary::<i64>())),
            ArrowType::FixedSizeBinary(_) => fixed_size(array.as_fixed_size_binary()),
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

fn fixed_size(array: &FixedSizeBinaryArray) -> Values {
    let packed = if array.null_count() == 0 {
        bytes(array.values())
    } else {
        let there = array.iter().flatten();
        there.collect::<Vec<_>>().concat().into()
    };
    let width = usize::try_from(array.value_length()).unwrap_or(0);
    Values::PackedOf { packed, width }
}

/// The values that are there, texts or bytes.
fn slices<T: ByteArrayType>(array: &GenericByteArray<T>) -> Vec<Bytes> {
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
            ArrowType::UInt8 => widened::<UInt8Type>(row),
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
        ArrowType::UInt8 => packed_rows::<UInt8Type>(&rows, &lengths, all),
        ArrowType::Float16 => packed_rows::<Float16Type>(&rows, &lengths, all),
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

/// Lists as vectors: of one size, they are the bytes of all of them.
fn packed_rows<T: ArrowPrimitiveType>(
    rows: &[ArrayRef],
    lengths: &[usize],
    all: Option<ArrayRef>,
) -> Values {
    let length = lengths.first().copied().unwrap_or(0);
    match all {
        Some(all) if lengths.iter().all(|other| *other == length) => Values::PackedOf {
            packed: packed::<T>(&all),
            width: length * size_of::<T::Native>(),
        },
        _ => Values::PackedRows(rows.iter().map(|row| packed::<T>(row)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        BinaryArray, FixedSizeListArray, Float32Array, Int32Array, ListArray, StringArray,
    };
    use milvus_protocol::schema::{FieldData, field_data::Field, vector_field::Data};

    use super::super::{Write, bind_columns};
    use crate::describe_collection::CollectionDescription;
    use crate::schema::{CollectionSchema, FieldSchema};

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

    /// The message that an array becomes as the values of this field.
    fn sent(field: FieldSchema, array: &dyn Array) -> FieldData {
        let name = field.name.clone();
        let collection = CollectionDescription {
            schema: CollectionSchema::new()
                .field(FieldSchema::int64("id").primary_key().auto_id())
                .field(field),
            ..CollectionDescription::default()
        };
        let columns = vec![(name, column(array))];
        let mut batch = bind_columns(columns, Write::Insert, &collection).expect("valid values");
        batch.columns.remove(0).into_message()
    }

    fn vectors(message: FieldData) -> Data {
        match message.field {
            Some(Field::Vectors(vectors)) => vectors.data.expect("vectors"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn vectors_of_all_kinds_are_taken_without_a_copy() {
        let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4], [5, 6]].iter());
        let fixed = fixed.expect("one size");
        let start = fixed.values().as_ptr();
        for field in [
            FieldSchema::binary_vector("v", 16),
            FieldSchema::int8_vector("v", 2),
            FieldSchema::float16_vector("v", 1),
        ] {
            let (Data::BinaryVector(packed)
            | Data::Int8Vector(packed)
            | Data::Float16Vector(packed)) = vectors(sent(field, &fixed))
            else {
                panic!("packed");
            };
            assert_eq!((packed.as_ptr(), packed.len()), (start, 6));
        }
        let rest = fixed.slice(1, 2);
        let sliced = vectors(sent(FieldSchema::int8_vector("v", 2), &rest));
        assert_eq!(sliced, Data::Int8Vector(Bytes::from_static(&[3, 4, 5, 6])));

        let halves = arrow_array::Float16Array::from(
            arrow_array::Float32Array::from(vec![1.0, -2.0, 0.5, 0.25])
                .iter()
                .flatten()
                .map(<Float16Type as ArrowPrimitiveType>::Native::from_f32)
                .collect::<Vec<_>>(),
        );
        let start = halves.values().as_ptr().cast::<u8>();
        let item = Arc::new(arrow_schema::Field::new("item", ArrowType::Float16, false));
        let list = FixedSizeListArray::try_new(item, 2, Arc::new(halves), None).expect("two");
        let Data::Float16Vector(packed) = vectors(sent(FieldSchema::float16_vector("v", 2), &list))
        else {
            panic!("halves");
        };
        assert_eq!((packed.as_ptr(), packed.len()), (start, 8));
    }

    #[test]
    fn lists_of_bytes_sparse_vectors_and_json_find_their_fields() {
        let lists = [[-1_i8, 2], [3, -128]].map(|list| Some(list.map(Some)));
        let lists = ListArray::from_iter_primitive::<Int8Type, _, _>(lists);
        assert_eq!(
            vectors(sent(FieldSchema::int8_vector("v", 2), &lists)),
            Data::Int8Vector(Bytes::from_static(&[255, 2, 3, 128]))
        );
        let pairs = [2_u32.to_le_bytes(), 1.5_f32.to_le_bytes()].concat();
        let sparse = BinaryArray::from(vec![pairs.as_slice(), &[]]);
        let Data::SparseFloatVector(found) =
            vectors(sent(FieldSchema::sparse_float_vector("v"), &sparse))
        else {
            panic!("sparse");
        };
        assert_eq!(found.contents, [Bytes::from(pairs), Bytes::new()]);
        let json = StringArray::from(vec![r#"{"a": 1}"#, "null"]);
        let message = sent(FieldSchema::json("j"), &json);
        assert!(format!("{message:?}").contains("JsonData"), "{message:?}");
    }

    #[test]
    fn what_does_not_fit_its_field_is_named() {
        let refused = |field: FieldSchema, array: &dyn Array| {
            let collection = CollectionDescription {
                schema: CollectionSchema::new()
                    .field(FieldSchema::int64("id").primary_key().auto_id())
                    .field(field),
                ..CollectionDescription::default()
            };
            let columns = vec![("f".to_owned(), column(array))];
            bind_columns(columns, Write::Insert, &collection)
                .expect_err("not valid")
                .to_string()
        };
        let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2]].iter()).expect("one size");
        let broken = BinaryArray::from(vec![&[0_u8; 8][..], &[1; 7]]);
        let unsorted = [[2_u32, 0], [1, 0]].map(|pair| pair.map(u32::to_le_bytes).concat());
        let unsorted = unsorted.concat();
        let unsorted = BinaryArray::from(vec![unsorted.as_slice()]);
        let said = [
            refused(FieldSchema::int8_vector("f", 3), &fixed),
            refused(FieldSchema::sparse_float_vector("f"), &broken),
            refused(FieldSchema::sparse_float_vector("f"), &unsorted),
            refused(FieldSchema::json("f"), &StringArray::from(vec!["1", "{"])),
        ];
        insta::assert_snapshot!(said.join("\n"), @r"
        row 0, field `f`: the vector has 2 dimensions, the field has 3; nothing was sent
        row 1, field `f`: the row cannot be read: 7 bytes are no sparse vector: 8 bytes are an index and a value; nothing was sent
        row 0, field `f`: sparse index 1 is given twice, out of order, or not below 4294967295; nothing was sent
        row 1, field `f`: not valid JSON: EOF while parsing an object at line 1 column 1; nothing was sent
        ");
    }
}
