//! A collection: schema, partitions, indexes, aliases, properties and load state in one record, because they change together.

use std::collections::BTreeMap;

use super::{FieldRecord, FunctionKind, FunctionRecord, IndexRecord, StructRecord};
use crate::error::MilvusError;

/// A partition.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct PartitionRecord {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) created: u64,
    #[serde(default)]
    pub(crate) loaded: bool,
}

/// Whether a collection may be searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoadState {
    #[default]
    Released,
    /// All partitions, those of the future too.
    Loaded,
    /// The partitions marked as loaded.
    PartitionsLoaded,
}

/// A collection.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct CollectionRecord {
    pub(crate) id: u64,
    pub(crate) database: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) created: u64,
    /// Timestamp of the last change of the schema.
    #[serde(default)]
    pub(crate) updated: u64,
    #[serde(default)]
    pub(crate) schema_version: i32,
    /// Those of the user, the dynamic one, and the members of the arrays of structs.
    pub(crate) fields: Vec<FieldRecord>,
    #[serde(default)]
    pub(crate) structs: Vec<StructRecord>,
    #[serde(default)]
    pub(crate) functions: Vec<FunctionRecord>,
    #[serde(default)]
    pub(crate) enable_dynamic_field: bool,
    /// Milvus's number of the consistency level.
    #[serde(default)]
    pub(crate) consistency_level: i32,
    #[serde(default)]
    pub(crate) shards: i32,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) partitions: Vec<PartitionRecord>,
    #[serde(default)]
    pub(crate) indexes: Vec<IndexRecord>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) load: LoadState,
    #[serde(default)]
    pub(crate) replicas: i32,
    /// Highest field id ever given: ids are never reused, so that the columns of dropped fields can't come back.
    #[serde(default)]
    pub(crate) last_field: i64,
}

impl CollectionRecord {
    /// The primary key. Every schema has one; the error is for a record that was damaged and still parses.
    pub(crate) fn primary(&self) -> Result<&FieldRecord, MilvusError> {
        self.fields
            .iter()
            .find(|field| field.primary)
            .ok_or_else(|| MilvusError::invalid("the schema has no primary key"))
    }

    /// The field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&FieldRecord> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field that decides the partition.
    pub(crate) fn partition_key(&self) -> Option<&FieldRecord> {
        self.fields.iter().find(|field| field.partition_key)
    }

    /// The field that holds the keys outside of the schema.
    pub(crate) fn dynamic_field(&self) -> Option<&FieldRecord> {
        self.fields.iter().find(|field| field.dynamic)
    }

    /// The partition of this name.
    pub(crate) fn partition(&self, name: &str) -> Result<&PartitionRecord, MilvusError> {
        self.partitions
            .iter()
            .find(|partition| partition.name == name)
            .ok_or_else(|| MilvusError::partition_not_found(name))
    }

    /// Identifiers of the named partitions; none named means all.
    pub(crate) fn partition_ids(&self, names: &[String]) -> Result<Vec<u64>, MilvusError> {
        if names.is_empty() {
            return Ok(self
                .partitions
                .iter()
                .map(|partition| partition.id)
                .collect());
        }
        names
            .iter()
            .map(|name| Ok(self.partition(name)?.id))
            .collect()
    }

    /// The BM25 function that fills a field.
    pub(crate) fn bm25_for_output(&self, field: &str) -> Option<&FunctionRecord> {
        self.functions.iter().find(|function| {
            function.kind == FunctionKind::Bm25
                && function.outputs.iter().any(|output| output == field)
        })
    }

    /// The index on a field.
    pub(crate) fn index_on(&self, field: &str) -> Option<&IndexRecord> {
        self.indexes.iter().find(|index| index.field == field)
    }

    /// Seconds that rows live, when they don't live for ever.
    pub(crate) fn ttl_seconds(&self) -> Option<u64> {
        self.properties
            .get("collection.ttl.seconds")?
            .parse()
            .ok()
            .filter(|seconds| *seconds > 0)
    }

    /// Whether a partition may be searched.
    pub(crate) fn is_loaded(&self, partition: &PartitionRecord) -> bool {
        match self.load {
            LoadState::Released => false,
            LoadState::Loaded => true,
            LoadState::PartitionsLoaded => partition.loaded,
        }
    }
}
