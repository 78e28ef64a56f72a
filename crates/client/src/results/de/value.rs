//! Reading one value of a column.
//!
//! Invariant: a vector read as bytes is borrowed; read as a list, each element is converted once.

use milvus_protocol::packed_iter;
use milvus_protocol::schema::{self as wire, scalar_field::Data as Array};
use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Error as _, Visitor};

use super::Unreadable;
use super::structs::StructList;
use crate::data::{SparseVector, f32_of_bf16, f32_of_f16};
use crate::results::ResultColumn;
use crate::results::column::ResultValues;
use crate::schema::DataType;

pub(super) struct ValueReader<'a> {
    column: &'a ResultColumn,
    row: usize,
}

impl<'a> ValueReader<'a> {
    pub(super) fn new(column: &'a ResultColumn, row: usize) -> Self {
        Self { column, row }
    }

    fn json(&self) -> Option<&'a [u8]> {
        let ResultValues::Json(texts) = self.column.raw() else {
            return None;
        };
        let place = self.column.place(self.row)?;
        texts.get(place).map(AsRef::as_ref)
    }

    fn packed(&self) -> Option<&'a [u8]> {
        self.column.vector(self.row)
    }

    fn vector<V: Visitor<'a>>(&self, visitor: V) -> Result<V::Value, Unreadable> {
        let missing = || Unreadable::custom("the server sent no value for this row");
        let bytes = self.packed().ok_or_else(missing)?;
        vector(self.column.data_type(), bytes, visitor)
    }
}

/// A dense vector as a sequence of its elements; of a binary vector, of its bytes.
pub(super) fn vector<'a, V: Visitor<'a>>(
    data_type: DataType,
    bytes: &'a [u8],
    visitor: V,
) -> Result<V::Value, Unreadable> {
    let halves = |convert: fn(u16) -> f32| {
        let (halves, _) = bytes.as_chunks::<2>();
        halves
            .iter()
            .map(move |half| convert(u16::from_le_bytes(*half)))
    };
    match data_type {
        DataType::Float16Vector => sequence(halves(f32_of_f16), visitor),
        DataType::BFloat16Vector => sequence(halves(f32_of_bf16), visitor),
        DataType::Int8Vector => {
            sequence(bytes.iter().map(|byte| i8::from_le_bytes([*byte])), visitor)
        }
        DataType::BinaryVector => sequence(bytes.iter().copied(), visitor),
        _ => sequence(
            packed_iter::<f32>(bytes).map_err(Unreadable::custom)?,
            visitor,
        ),
    }
}

fn sequence<'a, T, V: Visitor<'a>>(
    items: impl Iterator<Item = T>,
    visitor: V,
) -> Result<V::Value, Unreadable>
where
    T: serde::de::IntoDeserializer<'a, Unreadable>,
{
    let mut access = SeqDeserializer::new(items);
    let value = visitor.visit_seq(&mut access)?;
    access.end()?;
    Ok(value)
}

fn array<'a, V: Visitor<'a>>(
    message: &'a wire::ScalarField,
    visitor: V,
) -> Result<V::Value, Unreadable> {
    match &message.data {
        None => sequence(std::iter::empty::<bool>(), visitor),
        Some(Array::BoolData(array)) => sequence(array.data.iter().copied(), visitor),
        Some(Array::IntData(array)) => sequence(array.data.iter().copied(), visitor),
        Some(Array::LongData(array)) => sequence(array.data.iter().copied(), visitor),
        Some(Array::FloatData(array)) => sequence(
            packed_iter::<f32>(&array.data).map_err(Unreadable::custom)?,
            visitor,
        ),
        Some(Array::DoubleData(array)) => sequence(
            packed_iter::<f64>(&array.data).map_err(Unreadable::custom)?,
            visitor,
        ),
        Some(Array::StringData(array)) => {
            let texts: Result<Vec<_>, _> = array
                .data
                .iter()
                .map(|text| std::str::from_utf8(text).map(BorrowedStrDeserializer::new))
                .collect();
            sequence(texts.map_err(Unreadable::custom)?.into_iter(), visitor)
        }
        Some(_) => Err(Unreadable::custom(
            "an array of a type that is not read here",
        )),
    }
}

impl<'a> serde::Deserializer<'a> for ValueReader<'a> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let place = match (self.column.raw(), self.column.place(self.row)) {
            // How many rows such a column has is not known either.
            (ResultValues::Other(_), _) => 0,
            (_, Some(place)) => place,
            (_, None) => return visitor.visit_unit(),
        };
        let missing = || Unreadable::custom("the server sent no value for this row");
        match self.column.raw() {
            ResultValues::Bool(values) => {
                visitor.visit_bool(*values.get(place).ok_or_else(missing)?)
            }
            ResultValues::Int(values) => visitor.visit_i32(*values.get(place).ok_or_else(missing)?),
            ResultValues::Long(values) => {
                visitor.visit_i64(*values.get(place).ok_or_else(missing)?)
            }
            ResultValues::Float(packed) => {
                let values = packed.values().map_err(Unreadable::custom)?;
                visitor.visit_f32(*values.get(place).ok_or_else(missing)?)
            }
            ResultValues::Double(packed) => {
                let values = packed.values().map_err(Unreadable::custom)?;
                visitor.visit_f64(*values.get(place).ok_or_else(missing)?)
            }
            ResultValues::Text(texts) => {
                let text = texts.get(place).ok_or_else(missing)?;
                visitor.visit_borrowed_str(std::str::from_utf8(text).map_err(Unreadable::custom)?)
            }
            ResultValues::Json(texts) => {
                let text = texts.get(place).ok_or_else(missing)?;
                let mut json = serde_json::Deserializer::from_slice(text);
                Ok(serde::Deserializer::deserialize_any(&mut json, visitor)?)
            }
            ResultValues::Array(arrays) => array(arrays.get(place).ok_or_else(missing)?, visitor),
            ResultValues::FloatVector(_) | ResultValues::PackedVector(_) => self.vector(visitor),
            ResultValues::Sparse(contents) => {
                let bytes = contents.get(place).ok_or_else(missing)?;
                let vector = SparseVector::from_wire(bytes)
                    .ok_or_else(|| Unreadable::custom("these bytes are no sparse vector"))?;
                visitor.visit_map(MapDeserializer::new(vector.pairs().iter().copied()))
            }
            ResultValues::Structs(members) => {
                visitor.visit_seq(StructList::new(members, self.row)?)
            }
            ResultValues::VectorLists(..) => {
                visitor.visit_seq(StructList::of_one(self.column, self.row))
            }
            ResultValues::Other(_) => Err(Unreadable::custom(format!(
                "fields of type {} are not read here",
                self.column.data_type()
            ))),
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let is_null = self.column.place(self.row).is_none() || self.json() == Some(b"null");
        if is_null {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.packed().or_else(|| self.json()) {
            Some(bytes) => visitor.visit_borrowed_bytes(bytes),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        if let Some(json) = self.json() {
            let mut json = serde_json::Deserializer::from_slice(json);
            return Ok(serde::Deserializer::deserialize_enum(
                &mut json, name, variants, visitor,
            )?);
        }
        match self.column.text(self.row) {
            Ok(Some(text)) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            _ => Err(Unreadable::custom(
                "only text and JSON can be read as an enum",
            )),
        }
    }

    /// Nothing is looked at: a column that nobody asked for may be of a type that is not read here.
    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq
        tuple tuple_struct map struct identifier
    }
}
