//! Bulk import of files that lie in the server's object storage.
//!
//! These are the calls of Milvus 2.2 and 2.3 (`Import`, `GetImportState`, `ListImportTasks`), which newer
//! servers still answer. Their newer job interface (`/v2/vectordb/jobs/import/…`, with progress in percent)
//! is REST and has no gRPC call; so has Zilliz Cloud's. It is not part of this crate, which would need a second
//! protocol, with addresses and credentials of its own, for it alone.
//!
//! Invariant: an import is a job with a number; starting it twice imports the files twice, so it is never
//! repeated on its own.

use std::collections::BTreeMap;

use milvus_protocol::milvus::{
    GetImportStateRequest, GetImportStateResponse, ImportRequest, ImportResponse,
    ListImportTasksRequest, ListImportTasksResponse,
};
use milvus_protocol::rpc;

use super::progress::{Progress, ProgressStream, Step, finish, watch};
use super::request::{all_given, given, texts};
use crate::call::Clock;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::{protocol_map, protocol_pairs};

const IMPORT: Feature = Feature::call("bulk import over gRPC");
const PERCENT: &str = "progress_percent";
const FAILED_REASON: &str = "failed_reason";

impl Client {
    /// Starts the import of files and returns the numbers of the tasks.
    ///
    /// The files (Parquet, NumPy, JSON, as the server reads) lie in the object storage that the server
    /// uses; their names are keys there. A server that keeps its data in a local directory takes paths of its own machine.
    ///
    /// This is the gRPC call of Milvus 2.2 and 2.3. The import jobs of newer servers and of Zilliz Cloud
    /// (`/v2/vectordb/jobs/import/…`) are REST, which this crate does not speak: use any HTTP client for them.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for task in client.import_files("docs", ["import/docs.parquet"]).await? {
    ///     client.wait_for_import(task).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection does not exist or a file cannot be one.
    pub fn import_files(
        &self,
        collection: impl Into<String>,
        files: impl IntoIterator<Item = impl Into<String>>,
    ) -> ImportFiles {
        ImportFiles::new(self, collection.into(), texts(files))
    }

    /// Asks how far an import has come.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{:?}", client.import_state(7).await?.state);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when there is no such task.
    pub fn import_state(&self, task: i64) -> GetImportState {
        GetImportState::new(self, task)
    }

    /// Lists the imports of the database, or of one collection.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for task in client.list_imports().collection("docs").limit(10).await? {
    ///     println!("{} {:?}", task.id, task.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection does not exist.
    pub fn list_imports(&self) -> ListImports {
        ListImports::new(self)
    }

    /// Waits until the rows of an import can be searched.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.wait_for_import(7).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::TaskFailed`] with the server's reason when it failed.
    pub fn wait_for_import(&self, task: i64) -> WaitForImport {
        WaitForImport::new(self, task)
    }
}

request_type! {
    /// A request of [`Client::import_files`].
    ImportFiles(collection: String, files: Vec<String>) {
        partition: String,
        options: BTreeMap<String, String>,
    } => Vec<i64>
}

impl ImportFiles {
    /// Imports into this partition.
    pub fn partition(mut self, partition: impl Into<String>) -> Self {
        self.partition = partition.into();
        self
    }

    /// Sets an option, such as `bucket`, `backup`, `sep` or `nullkey`.
    pub fn option(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.options.insert(key.into(), value.to_string());
        self
    }

    fn message(&self) -> Result<ImportRequest> {
        Ok(ImportRequest {
            collection_name: given("import_files", "collection", &self.collection)?,
            partition_name: self.partition.clone(),
            files: all_given("import_files", "files", &self.files)?,
            options: protocol_pairs(&self.options),
            ..ImportRequest::default()
        })
    }
}

single_call! {
    ImportFiles: IMPORT of IMPORT,
    |answer: ImportResponse| Ok(answer.tasks) => Vec<i64>
}

request_type! {
    /// A request of [`Client::import_state`].
    GetImportState(task: i64) => ImportTask
}

impl GetImportState {
    async fn ask(&self, clock: &Clock) -> Result<ImportTask> {
        let message = GetImportStateRequest { task: self.task };
        let call = self
            .client
            .call(IMPORT, &rpc::GET_IMPORT_STATE, message, clock);
        let mut task = ImportTask::from(call.await?);
        task.id = self.task;
        Ok(task)
    }

    async fn send(self) -> Result<ImportTask> {
        self.ask(&self.settings.start()).await
    }
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportTask {
    /// Its number.
    pub id: i64,
    /// Its state.
    pub state: ImportState,
    /// Rows imported so far.
    pub row_count: i64,
    /// The server's number for the collection.
    pub collection_id: i64,
    /// The segments that it made.
    pub segment_ids: Vec<i64>,
    /// When it was started, in seconds since 1970.
    pub created: i64,
    /// All else that the server said, by its names (`files`, `failed_reason`, `progress_percent`, …).
    pub values: BTreeMap<String, String>,
}

impl From<GetImportStateResponse> for ImportTask {
    fn from(answer: GetImportStateResponse) -> Self {
        Self {
            id: answer.id,
            state: ImportState::from_number(answer.state),
            row_count: answer.row_count,
            collection_id: answer.collection_id,
            segment_ids: answer.segment_ids,
            created: answer.create_ts,
            values: protocol_map(answer.infos),
        }
    }
}

impl ImportTask {
    fn step(&self) -> Result<Step> {
        let said = self.values.get(PERCENT).and_then(|text| text.parse().ok());
        let progress = |percent| Progress::new(percent, 100);
        match self.state {
            ImportState::Completed => Ok(Step::Last(progress(100))),
            ImportState::Failed | ImportState::FailedAndCleaned => {
                let reason = self.values.get(FAILED_REASON);
                let reason = reason.map_or("the server gave no reason", String::as_str);
                Err(Error::task_failed(format!("import {}", self.id), reason))
            }
            _ => Ok(Step::More(progress(said.unwrap_or(0)))),
        }
    }
}

numbered! {
    /// The state of an import.
    ImportState {
        /// It waits for its turn.
        Pending = 0,
        /// It failed.
        Failed = 1,
        /// Files are being read.
        Started = 2,
        /// Segments are written.
        Persisted = 5,
        /// Rows can be searched; indexes may still be missing.
        Completed = 6,
        /// It failed and what it had written is gone.
        FailedAndCleaned = 7,
        /// Segments are sealed.
        Flushed = 8,
    }
}

request_type! {
    /// A request of [`Client::list_imports`].
    ListImports() { collection: String, limit: i64 } => Vec<ImportTask>
}

impl ListImports {
    /// Lists the imports into this collection only.
    pub fn collection(mut self, collection: impl Into<String>) -> Self {
        self.collection = collection.into();
        self
    }

    /// Lists so many at most, the newest ones; all without it.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = i64::from(limit);
        self
    }

    fn message(&self) -> Result<ListImportTasksRequest> {
        Ok(ListImportTasksRequest {
            collection_name: self.collection.clone(),
            limit: self.limit,
            ..ListImportTasksRequest::default()
        })
    }
}

single_call! {
    ListImports: LIST_IMPORT_TASKS of IMPORT,
    |answer: ListImportTasksResponse| {
        Ok(answer.tasks.into_iter().map(ImportTask::from).collect())
    } => Vec<ImportTask>
}

request_type! {
    /// A request of [`Client::wait_for_import`].
    WaitForImport(task: i64) => ()
}

impl WaitForImport {
    /// Follows the import, in percent as far as the server says.
    pub fn progress(self) -> ProgressStream {
        let question = GetImportState::new(&self.client, self.task);
        watch(
            self.settings,
            |_| async { Ok(()) },
            move |_, clock| {
                let question = question.clone();
                async move { question.ask(&clock).await?.step() }
            },
        )
    }

    async fn send(self) -> Result<()> {
        finish(self.progress()).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::index_type::pair;
    use super::*;

    #[test]
    fn a_failed_import_says_why() {
        let task = |state: ImportState, infos: &[(&str, &str)]| {
            let infos = infos
                .iter()
                .map(|(key, value)| pair(key, (*value).to_owned()));
            ImportTask::from(GetImportStateResponse {
                id: 3,
                state: state.number(),
                infos: infos.collect(),
                ..GetImportStateResponse::default()
            })
        };
        let failed = task(ImportState::Failed, &[("failed_reason", "no such file")]);
        let error = failed.step().err().expect("failed").to_string();
        insta::assert_snapshot!(error, @"import 3 failed: no such file");
        let half = task(ImportState::Started, &[("progress_percent", "50")]);
        assert!(matches!(half.step(), Ok(Step::More(progress)) if progress.done == 50));
        assert!(matches!(
            task(ImportState::Completed, &[]).step(),
            Ok(Step::Last(_))
        ));
    }
}
