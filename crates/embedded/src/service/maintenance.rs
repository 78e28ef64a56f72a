//! The calls around the data: handshake, version, health, timestamps, flush, compaction, segments.

use std::collections::HashMap;

use milvus_protocol::common::{CompactionState, SegmentState, ServerInfo};
use milvus_protocol::milvus::*;
use milvus_protocol::schema::LongArray;

use super::Embedded;
use super::answer::Call;
use crate::catalog::{CollectionRecord, LoadState};
use crate::engine::{SegmentView, State};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::Health;

/// The Milvus release whose protocol and behaviour this engine follows; SDKs compare it with their own needs.
const MILVUS_VERSION: &str = "2.6.0";

impl Embedded {
    pub(super) async fn on_connect(
        &self,
        call: Call<ConnectRequest>,
    ) -> Result<ConnectResponse, MilvusError> {
        // The handshake is where a client learns that its database does not exist.
        self.engine.state().catalog.database(&call.database(""))?;
        let server_info = ServerInfo {
            build_tags: MILVUS_VERSION.to_owned(),
            deploy_mode: "EMBEDDED".to_owned(),
            reserved: [(
                "engine".to_owned(),
                concat!("milvus-embedded ", env!("CARGO_PKG_VERSION")).to_owned(),
            )]
            .into(),
            ..ServerInfo::default()
        };
        let identifier = self.engine.clock().next() as i64;
        Ok(ConnectResponse {
            server_info: Some(server_info),
            identifier,
            ..ConnectResponse::default()
        })
    }

    pub(super) async fn on_get_version(
        &self,
        _call: Call<GetVersionRequest>,
    ) -> Result<GetVersionResponse, MilvusError> {
        Ok(GetVersionResponse {
            version: MILVUS_VERSION.to_owned(),
            ..GetVersionResponse::default()
        })
    }

    pub(super) async fn on_check_health(
        &self,
        _call: Call<CheckHealthRequest>,
    ) -> Result<CheckHealthResponse, MilvusError> {
        let reasons = match self.engine.store().health() {
            Health::Good => Vec::new(),
            Health::Interrupted { .. } => vec![
                "the last write failed; the next one tries to open the catalog again".to_owned(),
            ],
            Health::ReadOnly(reason) => vec![format!("read-only since {reason}")],
        };
        Ok(CheckHealthResponse {
            is_healthy: reasons.is_empty(),
            reasons,
            ..CheckHealthResponse::default()
        })
    }

    pub(super) async fn on_alloc_timestamp(
        &self,
        _call: Call<AllocTimestampRequest>,
    ) -> Result<AllocTimestampResponse, MilvusError> {
        Ok(AllocTimestampResponse {
            timestamp: self.engine.clock().next(),
            ..AllocTimestampResponse::default()
        })
    }

    async fn flush_collections(&self, ids: Vec<u64>) -> Result<(), MilvusError> {
        for id in ids {
            self.engine.flush(id, false).await?;
        }
        Ok(())
    }

    pub(super) async fn on_flush(
        &self,
        call: Call<FlushRequest>,
    ) -> Result<FlushResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let names = call.message.collection_names;
        let state = self.engine.state();
        let ids: Result<Vec<u64>, MilvusError> = names
            .iter()
            .map(|name| Ok(state.catalog.collection(&database, name)?.id))
            .collect();
        self.flush_collections(ids?).await?;
        let now = self.engine.clock().now();
        let seconds = crate::engine::physical_milliseconds(now) / 1000;
        let state = self.engine.state();
        let files = |name: &String| {
            let record = state.catalog.collection(&database, name).ok()?;
            let ids: Vec<i64> = segments(&state, record)
                .map(|(_, view)| view.segment.id as i64)
                .collect();
            // The Node client can't read a map whose value is an empty message, so a collection without files is left out.
            (!ids.is_empty()).then(|| (name.clone(), LongArray { data: ids }))
        };
        let files: HashMap<_, _> = names.iter().filter_map(files).collect();
        Ok(FlushResponse {
            coll_seg_i_ds: files.clone(),
            flush_coll_seg_i_ds: files,
            coll_seal_times: names
                .iter()
                .map(|name| (name.clone(), seconds as i64))
                .collect(),
            coll_flush_ts: names.iter().map(|name| (name.clone(), now)).collect(),
            db_name: database,
            ..FlushResponse::default()
        })
    }

    pub(super) async fn on_flush_all(
        &self,
        _call: Call<FlushAllRequest>,
    ) -> Result<FlushAllResponse, MilvusError> {
        let state = self.engine.state();
        for record in state.catalog.all_collections() {
            match self.engine.flush(record.id, false).await {
                // It was dropped meanwhile.
                Err(error) if error.kind == MilvusErrorKind::CollectionNotFound => {}
                outcome => outcome?,
            }
        }
        Ok(FlushAllResponse {
            flush_all_ts: self.engine.clock().now(),
            ..FlushAllResponse::default()
        })
    }

    // A flush is over when its call is answered, so every state is "done".
    pub(super) async fn on_get_flush_state(
        &self,
        _call: Call<GetFlushStateRequest>,
    ) -> Result<GetFlushStateResponse, MilvusError> {
        Ok(GetFlushStateResponse {
            flushed: true,
            ..GetFlushStateResponse::default()
        })
    }

    pub(super) async fn on_get_flush_all_state(
        &self,
        _call: Call<GetFlushAllStateRequest>,
    ) -> Result<GetFlushAllStateResponse, MilvusError> {
        Ok(GetFlushAllStateResponse {
            flushed: true,
            ..GetFlushAllStateResponse::default()
        })
    }

    pub(super) async fn on_manual_compaction(
        &self,
        call: Call<ManualCompactionRequest>,
    ) -> Result<ManualCompactionResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = match (
            call.message.collection_name.as_str(),
            u64::try_from(call.message.collection_id),
        ) {
            ("", Ok(id)) => state
                .catalog
                .collection_by_id(id)
                .ok_or_else(|| MilvusError::collection_not_found(&database, &id.to_string()))?,
            (name, _) => state.catalog.collection(&database, name)?,
        };
        let id = record.id;
        self.engine.flush(id, true).await?;
        Ok(ManualCompactionResponse {
            compaction_id: self.engine.clock().next() as i64,
            ..ManualCompactionResponse::default()
        })
    }

    pub(super) async fn on_get_compaction_state(
        &self,
        _call: Call<GetCompactionStateRequest>,
    ) -> Result<GetCompactionStateResponse, MilvusError> {
        Ok(GetCompactionStateResponse {
            state: CompactionState::Completed as i32,
            completed_plan_no: 1,
            ..GetCompactionStateResponse::default()
        })
    }

    pub(super) async fn on_get_compaction_state_with_plans(
        &self,
        _call: Call<GetCompactionPlansRequest>,
    ) -> Result<GetCompactionPlansResponse, MilvusError> {
        Ok(GetCompactionPlansResponse {
            state: CompactionState::Completed as i32,
            ..GetCompactionPlansResponse::default()
        })
    }

    pub(super) async fn on_get_persistent_segment_info(
        &self,
        call: Call<GetPersistentSegmentInfoRequest>,
    ) -> Result<GetPersistentSegmentInfoResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        let infos = segments(&state, record)
            .filter(|(_, view)| view.segment.is_sealed())
            .map(|(partition, view)| PersistentSegmentInfo {
                segment_id: view.segment.id as i64,
                collection_id: record.id as i64,
                partition_id: partition as i64,
                num_rows: view.segment.rows() as i64,
                state: SegmentState::Flushed as i32,
                is_sorted: true,
                ..PersistentSegmentInfo::default()
            });
        Ok(GetPersistentSegmentInfoResponse {
            infos: infos.collect(),
            ..GetPersistentSegmentInfoResponse::default()
        })
    }

    pub(super) async fn on_get_query_segment_info(
        &self,
        call: Call<GetQuerySegmentInfoRequest>,
    ) -> Result<GetQuerySegmentInfoResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        let infos = segments(&state, record).map(|(partition, view)| QuerySegmentInfo {
            segment_id: view.segment.id as i64,
            collection_id: record.id as i64,
            partition_id: partition as i64,
            mem_size: view.segment.bytes() as i64,
            num_rows: view.segment.rows() as i64,
            state: if view.segment.is_sealed() {
                SegmentState::Sealed as i32
            } else {
                SegmentState::Growing as i32
            },
            is_sorted: true,
            ..QuerySegmentInfo::default()
        });
        Ok(GetQuerySegmentInfoResponse {
            infos: infos.collect(),
            ..GetQuerySegmentInfoResponse::default()
        })
    }

    pub(super) async fn on_get_replicas(
        &self,
        call: Call<GetReplicasRequest>,
    ) -> Result<GetReplicasResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let by_id = u64::try_from(call.message.collection_id)
            .ok()
            .filter(|id| *id != 0)
            .and_then(|id| state.catalog.collection_by_id(id));
        let record = match by_id {
            Some(record) => record,
            None => state
                .catalog
                .collection(&database, &call.message.collection_name)?,
        };
        if record.load == LoadState::Released {
            let message = format!("collection not loaded[collection={}]", record.name);
            return Err(MilvusError::new(
                MilvusErrorKind::CollectionNotLoaded,
                message,
            ));
        }
        let replica = ReplicaInfo {
            replica_id: record.id as i64,
            collection_id: record.id as i64,
            partition_ids: record
                .partitions
                .iter()
                .filter(|partition| record.is_loaded(partition))
                .map(|partition| partition.id as i64)
                .collect(),
            resource_group_name: "__default_resource_group".to_owned(),
            // This process is the one node.
            node_ids: vec![1],
            ..ReplicaInfo::default()
        };
        Ok(GetReplicasResponse {
            replicas: vec![replica],
            ..GetReplicasResponse::default()
        })
    }
}

/// The segments of a collection with their partitions.
fn segments<'a>(
    state: &'a State,
    record: &CollectionRecord,
) -> impl Iterator<Item = (u64, &'a SegmentView)> {
    let partitions = state
        .collections
        .get(&record.id)
        .into_iter()
        .flat_map(|snapshot| &snapshot.partitions);
    partitions.flat_map(|(id, partition)| partition.segments.iter().map(|view| (*id, view)))
}
