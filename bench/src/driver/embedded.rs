//! `bench embedded`: a database in this process beside Milvus Lite and a Milvus server, on the same rows.
//!
//! Every step is a process of its own (`bin/database_ours.rs`, `python/embedded.py`): fill, read, be killed, come back. The Milvus
//! server is asked by our client, so what differs there is what answers. The bandwidth of memory is measured in the same run, over as many bytes as the
//! vectors have.
//!
//! Invariant: all work on the same files, ask for the same index (FLAT: exact), and are compared with the same true neighbours.

use std::fs;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use milvus_bench::databases::{
    BATCH, CHECKED, DatabaseJob, LIMIT, Outcome, SHARES, Step, number_of, read_floats, text_of,
};
use milvus_bench::report::Report;
use milvus_bench::resources::resident_bytes_of;
use milvus_testkit::Scratch;
use milvus_testkit::real::{Milvus, MilvusOptions};

use crate::programs::{Clients, Who};

/// Rows of the generated set, and numbers in each of its vectors.
const GENERATED: (usize, usize) = (100_000, 128);
/// Vectors of the generated set lie around so many points.
const CLUSTERS: usize = 200;
const QUERIES: usize = 100;
/// A filling Milvus Lite takes its time: the longest step of a whole run took a quarter of this.
const STEP_LIMIT: Duration = Duration::from_secs(120);
const OURS: &str = "ours";
const LITE: &str = "Milvus Lite";
const SERVER: &str = "Milvus 2.3.5";

/// Vectors, queries, and what is known of them.
struct Data {
    name: String,
    vectors: PathBuf,
    queries: PathBuf,
    rows: usize,
    dimension: usize,
    metric: &'static str,
}

/// Runs the benchmark.
pub(crate) fn run(report: &mut Report, quick: bool) -> anyhow::Result<()> {
    let scratch = Scratch::new("bench-embedded")?;
    let clients = Clients::prepare()?;
    let mut sets = vec![generated(scratch.path(), if quick { 10 } else { 1 })?];
    match wordnet(scratch.path(), if quick { 5_000 } else { 50_000 })? {
        Some(data) => sets.push(data),
        None => report.remark("WordNet", "ours", "left out: ../shared/data is not there"),
    }
    let seconds = if quick { 0.3 } else { 2.0 };
    for data in &sets {
        let wants = |report: &Report, who: &str| report.wants(&format!("{}, {who}", data.name));
        if ![OURS, LITE, SERVER].iter().any(|who| wants(report, who)) {
            continue;
        }
        bandwidth(report, data);
        let truth = neighbours(data)?;
        for who in [Who::Ours, Who::Pymilvus] {
            let name = if who == Who::Ours { OURS } else { LITE };
            if !wants(report, name) {
                continue;
            }
            let folder = scratch
                .path()
                .join(format!("{}-{}.db", data.name, who.name()));
            let outcome = in_process(report, &clients, data, who, &folder, seconds, &truth);
            peer_may_fail(report, data, name, outcome)?;
        }
        if wants(report, SERVER) {
            let outcome = on_a_server(report, &clients, data, seconds, &truth);
            peer_may_fail(report, data, SERVER, outcome)?;
        }
    }
    Ok(())
}

/// What a peer can't do in time is a remark: the others are measured all the same.
fn peer_may_fail(
    report: &mut Report,
    data: &Data,
    who: &str,
    outcome: anyhow::Result<()>,
) -> anyhow::Result<()> {
    match outcome {
        Err(error) if who == OURS => Err(error.context(data.name.clone())),
        Err(error) => {
            report.remark(&data.name, who, &format!("{error:#}"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn in_process(
    report: &mut Report,
    clients: &Clients,
    data: &Data,
    who: Who,
    folder: &Path,
    seconds: f64,
    truth: &Truth,
) -> anyhow::Result<()> {
    let name = if who == Who::Ours { OURS } else { LITE };
    let job = data.job(&folder.display().to_string(), seconds);
    let filled = clients.run_database(who, &job.doing(Step::Fill), STEP_LIMIT)?;
    report.add(
        &data.name,
        name,
        "durable insert [rows/s]",
        filled.insert_rate,
    );
    report.add(
        &data.name,
        name,
        "memory after filling [MB]",
        megabytes(filled.resident),
    );
    report.add(
        &data.name,
        name,
        "size on disk [MB]",
        megabytes(size(folder)?),
    );
    let read = clients.run_database(who, &job.doing(Step::Read), STEP_LIMIT)?;
    add_reads(report, data, name, &read, truth);
    report.add(
        &data.name,
        name,
        "memory while reading [MB]",
        megabytes(read.resident),
    );
    report.add(
        &data.name,
        name,
        "of it not pages of files [MB]",
        megabytes(read.resident_anonymous),
    );
    #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    for (what, bytes) in [("vectors", data.bytes()), ("rows", data.row_bytes())] {
        let share = read.resident as f64 / bytes as f64;
        let metric = format!("memory while reading [× {what}]");
        report.add(&data.name, name, &metric, share);
    }
    let killed = folder.with_extension("killed.db");
    let job = data.job(&killed.display().to_string(), seconds);
    let acknowledged = write_and_kill(
        clients,
        who,
        &job.doing(Step::WriteUntilKilled),
        seconds * 2.0,
    )?;
    let back = clients.run_database(who, &job.doing(Step::Reopen), STEP_LIMIT)?;
    report.add(
        &data.name,
        name,
        "kill -9, then open to first search [ms]",
        back.first_search_ms,
    );
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let counts = (
        acknowledged as f64,
        acknowledged.saturating_sub(back.rows) as f64,
    );
    report.add(
        &data.name,
        name,
        "rows acknowledged before kill -9",
        counts.0,
    );
    report.add(&data.name, name, "of them lost", counts.1);
    ensure!(
        who != Who::Ours || counts.1 == 0.0,
        "acknowledged rows are lost"
    );
    Ok(())
}

fn on_a_server(
    report: &mut Report,
    clients: &Clients,
    data: &Data,
    seconds: f64,
    truth: &Truth,
) -> anyhow::Result<()> {
    let mut server = Milvus::start(MilvusOptions::default())?;
    let job = data.job(&server.server().uri(), seconds);
    let filled = clients.run_database(Who::Ours, &job.doing(Step::Fill), STEP_LIMIT)?;
    report.add(
        &data.name,
        SERVER,
        "durable insert [rows/s]",
        filled.insert_rate,
    );
    let read = clients.run_database(Who::Ours, &job.doing(Step::Read), STEP_LIMIT)?;
    add_reads(report, data, SERVER, &read, truth);
    let memory = resident_bytes_of(server.process_id());
    report.add(
        &data.name,
        SERVER,
        "memory while reading [MB]",
        megabytes(memory),
    );
    server.kill();
    let began = Instant::now();
    server.restart()?;
    let up = began.elapsed().as_secs_f64() * 1e3;
    let back = clients.run_database(Who::Ours, &job.doing(Step::Reopen), STEP_LIMIT);
    match back {
        Ok(back) => {
            let metric = "kill -9, then open to first search [ms]";
            report.add(&data.name, SERVER, metric, up + back.first_search_ms);
        }
        Err(error) => report.remark(&data.name, SERVER, &format!("after kill -9: {error:#}")),
    }
    Ok(())
}

fn add_reads(report: &mut Report, data: &Data, name: &str, read: &Outcome, truth: &Truth) {
    report.add(
        &data.name,
        name,
        "open to first search [ms]",
        read.first_search_ms,
    );
    for ((share, (one, two)), (found, truth)) in SHARES
        .iter()
        .zip(&read.rates)
        .zip(read.hits.iter().zip(truth))
    {
        let what = match share {
            0 => "exact search".to_owned(),
            share => format!("search, filter leaves {} %", f64::from(*share) / 10.0),
        };
        report.add(
            &data.name,
            name,
            &format!("{what}, 1 caller [queries/s]"),
            *one,
        );
        report.add(
            &data.name,
            name,
            &format!("{what}, 2 callers [queries/s]"),
            *two,
        );
        report.add(
            &data.name,
            name,
            &format!("{what}: recall@{LIMIT}"),
            recall(found, truth),
        );
        if *share == 0 {
            #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
            let gigabytes = data.bytes() as f64 / 1e9;
            report.add(
                &data.name,
                name,
                "exact search reads, 1 caller [GB/s]",
                one * gigabytes,
            );
            report.add(
                &data.name,
                name,
                "exact search reads, 2 callers [GB/s]",
                two * gigabytes,
            );
        }
    }
    report.add(
        &data.name,
        name,
        "query by filter [rows/s]",
        read.query_rate,
    );
}

impl Data {
    fn job(&self, uri: &str, seconds: f64) -> DatabaseJob {
        DatabaseJob {
            uri: uri.to_owned(),
            step: Step::Fill,
            vectors: self.vectors.clone(),
            queries: self.queries.clone(),
            dimension: self.dimension,
            metric: self.metric.to_owned(),
            seconds,
        }
    }

    /// Of the vectors.
    fn bytes(&self) -> u64 {
        (self.rows * self.dimension * 4) as u64
    }

    /// Of the vectors, keys, numbers and texts.
    fn row_bytes(&self) -> u64 {
        let texts: usize = (0..self.rows).map(|row| text_of(row).len()).sum();
        self.bytes() + (self.rows * 16 + texts) as u64
    }
}

trait Doing {
    fn doing(&self, step: Step) -> DatabaseJob;
}

impl Doing for DatabaseJob {
    fn doing(&self, step: Step) -> DatabaseJob {
        DatabaseJob {
            step,
            ..self.clone()
        }
    }
}

/// Lets a process insert for so many seconds after its first acknowledgement, and kills it. Gives the rows it said were acknowledged.
fn write_and_kill(
    clients: &Clients,
    who: Who,
    job: &DatabaseJob,
    seconds: f64,
) -> anyhow::Result<u64> {
    let mut child = clients
        .database_command(who)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    writeln!(stdin, "{}", serde_json::to_string(job)?)?;
    let stdout = child.stdout.take().context("no standard output")?;
    let reader = thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.filter_map(|line| line.parse::<u64>().ok()).last()
    });
    thread::sleep(Duration::from_secs_f64(seconds + 2.0));
    child.kill()?;
    child.wait()?;
    let last = reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    last.context("no row was acknowledged")
}

/// How fast memory is read here, on one thread and on two, over as many bytes as the vectors have.
fn bandwidth(report: &mut Report, data: &Data) {
    let words: Vec<u64> = (0..data.bytes() / 8).collect();
    for threads in [1, 2] {
        let mut best: f64 = 0.0;
        for _ in 0..5 {
            let began = Instant::now();
            let rounds = 5;
            thread::scope(|scope| {
                for part in words.chunks(words.len().div_ceil(threads)) {
                    scope.spawn(move || {
                        for _ in 0..rounds {
                            black_box(sum(black_box(part)));
                        }
                    });
                }
            });
            #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
            let bytes = (data.bytes() * rounds) as f64;
            best = best.max(bytes / began.elapsed().as_secs_f64() / 1e9);
        }
        report.add(
            &data.name,
            "memory",
            &format!("bandwidth, {threads} threads [GB/s]"),
            best,
        );
    }
}

fn sum(words: &[u64]) -> u64 {
    let (chunks, rest) = words.as_chunks::<16>();
    let mut sums = [0u64; 16];
    for chunk in chunks {
        for (sum, word) in sums.iter_mut().zip(chunk) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter()
        .chain(rest)
        .fold(0, |sum, word| sum.wrapping_add(*word))
}

/// The true keys for the first queries, by [`SHARES`].
type Truth = Vec<Vec<Vec<i64>>>;

fn neighbours(data: &Data) -> anyhow::Result<Truth> {
    let (vectors, queries) = (read_floats(&data.vectors)?, read_floats(&data.queries)?);
    let mut truth = vec![Vec::new(); SHARES.len()];
    for query in queries.chunks(data.dimension).take(CHECKED) {
        let distance = |vector: &[f32]| -> f64 {
            let pairs = || {
                vector
                    .iter()
                    .zip(query)
                    .map(|(a, b)| (f64::from(*a), f64::from(*b)))
            };
            match data.metric {
                "COSINE" => {
                    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
                    let norm: f64 = pairs().map(|(a, _)| a * a).sum();
                    -dot / norm.sqrt()
                }
                _ => pairs().map(|(a, b)| (a - b) * (a - b)).sum(),
            }
        };
        let mut all: Vec<(f64, usize)> = vectors
            .chunks(data.dimension)
            .map(distance)
            .zip(0..)
            .collect();
        all.sort_by(|left, right| left.0.total_cmp(&right.0));
        for (share, truth) in SHARES.iter().zip(&mut truth) {
            let passes = |row: usize| *share == 0 || number_of(row) < i64::from(*share);
            let best = all.iter().filter(|(_, row)| passes(*row)).take(LIMIT);
            truth.push(
                best.map(|(_, row)| i64::try_from(*row).unwrap_or_default())
                    .collect(),
            );
        }
    }
    Ok(truth)
}

fn recall(found: &[Vec<i64>], truth: &[Vec<i64>]) -> f64 {
    let hits = |(found, truth): (&Vec<i64>, &Vec<i64>)| {
        truth.iter().filter(|key| found.contains(key)).count()
    };
    let (right, all) = (
        found.iter().zip(truth).map(hits).sum::<usize>(),
        truth.iter().map(Vec::len).sum::<usize>(),
    );
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let share = right as f64 / all.max(1) as f64;
    share
}

#[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Bytes of all files of a folder, or of a file.
fn size(path: &Path) -> anyhow::Result<u64> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

fn write_floats(path: &Path, numbers: impl Iterator<Item = f32>) -> anyhow::Result<()> {
    let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
    fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}

/// Vectors around random points, from a fixed seed.
fn generated(folder: &Path, divisor: usize) -> anyhow::Result<Data> {
    let (rows, dimension) = (GENERATED.0 / divisor, GENERATED.1);
    let mut state = 42u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[allow(clippy::cast_precision_loss, reason = "24 bits")]
        let number = (state >> 40) as f32 / (1u64 << 24) as f32;
        number
    };
    let centres: Vec<f32> = (0..CLUSTERS * dimension).map(|_| random()).collect();
    let mut vectors = |count: usize| -> Vec<f32> {
        (0..count * dimension)
            .map(|at| {
                centres[(at / dimension * 31 % CLUSTERS) * dimension + at % dimension]
                    + random() * 0.3
            })
            .collect()
    };
    let data = Data {
        name: format!("{rows} × {dimension}"),
        vectors: folder.join("generated.f32"),
        queries: folder.join("generated-queries.f32"),
        rows,
        dimension,
        metric: "L2",
    };
    write_floats(&data.vectors, vectors(rows).into_iter())?;
    write_floats(&data.queries, vectors(QUERIES).into_iter())?;
    Ok(data)
}

/// The WordNet set, or `None` where it is not.
fn wordnet(folder: &Path, rows: usize) -> anyhow::Result<Option<Data>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let (Ok(vectors), Ok(queries)) = (
        fs::read(root.join("wordnet_vectors_f16.npy")),
        fs::read(root.join("wordnet_queries_f16.npy")),
    ) else {
        return Ok(None);
    };
    let dimension = 384;
    let data = Data {
        name: format!("WordNet, {rows} × {dimension}"),
        vectors: folder.join("wordnet.f32"),
        queries: folder.join("wordnet-queries.f32"),
        rows,
        dimension,
        metric: "COSINE",
    };
    write_floats(&data.vectors, halves(&vectors)?.take(rows * dimension))?;
    write_floats(&data.queries, halves(&queries)?.take(QUERIES * dimension))?;
    Ok(Some(data))
}

/// The numbers of a NumPy file of binary16, whose header is of version 1.
fn halves(file: &[u8]) -> anyhow::Result<impl Iterator<Item = f32> + '_> {
    let header = file.get(8..10).context("not a NumPy file")?;
    let start = 10 + usize::from(u16::from_le_bytes([header[0], header[1]]));
    let body = file.get(start..).context("not a NumPy file")?;
    Ok(body.as_chunks::<2>().0.iter().map(|pair| {
        let bits = u16::from_le_bytes(*pair);
        let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
        let size = match exponent {
            0 => fraction * 2f32.powi(-24),
            _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
        };
        if bits >> 15 == 1 { -size } else { size }
    }))
}

impl Clients {
    fn run_database(
        &self,
        who: Who,
        job: &DatabaseJob,
        limit: Duration,
    ) -> anyhow::Result<Outcome> {
        let mut command: Command = self.database_command(who)?;
        let line = format!("{}\n", serde_json::to_string(job)?);
        let began = Instant::now();
        let (outcome, _) = crate::programs::one_line(&mut command, &line, limit)
            .with_context(|| format!("{:?} of {} rows a request", job.step, BATCH))?;
        // A whole run takes minutes; whoever waits sees where it is.
        eprintln!(
            "{}: {:?} in {:.1} s",
            job.uri,
            job.step,
            began.elapsed().as_secs_f64()
        );
        Ok(serde_json::from_value(outcome)?)
    }
}
