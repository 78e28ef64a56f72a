//! One array value on its way into a column.
//!
//! Invariant: every element is of the field's element type and within its limits.

use bytes::Bytes;
use milvus_protocol::schema as wire;
use wire::scalar_field::Data as Array;

use super::{Scalar, Slices, mismatch};
use crate::error::Rule;
use crate::schema::{DataType, FieldSchema};

/// The memory of an array. Small integers take a byte on the wire and eight here.
pub(super) fn memory(array: &Array) -> usize {
    size_of::<wire::ScalarField>()
        + match array {
            Array::BoolData(array) => array.data.len(),
            Array::IntData(array) => array.data.len() * 4,
            Array::LongData(array) => array.data.len() * 8,
            Array::FloatData(array) => array.data.len(),
            Array::DoubleData(array) => array.data.len(),
            Array::StringData(array) => {
                let texts = array.data.iter();
                texts.map(|text| text.len() + size_of::<Bytes>()).sum()
            }
            _ => 0,
        }
}

/// An array value that grows element by element.
#[derive(Debug)]
pub(crate) struct ArrayBuilder {
    element: DataType,
    max_length: Option<usize>,
    values: ArrayValues,
    length: usize,
}

#[derive(Debug)]
enum ArrayValues {
    Bool(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Text(Slices),
}

impl ArrayBuilder {
    pub(crate) fn new(field: &FieldSchema) -> Result<Self, Rule> {
        let element = field.element_type.unwrap_or(DataType::Other(0));
        let values = match element {
            DataType::Bool => ArrayValues::Bool(Vec::new()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => ArrayValues::Int(Vec::new()),
            DataType::Int64 => ArrayValues::Long(Vec::new()),
            DataType::Float => ArrayValues::Float(Vec::new()),
            DataType::Double => ArrayValues::Double(Vec::new()),
            DataType::VarChar | DataType::Text => ArrayValues::Text(Slices::default()),
            other => {
                return Err(Rule::Row(format!(
                    "arrays of {other} cannot be written by this client"
                )));
            }
        };
        Ok(Self {
            element,
            max_length: field.max_length,
            values,
            length: 0,
        })
    }

    pub(crate) fn push(&mut self, scalar: Scalar<'_>) -> Result<(), Rule> {
        let element = Some(self.length);
        match &mut self.values {
            ArrayValues::Bool(values) => values.push(scalar.as_bool(self.element)?),
            ArrayValues::Int(values) => values.push(scalar.as_integer(self.element)? as i32),
            ArrayValues::Long(values) => values.push(scalar.as_integer(self.element)?),
            ArrayValues::Float(values) => values.push(scalar.as_float(self.element, element)?),
            ArrayValues::Double(values) => values.push(scalar.as_double(self.element, element)?),
            ArrayValues::Text(slices) => match scalar {
                Scalar::Text(text) => {
                    if let Some(limit) = self.max_length
                        && text.len() > limit
                    {
                        let found = text.len();
                        return Err(Rule::MaxLength { limit, found });
                    }
                    slices.push(text.as_bytes());
                }
                other => return Err(mismatch(self.element, other)),
            },
        }
        self.length += 1;
        Ok(())
    }

    pub(crate) fn finish(self) -> Array {
        match self.values {
            ArrayValues::Bool(data) => Array::BoolData(wire::BoolArray { data }),
            ArrayValues::Int(data) => Array::IntData(wire::IntArray { data }),
            ArrayValues::Long(data) => Array::LongData(wire::LongArray { data }),
            ArrayValues::Float(data) => Array::FloatData(data.into()),
            ArrayValues::Double(data) => Array::DoubleData(data.into()),
            ArrayValues::Text(slices) => Array::StringData(wire::StringArray {
                data: slices.finish(),
            }),
        }
    }
}
