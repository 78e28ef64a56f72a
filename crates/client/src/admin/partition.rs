//! Partitions: named parts of a collection.
//!
//! Invariant: a partition is addressed by name, never by the server's number. Loading them is in `load`.

use milvus_protocol::milvus::{
    BoolResponse, CreatePartitionRequest, DropPartitionRequest, HasPartitionRequest,
    ShowPartitionsRequest, ShowPartitionsResponse,
};

use super::request::{done, given};
use crate::client::Client;
use crate::error::Result;
use crate::feature::Feature;

const PARTITIONS: Feature = Feature::call("partitions");

impl Client {
    /// Creates a partition.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.create_partition("docs", "2025").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when it exists (on some servers), or when the
    /// collection has a partition key.
    pub fn create_partition(
        &self,
        collection: impl Into<String>,
        partition: impl Into<String>,
    ) -> CreatePartition {
        CreatePartition::new(self, collection.into(), partition.into())
    }

    /// Drops a partition with its rows. Milvus asks for it to be released before.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.release_partitions("docs", ["2024"]).await?;
    /// client.drop_partition("docs", "2024").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when it is loaded, or is the default one. Some
    /// servers answer success when it does not exist.
    pub fn drop_partition(
        &self,
        collection: impl Into<String>,
        partition: impl Into<String>,
    ) -> DropPartition {
        DropPartition::new(self, collection.into(), partition.into())
    }

    /// Asks whether a partition exists.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{}", client.has_partition("docs", "2025").await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the collection does not exist.
    pub fn has_partition(
        &self,
        collection: impl Into<String>,
        partition: impl Into<String>,
    ) -> HasPartition {
        HasPartition::new(self, collection.into(), partition.into())
    }

    /// Lists the names of a collection's partitions. Each collection has `_default`.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{:?}", client.list_partitions("docs").await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the collection does not exist.
    pub fn list_partitions(&self, collection: impl Into<String>) -> ListPartitions {
        ListPartitions::new(self, collection.into())
    }
}

request_type! {
    /// A request of [`Client::create_partition`].
    CreatePartition(collection: String, partition: String) => ()
}

impl CreatePartition {
    fn message(&self) -> Result<CreatePartitionRequest> {
        Ok(CreatePartitionRequest {
            collection_name: given("create_partition", "collection", &self.collection)?,
            partition_name: given("create_partition", "partition", &self.partition)?,
            ..CreatePartitionRequest::default()
        })
    }
}

single_call! { CreatePartition: CREATE_PARTITION of PARTITIONS, done => () }

request_type! {
    /// A request of [`Client::drop_partition`].
    DropPartition(collection: String, partition: String) => ()
}

impl DropPartition {
    fn message(&self) -> Result<DropPartitionRequest> {
        Ok(DropPartitionRequest {
            collection_name: given("drop_partition", "collection", &self.collection)?,
            partition_name: given("drop_partition", "partition", &self.partition)?,
            ..DropPartitionRequest::default()
        })
    }
}

single_call! { DropPartition: DROP_PARTITION of PARTITIONS, done => () }

request_type! {
    /// A request of [`Client::has_partition`].
    HasPartition(collection: String, partition: String) => bool
}

impl HasPartition {
    fn message(&self) -> Result<HasPartitionRequest> {
        Ok(HasPartitionRequest {
            collection_name: given("has_partition", "collection", &self.collection)?,
            partition_name: given("has_partition", "partition", &self.partition)?,
            ..HasPartitionRequest::default()
        })
    }
}

single_call! {
    HasPartition: HAS_PARTITION of PARTITIONS,
    |answer: BoolResponse| Ok(answer.value) => bool
}

request_type! {
    /// A request of [`Client::list_partitions`].
    ListPartitions(collection: String) => Vec<String>
}

impl ListPartitions {
    fn message(&self) -> Result<ShowPartitionsRequest> {
        Ok(ShowPartitionsRequest {
            collection_name: given("list_partitions", "collection", &self.collection)?,
            ..ShowPartitionsRequest::default()
        })
    }
}

single_call! {
    ListPartitions: SHOW_PARTITIONS of PARTITIONS,
    |answer: ShowPartitionsResponse| Ok(answer.partition_names) => Vec<String>
}
