//! One field's values in the form of the wire, checked.
//!
//! Values of rows without one are left out (`payload` is compact); `valid` says which rows have one.
//!
//! Invariant: `payload` holds one value for each row that has one, of the type and size of the field.

use std::ops::Range;

use bytes::Bytes;
use milvus_protocol::schema as wire;
use wire::field_data::Field;
use wire::scalar_field::Data as Scalar;
use wire::vector_field::Data as Vector;

use super::Structs;
use crate::schema::DataType;

/// The values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Payload {
    Bool(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    /// Fixed-width little-endian values: floats, doubles and dense vectors.
    Packed(Bytes),
    /// Text, JSON, sparse vectors: one slice for each value.
    Slices(Vec<Bytes>),
    Arrays(Vec<wire::ScalarField>),
    Structs(Structs),
}

/// One field's values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) element_type: Option<DataType>,
    pub(crate) dimension: usize,
    pub(crate) is_dynamic: bool,
    pub(crate) payload: Payload,
    /// For each row, whether it has a value; `None` when the field must have one in every row.
    pub(crate) valid: Option<Vec<bool>>,
}

/// Bytes that an element of a list costs beside its own: tag and length.
pub(super) const ELEMENT_OVERHEAD: usize = 6;
/// The longest varint.
const VARINT: usize = 10;

/// At most this many bytes on the wire for a column of this name as such.
pub(super) fn header_bytes(name: &str) -> usize {
    // Name, type, dimension, and the tags and lengths of five nested messages.
    name.len() + 64
}

/// At most this many bytes on the wire for each row of a column, apart from values of varying size.
pub(super) fn fixed_bytes_per_row(data_type: DataType, width: usize, has_validity: bool) -> usize {
    let value = match data_type {
        DataType::Bool => 1,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => VARINT,
        // 0 for values of varying size.
        _ => width,
    };
    value.saturating_add(usize::from(has_validity))
}

/// Bytes of one packed value; 0 for types whose values are not packed.
pub(super) fn packed_width(data_type: DataType, dimension: usize) -> usize {
    match data_type {
        DataType::Float => 4,
        DataType::Double => 8,
        vector => vector.dense_vector_bytes(dimension).unwrap_or(0),
    }
}

impl FieldColumn {
    /// Bytes of one packed value; 0 for payloads of other kinds.
    pub(crate) fn width(&self) -> usize {
        packed_width(self.data_type, self.dimension)
    }

    /// At most this many bytes on the wire for each row, apart from values of varying size.
    pub(crate) fn fixed_bytes_per_row(&self) -> usize {
        if let Payload::Structs(structs) = &self.payload {
            return structs.fixed_bytes_per_row(self.valid.is_some());
        }
        fixed_bytes_per_row(self.data_type, self.width(), self.valid.is_some())
    }

    /// Whether values have varying sizes, given by [`value_bytes`](Self::value_bytes).
    pub(crate) fn varies(&self) -> bool {
        matches!(
            self.payload,
            Payload::Slices(_) | Payload::Arrays(_) | Payload::Structs(_)
        )
    }

    /// At most this many bytes on the wire for the value at this place of a payload that varies.
    pub(crate) fn value_bytes(&self, place: usize) -> usize {
        match &self.payload {
            Payload::Slices(slices) => slices.get(place).map_or(0, Bytes::len) + ELEMENT_OVERHEAD,
            Payload::Arrays(arrays) => {
                arrays.get(place).map_or(0, prost::Message::encoded_len) + ELEMENT_OVERHEAD
            }
            Payload::Structs(structs) => structs.value_bytes(place),
            _ => 0,
        }
    }

    /// At most this many bytes on the wire for the column as such.
    pub(crate) fn header_bytes(&self) -> usize {
        let members = match &self.payload {
            Payload::Structs(structs) => structs.header_bytes(),
            _ => 0,
        };
        header_bytes(&self.name).saturating_add(members)
    }

    /// At most this many bytes on the wire for so many rows.
    pub(crate) fn bytes(&self, rows: usize) -> usize {
        let values = match &self.payload {
            Payload::Slices(slices) => slices.len(),
            Payload::Arrays(arrays) => arrays.len(),
            Payload::Structs(structs) => structs.len(),
            _ => 0,
        };
        let fixed = rows.saturating_mul(self.fixed_bytes_per_row());
        let varying = (0..values).map(|place| self.value_bytes(place));
        let varying = varying.fold(0, usize::saturating_add);
        self.header_bytes()
            .saturating_add(fixed)
            .saturating_add(varying)
    }

    /// The message for some of the rows; `values` are the places of their values in the payload.
    pub(crate) fn part(&self, rows: Range<usize>, values: Range<usize>) -> wire::FieldData {
        let width = self.width();
        let payload = match &self.payload {
            Payload::Bool(all) => Payload::Bool(all[values].to_vec()),
            Payload::Int(all) => Payload::Int(all[values].to_vec()),
            Payload::Long(all) => Payload::Long(all[values].to_vec()),
            Payload::Packed(all) => {
                Payload::Packed(all.slice(values.start * width..values.end * width))
            }
            Payload::Slices(all) => Payload::Slices(all[values].to_vec()),
            Payload::Arrays(all) => Payload::Arrays(all[values].to_vec()),
            Payload::Structs(structs) => {
                let valid = self.valid.as_ref().map(|valid| &valid[rows]);
                return self.structs_message(structs.messages(values, valid));
            }
        };
        let valid = self.valid.as_ref().map(|valid| valid[rows].to_vec());
        self.message(payload, valid)
    }

    /// The message for all rows.
    pub(crate) fn into_message(mut self) -> wire::FieldData {
        let payload = std::mem::replace(&mut self.payload, Payload::Bool(Vec::new()));
        let valid = self.valid.take();
        if let Payload::Structs(structs) = payload {
            return self.structs_message(structs.messages(0..structs.len(), valid.as_deref()));
        }
        self.message(payload, valid)
    }

    /// The message of an array of structs. Which rows have one stands with each member.
    fn structs_message(&self, fields: Vec<wire::FieldData>) -> wire::FieldData {
        wire::FieldData {
            r#type: self.data_type.number(),
            field_name: self.name.clone(),
            field: Some(Field::StructArrays(wire::StructArrayField { fields })),
            ..wire::FieldData::default()
        }
    }

    fn message(&self, payload: Payload, valid: Option<Vec<bool>>) -> wire::FieldData {
        wire::FieldData {
            r#type: self.data_type.number(),
            field_name: self.name.clone(),
            field_id: 0,
            is_dynamic: self.is_dynamic,
            valid_data: valid.unwrap_or_default(),
            field: Some(if self.data_type.is_vector() {
                Field::Vectors(wire::VectorField {
                    dim: self.dimension as i64,
                    data: Some(self.vectors(payload)),
                })
            } else {
                Field::Scalars(wire::ScalarField {
                    data: Some(self.scalars(payload)),
                })
            }),
        }
    }

    fn vectors(&self, payload: Payload) -> Vector {
        match (self.data_type, payload) {
            (DataType::FloatVector, Payload::Packed(data)) => {
                Vector::FloatVector(wire::FloatArray { data })
            }
            (DataType::BinaryVector, Payload::Packed(data)) => Vector::BinaryVector(data),
            (DataType::Float16Vector, Payload::Packed(data)) => Vector::Float16Vector(data),
            (DataType::BFloat16Vector, Payload::Packed(data)) => Vector::Bfloat16Vector(data),
            (DataType::Int8Vector, Payload::Packed(data)) => Vector::Int8Vector(data),
            (_, Payload::Slices(contents)) => Vector::SparseFloatVector(wire::SparseFloatArray {
                dim: sparse_dimension(&contents),
                contents,
            }),
            // No other pair is ever made; an empty vector is what the server refuses.
            _ => Vector::BinaryVector(Bytes::new()),
        }
    }

    fn scalars(&self, payload: Payload) -> Scalar {
        match (self.data_type, payload) {
            (_, Payload::Bool(data)) => Scalar::BoolData(wire::BoolArray { data }),
            (_, Payload::Int(data)) => Scalar::IntData(wire::IntArray { data }),
            (_, Payload::Long(data)) => Scalar::LongData(wire::LongArray { data }),
            (DataType::Float, Payload::Packed(data)) => {
                Scalar::FloatData(wire::FloatArray { data })
            }
            (_, Payload::Packed(data)) => Scalar::DoubleData(wire::DoubleArray { data }),
            (DataType::Json, Payload::Slices(data)) => Scalar::JsonData(wire::JsonArray { data }),
            (DataType::Geometry, Payload::Slices(data)) => {
                let texts = data
                    .iter()
                    .map(|text| String::from_utf8_lossy(text).into_owned());
                Scalar::GeometryWktData(wire::GeometryWktArray {
                    data: texts.collect(),
                })
            }
            (_, Payload::Slices(data)) => Scalar::StringData(wire::StringArray { data }),
            // Their message is made without this.
            (_, Payload::Structs(_)) => Scalar::BoolData(wire::BoolArray::default()),
            (_, Payload::Arrays(data)) => Scalar::ArrayData(wire::ArrayArray {
                data,
                element_type: self.element_type.map_or(0, DataType::number),
            }),
        }
    }
}

/// One more than the largest index of sorted (index, value) pairs.
fn sparse_dimension(contents: &[Bytes]) -> i64 {
    let last_index = |pairs: &Bytes| {
        let start = pairs.len().checked_sub(8)?;
        let index: [u8; 4] = pairs.get(start..start + 4)?.try_into().ok()?;
        Some(i64::from(u32::from_le_bytes(index)) + 1)
    };
    contents.iter().filter_map(last_index).max().unwrap_or(0)
}
