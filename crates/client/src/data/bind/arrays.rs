//! Columns of arrays meet the schema.
//!
//! Invariant: an array that is accepted is within the field's limits, and so is each of its elements.

use bytes::Bytes;
use milvus_protocol::schema as wire;
use wire::scalar_field::Data as Scalar;

use super::{Checked, Fault, integer_range, mismatch};
use crate::data::column::Values;
use crate::data::{Payload, first_not_finite};
use crate::error::Rule;
use crate::schema::{DataType, FieldSchema};

pub(super) fn check_arrays(
    field: &FieldSchema,
    values: Values,
    fault: &Fault<'_>,
) -> Checked<(Payload, usize)> {
    let element = field.element_type.unwrap_or(DataType::Other(0));
    let arrays: Result<Vec<Scalar>, (usize, Rule)> = match (element, values) {
        (DataType::Bool, Values::BoolLists(lists)) => Ok(lists
            .into_iter()
            .map(|data| Scalar::BoolData(wire::BoolArray { data }))
            .collect()),
        (
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64,
            Values::IntLists(lists),
        ) => integer_arrays(element, lists),
        (DataType::Float, Values::FloatLists { packed, lengths }) => {
            float_arrays(&packed, &lengths)
        }
        (DataType::Double, Values::DoubleLists(lists)) => lists
            .into_iter()
            .enumerate()
            .map(
                |(place, list)| match list.iter().position(|v| !v.is_finite()) {
                    Some(element) => Err((
                        place,
                        Rule::Finite {
                            element: Some(element),
                        },
                    )),
                    None => Ok(Scalar::DoubleData(list.into())),
                },
            )
            .collect(),
        (DataType::VarChar | DataType::Text, Values::TextLists(lists)) => text_arrays(field, lists),
        (_, other) => return Err(mismatch(field.data_type, &other, fault)),
    };
    let arrays = arrays.map_err(|(place, rule)| fault(Some(place), rule))?;
    if let Some(limit) = field.max_capacity {
        for (place, array) in arrays.iter().enumerate() {
            let found = array_len(array);
            if found > limit {
                return Err(fault(Some(place), Rule::MaxCapacity { limit, found }));
            }
        }
    }
    let count = arrays.len();
    let messages = arrays
        .into_iter()
        .map(|data| wire::ScalarField { data: Some(data) })
        .collect();
    Ok((Payload::Arrays(messages), count))
}

type Arrays = Result<Vec<Scalar>, (usize, Rule)>;

fn integer_arrays(element: DataType, lists: Vec<Vec<i64>>) -> Arrays {
    let (low, high) = integer_range(element);
    let array = |(place, list): (usize, Vec<i64>)| {
        if let Some(value) = list.iter().find(|value| **value < low || **value > high) {
            let rule = Rule::Range {
                expected: element,
                found: value.to_string(),
            };
            return Err((place, rule));
        }
        Ok(if element == DataType::Int64 {
            Scalar::LongData(wire::LongArray { data: list })
        } else {
            let data = list.into_iter().map(|value| value as i32).collect();
            Scalar::IntData(wire::IntArray { data })
        })
    };
    lists.into_iter().enumerate().map(array).collect()
}

fn float_arrays(packed: &Bytes, lengths: &[usize]) -> Arrays {
    let mut start = 0;
    let array = |(place, length): (usize, &usize)| {
        let data = packed.slice(start..start + length * 4);
        start += length * 4;
        match first_not_finite(DataType::Float, &data) {
            Some(element) => Err((
                place,
                Rule::Finite {
                    element: Some(element),
                },
            )),
            None => Ok(Scalar::FloatData(wire::FloatArray { data })),
        }
    };
    lengths.iter().enumerate().map(array).collect()
}

fn text_arrays(field: &FieldSchema, lists: Vec<Vec<String>>) -> Arrays {
    let limit = field.max_length.unwrap_or(usize::MAX);
    let array = |(place, list): (usize, Vec<String>)| {
        if let Some(long) = list.iter().find(|text| text.len() > limit) {
            let found = long.len();
            return Err((place, Rule::MaxLength { limit, found }));
        }
        let data = list.into_iter().map(Bytes::from).collect();
        Ok(Scalar::StringData(wire::StringArray { data }))
    };
    lists.into_iter().enumerate().map(array).collect()
}

/// Number of elements of an array value.
pub(crate) fn array_len(array: &Scalar) -> usize {
    match array {
        Scalar::BoolData(array) => array.data.len(),
        Scalar::IntData(array) => array.data.len(),
        Scalar::LongData(array) => array.data.len(),
        Scalar::FloatData(array) => array.data.len() / 4,
        Scalar::DoubleData(array) => array.data.len() / 8,
        Scalar::StringData(array) => array.data.len(),
        _ => 0,
    }
}
