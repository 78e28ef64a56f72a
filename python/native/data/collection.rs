//! Collections, what they are made of, and whether they are loaded.
//!
//! Invariant: a call that changes a collection is one of the client's, which forgets what it remembers of it.

use milvus_client::ConsistencyLevel;
use milvus_client::admin::{Load, LoadPriority};
use milvus_protocol::milvus::DescribeCollectionRequest;
use milvus_protocol::rpc;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::parameters::{Consistency, consistency, pairs};
use super::schema::{Collection, GivenField, GivenSchema};
use super::verb::{Options, call, raw};
use crate::connection::Connection;
use crate::errors::Failure;

verb! {
    /// The names of all collections.
    list_collections(client) client.list_collections()
}
verb! {
    /// Whether a collection is there.
    has_collection(client, collection: String) client.has_collection(collection)
}
verb! {
    /// Drops a collection.
    drop_collection(client, collection: String) client.drop_collection(collection)
}
verb! {
    /// Empties a collection.
    truncate_collection(client, collection: String) client.truncate_collection(collection)
}
verb! {
    /// Drops properties of a collection.
    drop_collection_properties(client, collection: String, keys: Vec<String>)
        client.drop_collection_properties(collection, keys)
}
verb! {
    /// The statistics of a collection.
    collection_statistics(client, collection: String)
        client.collection_statistics(collection) => |found: milvus_client::admin::Statistics| found.values
}
verb! {
    /// Renames a collection, into another database if one is named.
    rename_collection(client, old: String, new: String, database: Option<String>) {
        let rename = client.rename_collection(old, new);
        match database {
            Some(database) => rename.new_database(database),
            None => rename,
        }
    }
}

/// Creates a collection.
#[pyfunction]
#[expect(
    clippy::too_many_arguments,
    reason = "each is one of Milvus's parameters"
)]
pub(crate) fn create_collection<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    schema: GivenSchema<'py>,
    level: Consistency,
    shards: Option<i32>,
    partitions: Option<i64>,
    properties: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let read = || -> Result<_, Failure> {
        let level = consistency(level)?.unwrap_or(ConsistencyLevel::Bounded);
        Ok((schema.read()?, level, pairs(properties)?))
    };
    let (schema, level, properties) =
        read().map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut create = client
            .create_collection(collection, schema)
            .consistency_level(level);
        if let Some(shards) = shards {
            create = create.shards(shards);
        }
        if let Some(partitions) = partitions {
            create = create.partitions(partitions);
        }
        for (key, value) in properties {
            create = create.property(key, value);
        }
        send!(create, options)
    })
}

/// What the server says of a collection.
#[pyfunction]
pub(crate) fn describe_collection<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
) -> PyResult<Bound<'py, PyAny>> {
    call(connection, options, move |client, options| async move {
        let message = DescribeCollectionRequest {
            collection_name: collection,
            ..Default::default()
        };
        let answer = raw(&client, &options, &rpc::DESCRIBE_COLLECTION, message).await;
        let answer = answer.map_err(Failure::describing)?;
        Ok(Collection::from(answer))
    })
}

/// Sets properties of a collection.
#[pyfunction]
pub(crate) fn alter_collection_properties<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    properties: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let properties =
        pairs(properties).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut alter = client.alter_collection_properties(collection);
        for (key, value) in properties {
            alter = alter.property(key, value);
        }
        send!(alter, options)
    })
}

/// Sets parameters of a field.
#[pyfunction]
pub(crate) fn alter_collection_field<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    field: String,
    parameters: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let parameters =
        pairs(parameters).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut alter = client.alter_collection_field(collection, field);
        for (key, value) in parameters {
            alter = alter.parameter(key, value);
        }
        send!(alter, options)
    })
}

/// Adds a field to a collection.
#[pyfunction]
pub(crate) fn add_collection_field<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    field: GivenField<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let field = field
        .read()
        .map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        send!(client.add_collection_field(collection, field), options)
    })
}

/// What a load is given.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct LoadArguments {
    replicas: Option<i32>,
    resource_groups: Option<Vec<String>>,
    fields: Option<Vec<String>>,
    skip_dynamic_field: bool,
    priority: Option<String>,
    wait: bool,
}

impl LoadArguments {
    fn apply(self, mut load: Load) -> Load {
        if let Some(replicas) = self.replicas {
            load = load.replicas(replicas);
        }
        if let Some(groups) = self.resource_groups {
            load = load.resource_groups(groups);
        }
        if let Some(fields) = self.fields {
            load = load.fields(fields);
        }
        if self.skip_dynamic_field {
            load = load.skip_dynamic_field();
        }
        match self.priority.as_deref() {
            Some("high") => load = load.priority(LoadPriority::High),
            Some("low") => load = load.priority(LoadPriority::Low),
            _ => {}
        }
        if self.wait { load } else { load.no_wait() }
    }
}

verb! {
    /// Loads a collection.
    load_collection(client, collection: String, arguments: LoadArguments)
        arguments.apply(client.load_collection(collection))
}
verb! {
    /// Loads partitions.
    load_partitions(client, collection: String, partitions: Vec<String>, arguments: LoadArguments)
        arguments.apply(client.load_partitions(collection, partitions))
}
verb! {
    /// Loads what has come to a loaded collection.
    refresh_load(client, collection: String, arguments: LoadArguments)
        arguments.apply(client.refresh_load(collection))
}
verb! {
    /// Releases a collection.
    release_collection(client, collection: String) client.release_collection(collection)
}
verb! {
    /// Releases partitions.
    release_partitions(client, collection: String, partitions: Vec<String>)
        client.release_partitions(collection, partitions)
}
verb! {
    /// The number of the load state.
    load_state(client, collection: String, partitions: Vec<String>)
        client.load_state(collection).partitions(partitions)
        => |state: milvus_client::admin::LoadState| state.number()
}
verb! {
    /// How much is loaded, in percent.
    loading_progress(client, collection: String, partitions: Vec<String>)
        client.loading_progress(collection).partitions(partitions)
        => |progress: milvus_client::admin::LoadingProgress| progress.percent
}
