//! Writing rows: insert, upsert, delete; of any number.
//!
//! A write is cut into requests below the server's limit, a few of which are under way at a time. Each
//! is built when its turn comes, so that memory holds the caller's rows and a few requests; vectors given as
//! columns are slices of the caller's.
//!
//! Invariant: every row is in exactly one request, and the outcome of every row is reported.

#[macro_use]
mod options;
mod delete;
mod insert;
mod pieces;
mod pipeline;
mod prepared;
mod rows;
mod source;
mod survey;
mod upsert;

use std::collections::BTreeMap;

use milvus_protocol::common::Status;
use milvus_protocol::milvus::MutationResult;

use crate::cache::CollectionKey;
use crate::client::Client;
use crate::error::Result;
use crate::results::Ids;

pub use delete::{Delete, DeleteResult};
pub use insert::Insert;
pub use options::WriteProgress;
pub use prepared::PreparedRows;
pub use upsert::{FieldChange, Upsert};

/// What a write of rows did. All rows were acknowledged.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WriteResult {
    /// Rows that were written, as the server counts them.
    pub rows: u64,
    /// The primary keys, row by row: the caller's own, or those the server made up.
    pub ids: Ids,
    /// The (hybrid) timestamp of the last write, for
    /// [`ConsistencyLevel::Timestamp`](crate::ConsistencyLevel::Timestamp).
    pub timestamp: u64,
    /// How many requests it took.
    pub requests: usize,
    /// What the write cost, from services that count it (in their own unit); else 0.
    pub cost: u64,
}

/// Answers as they come in, in any order.
#[derive(Debug, Default)]
struct Answers {
    ids: BTreeMap<u64, Ids>,
    result: WriteResult,
}

impl Answers {
    fn add(&mut self, first_row: u64, count: i64, answer: MutationResult) -> Result<()> {
        self.ids.insert(first_row, Ids::from_wire(answer.i_ds)?);
        self.result.rows += u64::try_from(count).unwrap_or(0);
        self.result.timestamp = self.result.timestamp.max(answer.timestamp);
        self.result.requests += 1;
        self.result.cost += answer.status.as_ref().map_or(0, cost);
        Ok(())
    }

    fn finish(self) -> WriteResult {
        let mut result = self.result;
        for ids in self.ids.into_values() {
            result.ids.extend(ids);
        }
        result
    }
}

/// What a call cost, as the service counts it.
pub(crate) fn cost(status: &Status) -> u64 {
    let cost = status.extra_info.get("report_value");
    cost.and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

impl Client {
    /// Remembers a write for session consistency, under the name that was used and the collection's own.
    fn remember_write(&self, collection: &str, own_name: &str, timestamp: u64) {
        let sessions = &self.memory().sessions;
        sessions.advance(&CollectionKey::new(self.database(), collection), timestamp);
        if own_name != collection {
            sessions.advance(&CollectionKey::new(self.database(), own_name), timestamp);
        }
    }
}
