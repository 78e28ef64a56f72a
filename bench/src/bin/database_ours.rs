//! One step of `bench embedded` through this project's front door: an alias of the registry, and the client's verbs. The address
//! decides whether the database is in this process or behind a port.
//!
//! Invariant: what is timed is what a program would write; the rows are in memory before the clock starts.

use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use milvus_bench::databases::{
    BATCH, CHECKED, COLLECTION, DatabaseJob, LIMIT, Outcome, SHARES, Step, filter_of, number_of,
    read_floats, text_of,
};
use milvus_bench::resources::{resident_anonymous_bytes, resident_bytes};
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::{CollectionSchema, FieldSchema};
use milvus_connections::client::{ConsistencyLevel, MetricType};
use milvus_connections::{Client, ConnectionParams, connections};

const ALIAS: &str = "bench";

async fn open(job: &DatabaseJob) -> anyhow::Result<Client> {
    let params = ConnectionParams::uri(job.uri.as_str());
    Ok(connections().connect_with(ALIAS, params).await?)
}

async fn create(client: &Client, job: &DatabaseJob) -> anyhow::Result<()> {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::int64("n"))
        .field(FieldSchema::varchar("text", 256))
        .field(FieldSchema::float_vector("vector", job.dimension));
    let metric = match job.metric.as_str() {
        "COSINE" => MetricType::Cosine,
        _ => MetricType::L2,
    };
    client
        .create_collection(COLLECTION, schema)
        .index("vector", Index::flat(metric))
        .await?;
    Ok(())
}

async fn insert(
    client: &Client,
    first: usize,
    vectors: Vec<f32>,
    rows: usize,
) -> anyhow::Result<()> {
    let keys: Vec<i64> = (i64::try_from(first)?..).take(rows).collect();
    let numbers: Vec<i64> = (first..first + rows).map(number_of).collect();
    let texts: Vec<String> = (first..first + rows).map(text_of).collect();
    client
        .insert(COLLECTION)
        .column("id", keys)
        .column("n", numbers)
        .column("text", texts)
        .column("vector", vectors)
        .await?;
    Ok(())
}

async fn fill(job: &DatabaseJob) -> anyhow::Result<Outcome> {
    let vectors = read_floats(&job.vectors)?;
    let batches: Vec<Vec<f32>> = vectors
        .chunks(BATCH * job.dimension)
        .map(<[f32]>::to_vec)
        .collect();
    let rows = vectors.len() / job.dimension;
    drop(vectors);
    let client = open(job).await?;
    create(&client, job).await?;
    let began = Instant::now();
    let mut first = 0;
    for batch in batches {
        let here = batch.len() / job.dimension;
        insert(&client, first, batch, here).await?;
        first += here;
    }
    let insert_rate = rate(rows, began.elapsed());
    client.flush([COLLECTION]).await?;
    let (resident, resident_anonymous) = (resident_bytes(), resident_anonymous_bytes());
    drop(client);
    connections().disconnect(ALIAS).await;
    Ok(Outcome {
        insert_rate,
        resident,
        resident_anonymous,
        ..Outcome::default()
    })
}

async fn write_until_killed(job: &DatabaseJob) -> anyhow::Result<Outcome> {
    let vectors = read_floats(&job.vectors)?;
    let client = open(job).await?;
    create(&client, job).await?;
    let mut first = 0;
    for batch in vectors.chunks(BATCH * job.dimension).cycle() {
        let here = batch.len() / job.dimension;
        insert(&client, first, batch.to_vec(), here).await?;
        first += here;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{first}")?;
        out.flush()?;
    }
    Ok(Outcome::default())
}

/// One search. Gives the keys.
async fn search(client: &Client, query: &[f32], share: u32) -> anyhow::Result<Vec<i64>> {
    let mut search = client
        .search(COLLECTION)
        .vector(query)
        .limit(LIMIT as u64)
        .consistency(ConsistencyLevel::Eventually);
    if share > 0 {
        search = search.filter(filter_of(share));
    }
    Ok(search.await?.query(0).int64_ids().to_vec())
}

async fn searches(
    client: &Client,
    queries: &[Vec<f32>],
    share: u32,
    callers: usize,
    seconds: f64,
) -> anyhow::Result<f64> {
    let until = Duration::from_secs_f64(seconds);
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (client, queries) = (client.clone(), queries.to_vec());
            tokio::spawn(async move {
                let mut done = 0usize;
                while began.elapsed() < until {
                    let query = &queries[(caller * 7 + done) % queries.len()];
                    search(&client, query, share).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(rate(done, began.elapsed()))
}

async fn query_rate(client: &Client, seconds: f64) -> anyhow::Result<f64> {
    let (mut rows, began) = (0, Instant::now());
    while began.elapsed().as_secs_f64() < seconds {
        let found = client
            .query(COLLECTION)
            .filter(filter_of(100))
            .output_fields(["id", "n", "text"])
            .consistency(ConsistencyLevel::Eventually)
            .await?;
        rows += found.len();
    }
    Ok(rate(rows, began.elapsed()))
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

async fn read(job: &DatabaseJob, queries: &[Vec<f32>]) -> anyhow::Result<Outcome> {
    let (client, first_search_ms) = first_search(job, queries).await?;
    let mut outcome = Outcome {
        first_search_ms,
        ..Outcome::default()
    };
    for share in SHARES {
        let one = searches(&client, queries, share, 1, job.seconds).await?;
        let two = searches(&client, queries, share, 2, job.seconds).await?;
        outcome.rates.push((one, two));
    }
    outcome.query_rate = query_rate(&client, job.seconds).await?;
    (outcome.resident, outcome.resident_anonymous) = (resident_bytes(), resident_anonymous_bytes());
    for share in SHARES {
        let mut hits = Vec::new();
        for query in queries.iter().take(CHECKED) {
            hits.push(search(&client, query, share).await?);
        }
        outcome.hits.push(hits);
    }
    drop(client);
    connections().disconnect(ALIAS).await;
    Ok(outcome)
}

async fn first_search(job: &DatabaseJob, queries: &[Vec<f32>]) -> anyhow::Result<(Client, f64)> {
    let query = queries.first().context("no queries")?;
    let began = Instant::now();
    let client = open(job).await?;
    if job.uri.starts_with("http") {
        // A Milvus server that was killed takes some time until it serves its collections again.
        client.load_collection(COLLECTION).await?;
    }
    search(&client, query, 0).await?;
    Ok((client, began.elapsed().as_secs_f64() * 1e3))
}

async fn reopen(job: &DatabaseJob, queries: &[Vec<f32>]) -> anyhow::Result<Outcome> {
    let (client, first_search_ms) = first_search(job, queries).await?;
    let rows = client
        .query(COLLECTION)
        .consistency(ConsistencyLevel::Strong)
        .count()
        .await?;
    Ok(Outcome {
        first_search_ms,
        rows,
        ..Outcome::default()
    })
}

fn main() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let job: DatabaseJob = serde_json::from_str(&line)?;
    let queries: Vec<Vec<f32>> = read_floats(&job.queries)?
        .chunks(job.dimension)
        .map(<[f32]>::to_vec)
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        match job.step {
            Step::Fill => fill(&job).await,
            Step::Read => read(&job, &queries).await,
            Step::WriteUntilKilled => write_until_killed(&job).await,
            Step::Reopen => reopen(&job, &queries).await,
        }
    })?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}
