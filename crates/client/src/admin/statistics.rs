//! Where a collection's rows are and how many there are: statistics and replicas.
//!
//! Invariant: a count that the server does not give is an error, not a zero.

use std::collections::BTreeMap;

use milvus_protocol::common::KeyValuePair;
use milvus_protocol::milvus::{
    self, GetCollectionStatisticsRequest, GetCollectionStatisticsResponse,
    GetPartitionStatisticsRequest, GetPartitionStatisticsResponse, GetReplicasRequest,
};
use milvus_protocol::rpc;

use super::request::given;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::protocol_map;

const STATISTICS: Feature = Feature::call("statistics");

impl Client {
    /// Asks how many rows a collection has.
    ///
    /// The count is cheap and rough: of rows in sealed segments, with rows that are deleted but not yet
    /// compacted away. A query for `count(*)` is exact.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{} rows", client.collection_statistics("docs").await?.row_count);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection does not exist.
    pub fn collection_statistics(&self, collection: impl Into<String>) -> CollectionStatistics {
        CollectionStatistics::new(self, collection.into())
    }

    /// Asks how many rows a partition has, as roughly as
    /// [`collection_statistics`](Self::collection_statistics).
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{} rows", client.partition_statistics("docs", "2025").await?.row_count);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection or partition does not exist.
    pub fn partition_statistics(
        &self,
        collection: impl Into<String>,
        partition: impl Into<String>,
    ) -> PartitionStatistics {
        PartitionStatistics::new(self, collection.into(), partition.into())
    }

    /// Describes the copies in which a collection is loaded, and their nodes.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for replica in client.describe_replicas("docs").await? {
    ///     println!("{}: nodes {:?}", replica.id, replica.nodes);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection does not exist or (on some servers) is not loaded.
    pub fn describe_replicas(&self, collection: impl Into<String>) -> DescribeReplicas {
        DescribeReplicas::new(self, collection.into())
    }
}

request_type! {
    /// A request of [`Client::collection_statistics`].
    CollectionStatistics(collection: String) => Statistics
}

impl CollectionStatistics {
    fn message(&self) -> Result<GetCollectionStatisticsRequest> {
        Ok(GetCollectionStatisticsRequest {
            collection_name: given("collection_statistics", "collection", &self.collection)?,
            ..GetCollectionStatisticsRequest::default()
        })
    }
}

single_call! {
    CollectionStatistics: GET_COLLECTION_STATISTICS of STATISTICS,
    |answer: GetCollectionStatisticsResponse| Statistics::read(answer.stats) => Statistics
}

request_type! {
    /// A request of [`Client::partition_statistics`].
    PartitionStatistics(collection: String, partition: String) => Statistics
}

impl PartitionStatistics {
    fn message(&self) -> Result<GetPartitionStatisticsRequest> {
        const REQUEST: &str = "partition_statistics";
        Ok(GetPartitionStatisticsRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            partition_name: given(REQUEST, "partition", &self.partition)?,
            ..GetPartitionStatisticsRequest::default()
        })
    }
}

single_call! {
    PartitionStatistics: GET_PARTITION_STATISTICS of STATISTICS,
    |answer: GetPartitionStatisticsResponse| Statistics::read(answer.stats) => Statistics
}

/// What a server counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Rows, roughly: deleted ones may be counted, unsealed ones may not.
    pub row_count: u64,
    /// All that the server said, by its names.
    pub values: BTreeMap<String, String>,
}

impl Statistics {
    fn read(pairs: Vec<KeyValuePair>) -> Result<Self> {
        const ROW_COUNT: &str = "row_count";
        let values = protocol_map(pairs);
        let text = values.get(ROW_COUNT).map_or("", String::as_str);
        let row_count = text.parse().map_err(|_| {
            let problem = format!("`{ROW_COUNT}` is {text:?}, not a number");
            Error::answer("statistics", problem)
        })?;
        Ok(Self { row_count, values })
    }
}

request_type! {
    /// A request of [`Client::describe_replicas`].
    DescribeReplicas(collection: String) { without_shard_nodes: bool } => Vec<Replica>
}

impl DescribeReplicas {
    /// Leaves out the nodes of each shard, which some servers compute slowly.
    pub fn without_shard_nodes(mut self) -> Self {
        self.without_shard_nodes = true;
        self
    }

    fn message(&self, collection_id: i64) -> GetReplicasRequest {
        GetReplicasRequest {
            collection_name: self.collection.clone(),
            // Older servers know a collection by this number only.
            collection_id,
            with_shard_nodes: !self.without_shard_nodes,
            ..GetReplicasRequest::default()
        }
    }

    async fn send(self) -> Result<Vec<Replica>> {
        given("describe_replicas", "collection", &self.collection)?;
        let clock = self.settings.start();
        let mut describe = self.client.describe_collection(&self.collection);
        describe.settings = clock.settings();
        let message = self.message(describe.await?.id);
        let feature = Feature::call("descriptions of replicas");
        let call = self
            .client
            .call(feature, &rpc::GET_REPLICAS, message, &clock);
        let replicas = call.await?.replicas.into_iter();
        Ok(replicas.map(Replica::from).collect())
    }
}

/// One copy of a loaded collection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replica {
    /// The server's number for it.
    pub id: i64,
    /// The server's number for the collection.
    pub collection_id: i64,
    /// The server's numbers for the loaded partitions; empty when all are.
    pub partition_ids: Vec<i64>,
    /// Its shards.
    pub shards: Vec<ShardReplica>,
    /// Its nodes.
    pub nodes: Vec<i64>,
    /// The resource group that the nodes belong to.
    pub resource_group: String,
    /// Nodes used from other resource groups, counted by group.
    pub outbound_nodes: BTreeMap<String, i32>,
}

/// One shard of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardReplica {
    /// The channel that its new rows come by.
    pub channel: String,
    /// The node that leads it.
    pub leader: i64,
    /// That node's address.
    pub leader_address: String,
    /// All its nodes.
    pub nodes: Vec<i64>,
}

impl From<milvus::ReplicaInfo> for Replica {
    fn from(info: milvus::ReplicaInfo) -> Self {
        Self {
            id: info.replica_id,
            collection_id: info.collection_id,
            partition_ids: info.partition_ids,
            shards: info.shard_replicas.into_iter().map(Into::into).collect(),
            nodes: info.node_ids,
            resource_group: info.resource_group_name,
            outbound_nodes: info.num_outbound_node.into_iter().collect(),
        }
    }
}

impl From<milvus::ShardReplica> for ShardReplica {
    fn from(shard: milvus::ShardReplica) -> Self {
        Self {
            channel: shard.dm_channel_name,
            leader: shard.leader_id,
            leader_address: shard.leader_addr,
            nodes: shard.node_ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::index_type::pair;
    use super::*;

    #[test]
    fn a_missing_count_is_an_error() {
        let read = |key: &str, value: &str| Statistics::read(vec![pair(key, value.to_owned())]);
        assert_eq!(read("row_count", "12").expect("a count").row_count, 12);
        assert!(read("rows", "12").is_err());
        assert!(read("row_count", "many").is_err());
    }
}
