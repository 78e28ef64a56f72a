//! Changes of a collection that exists: its properties, the parameters of a field, a new field.
//!
//! Invariant: each of them makes the remembered schema forgotten, and a parameter that the server would
//! not read is refused instead of being sent.

use std::collections::BTreeMap;

use milvus_protocol::milvus::{
    AddCollectionFieldRequest, AlterCollectionFieldRequest, AlterCollectionRequest,
};
use milvus_protocol::{rpc, schema as wire};
use prost::Message as _;

use super::request::{Changing, all_given, done, given, texts};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::{FieldSchema, protocol_pairs};

const PROPERTIES: Feature = Feature::call("changes of a collection's properties");
const DELETE_PROPERTIES: Feature = Feature::since("deletion of a collection's properties", 2, 5);
const FIELD_PARAMETERS: Feature = Feature::since("changes of a field's parameters", 2, 5);
const NEW_FIELDS: Feature = Feature::since("new fields in a collection that exists", 2, 6);

impl Client {
    /// Sets properties of a collection, such as `collection.ttl.seconds` or `mmap.enabled`.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .alter_collection_properties("docs")
    ///     .property("collection.ttl.seconds", 86_400)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] without a property; [`Error::Connection`].
    pub fn alter_collection_properties(
        &self,
        collection: impl Into<String>,
    ) -> AlterCollectionProperties {
        AlterCollectionProperties::new(self, collection.into())
    }

    /// Takes properties of a collection back to the server's defaults.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .drop_collection_properties("docs", ["collection.ttl.seconds"])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`] before Milvus 2.5, which would ignore it.
    pub fn drop_collection_properties(
        &self,
        collection: impl Into<String>,
        keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> DropCollectionProperties {
        DropCollectionProperties::new(self, collection.into(), texts(keys))
    }

    /// Changes parameters of a field: `max_length`, `max_capacity`, `mmap.enabled`.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .alter_collection_field("docs", "title")
    ///     .parameter("max_length", 1024)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] without a parameter; [`Error::MissingFeature`] before Milvus 2.5.
    pub fn alter_collection_field(
        &self,
        collection: impl Into<String>,
        field: impl Into<String>,
    ) -> AlterCollectionField {
        AlterCollectionField::new(self, collection.into(), field.into())
    }

    /// Adds a field to a collection that has rows. It must be nullable: those rows have no value for it.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::schema::FieldSchema;
    ///
    /// client
    ///     .add_collection_field("docs", FieldSchema::varchar("author", 200).nullable())
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a field that is not nullable or breaks another rule;
    /// [`Error::MissingFeature`] before Milvus 2.6.
    pub fn add_collection_field(
        &self,
        collection: impl Into<String>,
        field: FieldSchema,
    ) -> AddCollectionField {
        AddCollectionField::new(self, collection.into(), field)
    }
}

request_type! {
    /// A request of [`Client::alter_collection_properties`].
    AlterCollectionProperties(collection: String) { properties: BTreeMap<String, String> } => ()
}

impl AlterCollectionProperties {
    /// Sets a property.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.insert(key.into(), value.to_string());
        self
    }

    fn message(&self) -> Result<AlterCollectionRequest> {
        const REQUEST: &str = "alter_collection_properties";
        if self.properties.is_empty() {
            return Err(Error::request(REQUEST, "property", "is not given"));
        }
        Ok(AlterCollectionRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            properties: protocol_pairs(&self.properties),
            ..AlterCollectionRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.collection.as_str()]);
        let call = self
            .client
            .call(PROPERTIES, &rpc::ALTER_COLLECTION, message, &clock);
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::drop_collection_properties`].
    DropCollectionProperties(collection: String, keys: Vec<String>) => ()
}

impl DropCollectionProperties {
    fn message(&self) -> Result<AlterCollectionRequest> {
        const REQUEST: &str = "drop_collection_properties";
        Ok(AlterCollectionRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            delete_keys: all_given(REQUEST, "keys", &self.keys)?,
            ..AlterCollectionRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        self.client.require(DELETE_PROPERTIES)?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.collection.as_str()]);
        let call = self
            .client
            .call(DELETE_PROPERTIES, &rpc::ALTER_COLLECTION, message, &clock);
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::alter_collection_field`].
    AlterCollectionField(collection: String, field: String) {
        parameters: BTreeMap<String, String>,
        deleted: Vec<String>,
    } => ()
}

impl AlterCollectionField {
    /// Sets a parameter.
    pub fn parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.parameters.insert(key.into(), value.to_string());
        self
    }

    /// Takes a parameter back to the server's default.
    pub fn delete_parameter(mut self, key: impl Into<String>) -> Self {
        self.deleted.push(key.into());
        self
    }

    fn message(&self) -> Result<AlterCollectionFieldRequest> {
        const REQUEST: &str = "alter_collection_field";
        if self.parameters.is_empty() && self.deleted.is_empty() {
            return Err(Error::request(REQUEST, "parameter", "is not given"));
        }
        Ok(AlterCollectionFieldRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            field_name: given(REQUEST, "field", &self.field)?,
            properties: protocol_pairs(&self.parameters),
            delete_keys: self.deleted.clone(),
            ..AlterCollectionFieldRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.collection.as_str()]);
        let call = self.client.call(
            FIELD_PARAMETERS,
            &rpc::ALTER_COLLECTION_FIELD,
            message,
            &clock,
        );
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::add_collection_field`].
    AddCollectionField(collection: String, field: FieldSchema) => ()
}

impl AddCollectionField {
    fn message(&self) -> Result<AddCollectionFieldRequest> {
        const REQUEST: &str = "add_collection_field";
        self.field.check()?;
        if !self.field.is_nullable {
            return Err(Error::request(
                REQUEST,
                self.field.name.as_str(),
                "is not nullable, but the rows that are there have no value for it",
            ));
        }
        Ok(AddCollectionFieldRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            schema: wire::FieldSchema::from(&self.field).encode_to_vec().into(),
            ..AddCollectionFieldRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.collection.as_str()]);
        let call = self
            .client
            .call(NEW_FIELDS, &rpc::ADD_COLLECTION_FIELD, message, &clock);
        call.await.and_then(done)
    }
}
