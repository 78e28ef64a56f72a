//! Indexes.
//!
//! Invariant: the parameters of an index travel one by one, as PyMilvus sends them, so that servers describe it alike.

use std::collections::BTreeMap;

use milvus_client::admin::IndexDescription;
use milvus_protocol::common::KeyValuePair;
use milvus_protocol::milvus::{CreateIndexRequest, DescribeIndexRequest};
use milvus_protocol::rpc;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::parameters::pairs;
use super::schema::texts;
use super::verb::{Options, call, raw};
use crate::connection::Connection;
use crate::errors::Failure;

/// Creates an index and, with `wait`, waits until it is built.
#[pyfunction]
pub(crate) fn create_index<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    field: String,
    name: String,
    parameters: &Bound<'py, PyDict>,
    wait: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let parameters =
        pairs(parameters).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let message = CreateIndexRequest {
            collection_name: collection.clone(),
            field_name: field.clone(),
            index_name: name.clone(),
            extra_params: parameters
                .into_iter()
                .map(|(key, value)| KeyValuePair { key, value })
                .collect(),
            ..Default::default()
        };
        raw(&client, &options, &rpc::CREATE_INDEX, message).await?;
        if !wait {
            return Ok(());
        }
        // Without a name, and from servers that choose their own, it is the one on the field.
        let indexes = send!(client.list_indexes(collection.clone()), options)?;
        let by_name = indexes
            .iter()
            .find(|index| index.name == name && !name.is_empty());
        match by_name.or_else(|| indexes.iter().find(|index| index.field == field)) {
            Some(index) => send!(
                client.wait_for_index(collection, index.name.clone()),
                options
            ),
            None => Ok(()),
        }
    })
}

/// An index as the server describes it.
#[derive(IntoPyObject)]
struct Described {
    params: BTreeMap<String, String>,
    field_name: String,
    index_name: String,
    total_rows: i64,
    indexed_rows: i64,
    pending_index_rows: i64,
    state: i32,
}

/// What the server says of an index, or of all of them when no name is given; nothing when there is none.
#[pyfunction]
pub(crate) fn describe_index<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    name: String,
) -> PyResult<Bound<'py, PyAny>> {
    /// `IndexNotFound`, and its number in servers before 2.3.
    const NOT_FOUND: (i32, i32) = (700, 25);
    call(connection, options, move |client, options| async move {
        let message = DescribeIndexRequest {
            collection_name: collection,
            index_name: name,
            ..Default::default()
        };
        let answer = match raw(&client, &options, &rpc::DESCRIBE_INDEX, message).await {
            Ok(answer) => answer,
            Err(Failure::Client(error)) => {
                let found = error
                    .connection_error()
                    .and_then(milvus_transport::Error::answer);
                let is_missing = found.is_some_and(|found| {
                    found.code() == NOT_FOUND.0 || found.legacy_code() == NOT_FOUND.1
                });
                return if is_missing {
                    Ok(Vec::new())
                } else {
                    Err(Failure::Client(error))
                };
            }
            Err(failure) => return Err(failure),
        };
        let described = answer
            .index_descriptions
            .into_iter()
            .map(|index| Described {
                params: texts(index.params),
                field_name: index.field_name,
                index_name: index.index_name,
                total_rows: index.total_rows,
                indexed_rows: index.indexed_rows,
                pending_index_rows: index.pending_index_rows,
                state: index.state,
            });
        Ok(described.collect::<Vec<_>>())
    })
}

verb! {
    /// Names and fields of all indexes of a collection.
    list_indexes(client, collection: String) client.list_indexes(collection)
        => |found: Vec<IndexDescription>| found.into_iter().map(|index| (index.name, index.field)).collect::<Vec<_>>()
}
verb! {
    /// Drops an index.
    drop_index(client, collection: String, name: String) client.drop_index(collection, name)
}
verb! {
    /// Drops properties of an index.
    drop_index_properties(client, collection: String, name: String, keys: Vec<String>)
        client.drop_index_properties(collection, name, keys)
}

/// Sets properties of an index.
#[pyfunction]
pub(crate) fn alter_index_properties<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    name: String,
    properties: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let properties =
        pairs(properties).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut alter = client.alter_index_properties(collection, name);
        for (key, value) in properties {
            alter = alter.property(key, value);
        }
        send!(alter, options)
    })
}
