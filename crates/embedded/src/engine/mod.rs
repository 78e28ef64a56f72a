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
}

impl Engine {
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

    /// Whether a write to this collection should wait in [`Engine::wait_for_flush`] first.
    pub(crate) fn is_crowded(&self, collection: u64) -> bool {
        let state = self.state.load();
        let snapshot = state.collections.get(&collection);
        snapshot.is_some_and(|snapshot| flush::is_crowded(snapshot))
    }

    /// Waits, at most two seconds, until a flush has made room. Blocks its thread.
    pub(crate) fn wait_for_flush(&self, collection: u64) {
        self.maintenance
            .bell()
            .wait_for_flush(|| !self.is_crowded(collection));
    }
}
