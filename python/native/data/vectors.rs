//! What is searched for: vectors in all the forms in which Python has them, texts.
//!
//! Invariant: what a vector is, its own type says, as PyMilvus reads it; the collection's schema decides only for bytes.

use milvus_client::schema::DataType;
use milvus_client::{QueryVector, SparseVector};
use numpy::{PyUntypedArray, PyUntypedArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::array::{Array, numpy_is_imported};
use super::value::{class, is_scipy, sparse_pairs};
use crate::errors::Failure;

/// Vectors or texts, one for each query.
pub(crate) enum Queries {
    Known(Vec<QueryVector>),
    /// Bytes, whose type is that of the field they are searched in.
    Packed(Vec<Vec<u8>>),
}

impl Queries {
    /// The vectors for a field of this type.
    pub(crate) fn for_field(self, field: impl FnOnce() -> Option<DataType>) -> Vec<QueryVector> {
        match self {
            Self::Known(vectors) => vectors,
            Self::Packed(vectors) => {
                let data_type = field().unwrap_or(DataType::BinaryVector);
                vectors
                    .into_iter()
                    .map(|bytes| QueryVector::packed(data_type, bytes))
                    .collect()
            }
        }
    }

    /// Whether a field's type is needed.
    pub(crate) fn need_field(&self) -> bool {
        matches!(self, Self::Packed(_))
    }
}

/// Reads what a search is given.
///
/// # Errors
/// Something that is no list of vectors or texts.
pub(crate) fn queries(data: &Bound<'_, PyAny>) -> Result<Queries, Failure> {
    let has_numpy = numpy_is_imported(data.py())?;
    if has_numpy && let Ok(array) = data.cast::<PyUntypedArray>() {
        if array.ndim() == 2
            && let Some(matrix) = Array::new(array)?
        {
            let data_type = matrix.vector_type().unwrap_or(DataType::FloatVector);
            let rows = array.shape().first().copied().unwrap_or(0);
            let vector = |row| QueryVector::packed(data_type, matrix.row_bytes(row));
            return Ok(Queries::Known((0..rows).map(vector).collect()));
        }
        return Err(Failure::parameter(format!(
            "the vectors to search for are a list of vectors or an array of two dimensions, not one of {} (for one vector, give [vector])",
            array.ndim()
        )));
    }
    if is_scipy(data) {
        return scipy_rows(data);
    }
    let items: Vec<Bound<'_, PyAny>> = match data.cast::<PyList>() {
        Ok(list) => list.iter().collect(),
        Err(_) => match data.cast::<PyTuple>() {
            Ok(tuple) => tuple.iter().collect(),
            Err(_) => {
                return Err(Failure::parameter(format!(
                    "the vectors to search for are a list of vectors or texts, not {}",
                    class(data)
                )));
            }
        },
    };
    if items
        .first()
        .is_some_and(|first| first.is_instance_of::<PyBytes>())
    {
        let all: PyResult<Vec<Vec<u8>>> = items.iter().map(|item| item.extract()).collect();
        return Ok(Queries::Packed(all?));
    }
    let vectors: Result<Vec<_>, Failure> =
        items.iter().map(|item| query(item, has_numpy)).collect();
    Ok(Queries::Known(vectors?))
}

fn query(item: &Bound<'_, PyAny>, has_numpy: bool) -> Result<QueryVector, Failure> {
    if let Ok(text) = item.cast::<PyString>() {
        return Ok(text.to_cow()?.into_owned().into());
    }
    if has_numpy && let Ok(array) = item.cast::<PyUntypedArray>() {
        if array.ndim() == 1
            && let Some(vector) = Array::new(array)?
        {
            let data_type = vector.vector_type().unwrap_or(DataType::FloatVector);
            return Ok(QueryVector::packed(data_type, vector.row_bytes(0)));
        }
        let plain = array.call_method0("tolist")?;
        return query(&plain, false);
    }
    if let Ok(dict) = item.cast::<PyDict>() {
        return sparse(dict.iter());
    }
    if is_scipy(item) {
        return Ok(SparseVector::from_iter(sparse_pairs(item)?).into());
    }
    if let Ok(list) = item.cast::<PyList>() {
        if let Ok(first) = list.get_item(0)
            && (first.is_instance_of::<PyTuple>() || first.is_instance_of::<PyList>())
        {
            let pair = |pair: Bound<'_, PyAny>| -> PyResult<(u32, f32)> {
                pair.extract().or_else(|_| {
                    let pair: Vec<Bound<'_, PyAny>> = pair.extract()?;
                    match pair.as_slice() {
                        [index, value] => Ok((index.extract()?, value.extract()?)),
                        _ => Err(pyo3::exceptions::PyValueError::new_err(
                            "a pair of index and value is expected",
                        )),
                    }
                })
            };
            let pairs: PyResult<Vec<(u32, f32)>> = list.iter().map(pair).collect();
            return match pairs {
                Ok(pairs) => Ok(SparseVector::from(pairs).into()),
                Err(error) => Err(Failure::parameter(format!(
                    "a query vector can't be read: {error}"
                ))),
            };
        }
        return numbers(list.iter(), list.len());
    }
    if let Ok(tuple) = item.cast::<PyTuple>() {
        return numbers(tuple.iter(), tuple.len());
    }
    Err(Failure::parameter(format!(
        "a query is a vector (a list of numbers, an array, bytes), a sparse vector (a dict) or a text, not {}{}",
        class(item),
        if item.extract::<f64>().is_ok() {
            "; `data` is a list of them: give [vector]"
        } else {
            ""
        },
    )))
}

fn numbers<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    length: usize,
) -> Result<QueryVector, Failure> {
    let mut values: Vec<f32> = Vec::with_capacity(length);
    for (place, item) in items.enumerate() {
        match item.extract::<f32>() {
            Ok(value) => values.push(value),
            Err(_) => {
                return Err(Failure::parameter(format!(
                    "element {place} of a query vector is of type {}: it must be a number",
                    class(&item)
                )));
            }
        }
    }
    Ok(values.into())
}

fn sparse<'py>(
    pairs: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
) -> Result<QueryVector, Failure> {
    let pair = |(index, value): (Bound<'py, PyAny>, Bound<'py, PyAny>)| match (
        index.extract(),
        value.extract(),
    ) {
        (Ok(index), Ok(value)) => Ok((index, value)),
        _ => Err(Failure::parameter(
            "a sparse query vector has indices from 0 to 4294967294 and numbers as values",
        )),
    };
    let pairs: Result<Vec<(u32, f32)>, Failure> = pairs.map(pair).collect();
    Ok(SparseVector::from(pairs?).into())
}

fn scipy_rows(matrix: &Bound<'_, PyAny>) -> Result<Queries, Failure> {
    let rows = matrix.call_method0("tocsr")?;
    let bounds: Vec<usize> = rows.getattr("indptr")?.call_method0("tolist")?.extract()?;
    let indices: Vec<u32> = rows.getattr("indices")?.call_method0("tolist")?.extract()?;
    let values: Vec<f32> = rows.getattr("data")?.call_method0("tolist")?.extract()?;
    let mut vectors = Vec::with_capacity(bounds.len());
    for pair in bounds.windows(2) {
        let [start, end] = pair else { continue };
        let (Some(indices), Some(values)) = (indices.get(*start..*end), values.get(*start..*end))
        else {
            return Err(Failure::parameter(
                "the sparse matrix is damaged: its rows are not within its data",
            ));
        };
        vectors.push(
            SparseVector::from_iter(indices.iter().copied().zip(values.iter().copied())).into(),
        );
    }
    Ok(Queries::Known(vectors))
}
