//! `describe_collection`: what a collection is made of. Every check of rows rests on it.
//!
//! Invariant: an explicit `describe_collection` always asks the server; only checks use what is
//! remembered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use milvus_protocol::milvus::{DescribeCollectionRequest, DescribeCollectionResponse};
use milvus_protocol::rpc;
use milvus_transport::Error as ConnectionError;

use crate::cache::CollectionKey;
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::consistency::ConsistencyLevel;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::{CollectionSchema, protocol_map};

impl Client {
    /// Describes a collection (or the one behind an alias): its schema and settings.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let docs = client.describe_collection("docs").await?;
    /// for field in &docs.schema.fields {
    ///     println!("{}: {}", field.name, field.data_type);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`]; see [`Error::is_collection_not_found`].
    pub fn describe_collection(&self, collection: impl Into<String>) -> DescribeCollection {
        DescribeCollection {
            client: self.clone(),
            collection: collection.into(),
            settings: CallSettings::default(),
        }
    }

    /// The description that checks of rows and vectors use: remembered, or fetched once for all who ask.
    ///
    /// It may be older than the collection; [`describe_collection`](Self::describe_collection) asks the
    /// server.
    ///
    /// # Errors
    /// As [`describe_collection`](Self::describe_collection).
    pub async fn remembered_collection(
        &self,
        collection: &str,
    ) -> Result<Arc<CollectionDescription>> {
        self.collection(collection, &Clock::default()).await
    }

    /// The description that checks use: remembered, or fetched once for all who ask.
    ///
    /// The fetch has the connection's time, whoever began it; the clock is of this caller's waiting for it.
    pub(crate) async fn collection(
        &self,
        collection: &str,
        clock: &Clock,
    ) -> Result<Arc<CollectionDescription>> {
        let key = CollectionKey::new(self.database(), collection);
        let fetch = || {
            let request = self.describe_collection(collection);
            async move { request.fetch().await }
        };
        let fetched = self.memory().schemas.get(&key, fetch);
        let Some(remaining) = clock.remaining() else {
            return fetched.await;
        };
        let began = Instant::now();
        match tokio::time::timeout(remaining, fetched).await {
            Ok(answer) => answer,
            Err(_) => {
                let connection = self.connection();
                Err(Error::Connection(ConnectionError::waited_too_long(
                    connection.alias(),
                    connection.address(),
                    rpc::DESCRIBE_COLLECTION.name(),
                    began.elapsed(),
                )))
            }
        }
    }

    /// The collection as it is now, when `error` may come of `used` being an old description of it, and it was one.
    pub(crate) async fn renewed(
        &self,
        collection: &str,
        used: &Arc<CollectionDescription>,
        error: &Error,
        clock: &Clock,
    ) -> Option<Arc<CollectionDescription>> {
        if !error.may_come_of_an_old_description() {
            return None;
        }
        self.forget_collection(collection);
        // Whatever keeps it from being read, `error` is what the caller asked about.
        let fresh = self.collection(collection, clock).await.ok()?;
        (fresh != *used).then_some(fresh)
    }

    /// Forgets what is remembered of a collection. For verbs that change it, and for answers that show
    /// that somebody else did.
    pub(crate) fn forget_collection(&self, collection: &str) {
        let key = CollectionKey::new(self.database(), collection);
        self.memory().schemas.forget(&key);
    }
}

/// A request of [`Client::describe_collection`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `.await`"]
pub struct DescribeCollection {
    client: Client,
    collection: String,
    pub(crate) settings: CallSettings,
}

request!(DescribeCollection => CollectionDescription);

impl DescribeCollection {
    fn message(&self) -> Result<DescribeCollectionRequest> {
        if self.collection.is_empty() {
            return Err(Error::request(
                "describe_collection",
                "collection",
                "is empty",
            ));
        }
        Ok(DescribeCollectionRequest {
            collection_name: self.collection.clone(),
            ..DescribeCollectionRequest::default()
        })
    }

    async fn fetch(self) -> Result<CollectionDescription> {
        let answer = self
            .client
            .call(
                Feature::call("descriptions of collections"),
                &rpc::DESCRIBE_COLLECTION,
                self.message()?,
                &self.settings.start(),
            )
            .await?;
        CollectionDescription::try_from(answer)
    }

    async fn send(self) -> Result<CollectionDescription> {
        self.client.forget_collection(&self.collection);
        self.fetch().await
    }
}

/// What a collection is made of and how it is kept.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CollectionDescription {
    /// The collection's own name, also when an alias was asked for.
    pub name: String,
    /// The server's number for the collection.
    pub id: i64,
    /// The database; empty from servers that do not say.
    pub database: String,
    /// The schema.
    pub schema: CollectionSchema,
    /// Other names of the collection.
    pub aliases: Vec<String>,
    /// How fresh reads are unless they say otherwise; `None` for a level only newer servers know.
    pub consistency_level: Option<ConsistencyLevel>,
    /// Number of shards.
    pub shards: i32,
    /// Number of partitions; 0 from servers that do not say.
    pub partitions: i64,
    /// The collection's properties.
    pub properties: BTreeMap<String, String>,
    /// When it was created, as a hybrid timestamp.
    pub created_timestamp: u64,
    /// When its schema last changed, as a hybrid timestamp; 0 from servers that do not say.
    pub update_timestamp: u64,
}

impl TryFrom<DescribeCollectionResponse> for CollectionDescription {
    type Error = Error;

    fn try_from(answer: DescribeCollectionResponse) -> Result<Self> {
        let schema = answer.schema.ok_or_else(|| {
            Error::answer(
                "the description of a collection",
                "the server sent no schema",
            )
        })?;
        let mut schema = CollectionSchema::from(schema);
        // Milvus 2.3 repeats the alias that was asked for beside the schema, which has the own name.
        if schema.name.is_empty() {
            schema.name = answer.collection_name;
        }
        let name = schema.name.clone();
        Ok(Self {
            name,
            id: answer.collection_id,
            database: answer.db_name,
            schema,
            aliases: answer.aliases,
            consistency_level: ConsistencyLevel::from_number(answer.consistency_level),
            shards: answer.shards_num,
            partitions: answer.num_partitions,
            properties: protocol_map(answer.properties),
            created_timestamp: answer.created_timestamp,
            update_timestamp: answer.update_timestamp,
        })
    }
}

#[cfg(test)]
mod tests {
    use milvus_protocol::schema as wire;

    use super::*;

    #[test]
    fn the_name_comes_from_the_answer_or_the_schema() {
        let answer = DescribeCollectionResponse {
            schema: Some(wire::CollectionSchema {
                name: "docs".to_owned(),
                ..wire::CollectionSchema::default()
            }),
            ..DescribeCollectionResponse::default()
        };
        let description = CollectionDescription::try_from(answer).expect("has a schema");
        assert_eq!(description.name, "docs");
    }

    #[test]
    fn an_answer_without_a_schema_is_refused() {
        let answer = DescribeCollectionResponse::default();
        assert!(matches!(
            CollectionDescription::try_from(answer),
            Err(Error::UnexpectedAnswer(_))
        ));
    }
}
