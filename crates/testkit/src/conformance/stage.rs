//! Where a check plays: collections of its own, indexed and loaded, and names for whatever else it makes.
//!
//! Most collections are made by plain calls, so that a fault of the client's own verbs for them shows in their
//! checks and not in all others; those that not every server can make, by the client's verb, which must say so.
//!
//! Invariant: whatever was made is dropped when the check is over.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use milvus_client::admin::{Index, IndexType};
use milvus_client::schema::{CollectionSchema, DataType};
use milvus_client::{Client, ConsistencyLevel, MetricType, Result};
use milvus_protocol::common::{KeyValuePair, LoadState};
use milvus_protocol::milvus::{
    CreateCollectionRequest, CreateIndexRequest, DropCollectionRequest, GetLoadStateRequest,
    LoadCollectionRequest,
};
use milvus_protocol::{rpc, schema as wire};
use prost::Message as _;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{BackendKind, PATIENCE, PAUSE};

/// Collections of one check.
#[derive(Debug)]
pub struct Stage {
    /// The client under test.
    pub client: Client,
    /// What kind of server answers.
    pub kind: BackendKind,
    prefix: String,
    number: u32,
    made: Vec<Made>,
    only_aliases: Option<OwnedMutexGuard<()>>,
}

/// What is to be dropped in the end, by its name.
#[derive(Debug)]
enum Made {
    Collection(String),
    Alias(String),
    Database(String),
    User(String),
    Role(String),
    ResourceGroup(String),
}

impl Stage {
    pub(super) fn new(client: &Client, kind: BackendKind, check: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let word = check.rsplit("::").next().unwrap_or(check);
        Self {
            client: client.clone(),
            kind,
            prefix: format!("c{}_{number}_{word}", std::process::id()),
            number,
            made: Vec::new(),
            only_aliases: None,
        }
    }

    /// Makes a collection, indexes its vector fields and loads it; returns its name.
    ///
    /// It has the level that Milvus's clients choose when nothing is said: Bounded.
    ///
    /// # Errors
    /// What the server says to one of the calls.
    pub async fn collection(&mut self, schema: &CollectionSchema) -> Result<String> {
        self.collection_of_level(schema, ConsistencyLevel::Bounded)
            .await
    }

    /// As [`collection`](Self::collection), with another consistency level.
    ///
    /// # Errors
    /// What the server says to one of the calls.
    pub async fn collection_of_level(
        &mut self,
        schema: &CollectionSchema,
        level: ConsistencyLevel,
    ) -> Result<String> {
        let name = self.name();
        self.create(&name, schema, level).await?;
        Ok(name)
    }

    /// As [`collection`](Self::collection), by the client's own verb.
    ///
    /// # Errors
    /// What the verb says, also of what the server lacks.
    pub async fn collection_by_verb(&mut self, schema: CollectionSchema) -> Result<String> {
        let name = self.name();
        let indexes: Vec<_> = schema
            .vector_fields()
            .map(|field| {
                let index = index_of(field.data_type, field.is_function_output);
                (field.name.clone(), index)
            })
            .collect();
        let mut create = self.client.create_collection(&name, schema);
        for (field, index) in indexes {
            create = create.index(field, index);
        }
        create.await?;
        Ok(name)
    }

    fn note(&mut self, kind: fn(String) -> Made, name: String) -> String {
        self.made.push(kind(name.clone()));
        name
    }

    /// A name for a collection, which is dropped when the check is over.
    pub fn name(&mut self) -> String {
        let name = format!("{}_{}", self.prefix, self.made.len());
        self.note(Made::Collection, name)
    }

    /// A name for an alias, which is dropped when the check is over.
    ///
    /// Milvus Lite keeps all aliases in one file, and fails when two are made at a time: there, one check after the other
    /// has some.
    pub async fn alias(&mut self) -> String {
        static ALIASES: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);
        if self.kind == BackendKind::MilvusLite && self.only_aliases.is_none() {
            self.only_aliases = Some(Arc::clone(&ALIASES).lock_owned().await);
        }
        let name = format!("{}_{}_alias", self.prefix, self.made.len());
        self.note(Made::Alias, name)
    }

    /// A name for a database, which is dropped when the check is over.
    pub fn database(&mut self) -> String {
        let name = format!("{}_{}", self.prefix, self.made.len());
        self.note(Made::Database, name)
    }

    /// A short name: Milvus 2.3 allows users and roles 32 characters.
    fn short(&self, kind: &str) -> String {
        format!(
            "{kind}{}_{}_{}",
            std::process::id(),
            self.number,
            self.made.len()
        )
    }

    /// A name for a user, who is dropped when the check is over.
    pub fn user(&mut self) -> String {
        let name = self.short("user");
        self.note(Made::User, name)
    }

    /// A name for a role, which is dropped when the check is over.
    pub fn role(&mut self) -> String {
        let name = self.short("role");
        self.note(Made::Role, name)
    }

    /// A name for a resource group, which is dropped when the check is over.
    pub fn resource_group(&mut self) -> String {
        let name = self.short("group");
        self.note(Made::ResourceGroup, name)
    }

    /// Drops a collection and makes another of the same name, as somebody else would: the client under
    /// test is not told.
    ///
    /// # Errors
    /// What the server says to one of the calls.
    pub async fn recreate(&self, name: &str, schema: &CollectionSchema) -> Result<()> {
        self.drop_collection(name).await?;
        self.create(name, schema, ConsistencyLevel::Bounded).await
    }

    async fn create(
        &self,
        name: &str,
        schema: &CollectionSchema,
        level: ConsistencyLevel,
    ) -> Result<()> {
        let mut message = wire::CollectionSchema::from(schema);
        name.clone_into(&mut message.name);
        let connection = self.client.connection();
        let request = CreateCollectionRequest {
            collection_name: name.to_owned(),
            schema: message.encode_to_vec().into(),
            shards_num: 1,
            consistency_level: level.number(),
            ..CreateCollectionRequest::default()
        };
        connection.call(&rpc::CREATE_COLLECTION, request).await?;
        for field in schema.vector_fields() {
            let index = index_of(field.data_type, field.is_function_output);
            let metric = index.metric_type.as_ref().map_or("", MetricType::name);
            let request = CreateIndexRequest {
                collection_name: name.to_owned(),
                field_name: field.name.clone(),
                extra_params: vec![
                    pair("index_type", index.index_type.name()),
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
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let request = GetLoadStateRequest {
                collection_name: name.to_owned(),
                ..GetLoadStateRequest::default()
            };
            let answer = connection.call(&rpc::GET_LOAD_STATE, request).await?;
            if answer.state() == LoadState::Loaded {
                break;
            }
            tokio::time::sleep(PAUSE).await;
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
        let client = &self.client;
        // What leads to something else goes before it. Dropping what was never made, or from a server that
        // is gone, is no fault of the check.
        for made in self.made.iter().rev() {
            if let Made::Alias(name) = made {
                let _ = client.drop_alias(name).await;
            }
        }
        for made in self.made.iter().rev() {
            match made {
                Made::Alias(_) => {}
                Made::Collection(name) => drop(self.drop_collection(name).await),
                Made::Database(name) => drop(client.drop_database(name).await),
                Made::User(name) => drop(client.drop_user(name).await),
                Made::Role(name) => drop(client.drop_role(name).await),
                Made::ResourceGroup(name) => drop(client.drop_resource_group(name).await),
            }
        }
    }
}

fn index_of(data_type: DataType, by_function: bool) -> Index {
    match data_type {
        // What is filled by a function, a function of the metric's name fills.
        DataType::SparseFloatVector if by_function => Index::sparse_inverted(MetricType::Bm25),
        DataType::SparseFloatVector => Index::sparse_inverted(MetricType::InnerProduct),
        DataType::BinaryVector => Index::new(IndexType::BinFlat).metric_type(MetricType::Hamming),
        DataType::Int8Vector => Index::auto(MetricType::Cosine),
        _ => Index::flat(MetricType::L2),
    }
}

fn pair(key: &str, value: &str) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
