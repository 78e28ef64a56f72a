//! Answers of searches and queries, read by Python where they were received.
//!
//! Invariant: nothing is made of a row before somebody asks for it.

use std::sync::Arc;

use milvus_client::{Rows, SearchResults};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyList, PyString, PyType};

use super::cells::{Entities, Style, cell, id};
use super::memory::{Answer, Memory};
use crate::errors::Failure;

fn raised<T>(py: Python<'_>, result: Result<T, Failure>) -> PyResult<T> {
    result.map_err(|failure| failure.into_exception(py))
}

/// Name, type number, dimension and whether it is the dynamic one, of every column.
type Described = Vec<(String, i32, usize, bool)>;

fn described(answer: &Answer) -> Described {
    let columns = answer.columns().iter();
    columns
        .map(|column| {
            (
                column.name().to_owned(),
                column.data_type().number(),
                column.dimension(),
                column.is_dynamic(),
            )
        })
        .collect()
}

fn column_values<'py>(
    py: Python<'py>,
    answer: &Answer,
    name: &str,
    start: usize,
    end: usize,
    style: Style,
) -> PyResult<Option<Bound<'py, PyList>>> {
    let Some(column) = answer.columns().iter().find(|column| column.name() == name) else {
        return Ok(None);
    };
    let values: Result<Vec<_>, Failure> = (start..end)
        .map(|row| cell(py, column, row, style))
        .collect();
    PyList::new(py, raised(py, values)?).map(Some)
}

/// The rows of a query.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct QueryAnswer(Arc<Rows>);

impl From<Rows> for QueryAnswer {
    fn from(rows: Rows) -> Self {
        Self(Arc::new(rows))
    }
}

impl QueryAnswer {
    fn answer(&self) -> Answer {
        Answer::Rows(Arc::clone(&self.0))
    }
}

#[pymethods]
impl QueryAnswer {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// What the query cost.
    #[getter]
    fn cost(&self) -> u64 {
        self.0.cost()
    }

    /// The timestamp of the data that was read.
    #[getter]
    fn session_timestamp(&self) -> u64 {
        self.0.session_timestamp()
    }

    /// Some of the rows as dicts.
    fn rows<'py>(&self, py: Python<'py>, start: usize, end: usize) -> PyResult<Bound<'py, PyList>> {
        let columns = self.0.columns();
        let entities = Entities::new(py, columns, self.0.dynamic_fields(), Style::Query);
        let rows: Result<Vec<_>, Failure> = (start..end.min(self.0.len()))
            .map(|row| entities.row(row))
            .collect();
        PyList::new(py, raised(py, rows)?)
    }

    fn columns(&self) -> Described {
        described(&self.answer())
    }

    /// The values of a field, one for each row; `None` when there is no such column.
    fn values<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyList>>> {
        column_values(py, &self.answer(), name, 0, self.0.len(), Style::Search)
    }

    /// The values of a field where they are; `None` when they don't lie one after the other.
    fn memory(&self, name: &str) -> Option<Memory> {
        self.answer().column(name, 0, self.0.len())
    }
}

/// The hits of a search.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct SearchAnswer(Arc<SearchResults>);

impl From<SearchResults> for SearchAnswer {
    fn from(results: SearchResults) -> Self {
        Self(Arc::new(results))
    }
}

impl SearchAnswer {
    fn answer(&self) -> Answer {
        Answer::Search(Arc::clone(&self.0))
    }
}

#[pymethods]
impl SearchAnswer {
    /// The number of queries.
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// The number of hits of a query.
    fn count(&self, query: usize) -> usize {
        self.0.range(query).len()
    }

    /// What the search cost.
    #[getter]
    fn cost(&self) -> u64 {
        self.0.cost()
    }

    /// The timestamp of the data that was searched.
    #[getter]
    fn session_timestamp(&self) -> u64 {
        self.0.session_timestamp()
    }

    /// The estimated recall of each query, from servers that were asked for it.
    #[getter]
    fn recalls(&self) -> Vec<f32> {
        self.0.recalls().to_vec()
    }

    /// The name of the primary key.
    #[getter]
    fn primary_field(&self) -> &str {
        match self.0.primary_field() {
            "" => "id",
            name => name,
        }
    }

    /// The primary keys of a query's hits.
    fn ids<'py>(&self, py: Python<'py>, query: usize) -> PyResult<Bound<'py, PyList>> {
        let all: PyResult<Vec<_>> = self
            .0
            .query(query)
            .ids()
            .map(|found| id(py, found))
            .collect();
        PyList::new(py, all?)
    }

    /// The scores of a query's hits.
    fn scores<'py>(&self, py: Python<'py>, query: usize) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.query(query).scores())
    }

    /// Some of a query's hits, each a new instance of `class_`, a kind of dict, with the primary key under its name, the
    /// score (rounded, when `decimals` are above 0), and the fields.
    fn hits<'py>(
        &self,
        py: Python<'py>,
        class_: &Bound<'py, PyType>,
        query: usize,
        start: usize,
        end: usize,
        decimals: i32,
    ) -> PyResult<Bound<'py, PyList>> {
        let (found, first) = (self.0.query(query), self.0.range(query).start);
        let columns = self.0.columns();
        let entities = Entities::new(py, columns, self.0.dynamic_fields(), Style::Search);
        let key = PyString::intern(py, self.primary_field());
        let hits = PyList::empty(py);
        for place in start..end {
            let Some(hit) = found.get(place) else { break };
            let made = class_.call_method1(pyo3::intern!(py, "__new__"), (class_,))?;
            let dict = made.cast::<PyDict>()?;
            dict.set_item(&key, id(py, hit.id())?)?;
            let score = PyFloat::new(py, f64::from(hit.score())).into_any();
            let score = match decimals {
                1.. => score.call_method1(pyo3::intern!(py, "__round__"), (decimals,))?,
                _ => score,
            };
            dict.set_item(pyo3::intern!(py, "distance"), score)?;
            let fields = raised(py, entities.row(first + place))?;
            dict.set_item(pyo3::intern!(py, "entity"), fields)?;
            dict.setattr(pyo3::intern!(py, "_pk_name"), &key)?;
            hits.append(dict)?;
        }
        Ok(hits)
    }

    fn columns(&self) -> Described {
        described(&self.answer())
    }

    /// The values of a field for a query's hits; `None` when there is no such column.
    fn values<'py>(
        &self,
        py: Python<'py>,
        query: usize,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let range = self.0.range(query);
        column_values(
            py,
            &self.answer(),
            name,
            range.start,
            range.end,
            Style::Search,
        )
    }

    /// The values of a field for a query's hits where they are.
    fn memory(&self, query: usize, name: &str) -> Option<Memory> {
        let range = self.0.range(query);
        self.answer().column(name, range.start, range.end)
    }

    /// The scores of a query's hits where they are.
    fn scores_memory(&self, query: usize) -> Memory {
        Memory::new(self.answer(), self.0.query(query).scores(), "<f4", None)
    }

    /// The primary keys of a query's hits where they are; `None` for those of a `VarChar` field.
    fn ids_memory(&self, query: usize) -> Option<Memory> {
        let hits = self.0.query(query);
        let ids = hits.int64_ids();
        (ids.len() == hits.len()).then(|| Memory::new(self.answer(), ids, "<i8", None))
    }
}
