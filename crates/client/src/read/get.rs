//! `get`: rows by primary key, any number of them.
//!
//! Invariant: every id is asked for exactly once; a part whose answer is too large is halved, not given
//! up; an old description of the collection is found out before the first rows are given.

use std::ops::Range;
use std::sync::Arc;

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use milvus_transport::ErrorKind;

use super::query::Query;
use super::target::ReadTarget;
use crate::call::{CallSettings, Clock};
use crate::client::Client;
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, Result};
use crate::filter::TEMPLATES;
use crate::results::{Ids, Rows};

/// Parts under way at a time.
const CONCURRENCY: usize = 4;
/// Bytes that an answer may have, as far as the schema tells. Servers stop at 100 MiB.
const ANSWER_BYTES: usize = 64 << 20;
/// What a row is taken to need beside its vectors.
const ROW_BYTES: usize = 256;

impl Client {
    /// Reads rows by primary key, any number of them.
    ///
    /// Ids without a row are left out; the order of the rows is the server's.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let rows = client.get("docs").ids([1, 2, 3]).output_fields(["title"]).await?;
    /// # let _ = rows;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] when the ids are not of the primary key's type; [`Error::Connection`].
    pub fn get(&self, collection: impl Into<String>) -> Get {
        Get {
            target: ReadTarget::new(self, collection.into()),
            ids: Arc::default(),
            settings: CallSettings::default(),
        }
    }
}

/// A request of [`Client::get`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `.await`"]
pub struct Get {
    target: ReadTarget,
    ids: Arc<Ids>,
    settings: CallSettings,
}

request!(Get => Rows);
read_target!(Get);

impl Get {
    /// Sets the primary keys.
    pub fn ids(mut self, ids: impl Into<Ids>) -> Self {
        self.ids = Arc::new(ids.into());
        self
    }

    /// Reads the rows part by part, for more of them than should be in memory at a time.
    pub fn pages(self) -> impl Stream<Item = Result<Rows>> + Send + 'static {
        stream::once(self.parts()).try_flatten()
    }

    async fn parts(mut self) -> Result<BoxStream<'static, Result<Rows>>> {
        let clock = self.settings.start();
        let collection = self.target.require(&clock).await?;
        let error = match self.begin(&collection, &clock).await {
            Ok(parts) => return Ok(parts),
            Err(error) => error,
        };
        match self.target.renew(&error, &clock).await {
            Some(fresh) => self.begin(&fresh, &clock).await,
            None => Err(error),
        }
    }

    /// Reads the first part, which shows whether the description is the collection's own, and then, with the stream, the
    /// others.
    async fn begin(
        &self,
        collection: &CollectionDescription,
        clock: &Clock,
    ) -> Result<BoxStream<'static, Result<Rows>>> {
        let key = self.ids.check(collection)?.to_owned();
        let most = ANSWER_BYTES / row_bytes(collection, &self.target.output_fields);
        let parts = self.ids.parts(most);
        let part = Arc::new(Part {
            has_templates: self.target.client.is_known_to_have(TEMPLATES),
            get: self.clone(),
            key,
            clock: clock.clone(),
        });
        let read = move |range| {
            let part = Arc::clone(&part);
            async move { part.read(range).await }
        };
        let mut parts = stream::iter(parts).map(read).buffered(CONCURRENCY);
        let first = parts.try_next().await?;
        Ok(stream::iter(first.map(Ok)).chain(parts).boxed())
    }

    async fn send(self) -> Result<Rows> {
        let parts: Vec<Rows> = self.parts().await?.try_collect().await?;
        Rows::joined(parts)
    }
}

struct Part {
    get: Get,
    key: String,
    has_templates: bool,
    clock: Clock,
}

impl Part {
    /// Reads these ids; halves them as long as the answer is too large.
    async fn read(&self, range: Range<usize>) -> Result<Rows> {
        let mut parts = Vec::new();
        let mut left = vec![range];
        while let Some(range) = left.pop() {
            let mut query = self
                .get
                .target
                .client
                .query(self.get.target.collection.as_str());
            query.target = self.get.target.clone();
            query.filter = self
                .get
                .ids
                .filter(range.clone(), &self.key, self.has_templates);
            let message = query.message(query.filter.expression.clone(), None, Vec::new());
            match Query::call(&query.target.client, message, &self.clock).await {
                Ok(part) => parts.push(part),
                Err(error) if range.len() > 1 && is_too_large(&error) => {
                    let middle = range.start + range.len() / 2;
                    left.push(middle..range.end);
                    left.push(range.start..middle);
                }
                Err(error) => return Err(error),
            }
        }
        Rows::joined(parts)
    }
}

/// Whether fewer rows would have been answered.
fn is_too_large(error: &Error) -> bool {
    error.connection_error().is_some_and(|error| {
        error.kind() == ErrorKind::ResponseTooLarge
            // The proxy's own limit has no code of its own, only its name in the text.
            || error.answer().is_some_and(|answer| answer.reason().contains("maxOutputSize"))
    })
}

/// What a row needs in an answer, as far as the schema tells.
fn row_bytes(collection: &CollectionDescription, output_fields: &[String]) -> usize {
    let all = output_fields.iter().any(|field| field == "*");
    let vectors = collection
        .schema
        .fields
        .iter()
        .filter(|field| all || output_fields.contains(&field.name))
        .filter_map(crate::schema::FieldSchema::vector_bytes);
    vectors.fold(ROW_BYTES, usize::saturating_add)
}
