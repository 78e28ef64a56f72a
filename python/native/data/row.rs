//! Rows as `serde` wants to see them: dicts, and the rows of a set of columns.
//!
//! Invariants: the columns of a set all have the same number of rows; no Python object is made for an element of a
//! vector that numpy holds.

use milvus_client::CollectionDescription;
use milvus_client::schema::DataType;
use numpy::{PyUntypedArray, PyUntypedArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice, PyString, PyTuple};
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};

use super::array::Array;
use super::value::{Value, class, is_scipy};
use crate::errors::Failure;

/// The types of a collection's fields, by name.
pub(crate) struct Fields<'c> {
    collection: &'c CollectionDescription,
    has_numpy: bool,
}

impl<'c> Fields<'c> {
    pub(crate) fn new(collection: &'c CollectionDescription, has_numpy: bool) -> Self {
        Self {
            collection,
            has_numpy,
        }
    }

    /// Whether arrays may be among the objects.
    pub(crate) fn has_numpy(&self) -> bool {
        self.has_numpy
    }

    /// The type of a field; `None` for a dynamic one.
    pub(crate) fn data_type(&self, name: &str) -> Option<DataType> {
        let schema = &self.collection.schema;
        let mut arrays = schema.struct_array_fields.iter();
        if arrays.any(|array| array.name == name) {
            return Some(DataType::ArrayOfStruct);
        }
        let field = schema.field_named(name)?;
        (!field.is_dynamic).then_some(field.data_type)
    }

    fn value<'a, 'py>(&self, name: &str, object: &'a Bound<'py, PyAny>) -> Value<'a, 'py> {
        match self.data_type(name) {
            Some(data_type) => Value::of_field(object, data_type, self.has_numpy),
            None => Value::dynamic(object, self.has_numpy),
        }
    }
}

/// A dict that is a row.
pub(crate) struct Row<'a, 'py> {
    pub(crate) object: Bound<'py, PyAny>,
    pub(crate) fields: &'a Fields<'a>,
}

impl Serialize for Row<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ok(row) = self.object.cast::<PyDict>() else {
            return Err(S::Error::custom(format!(
                "expected Dict, got '{}'",
                class(&self.object)
            )));
        };
        let mut map = serializer.serialize_map(Some(row.len()))?;
        for (name, value) in row.iter() {
            let Ok(name) = name.cast::<PyString>() else {
                return Err(S::Error::custom(format!(
                    "the name of a field is a str, not {}",
                    class(&name)
                )));
            };
            let name = name.to_cow().map_err(S::Error::custom)?;
            map.serialize_entry(&*name, &self.fields.value(&name, &value))?;
        }
        map.end()
    }
}

/// A column of the caller's.
enum Column<'py> {
    /// A matrix of vectors, a row each.
    Matrix(Array<'py>, DataType),
    Values(Bound<'py, PyList>),
    /// A sparse matrix of scipy's, compressed by rows.
    Sparse(Bound<'py, PyAny>),
}

/// Columns of equal length.
pub(crate) struct Columns<'a, 'py> {
    columns: Vec<(String, Column<'py>)>,
    rows: usize,
    fields: &'a Fields<'a>,
}

impl<'a, 'py> Columns<'a, 'py> {
    /// Columns by name: lists, arrays, scipy matrices.
    ///
    /// # Errors
    /// Columns of different lengths; a column that is none.
    pub(crate) fn new(given: &Bound<'py, PyDict>, fields: &'a Fields<'a>) -> Result<Self, Failure> {
        let mut columns = Vec::with_capacity(given.len());
        let mut rows = None;
        for (name, object) in given.iter() {
            let name: String = name.extract()?;
            let (column, length) = column(&name, &object, fields)?;
            let (first, expected) = rows.get_or_insert_with(|| (name.clone(), length));
            if *expected != length {
                return Err(Failure::data(format!(
                    "Arrays must all be same length: the column {first:?} has {expected} rows, {name:?} has {length}"
                )));
            }
            columns.push((name, column));
        }
        Ok(Self {
            columns,
            rows: rows.map_or(0, |(_, rows)| rows),
            fields,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn row(&self, row: usize) -> ColumnsRow<'_, 'py> {
        ColumnsRow {
            columns: &self.columns,
            fields: self.fields,
            row,
        }
    }
}

fn column<'py>(
    name: &str,
    object: &Bound<'py, PyAny>,
    fields: &Fields<'_>,
) -> Result<(Column<'py>, usize), Failure> {
    if fields.has_numpy
        && let Ok(array) = object.cast::<PyUntypedArray>()
    {
        let vectors = fields
            .data_type(name)
            .filter(|data_type| data_type.is_dense_vector());
        if let (Some(data_type), 2) = (vectors, array.ndim())
            && let Some(matrix) = Array::new(array)?
        {
            let rows = array.shape().first().copied().unwrap_or(0);
            return Ok((Column::Matrix(matrix, data_type), rows));
        }
        let list = array.call_method0("tolist")?;
        return as_list(name, &list);
    }
    if is_scipy(object) {
        let matrix = object.call_method0("tocsr")?;
        let shape: Vec<usize> = matrix.getattr("shape")?.extract()?;
        return Ok((Column::Sparse(matrix), shape.first().copied().unwrap_or(0)));
    }
    as_list(name, object)
}

fn as_list<'py>(name: &str, object: &Bound<'py, PyAny>) -> Result<(Column<'py>, usize), Failure> {
    let list = match object.cast::<PyList>() {
        Ok(list) => list.clone(),
        Err(_) if object.is_instance_of::<PyTuple>() => PyList::new(
            object.py(),
            object.try_iter()?.collect::<PyResult<Vec<_>>>()?,
        )?,
        Err(_) => {
            let class = class(object);
            return Err(Failure::data(format!(
                "the column {name:?} is a list or an array, not {class}"
            )));
        }
    };
    let rows = list.len();
    Ok((Column::Values(list), rows))
}

/// One row of a set of columns.
pub(crate) struct ColumnsRow<'a, 'py> {
    columns: &'a [(String, Column<'py>)],
    fields: &'a Fields<'a>,
    row: usize,
}

impl Serialize for ColumnsRow<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (name, column) in self.columns {
            match column {
                Column::Matrix(matrix, data_type) => {
                    map.serialize_entry(name.as_str(), &matrix.row(self.row, *data_type))?;
                }
                Column::Values(values) => {
                    let value = values.get_item(self.row).map_err(S::Error::custom)?;
                    map.serialize_entry(name.as_str(), &self.fields.value(name, &value))?;
                }
                Column::Sparse(matrix) => {
                    let row = sparse_row(matrix, self.row).map_err(S::Error::custom)?;
                    map.serialize_entry(name.as_str(), &self.fields.value(name, &row))?;
                }
            }
        }
        map.end()
    }
}

/// A row of a matrix that is compressed by rows.
fn sparse_row<'py>(matrix: &Bound<'py, PyAny>, row: usize) -> PyResult<Bound<'py, PyAny>> {
    let start = isize::try_from(row)?;
    matrix.get_item(PySlice::new(matrix.py(), start, start + 1, 1))
}

/// Whether a dict holds columns and is not a row: some field has a whole list of what it holds.
///
/// The first field that can only be one or the other decides.
pub(crate) fn is_columnar(given: &Bound<'_, PyDict>, fields: &Fields<'_>) -> bool {
    given.iter().any(|(name, value)| {
        let Ok(name) = name.extract::<String>() else {
            return false;
        };
        let Some(data_type) = fields.data_type(&name) else {
            return false;
        };
        let dimensions = match fields.has_numpy.then(|| value.cast::<PyUntypedArray>()) {
            Some(Ok(array)) => array.ndim(),
            _ => nesting(&value),
        };
        match data_type {
            DataType::Json | DataType::Array => false,
            DataType::SparseFloatVector => is_list_of_dicts(&value),
            DataType::ArrayOfStruct => dimensions == 2,
            vector if vector.is_dense_vector() => dimensions == 2,
            _ => dimensions == 1,
        }
    })
}

/// How deeply lists are nested in lists, as far as it matters here.
fn nesting(value: &Bound<'_, PyAny>) -> usize {
    let Ok(list) = value.cast::<PyList>() else {
        return 0;
    };
    match list.get_item(0) {
        Ok(first)
            if first.is_instance_of::<PyList>() || first.hasattr("__array__").unwrap_or(false) =>
        {
            1 + usize::from(first.len().is_ok())
        }
        _ => 1,
    }
}

fn is_list_of_dicts(value: &Bound<'_, PyAny>) -> bool {
    value.cast::<PyList>().is_ok_and(|list| {
        list.get_item(0)
            .is_ok_and(|first| first.is_instance_of::<PyDict>())
    })
}
