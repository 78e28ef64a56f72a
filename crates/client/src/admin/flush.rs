//! Flushing: sealing the rows that are still growing and writing them to storage.
//!
//! Invariant: an awaited flush ends when every segment that held rows at its beginning is on storage.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_protocol::milvus::{
    FlushAllRequest, FlushRequest, FlushResponse, GetFlushAllStateRequest, GetFlushStateRequest,
    GetFlushStateResponse,
};
use milvus_protocol::rpc;
use milvus_protocol::schema::LongArray;

use super::progress::{Progress, ProgressStream, Step, finish, watch};
use super::request::{all_given, texts};
use crate::call::Clock;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

const FLUSHING: Feature = Feature::call("flushing");
/// Codes of Milvus (its `merr` package).
const CHANNEL_NOT_FOUND: i32 = 500;
const DATABASE_NOT_FOUND: i32 = 800;
/// Flushes of everything that may fail because something was dropped meanwhile, before it is told to the caller.
const MOST_VANISHED: u32 = 50;
const FLUSHING_ALL: Feature = Feature::call("flushing of all collections");

impl Client {
    /// Writes the rows of collections to storage and waits until they are there.
    ///
    /// Rows can be searched without it; it is for what looks at storage: statistics, index building,
    /// compaction, backup. Servers limit how often.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.flush(["docs"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when a collection does not exist or the rate is
    /// limited.
    pub fn flush(&self, collections: impl IntoIterator<Item = impl Into<String>>) -> Flush {
        Flush::new(self, texts(collections))
    }

    /// Writes the rows of all collections to storage and waits until they are there, which Milvus 2.3
    /// says some minutes late.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.flush_all().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`](crate::Error::MissingFeature) where the server flushes by collection
    /// only.
    pub fn flush_all(&self) -> FlushAll {
        FlushAll::new(self)
    }

    /// Asks whether what a flush sealed is on storage.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for flushed in client.flush(["docs"]).no_wait().await? {
    ///     println!("{}", client.flush_state(&flushed).await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the collection does not exist.
    pub fn flush_state(&self, flushed: &FlushedCollection) -> GetFlushState {
        GetFlushState::new(self, flushed.clone())
    }
}

request_type! {
    /// A request of [`Client::flush`].
    Flush(collections: Vec<String>) { no_wait: bool } => Vec<FlushedCollection>
}

/// What a flush did to one collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushedCollection {
    /// The collection.
    pub collection: String,
    /// Segments that were growing and are sealed now.
    pub sealed_segments: Vec<i64>,
    /// Segments that were sealed before.
    pub flushed_segments: Vec<i64>,
    /// Rows written before this (hybrid) timestamp are covered; 0 from servers that do not say.
    pub timestamp: u64,
    /// When the sealing began, in seconds since 1970.
    pub seal_time: i64,
}

impl Flush {
    /// Returns when the server has sealed the rows, before they are on storage.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Flushes and follows the flushing, in collections.
    pub fn progress(self) -> ProgressStream {
        let client = self.client.clone();
        watch(
            self.settings.clone(),
            move |clock| async move { self.begin(&clock).await },
            move |flushed, clock| flush_step(client.clone(), flushed, clock),
        )
    }

    fn message(&self) -> Result<FlushRequest> {
        Ok(FlushRequest {
            collection_names: all_given("flush", "collections", &self.collections)?,
            ..FlushRequest::default()
        })
    }

    async fn begin(&self, clock: &Clock) -> Result<Vec<FlushedCollection>> {
        let message = self.message()?;
        let call = self.client.call(FLUSHING, &rpc::FLUSH, message, clock);
        let answer = call.await?;
        Ok(FlushedCollection::of(&self.collections, answer))
    }

    async fn send(self) -> Result<Vec<FlushedCollection>> {
        let clock = self.settings.start();
        let flushed = self.begin(&clock).await?;
        if self.no_wait {
            return Ok(flushed);
        }
        let client = self.client.clone();
        let begun = flushed.clone();
        let wait = watch(
            clock.settings(),
            move |_| async move { Ok(begun) },
            move |flushed, clock| flush_step(client.clone(), flushed, clock),
        );
        finish(wait).await?;
        Ok(flushed)
    }
}

async fn flush_step(
    client: Client,
    flushed: Arc<Vec<FlushedCollection>>,
    clock: Clock,
) -> Result<Step> {
    let mut done = 0;
    for collection in flushed.iter() {
        let question = GetFlushState::new(&client, collection.clone());
        done += i64::from(question.ask(&clock).await?);
    }
    let total = i64::try_from(flushed.len()).unwrap_or(i64::MAX);
    let progress = Progress::new(done, total);
    Ok(if done == total {
        Step::Last(progress)
    } else {
        Step::More(progress)
    })
}

impl FlushedCollection {
    fn of(collections: &[String], mut answer: FlushResponse) -> Vec<Self> {
        let segments = |map: &mut HashMap<String, LongArray>, name: &str| {
            map.remove(name).map(|array| array.data).unwrap_or_default()
        };
        let flushed = collections.iter().map(|name| Self {
            collection: name.clone(),
            sealed_segments: segments(&mut answer.coll_seg_i_ds, name),
            flushed_segments: segments(&mut answer.flush_coll_seg_i_ds, name),
            timestamp: answer.coll_flush_ts.remove(name).unwrap_or(0),
            seal_time: answer.coll_seal_times.remove(name).unwrap_or(0),
        });
        flushed.collect()
    }
}

request_type! {
    /// A request of [`Client::flush_state`].
    GetFlushState(flushed: FlushedCollection) => bool
}

impl GetFlushState {
    fn message(&self) -> GetFlushStateRequest {
        GetFlushStateRequest {
            segment_i_ds: self.flushed.sealed_segments.clone(),
            flush_ts: self.flushed.timestamp,
            collection_name: self.flushed.collection.clone(),
            ..GetFlushStateRequest::default()
        }
    }

    async fn ask(&self, clock: &Clock) -> Result<bool> {
        let call = self
            .client
            .call(FLUSHING, &rpc::GET_FLUSH_STATE, self.message(), clock);
        let answer: GetFlushStateResponse = call.await?;
        Ok(answer.flushed)
    }

    async fn send(self) -> Result<bool> {
        self.ask(&self.settings.start()).await
    }
}

request_type! {
    /// A request of [`Client::flush_all`].
    FlushAll() { database: String, no_wait: bool } => ()
}

impl FlushAll {
    /// Flushes the collections of this database only.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = database.into();
        self
    }

    /// Returns when the server has sealed the rows, before they are on storage.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    fn message(&self) -> FlushAllRequest {
        FlushAllRequest {
            db_name: self.database.clone(),
            ..FlushAllRequest::default()
        }
    }

    /// Milvus 2.3 flushes one collection after the other, and stops with "not found" when one is dropped while it does so.
    /// The request has named no collection: the next try finds the others.
    async fn begin(&self, clock: &Clock) -> Result<u64> {
        let mut vanished = 0;
        loop {
            let call = self
                .client
                .call(FLUSHING_ALL, &rpc::FLUSH_ALL, self.message(), clock);
            match call.await {
                Ok(answer) => return Ok(answer.flush_all_ts),
                Err(error) if vanished < MOST_VANISHED && self.is_of_another(&error) => {
                    vanished += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the server misses something that the request has not named.
    fn is_of_another(&self, error: &Error) -> bool {
        let answer = error
            .connection_error()
            .and_then(milvus_transport::Error::answer);
        answer.is_some_and(|answer| match answer.code() {
            CHANNEL_NOT_FOUND => true,
            DATABASE_NOT_FOUND => self.database.is_empty(),
            _ => error.is_collection_not_found(),
        })
    }

    async fn send(self) -> Result<()> {
        if self.no_wait {
            self.begin(&self.settings.start()).await?;
            return Ok(());
        }
        let (client, database) = (self.client.clone(), self.database.clone());
        let wait = watch(
            self.settings.clone(),
            move |clock| async move { self.begin(&clock).await },
            move |timestamp, clock| {
                let question = GetFlushAllStateRequest {
                    flush_all_ts: *timestamp,
                    db_name: database.clone(),
                    ..GetFlushAllStateRequest::default()
                };
                let client = client.clone();
                async move {
                    let rpc = &rpc::GET_FLUSH_ALL_STATE;
                    let answer = client.call(FLUSHING_ALL, rpc, question, &clock).await?;
                    Ok(if answer.flushed {
                        Step::Last(Progress::new(1, 1))
                    } else {
                        Step::More(Progress::new(0, 1))
                    })
                }
            },
        );
        finish(wait).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_collection_gets_its_own_segments() {
        let names = ["a".to_owned(), "b".to_owned()];
        let answer = FlushResponse {
            coll_seg_i_ds: [("b".to_owned(), LongArray { data: vec![7, 8] })].into(),
            coll_flush_ts: [("a".to_owned(), 3)].into(),
            ..FlushResponse::default()
        };
        let flushed = FlushedCollection::of(&names, answer);
        assert_eq!((flushed[0].timestamp, flushed[1].timestamp), (3, 0));
        assert!(flushed[0].sealed_segments.is_empty());
        assert_eq!(flushed[1].sealed_segments, [7, 8]);
    }
}
