//! Partitions.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;

use super::Embedded;
use super::answer::Call;
use super::collections::row_count;
use crate::catalog::{CollectionRecord, DEFAULT_PARTITION, LoadState, PartitionRecord, check_name};
use crate::engine::{Draft, physical_milliseconds};
use crate::error::MilvusError;

/// Most partitions of a collection.
const MAX_PARTITIONS: usize = 1024;

fn refuse_with_key(record: &CollectionRecord) -> Result<(), MilvusError> {
    match record.partition_key() {
        Some(_) => Err(MilvusError::invalid(
            "disable create and drop partition if partition key mode is used",
        )),
        None => Ok(()),
    }
}

impl Embedded {
    pub(super) async fn on_create_partition(
        &self,
        call: Call<CreatePartitionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let CreatePartitionRequest {
            collection_name,
            partition_name,
            ..
        } = call.message;
        check_name("partition", &partition_name)?;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &collection_name)?;
            refuse_with_key(&record)?;
            if record.partition(&partition_name).is_ok() {
                // Milvus takes a create of what is there for done.
                return Ok(());
            }
            if record.partitions.len() >= MAX_PARTITIONS {
                return Err(MilvusError::invalid(format!(
                    "partition number ({MAX_PARTITIONS}) exceeds max configuration ({MAX_PARTITIONS})"
                )));
            }
            let created = draft.clock.next();
            let (catalog, writes) = draft.catalog_mut();
            let id = catalog.next_identifier(writes);
            record.partitions.push(PartitionRecord {
                id,
                name: partition_name,
                created,
                loaded: false,
            });
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_drop_partition(
        &self,
        call: Call<DropPartitionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let DropPartitionRequest {
            collection_name,
            partition_name,
            ..
        } = call.message;
        let change = move |draft: &mut Draft<'_>| {
            let record = draft.record_to_change(&database, &collection_name)?;
            refuse_with_key(&record)?;
            if partition_name == DEFAULT_PARTITION {
                return Err(MilvusError::invalid("default partition cannot be deleted"));
            }
            let Ok(partition) = record.partition(&partition_name) else {
                return Ok(());
            };
            if record.is_loaded(partition) {
                let message = format!(
                    "partition cannot be dropped, partition is loaded, please release it first: {partition_name}"
                );
                return Err(MilvusError::invalid(message));
            }
            let id = partition.id;
            draft.remove_partition(record, id)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_has_partition(
        &self,
        call: Call<HasPartitionRequest>,
    ) -> Result<BoolResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        Ok(BoolResponse {
            value: record.partition(&call.message.partition_name).is_ok(),
            ..BoolResponse::default()
        })
    }

    pub(super) async fn on_show_partitions(
        &self,
        call: Call<ShowPartitionsRequest>,
    ) -> Result<ShowPartitionsResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        let only_loaded = call.message.r#type == ShowType::InMemory as i32;
        let mut answer = ShowPartitionsResponse::default();
        for name in &call.message.partition_names {
            record.partition(name)?;
        }
        for partition in &record.partitions {
            let named = call.message.partition_names.is_empty()
                || call.message.partition_names.contains(&partition.name);
            if !named || (only_loaded && !record.is_loaded(partition)) {
                continue;
            }
            answer.partition_names.push(partition.name.clone());
            answer.partition_i_ds.push(partition.id as i64);
            answer.created_timestamps.push(partition.created);
            answer
                .created_utc_timestamps
                .push(physical_milliseconds(partition.created));
            answer
                .in_memory_percentages
                .push(if record.load == LoadState::Released {
                    0
                } else {
                    100
                });
        }
        Ok(answer)
    }

    pub(super) async fn on_get_partition_statistics(
        &self,
        call: Call<GetPartitionStatisticsRequest>,
    ) -> Result<GetPartitionStatisticsResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        let id = record.partition(&call.message.partition_name)?.id;
        let snapshot = state.collections.get(&record.id);
        let rows: usize = snapshot.map_or(0, |snapshot| {
            snapshot.segments_of(&[id]).map(|view| view.alive()).sum()
        });
        Ok(GetPartitionStatisticsResponse {
            stats: vec![row_count(rows)],
            ..GetPartitionStatisticsResponse::default()
        })
    }
}
