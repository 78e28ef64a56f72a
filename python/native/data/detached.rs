//! Columns of numbers, truth values and texts, checked and put into the columns of the wire without the GIL.
//!
//! Invariants: Python's memory is read with the GIL held, some hundred rows at a time, and copied; only the copy is checked
//! and written. So no Python code changes what is being read, and a program that changes an array while it is inserted finds
//! some rows as they were and some as they are, each of them checked. What none of this is for is left to `Columns`, which
//! reads any object, and says what is wrong with it.

use std::sync::Arc;

use milvus_client::schema::DataType;
use numpy::{PyArrayDescrMethods as _, PyUntypedArray, PyUntypedArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PySlice, PyString};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::array::{Array, Copied, Elements};
use super::row::Fields;

/// Rows that are copied at a time; with fewer in all there is nothing to be won.
const ROWS_AT_A_TIME: usize = 512;

/// Columns by name, to be read with and without the GIL in turn.
pub(crate) struct DetachedColumns {
    columns: Vec<(String, Column)>,
    rows: usize,
}

enum Column {
    /// An array of two dimensions, for a field of this type.
    Matrix(Py<PyUntypedArray>, DataType),
    /// A list, or an array of one dimension.
    Values(Py<PyAny>),
}

impl DetachedColumns {
    /// The columns, when they can be read this way: many rows, a matrix among them.
    pub(crate) fn new(given: &Bound<'_, PyDict>, fields: &Fields<'_>) -> PyResult<Option<Self>> {
        let mut columns = Vec::with_capacity(given.len());
        let mut rows = None;
        let mut has_matrix = false;
        for (name, object) in given.iter() {
            let name: String = name.extract()?;
            let Some(column) = column(&object, fields.data_type(&name)) else {
                return Ok(None);
            };
            let length = object.len()?;
            if *rows.get_or_insert(length) != length {
                return Ok(None);
            }
            has_matrix |= matches!(column, Column::Matrix(..));
            columns.push((name, column));
        }
        let rows = rows.unwrap_or(0);
        Ok((has_matrix && rows > ROWS_AT_A_TIME).then_some(Self { columns, rows }))
    }

    /// The rows. To be asked for without the GIL.
    pub(crate) fn rows(&self) -> DetachedRows<'_> {
        DetachedRows {
            columns: self,
            part: Arc::new(Part::default()),
            next: 0,
            is_odd: false,
        }
    }

    /// A copy of some rows; `None` when there is something among them that is read otherwise.
    fn part(&self, py: Python<'_>, start: usize) -> Option<Part> {
        let end = (start + ROWS_AT_A_TIME).min(self.rows);
        let copied = |(name, column): &(String, Column)| {
            let values = match column {
                Column::Matrix(array, field) => {
                    let array = Array::new(array.bind(py)).ok()??;
                    Values::Vectors(array.copied(start..end), *field)
                }
                Column::Values(values) => Values::Scalars(scalars(values.bind(py), start, end)?),
            };
            Some((name.clone(), values))
        };
        Some(Part {
            start,
            end,
            columns: self.columns.iter().map(copied).collect::<Option<_>>()?,
        })
    }
}

/// What a column of this field's can be read as; the field is `None` for a dynamic one.
fn column(object: &Bound<'_, PyAny>, field: Option<DataType>) -> Option<Column> {
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        return match (array.ndim(), field) {
            (2, Some(field))
                if field.is_dense_vector() && Elements::of(array) != Elements::Other =>
            {
                Some(Column::Matrix(array.clone().unbind(), field))
            }
            (1, Some(field)) if !is_compound(field) && is_plain(array) => {
                Some(Column::Values(object.clone().unbind()))
            }
            _ => None,
        };
    }
    let is_read = object.is_instance_of::<PyList>() && !field.is_some_and(is_compound);
    is_read.then(|| Column::Values(object.clone().unbind()))
}

/// Whether a value of such a field is more than a number, a truth value or a text.
fn is_compound(field: DataType) -> bool {
    field.is_dense_vector()
        || matches!(
            field,
            DataType::Json | DataType::Array | DataType::SparseFloatVector
        )
}

fn is_plain(array: &Bound<'_, PyUntypedArray>) -> bool {
    matches!(array.dtype().kind(), b'b' | b'i' | b'u' | b'f')
}

/// Some values of a list or array; `None` when one of them is something else than a number, a truth value or a text, or
/// when there are fewer by now.
fn scalars(values: &Bound<'_, PyAny>, start: usize, end: usize) -> Option<Vec<Scalar>> {
    let (from, to) = (isize::try_from(start).ok()?, isize::try_from(end).ok()?);
    let part = values
        .get_item(PySlice::new(values.py(), from, to, 1))
        .ok()?;
    let list = match part.cast::<PyUntypedArray>() {
        Ok(array) => array.call_method0("tolist").ok()?,
        Err(_) => part,
    };
    let list = list.cast::<PyList>().ok()?;
    (list.len() == end - start).then(|| list.iter().map(|item| scalar(&item)).collect())?
}

fn scalar(item: &Bound<'_, PyAny>) -> Option<Scalar> {
    if let Ok(text) = item.cast_exact::<PyString>() {
        return Some(Scalar::Text(text.to_cow().ok()?.into_owned()));
    }
    if item.is_exact_instance_of::<PyInt>() {
        return Some(Scalar::Int(item.extract().ok()?));
    }
    if item.is_exact_instance_of::<PyFloat>() {
        return Some(Scalar::Float(item.extract().ok()?));
    }
    if item.is_exact_instance_of::<PyBool>() {
        return Some(Scalar::Bool(item.extract().ok()?));
    }
    item.is_none().then_some(Scalar::None)
}

enum Scalar {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

enum Values {
    Vectors(Copied, DataType),
    Scalars(Vec<Scalar>),
}

/// A copy of some rows.
#[derive(Default)]
struct Part {
    start: usize,
    end: usize,
    columns: Vec<(String, Values)>,
}

/// The rows of [`DetachedColumns`], which takes the GIL for each part of them.
pub(crate) struct DetachedRows<'a> {
    columns: &'a DetachedColumns,
    part: Arc<Part>,
    next: usize,
    is_odd: bool,
}

impl DetachedRows<'_> {
    /// Whether the rows ended early, at something that has to be read otherwise.
    pub(crate) fn is_odd(&self) -> bool {
        self.is_odd
    }
}

impl Iterator for DetachedRows<'_> {
    type Item = DetachedRow;

    fn next(&mut self) -> Option<DetachedRow> {
        if self.is_odd || self.next >= self.columns.rows {
            return None;
        }
        if self.next >= self.part.end {
            // Let go of the part before the next one is there.
            self.part = Arc::default();
            match Python::try_attach(|py| self.columns.part(py, self.next)).flatten() {
                Some(part) => self.part = Arc::new(part),
                None => {
                    self.is_odd = true;
                    return None;
                }
            }
        }
        let row = self.next - self.part.start;
        self.next += 1;
        Some(DetachedRow {
            part: Arc::clone(&self.part),
            row,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.columns.rows - self.next;
        (left, Some(left))
    }
}

/// One row of a copy.
pub(crate) struct DetachedRow {
    part: Arc<Part>,
    row: usize,
}

impl Serialize for DetachedRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.part.columns.len()))?;
        for (name, values) in &self.part.columns {
            match values {
                Values::Vectors(copied, field) => {
                    map.serialize_entry(name, &copied.row(self.row, *field))?;
                }
                Values::Scalars(scalars) => {
                    map.serialize_entry(name, scalars.get(self.row).unwrap_or(&Scalar::None))?;
                }
            }
        }
        map.end()
    }
}
