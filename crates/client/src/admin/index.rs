//! Indexes: create, describe, watch being built, change, drop.
//!
//! Invariant: an index whose building failed is an error with the server's reason, never a wait without
//! end.

use std::collections::BTreeMap;
use std::sync::Arc;

use milvus_protocol::milvus::{
    self, AllocTimestampRequest, AlterIndexRequest, CreateIndexRequest, DescribeIndexRequest,
    DropIndexRequest,
};
use milvus_protocol::rpc;
use milvus_transport::ErrorKind;

use super::index_type::Index;
use super::progress::{Progress, ProgressStream, Step, finish, watch};
use super::request::{all_given, done, given, texts};
use crate::call::Clock;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::protocol_pairs;

const INDEXES: Feature = Feature::call("indexes");
const PROPERTIES: Feature = Feature::since("changes of an index's properties", 2, 4);
const DELETE_PROPERTIES: Feature = Feature::since("deletion of an index's properties", 2, 5);

/// Servers say "no such index" in the code of 2.3 and later, or in the one before.
const INDEX_NOT_FOUND: i32 = 700;
const LEGACY_INDEX_NOT_EXIST: i32 = 25;

impl Client {
    /// Creates an index on a field and waits until it is built.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::MetricType;
    /// use milvus_client::admin::Index;
    ///
    /// client
    ///     .create_index("docs", "vector", Index::hnsw(MetricType::Cosine, 16, 200))
    ///     .name("by_meaning")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With progress (rows indexed):
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use futures_util::TryStreamExt as _;
    /// use milvus_client::MetricType;
    /// use milvus_client::admin::Index;
    ///
    /// let index = Index::ivf_flat(MetricType::L2, 1024);
    /// let mut progress = client.create_index("docs", "vector", index).progress();
    /// while let Some(progress) = progress.try_next().await? {
    ///     println!("{progress} rows");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Rows that are not yet sealed (see [`flush`](Client::flush)) are indexed later, and are not waited
    /// for.
    ///
    /// # Errors
    /// [`Error::TaskFailed`] when the building failed; [`Error::Connection`] when the field has another
    /// index, or the index does not suit the field.
    pub fn create_index(
        &self,
        collection: impl Into<String>,
        field: impl Into<String>,
        index: Index,
    ) -> CreateIndex {
        CreateIndex::new(self, collection.into(), field.into(), index)
    }

    /// Waits until an index that is there is built.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.wait_for_index("docs", "by_meaning").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::TaskFailed`] when the building failed.
    pub fn wait_for_index(
        &self,
        collection: impl Into<String>,
        index: impl Into<String>,
    ) -> WaitForIndex {
        WaitForIndex::new(self, collection.into(), index.into())
    }

    /// Describes an index: its type and parameters, its state, how many rows it has.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let index = client.describe_index("docs", "by_meaning").await?;
    /// println!("{} {:?}: {}", index.index.index_type, index.state, index.progress());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when there is none of that name.
    pub fn describe_index(
        &self,
        collection: impl Into<String>,
        index: impl Into<String>,
    ) -> DescribeIndex {
        DescribeIndex::new(self, collection.into(), index.into())
    }

    /// Describes all indexes of a collection; none is no error.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for index in client.list_indexes("docs").await? {
    ///     println!("{} on {}", index.name, index.field);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection does not exist.
    pub fn list_indexes(&self, collection: impl Into<String>) -> ListIndexes {
        ListIndexes::new(self, collection.into())
    }

    /// Drops an index. Milvus asks for the collection to be released before.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.release_collection("docs").await?;
    /// client.drop_index("docs", "by_meaning").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection is loaded. Milvus answers success when there is no such
    /// index.
    pub fn drop_index(&self, collection: impl Into<String>, index: impl Into<String>) -> DropIndex {
        DropIndex::new(self, collection.into(), index.into())
    }

    /// Sets properties of an index, such as `mmap.enabled`.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .alter_index_properties("docs", "by_meaning")
    ///     .property("mmap.enabled", true)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] without a property; [`Error::MissingFeature`] before Milvus 2.4.
    pub fn alter_index_properties(
        &self,
        collection: impl Into<String>,
        index: impl Into<String>,
    ) -> AlterIndexProperties {
        AlterIndexProperties::new(self, collection.into(), index.into())
    }

    /// Takes properties of an index back to the server's defaults.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .drop_index_properties("docs", "by_meaning", ["mmap.enabled"])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`] before Milvus 2.5, which would ignore it.
    pub fn drop_index_properties(
        &self,
        collection: impl Into<String>,
        index: impl Into<String>,
        keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> DropIndexProperties {
        DropIndexProperties::new(self, collection.into(), index.into(), texts(keys))
    }

    /// The descriptions of indexes; empty when there is none of that name.
    async fn indexes(
        &self,
        message: DescribeIndexRequest,
        clock: &Clock,
    ) -> Result<Vec<IndexDescription>> {
        let call = self.call(INDEXES, &rpc::DESCRIBE_INDEX, message, clock);
        match call.await {
            Ok(answer) => Ok(answer
                .index_descriptions
                .into_iter()
                .map(IndexDescription::from)
                .collect()),
            Err(error) if is_index_not_found(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// A timestamp of now, so that rows which arrive later are not waited for; 0 (all rows) from servers
    /// that give none.
    async fn timestamp(&self, clock: &Clock) -> Result<u64> {
        let message = AllocTimestampRequest::default();
        let feature = Feature::call("timestamps");
        let call = self.call(feature, &rpc::ALLOC_TIMESTAMP, message, clock);
        match call.await {
            Ok(answer) => Ok(answer.timestamp),
            Err(Error::MissingFeature(_)) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

fn is_index_not_found(error: &Error) -> bool {
    error
        .connection_error()
        .filter(|error| error.kind() == ErrorKind::Answered)
        .and_then(milvus_transport::Error::answer)
        .is_some_and(|answer| {
            answer.code() == INDEX_NOT_FOUND || answer.legacy_code() == LEGACY_INDEX_NOT_EXIST
        })
}

/// Which index is waited for: the one of that name, else (a server may have given it another one) the one
/// on the field.
#[derive(Clone, Debug)]
struct Awaited {
    collection: String,
    field: String,
    name: String,
}

impl Awaited {
    fn find<'a>(&self, indexes: &'a [IndexDescription]) -> Option<&'a IndexDescription> {
        let mut indexes = indexes.iter();
        let by_name = indexes.clone().find(|index| index.name == self.name);
        by_name.or_else(|| indexes.find(|index| index.field == self.field))
    }

    async fn step(&self, client: &Client, timestamp: u64, clock: &Clock) -> Result<Step> {
        let message = DescribeIndexRequest {
            collection_name: self.collection.clone(),
            index_name: self.name.clone(),
            timestamp,
            ..DescribeIndexRequest::default()
        };
        let indexes = client.indexes(message, clock).await?;
        let Some(index) = self.find(&indexes) else {
            return Err(Error::task_failed(
                self.task(),
                "it does not exist (any more)",
            ));
        };
        match index.state {
            IndexState::Finished => Ok(Step::Last(index.progress())),
            IndexState::Failed => Err(Error::task_failed(self.task(), &index.failure)),
            _ => Ok(Step::More(index.progress())),
        }
    }

    fn task(&self) -> String {
        let name = if self.name.is_empty() {
            format!("on field `{}`", self.field)
        } else {
            format!("`{}`", self.name)
        };
        format!("building index {name} of collection `{}`", self.collection)
    }
}

request_type! {
    /// A request of [`Client::create_index`].
    CreateIndex(collection: String, field: String, index: Index) {
        name: String,
        no_wait: bool,
    } => ()
}

impl CreateIndex {
    /// Names the index; without it the server makes a name up, mostly that of the field, as Milvus Lite
    /// always does.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Returns when the server has accepted it, before it is built.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Creates the index and follows its building, in rows.
    pub fn progress(self) -> ProgressStream {
        let client = self.client.clone();
        let awaited = Arc::new(Awaited {
            collection: self.collection.clone(),
            field: self.field.clone(),
            name: self.name.clone(),
        });
        watch(
            self.settings.clone(),
            move |clock| async move {
                self.create(&clock).await?;
                self.client.timestamp(&clock).await
            },
            move |timestamp, clock| {
                let (client, awaited) = (client.clone(), Arc::clone(&awaited));
                async move { awaited.step(&client, *timestamp, &clock).await }
            },
        )
    }

    fn message(&self) -> Result<CreateIndexRequest> {
        Ok(CreateIndexRequest {
            collection_name: given("create_index", "collection", &self.collection)?,
            field_name: given("create_index", "field", &self.field)?,
            index_name: self.name.clone(),
            extra_params: self.index.to_pairs(),
            ..CreateIndexRequest::default()
        })
    }

    async fn create(&self, clock: &Clock) -> Result<()> {
        let message = self.message()?;
        let call = self
            .client
            .call(INDEXES, &rpc::CREATE_INDEX, message, clock);
        call.await.and_then(done)
    }

    async fn send(self) -> Result<()> {
        if self.no_wait {
            self.create(&self.settings.start()).await
        } else {
            finish(self.progress()).await
        }
    }
}

request_type! {
    /// A request of [`Client::wait_for_index`].
    WaitForIndex(collection: String, index: String) => ()
}

impl WaitForIndex {
    /// Follows the building, in rows.
    pub fn progress(self) -> ProgressStream {
        let client = self.client.clone();
        let awaited = Arc::new(Awaited {
            collection: self.collection.clone(),
            field: String::new(),
            name: self.index.clone(),
        });
        watch(
            self.settings.clone(),
            move |clock| async move {
                given("wait_for_index", "collection", &self.collection)?;
                given("wait_for_index", "index", &self.index)?;
                self.client.timestamp(&clock).await
            },
            move |timestamp, clock| {
                let (client, awaited) = (client.clone(), Arc::clone(&awaited));
                async move { awaited.step(&client, *timestamp, &clock).await }
            },
        )
    }

    async fn send(self) -> Result<()> {
        finish(self.progress()).await
    }
}

request_type! {
    /// A request of [`Client::describe_index`].
    DescribeIndex(collection: String, index: String) => IndexDescription
}

impl DescribeIndex {
    fn message(&self) -> Result<DescribeIndexRequest> {
        Ok(DescribeIndexRequest {
            collection_name: given("describe_index", "collection", &self.collection)?,
            index_name: given("describe_index", "index", &self.index)?,
            ..DescribeIndexRequest::default()
        })
    }

    async fn send(self) -> Result<IndexDescription> {
        let message = self.message()?;
        let clock = self.settings.start();
        let call = self
            .client
            .call(INDEXES, &rpc::DESCRIBE_INDEX, message, &clock);
        let indexes = call.await?.index_descriptions.into_iter();
        let mut indexes: Vec<_> = indexes.map(IndexDescription::from).collect();
        match indexes.iter().position(|index| index.name == self.index) {
            Some(place) => Ok(indexes.swap_remove(place)),
            None => {
                let names: Vec<_> = indexes.into_iter().map(|index| index.name).collect();
                let reading = format!("the description of index `{}`", self.index);
                let problem = format!("the server described others only: {}", names.join(", "));
                Err(Error::answer(reading, problem))
            }
        }
    }
}

request_type! {
    /// A request of [`Client::list_indexes`].
    ListIndexes(collection: String) { field: Option<String> } => Vec<IndexDescription>
}

impl ListIndexes {
    /// Only the indexes on this field.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    fn message(&self) -> Result<DescribeIndexRequest> {
        Ok(DescribeIndexRequest {
            collection_name: given("list_indexes", "collection", &self.collection)?,
            ..DescribeIndexRequest::default()
        })
    }

    async fn send(self) -> Result<Vec<IndexDescription>> {
        let message = self.message()?;
        let clock = self.settings.start();
        let mut indexes = self.client.indexes(message, &clock).await?;
        if let Some(field) = &self.field {
            indexes.retain(|index| index.field == *field);
        }
        Ok(indexes)
    }
}

/// What an index is and how far it has come.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IndexDescription {
    /// Its name.
    pub name: String,
    /// The server's number for it.
    pub id: i64,
    /// The field it is on.
    pub field: String,
    /// Type, metric and parameters.
    pub index: Index,
    /// Whether it is built.
    pub state: IndexState,
    /// Why building failed; empty when it did not.
    pub failure: String,
    /// Rows that are indexed.
    pub indexed_rows: i64,
    /// Rows that are to be indexed.
    pub total_rows: i64,
    /// Rows whose index is built but not yet in use, as far as the server says.
    pub pending_index_rows: i64,
}

impl IndexDescription {
    /// How far building has come, in rows.
    pub fn progress(&self) -> Progress {
        Progress::new(self.indexed_rows, self.total_rows)
    }
}

impl From<milvus::IndexDescription> for IndexDescription {
    fn from(message: milvus::IndexDescription) -> Self {
        Self {
            name: message.index_name,
            id: message.index_id,
            field: message.field_name,
            index: Index::from_pairs(message.params),
            state: IndexState::from_number(message.state),
            failure: message.index_state_fail_reason,
            indexed_rows: message.indexed_rows,
            total_rows: message.total_rows,
            pending_index_rows: message.pending_index_rows,
        }
    }
}

numbered! {
    /// Whether an index is built.
    IndexState {
        /// Nothing is known.
        None = 0,
        /// Building has not begun.
        Unissued = 1,
        /// It is being built.
        InProgress = 2,
        /// It is built.
        Finished = 3,
        /// Building failed.
        Failed = 4,
        /// Building failed and is tried again.
        Retry = 5,
    }
}

request_type! {
    /// A request of [`Client::drop_index`].
    DropIndex(collection: String, index: String) => ()
}

impl DropIndex {
    fn message(&self) -> Result<DropIndexRequest> {
        Ok(DropIndexRequest {
            collection_name: given("drop_index", "collection", &self.collection)?,
            index_name: given("drop_index", "index", &self.index)?,
            ..DropIndexRequest::default()
        })
    }
}

single_call! { DropIndex: DROP_INDEX of INDEXES, done => () }

request_type! {
    /// A request of [`Client::alter_index_properties`].
    AlterIndexProperties(collection: String, index: String) {
        properties: BTreeMap<String, String>,
    } => ()
}

impl AlterIndexProperties {
    /// Sets a property.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.insert(key.into(), value.to_string());
        self
    }

    fn message(&self) -> Result<AlterIndexRequest> {
        const REQUEST: &str = "alter_index_properties";
        if self.properties.is_empty() {
            return Err(Error::request(REQUEST, "property", "is not given"));
        }
        // Milvus 2.3 knows the call but breaks off instead of answering it.
        self.client.require(PROPERTIES)?;
        Ok(AlterIndexRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            index_name: given(REQUEST, "index", &self.index)?,
            extra_params: protocol_pairs(&self.properties),
            ..AlterIndexRequest::default()
        })
    }
}

single_call! { AlterIndexProperties: ALTER_INDEX of PROPERTIES, done => () }

request_type! {
    /// A request of [`Client::drop_index_properties`].
    DropIndexProperties(collection: String, index: String, keys: Vec<String>) => ()
}

impl DropIndexProperties {
    fn message(&self) -> Result<AlterIndexRequest> {
        const REQUEST: &str = "drop_index_properties";
        self.client.require(DELETE_PROPERTIES)?;
        Ok(AlterIndexRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            index_name: given(REQUEST, "index", &self.index)?,
            delete_keys: all_given(REQUEST, "keys", &self.keys)?,
            ..AlterIndexRequest::default()
        })
    }
}

single_call! { DropIndexProperties: ALTER_INDEX of DELETE_PROPERTIES, done => () }
