//! Columns meet the schema: every column finds its field, every value is checked.
//!
//! Invariant: the cost of a dense vector column is one look at its bytes; they are not moved.

mod arrays;

use bytes::Bytes;

use super::builder::FieldBuilder;
use super::column::{Column, Values};
use super::dynamic::DynamicRows;
use super::half::{bf16_bits, f16_bits};
use super::{Batch, FieldColumn, Payload, Write, first_not_finite, structs_column};
use crate::describe_collection::CollectionDescription;
use crate::error::{InvalidValue, Rule};
use crate::schema::{DataType, FieldSchema};
pub(crate) use arrays::array_len;
use arrays::check_arrays;

type Checked<T> = Result<T, InvalidValue>;

/// Checks columns against the schema and puts them in the form of the wire.
pub(crate) fn bind_columns(
    columns: Vec<(String, Column)>,
    write: Write,
    collection: &CollectionDescription,
) -> Checked<Batch> {
    let schema = &collection.schema;
    let mut bound: Vec<FieldColumn> = Vec::with_capacity(columns.len());
    let mut dynamic = DynamicRows::default();
    let mut rows = None;
    for (name, column) in columns {
        let twice = bound.iter().any(|other| other.name == name) || dynamic.has(&name);
        if twice {
            return Err(InvalidValue::new(name, None, Rule::GivenOnce));
        }
        let structs = schema
            .struct_array_fields
            .iter()
            .find(|field| field.name == name);
        let found = match schema.field_named(&name).filter(|field| !field.is_dynamic) {
            None if let Some(structs) = structs => {
                let (column, found) = structs_column(structs, column)?;
                bound.push(column);
                found
            }
            Some(field) => {
                if !write.accepts(field, collection) {
                    return Err(InvalidValue::new(name, None, Rule::FilledByServer));
                }
                let (column, found) = bind(field, column)?;
                bound.push(column);
                found
            }
            None if schema.has_dynamic_fields => dynamic.add(name.clone(), column)?,
            None => return Err(InvalidValue::new(name, None, Rule::Unknown)),
        };
        let expected = *rows.get_or_insert(found);
        if expected != found {
            return Err(InvalidValue::new(
                name,
                None,
                Rule::RowCount { expected, found },
            ));
        }
    }
    let rows = rows.unwrap_or(0);
    for field in &schema.fields {
        let is_there = bound.iter().any(|column| column.name == field.name);
        if !is_there && write.requires(field) {
            return Err(InvalidValue::new(&field.name, None, Rule::Required));
        }
        let is_filled = field.is_nullable || field.default_value.is_some();
        if !is_there && is_filled && !field.is_function_output && write.fills_absent() {
            bound.push(FieldColumn::absent(field, rows));
        }
    }
    for structs in &schema.struct_array_fields {
        if bound.iter().any(|column| column.name == structs.name) {
            continue;
        }
        if write.requires(&structs.as_field()) {
            return Err(InvalidValue::new(&structs.name, None, Rule::Required));
        }
        if structs.is_nullable && write.fills_absent() {
            let mut absent = FieldBuilder::of_structs(structs);
            (0..rows).for_each(|_| absent.push_absent());
            bound.push(absent.finish());
        }
    }
    if schema.has_dynamic_fields && (write.fills_absent() || !dynamic.is_empty()) {
        bound.push(dynamic.into_column(rows));
    }
    Ok(Batch {
        columns: bound,
        rows,
    })
}

impl FieldColumn {
    /// The column of a field that no row gives.
    pub(crate) fn absent(field: &FieldSchema, rows: usize) -> Self {
        let payload = match field.data_type {
            DataType::Bool => Payload::Bool(Vec::new()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => Payload::Int(Vec::new()),
            DataType::Int64 => Payload::Long(Vec::new()),
            DataType::Array => Payload::Arrays(Vec::new()),
            other
                if other.is_dense_vector()
                    || matches!(other, DataType::Float | DataType::Double) =>
            {
                Payload::Packed(Bytes::new())
            }
            _ => Payload::Slices(Vec::new()),
        };
        Self::of(field, payload, Some(vec![false; rows]))
    }

    pub(crate) fn of(field: &FieldSchema, payload: Payload, valid: Option<Vec<bool>>) -> Self {
        Self {
            name: field.name.clone(),
            data_type: field.data_type,
            element_type: field.element_type,
            dimension: field.dimension.unwrap_or(0),
            is_dynamic: false,
            payload,
            valid,
        }
    }
}

/// Where in the caller's rows the value at a place of the payload stands.
pub(super) fn row_of(valid: Option<&[bool]>, place: usize) -> Option<u64> {
    let row = match valid {
        None => place,
        Some(valid) => valid
            .iter()
            .enumerate()
            .filter(|(_, valid)| **valid)
            .nth(place)
            .map_or(place, |(row, _)| row),
    };
    Some(row as u64)
}

/// One column and its number of rows.
fn bind(field: &FieldSchema, column: Column) -> Checked<(FieldColumn, usize)> {
    let Column { values, valid } = column;
    let may_be_absent = field.is_nullable || field.default_value.is_some();
    if !may_be_absent && let Some(row) = valid.iter().flatten().position(|valid| !valid) {
        return Err(InvalidValue::new(
            &field.name,
            Some(row as u64),
            Rule::NotNull,
        ));
    }
    let fault = |place: Option<usize>, rule: Rule| {
        let row = place.and_then(|place| row_of(valid.as_deref(), place));
        InvalidValue::new(&field.name, row, rule)
    };
    let (payload, values) = check(field, values, &fault)?;
    // `Some` of single numbers may have become the elements of fewer vectors than there are rows.
    if let Some(valid) = &valid {
        let expected = valid.iter().filter(|valid| **valid).count();
        if expected != values {
            let found = values;
            return Err(fault(None, Rule::ValueCount { expected, found }));
        }
    }
    let rows = valid.as_ref().map_or(values, Vec::len);
    let valid = if may_be_absent {
        Some(valid.unwrap_or_else(|| vec![true; rows]))
    } else {
        None
    };
    Ok((FieldColumn::of(field, payload, valid), rows))
}

/// Makes the error for the value at a place (or for the whole column).
type Fault<'a> = dyn Fn(Option<usize>, Rule) -> InvalidValue + 'a;

/// The payload and its number of values.
fn check(field: &FieldSchema, values: Values, fault: &Fault<'_>) -> Checked<(Payload, usize)> {
    match (field.data_type, values) {
        (DataType::Bool, Values::Bool(values)) => {
            let count = values.len();
            Ok((Payload::Bool(values), count))
        }
        (DataType::Int32, Values::Int32(values)) => {
            let count = values.len();
            Ok((Payload::Int(values), count))
        }
        (DataType::Int64, Values::Int64(values)) => {
            let count = values.len();
            Ok((Payload::Long(values), count))
        }
        (
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64,
            values @ (Values::Int8(_) | Values::Int16(_) | Values::Int32(_) | Values::Int64(_)),
        ) => check_integers(field.data_type, widen(values), fault),
        (DataType::Float, Values::Float(packed)) => check_floats(field.data_type, packed, 4, fault),
        (DataType::Double, Values::Double(packed)) => {
            check_floats(field.data_type, packed, 8, fault)
        }
        (
            DataType::VarChar
            | DataType::Text
            | DataType::Geometry
            | DataType::Timestamptz
            | DataType::Mol,
            Values::Text(values),
        ) => check_text(field, values, fault),
        (DataType::Json, Values::Json(values)) => {
            let count = values.len();
            Ok((Payload::Slices(values), count))
        }
        (DataType::Json, Values::Text(values)) => {
            for (place, text) in values.iter().enumerate() {
                serde_json::from_slice::<serde::de::IgnoredAny>(text)
                    .map_err(|problem| fault(Some(place), Rule::Json(problem.to_string())))?;
            }
            let count = values.len();
            Ok((Payload::Slices(values), count))
        }
        (DataType::Array, values) => check_arrays(field, values, fault),
        (DataType::SparseFloatVector, Values::Sparse(values)) => {
            for (place, vector) in values.iter().enumerate() {
                check_sparse(vector.pairs()).map_err(|rule| fault(Some(place), rule))?;
            }
            let slices: Vec<_> = values.iter().map(super::SparseVector::to_wire).collect();
            let count = slices.len();
            Ok((Payload::Slices(slices), count))
        }
        (DataType::SparseFloatVector, Values::PackedRows(values)) => {
            check_packed_sparse(values, fault)
        }
        (data_type, values) if data_type.is_dense_vector() => check_vectors(field, values, fault),
        (expected, values) => Err(mismatch(expected, &values, fault)),
    }
}

fn mismatch(expected: DataType, values: &Values, fault: &Fault<'_>) -> InvalidValue {
    fault(
        None,
        Rule::Type {
            expected,
            found: values.describe().to_owned(),
        },
    )
}

fn widen(values: Values) -> Vec<i64> {
    match values {
        Values::Int8(values) => values.into_iter().map(i64::from).collect(),
        Values::Int16(values) => values.into_iter().map(i64::from).collect(),
        Values::Int32(values) => values.into_iter().map(i64::from).collect(),
        Values::Int64(values) => values,
        _ => Vec::new(),
    }
}

/// Smallest and largest value of an integer type.
pub(crate) fn integer_range(data_type: DataType) -> (i64, i64) {
    match data_type {
        DataType::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DataType::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DataType::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

fn check_integers(
    data_type: DataType,
    values: Vec<i64>,
    fault: &Fault<'_>,
) -> Checked<(Payload, usize)> {
    let count = values.len();
    let (low, high) = integer_range(data_type);
    let outside = |value: &i64| *value < low || *value > high;
    if let Some(place) = values.iter().position(outside) {
        let found = values.get(place).copied().unwrap_or_default().to_string();
        return Err(fault(
            Some(place),
            Rule::Range {
                expected: data_type,
                found,
            },
        ));
    }
    let payload = if data_type == DataType::Int64 {
        Payload::Long(values)
    } else {
        // In range, so nothing is cut off.
        Payload::Int(values.into_iter().map(|value| value as i32).collect())
    };
    Ok((payload, count))
}

fn check_floats(
    data_type: DataType,
    packed: Bytes,
    width: usize,
    fault: &Fault<'_>,
) -> Checked<(Payload, usize)> {
    if let Some(place) = first_not_finite(data_type, &packed) {
        return Err(fault(Some(place), Rule::Finite { element: None }));
    }
    let count = packed.len() / width;
    Ok((Payload::Packed(packed), count))
}

fn check_text(
    field: &FieldSchema,
    values: Vec<Bytes>,
    fault: &Fault<'_>,
) -> Checked<(Payload, usize)> {
    if field.data_type.has_max_length()
        && let Some(limit) = field.max_length
        && let Some(place) = values.iter().position(|value| value.len() > limit)
    {
        let found = values.get(place).map_or(0, Bytes::len);
        return Err(fault(Some(place), Rule::MaxLength { limit, found }));
    }
    let count = values.len();
    Ok((Payload::Slices(values), count))
}

/// Indices ascending and each once, values finite.
pub(crate) fn check_sparse(pairs: &[(u32, f32)]) -> Result<(), Rule> {
    let mut last = None;
    for (place, (index, value)) in pairs.iter().enumerate() {
        if last >= Some(*index) || *index == u32::MAX {
            return Err(Rule::SparseIndex {
                index: u64::from(*index),
            });
        }
        if !value.is_finite() {
            return Err(Rule::Finite {
                element: Some(place),
            });
        }
        last = Some(*index);
    }
    Ok(())
}

/// Sparse vectors as they are on the wire.
fn check_packed_sparse(values: Vec<Bytes>, fault: &Fault<'_>) -> Checked<(Payload, usize)> {
    for (place, bytes) in values.iter().enumerate() {
        let vector = super::SparseVector::from_wire(bytes).ok_or_else(|| {
            let rule = Rule::Row(format!(
                "{} bytes are no sparse vector: 8 bytes are an index and a value",
                bytes.len()
            ));
            fault(Some(place), rule)
        })?;
        check_sparse(vector.pairs()).map_err(|rule| fault(Some(place), rule))?;
    }
    let count = values.len();
    Ok((Payload::Slices(values), count))
}

fn check_vectors(
    field: &FieldSchema,
    values: Values,
    fault: &Fault<'_>,
) -> Checked<(Payload, usize)> {
    let dimension = field.dimension.unwrap_or(0).max(1);
    let width = field.vector_bytes().unwrap_or(0).max(1);
    // What was converted to the field's elements, if anything was.
    let mut floats = None;
    let packed = match values {
        Values::Packed(packed) => packed,
        Values::PackedRows(vectors) => joined(field, &vectors, fault)?,
        #[cfg(feature = "arrow")]
        Values::PackedOf {
            packed,
            width: given,
        } => {
            if given != width && !packed.is_empty() {
                let rule = Rule::Dimension {
                    expected: dimension,
                    found: field.data_type.dimensions_of(given),
                };
                return Err(fault(Some(0), rule));
            }
            packed
        }
        Values::IntLists(lists) if field.data_type == DataType::Int8Vector => {
            int8_vectors(&lists, dimension, fault)?
        }
        Values::Float(packed) => {
            floats = Some(packed.clone());
            convert(field.data_type, packed)
                .ok_or_else(|| type_fault(field, "32-bit floats", fault))?
        }
        Values::FloatLists { packed, lengths } => {
            if let Some(place) = lengths.iter().position(|length| *length != dimension) {
                return Err(fault(
                    Some(place),
                    Rule::Dimension {
                        expected: dimension,
                        found: lengths.get(place).copied().unwrap_or(0),
                    },
                ));
            }
            floats = Some(packed.clone());
            convert(field.data_type, packed)
                .ok_or_else(|| type_fault(field, "lists of 32-bit floats", fault))?
        }
        other => return Err(mismatch(field.data_type, &other, fault)),
    };
    if packed.len() % width != 0 {
        return Err(fault(
            None,
            Rule::WholeVectors {
                vector_bytes: width,
                found: packed.len(),
            },
        ));
    }
    if let Some(element) = first_not_finite(field.data_type, &packed) {
        let given = floats.and_then(|floats| {
            let value = floats.as_chunks::<4>().0.get(element)?;
            Some(f32::from_le_bytes(*value))
        });
        let rule = match given {
            // A number that became infinite only as a half.
            Some(value) if value.is_finite() => Rule::Range {
                expected: field.data_type,
                found: value.to_string(),
            },
            _ => Rule::Finite {
                element: Some(element % dimension),
            },
        };
        return Err(fault(Some(element / dimension), rule));
    }
    let count = packed.len() / width;
    Ok((Payload::Packed(packed), count))
}

/// Vectors that are packed one by one.
fn joined(field: &FieldSchema, vectors: &[Bytes], fault: &Fault<'_>) -> Checked<Bytes> {
    let width = field.vector_bytes().unwrap_or(0).max(1);
    if let Some(place) = vectors.iter().position(|vector| vector.len() != width) {
        let found = vectors.get(place).map_or(0, Bytes::len);
        let rule = Rule::Dimension {
            expected: field.dimension.unwrap_or(0).max(1),
            found: field.data_type.dimensions_of(found),
        };
        return Err(fault(Some(place), rule));
    }
    Ok(vectors.concat().into())
}

fn int8_vectors(lists: &[Vec<i64>], dimension: usize, fault: &Fault<'_>) -> Checked<Bytes> {
    let mut packed = Vec::new();
    for (place, list) in lists.iter().enumerate() {
        if list.len() != dimension {
            let rule = Rule::Dimension {
                expected: dimension,
                found: list.len(),
            };
            return Err(fault(Some(place), rule));
        }
        for value in list {
            let value = i8::try_from(*value).map_err(|_| {
                let rule = Rule::Range {
                    expected: DataType::Int8,
                    found: value.to_string(),
                };
                fault(Some(place), rule)
            })?;
            packed.extend_from_slice(&value.to_le_bytes());
        }
    }
    Ok(packed.into())
}

fn type_fault(field: &FieldSchema, found: &str, fault: &Fault<'_>) -> InvalidValue {
    fault(
        None,
        Rule::Type {
            expected: field.data_type,
            found: found.to_owned(),
        },
    )
}

/// `f32`s as the elements of this kind of vector; `None` for kinds that have no such elements.
fn convert(data_type: DataType, packed: Bytes) -> Option<Bytes> {
    let halves = |bits: fn(f32) -> u16| {
        let (values, _) = packed.as_chunks::<4>();
        let halves = values
            .iter()
            .flat_map(|value| bits(f32::from_le_bytes(*value)).to_le_bytes());
        Bytes::from_iter(halves)
    };
    match data_type {
        DataType::FloatVector => Some(packed),
        DataType::Float16Vector => Some(halves(f16_bits)),
        DataType::BFloat16Vector => Some(halves(bf16_bits)),
        _ => None,
    }
}
