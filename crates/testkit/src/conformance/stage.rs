//! Where a check plays: collections of its own, indexed and loaded.
//!
//! Collections are made by plain calls, so that a fault of the client's own verbs for them shows in their
//! checks and not in all others.
//!
//! Invariant: every collection that was made is dropped when the check is over.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use milvus_client::schema::{CollectionSchema, DataType};
use milvus_client::{Client, Result};
use milvus_protocol::common::{KeyValuePair, LoadState};
use milvus_protocol::milvus::{
    CreateCollectionRequest, CreateIndexRequest, DropCollectionRequest, GetLoadStateRequest,
    LoadCollectionRequest,
};
use milvus_protocol::{rpc, schema as wire};
use prost::Message as _;

/// How long a collection may take to load; servers under test share a slow machine.
const LOAD_ATTEMPTS: u32 = 600;
const LOAD_PAUSE: Duration = Duration::from_millis(200);

/// Collections of one check.
#[derive(Debug)]
pub struct Stage {
    /// The client under test.
    pub client: Client,
    prefix: String,
    collections: Vec<String>,
}

impl Stage {
    pub(super) fn new(client: &Client, check: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let word = check.rsplit("::").next().unwrap_or(check);
        Self {
            client: client.clone(),
            prefix: format!("c{}_{number}_{word}", std::process::id()),
            collections: Vec::new(),
        }
    }

    /// Makes a collection, indexes its vector fields and loads it; returns its name.
    ///
    /// # Errors
    /// What the server says to one of the calls.
    pub async fn collection(&mut self, schema: &CollectionSchema) -> Result<String> {
        let name = format!("{}_{}", self.prefix, self.collections.len());
        self.collections.push(name.clone());
        self.create(&name, schema).await?;
        Ok(name)
    }

    /// Drops a collection and makes another of the same name, as somebody else would: the client under
    /// test is not told.
    ///
    /// # Errors
    /// What the server says to one of the calls.
    pub async fn recreate(&self, name: &str, schema: &CollectionSchema) -> Result<()> {
        self.drop_collection(name).await?;
        self.create(name, schema).await
    }

    async fn create(&self, name: &str, schema: &CollectionSchema) -> Result<()> {
        let mut message = wire::CollectionSchema::from(schema);
        name.clone_into(&mut message.name);
        let connection = self.client.connection();
        let request = CreateCollectionRequest {
            collection_name: name.to_owned(),
            schema: message.encode_to_vec().into(),
            shards_num: 1,
            ..CreateCollectionRequest::default()
        };
        connection.call(&rpc::CREATE_COLLECTION, request).await?;
        for field in schema.vector_fields() {
            let (index, metric) = index_of(field.data_type, field.is_function_output);
            let request = CreateIndexRequest {
                collection_name: name.to_owned(),
                field_name: field.name.clone(),
                extra_params: vec![
                    pair("index_type", index),
                    pair("metric_type", metric),
                    pair("params", "{}"),
                ],
                ..CreateIndexRequest::default()
            };
            connection.call(&rpc::CREATE_INDEX, request).await?;
        }
        self.load(name).await
    }

    async fn load(&self, name: &str) -> Result<()> {
        let connection = self.client.connection();
        let request = LoadCollectionRequest {
            collection_name: name.to_owned(),
            replica_number: 1,
            ..LoadCollectionRequest::default()
        };
        connection.call(&rpc::LOAD_COLLECTION, request).await?;
        for _ in 0..LOAD_ATTEMPTS {
            let request = GetLoadStateRequest {
                collection_name: name.to_owned(),
                ..GetLoadStateRequest::default()
            };
            let answer = connection.call(&rpc::GET_LOAD_STATE, request).await?;
            if answer.state() == LoadState::Loaded {
                break;
            }
            tokio::time::sleep(LOAD_PAUSE).await;
        }
        Ok(())
    }

    async fn drop_collection(&self, name: &str) -> Result<()> {
        let request = DropCollectionRequest {
            collection_name: name.to_owned(),
            ..DropCollectionRequest::default()
        };
        let connection = self.client.connection();
        connection.call(&rpc::DROP_COLLECTION, request).await?;
        Ok(())
    }

    pub(super) async fn clear(self) {
        for name in &self.collections {
            // Dropping what was never made, or from a server that is gone, is no fault of the check.
            let _ = self.drop_collection(name).await;
        }
    }
}

fn index_of(data_type: DataType, by_function: bool) -> (&'static str, &'static str) {
    match data_type {
        DataType::SparseFloatVector if by_function => ("SPARSE_INVERTED_INDEX", "BM25"),
        DataType::SparseFloatVector => ("SPARSE_INVERTED_INDEX", "IP"),
        DataType::BinaryVector => ("BIN_FLAT", "HAMMING"),
        DataType::Int8Vector => ("AUTOINDEX", "COSINE"),
        _ => ("FLAT", "L2"),
    }
}

fn pair(key: &str, value: &str) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
