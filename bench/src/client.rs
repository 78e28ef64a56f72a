//! The client program: one peer, one job, one line of JSON.
//!
//! The job comes as one line on standard input (so that credentials are not among the arguments, which others can see), the
//! outcome goes to standard output. `python/client.py` does the same for PyMilvus.
//!
//! Invariant: what is timed begins after the job was read and the process was set up, but for [`Work::FirstAnswer`], whose
//! time the driver takes from the start of the process.

use std::future::Future;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data::{DataPeer, Form};
use crate::faults::{self, Failed};
use crate::resources::{open_sockets, pin_to_core, processor_time, resident_bytes};
use crate::{data, messages};

/// The rows of one insert: 768 vectors of 1024 numbers are 3 MB.
pub const INSERT_ROWS: usize = 768;
/// Numbers in a vector.
pub const DIMENSION: usize = 1024;
/// The rows of one large answer: 10 MB.
pub const ANSWER_ROWS: usize = 2560;
/// The collection that the null server has.
pub const COLLECTION: &str = "bench";

/// Bytes of the vectors in one insert.
pub const INSERT_BYTES: usize = INSERT_ROWS * DIMENSION * 4;
/// Bytes of the vectors in one large answer.
pub const ANSWER_BYTES: usize = ANSWER_ROWS * DIMENSION * 4;

/// What a client process is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// With whom.
    pub target: Target,
    /// What.
    pub work: Work,
    /// The core to stay on.
    #[serde(default)]
    pub core: Option<usize>,
}

/// Where a client connects to, and as whom.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Target {
    /// `http://…` or `https://…`
    pub uri: String,
    /// `user:password`
    #[serde(default)]
    pub token: Option<String>,
    /// The database of all calls.
    #[serde(default)]
    pub database: Option<String>,
    /// The authority to trust, PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How long connecting may take, in seconds.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// The deadline of each call, in seconds.
    #[serde(default)]
    pub deadline: Option<f64>,
    /// For a bare channel: whether connecting includes Milvus's handshake, as it does for all Milvus clients.
    #[serde(default)]
    pub handshake: bool,
    /// For peers that have a pool: its size.
    #[serde(default)]
    pub channels: Option<usize>,
}

/// A measurement of one client process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Connect and ask for the version; the driver takes the time.
    FirstAnswer,
    /// Make many connections, one after the other: time, memory, sockets.
    Connections {
        /// How many.
        count: usize,
        /// Whether they are the same in all, so that a peer that can may share what lies below.
        shared: bool,
    },
    /// Connect to something that can't be connected to: time and sentence.
    Fail,
    /// Many small calls by concurrent callers.
    SmallCalls {
        /// Callers that each wait for their answer before they call again.
        callers: usize,
        /// For how long.
        seconds: f64,
    },
    /// Large inserts by concurrent callers.
    Inserts {
        /// As above.
        callers: usize,
        /// For how long.
        seconds: f64,
    },
    /// Readers and inserters that go on whatever happens.
    Faults {
        /// As above; half of them read.
        callers: usize,
        /// For how long.
        seconds: f64,
    },
    /// Makes the collection of the benchmark `data` anew, with so many rows in it, indexed and loaded.
    Prepare {
        /// How many.
        rows: usize,
    },
    /// One insert of many rows.
    InsertRows {
        /// How many.
        rows: usize,
        /// As the caller has them.
        form: Form,
    },
    /// The vectors of a NumPy file, until they are flushed.
    LoadFile {
        /// The file.
        path: PathBuf,
    },
    /// Searches for ten hits by concurrent callers.
    Searches {
        /// As above.
        callers: usize,
        /// For how long.
        seconds: f64,
    },
    /// Answers of a hundred vectors, one after the other.
    SmallAnswers {
        /// For how long.
        seconds: f64,
    },
    /// Encoding and decoding, without a server.
    Coding {
        /// For how long each.
        seconds: f64,
    },
    /// Large answers, one after the other.
    Answers {
        /// For how long.
        seconds: f64,
    },
}

/// A client library under test.
pub trait Peer: DataPeer + Clone + Send + Sync + 'static {
    /// Connects; `number` tells connections apart that shall share nothing.
    fn connect(target: &Target, number: usize)
    -> impl Future<Output = anyhow::Result<Self>> + Send;
    /// Asks for the server's version.
    fn small_call(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// Asks for something that depends on the database.
    fn database_call(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// Inserts [`INSERT_ROWS`] rows.
    fn insert(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// Inserts one row with this key.
    fn insert_row(&self, key: i64) -> impl Future<Output = Result<(), Failed>> + Send;
    /// Queries [`ANSWER_ROWS`] rows; the bytes of the vectors that came.
    fn large_answer(&self) -> impl Future<Output = anyhow::Result<usize>> + Send;
}

/// The whole program of a Rust peer: all of them on a runtime with one thread, since they get one core.
///
/// # Errors
/// When the job can't be read or done; a failed connect of [`Work::Fail`] is not an error but the outcome.
pub fn run<P: Peer>() -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line).context("the job is not as expected")?;
    if let Some(core) = job.core {
        pin_to_core(core)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(work::<P>(&job))?;
    let mut output = io::stdout().lock();
    writeln!(output, "{outcome}")?;
    output.flush()?;
    // Nothing is measured any more; closing down politely would only take time.
    std::process::exit(0);
}

async fn work<P: Peer>(job: &Job) -> anyhow::Result<Value> {
    match job.work {
        Work::FirstAnswer => {
            P::connect(&job.target, 0).await?.small_call().await?;
            Ok(json!({}))
        }
        Work::Connections { count, shared } => connections::<P>(&job.target, count, shared).await,
        Work::Fail => Ok(fail::<P>(&job.target).await),
        Work::SmallCalls { callers, seconds } => {
            let peer = P::connect(&job.target, 0).await?;
            repeat(callers, seconds, move || {
                let peer = peer.clone();
                async move { peer.small_call().await.map(|()| 0) }
            })
            .await
        }
        Work::Faults { callers, seconds } => faults::run::<P>(&job.target, callers, seconds).await,
        Work::Inserts { callers, seconds } => {
            let peer = P::connect(&job.target, 0).await?;
            repeat(callers, seconds, move || {
                let peer = peer.clone();
                async move { peer.insert().await.map(|()| INSERT_BYTES) }
            })
            .await
        }
        Work::Prepare { rows } => {
            data::prepare(&job.target, rows).await?;
            Ok(json!({}))
        }
        Work::InsertRows { rows, form } => {
            let peer = P::connect(&job.target, 0).await?;
            peer.insert_rows(rows, form).await
        }
        Work::LoadFile { ref path } => {
            let peer = P::connect(&job.target, 0).await?;
            peer.load_file(path).await
        }
        Work::Searches { callers, seconds } => {
            let peer = P::connect(&job.target, 0).await?;
            repeat(callers, seconds, move || {
                let peer = peer.clone();
                async move {
                    let hits = peer.search().await?;
                    anyhow::ensure!(hits == 10, "{hits} hits came instead of 10");
                    Ok(0)
                }
            })
            .await
        }
        Work::SmallAnswers { seconds } => {
            let peer = P::connect(&job.target, 0).await?;
            repeat(1, seconds, move || {
                let peer = peer.clone();
                async move { peer.answer().await }
            })
            .await
        }
        Work::Coding { seconds } => {
            let answer = messages::small_answer();
            Ok(json!({
                "encode": P::encode(seconds)?,
                "decode": P::decode(seconds, answer)?,
                "memcpy": data::memcpy(seconds),
            }))
        }
        Work::Answers { seconds } => {
            let peer = P::connect(&job.target, 0).await?;
            repeat(1, seconds, move || {
                let peer = peer.clone();
                async move { peer.large_answer().await }
            })
            .await
        }
    }
}

async fn connections<P: Peer>(
    target: &Target,
    count: usize,
    shared: bool,
) -> anyhow::Result<Value> {
    // What is made once per process is not what a connection costs.
    let first = P::connect(target, 0).await?;
    first.small_call().await?;
    let (memory, sockets) = (resident_bytes(), open_sockets());
    let began = Instant::now();
    let mut all = Vec::with_capacity(count);
    for number in 1..=count {
        all.push(P::connect(target, if shared { 0 } else { number }).await?);
    }
    let seconds = began.elapsed().as_secs_f64();
    // What connecting began in the background settles.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let bytes = resident_bytes().saturating_sub(memory);
    Ok(json!({
        "seconds": seconds,
        "bytes": bytes,
        "sockets": open_sockets().saturating_sub(sockets),
    }))
}

async fn fail<P: Peer>(target: &Target) -> Value {
    let began = Instant::now();
    let outcome = async { P::connect(target, 0).await?.database_call().await }.await;
    let seconds = began.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => json!({ "seconds": seconds, "said": null }),
        Err(error) => json!({ "seconds": seconds, "said": error.to_string() }),
    }
}

/// Calls again and again from `callers` tasks; the first call alone before that, and a short time that does not count.
async fn repeat<F>(
    callers: usize,
    seconds: f64,
    call: impl Fn() -> F + Clone + Send + 'static,
) -> anyhow::Result<Value>
where
    F: Future<Output = anyhow::Result<usize>> + Send + 'static,
{
    let began = Instant::now();
    call().await.context("the first call failed")?;
    let first = began.elapsed();
    let warm_until = Instant::now() + Duration::from_secs_f64((seconds / 4.0).min(0.5));
    let stage = Arc::new(AtomicU8::new(WARMING));
    let mut tasks = Vec::with_capacity(callers);
    for _ in 0..callers {
        tasks.push(tokio::spawn(caller(call.clone(), Arc::clone(&stage))));
    }
    tokio::time::sleep_until(warm_until.into()).await;
    stage.store(COUNTING, Ordering::Relaxed);
    let (began, processor) = (Instant::now(), processor_time());
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let (elapsed, processor) = (began.elapsed(), processor_time() - processor);
    stage.store(OVER, Ordering::Relaxed);
    let mut all = Counted::default();
    for task in tasks {
        let counted = task.await??;
        all.times.extend(counted.times);
        all.bytes += counted.bytes;
    }
    Ok(all.summary(callers, first, elapsed, processor))
}

/// The stages of a measurement.
const WARMING: u8 = 0;
const COUNTING: u8 = 1;
const OVER: u8 = 2;

async fn caller<F>(call: impl Fn() -> F, stage: Arc<AtomicU8>) -> anyhow::Result<Counted>
where
    F: Future<Output = anyhow::Result<usize>>,
{
    let mut counted = Counted {
        times: Vec::with_capacity(1 << 14),
        bytes: 0,
    };
    while stage.load(Ordering::Relaxed) != OVER {
        let began = Instant::now();
        let bytes = call().await?;
        // What ends after the end does not count.
        if stage.load(Ordering::Relaxed) == COUNTING {
            counted.times.push(began.elapsed());
            counted.bytes += bytes;
        }
    }
    Ok(counted)
}

/// The calls of one caller, or of all.
#[derive(Default)]
struct Counted {
    times: Vec<Duration>,
    bytes: usize,
}

impl Counted {
    fn summary(
        mut self,
        callers: usize,
        first: Duration,
        elapsed: Duration,
        processor: Duration,
    ) -> Value {
        self.times.sort_unstable();
        let calls = self.times.len();
        let percentile = |percent: usize| {
            let index = (calls * percent / 100).min(calls.saturating_sub(1));
            let time = self.times.get(index);
            time.map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let (count, bytes, callers) = (calls as f64, self.bytes as f64, callers as f64);
        // Callers never pause, so this is what came through, without the error of calls that are cut off at the ends.
        let in_calls = self.times.iter().sum::<Duration>().as_secs_f64() / callers;
        json!({
            "calls": calls,
            "rate": count / elapsed.as_secs_f64(),
            "p50_us": percentile(50),
            "p99_us": percentile(99),
            "cpu_us": processor.as_secs_f64() * 1e6 / count.max(1.0),
            "first_ms": first.as_secs_f64() * 1e3,
            "megabytes_per_second": if calls == 0 { 0.0 } else { bytes / 1e6 / in_calls },
        })
    }
}
