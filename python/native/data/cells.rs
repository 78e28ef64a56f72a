//! One value of an answer as Python's own object, in the shape PyMilvus gives it.
//!
//! Invariant: a row without a value is `None`, whatever the field's type.

use milvus_client::schema::DataType;
use milvus_client::{Id, ResultColumn};
use milvus_protocol::packed_iter;
use milvus_protocol::schema::{ScalarField, scalar_field::Data};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::json::parse;
use super::structs::structs;
use crate::errors::Failure;

/// How vectors of bytes are given: PyMilvus puts those of a query into a list, those of a search not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Query,
    Search,
}

/// A primary key.
pub(crate) fn id<'py>(py: Python<'py>, id: Id<'_>) -> PyResult<Bound<'py, PyAny>> {
    match id {
        Id::Int64(number) => number.into_bound_py_any(py),
        Id::VarChar(text) => Ok(PyString::new(py, text).into_any()),
    }
}

/// The value of a row.
///
/// # Errors
/// A server that sent something else than it announced.
pub(crate) fn cell<'py>(
    py: Python<'py>,
    column: &ResultColumn,
    row: usize,
    style: Style,
) -> Result<Bound<'py, PyAny>, Failure> {
    if column.is_null(row) {
        return Ok(py.None().into_bound(py));
    }
    macro_rules! number {
        ($type:ty) => {
            column
                .values::<$type>()?
                .get(row)
                .copied()
                .into_bound_py_any(py)?
        };
    }
    Ok(match column.data_type() {
        DataType::Bool => number!(bool),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date => number!(i32),
        DataType::Int64 | DataType::Time => number!(i64),
        DataType::Float => number!(f32),
        DataType::Double => number!(f64),
        DataType::Json => match column.text(row)? {
            Some(text) => parse(py, text.as_bytes())?,
            None => py.None().into_bound(py),
        },
        DataType::Array => match column.array(row)? {
            Some(array) => elements(py, array)?.into_any(),
            None => py.None().into_bound(py),
        },
        DataType::ArrayOfStruct => structs(py, column, row, style)?.into_any(),
        DataType::FloatVector => match column.float_vector(row)? {
            Some(vector) => PyList::new(py, vector)?.into_any(),
            None => py.None().into_bound(py),
        },
        DataType::SparseFloatVector => match column.sparse_vector(row)? {
            Some(vector) => {
                let dict = PyDict::new(py);
                for (index, value) in vector.pairs() {
                    dict.set_item(index, value)?;
                }
                dict.into_any()
            }
            None => py.None().into_bound(py),
        },
        vector if vector.is_dense_vector() => match column.vector_bytes(row) {
            Some(bytes) => {
                let bytes = PyBytes::new(py, &bytes);
                match style {
                    Style::Query => PyList::new(py, [bytes])?.into_any(),
                    Style::Search => bytes.into_any(),
                }
            }
            None => py.None().into_bound(py),
        },
        DataType::Timestamptz if column.values::<i64>().is_ok() => number!(i64),
        other if column.message().is_some() => {
            return Err(Failure::unexpected(format!(
                "fields of type {other} (here `{}`) can't be read yet; leave them out of output_fields",
                column.name()
            )));
        }
        _ => match column.text(row)? {
            Some(text) => PyString::new(py, text).into_any(),
            None => py.None().into_bound(py),
        },
    })
}

/// The elements of an array.
pub(crate) fn elements<'py>(
    py: Python<'py>,
    array: &ScalarField,
) -> Result<Bound<'py, PyList>, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::unexpected(format!("the array of a row can't be read: {error}"))
    };
    Ok(match &array.data {
        None => PyList::empty(py),
        Some(Data::BoolData(array)) => PyList::new(py, &array.data)?,
        Some(Data::IntData(array)) => PyList::new(py, &array.data)?,
        Some(Data::LongData(array)) => PyList::new(py, &array.data)?,
        Some(Data::FloatData(array)) => PyList::new(
            py,
            packed_iter::<f32>(&array.data).map_err(|error| unreadable(&error))?,
        )?,
        Some(Data::DoubleData(array)) => PyList::new(
            py,
            packed_iter::<f64>(&array.data).map_err(|error| unreadable(&error))?,
        )?,
        Some(Data::StringData(array)) => {
            let texts: Result<Vec<&str>, _> = array
                .data
                .iter()
                .map(|text| std::str::from_utf8(text))
                .collect();
            PyList::new(py, texts.map_err(|error| unreadable(&error))?)?
        }
        Some(_) => return Err(unreadable(&"its elements are of a type that is not known")),
    })
}

/// The type of an array's elements, as far as some row of the answer tells; `None` for other columns.
pub(crate) fn element_type(column: &ResultColumn) -> Option<DataType> {
    let data = |row| column.array(row).ok().flatten()?.data.as_ref();
    match (0..column.len()).find_map(data)? {
        Data::BoolData(_) => Some(DataType::Bool),
        Data::IntData(_) => Some(DataType::Int32),
        Data::LongData(_) => Some(DataType::Int64),
        Data::FloatData(_) => Some(DataType::Float),
        Data::DoubleData(_) => Some(DataType::Double),
        Data::StringData(_) => Some(DataType::VarChar),
        _ => None,
    }
}

/// The rows of an answer as dicts.
pub(crate) struct Entities<'a, 'py> {
    py: Python<'py>,
    /// The columns, each with its name as Python has it.
    columns: Vec<(Bound<'py, PyString>, &'a ResultColumn)>,
    dynamic: Option<&'a ResultColumn>,
    dynamic_fields: Option<&'a [String]>,
    style: Style,
}

impl<'a, 'py> Entities<'a, 'py> {
    pub(crate) fn new(
        py: Python<'py>,
        columns: &'a [ResultColumn],
        dynamic_fields: Option<&'a [String]>,
        style: Style,
    ) -> Self {
        let (dynamic, columns): (Vec<_>, Vec<_>) =
            columns.iter().partition(|column| column.is_dynamic());
        let named = |column: &'a ResultColumn| (PyString::intern(py, column.name()), column);
        Self {
            py,
            columns: columns.into_iter().map(named).collect(),
            dynamic: dynamic.into_iter().next_back(),
            dynamic_fields,
            style,
        }
    }

    /// The values of a row in a dict: a field each, and the dynamic fields among them.
    ///
    /// # Errors
    /// As [`cell`].
    pub(crate) fn row(&self, row: usize) -> Result<Bound<'py, PyDict>, Failure> {
        let entity = PyDict::new(self.py);
        for (name, column) in &self.columns {
            entity.set_item(name, cell(self.py, column, row, self.style)?)?;
        }
        let Some(dynamic) = self.dynamic else {
            return Ok(entity);
        };
        let value = cell(self.py, dynamic, row, self.style)?;
        let Ok(values) = value.cast::<PyDict>() else {
            return Ok(entity);
        };
        for (name, value) in values {
            let name: String = name.extract()?;
            let is_wanted = self
                .dynamic_fields
                .is_none_or(|wanted| wanted.contains(&name));
            // A field of the schema is never hidden by a dynamic one of its name.
            if is_wanted && !entity.contains(&name)? {
                entity.set_item(name, value)?;
            }
        }
        Ok(entity)
    }
}
