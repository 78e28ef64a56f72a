//! `insert`: new rows.
//!
//! Invariant: an insert that may have been applied is never sent again; the error says so.

use serde::Serialize;

use super::WriteResult;
use super::options::WriteOptions;
use super::prepared::Prepared;
use super::rows::{Input, RowRequests, RowWrite};
use super::source::{Iterated, Slice};
use crate::call::CallSettings;
use crate::client::Client;
use crate::data::{Column, Write};
use crate::error::Result;

impl Client {
    /// Inserts rows, given as columns or as anything that `serde` can serialize, of any number.
    ///
    /// ```no_run
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Document {
    ///     id: i64,
    ///     title: String,
    ///     vector: Vec<f32>,
    /// }
    ///
    /// # async fn example(client: milvus_client::Client, documents: Vec<Document>, vectors: Vec<f32>) -> milvus_client::Result<()> {
    /// let written = client.insert("docs").rows(&documents).await?;
    /// println!("{} rows", written.rows);
    ///
    /// // By columns; the vectors, 768 values each, travel without being copied:
    /// client
    ///     .insert("docs")
    ///     .column("id", vec![1_i64, 2])
    ///     .column("title", ["a", "b"])
    ///     .column("vector", vectors)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Up to 2 MiB of rows are one request. More are several, a few of which are under way at a time, and each is
    /// acknowledged by itself: an insert that stops may have been applied in part, and the error says which rows. With
    /// [`concurrency(1)`](Insert::concurrency) an insert is a single request as long as
    /// [`request_bytes`](Insert::request_bytes) allows.
    ///
    /// # Errors
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) names row, field and rule, before anything is
    /// sent (of an iterator: before its piece is sent).
    /// [`Error::IncompleteWrite`](crate::Error::IncompleteWrite) says what became of each row when a
    /// write of several requests stopped; [`Error::Connection`](crate::Error::Connection) when a single
    /// request failed, where `applied()` says whether it may have been applied.
    pub fn insert<'a>(&self, collection: impl Into<String>) -> Insert<'a> {
        Insert {
            client: self.clone(),
            collection: collection.into(),
            input: Input::Nothing,
            options: WriteOptions::default(),
            settings: CallSettings::default(),
        }
    }
}

/// A request of [`Client::insert`].
#[must_use = "nothing is sent before `.await`"]
pub struct Insert<'a> {
    client: Client,
    collection: String,
    input: Input<'a>,
    options: WriteOptions<'a>,
    settings: CallSettings,
}

request!(Insert<'a> => WriteResult);
write_options!(Insert);
row_input!(Insert);

impl Insert<'_> {
    async fn send(self) -> Result<WriteResult> {
        let write = RowWrite {
            requests: RowRequests {
                client: self.client,
                collection: self.collection,
                write: Write::Insert,
                field_changes: Vec::new(),
            },
            input: self.input,
            options: self.options,
            settings: self.settings,
        };
        write.send().await
    }
}
