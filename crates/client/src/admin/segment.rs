//! Segments: the pieces a collection is stored and searched in.
//!
//! Invariant: a state or level that only newer servers know is carried as its number.

use milvus_protocol::milvus::{
    self, GetPersistentSegmentInfoRequest, GetPersistentSegmentInfoResponse,
    GetQuerySegmentInfoRequest, GetQuerySegmentInfoResponse,
};

use super::request::given;
use crate::client::Client;
use crate::error::Result;
use crate::feature::Feature;

const SEGMENTS: Feature = Feature::call("descriptions of segments");

impl Client {
    /// Lists a collection's segments on storage.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for segment in client.list_persistent_segments("docs").await? {
    ///     println!("{}: {} rows, {:?}", segment.id, segment.rows, segment.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the collection does not exist.
    pub fn list_persistent_segments(
        &self,
        collection: impl Into<String>,
    ) -> ListPersistentSegments {
        ListPersistentSegments::new(self, collection.into())
    }

    /// Lists a collection's segments in the memory of query nodes.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for segment in client.list_loaded_segments("docs").await? {
    ///     println!("{}: on nodes {:?}", segment.id, segment.nodes);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the collection does not exist, or (on some
    /// servers) is not loaded.
    pub fn list_loaded_segments(&self, collection: impl Into<String>) -> ListLoadedSegments {
        ListLoadedSegments::new(self, collection.into())
    }
}

request_type! {
    /// A request of [`Client::list_persistent_segments`].
    ListPersistentSegments(collection: String) {
        states: Vec<SegmentState>,
    } => Vec<PersistentSegment>
}

impl ListPersistentSegments {
    /// Only those in these states (flushed ones without it, on most servers).
    pub fn states(mut self, states: impl IntoIterator<Item = SegmentState>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    fn message(&self) -> Result<GetPersistentSegmentInfoRequest> {
        Ok(GetPersistentSegmentInfoRequest {
            collection_name: given("list_persistent_segments", "collection", &self.collection)?,
            states: self.states.iter().map(|state| state.number()).collect(),
            ..GetPersistentSegmentInfoRequest::default()
        })
    }
}

single_call! {
    ListPersistentSegments: GET_PERSISTENT_SEGMENT_INFO of SEGMENTS,
    |answer: GetPersistentSegmentInfoResponse| {
        Ok(answer.infos.into_iter().map(PersistentSegment::from).collect())
    } => Vec<PersistentSegment>
}

/// A segment on storage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PersistentSegment {
    /// The server's number for it.
    pub id: i64,
    /// The server's number for its collection.
    pub collection_id: i64,
    /// The server's number for its partition.
    pub partition_id: i64,
    /// How many rows it has.
    pub rows: i64,
    /// Its state.
    pub state: SegmentState,
    /// Its level.
    pub level: SegmentLevel,
    /// Whether its rows are sorted by primary key.
    pub is_sorted: bool,
}

impl From<milvus::PersistentSegmentInfo> for PersistentSegment {
    fn from(info: milvus::PersistentSegmentInfo) -> Self {
        Self {
            id: info.segment_id,
            collection_id: info.collection_id,
            partition_id: info.partition_id,
            rows: info.num_rows,
            state: SegmentState::from_number(info.state),
            level: SegmentLevel::from_number(info.level),
            is_sorted: info.is_sorted,
        }
    }
}

request_type! {
    /// A request of [`Client::list_loaded_segments`].
    ListLoadedSegments(collection: String) => Vec<LoadedSegment>
}

impl ListLoadedSegments {
    fn message(&self) -> Result<GetQuerySegmentInfoRequest> {
        Ok(GetQuerySegmentInfoRequest {
            collection_name: given("list_loaded_segments", "collection", &self.collection)?,
            ..GetQuerySegmentInfoRequest::default()
        })
    }
}

single_call! {
    ListLoadedSegments: GET_QUERY_SEGMENT_INFO of SEGMENTS,
    |answer: GetQuerySegmentInfoResponse| {
        Ok(answer.infos.into_iter().map(LoadedSegment::from).collect())
    } => Vec<LoadedSegment>
}

/// A segment in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedSegment {
    /// The server's number for it.
    pub id: i64,
    /// The server's number for its collection.
    pub collection_id: i64,
    /// The server's number for its partition.
    pub partition_id: i64,
    /// How many rows it has.
    pub rows: i64,
    /// Its size in memory, in bytes; 0 from servers that do not say.
    pub memory_bytes: i64,
    /// The name of its index; empty when it has none.
    pub index: String,
    /// The nodes that hold it.
    pub nodes: Vec<i64>,
    /// Its state.
    pub state: SegmentState,
    /// Its level.
    pub level: SegmentLevel,
}

impl From<milvus::QuerySegmentInfo> for LoadedSegment {
    fn from(info: milvus::QuerySegmentInfo) -> Self {
        Self {
            id: info.segment_id,
            collection_id: info.collection_id,
            partition_id: info.partition_id,
            rows: info.num_rows,
            memory_bytes: info.mem_size,
            index: info.index_name,
            nodes: info.node_ids,
            state: SegmentState::from_number(info.state),
            level: SegmentLevel::from_number(info.level),
        }
    }
}

numbered! {
    /// The state of a segment.
    SegmentState {
        /// Nothing known.
        None = 0,
        /// It does not exist.
        NotExist = 1,
        /// It takes new rows.
        Growing = 2,
        /// It takes no new rows.
        Sealed = 3,
        /// It is on storage.
        Flushed = 4,
        /// It is being written to storage.
        Flushing = 5,
        /// It was dropped.
        Dropped = 6,
        /// It is being imported.
        Importing = 7,
    }
}

numbered! {
    /// The level of a segment.
    SegmentLevel {
        /// From before there were levels.
        Legacy = 0,
        /// Deletions only.
        L0 = 1,
        /// Rows as they came.
        L1 = 2,
        /// Rows after a clustering compaction.
        L2 = 3,
    }
}
