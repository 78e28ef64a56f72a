//! Partitions, aliases, databases.
//!
//! Invariant: a database is a name here; the one that a handle works in is the handle's own matter.

use milvus_client::admin::{AliasDescription, DatabaseDescription};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::parameters::pairs;
use super::verb::{Options, call};
use crate::connection::Connection;

verb! {
    /// Creates a partition.
    create_partition(client, collection: String, partition: String) client.create_partition(collection, partition)
}
verb! {
    /// Drops a partition.
    drop_partition(client, collection: String, partition: String) client.drop_partition(collection, partition)
}
verb! {
    /// Whether a partition is there.
    has_partition(client, collection: String, partition: String) client.has_partition(collection, partition)
}
verb! {
    /// The names of all partitions of a collection.
    list_partitions(client, collection: String) client.list_partitions(collection)
}
verb! {
    /// The statistics of a partition.
    partition_statistics(client, collection: String, partition: String)
        client.partition_statistics(collection, partition)
        => |found: milvus_client::admin::Statistics| found.values
}

verb! {
    /// Gives a collection another name.
    create_alias(client, collection: String, alias: String) client.create_alias(collection, alias)
}
verb! {
    /// Gives an alias to another collection.
    alter_alias(client, collection: String, alias: String) client.alter_alias(collection, alias)
}
verb! {
    /// Drops an alias.
    drop_alias(client, alias: String) client.drop_alias(alias)
}
verb! {
    /// An alias's collection and database.
    describe_alias(client, alias: String) client.describe_alias(alias)
        => |found: AliasDescription| (found.collection, found.database)
}
verb! {
    /// The aliases of a collection, or all.
    list_aliases(client, collection: Option<String>) {
        let list = client.list_aliases();
        match collection {
            Some(collection) => list.collection(collection),
            None => list,
        }
    }
}

verb! {
    /// Drops a database.
    drop_database(client, database: String) client.drop_database(database)
}
verb! {
    /// The names of all databases.
    list_databases(client) client.list_databases()
}
verb! {
    /// A database's name and properties.
    describe_database(client, database: String) client.describe_database(database)
        => |found: DatabaseDescription| (found.name, found.properties)
}
verb! {
    /// Drops properties of a database.
    drop_database_properties(client, database: String, keys: Vec<String>)
        client.drop_database_properties(database, keys)
}

/// Creates a database.
#[pyfunction]
pub(crate) fn create_database<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    database: String,
    properties: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let properties =
        pairs(properties).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut create = client.create_database(database);
        for (key, value) in properties {
            create = create.property(key, value);
        }
        send!(create, options)
    })
}

/// Sets properties of a database.
#[pyfunction]
pub(crate) fn alter_database_properties<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    database: String,
    properties: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let properties =
        pairs(properties).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut alter = client.alter_database_properties(database);
        for (key, value) in properties {
            alter = alter.property(key, value);
        }
        send!(alter, options)
    })
}
