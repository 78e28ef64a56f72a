//! Aliases: other names of a collection, which can be moved to another one in a single step.
//!
//! Invariant: what is remembered under an alias is forgotten when the alias moves.

use milvus_protocol::milvus::{
    AlterAliasRequest, CreateAliasRequest, DescribeAliasRequest, DescribeAliasResponse,
    DropAliasRequest, ListAliasesRequest, ListAliasesResponse,
};
use milvus_protocol::rpc;

use super::request::{Changing, done, given};
use crate::client::Client;
use crate::error::Result;
use crate::feature::Feature;

const ALIASES: Feature = Feature::call("aliases");
const DESCRIPTIONS: Feature = Feature::call("descriptions of aliases");

impl Client {
    /// Gives a collection another name.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.create_alias("docs_2025", "docs").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the alias exists or the collection does not.
    pub fn create_alias(
        &self,
        collection: impl Into<String>,
        alias: impl Into<String>,
    ) -> CreateAlias {
        CreateAlias::new(self, collection.into(), alias.into())
    }

    /// Moves an alias to another collection.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.alter_alias("docs_2026", "docs").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the alias or the collection does not exist.
    pub fn alter_alias(
        &self,
        collection: impl Into<String>,
        alias: impl Into<String>,
    ) -> AlterAlias {
        AlterAlias::new(self, collection.into(), alias.into())
    }

    /// Drops an alias; the collection stays.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.drop_alias("docs").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection). Servers since 2.3 answer success when it does not exist.
    pub fn drop_alias(&self, alias: impl Into<String>) -> DropAlias {
        DropAlias::new(self, alias.into())
    }

    /// Asks which collection an alias stands for.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{}", client.describe_alias("docs").await?.collection);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when it does not exist; [`Error::MissingFeature`](crate::Error::MissingFeature) from servers that are too
    /// old ([`describe_collection`](Client::describe_collection) takes an alias, too).
    pub fn describe_alias(&self, alias: impl Into<String>) -> DescribeAlias {
        DescribeAlias::new(self, alias.into())
    }

    /// Lists aliases: all of the database, or those of one collection.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let names = client.list_aliases().collection("docs_2026").await?;
    /// println!("{names:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`](crate::Error::MissingFeature) from servers that are too old.
    pub fn list_aliases(&self) -> ListAliases {
        ListAliases::new(self)
    }
}

request_type! {
    /// A request of [`Client::create_alias`].
    CreateAlias(collection: String, alias: String) => ()
}

impl CreateAlias {
    fn message(&self) -> Result<CreateAliasRequest> {
        Ok(CreateAliasRequest {
            collection_name: given("create_alias", "collection", &self.collection)?,
            alias: given("create_alias", "alias", &self.alias)?,
            ..CreateAliasRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.alias.as_str(), &self.collection]);
        let call = self
            .client
            .call(ALIASES, &rpc::CREATE_ALIAS, message, &clock);
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::alter_alias`].
    AlterAlias(collection: String, alias: String) => ()
}

impl AlterAlias {
    fn message(&self) -> Result<AlterAliasRequest> {
        Ok(AlterAliasRequest {
            collection_name: given("alter_alias", "collection", &self.collection)?,
            alias: given("alter_alias", "alias", &self.alias)?,
            ..AlterAliasRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.alias.as_str(), &self.collection]);
        let call = self
            .client
            .call(ALIASES, &rpc::ALTER_ALIAS, message, &clock);
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::drop_alias`].
    DropAlias(alias: String) => ()
}

impl DropAlias {
    fn message(&self) -> Result<DropAliasRequest> {
        Ok(DropAliasRequest {
            alias: given("drop_alias", "alias", &self.alias)?,
            ..DropAliasRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let _changing = Changing::new(&self.client, [self.alias.as_str()]);
        let call = self.client.call(ALIASES, &rpc::DROP_ALIAS, message, &clock);
        call.await.and_then(done)
    }
}

request_type! {
    /// A request of [`Client::describe_alias`].
    DescribeAlias(alias: String) => AliasDescription
}

impl DescribeAlias {
    fn message(&self) -> Result<DescribeAliasRequest> {
        Ok(DescribeAliasRequest {
            alias: given("describe_alias", "alias", &self.alias)?,
            ..DescribeAliasRequest::default()
        })
    }
}

single_call! {
    DescribeAlias: DESCRIBE_ALIAS of DESCRIPTIONS,
    |answer| Ok(AliasDescription::from(answer)) => AliasDescription
}

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AliasDescription {
    /// The alias.
    pub alias: String,
    /// The collection behind it.
    pub collection: String,
    /// The database of both; empty from servers that do not say.
    pub database: String,
}

impl From<DescribeAliasResponse> for AliasDescription {
    fn from(answer: DescribeAliasResponse) -> Self {
        Self {
            alias: answer.alias,
            collection: answer.collection,
            database: answer.db_name,
        }
    }
}

request_type! {
    /// A request of [`Client::list_aliases`].
    ListAliases() { collection: Option<String> } => Vec<String>
}

impl ListAliases {
    /// Lists the aliases of this collection only.
    pub fn collection(mut self, collection: impl Into<String>) -> Self {
        self.collection = Some(collection.into());
        self
    }

    fn message(&self) -> Result<ListAliasesRequest> {
        let collection_name = match &self.collection {
            Some(collection) => given("list_aliases", "collection", collection)?,
            None => String::new(),
        };
        Ok(ListAliasesRequest {
            collection_name,
            ..ListAliasesRequest::default()
        })
    }
}

single_call! {
    ListAliases: LIST_ALIASES of DESCRIPTIONS,
    |answer: ListAliasesResponse| Ok(answer.aliases) => Vec<String>
}
