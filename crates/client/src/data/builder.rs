//! A column of the wire that grows value by value, typed by its field.
//!
//! Text, JSON and sparse vectors are written one after the other into one buffer and cut into slices at
//! the end, so that a column costs few allocations however many rows it has.
//!
//! Invariant: after each row, the builder has either one value more, or one row more without a value.

mod array;

use bytes::{Bytes, BytesMut};
use milvus_protocol::packed_bytes;
use milvus_protocol::schema as wire;
use wire::scalar_field::Data as Array;

use super::bind::{array_len, check_sparse, integer_range};
use super::column::SparseVector;
use super::field_column::{ELEMENT_OVERHEAD, fixed_bytes_per_row, header_bytes, packed_width};
use super::finite::first_not_finite_float;
use super::half::{bf16_bits, f16_bits};
use super::structs::StructsBuilder;
use super::{FieldColumn, Payload};
use crate::error::Rule;
use crate::schema::{DataType, FieldSchema, StructArraySchema};
pub(crate) use array::ArrayBuilder;

/// A scalar on its way into a column, as `serde` hands it over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`.
    Large(u64),
    Float(f32),
    Double(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Scalar<'_> {
    fn describe(self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Int(value) => format!("the integer {value}"),
            Self::Large(value) => format!("the integer {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Double(value) => format!("the number {value}"),
            Self::Text(_) => "text".to_owned(),
            Self::Bytes(_) => "bytes".to_owned(),
        }
    }

    fn as_bool(self, expected: DataType) -> Result<bool, Rule> {
        match self {
            Self::Bool(value) => Ok(value),
            other => Err(mismatch(expected, other)),
        }
    }

    fn as_integer(self, expected: DataType) -> Result<i64, Rule> {
        let (low, high) = integer_range(expected);
        match self {
            Self::Int(value) if (low..=high).contains(&value) => Ok(value),
            Self::Int(value) => Err(out_of_range(expected, value)),
            Self::Large(value) => Err(out_of_range(expected, value)),
            other => Err(mismatch(expected, other)),
        }
    }

    fn as_double(self, expected: DataType, element: Option<usize>) -> Result<f64, Rule> {
        let value = match self {
            Self::Int(value) => value as f64,
            Self::Large(value) => value as f64,
            Self::Float(value) => f64::from(value),
            Self::Double(value) => value,
            other => return Err(mismatch(expected, other)),
        };
        if value.is_finite() {
            Ok(value)
        } else {
            Err(Rule::Finite { element })
        }
    }

    /// The value as an element of a float vector, finite or not: the most frequent case is a comparison and nothing else.
    #[inline]
    fn as_vector_element(self, element: usize) -> Result<f32, Rule> {
        match self {
            Self::Float(value) => Ok(value),
            other => other.as_float(DataType::FloatVector, Some(element)),
        }
    }

    fn as_float(self, expected: DataType, element: Option<usize>) -> Result<f32, Rule> {
        if let Self::Float(value) = self {
            return if value.is_finite() {
                Ok(value)
            } else {
                Err(Rule::Finite { element })
            };
        }
        let wide = self.as_double(expected, element)?;
        let value = wide as f32;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(out_of_range(expected, wide))
        }
    }
}

fn mismatch(expected: DataType, found: Scalar<'_>) -> Rule {
    Rule::Type {
        expected,
        found: found.describe(),
    }
}

fn out_of_range(expected: DataType, found: impl ToString) -> Rule {
    Rule::Range {
        expected,
        found: found.to_string(),
    }
}

/// Slices of one growing buffer.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    buffer: Vec<u8>,
    ends: Vec<usize>,
}

impl Slices {
    /// Adds a value.
    pub(crate) fn push(&mut self, value: &[u8]) {
        self.buffer.extend_from_slice(value);
        self.ends.push(self.buffer.len());
    }

    /// The buffer, to write a value at its end; [`end`](Self::end) completes it.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Completes the value being written.
    pub(crate) fn end(&mut self) {
        self.ends.push(self.buffer.len());
    }

    /// The value being written, not completed yet.
    pub(crate) fn pending(&self) -> &[u8] {
        self.buffer
            .get(self.ends.last().copied().unwrap_or(0)..)
            .unwrap_or_default()
    }

    /// Drops the value being written.
    pub(crate) fn discard(&mut self) {
        self.buffer.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// At most this many bytes on the wire.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len() + self.ends.len() * ELEMENT_OVERHEAD
    }

    pub(crate) fn finish(self) -> Vec<Bytes> {
        let buffer = Bytes::from(self.buffer);
        let mut start = 0;
        let slice = |end: usize| {
            let slice = buffer.slice(start..end);
            start = end;
            slice
        };
        self.ends.into_iter().map(slice).collect()
    }
}

#[derive(Debug)]
pub(crate) enum Values {
    Bool(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    /// Float vectors, one after the other.
    Floats(Vec<f32>),
    Packed(BytesMut),
    Slices(Slices),
    Arrays(Vec<wire::ScalarField>),
    Structs(StructsBuilder),
}

/// A growing column.
#[derive(Debug)]
pub(crate) struct FieldBuilder {
    pub(crate) field: FieldSchema,
    pub(crate) values: Values,
    valid: Vec<bool>,
    /// Rows that gave the field, null or not.
    given: usize,
    /// What the arrays have so far, on the wire or in memory, whichever is more.
    array_bytes: usize,
}

/// Most bytes for which room is made before there are values.
const ROOM: usize = 64 << 20;

impl FieldBuilder {
    pub(crate) fn new(field: &FieldSchema, rows: usize) -> Self {
        let width = packed_width(field.data_type, field.dimension.unwrap_or(0));
        let packed = rows.saturating_mul(width).min(ROOM);
        let rows = rows.min(ROOM / size_of::<wire::ScalarField>());
        let values = match field.data_type {
            DataType::Bool => Values::Bool(Vec::with_capacity(rows)),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => {
                Values::Int(Vec::with_capacity(rows))
            }
            DataType::Int64 => Values::Long(Vec::with_capacity(rows)),
            DataType::Array => Values::Arrays(Vec::with_capacity(rows)),
            DataType::FloatVector => Values::Floats(Vec::with_capacity(packed / 4)),
            other
                if other.is_dense_vector()
                    || matches!(other, DataType::Float | DataType::Double) =>
            {
                Values::Packed(BytesMut::with_capacity(packed))
            }
            _ => Values::Slices(Slices::default()),
        };
        Self {
            field: field.clone(),
            values,
            valid: Vec::new(),
            given: 0,
            array_bytes: 0,
        }
    }

    /// A column of an array of structs.
    pub(crate) fn of_structs(schema: &StructArraySchema) -> Self {
        Self {
            field: schema.as_field(),
            values: Values::Structs(StructsBuilder::new(schema)),
            valid: Vec::new(),
            given: 0,
            array_bytes: 0,
        }
    }

    /// Completes a list of structs.
    pub(crate) fn end_structs(&mut self) -> Result<(), Rule> {
        if let Values::Structs(structs) = &mut self.values {
            structs.end_list()?;
        }
        self.end_value();
        Ok(())
    }

    pub(crate) fn may_be_absent(&self) -> bool {
        self.field.is_nullable || self.field.default_value.is_some()
    }

    /// At most this many bytes on the wire for the column as such.
    pub(crate) fn header_bytes(&self) -> usize {
        let members = match &self.values {
            Values::Structs(structs) => structs.header_bytes(),
            _ => 0,
        };
        header_bytes(&self.field.name).saturating_add(members)
    }

    /// At most this many bytes on the wire for each row, apart from values of varying size.
    pub(crate) fn fixed_bytes_per_row(&self) -> usize {
        if let Values::Structs(structs) = &self.values {
            return structs.fixed_bytes_per_row(self.may_be_absent());
        }
        let width = packed_width(self.field.data_type, self.field.dimension.unwrap_or(0));
        fixed_bytes_per_row(self.field.data_type, width, self.may_be_absent())
    }

    /// At most this many bytes on the wire (or in memory, for arrays and structs that take more of that) for the values so far
    /// that have varying sizes.
    pub(crate) fn varying_bytes(&self) -> usize {
        match &self.values {
            Values::Slices(slices) => slices.bytes(),
            Values::Arrays(_) => self.array_bytes,
            Values::Structs(structs) => structs.varying_bytes(),
            _ => 0,
        }
    }

    /// How many rows gave the field.
    pub(crate) fn given(&self) -> usize {
        self.given
    }

    /// Notes that the row's value is complete.
    pub(crate) fn end_value(&mut self) {
        self.given += 1;
        if self.may_be_absent() {
            self.valid.push(true);
        }
    }

    /// The row says that it has no value.
    pub(crate) fn push_null(&mut self) -> Result<(), Rule> {
        if !self.may_be_absent() {
            return Err(Rule::NotNull);
        }
        self.given += 1;
        self.valid.push(false);
        Ok(())
    }

    /// The row does not give the field.
    pub(crate) fn push_absent(&mut self) {
        if self.may_be_absent() {
            self.valid.push(false);
        }
    }

    /// Adds a whole value that is a scalar (or bytes that are a whole vector).
    pub(crate) fn push_scalar(&mut self, scalar: Scalar<'_>) -> Result<(), Rule> {
        let data_type = self.field.data_type;
        match (&mut self.values, scalar) {
            (_, Scalar::Null) => return self.push_null(),
            (Values::Bool(values), scalar) => values.push(scalar.as_bool(data_type)?),
            (Values::Int(values), scalar) => values.push(scalar.as_integer(data_type)? as i32),
            (Values::Long(values), scalar) => values.push(scalar.as_integer(data_type)?),
            (Values::Packed(packed), scalar) if data_type == DataType::Float => {
                packed.extend_from_slice(&scalar.as_float(data_type, None)?.to_le_bytes());
            }
            (Values::Packed(packed), scalar) if data_type == DataType::Double => {
                packed.extend_from_slice(&scalar.as_double(data_type, None)?.to_le_bytes());
            }
            (Values::Packed(_) | Values::Floats(_), Scalar::Bytes(vector)) => {
                self.push_packed_vector(vector)?;
            }
            (Values::Slices(slices), Scalar::Text(text))
                if data_type != DataType::SparseFloatVector =>
            {
                if data_type.has_max_length()
                    && let Some(limit) = self.field.max_length
                    && text.len() > limit
                {
                    let found = text.len();
                    return Err(Rule::MaxLength { limit, found });
                }
                slices.push(text.as_bytes());
            }
            (_, other) => return Err(mismatch(data_type, other)),
        }
        self.end_value();
        Ok(())
    }

    fn push_packed_vector(&mut self, vector: &[u8]) -> Result<(), Rule> {
        let width = self.field.vector_bytes().unwrap_or(0);
        let dimension = self.field.dimension.unwrap_or(0);
        if vector.len() != width {
            return Err(Rule::Dimension {
                expected: dimension,
                found: self.field.data_type.dimensions_of(vector.len()),
            });
        }
        if let Some(element) = super::first_not_finite(self.field.data_type, vector) {
            return Err(Rule::Finite {
                element: Some(element),
            });
        }
        match &mut self.values {
            Values::Packed(packed) => packed.extend_from_slice(vector),
            Values::Floats(floats) => {
                let (values, _) = vector.as_chunks::<4>();
                floats.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the column out, to add a float vector of this length to it; `None` when the field is of another type or its
    /// vectors have another length.
    pub(crate) fn take_floats(&mut self, len: Option<usize>) -> Option<FloatsBuilder> {
        match &mut self.values {
            Values::Floats(floats) if len.is_some() && len == self.field.dimension => {
                let mut floats = std::mem::take(floats);
                let start = floats.len();
                floats.resize(start + len?, 0.0);
                Some(FloatsBuilder {
                    floats,
                    start,
                    next: start,
                })
            }
            _ => None,
        }
    }

    /// Puts the column back, with one vector more.
    pub(crate) fn push_floats(&mut self, mut added: FloatsBuilder) -> Result<(), Rule> {
        let elements = added.next - added.start;
        added.floats.truncate(added.next);
        self.values = Values::Floats(added.floats);
        self.end_vector(elements)
    }

    /// Adds one element of a dense vector. That those of a float vector are finite is left to
    /// [`end_vector`](Self::end_vector), which looks at many at once.
    #[inline]
    pub(crate) fn push_element(&mut self, element: usize, scalar: Scalar<'_>) -> Result<(), Rule> {
        if let Values::Floats(floats) = &mut self.values {
            floats.push(scalar.as_vector_element(element)?);
            return Ok(());
        }
        self.push_packed_element(element, scalar)
    }

    fn push_packed_element(&mut self, element: usize, scalar: Scalar<'_>) -> Result<(), Rule> {
        let data_type = self.field.data_type;
        let Values::Packed(packed) = &mut self.values else {
            return Err(mismatch(data_type, scalar));
        };
        match data_type {
            DataType::Float16Vector => {
                let value = scalar.as_float(data_type, Some(element))?;
                let half = f16_bits(value);
                if half & 0x7C00 == 0x7C00 {
                    return Err(out_of_range(data_type, value));
                }
                packed.extend_from_slice(&half.to_le_bytes());
            }
            DataType::BFloat16Vector => {
                let value = scalar.as_float(data_type, Some(element))?;
                let half = bf16_bits(value);
                if half & 0x7F80 == 0x7F80 {
                    return Err(out_of_range(data_type, value));
                }
                packed.extend_from_slice(&half.to_le_bytes());
            }
            DataType::Int8Vector => {
                let value = scalar.as_integer(DataType::Int8)? as i8;
                packed.extend_from_slice(&value.to_le_bytes());
            }
            DataType::BinaryVector => match scalar {
                Scalar::Int(value @ 0..=255) => packed.extend_from_slice(&[value as u8]),
                other => return Err(mismatch(data_type, other)),
            },
            _ => return Err(mismatch(data_type, scalar)),
        }
        Ok(())
    }

    /// Completes a dense vector of this many elements.
    pub(crate) fn end_vector(&mut self, elements: usize) -> Result<(), Rule> {
        let dimension = self.field.dimension.unwrap_or(0);
        if let Values::Floats(floats) = &self.values {
            let start = floats.len().saturating_sub(elements);
            let vector = floats.get(start..).unwrap_or_default();
            if let Some(element) = first_not_finite_float(vector) {
                return Err(Rule::Finite {
                    element: Some(element),
                });
            }
        }
        let found = match self.field.data_type {
            DataType::BinaryVector => elements * 8,
            _ => elements,
        };
        if found != dimension {
            return Err(Rule::Dimension {
                expected: dimension,
                found,
            });
        }
        self.end_value();
        Ok(())
    }

    /// Adds a sparse vector.
    pub(crate) fn push_sparse(&mut self, vector: &SparseVector) -> Result<(), Rule> {
        check_sparse(vector.pairs())?;
        if let Values::Slices(slices) = &mut self.values {
            slices.push(&vector.to_wire());
        }
        self.end_value();
        Ok(())
    }

    /// Adds an array.
    pub(crate) fn push_array(&mut self, array: Array) -> Result<(), Rule> {
        if let Some(limit) = self.field.max_capacity {
            let found = array_len(&array);
            if found > limit {
                return Err(Rule::MaxCapacity { limit, found });
            }
        }
        if let Values::Arrays(arrays) = &mut self.values {
            let memory = array::memory(&array);
            let message = wire::ScalarField { data: Some(array) };
            let wire = prost::Message::encoded_len(&message) + ELEMENT_OVERHEAD;
            self.array_bytes += wire.max(memory);
            arrays.push(message);
        }
        self.end_value();
        Ok(())
    }

    pub(crate) fn finish(self) -> FieldColumn {
        let valid = self.may_be_absent().then_some(self.valid);
        let payload = match self.values {
            Values::Bool(values) => Payload::Bool(values),
            Values::Int(values) => Payload::Int(values),
            Values::Long(values) => Payload::Long(values),
            Values::Floats(floats) => Payload::Packed(packed_bytes(floats)),
            Values::Packed(packed) => Payload::Packed(packed.freeze()),
            Values::Slices(slices) => Payload::Slices(slices.finish()),
            Values::Arrays(arrays) => Payload::Arrays(arrays),
            Values::Structs(structs) => Payload::Structs(structs.finish()),
        };
        FieldColumn::of(&self.field, payload, valid)
    }
}

/// A column of float vectors, the last of which is being written into the room made for it. Apart from its column and
/// without having to grow, it stays in the processor's registers while a list of numbers is read.
#[derive(Debug)]
pub(crate) struct FloatsBuilder {
    floats: Vec<f32>,
    start: usize,
    /// The place of the next element, beyond the end when there are too many.
    next: usize,
}

impl FloatsBuilder {
    #[inline]
    pub(crate) fn push(&mut self, scalar: Scalar<'_>) -> Result<(), Rule> {
        let value = scalar.as_vector_element(self.next - self.start)?;
        if let Some(place) = self.floats.get_mut(self.next) {
            *place = value;
        }
        self.next += 1;
        Ok(())
    }
}
