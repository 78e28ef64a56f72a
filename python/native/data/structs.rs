//! The structs of a row's array as Python has them: a list of dicts.
//!
//! Invariant: every dict has the members that the answer has, in their order.

use milvus_client::ResultColumn;
use milvus_client::schema::DataType;
use milvus_protocol::packed_iter;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::cells::{Style, elements};
use crate::errors::Failure;

/// The structs of a row that has a list of them.
///
/// # Errors
/// A server that sent lists of different lengths, or something else than it announced.
pub(crate) fn structs<'py>(
    py: Python<'py>,
    column: &ResultColumn,
    row: usize,
    style: Style,
) -> Result<Bound<'py, PyList>, Failure> {
    let mut dicts: Option<Vec<Bound<'py, PyDict>>> = None;
    for member in column.members() {
        let values = match member.array(row) {
            Ok(Some(array)) => elements(py, array)?,
            Ok(None) => PyList::empty(py),
            Err(_) => vectors(py, member, row, style)?,
        };
        let known = dicts.get_or_insert_with(|| {
            let made = (0..values.len()).map(|_| PyDict::new(py));
            made.collect()
        });
        if known.len() != values.len() {
            return Err(Failure::unexpected(format!(
                "the server sent {} structs, but {} values of their member `{}`",
                known.len(),
                values.len(),
                member.name()
            )));
        }
        let name = PyString::intern(py, member.name());
        for (dict, value) in known.iter().zip(values.iter()) {
            dict.set_item(&name, value)?;
        }
    }
    Ok(PyList::new(py, dicts.unwrap_or_default())?)
}

/// A row's list of vectors.
fn vectors<'py>(
    py: Python<'py>,
    member: &ResultColumn,
    row: usize,
    style: Style,
) -> Result<Bound<'py, PyList>, Failure> {
    let list = PyList::empty(py);
    let (Some(kind), Some(bytes)) = (member.vector_list_type(), member.vector_list(row)) else {
        return Ok(list);
    };
    let width = kind.dense_vector_bytes(member.dimension()).unwrap_or(0);
    for vector in bytes.chunks_exact(width.max(1)) {
        if kind == DataType::FloatVector {
            let values = packed_iter::<f32>(vector)
                .map_err(|error| Failure::unexpected(format!("a vector can't be read: {error}")))?;
            list.append(PyList::new(py, values)?)?;
        } else {
            let vector = PyBytes::new(py, vector);
            match style {
                Style::Query => list.append(PyList::new(py, [vector])?)?,
                Style::Search => list.append(vector)?,
            }
        }
    }
    Ok(list)
}
