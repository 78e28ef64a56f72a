//! Values of an answer as numpy sees them: where they are, without a copy.
//!
//! Invariants: the memory belongs to an answer that nothing changes, and lives as long as the `Memory` that numpy keeps;
//! it is given as read-only.

use std::sync::Arc;

use milvus_client::schema::DataType;
use milvus_client::{ResultColumn, Rows, SearchResults};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What an answer's memory belongs to.
#[derive(Clone)]
pub(crate) enum Answer {
    Rows(Arc<Rows>),
    Search(Arc<SearchResults>),
}

impl Answer {
    pub(crate) fn columns(&self) -> &[ResultColumn] {
        match self {
            Self::Rows(rows) => rows.columns(),
            Self::Search(results) => results.columns(),
        }
    }

    /// The values of some of the rows of a column, when they lie one after the other.
    pub(crate) fn column(&self, name: &str, start: usize, end: usize) -> Option<Memory> {
        let column = self.columns().iter().find(|column| column.name() == name)?;
        if (start..end).any(|row| column.is_null(row)) {
            return None;
        }
        macro_rules! scalars {
            ($type:ty, $typestr:literal) => {
                Memory::new(
                    self.clone(),
                    column.values::<$type>().ok()?.get(start..end)?,
                    $typestr,
                    None,
                )
            };
        }
        // A row without a value has no place among vectors: only columns without such rows are matrices.
        let is_whole = || !(0..column.len()).any(|row| column.is_null(row));
        let width = column.dimension();
        Some(match column.data_type() {
            DataType::Int8 | DataType::Int16 | DataType::Int32 => scalars!(i32, "<i4"),
            DataType::Int64 => scalars!(i64, "<i8"),
            DataType::Float => scalars!(f32, "<f4"),
            DataType::Double => scalars!(f64, "<f8"),
            DataType::FloatVector if is_whole() => {
                let values = column
                    .values::<f32>()
                    .ok()?
                    .get(start * width..end * width)?;
                Memory::new(self.clone(), values, "<f4", Some(width))
            }
            vector @ (DataType::Float16Vector
            | DataType::BFloat16Vector
            | DataType::Int8Vector
            | DataType::BinaryVector)
                if is_whole() =>
            {
                let bytes = vector.dense_vector_bytes(width)?;
                let values = column.packed_vectors()?.get(start * bytes..end * bytes)?;
                let (typestr, width) = match vector {
                    DataType::Float16Vector => ("<f2", width),
                    // Numpy has no name for it: its bits.
                    DataType::BFloat16Vector => ("<u2", width),
                    DataType::Int8Vector => ("|i1", width),
                    _ => ("|u1", bytes),
                };
                let rows = end - start;
                Memory {
                    answer: self.clone(),
                    address: values.as_ptr() as usize,
                    typestr,
                    shape: vec![rows, width],
                }
            }
            _ => return None,
        })
    }
}

/// Memory of an answer, which numpy reads through `__array_interface__`.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct Memory {
    /// Keeps the memory.
    #[expect(dead_code, reason = "what it owns is at `address`")]
    answer: Answer,
    address: usize,
    typestr: &'static str,
    shape: Vec<usize>,
}

impl Memory {
    /// Values of an answer; `width` makes a matrix of them.
    pub(crate) fn new<T>(
        answer: Answer,
        values: &[T],
        typestr: &'static str,
        width: Option<usize>,
    ) -> Self {
        let shape = match width {
            Some(width) => vec![values.len() / width.max(1), width],
            None => vec![values.len()],
        };
        Self {
            answer,
            address: values.as_ptr() as usize,
            typestr,
            shape,
        }
    }
}

#[pymethods]
impl Memory {
    /// Numpy's protocol, version 3.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", self.typestr)?;
        interface.set_item("shape", pyo3::types::PyTuple::new(py, &self.shape)?)?;
        interface.set_item("data", (self.address, true))?;
        Ok(interface)
    }
}
