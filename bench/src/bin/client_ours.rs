//! The client program around this project, through its front door: an alias of the registry, and the client's verbs.
//! Credentials, metadata, deadline, status check and accounting are in place, as they always are.
//!
//! Invariant: default options, but for what the job names.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use milvus_bench::client::{self, COLLECTION, DIMENSION, INSERT_ROWS, Peer, Target};
use milvus_bench::data::{self, DataPeer, Form, Meter};
use milvus_bench::faults::Failed;
use milvus_bench::messages::{self, KEY_FIELD, VECTOR_FIELD, numbers};
use milvus_connections::{Client, ConnectionParams, connections};
use milvus_protocol::milvus::{GetVersionRequest, QueryResults, ShowCollectionsRequest};
use milvus_protocol::{SegmentedBuf, packed_bytes, packed_values, rpc};
use prost::Message as _;
use serde_json::Value;

/// The default of `idle_timeout`.
const IDLE_TIMEOUT: u64 = 300;

#[derive(Clone)]
struct Ours {
    client: Client,
}

/// Names one more alias each time.
fn new_alias() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("bench-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Peer for Ours {
    async fn connect(target: &Target, number: usize) -> anyhow::Result<Self> {
        let mut params = ConnectionParams::uri(target.uri.as_str());
        if let Some(token) = &target.token {
            params = params.token(token.as_str());
        }
        if let Some(database) = &target.database {
            params = params.db_name(database);
        }
        if let Some(ca) = &target.ca {
            params = params.ca_pem_path(ca);
        }
        if let Some(seconds) = target.timeout {
            params = params.timeout(Duration::from_secs_f64(seconds));
        }
        if let Some(seconds) = target.deadline {
            params = params.call_timeout(Duration::from_secs_f64(seconds));
        }
        if let Some(channels) = target.channels {
            params = params.max_channels(channels);
        }
        if number > 0 {
            // Another fingerprint for each number, so that nothing is shared between them.
            let seconds = IDLE_TIMEOUT + u64::try_from(number)?;
            params = params.idle_timeout(Duration::from_secs(seconds));
        }
        let client = connections().connect_with(&new_alias(), params).await?;
        Ok(Self { client })
    }

    async fn small_call(&self) -> anyhow::Result<()> {
        self.client
            .connection()
            .call(&rpc::GET_VERSION, GetVersionRequest {})
            .await?;
        Ok(())
    }

    async fn database_call(&self) -> anyhow::Result<()> {
        self.client
            .connection()
            .call(&rpc::SHOW_COLLECTIONS, ShowCollectionsRequest::default())
            .await?;
        Ok(())
    }

    async fn insert(&self) -> anyhow::Result<()> {
        // The rows are made once; a request owns its rows, so each call gets a copy, as with the official client.
        static VECTORS: OnceLock<Vec<f32>> = OnceLock::new();
        let vectors = VECTORS.get_or_init(|| numbers().take(INSERT_ROWS * DIMENSION).collect());
        let keys: Vec<i64> = (0..).take(INSERT_ROWS).collect();
        self.client
            .insert(COLLECTION)
            .column(KEY_FIELD, keys)
            .column(VECTOR_FIELD, vectors.clone())
            .await?;
        Ok(())
    }

    async fn insert_row(&self, key: i64) -> Result<(), Failed> {
        let outcome = self
            .client
            .insert(COLLECTION)
            .column(KEY_FIELD, vec![key])
            .column(
                VECTOR_FIELD,
                numbers().take(DIMENSION).collect::<Vec<f32>>(),
            )
            .await;
        let error = match outcome {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let applied = error
            .connection_error()
            .map(milvus_connections::transport::Error::applied);
        Err(Failed {
            not_applied: applied == Some(milvus_connections::transport::Applied::No),
            said: error.to_string(),
        })
    }

    async fn large_answer(&self) -> anyhow::Result<usize> {
        let rows = self
            .client
            .query(COLLECTION)
            .filter(format!("{KEY_FIELD} >= 0"))
            .output_fields([VECTOR_FIELD])
            .await?;
        let vectors = rows.column(VECTOR_FIELD)?.packed_vectors();
        Ok(vectors.map_or(0, bytes::Bytes::len))
    }
}

#[derive(serde::Serialize)]
struct Row {
    id: i64,
    vector: Vec<f32>,
}

impl DataPeer for Ours {
    async fn insert_rows(&self, rows: usize, form: Form) -> anyhow::Result<Value> {
        let insert = self.client.insert(COLLECTION);
        let bytes = rows * data::VECTOR_BYTES;
        match form {
            Form::Columns => {
                let keys: Vec<i64> = (0..rows).map(data::key).collect();
                let vectors = data::vectors(rows);
                let meter = Meter::start();
                insert
                    .column(KEY_FIELD, keys)
                    .column(VECTOR_FIELD, vectors)
                    .await?;
                Ok(meter.stop(bytes))
            }
            Form::Rows => {
                let vectors = data::vectors(rows);
                let row = |(row, vector): (usize, &[f32])| Row {
                    id: data::key(row),
                    vector: vector.to_vec(),
                };
                let rows: Vec<Row> = vectors
                    .chunks(data::DIMENSION)
                    .enumerate()
                    .map(row)
                    .collect();
                drop(vectors);
                let meter = Meter::start();
                insert.rows(&rows).await?;
                Ok(meter.stop(bytes))
            }
        }
    }

    async fn load_file(&self, path: &Path) -> anyhow::Result<Value> {
        let meter = Meter::start();
        let (rows, vectors) = data::read_numpy(path)?;
        let keys: Vec<i64> = (0..rows).map(data::key).collect();
        self.client
            .insert(COLLECTION)
            .column(KEY_FIELD, keys)
            .column(VECTOR_FIELD, vectors)
            .await?;
        self.client.flush([COLLECTION]).await?;
        Ok(meter.stop(rows * data::VECTOR_BYTES))
    }

    async fn search(&self) -> anyhow::Result<usize> {
        static VECTOR: OnceLock<Vec<f32>> = OnceLock::new();
        let vector = VECTOR.get_or_init(|| data::vectors(1));
        let found = self
            .client
            .search(COLLECTION)
            .field(VECTOR_FIELD)
            .vector(vector)
            .limit(10)
            .await?;
        Ok(found.query(0).len())
    }

    async fn answer(&self) -> anyhow::Result<usize> {
        let rows = self
            .client
            .query(COLLECTION)
            .filter(format!("{KEY_FIELD} >= 0"))
            .output_fields([VECTOR_FIELD])
            .await?;
        Ok(rows.column(VECTOR_FIELD)?.values::<f32>()?.len() * 4)
    }

    fn encode(seconds: f64) -> anyhow::Result<f64> {
        let vectors: Arc<[f32]> = data::vectors(data::MESSAGE_ROWS).into();
        let keys: Vec<i64> = (0..data::MESSAGE_ROWS).map(data::key).collect();
        Ok(data::pace(seconds, || {
            // From the caller's array to the pieces that go to the socket: no number is moved.
            let request = messages::insert_of(keys.clone(), packed_bytes(Arc::clone(&vectors)));
            let mut pieces = SegmentedBuf::new(request.encoded_len());
            // The buffer grows as needed.
            let _ = request.encode(&mut pieces);
            std::hint::black_box(pieces.into_segments());
            vectors.len() * 4
        }))
    }

    fn decode(seconds: f64, answer: Bytes) -> anyhow::Result<f64> {
        let once = || -> anyhow::Result<usize> {
            let answer = QueryResults::decode(answer.clone())?;
            let packed = messages::packed_vectors(&answer).context("no vectors came")?;
            let values = packed_values::<f32>(&packed)?;
            Ok(std::hint::black_box(&values).len() * 4)
        };
        once()?;
        Ok(data::pace(seconds, || once().unwrap_or_default()))
    }
}

fn main() -> anyhow::Result<()> {
    client::run::<Ours>()
}
