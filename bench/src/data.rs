//! What the benchmark `data` moves: 768 numbers a vector, inserts of many rows, searches, answers; and the meter of a client's
//! own cost.
//!
//! Invariant: the caller's data is made before the meter starts, in the form in which each client's guide takes it.

use std::fs;
use std::future::Future;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use milvus_connections::client::MetricType;
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::{CollectionSchema, FieldSchema};
use milvus_connections::{ConnectionParams, connections};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{COLLECTION, Target};
use crate::messages::{KEY_FIELD, VECTOR_FIELD, numbers};
use crate::resources::{peak_resident_bytes, processor_time, reset_peak, resident_bytes};

/// Numbers in a vector.
pub const DIMENSION: usize = 768;
/// Bytes of a vector.
pub const VECTOR_BYTES: usize = DIMENSION * 4;
/// The vectors of one message that is encoded.
pub const MESSAGE_ROWS: usize = 1_000;
/// The vectors of one answer that is decoded.
pub const ANSWER_ROWS: usize = 100;
/// Rows of one insert, for clients that leave it to the caller to cut: 15 MB.
pub const BATCH_ROWS: usize = 5_000;

/// The form in which the caller has the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A list of keys and a list of vectors (or one array of all of them).
    Columns,
    /// A struct, map or dictionary for each row.
    Rows,
}

/// The vectors of so many rows, one after the other.
pub fn vectors(rows: usize) -> Vec<f32> {
    // Made of one stretch of numbers, since nobody looks at them, but everybody has to move them.
    let stretch: Vec<f32> = numbers().take(DIMENSION * 64).collect();
    let mut all = Vec::with_capacity(rows * DIMENSION);
    while all.len() < rows * DIMENSION {
        let left = rows * DIMENSION - all.len();
        all.extend_from_slice(&stretch[..stretch.len().min(left)]);
    }
    all
}

/// The key of a row.
pub fn key(row: usize) -> i64 {
    i64::try_from(row).unwrap_or(i64::MAX)
}

/// What a client spends from [`Meter::start`] on.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    processor: Duration,
    resident: u64,
}

impl Meter {
    /// Starts: what the process has now, the caller's data among it, does not count.
    pub fn start() -> Self {
        reset_peak();
        Self {
            began: Instant::now(),
            processor: processor_time(),
            resident: resident_bytes(),
        }
    }

    /// What was spent on so many bytes of vectors.
    pub fn stop(self, bytes: usize) -> Value {
        let seconds = self.began.elapsed().as_secs_f64();
        let processor = (processor_time() - self.processor).as_secs_f64();
        let peak = peak_resident_bytes().saturating_sub(self.resident);
        #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let (bytes, peak) = (bytes as f64, peak as f64);
        json!({
            "seconds": seconds,
            "megabytes_per_second": bytes / 1e6 / seconds,
            "cpu_per_gigabyte": processor / (bytes / 1e9),
            "peak_megabytes": peak / 1e6,
        })
    }
}

/// Runs `once` (which says how many bytes of vectors it moved) for some time; gigabytes per second.
pub fn pace(seconds: f64, mut once: impl FnMut() -> usize) -> f64 {
    let limit = Duration::from_secs_f64(seconds);
    let warm = Instant::now();
    while warm.elapsed() < limit / 5 {
        black_box(once());
    }
    let (began, mut bytes) = (Instant::now(), 0);
    while began.elapsed() < limit {
        bytes += black_box(once());
    }
    #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    let bytes = bytes as f64;
    bytes / 1e9 / began.elapsed().as_secs_f64()
}

/// Copies one message's vectors: what encoding and decoding are measured by.
pub fn memcpy(seconds: f64) -> f64 {
    let source = vectors(MESSAGE_ROWS);
    let mut target = vec![0.0_f32; source.len()];
    pace(seconds, || {
        target.copy_from_slice(black_box(&source));
        black_box(&mut target);
        source.len() * 4
    })
}

/// A NumPy file of so many vectors.
///
/// # Errors
/// When it can't be written.
pub fn write_numpy(path: &Path, rows: usize) -> anyhow::Result<()> {
    let head =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {DIMENSION}), }}");
    let padding = 64 - (10 + head.len() + 1) % 64;
    let length = u16::try_from(head.len() + padding + 1)?;
    let mut file = fs::File::create(path).context("could not make the NumPy file")?;
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(head.as_bytes())?;
    file.write_all(" ".repeat(padding).as_bytes())?;
    file.write_all(b"\n")?;
    let all: Vec<u8> = vectors(rows)
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    file.write_all(&all)?;
    Ok(())
}

/// The vectors of such a file, and how many there are.
///
/// # Errors
/// When it can't be read.
pub fn read_numpy(path: &Path) -> anyhow::Result<(usize, Bytes)> {
    let all = Bytes::from(fs::read(path)?);
    let length = all.get(8..10).context("no NumPy file")?;
    let begin = 10 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    let vectors = all.slice(begin.min(all.len())..);
    Ok((vectors.len() / VECTOR_BYTES, vectors))
}

/// Makes the collection of the benchmark `data` anew on a real server, indexed and loaded.
///
/// # Errors
/// What the server says.
pub async fn prepare(target: &Target, rows: usize) -> anyhow::Result<()> {
    let mut params = ConnectionParams::uri(target.uri.as_str());
    if let Some(token) = &target.token {
        params = params.token(token.as_str());
    }
    let client = connections().connect_with("prepare", params).await?;
    if client.has_collection(COLLECTION).await? {
        client.drop_collection(COLLECTION).await?;
    }
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64(KEY_FIELD).primary_key())
        .field(FieldSchema::float_vector(VECTOR_FIELD, DIMENSION));
    client
        .create_collection(COLLECTION, schema)
        .index(VECTOR_FIELD, Index::flat(MetricType::L2))
        .await?;
    if rows > 0 {
        let keys: Vec<i64> = (0..rows).map(key).collect();
        client
            .insert(COLLECTION)
            .column(KEY_FIELD, keys)
            .column(VECTOR_FIELD, vectors(rows))
            .await?;
        client.flush([COLLECTION]).await?;
    }
    Ok(())
}

/// What a client does in the benchmark `data`. What a client has no way for is an error that says so.
pub trait DataPeer: Sized {
    /// Inserts so many rows from the caller's memory.
    fn insert_rows(
        &self,
        rows: usize,
        form: Form,
    ) -> impl Future<Output = anyhow::Result<Value>> + Send;
    /// Inserts the rows of a NumPy file and has them flushed.
    fn load_file(&self, path: &Path) -> impl Future<Output = anyhow::Result<Value>> + Send;
    /// Searches ten hits for one vector; how many came.
    fn search(&self) -> impl Future<Output = anyhow::Result<usize>> + Send;
    /// Queries [`ANSWER_ROWS`] vectors; the bytes that came.
    fn answer(&self) -> impl Future<Output = anyhow::Result<usize>> + Send;
    /// Encodes [`MESSAGE_ROWS`] vectors; gigabytes per second.
    fn encode(seconds: f64) -> anyhow::Result<f64>;
    /// Decodes an answer of [`ANSWER_ROWS`] vectors to a slice of its numbers; gigabytes per second.
    fn decode(seconds: f64, answer: Bytes) -> anyhow::Result<f64>;
}
