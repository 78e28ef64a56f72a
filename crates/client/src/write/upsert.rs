//! `upsert`: rows that replace those with the same primary key.
//!
//! Invariant: of several rows with one key in one upsert, the last one stays.

use milvus_protocol::schema::FieldPartialUpdateOp;
use milvus_protocol::schema::field_partial_update_op::OpType;
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
use crate::feature::Feature;

const PARTIAL_UPDATES: Feature = Feature::since("partial updates", 2, 6);

impl Client {
    /// Inserts rows, or replaces those with the same primary key. Takes rows as
    /// [`insert`](Self::insert) does.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .upsert("docs")
    ///     .rows(&[serde_json::json!({"id": 7, "title": "new", "vector": [0.1, 0.2]})])
    ///     .await?;
    /// // Only the title, the rest of the row stays:
    /// client
    ///     .upsert("docs")
    ///     .rows(&[serde_json::json!({"id": 7, "title": "newer"})])
    ///     .partial()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn upsert<'a>(&self, collection: impl Into<String>) -> Upsert<'a> {
        Upsert {
            client: self.clone(),
            collection: collection.into(),
            input: Input::Nothing,
            partial: false,
            field_changes: Vec::new(),
            options: WriteOptions::default(),
            settings: CallSettings::default(),
        }
    }
}

/// How a field of a partial upsert changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldChange {
    /// The new value replaces the old one.
    Replace,
    /// The new elements are added to the array.
    ArrayAppend,
    /// The elements are taken out of the array.
    ArrayRemove,
}

/// A request of [`Client::upsert`].
#[must_use = "nothing is sent before `.await`"]
pub struct Upsert<'a> {
    client: Client,
    collection: String,
    input: Input<'a>,
    partial: bool,
    field_changes: Vec<FieldPartialUpdateOp>,
    options: WriteOptions<'a>,
    settings: CallSettings,
}

request!(Upsert<'a> => WriteResult);
write_options!(Upsert);
row_input!(Upsert);

impl Upsert<'_> {
    /// Keeps the values of fields that the rows do not give.
    pub fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// Says how a field changes; implies [`partial`](Self::partial).
    pub fn field_change(mut self, field: impl Into<String>, change: FieldChange) -> Self {
        let op = match change {
            FieldChange::Replace => OpType::Replace,
            FieldChange::ArrayAppend => OpType::ArrayAppend,
            FieldChange::ArrayRemove => OpType::ArrayRemove,
        };
        self.field_changes.push(FieldPartialUpdateOp {
            field_name: field.into(),
            op: op.into(),
        });
        self.partial = true;
        self
    }

    async fn send(self) -> Result<WriteResult> {
        if self.partial {
            self.client.require(PARTIAL_UPDATES)?;
        }
        let write = RowWrite {
            requests: RowRequests {
                client: self.client,
                collection: self.collection,
                write: Write::Upsert {
                    partial: self.partial,
                },
                field_changes: self.field_changes,
            },
            input: self.input,
            options: self.options,
            settings: self.settings,
        };
        write.send().await
    }
}
