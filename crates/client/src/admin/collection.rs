//! Collections as a whole: is it there, which are there, rename, empty, drop.
//!
//! Creating one is in `create_collection`, describing one in `describe_collection` beside this module.
//!
//! Invariant: a collection that was renamed, emptied or dropped is not remembered under its old name.

use milvus_protocol::milvus::{
    BoolResponse, DropCollectionRequest, HasCollectionRequest, RenameCollectionRequest,
    ShowCollectionsRequest, ShowCollectionsResponse, TruncateCollectionRequest,
};
use milvus_protocol::rpc;

use super::request::{Changing, done, given};
use crate::client::Client;
use crate::error::Result;
use crate::feature::Feature;

const COLLECTIONS: Feature = Feature::call("collections");
const OTHER_DATABASE: Feature =
    Feature::call("the move of a collection to another database").not_in_lite();

impl Client {
    /// Asks whether a collection (or an alias) exists.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// if !client.has_collection("docs").await? {
    ///     println!("no docs yet");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection). Milvus 2.3 answers `false`, not an error, when
    /// the client's database does not exist.
    pub fn has_collection(&self, collection: impl Into<String>) -> HasCollection {
        HasCollection::new(self, collection.into())
    }

    /// Lists the names of the database's collections.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for name in client.list_collections().await? {
    ///     println!("{name}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection), also when the database does not exist.
    pub fn list_collections(&self) -> ListCollections {
        ListCollections::new(self)
    }

    /// Renames a collection; its aliases stay.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.rename_collection("docs", "docs_2025").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the old name does not exist or the new one
    /// does.
    pub fn rename_collection(
        &self,
        collection: impl Into<String>,
        new_name: impl Into<String>,
    ) -> RenameCollection {
        RenameCollection::new(self, collection.into(), new_name.into())
    }

    /// Drops a collection with all its data. Newer servers ask for its aliases to be dropped before.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.drop_collection("docs").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when it has aliases, on newer servers. Milvus
    /// answers success when the collection does not exist.
    pub fn drop_collection(&self, collection: impl Into<String>) -> DropCollection {
        DropCollection::new(self, collection.into())
    }

    /// Drops all rows of a collection and keeps its schema, indexes and load state.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.truncate_collection("docs").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`](crate::Error::MissingFeature) before Milvus 2.6; there the way is to
    /// delete by filter, or to drop and create.
    pub fn truncate_collection(&self, collection: impl Into<String>) -> TruncateCollection {
        TruncateCollection::new(self, collection.into())
    }
}

request_type! {
    /// A request of [`Client::has_collection`].
    HasCollection(collection: String) => bool
}

impl HasCollection {
    fn message(&self) -> Result<HasCollectionRequest> {
        Ok(HasCollectionRequest {
            collection_name: given("has_collection", "collection", &self.collection)?,
            ..HasCollectionRequest::default()
        })
    }
}

single_call! {
    HasCollection: HAS_COLLECTION of COLLECTIONS,
    |answer: BoolResponse| Ok(answer.value) => bool
}

request_type! {
    /// A request of [`Client::list_collections`].
    ListCollections() => Vec<String>
}

impl ListCollections {
    fn message(&self) -> Result<ShowCollectionsRequest> {
        Ok(ShowCollectionsRequest::default())
    }
}

single_call! {
    ListCollections: SHOW_COLLECTIONS of COLLECTIONS,
    |answer: ShowCollectionsResponse| Ok(answer.collection_names) => Vec<String>
}

request_type! {
    /// A request of [`Client::rename_collection`].
    RenameCollection(collection: String, new_name: String) { new_database: Option<String> } => ()
}

impl RenameCollection {
    /// Moves the collection to another database, too.
    pub fn new_database(mut self, database: impl Into<String>) -> Self {
        self.new_database = Some(database.into());
        self
    }

    fn message(&self) -> Result<RenameCollectionRequest> {
        let new_db_name = match &self.new_database {
            Some(database) => {
                self.client.require(OTHER_DATABASE)?;
                given("rename_collection", "new_database", database)?
            }
            // Servers take an empty one for the default database, wherever the collection is.
            None => self.client.database().to_owned(),
        };
        Ok(RenameCollectionRequest {
            old_name: given("rename_collection", "collection", &self.collection)?,
            new_name: given("rename_collection", "new_name", &self.new_name)?,
            new_db_name,
            ..RenameCollectionRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.collection.as_str(), &self.new_name]);
        let feature = Feature::call("renaming of collections");
        let call = self
            .client
            .call(feature, &rpc::RENAME_COLLECTION, message, &clock);
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::drop_collection`].
    DropCollection(collection: String) => ()
}

impl DropCollection {
    fn message(&self) -> Result<DropCollectionRequest> {
        Ok(DropCollectionRequest {
            collection_name: given("drop_collection", "collection", &self.collection)?,
            ..DropCollectionRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.collection.as_str()]);
        let call = self
            .client
            .call(COLLECTIONS, &rpc::DROP_COLLECTION, message, &clock);
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::truncate_collection`].
    TruncateCollection(collection: String) => ()
}

impl TruncateCollection {
    fn message(&self) -> Result<TruncateCollectionRequest> {
        Ok(TruncateCollectionRequest {
            collection_name: given("truncate_collection", "collection", &self.collection)?,
            ..TruncateCollectionRequest::default()
        })
    }
}

single_call! {
    TruncateCollection: TRUNCATE_COLLECTION of Feature::since("truncation of collections", 2, 6),
    |_| Ok(()) => ()
}
