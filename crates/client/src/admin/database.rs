//! Databases: the outermost name space of a server.
//!
//! Invariant: the database that a verb works on is always named in the request; the one that the client
//! works in is never filled in for it.

use std::collections::BTreeMap;

use milvus_protocol::common::Status;
use milvus_protocol::milvus::{
    AlterDatabaseRequest, CreateDatabaseRequest, DescribeDatabaseRequest, DescribeDatabaseResponse,
    DropDatabaseRequest, ListDatabasesRequest, ListDatabasesResponse,
};
use milvus_protocol::rpc;

use super::request::{all_given, done, given, texts};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::{protocol_map, protocol_pairs};

const PROPERTIES: Feature = Feature::since("properties of databases", 2, 4);

impl Client {
    /// Creates a database. [`Client::using_database`] then works in it.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.create_database("books").await?;
    /// let books = client.using_database("books")?;
    /// assert!(books.list_collections().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when it exists; [`Error::MissingFeature`] for properties before Milvus 2.4.
    pub fn create_database(&self, database: impl Into<String>) -> CreateDatabase {
        CreateDatabase::new(self, database.into())
    }

    /// Drops a database. It must have no collections.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.drop_database("books").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when it has collections; some servers also say so when it does not exist.
    pub fn drop_database(&self, database: impl Into<String>) -> DropDatabase {
        DropDatabase::new(self, database.into())
    }

    /// Lists the names of all databases.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// assert!(client.list_databases().await?.contains(&"default".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn list_databases(&self) -> ListDatabases {
        ListDatabases::new(self)
    }

    /// Describes a database: its number and properties.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let books = client.describe_database("books").await?;
    /// println!("{:?}", books.properties);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when it does not exist; [`Error::MissingFeature`] before Milvus 2.4.
    pub fn describe_database(&self, database: impl Into<String>) -> DescribeDatabase {
        DescribeDatabase::new(self, database.into())
    }

    /// Sets properties of a database, such as `database.replica.number`.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .alter_database_properties("books")
    ///     .property("database.replica.number", 2)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] without a property; [`Error::MissingFeature`] before Milvus 2.4.
    pub fn alter_database_properties(
        &self,
        database: impl Into<String>,
    ) -> AlterDatabaseProperties {
        AlterDatabaseProperties::new(self, database.into())
    }

    /// Takes properties of a database back to the server's defaults.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .drop_database_properties("books", ["database.replica.number"])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`] before Milvus 2.4.
    pub fn drop_database_properties(
        &self,
        database: impl Into<String>,
        keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> DropDatabaseProperties {
        DropDatabaseProperties::new(self, database.into(), texts(keys))
    }
}

request_type! {
    /// A request of [`Client::create_database`].
    CreateDatabase(database: String) { properties: BTreeMap<String, String> } => ()
}

impl CreateDatabase {
    /// Sets a property of the new database.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.insert(key.into(), value.to_string());
        self
    }

    fn message(&self) -> Result<CreateDatabaseRequest> {
        if !self.properties.is_empty() {
            self.client.require(PROPERTIES)?;
        }
        Ok(CreateDatabaseRequest {
            db_name: given("create_database", "database", &self.database)?,
            properties: protocol_pairs(&self.properties),
            ..CreateDatabaseRequest::default()
        })
    }
}

single_call! { CreateDatabase: CREATE_DATABASE of Feature::call("databases"), done => () }

request_type! {
    /// A request of [`Client::drop_database`].
    DropDatabase(database: String) => ()
}

impl DropDatabase {
    fn message(&self) -> Result<DropDatabaseRequest> {
        Ok(DropDatabaseRequest {
            db_name: given("drop_database", "database", &self.database)?,
            ..DropDatabaseRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let feature = Feature::call("databases");
        let answer: Result<Status> = self
            .client
            .call(feature, &rpc::DROP_DATABASE, message, &clock)
            .await;
        self.client.memory().schemas.forget_database(&self.database);
        answer.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::list_databases`].
    ListDatabases() => Vec<String>
}

impl ListDatabases {
    fn message(&self) -> Result<ListDatabasesRequest> {
        Ok(ListDatabasesRequest::default())
    }
}

single_call! {
    ListDatabases: LIST_DATABASES of Feature::call("databases"),
    |answer: ListDatabasesResponse| Ok(answer.db_names) => Vec<String>
}

request_type! {
    /// A request of [`Client::describe_database`].
    DescribeDatabase(database: String) => DatabaseDescription
}

impl DescribeDatabase {
    fn message(&self) -> Result<DescribeDatabaseRequest> {
        Ok(DescribeDatabaseRequest {
            db_name: given("describe_database", "database", &self.database)?,
            ..DescribeDatabaseRequest::default()
        })
    }
}

single_call! {
    DescribeDatabase: DESCRIBE_DATABASE of Feature::since("descriptions of databases", 2, 4),
    |answer| Ok(DatabaseDescription::from(answer)) => DatabaseDescription
}

/// What a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseDescription {
    /// Its name.
    pub name: String,
    /// The server's number for it.
    pub id: i64,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// When it was created; 0 from servers that do not say.
    pub created_timestamp: u64,
}

impl From<DescribeDatabaseResponse> for DatabaseDescription {
    fn from(answer: DescribeDatabaseResponse) -> Self {
        Self {
            name: answer.db_name,
            id: answer.db_id,
            properties: protocol_map(answer.properties),
            created_timestamp: answer.created_timestamp,
        }
    }
}

request_type! {
    /// A request of [`Client::alter_database_properties`].
    AlterDatabaseProperties(database: String) { properties: BTreeMap<String, String> } => ()
}

impl AlterDatabaseProperties {
    /// Sets a property.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.insert(key.into(), value.to_string());
        self
    }

    fn message(&self) -> Result<AlterDatabaseRequest> {
        const REQUEST: &str = "alter_database_properties";
        if self.properties.is_empty() {
            return Err(Error::request(REQUEST, "property", "is not given"));
        }
        Ok(AlterDatabaseRequest {
            db_name: given(REQUEST, "database", &self.database)?,
            properties: protocol_pairs(&self.properties),
            ..AlterDatabaseRequest::default()
        })
    }
}

single_call! { AlterDatabaseProperties: ALTER_DATABASE of PROPERTIES, done => () }

request_type! {
    /// A request of [`Client::drop_database_properties`].
    DropDatabaseProperties(database: String, keys: Vec<String>) => ()
}

impl DropDatabaseProperties {
    fn message(&self) -> Result<AlterDatabaseRequest> {
        const REQUEST: &str = "drop_database_properties";
        Ok(AlterDatabaseRequest {
            db_name: given(REQUEST, "database", &self.database)?,
            delete_keys: all_given(REQUEST, "keys", &self.keys)?,
            ..AlterDatabaseRequest::default()
        })
    }
}

single_call! { DropDatabaseProperties: ALTER_DATABASE of PROPERTIES, done => () }
