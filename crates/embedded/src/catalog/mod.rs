//! What exists: databases, collections with their schemas, partitions, aliases and indexes, and who may do what.
//!
//! A [`Catalog`] is a value. A change makes a new one and the rows to write for it; readers keep the one they have. So no reader ever sees half a change,
//! and the file and memory change together or not at all.

mod access;
mod changes;
mod collection;
mod index;
mod names;
mod privileges;
mod schema;
mod structs;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) use access::ROOT;
pub(crate) use access::{
    Access, GrantRecord, KeyRecord, PrivilegeGroupRecord, RoleRecord, UserRecord,
};
pub(crate) use changes::remove_rows;
pub(crate) use collection::{CollectionRecord, LoadState, PartitionRecord};
pub(crate) use index::{IndexRecord, check_index, default_metric, metric_supports};
pub(crate) use names::check_name;
pub(crate) use privileges::{
    Needed, ObjectKind, canonical_privilege, is_built_in_group, is_privilege, kind_of_grant,
};
pub(crate) use schema::{
    DataType, DefaultValue, FieldRecord, FunctionKind, FunctionRecord, check_schema,
};
pub(crate) use structs::{StructRecord, check_structs, member_name, split_member};

use crate::error::MilvusError;
use crate::storage::{StorageError, Store, Table};

/// The database that always exists.
pub(crate) const DEFAULT_DATABASE: &str = "default";
/// The partition that every collection without a partition key starts with.
pub(crate) const DEFAULT_PARTITION: &str = "_default";
/// The field that holds the keys which the schema doesn't name.
pub(crate) const DYNAMIC_FIELD: &str = "$meta";
/// Field id of the hidden column of row timestamps.
pub(crate) const TIMESTAMP_FIELD: i64 = 1;
/// Id of the first field of a user's schema.
pub(crate) const FIRST_FIELD: i64 = 100;

/// A database: a namespace for collections.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct DatabaseRecord {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Hybrid timestamp.
    #[serde(default)]
    pub(crate) created: u64,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
}

/// Everything that exists, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    databases: BTreeMap<String, Arc<DatabaseRecord>>,
    collections: HashMap<u64, Arc<CollectionRecord>>,
    /// Names and aliases, by database: both lead to a collection, and share one namespace.
    names: HashMap<(u64, String), u64>,
    pub(crate) access: Arc<Access>,
    /// The last identifier given out.
    pub(crate) last_identifier: u64,
}

impl Catalog {
    /// Reads the catalog of an open store.
    pub(crate) fn load(store: &Store) -> Result<Self, StorageError> {
        let mut catalog = Self::default();
        let path = store.catalog_path();
        let damaged = |what: &str, error: serde_json::Error| {
            StorageError::corrupt(&path, what, error.to_string())
        };
        store.scan(Table::Databases, |_, value| {
            let record: DatabaseRecord = serde_json::from_slice(value)
                .map_err(|error| damaged("a database record", error))?;
            catalog
                .databases
                .insert(record.name.clone(), Arc::new(record));
            Ok(())
        })?;
        store.scan(Table::Collections, |_, value| {
            let record: CollectionRecord = serde_json::from_slice(value)
                .map_err(|error| damaged("a collection record", error))?;
            catalog.insert_collection(Arc::new(record));
            Ok(())
        })?;
        let mut access = Access::default();
        store.scan(Table::Access, |key, value| {
            access
                .load(key, value)
                .map_err(|error| damaged("an access record", error))
        })?;
        catalog.access = Arc::new(access);
        if let Some(bytes) = store.get(Table::Meta, b"identifier")?
            && let Ok(bytes) = <[u8; 8]>::try_from(bytes.as_slice())
        {
            catalog.last_identifier = u64::from_le_bytes(bytes);
        }
        Ok(catalog)
    }

    fn insert_collection(&mut self, record: Arc<CollectionRecord>) {
        for name in record.aliases.iter().chain([&record.name]) {
            self.names
                .insert((record.database, name.clone()), record.id);
        }
        self.collections.insert(record.id, record);
    }

    fn take_collection(&mut self, id: u64) -> Option<Arc<CollectionRecord>> {
        let record = self.collections.remove(&id)?;
        self.names.retain(|_, target| *target != id);
        Some(record)
    }

    /// The database of this name; the empty name means the default one.
    pub(crate) fn database(&self, name: &str) -> Result<&Arc<DatabaseRecord>, MilvusError> {
        let name = if name.is_empty() {
            DEFAULT_DATABASE
        } else {
            name
        };
        self.databases
            .get(name)
            .ok_or_else(|| MilvusError::database_not_found(name))
    }

    /// All databases, by name.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &Arc<DatabaseRecord>> {
        self.databases.values()
    }

    /// The collection of this name or alias.
    pub(crate) fn collection(
        &self,
        database: &str,
        name: &str,
    ) -> Result<&Arc<CollectionRecord>, MilvusError> {
        let record = self.database(database)?;
        self.names
            .get(&(record.id, name.to_owned()))
            .and_then(|id| self.collections.get(id))
            .ok_or_else(|| MilvusError::collection_not_found(&record.name, name))
    }

    /// The collection with this identifier.
    pub(crate) fn collection_by_id(&self, id: u64) -> Option<&Arc<CollectionRecord>> {
        self.collections.get(&id)
    }

    /// The collections of a database, oldest first.
    pub(crate) fn collections_of(&self, database: u64) -> Vec<&Arc<CollectionRecord>> {
        let mut found: Vec<_> = self
            .collections
            .values()
            .filter(|record| record.database == database)
            .collect();
        found.sort_by_key(|record| record.id);
        found
    }

    /// All collections.
    pub(crate) fn all_collections(&self) -> impl Iterator<Item = &Arc<CollectionRecord>> {
        self.collections.values()
    }
}
