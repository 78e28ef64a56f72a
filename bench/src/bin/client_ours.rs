//! The client program around this project, through its front door: an alias of the registry, and the client's verbs.
//! Credentials, metadata, deadline, status check and accounting are in place, as they always are.
//!
//! Invariant: default options, but for what the job names.

use std::sync::OnceLock;
use std::time::Duration;

use milvus_bench::client::{self, COLLECTION, DIMENSION, INSERT_ROWS, Peer, Target};
use milvus_bench::faults::Failed;
use milvus_bench::messages::{KEY_FIELD, VECTOR_FIELD, numbers};
use milvus_connections::{Client, ConnectionParams, connections};
use milvus_protocol::milvus::{GetVersionRequest, ShowCollectionsRequest};
use milvus_protocol::rpc;

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

fn main() -> anyhow::Result<()> {
    client::run::<Ours>()
}
