//! The engine: one writer thread, one worker that flushes and compacts, any number of readers, and the immutable state between them.
//!
//! The invariant: **readers see exactly the committed requests.** The writer works on a draft, commits its log, and only then swaps the draft in; a reader loads the state once and works on
//! that, without a lock. A failed commit throws the draft away.

mod batch;
mod clock;
mod compaction;
mod deletions;
mod draft;
mod flush;
mod functions;
mod grouping;
mod keys;
mod maintenance;
mod merge;
mod open;
mod partial;
mod pins;
mod query;
mod ranker;
mod read;
mod registry;
mod search;
mod segment;
mod snapshot;
mod threads;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub(crate) use batch::{PreparedDelete, PreparedRows};
pub(crate) use clock::{Clock, physical_milliseconds};
pub(crate) use draft::Draft;
pub(crate) use functions::analyzer_of;
pub(crate) use grouping::Grouping;
pub(crate) use keys::Key;
use maintenance::Maintenance;
pub(crate) use partial::{ArrayChange, PartialRows, replaced_partitions};
pub(crate) use pins::{Pinned, Pins};
pub(crate) use query::QueryRequest;
pub(crate) use ranker::{Ranker, fuse};
pub(crate) use read::{BoundFilter, Reader};
pub(crate) use registry::open;
pub use registry::{Location, OpenError, Options};
pub(crate) use search::{Hit, ScoreRange, SearchRequest, Targets};
pub(crate) use segment::Segment;
pub(crate) use snapshot::{PartitionSnapshot, SegmentView, Snapshot, State};
pub(crate) use threads::Cancellation;
use threads::Threads;
use writer::Writer;

use crate::error::MilvusError;
use crate::storage::Store;

/// An open database.
#[derive(Debug)]
pub(crate) struct Engine {
    // Stopped first: its last work goes through the writer.
    maintenance: Maintenance,
    writer: Writer,
    store: Arc<Store>,
    state: Arc<ArcSwap<State>>,
    clock: Arc<Clock>,
    pins: Pins,
    /// For reads.
    scans: Threads,
    /// For what comes before a write, which must not wait for reads.
    preparations: Threads,
}

impl Engine {
    /// Reads, on a thread of their own; `None` when the work panicked. Dropping the future cancels it.
    pub(crate) async fn scan<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancellation) -> R + Send + 'static,
    ) -> Option<R> {
        self.scans.run(work).await
    }

    /// Makes a write ready, on a thread of its own; `None` when the work panicked.
    pub(crate) async fn prepare<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        self.preparations.run(|_| work()).await
    }

    /// The committed state of this moment.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The source of timestamps and automatic keys.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The snapshots that iterators stay at.
    pub(crate) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The files.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Runs `change` in the writer, and completes when what it wrote is as durable as the database promises.
    ///
    /// Dropping the future doesn't take the change back: once it has begun, it is committed or refused as a whole.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Draft<'_>) -> Result<R, MilvusError> + Send + 'static,
    ) -> Result<R, MilvusError> {
        let outcome = self.writer.submit(change).await;
        // What was replaced just now may be in memory for iterators alone.
        self.pins.fit(&self.state.load());
        outcome.unwrap_or_else(|_| Err(MilvusError::closed()))
    }

    /// Moves the growing rows of a collection to files; with `compact` also makes better files of those that are small or mostly
    /// deleted. Completes when that is done.
    pub(crate) async fn flush(&self, collection: u64, compact: bool) -> Result<(), MilvusError> {
        self.maintenance
            .flush(collection, compact)
            .await
            .unwrap_or_else(|_| Err(MilvusError::closed()))
    }

    /// Waits before a write while far more rows of the collection are growing than make a flush.
    ///
    /// # Errors
    /// When flushes fail: then rows only come and none go.
    pub(crate) async fn wait_for_room(&self, collection: u64) -> Result<(), MilvusError> {
        let is_crowded = || {
            let state = self.state.load();
            let snapshot = state.collections.get(&collection);
            // Of a damaged one nothing is flushed, and the write is refused.
            snapshot.is_some_and(|snapshot| {
                flush::is_crowded(snapshot) && snapshot.check_files().is_ok()
            })
        };
        self.maintenance.wait_for_room(collection, is_crowded).await
    }
}
