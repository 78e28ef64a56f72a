//! Segments, and the merges of a compaction, with all that a server says of them.
//!
//! Invariant: states, levels and types are given as the server's numbers; Python names those that it knows.

use milvus_protocol::milvus::{
    CompactionMergeInfo, GetCompactionPlansRequest, GetPersistentSegmentInfoRequest,
    GetQuerySegmentInfoRequest, PersistentSegmentInfo, QuerySegmentInfo,
};
use milvus_protocol::rpc;
use pyo3::prelude::*;

use super::verb::{Options, call, raw};
use crate::connection::Connection;

/// A segment on storage.
#[derive(IntoPyObject)]
struct Stored {
    segment_id: i64,
    collection_id: i64,
    num_rows: i64,
    is_sorted: bool,
    state: i32,
    level: i32,
    storage_version: i64,
    partition_id: i64,
    insert_channel: String,
    compaction_from: Vec<i64>,
}

impl From<PersistentSegmentInfo> for Stored {
    fn from(info: PersistentSegmentInfo) -> Self {
        Self {
            segment_id: info.segment_id,
            collection_id: info.collection_id,
            num_rows: info.num_rows,
            is_sorted: info.is_sorted,
            state: info.state,
            level: info.level,
            storage_version: info.storage_version,
            partition_id: info.partition_id,
            insert_channel: info.insert_channel,
            compaction_from: info.compaction_from,
        }
    }
}

/// A segment in memory.
#[derive(IntoPyObject)]
struct Loaded {
    segment_id: i64,
    collection_id: i64,
    num_rows: i64,
    is_sorted: bool,
    state: i32,
    level: i32,
    storage_version: i64,
    partition_id: i64,
    index_name: String,
    index_id: i64,
    node_ids: Vec<i64>,
    mem_size: i64,
}

impl From<QuerySegmentInfo> for Loaded {
    fn from(info: QuerySegmentInfo) -> Self {
        Self {
            segment_id: info.segment_id,
            collection_id: info.collection_id,
            num_rows: info.num_rows,
            is_sorted: info.is_sorted,
            state: info.state,
            level: info.level,
            storage_version: info.storage_version,
            partition_id: info.partition_id,
            index_name: info.index_name,
            index_id: info.index_id,
            node_ids: info.node_ids,
            mem_size: info.mem_size,
        }
    }
}

/// One merge of a compaction.
#[derive(IntoPyObject)]
struct Merge {
    sources: Vec<i64>,
    target: i64,
    plan_id: i64,
    trigger_id: i64,
    collection_id: i64,
    partition_id: i64,
    channel: String,
    compaction_type: i32,
    state: i32,
    failure_reason: String,
    targets: Vec<i64>,
}

impl From<CompactionMergeInfo> for Merge {
    fn from(merge: CompactionMergeInfo) -> Self {
        let targets = match merge.target {
            first if merge.targets.is_empty() && first > 0 => vec![first],
            _ => merge.targets,
        };
        Self {
            sources: merge.sources,
            target: merge.target,
            plan_id: merge.plan_id,
            trigger_id: merge.trigger_id,
            collection_id: merge.collection_id,
            partition_id: merge.partition_id,
            channel: merge.channel,
            compaction_type: merge.r#type,
            state: merge.state,
            failure_reason: merge.failure_reason,
            targets,
        }
    }
}

/// A collection's segments on storage; only those in `states`, if there are any.
#[pyfunction]
pub(crate) fn list_persistent_segments<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    states: Vec<i32>,
) -> PyResult<Bound<'py, PyAny>> {
    call(connection, options, move |client, options| async move {
        let request = GetPersistentSegmentInfoRequest {
            collection_name: collection,
            states,
            ..GetPersistentSegmentInfoRequest::default()
        };
        let answer = raw(
            &client,
            &options,
            &rpc::GET_PERSISTENT_SEGMENT_INFO,
            request,
        )
        .await?;
        Ok(answer
            .infos
            .into_iter()
            .map(Stored::from)
            .collect::<Vec<_>>())
    })
}

/// A collection's segments in the memory of query nodes.
#[pyfunction]
pub(crate) fn list_loaded_segments<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
) -> PyResult<Bound<'py, PyAny>> {
    call(connection, options, move |client, options| async move {
        let request = GetQuerySegmentInfoRequest {
            collection_name: collection,
            ..GetQuerySegmentInfoRequest::default()
        };
        let answer = raw(&client, &options, &rpc::GET_QUERY_SEGMENT_INFO, request).await?;
        Ok(answer
            .infos
            .into_iter()
            .map(Loaded::from)
            .collect::<Vec<_>>())
    })
}

/// The state of a compaction and its merges.
#[pyfunction]
pub(crate) fn compaction_plans<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    job: i64,
) -> PyResult<Bound<'py, PyAny>> {
    call(connection, options, move |client, options| async move {
        let request = GetCompactionPlansRequest {
            compaction_id: job,
            ..GetCompactionPlansRequest::default()
        };
        let answer = raw(
            &client,
            &options,
            &rpc::GET_COMPACTION_STATE_WITH_PLANS,
            request,
        )
        .await?;
        let merges: Vec<_> = answer.merge_infos.into_iter().map(Merge::from).collect();
        Ok((answer.state, merges))
    })
}
