//! Insert, upsert, delete.
//!
//! Invariant: the rows of a write were checked before; it is one call of the client's, which cuts it into requests.

use milvus_client::{FieldChange, Ids, WriteResult};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::parameters::{Consistency, consistency, filter_values, ids};
use super::rows::Prepared;
use super::verb::{Options, call};
use crate::connection::Connection;
use crate::errors::Failure;

/// What Python gets of a write: the number of rows, the primary keys, the cost.
#[derive(IntoPyObject)]
struct Written {
    rows: u64,
    ids: Keys,
    cost: u64,
}

/// Primary keys as Python has them.
#[derive(IntoPyObject)]
enum Keys {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl From<&Ids> for Keys {
    fn from(ids: &Ids) -> Self {
        match ids {
            Ids::Int64(ids) => Self::Numbers(ids.clone()),
            other => Self::Texts(other.iter().map(|id| id.to_string()).collect()),
        }
    }
}

impl From<WriteResult> for Written {
    fn from(result: WriteResult) -> Self {
        Self {
            rows: result.rows,
            ids: Keys::from(&result.ids),
            cost: result.cost,
        }
    }
}

/// Inserts prepared rows.
#[pyfunction]
pub(crate) fn insert<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    rows: &Bound<'py, Prepared>,
    partition: String,
) -> PyResult<Bound<'py, PyAny>> {
    let rows = rows
        .get()
        .take()
        .map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let insert = client
            .insert(collection)
            .partition(partition)
            .prepared(rows);
        send!(insert, options).map(Written::from)
    })
}

/// Upserts prepared rows. `changes` names fields and how they change: `replace`, `array_append`, `array_remove`.
#[pyfunction]
pub(crate) fn upsert<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    rows: &Bound<'py, Prepared>,
    partition: String,
    partial: bool,
    changes: Vec<(String, String)>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = connection.py();
    let rows = rows
        .get()
        .take()
        .map_err(|failure| failure.into_exception(py))?;
    let changes: Result<Vec<_>, Failure> = changes
        .into_iter()
        .map(|(field, change)| Ok((field, field_change(&change)?)))
        .collect();
    let changes = changes.map_err(|failure| failure.into_exception(py))?;
    call(connection, options, move |client, options| async move {
        let mut upsert = client
            .upsert(collection)
            .partition(partition)
            .prepared(rows);
        if partial {
            upsert = upsert.partial();
        }
        for (field, change) in changes {
            upsert = upsert.field_change(field, change);
        }
        send!(upsert, options).map(Written::from)
    })
}

fn field_change(name: &str) -> Result<FieldChange, Failure> {
    match name {
        "replace" => Ok(FieldChange::Replace),
        "array_append" => Ok(FieldChange::ArrayAppend),
        "array_remove" => Ok(FieldChange::ArrayRemove),
        other => Err(Failure::parameter(format!(
            "no such change of a field: {other}"
        ))),
    }
}

/// Deletes rows by primary key or by filter; gives their number, the primary keys where the server says them, and the cost.
#[pyfunction]
#[expect(
    clippy::too_many_arguments,
    reason = "each is one of Milvus's parameters"
)]
pub(crate) fn delete<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    keys: Option<Bound<'py, PyAny>>,
    keys_are_text: bool,
    filter: String,
    filter_params: Option<Bound<'py, PyDict>>,
    partition: String,
    level: Consistency,
) -> PyResult<Bound<'py, PyAny>> {
    let read = || -> Result<_, Failure> {
        let keys = keys.map(|keys| ids(&keys, keys_are_text)).transpose()?;
        Ok((
            keys,
            filter_values(filter_params.as_ref())?,
            consistency(level)?,
        ))
    };
    let (keys, values, level) =
        read().map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut delete = client
            .delete(collection)
            .partition(partition)
            .filter(filter);
        if let Some(keys) = keys {
            delete = delete.ids(keys);
        }
        if let Some(level) = level {
            delete = delete.consistency(level);
        }
        for (name, value) in values {
            delete = delete.filter_value(name, value);
        }
        let deleted = send!(delete, options)?;
        Ok(Written {
            rows: deleted.rows,
            ids: Keys::from(&deleted.ids),
            cost: deleted.cost,
        })
    })
}
