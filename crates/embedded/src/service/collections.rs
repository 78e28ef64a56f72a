//! Collections: create, drop, describe, list, rename, alter, truncate, statistics.

use milvus_protocol::common::{KeyValuePair, Status};
use milvus_protocol::milvus::*;
use milvus_protocol::schema::FieldSchema;
use prost::Message as _;

use super::Embedded;
use super::answer::Call;
use super::parameters::{alter, refuse_time_zones, to_map, to_pairs};
use super::schema::{describe, read_field, read_schema};
use crate::catalog::{
    CollectionRecord, DEFAULT_PARTITION, LoadState, PartitionRecord, check_name, check_schema,
    check_structs, split_member,
};
use crate::engine::{Draft, physical_milliseconds};
use crate::error::{MilvusError, MilvusErrorKind};

/// Partitions of a collection with a partition key, when the request doesn't say.
const KEY_PARTITIONS: i64 = 16;
/// Most partitions of a collection.
const MAX_PARTITIONS: i64 = 1024;

impl Embedded {
    pub(super) async fn on_create_collection(
        &self,
        call: Call<CreateCollectionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let (mut record, names) = read_collection(call.message)?;
        let change = move |draft: &mut Draft<'_>| {
            let created = draft.clock.next();
            let owner = draft.catalog().database(&database)?.clone();
            if let Ok(existing) = draft.catalog().collection(&owner.name, &record.name)
                && is_same_request(existing, &record)
            {
                // Milvus takes a create that asks for what is there for done.
                return Ok(());
            }
            draft.catalog().check_free(&owner, &record.name)?;
            let (catalog, writes) = draft.catalog_mut();
            record.id = catalog.next_identifier(writes);
            record.database = owner.id;
            (record.created, record.updated) = (created, created);
            for name in names {
                let id = catalog.next_identifier(writes);
                record.partitions.push(PartitionRecord {
                    id,
                    name,
                    created,
                    loaded: false,
                });
            }
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_drop_collection(
        &self,
        call: Call<DropCollectionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let name = call.message.collection_name;
        let change = move |draft: &mut Draft<'_>| {
            // Milvus takes dropping what isn't there for done.
            let Ok(record) = draft.catalog().collection(&database, &name) else {
                return draft.catalog().database(&database).map(drop);
            };
            let id = record.id;
            if record.name != name {
                return Err(MilvusError::invalid(format!(
                    "cannot drop the collection via alias = {name}"
                )));
            }
            if !record.aliases.is_empty() {
                let message = format!(
                    "unable to drop the collection [{name}] because it has associated aliases {:?}, please remove all aliases before dropping the collection",
                    record.aliases
                );
                return Err(MilvusError::new(MilvusErrorKind::Unexpected, message));
            }
            draft.remove_collection(id);
            Ok(())
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_has_collection(
        &self,
        call: Call<HasCollectionRequest>,
    ) -> Result<BoolResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        state.catalog.database(&database)?;
        let value = state
            .catalog
            .collection(&database, &call.message.collection_name)
            .is_ok();
        Ok(BoolResponse {
            value,
            ..BoolResponse::default()
        })
    }

    pub(super) async fn on_describe_collection(
        &self,
        call: Call<DescribeCollectionRequest>,
    ) -> Result<DescribeCollectionResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let owner = state.catalog.database(&database)?;
        let by_id = |id: i64| {
            state
                .catalog
                .collection_by_id(u64::try_from(id).ok()?)
                .filter(|record| record.database == owner.id)
        };
        let record = match (&call.message.collection_name, call.message.collection_id) {
            (name, id) if name.is_empty() && id != 0 => by_id(id)
                .ok_or_else(|| MilvusError::collection_not_found(&database, &id.to_string()))?,
            (name, _) => state.catalog.collection(&database, name)?,
        };
        Ok(describe(record, &owner.name, owner.id))
    }

    pub(super) async fn on_batch_describe_collection(
        &self,
        call: Call<BatchDescribeCollectionRequest>,
    ) -> Result<BatchDescribeCollectionResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let owner = state.catalog.database(&database)?;
        let mut answer = BatchDescribeCollectionResponse::default();
        for name in &call.message.collection_name {
            answer.responses.push(describe(
                state.catalog.collection(&database, name)?,
                &owner.name,
                owner.id,
            ));
        }
        Ok(answer)
    }

    pub(super) async fn on_show_collections(
        &self,
        call: Call<ShowCollectionsRequest>,
    ) -> Result<ShowCollectionsResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let owner = state.catalog.database(&database)?;
        let mut answer = ShowCollectionsResponse::default();
        let only_loaded = call.message.r#type == ShowType::InMemory as i32;
        for record in state.catalog.collections_of(owner.id) {
            let loaded = record.load != LoadState::Released;
            let named = call.message.collection_names.is_empty()
                || call.message.collection_names.contains(&record.name);
            let is_visible = call.caller.as_ref().is_none_or(|caller| {
                let access = &state.catalog.access;
                access.sees_collection(caller.user(), &database, &record.name)
            });
            if !named || !is_visible || (only_loaded && !loaded) {
                continue;
            }
            answer.collection_names.push(record.name.clone());
            answer.collection_ids.push(record.id as i64);
            answer.created_timestamps.push(record.created);
            answer
                .created_utc_timestamps
                .push(physical_milliseconds(record.created));
            answer.shards_num.push(record.shards);
            if only_loaded {
                answer.in_memory_percentages.push(100);
                answer.query_service_available.push(true);
            }
        }
        Ok(answer)
    }

    pub(super) async fn on_rename_collection(
        &self,
        call: Call<RenameCollectionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let RenameCollectionRequest {
            old_name,
            new_name,
            new_db_name,
            ..
        } = call.message;
        check_name("collection", &new_name)?;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &old_name)?;
            if record.name != old_name {
                return Err(MilvusError::invalid(format!(
                    "unsupported use an alias to rename collection, alias:{old_name}"
                )));
            }
            let target = if new_db_name.is_empty() {
                &database
            } else {
                &new_db_name
            };
            let target = draft.catalog().database(target)?.clone();
            if target.id != record.database && !record.aliases.is_empty() {
                return Err(MilvusError::invalid(
                    "fail to rename to another database, the collection has aliases: drop them first",
                ));
            }
            draft.catalog().check_free(&target, &new_name)?;
            (record.name, record.database) = (new_name, target.id);
            record.updated = draft.clock.next();
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_alter_collection(
        &self,
        call: Call<AlterCollectionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        check_properties(&to_map(&request.properties))?;
        refuse_time_zones(&request.properties)?;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &request.collection_name)?;
            let mut properties = request.properties;
            // The description and the consistency level travel as properties and are fields of the schema.
            properties.retain(|pair| match pair.key.as_str() {
                "collection.description" => {
                    record.description.clone_from(&pair.value);
                    false
                }
                "dynamicfield.enabled" if pair.value.eq_ignore_ascii_case("true") => {
                    enable_dynamic_field(&mut record);
                    false
                }
                _ => true,
            });
            alter(&mut record.properties, &properties, &request.delete_keys);
            record.updated = draft.clock.next();
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_alter_collection_field(
        &self,
        call: Call<AlterCollectionFieldRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &request.collection_name)?;
            let name = &request.field_name;
            refuse_capacity_of_member(name, &request)?;
            let field = record
                .fields
                .iter_mut()
                .find(|field| field.name == *name)
                .ok_or_else(|| MilvusError::field_not_found(name))?;
            for pair in &request.properties {
                match pair.key.as_str() {
                    "max_length" | "max_capacity" | "mmap.enabled" | "field.description" => {}
                    other => {
                        return Err(MilvusError::invalid(format!(
                            "{other} does not allow update in collection field param"
                        )));
                    }
                }
                if pair.key == "field.description" {
                    field.description.clone_from(&pair.value);
                } else {
                    field
                        .type_params
                        .insert(pair.key.clone(), pair.value.clone());
                }
            }
            request
                .delete_keys
                .iter()
                .for_each(|key| drop(field.type_params.remove(key)));
            field.check()?;
            record.updated = draft.clock.next();
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_add_collection_field(
        &self,
        call: Call<AddCollectionFieldRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let decoded = FieldSchema::decode(&*request.schema);
        let field = decoded.map_err(|error| {
            MilvusError::invalid(format!("the field can't be decoded: {error}"))
        })?;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &request.collection_name)?;
            let added = read_field(&field, record.last_field + 1)?;
            if added.data_type.is_vector() {
                return Err(MilvusError::invalid(format!(
                    "not support to add vector field, field name = {}",
                    added.name
                )));
            }
            if !added.nullable {
                return Err(MilvusError::invalid(format!(
                    "added field must be nullable, please check it, field name = {}",
                    added.name
                )));
            }
            if added.primary || added.auto_id || added.partition_key || added.clustering_key {
                return Err(MilvusError::invalid(format!(
                    "not support to add key field, field name = {}",
                    added.name
                )));
            }
            record.last_field = added.id;
            let place = record
                .fields
                .iter()
                .position(|field| field.dynamic)
                .unwrap_or(record.fields.len());
            record.fields.insert(place, added);
            check_schema(&record.fields, &record.functions)?;
            record.updated = draft.clock.next();
            record.schema_version += 1;
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_truncate_collection(
        &self,
        call: Call<TruncateCollectionRequest>,
    ) -> Result<TruncateCollectionResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let name = call.message.collection_name;
        let change = move |draft: &mut Draft<'_>| {
            let id = draft.catalog().collection(&database, &name)?.id;
            draft.remove_all_rows(id)
        };
        self.engine
            .write(change)
            .await
            .map(|()| TruncateCollectionResponse::default())
    }

    pub(super) async fn on_get_collection_statistics(
        &self,
        call: Call<GetCollectionStatisticsRequest>,
    ) -> Result<GetCollectionStatisticsResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        let rows: usize = state.collections.get(&record.id).map_or(0, |snapshot| {
            snapshot.segments().map(|view| view.alive()).sum()
        });
        Ok(GetCollectionStatisticsResponse {
            stats: vec![row_count(rows)],
            ..GetCollectionStatisticsResponse::default()
        })
    }
}

/// The record of a new collection, not yet numbered, and the names of its partitions.
fn read_collection(
    request: CreateCollectionRequest,
) -> Result<(CollectionRecord, Vec<String>), MilvusError> {
    let schema = read_schema(&request.schema)?;
    check_name("collection", &request.collection_name)?;
    if schema.name != request.collection_name && !schema.name.is_empty() {
        let message = format!(
            "collection name matches schema name: {} and {} differ",
            request.collection_name, schema.name
        );
        return Err(MilvusError::invalid(message));
    }
    check_structs(&schema.structs, &schema.fields)?;
    check_schema(&schema.fields, &schema.functions)?;
    let partitioned = schema.fields.iter().any(|field| field.partition_key);
    if request.num_partitions > 0 && !partitioned {
        return Err(MilvusError::invalid(
            "num_partitions should only be specified with partition key field enabled",
        ));
    }
    if request.num_partitions > MAX_PARTITIONS {
        return Err(MilvusError::invalid(format!(
            "partition number ({}) exceeds max configuration ({MAX_PARTITIONS})",
            request.num_partitions
        )));
    }
    let mut properties = to_map(&schema.properties);
    properties.extend(to_map(&request.properties));
    check_properties(&properties)?;
    refuse_time_zones(&to_pairs(&properties))?;
    let record = CollectionRecord {
        id: 0,
        database: 0,
        name: request.collection_name,
        description: schema.description,
        created: 0,
        updated: 0,
        schema_version: 0,
        last_field: schema
            .fields
            .iter()
            .map(|field| field.id)
            .max()
            .unwrap_or_default(),
        fields: schema.fields,
        structs: schema.structs,
        functions: schema.functions,
        enable_dynamic_field: schema.enable_dynamic_field,
        consistency_level: request.consistency_level,
        shards: request.shards_num.max(1),
        properties,
        partitions: Vec::new(),
        indexes: Vec::new(),
        aliases: Vec::new(),
        load: LoadState::Released,
        replicas: 0,
    };
    let names: Vec<String> = match request.num_partitions {
        _ if !partitioned => vec![DEFAULT_PARTITION.to_owned()],
        0 => (0..KEY_PARTITIONS)
            .map(|index| format!("{DEFAULT_PARTITION}_{index}"))
            .collect(),
        count => (0..count)
            .map(|index| format!("{DEFAULT_PARTITION}_{index}"))
            .collect(),
    };
    Ok((record, names))
}

/// The one statistic that Milvus gives.
pub(super) fn row_count(rows: usize) -> KeyValuePair {
    KeyValuePair {
        key: "row_count".to_owned(),
        value: rows.to_string(),
    }
}

fn is_same_request(existing: &CollectionRecord, wanted: &CollectionRecord) -> bool {
    existing.fields == wanted.fields
        && existing.structs == wanted.structs
        && existing.functions == wanted.functions
        && existing.description == wanted.description
        && existing.enable_dynamic_field == wanted.enable_dynamic_field
        && existing.properties == wanted.properties
        && existing.consistency_level == wanted.consistency_level
        && existing.name == wanted.name
}

fn check_properties(
    properties: &std::collections::BTreeMap<String, String>,
) -> Result<(), MilvusError> {
    match properties
        .get("collection.ttl.seconds")
        .map(|value| value.parse::<i64>())
    {
        Some(Err(_)) => Err(MilvusError::invalid(
            "collection TTL is not a valid positive integer",
        )),
        _ => Ok(()),
    }
}

/// The members of a struct have one capacity, so it can't be changed for one of them.
fn refuse_capacity_of_member(
    name: &str,
    request: &AlterCollectionFieldRequest,
) -> Result<(), MilvusError> {
    let mut keys = request.properties.iter().map(|pair| &pair.key);
    if split_member(name).is_some()
        && (keys.any(|key| key == "max_capacity")
            || request.delete_keys.iter().any(|key| key == "max_capacity"))
    {
        return Err(MilvusError::invalid(format!(
            "max_capacity of field {name} can't be changed: it belongs to the whole array of structs"
        )));
    }
    Ok(())
}

fn enable_dynamic_field(record: &mut CollectionRecord) {
    if !record.enable_dynamic_field {
        record.enable_dynamic_field = true;
        record.last_field += 1;
        record
            .fields
            .push(super::schema::dynamic_field(record.last_field));
        record.schema_version += 1;
    }
}
