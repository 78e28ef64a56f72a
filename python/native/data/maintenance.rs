//! Flush, compaction, replicas, resource groups, and the server itself.
//!
//! Invariant: a flush is waited for until all that was written before it is on storage.

use std::collections::BTreeMap;

use milvus_client::admin::{
    Compaction, CompactionProgress, FlushedCollection, Replica, ResourceGroupConfig,
    ResourceGroupDescription,
};
use milvus_protocol::milvus::ConnectRequest;
use milvus_protocol::rpc;
use pyo3::prelude::*;

use super::verb::{Options, call, raw};
use crate::connection::Connection;

verb! {
    /// Seals what was written to a collection and waits until it is on storage.
    flush(client, collection: String, wait: bool) {
        let flush = client.flush([collection]);
        if wait { flush } else { flush.no_wait() }
    } => |_: Vec<FlushedCollection>| ()
}
verb! {
    /// Seals what was written to all collections.
    flush_all(client, database: Option<String>) {
        let flush = client.flush_all();
        match database {
            Some(database) => flush.database(database),
            None => flush,
        }
    } => |_| ()
}
verb! {
    /// Starts a compaction; gives its number.
    compact(client, collection: String, clustering: bool, level_zero: bool, target_size: Option<i64>) {
        let mut compact = client.compact(collection);
        if clustering {
            compact = compact.clustering();
        }
        if level_zero {
            compact = compact.level_zero();
        }
        match target_size {
            Some(bytes) => compact.target_size(bytes),
            None => compact,
        }
    } => |started: Compaction| started.id
}
verb! {
    /// The number of a compaction's state.
    compaction_state(client, job: i64) client.compaction_state(job)
        => |progress: CompactionProgress| progress.state.number()
}
verb! {
    /// The version of the server.
    server_version(client) client.version()
}

/// What the server says of itself at a handshake: version, build time, commit, Go version, deploy mode.
#[pyfunction]
pub(crate) fn server_detail<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
) -> PyResult<Bound<'py, PyAny>> {
    call(connection, options, move |client, options| async move {
        let answer = raw(&client, &options, &rpc::CONNECT, ConnectRequest::default()).await?;
        let info = answer.server_info.unwrap_or_default();
        Ok((
            info.build_tags,
            info.build_time,
            info.git_commit,
            info.go_version,
            info.deploy_mode,
        ))
    })
}

/// A copy of a collection in memory.
#[derive(IntoPyObject)]
struct Copy {
    id: i64,
    shards: Vec<(String, Vec<i64>, i64)>,
    nodes: Vec<i64>,
    resource_group: String,
    outbound_nodes: BTreeMap<String, i32>,
}

impl From<Replica> for Copy {
    fn from(replica: Replica) -> Self {
        let shards = replica
            .shards
            .into_iter()
            .map(|shard| (shard.channel, shard.nodes, shard.leader));
        Self {
            id: replica.id,
            shards: shards.collect(),
            nodes: replica.nodes,
            resource_group: replica.resource_group,
            outbound_nodes: replica.outbound_nodes,
        }
    }
}

verb! {
    /// The copies of a collection that are in memory.
    describe_replica(client, collection: String) client.describe_replicas(collection)
        => |found: Vec<Replica>| found.into_iter().map(Copy::from).collect::<Vec<_>>()
}

/// What a resource group should be: nodes it should have, nodes it may have, groups to take nodes from, groups to give
/// them to.
type GivenGroup = (i32, i32, Vec<String>, Vec<String>);

fn group(given: GivenGroup) -> ResourceGroupConfig {
    let (requests, limits, from, to) = given;
    ResourceGroupConfig::new(requests, limits)
        .transfer_from(from)
        .transfer_to(to)
}

verb! {
    /// Creates a resource group.
    create_resource_group(client, name: String, config: Option<GivenGroup>) {
        let create = client.create_resource_group(name);
        match config {
            Some(config) => create.config(group(config)),
            None => create,
        }
    }
}
verb! {
    /// Changes what resource groups should be.
    update_resource_groups(client, configs: BTreeMap<String, GivenGroup>)
        client.update_resource_groups(configs.into_iter().map(|(name, config)| (name, group(config))))
}
verb! {
    /// Drops a resource group.
    drop_resource_group(client, name: String) client.drop_resource_group(name)
}
verb! {
    /// The names of all resource groups.
    list_resource_groups(client) client.list_resource_groups()
}
verb! {
    /// Moves copies of a collection into another resource group.
    transfer_replica(client, source: String, target: String, collection: String, replicas: u32)
        client.transfer_replica(source, target, collection, replicas)
}

/// A resource group as the server describes it.
#[derive(IntoPyObject)]
struct Group {
    name: String,
    capacity: i32,
    num_available_node: i32,
    num_loaded_replica: BTreeMap<String, i32>,
    num_outgoing_node: BTreeMap<String, i32>,
    num_incoming_node: BTreeMap<String, i32>,
    config: Option<GivenGroup>,
    nodes: Vec<(i64, String, String)>,
}

impl From<ResourceGroupDescription> for Group {
    fn from(found: ResourceGroupDescription) -> Self {
        Self {
            name: found.name,
            capacity: found.capacity,
            num_available_node: found.available_nodes,
            num_loaded_replica: found.loaded_replicas,
            num_outgoing_node: found.outgoing_nodes,
            num_incoming_node: found.incoming_nodes,
            config: found.config.map(|config| {
                (
                    config.requests,
                    config.limits,
                    config.transfer_from,
                    config.transfer_to,
                )
            }),
            nodes: found
                .nodes
                .into_iter()
                .map(|node| (node.id, node.address, node.hostname))
                .collect(),
        }
    }
}

verb! {
    /// What a resource group is.
    describe_resource_group(client, name: String) client.describe_resource_group(name) => Group::from
}
