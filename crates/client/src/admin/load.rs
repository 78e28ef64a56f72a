//! Loading collections and partitions into memory, where they can be searched, and releasing them.
//!
//! Invariant: an awaited load ends when the server says 100 percent, and a refresh when it says so of the
//! refresh.

use milvus_protocol::milvus::{
    GetLoadStateRequest, GetLoadStateResponse, GetLoadingProgressRequest,
    GetLoadingProgressResponse, LoadCollectionRequest, LoadPartitionsRequest,
    ReleaseCollectionRequest, ReleasePartitionsRequest,
};
use milvus_protocol::rpc;

use super::progress::{Progress, ProgressStream, Step, finish, watch};
use super::request::{all_given, done, given, texts};
use crate::call::Clock;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

const LOADING: Feature = Feature::call("loading");
const RELEASING: Feature = Feature::call("releasing");
const LOADING_PARTITIONS: Feature = Feature::call("loading of partitions");
const RELEASING_PARTITIONS: Feature = Feature::call("releasing of partitions");
const LOAD_FIELDS: Feature = Feature::since("loading of some fields only", 2, 4).not_in_lite();
const LOAD_PRIORITY: Feature = Feature::since("priorities of loads", 2, 6).not_in_lite();

const DONE: i64 = 100;

impl Client {
    /// Loads a collection and waits until it can be searched. Loading what is loaded is no error.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.load_collection("docs").replicas(2).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With progress (in percent):
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use futures_util::TryStreamExt as _;
    ///
    /// let mut progress = client.load_collection("docs").progress();
    /// while let Some(progress) = progress.try_next().await? {
    ///     println!("{:.0} %", 100.0 * progress.fraction());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when a vector field has no index, or memory or nodes do not suffice;
    /// [`Error::MissingFeature`] for options that the server would ignore.
    pub fn load_collection(&self, collection: impl Into<String>) -> Load {
        Load::new(self, collection.into())
    }

    /// Loads some partitions of a collection and waits until they can be searched.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.load_partitions("docs", ["2024", "2025"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`load_collection`](Self::load_collection).
    pub fn load_partitions(
        &self,
        collection: impl Into<String>,
        partitions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Load {
        let mut load = Load::new(self, collection.into());
        load.partitions = Some(texts(partitions));
        load
    }

    /// Loads what has come to a loaded collection since (by import, above all), and waits for it.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.refresh_load("docs").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection is not loaded.
    pub fn refresh_load(&self, collection: impl Into<String>) -> Load {
        let mut load = Load::new(self, collection.into());
        load.is_refresh = true;
        load
    }

    /// Releases a collection from memory. Releasing what is released is no error.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.release_collection("docs").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection does not exist.
    pub fn release_collection(&self, collection: impl Into<String>) -> ReleaseCollection {
        ReleaseCollection::new(self, collection.into())
    }

    /// Releases some partitions from memory.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.release_partitions("docs", ["2024"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection or a partition does not exist.
    pub fn release_partitions(
        &self,
        collection: impl Into<String>,
        partitions: impl IntoIterator<Item = impl Into<String>>,
    ) -> ReleasePartitions {
        ReleasePartitions::new(self, collection.into(), texts(partitions))
    }

    /// Asks whether a collection (or some partitions) is loaded.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::LoadState;
    ///
    /// assert_eq!(client.load_state("docs").await?, LoadState::Loaded);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`]. A collection that does not exist is an error or
    /// [`LoadState::NotExist`], as the server likes.
    pub fn load_state(&self, collection: impl Into<String>) -> GetLoadState {
        GetLoadState::new(self, collection.into())
    }

    /// Asks how far loading has come.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{} %", client.loading_progress("docs").await?.percent);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection is neither loaded nor loading.
    pub fn loading_progress(&self, collection: impl Into<String>) -> GetLoadingProgress {
        GetLoadingProgress::new(self, collection.into())
    }
}

request_type! {
    /// A request of [`Client::load_collection`], [`Client::load_partitions`] or [`Client::refresh_load`].
    Load(collection: String) {
        partitions: Option<Vec<String>>,
        is_refresh: bool,
        replicas: i32,
        resource_groups: Vec<String>,
        fields: Vec<String>,
        skip_dynamic_field: bool,
        priority: Option<LoadPriority>,
        no_wait: bool,
    } => ()
}

/// How urgent a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadPriority {
    /// Before others.
    High,
    /// When there is time.
    Low,
}

impl Load {
    /// Sets in how many copies it is loaded; the collection's or server's default without it.
    pub fn replicas(mut self, replicas: i32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets the resource groups whose nodes load it.
    pub fn resource_groups(
        mut self,
        resource_groups: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.resource_groups = texts(resource_groups);
        self
    }

    /// Loads these fields only. They must include the primary key and a vector.
    pub fn fields(mut self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.fields = texts(fields);
        self
    }

    /// Does not load the dynamic field.
    pub fn skip_dynamic_field(mut self) -> Self {
        self.skip_dynamic_field = true;
        self
    }

    /// Sets how urgent it is.
    pub fn priority(mut self, priority: LoadPriority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Returns when the server has accepted it, before it is loaded.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Loads and follows the loading, in percent.
    pub fn progress(self) -> ProgressStream {
        let settings = self.settings.clone();
        // Milvus Lite loads before it answers, and tells nothing of refreshes.
        let tells_refreshes = !self.client.server_version().starts_with("milvus_lite");
        let is_refresh = self.is_refresh && tells_refreshes;
        let mut question = GetLoadingProgress::new(&self.client, self.collection.clone());
        question.partitions = self.partitions.clone().unwrap_or_default();
        watch(
            settings,
            move |clock| async move { self.begin(&clock).await },
            move |_, clock| {
                let question = question.clone();
                async move {
                    let answer = question.ask(&clock).await?;
                    let percent = if is_refresh {
                        answer.refresh_progress
                    } else {
                        answer.progress
                    };
                    let progress = Progress::new(percent, DONE);
                    Ok(if percent >= DONE {
                        Step::Last(progress)
                    } else {
                        Step::More(progress)
                    })
                }
            },
        )
    }

    fn check(&self) -> Result<()> {
        const REQUEST: &str = "load_collection";
        if self.replicas < 0 {
            return Err(Error::request(REQUEST, "replicas", "is negative"));
        }
        if !self.fields.is_empty() || self.skip_dynamic_field {
            self.client.require(LOAD_FIELDS)?;
        }
        if self.priority.is_some() {
            self.client.require(LOAD_PRIORITY)?;
        }
        Ok(())
    }

    fn parameters(&self) -> std::collections::HashMap<String, String> {
        let priority = self.priority.map(|priority| match priority {
            LoadPriority::High => "high",
            LoadPriority::Low => "low",
        });
        let pair = |name: &str| ("load_priority".to_owned(), name.to_owned());
        priority.map(pair).into_iter().collect()
    }

    fn collection_message(&self) -> Result<LoadCollectionRequest> {
        self.check()?;
        Ok(LoadCollectionRequest {
            collection_name: given("load_collection", "collection", &self.collection)?,
            replica_number: self.replicas,
            resource_groups: self.resource_groups.clone(),
            refresh: self.is_refresh,
            load_fields: self.fields.clone(),
            skip_load_dynamic_field: self.skip_dynamic_field,
            load_params: self.parameters(),
            ..LoadCollectionRequest::default()
        })
    }

    fn partitions_message(&self, partitions: &[String]) -> Result<LoadPartitionsRequest> {
        const REQUEST: &str = "load_partitions";
        self.check()?;
        Ok(LoadPartitionsRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            partition_names: all_given(REQUEST, "partitions", partitions)?,
            replica_number: self.replicas,
            resource_groups: self.resource_groups.clone(),
            load_fields: self.fields.clone(),
            skip_load_dynamic_field: self.skip_dynamic_field,
            load_params: self.parameters(),
            ..LoadPartitionsRequest::default()
        })
    }

    async fn begin(&self, clock: &Clock) -> Result<()> {
        let client = &self.client;
        let answer = if let Some(partitions) = &self.partitions {
            let message = self.partitions_message(partitions)?;
            client
                .call(LOADING_PARTITIONS, &rpc::LOAD_PARTITIONS, message, clock)
                .await
        } else {
            let message = self.collection_message()?;
            client
                .call(LOADING, &rpc::LOAD_COLLECTION, message, clock)
                .await
        };
        answer.and_then(done)
    }

    async fn send(self) -> Result<()> {
        if self.no_wait {
            self.begin(&self.settings.start()).await
        } else {
            finish(self.progress()).await
        }
    }
}

request_type! {
    /// A request of [`Client::release_collection`].
    ReleaseCollection(collection: String) => ()
}

impl ReleaseCollection {
    fn message(&self) -> Result<ReleaseCollectionRequest> {
        Ok(ReleaseCollectionRequest {
            collection_name: given("release_collection", "collection", &self.collection)?,
            ..ReleaseCollectionRequest::default()
        })
    }
}

single_call! { ReleaseCollection: RELEASE_COLLECTION of RELEASING, done => () }

request_type! {
    /// A request of [`Client::release_partitions`].
    ReleasePartitions(collection: String, partitions: Vec<String>) => ()
}

impl ReleasePartitions {
    fn message(&self) -> Result<ReleasePartitionsRequest> {
        const REQUEST: &str = "release_partitions";
        Ok(ReleasePartitionsRequest {
            collection_name: given(REQUEST, "collection", &self.collection)?,
            partition_names: all_given(REQUEST, "partitions", &self.partitions)?,
            ..ReleasePartitionsRequest::default()
        })
    }
}

single_call! { ReleasePartitions: RELEASE_PARTITIONS of RELEASING_PARTITIONS, done => () }

request_type! {
    /// A request of [`Client::load_state`].
    GetLoadState(collection: String) { partitions: Vec<String> } => LoadState
}

impl GetLoadState {
    /// Asks for these partitions only.
    pub fn partitions(mut self, partitions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.partitions = texts(partitions);
        self
    }

    fn message(&self) -> Result<GetLoadStateRequest> {
        Ok(GetLoadStateRequest {
            collection_name: given("load_state", "collection", &self.collection)?,
            partition_names: self.partitions.clone(),
            ..GetLoadStateRequest::default()
        })
    }
}

single_call! {
    GetLoadState: GET_LOAD_STATE of LOADING,
    |answer: GetLoadStateResponse| Ok(LoadState::from_number(answer.state)) => LoadState
}

numbered! {
    /// Whether a collection or partition is loaded.
    LoadState {
        /// It does not exist.
        NotExist = 0,
        /// It is not loaded.
        NotLoad = 1,
        /// It is being loaded.
        Loading = 2,
        /// It is loaded.
        Loaded = 3,
    }
}

request_type! {
    /// A request of [`Client::loading_progress`].
    GetLoadingProgress(collection: String) { partitions: Vec<String> } => LoadingProgress
}

impl GetLoadingProgress {
    /// Asks for these partitions only.
    pub fn partitions(mut self, partitions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.partitions = texts(partitions);
        self
    }

    fn message(&self) -> Result<GetLoadingProgressRequest> {
        Ok(GetLoadingProgressRequest {
            collection_name: given("loading_progress", "collection", &self.collection)?,
            partition_names: self.partitions.clone(),
            ..GetLoadingProgressRequest::default()
        })
    }

    async fn ask(&self, clock: &Clock) -> Result<GetLoadingProgressResponse> {
        let message = self.message()?;
        let call = self
            .client
            .call(LOADING, &rpc::GET_LOADING_PROGRESS, message, clock);
        call.await
    }

    async fn send(self) -> Result<LoadingProgress> {
        let answer = self.ask(&self.settings.start()).await?;
        Ok(LoadingProgress {
            percent: answer.progress,
            refresh_percent: answer.refresh_progress,
        })
    }
}

/// How far loading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadingProgress {
    /// Loaded, in percent.
    pub percent: i64,
    /// Of the last refresh, in percent; 0 from servers that do not say.
    pub refresh_percent: i64,
}
