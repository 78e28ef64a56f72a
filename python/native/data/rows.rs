//! A collection's schema as Python keeps it for a write, and rows that were checked against it.
//!
//! Invariant: rows are read with the GIL held, and another thread gets its turn every few hundred rows: columns of numbers
//! are checked and encoded without the GIL, from a copy; anything else is checked while it is read.

use std::sync::{Arc, Mutex, PoisonError};

use milvus_client::{CollectionDescription, PreparedRows};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde::Serialize;

use super::array::numpy_is_imported;
use super::detached::DetachedColumns;
use super::row::{Columns, Fields, Row, is_columnar};
use super::value::class;
use super::verb::{Options, call};
use crate::connection::Connection;
use crate::errors::Failure;

/// Rows that are read before other threads get a turn.
const ROWS_AT_A_TIME: usize = 512;

/// A collection's schema, as it was when it was asked for.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct Schema(Arc<CollectionDescription>);

/// Rows that were checked and put into columns, for one write.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct Prepared {
    rows: Mutex<Option<PreparedRows>>,
    length: usize,
}

impl Prepared {
    fn new(rows: PreparedRows) -> Self {
        Self {
            length: rows.len(),
            rows: Mutex::new(Some(rows)),
        }
    }

    /// The rows; they are written once.
    pub(crate) fn take(&self) -> Result<PreparedRows, Failure> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.take()
            .ok_or_else(|| Failure::parameter("these rows have been written already"))
    }
}

#[pymethods]
impl Prepared {
    fn __len__(&self) -> usize {
        self.length
    }
}

/// The schema of a collection: remembered, or asked for when it is not known or must be `fresh`.
#[pyfunction]
pub(crate) fn schema<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    fresh: bool,
) -> PyResult<Bound<'py, PyAny>> {
    call(connection, options, move |client, options| async move {
        if fresh {
            send!(client.describe_collection(collection.clone()), options)
                .map_err(Failure::describing)?;
        }
        let description = client.remembered_collection(&collection).await;
        let description = description.map_err(|error| Failure::from(error).describing())?;
        Ok(Schema(description))
    })
}

#[pymethods]
impl Schema {
    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The names of the fields, and the type numbers.
    #[getter]
    fn fields(&self) -> Vec<(String, i32)> {
        let fields = self.0.schema.fields.iter();
        fields
            .map(|field| (field.name.clone(), field.data_type.number()))
            .collect()
    }

    /// Name and type number of the primary key.
    #[getter]
    fn primary_key(&self) -> Option<(String, i32)> {
        let key = self.0.schema.primary_key()?;
        Some((key.name.clone(), key.data_type.number()))
    }

    /// Checks rows and puts them into columns: a list of dicts, one dict, or a dict of columns. `table` is true when the
    /// dict is one of columns for certain; `upsert` is `None` for an insert, else whether it is partial.
    fn prepare(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        table: bool,
        upsert: Option<bool>,
    ) -> PyResult<Prepared> {
        let prepared = self.prepared(py, data, table, upsert);
        prepared
            .map(Prepared::new)
            .map_err(|failure| failure.into_exception(py))
    }
}

impl Schema {
    fn prepared(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        table: bool,
        upsert: Option<bool>,
    ) -> Result<PreparedRows, Failure> {
        let fields = Fields::new(&self.0, numpy_is_imported(py)?);
        if let Ok(dict) = data.cast::<PyDict>() {
            if table || is_columnar(dict, &fields) {
                if let Some(prepared) = self.detached(py, dict, &fields, upsert)? {
                    return Ok(prepared);
                }
                let columns = Columns::new(dict, &fields)?;
                let rows = (0..columns.rows()).map(|row| {
                    let_others_run(py, row);
                    columns.row(row)
                });
                return self.check(upsert, rows);
            }
            return self.check(
                upsert,
                [Row {
                    object: data.clone(),
                    fields: &fields,
                }],
            );
        }
        let Ok(list) = data.cast::<PyList>() else {
            return Err(Failure::data(format!(
                "rows are a list of dicts, not {}",
                class(data)
            )));
        };
        let rows = list.iter().enumerate().map(|(place, object)| {
            let_others_run(py, place);
            Row {
                object,
                fields: &fields,
            }
        });
        self.check(upsert, rows)
    }

    /// Columns that can be checked without the GIL; `None` for others.
    fn detached(
        &self,
        py: Python<'_>,
        given: &Bound<'_, PyDict>,
        fields: &Fields<'_>,
        upsert: Option<bool>,
    ) -> Result<Option<PreparedRows>, Failure> {
        if !fields.has_numpy() {
            return Ok(None);
        }
        let Some(columns) = DetachedColumns::new(given, fields)? else {
            return Ok(None);
        };
        py.detach(|| {
            let mut rows = columns.rows();
            let prepared = self.check(upsert, &mut rows);
            if rows.is_odd() {
                return Ok(None);
            }
            prepared.map(Some)
        })
    }

    fn check<I>(&self, upsert: Option<bool>, rows: I) -> Result<PreparedRows, Failure>
    where
        I: IntoIterator<Item: Serialize>,
    {
        Ok(match upsert {
            None => PreparedRows::for_insert(&self.0, rows)?,
            Some(is_partial) => PreparedRows::for_upsert(&self.0, is_partial, rows)?,
        })
    }
}

fn let_others_run(py: Python<'_>, row: usize) {
    if row % ROWS_AT_A_TIME == ROWS_AT_A_TIME - 1 {
        py.detach(|| ());
    }
}
