//! Answers of searches and queries, read by Python where they were received.
//!
//! Invariant: nothing is made of a row before Python asks for it; what is asked for all at once is made in one go.

use std::ops::Range;
use std::sync::Arc;

use milvus_client::schema::DataType;
use milvus_client::{Hit, Ids, Rows, SearchResults};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyList, PyString, PyTuple, PyType};

use super::cells::{Entities, Style, cell, element_type, id};
use super::memory::{Answer, Memory};
use crate::errors::Failure;

fn raised<T>(py: Python<'_>, result: Result<T, Failure>) -> PyResult<T> {
    result.map_err(|failure| failure.into_exception(py))
}

/// Name, type number, dimension and type number of an array's elements, of every column.
type Described = Vec<(String, i32, usize, i32)>;

fn described(answer: &Answer) -> Described {
    let columns = answer.columns().iter();
    columns
        .map(|column| {
            (
                column.name().to_owned(),
                column.data_type().number(),
                column.dimension(),
                element_type(column).map_or(0, DataType::number),
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

/// Makes hits: what is the same for all of an answer is looked up once.
struct HitMaker<'a, 'py> {
    answer: &'a SearchResults,
    entities: Entities<'a, 'py>,
    key: Bound<'py, PyString>,
    /// Makes an empty hit of its argument, the class: without `__init__`, which would be Python's and only copy.
    new: Bound<'py, PyAny>,
    class: Bound<'py, PyTuple>,
    decimals: i32,
}

impl<'a, 'py> HitMaker<'a, 'py> {
    fn new(
        answer: &'a SearchResults,
        class: &Bound<'py, PyType>,
        key: &str,
        decimals: i32,
    ) -> PyResult<Self> {
        let py = class.py();
        let (columns, dynamic_fields) = (answer.columns(), answer.dynamic_fields());
        Ok(Self {
            answer,
            entities: Entities::new(py, columns, dynamic_fields, Style::Search),
            key: PyString::intern(py, key),
            new: py
                .get_type::<PyDict>()
                .getattr(pyo3::intern!(py, "__new__"))?,
            class: PyTuple::new(py, [class])?,
            decimals,
        })
    }

    fn hits(&self, query: usize, places: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        let (found, range) = (self.answer.query(query), self.answer.range(query));
        let places = places.start..places.end.min(range.len());
        let hits: PyResult<Vec<_>> = places
            .filter_map(|place| Some((found.get(place)?, range.start + place)))
            .map(|(hit, row)| self.hit(&hit, row))
            .collect();
        PyList::new(self.class.py(), hits?)
    }

    fn hit(&self, hit: &Hit<'_>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.class.py();
        let made = self.new.call1(&self.class)?;
        let dict = made.cast::<PyDict>()?;
        dict.set_item(&self.key, id(py, hit.id())?)?;
        let score = PyFloat::new(py, f64::from(hit.score())).into_any();
        let score = match self.decimals {
            1.. => score.call_method1(pyo3::intern!(py, "__round__"), (self.decimals,))?,
            _ => score,
        };
        dict.set_item(pyo3::intern!(py, "distance"), score)?;
        let fields = raised(py, self.entities.row(row))?;
        dict.set_item(pyo3::intern!(py, "entity"), fields)?;
        dict.setattr(pyo3::intern!(py, "_pk_name"), &self.key)?;
        Ok(made)
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

    /// Whether the primary keys are text.
    #[getter]
    fn has_text_keys(&self) -> bool {
        matches!(self.0.ids(), Ids::VarChar(_))
    }

    /// Some of a query's hits, each a new instance of `class_`, a kind of dict, with the primary key under its name, the
    /// score (rounded, when `decimals` are above 0), and the fields.
    fn hits<'py>(
        &self,
        class_: &Bound<'py, PyType>,
        query: usize,
        start: usize,
        end: usize,
        decimals: i32,
    ) -> PyResult<Bound<'py, PyList>> {
        HitMaker::new(&self.0, class_, self.primary_field(), decimals)?.hits(query, start..end)
    }

    /// The hits of every query, as [`hits`](Self::hits) makes them.
    fn all_hits<'py>(
        &self,
        py: Python<'py>,
        class_: &Bound<'py, PyType>,
        decimals: i32,
    ) -> PyResult<Bound<'py, PyList>> {
        let maker = HitMaker::new(&self.0, class_, self.primary_field(), decimals)?;
        let hits = |query| maker.hits(query, 0..usize::MAX);
        PyList::new(
            py,
            (0..self.0.len()).map(hits).collect::<PyResult<Vec<_>>>()?,
        )
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
