//! Creating a collection: alone, or with its indexes and loaded, ready for searches.
//!
//! Invariant: a schema that uses what the server would silently ignore is refused before anything is
//! sent.

use std::collections::BTreeMap;

use milvus_protocol::milvus::CreateCollectionRequest;
use milvus_protocol::{rpc, schema as wire};
use prost::Message as _;

use super::index_type::Index;
use super::request::{Changing, done, given};
use crate::client::Client;
use crate::consistency::ConsistencyLevel;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::{CollectionSchema, DataType, FieldSchema, protocol_pairs};

impl Client {
    /// Creates a collection.
    ///
    /// In one line, ready for inserts and searches:
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::Index;
    /// use milvus_client::{MetricType, schema::CollectionSchema};
    ///
    /// client
    ///     .create_collection("docs", CollectionSchema::ids_and_vectors(768))
    ///     .index("vector", Index::auto(MetricType::Cosine))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With `index` the collection is loaded too, once its indexes are there. Without, it is only
    /// created. When an index or the load fails, the error says so and the collection stays.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a schema that breaks a rule; [`Error::MissingFeature`] for one that
    /// the server would not keep in full; [`Error::Connection`] when the collection exists with another
    /// schema.
    pub fn create_collection(
        &self,
        collection: impl Into<String>,
        schema: CollectionSchema,
    ) -> CreateCollection {
        CreateCollection::new(self, collection.into(), schema)
    }
}

request_type! {
    /// A request of [`Client::create_collection`].
    CreateCollection(collection: String, schema: CollectionSchema) {
        shards: Option<i32>,
        partitions: Option<i64>,
        consistency_level: Option<ConsistencyLevel>,
        properties: BTreeMap<String, String>,
        indexes: Vec<(String, Index)>,
    } => ()
}

impl CreateCollection {
    /// Sets the number of shards; the server's default without it.
    pub fn shards(mut self, shards: i32) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Sets the number of partitions that a partition key spreads rows over.
    pub fn partitions(mut self, partitions: i64) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Sets how fresh reads are unless they say otherwise; bounded without it.
    pub fn consistency_level(mut self, level: ConsistencyLevel) -> Self {
        self.consistency_level = Some(level);
        self
    }

    /// Sets a property, such as `collection.ttl.seconds`.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.insert(key.into(), value.to_string());
        self
    }

    /// Indexes a field, and loads the collection when all its indexes are there.
    pub fn index(mut self, field: impl Into<String>, index: Index) -> Self {
        self.indexes.push((field.into(), index));
        self
    }

    fn message(&self) -> Result<CreateCollectionRequest> {
        const REQUEST: &str = "create_collection";
        let collection_name = given(REQUEST, "collection", &self.collection)?;
        self.schema.check()?;
        self.check_options()?;
        let mut schema = self.schema.clone();
        schema.name.clone_from(&self.collection);
        let mut properties = schema.properties.clone();
        properties.extend(self.properties.clone());
        let level = self.consistency_level.unwrap_or(ConsistencyLevel::Bounded);
        Ok(CreateCollectionRequest {
            collection_name,
            schema: wire::CollectionSchema::from(&schema).encode_to_vec().into(),
            shards_num: self.shards.unwrap_or(0),
            consistency_level: level.number(),
            properties: protocol_pairs(&properties),
            num_partitions: self.partitions.unwrap_or(0),
            ..CreateCollectionRequest::default()
        })
    }

    fn check_options(&self) -> Result<()> {
        const REQUEST: &str = "create_collection";
        if self.shards.is_some_and(|shards| shards < 1) {
            return Err(Error::request(REQUEST, "shards", "is below 1"));
        }
        if let Some(partitions) = self.partitions {
            if partitions < 1 {
                return Err(Error::request(REQUEST, "partitions", "is below 1"));
            }
            if !self
                .schema
                .fields
                .iter()
                .any(|field| field.is_partition_key)
            {
                let rule = "is only for a schema with a partition key";
                return Err(Error::request(REQUEST, "partitions", rule));
            }
        }
        if matches!(self.consistency_level, Some(ConsistencyLevel::Timestamp(_))) {
            let rule = "is a moment; a collection's default must be one of the others";
            return Err(Error::request(REQUEST, "consistency_level", rule));
        }
        for (field, _) in &self.indexes {
            if self.schema.field_named(field).is_none() && self.schema.member_named(field).is_none()
            {
                let rule = format!("names `{field}`, which is not a field of the schema");
                return Err(Error::request(REQUEST, "index", rule));
            }
        }
        Ok(())
    }

    /// What some servers would create without a word, but not as it was asked for.
    fn features(&self) -> impl Iterator<Item = Feature> {
        let fields = &self.schema.fields;
        let any = |test: fn(&FieldSchema) -> bool| fields.iter().any(test);
        let parts = [
            (
                any(|field| field.is_nullable),
                Feature::since("nullable fields", 2, 5),
            ),
            (
                any(|field| field.default_value.is_some()),
                Feature::since("default values", 2, 5),
            ),
            (
                any(|field| field.is_clustering_key),
                Feature::since("clustering keys", 2, 4).not_in_lite(),
            ),
            (
                !self.schema.functions.is_empty(),
                Feature::since("functions", 2, 5),
            ),
            (
                !self.schema.struct_array_fields.is_empty(),
                Feature::since("arrays of structs", 2, 6).not_in_lite(),
            ),
            (
                self.schema.vector_fields().count() > 1,
                Feature::since("several vector fields", 2, 4),
            ),
        ];
        let used = parts.into_iter().filter(|(is_used, _)| *is_used);
        used.map(|(_, feature)| feature)
    }

    /// The types of fields that some servers lack.
    fn types(&self) -> impl Iterator<Item = Feature> {
        let types = self.schema.fields.iter().map(|field| field.data_type);
        types.filter_map(of_type)
    }

    /// What a Milvus Lite lacks that has refused the collection.
    async fn explained(&self, error: Error) -> Error {
        let mut types = self.types();
        let lacking = types.find(|feature| self.client.is_lite_without(*feature));
        match (error, lacking) {
            (Error::Connection(refusal), Some(feature)) if refusal.answer().is_some() => {
                self.client.refused(feature, refusal).await
            }
            (error, _) => error,
        }
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        for feature in self.features() {
            self.client.require(feature)?;
        }
        for feature in self.types() {
            self.client.require_version(feature)?;
        }
        let clock = self.settings.start();
        {
            let _changing = Changing::new(&self.client, [self.collection.as_str()]);
            let feature = Feature::call("collections");
            let call = self
                .client
                .call(feature, &rpc::CREATE_COLLECTION, message, &clock);
            if let Err(error) = call.await.and_then(done) {
                return Err(self.explained(error).await);
            }
        }
        if self.indexes.is_empty() {
            return Ok(());
        }
        for (field, index) in self.indexes {
            let mut create = self.client.create_index(&self.collection, field, index);
            create.settings = clock.settings();
            create.await?;
        }
        let mut load = self.client.load_collection(&self.collection);
        load.settings = clock.settings();
        load.await
    }
}

/// The types of fields that not every server has. Milvus 2.3 takes some that it does not have, and then finds the wrong rows;
/// Milvus Lite refuses them.
fn of_type(data_type: DataType) -> Option<Feature> {
    Some(match data_type {
        DataType::BinaryVector => Feature::call("binary vectors").not_in_lite(),
        DataType::Float16Vector => Feature::since("float16 vectors", 2, 4).not_in_lite(),
        DataType::BFloat16Vector => Feature::since("bfloat16 vectors", 2, 4).not_in_lite(),
        DataType::SparseFloatVector => Feature::since("sparse vectors", 2, 4),
        DataType::Int8Vector => Feature::since("int8 vectors", 2, 6).not_in_lite(),
        DataType::Geometry => Feature::since("geometries", 2, 6),
        DataType::Timestamptz => Feature::since("moments with a time zone", 2, 6),
        _ => return None,
    })
}
