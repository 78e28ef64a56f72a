//! What `bench embedded` asks of a database, whoever it is: fill, read, be killed, come back.
//!
//! The rows are in two files of packed little-endian `f32` that the driver writes, so that all read the same ones. Row *i* has
//! the key *i*, the number *i* · 7919 mod 1000 (so a filter `n < p` leaves *p* tenths of a percent, spread over all rows), and a
//! short text.
//!
//! Invariant: `python/embedded.py` does the same, step by step.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The collection.
pub const COLLECTION: &str = "bench";
/// Hits of a search.
pub const LIMIT: usize = 10;
/// Rows of an insert.
pub const BATCH: usize = 1000;
/// The filters, by the tenths of a percent that they leave; 0 for none.
pub const SHARES: [u32; 4] = [0, 10, 100, 500];
/// Queries whose hits are compared with the true ones.
pub const CHECKED: usize = 20;

/// One process's work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatabaseJob {
    /// Where the database is: a path, or the address of a server.
    pub uri: String,
    /// What to do with it.
    pub step: Step,
    /// The rows' vectors.
    pub vectors: PathBuf,
    /// The vectors to search for.
    pub queries: PathBuf,
    /// Numbers in a vector.
    pub dimension: usize,
    /// Milvus's name of it.
    pub metric: String,
    /// How long each rate is measured.
    pub seconds: f64,
}

/// A part of the benchmark, in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Make the collection and insert all rows, then flush.
    Fill,
    /// Open, search, filter, query.
    Read,
    /// Insert, and say after each request how many rows are acknowledged, until killed.
    WriteUntilKilled,
    /// Open, search once, count.
    Reopen,
}

/// What a step found out. Those that it doesn't measure are zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Rows per second of all inserts, the reply awaited.
    pub insert_rate: f64,
    /// From before the database is opened to the first hit, in milliseconds.
    pub first_search_ms: f64,
    /// Searches per second of one caller and of two, by [`SHARES`].
    pub rates: Vec<(f64, f64)>,
    /// Rows per second of queries by a filter that leaves a tenth.
    pub query_rate: f64,
    /// Resident memory of the process at the end of its measurements.
    pub resident: u64,
    /// Of that, what belongs to no file.
    pub resident_anonymous: u64,
    /// Rows that are there.
    pub rows: u64,
    /// The keys found for the first [`CHECKED`] queries, by [`SHARES`].
    pub hits: Vec<Vec<Vec<i64>>>,
}

/// The number of a row.
pub fn number_of(row: usize) -> i64 {
    ((row * 7919) % 1000).try_into().unwrap_or_default()
}

/// The text of a row.
pub fn text_of(row: usize) -> String {
    format!("the text of row {row}, as long as a title is")
}

/// The filter that leaves so many tenths of a percent.
pub fn filter_of(share: u32) -> String {
    format!("n < {share}")
}

/// Reads packed numbers.
///
/// # Errors
/// When the file can't be read.
pub fn read_floats(path: &Path) -> anyhow::Result<Vec<f32>> {
    let bytes =
        std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    let numbers = bytes.as_chunks::<4>().0.iter();
    Ok(numbers.map(|four| f32::from_le_bytes(*four)).collect())
}
