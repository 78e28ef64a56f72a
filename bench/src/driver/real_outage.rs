//! The outage of a real Milvus, and what it has of the rows that were sent meanwhile.
//!
//! Invariant: rows are counted by a strongly consistent query after the clients have ended, so that what Milvus keeps of an
//! insert counts, not what it said about it.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use milvus_bench::client::{COLLECTION, DIMENSION};
use milvus_bench::messages::KEY_FIELD;
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::CollectionSchema;
use milvus_connections::client::{ConsistencyLevel, MetricType};
use milvus_connections::{Client, ConnectionParams, Connections};
use milvus_testkit::real::{Milvus, MilvusOptions};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::faults::{Arrived, BEFORE, now_ms};

/// Rows that have to be there before all counts as well.
const ROWS_BEFORE: u64 = 100;
/// How long Milvus may take until it has loaded its rows again.
const LOAD_LIMIT: Duration = Duration::from_secs(600);
/// A query without an answer for so long gets none: see [`Outage::arrived`].
const COUNT_LIMIT: Duration = Duration::from_secs(10);

/// A Milvus of its own, with an empty collection.
pub(crate) struct Outage {
    milvus: Milvus,
    client: Client,
    runtime: Runtime,
}

/// When it was gone and when it was back, in milliseconds since 1970.
pub(crate) struct Happened {
    pub(crate) fault_ms: u64,
    pub(crate) up_ms: u64,
}

impl Outage {
    /// Starts a Milvus and makes the collection that the clients insert into.
    pub(crate) fn prepare() -> anyhow::Result<Self> {
        let milvus = Milvus::start(MilvusOptions::default())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let uri = milvus.server().uri();
        let client = runtime.block_on(async {
            let connections = Connections::isolated();
            let params = ConnectionParams::uri(uri.as_str());
            let client = connections.connect_with("observer", params).await?;
            let schema = CollectionSchema::ids_and_vectors(DIMENSION);
            client
                .create_collection(COLLECTION, schema)
                .index("vector", Index::flat(MetricType::L2))
                .await?;
            anyhow::Ok(client)
        })?;
        Ok(Self {
            milvus,
            client,
            runtime,
        })
    }

    pub(crate) fn uri(&self) -> String {
        self.milvus.server().uri()
    }

    /// Waits until rows come in, kills the server a while later, and starts it again after `down`; ends when it answers.
    pub(crate) fn happens(&mut self, down: Duration) -> anyhow::Result<Happened> {
        let client = &self.client;
        self.runtime.block_on(async {
            let until = Instant::now() + Duration::from_secs(60);
            while count(client).await? < ROWS_BEFORE {
                anyhow::ensure!(Instant::now() < until, "no inserts arrive");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        })?;
        thread::sleep(BEFORE);
        let fault_ms = now_ms()?;
        self.milvus.kill();
        thread::sleep(down);
        self.milvus.begin_restart()?;
        self.milvus.wait_until_ready()?;
        let up_ms = now_ms()?;
        Ok(Happened { fault_ms, up_ms })
    }

    /// What Milvus has, once it has loaded the collection again.
    ///
    /// A Milvus that was killed amid inserts may come back stuck in its log: for minutes it answers no strong query ("failed
    /// to wait tsafe"). It answers once it has flushed, which takes as long, and loads the collection from there.
    pub(crate) fn arrived(&self) -> anyhow::Result<Arrived> {
        self.runtime.block_on(async {
            let until = Instant::now() + LOAD_LIMIT;
            let rows = loop {
                let asked = Instant::now();
                // It has no rows to count before the collection is loaded again, and says so.
                match count(&self.client).await {
                    Ok(rows) => break rows,
                    Err(error) if Instant::now() > until => return Err(error),
                    Err(_) if asked.elapsed() < COUNT_LIMIT => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    Err(_) => self.flush_and_load(until).await?,
                }
            };
            let found = self
                .client
                .query(COLLECTION)
                .filter(format!("{KEY_FIELD} >= 0"))
                .output_fields([KEY_FIELD])
                .consistency(ConsistencyLevel::Strong)
                .await?;
            let column = found.column(KEY_FIELD)?;
            let keys: HashSet<i64> = column.values::<i64>()?.iter().copied().collect();
            // A query shows each key once, a count every row.
            let doubled = usize::try_from(rows)?.saturating_sub(keys.len());
            Ok(Arrived { keys, doubled })
        })
    }

    async fn flush_and_load(&self, until: Instant) -> anyhow::Result<()> {
        let flush = self.client.flush([COLLECTION]).into_future();
        tokio::time::timeout_at(until, flush)
            .await
            .context("Milvus does not flush")??;
        self.client.release_collection(COLLECTION).await?;
        self.client.load_collection(COLLECTION).await?;
        Ok(())
    }
}

async fn count(client: &Client) -> anyhow::Result<u64> {
    client
        .query(COLLECTION)
        .filter(format!("{KEY_FIELD} >= 0"))
        .consistency(ConsistencyLevel::Strong)
        .timeout(COUNT_LIMIT)
        .count()
        .await
        .context("the rows can't be counted")
}
