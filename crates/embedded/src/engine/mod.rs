//! The engine: one writer thread, any number of readers, and the immutable state between them.
//!
//! The invariant: **readers see exactly the committed requests.** The writer works on a draft, commits its log, and only then swaps the draft in; a reader loads the state once and works on
//! that, without a lock. A failed commit throws the draft away.

mod batch;
mod clock;
mod draft;
mod flush;
mod functions;
mod keys;
mod merge;
mod open;
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

pub(crate) use batch::{PreparedDelete, PreparedRows, complete_partial_rows};
pub(crate) use clock::{Clock, physical_milliseconds};
pub(crate) use draft::Draft;
pub(crate) use functions::analyzer_of;
pub(crate) use keys::Key;
pub(crate) use query::QueryRequest;
pub(crate) use ranker::{Ranker, fuse};
pub(crate) use read::{BoundFilter, Reader};
pub(crate) use registry::open;
pub use registry::{Location, OpenError, Options};
pub(crate) use search::{Grouping, Hit, ScoreRange, SearchRequest, Targets};
pub(crate) use segment::Segment;
pub(crate) use snapshot::{PartitionSnapshot, SegmentView, Snapshot, State};
use writer::Writer;

use crate::error::MilvusError;
use crate::storage::Store;

/// An open database.
#[derive(Debug)]
pub(crate) struct Engine {
    store: Arc<Store>,
    state: Arc<ArcSwap<State>>,
    clock: Arc<Clock>,
    writer: Writer,
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
        self.writer
            .submit(change)
            .await
            .unwrap_or_else(|_| Err(MilvusError::closed()))
    }
}
