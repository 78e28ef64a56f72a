//! The processes that a benchmark is made of: clients, one per run, and the servers that this package brings.
//!
//! Invariant: no process outlives the driver: servers end with their standard input, clients with their work or their limit.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use milvus_bench::client::{Job, Target, Work};
use milvus_bench::data;
use milvus_testkit::real::{PYMILVUS, Python};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long one run of a client may take, beside the time that its work is told to take.
const LIMIT: Duration = Duration::from_secs(60);

/// The names under which this project's own results stand.
pub(crate) const OUR_NAMES: [&str; 2] = ["ours", "ours, 1 channel"];

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Ours,
    OursOneChannel,
    Tonic,
    TonicWithHandshake,
    MilvusSdk,
    Pymilvus,
    PymilvusAsyncio,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursOneChannel => "ours, 1 channel",
            Self::Tonic => "tonic",
            Self::TonicWithHandshake => "tonic + handshake",
            Self::MilvusSdk => "milvus-sdk-rust",
            Self::Pymilvus => "pymilvus",
            Self::PymilvusAsyncio => "pymilvus asyncio",
        }
    }
}

/// The clients, ready to be run.
pub(crate) struct Clients {
    python: Python,
}

impl Clients {
    /// Finds the programs, and PyMilvus or installs it.
    pub(crate) fn prepare() -> anyhow::Result<Self> {
        Ok(Self {
            python: Python::prepare(PYMILVUS)?,
        })
    }

    /// Runs one client to its one line; how long it took from its start.
    pub(crate) fn run(
        &self,
        who: Who,
        target: &Target,
        work: &Work,
        core: Option<usize>,
    ) -> anyhow::Result<(Value, Duration)> {
        let mut job = Job {
            target: target.clone(),
            work: work.clone(),
            core,
        };
        let mut command = match who {
            Who::Ours | Who::OursOneChannel => Command::new(sibling("client_ours")?),
            Who::Tonic | Who::TonicWithHandshake => Command::new(sibling("client_tonic")?),
            Who::MilvusSdk => Command::new(sibling("client_milvus_sdk")?),
            Who::Pymilvus | Who::PymilvusAsyncio => {
                let mut command = Command::new(self.python.interpreter());
                command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python/client.py"));
                command.env("GRPC_VERBOSITY", "NONE");
                command
            }
        };
        job.target.handshake = who == Who::TonicWithHandshake;
        if who == Who::OursOneChannel {
            job.target.channels = Some(1);
        }
        let mut job = serde_json::to_value(job)?;
        job["asyncio"] = (who == Who::PymilvusAsyncio).into();
        let limit = match work {
            Work::Faults { seconds, .. } => LIMIT + Duration::from_secs_f64(*seconds),
            _ => LIMIT,
        };
        one_line(&mut command, &format!("{job}\n"), limit)
            .with_context(|| format!("{} could not do {work:?}", who.name()))
    }
}

impl Clients {
    /// The program that does one step of `bench embedded`.
    pub(crate) fn database_command(&self, who: Who) -> anyhow::Result<Command> {
        if who != Who::Pymilvus {
            return Ok(Command::new(sibling("database_ours")?));
        }
        let mut command = Command::new(self.python.interpreter());
        command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python/embedded.py"));
        command.env("GRPC_VERBOSITY", "NONE");
        Ok(command)
    }
}

/// Runs the lookups of the registry, each measurement for so many milliseconds.
pub(crate) fn registry_lookups(target: &Target, milliseconds: u64) -> anyhow::Result<Value> {
    let mut command = Command::new(sibling("registry_lookups")?);
    let address = target.uri.trim_start_matches("http://");
    command.args([address, &milliseconds.to_string()]);
    let (outcome, _) = one_line(&mut command, "", LIMIT)?;
    Ok(outcome)
}

/// What telemetry costs a call when nobody listens.
pub(crate) fn telemetry_cost(target: &Target, core: usize) -> anyhow::Result<Value> {
    let mut command = Command::new(sibling("telemetry_cost")?);
    command.args([&core.to_string(), &target.uri]);
    let (outcome, _) = one_line(&mut command, "", LIMIT)?;
    Ok(outcome)
}

/// A program that was built together with this one.
fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where is this program?")?;
    Ok(own.with_file_name(name))
}

/// Runs a program to its one line of JSON; how long that took from its start.
pub(crate) fn one_line(
    command: &mut Command,
    input: &str,
    limit: Duration,
) -> anyhow::Result<(Value, Duration)> {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {}", command.get_program().display()))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let stdout = child.stdout.take().context("no standard output")?;
    let mut stderr = child.stderr.take().context("no standard error")?;
    // A child that is gone already says why on its standard error.
    let _ = stdin.write_all(input.as_bytes());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send((read, line, Instant::now()));
    });
    let complaints = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let line = receiver.recv_timeout(limit);
    if line.is_err() {
        let _ = child.kill();
    }
    child.wait()?;
    let complaints = complaints.join().unwrap_or_default();
    match line {
        Ok((Ok(1..), line, at)) => Ok((serde_json::from_str(&line)?, at - began)),
        Ok(_) => bail!("it said nothing but: {}", complaints.trim()),
        Err(_) => bail!(
            "it took longer than {} s: {}",
            limit.as_secs(),
            complaints.trim()
        ),
    }
}

/// A server of this package; ends when dropped.
pub(crate) struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    pub(crate) address: SocketAddr,
}

impl Helper {
    /// The server that does nothing.
    pub(crate) fn null_server(core: usize, streams: Option<u32>) -> anyhow::Result<Self> {
        let mut command = Command::new(sibling("null_server")?);
        command.args(["--core", &core.to_string()]);
        if let Some(streams) = streams {
            command.args(["--streams", &streams.to_string()]);
        }
        Self::start(command)
    }

    /// The server that does nothing, for vectors of this many numbers and searches of this many vectors.
    pub(crate) fn null_server_of(
        core: usize,
        dimension: usize,
        queries: usize,
        limit: usize,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(sibling("null_server")?);
        command.args(["--core", &core.to_string()]);
        command.args(["--dimension", &dimension.to_string()]);
        command.args(["--queries", &queries.to_string()]);
        command.args(["--limit", &limit.to_string()]);
        Self::start(command)
    }

    /// The same, with the collection of the benchmark `data`.
    pub(crate) fn data_server(core: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(sibling("null_server")?);
        command.args(["--core", &core.to_string()]);
        command.args(["--dimension", &data::DIMENSION.to_string()]);
        command.args(["--answer-rows", &data::ANSWER_ROWS.to_string()]);
        Self::start(command)
    }

    /// A link with a delay, in milliseconds each way, to `upstream`.
    pub(crate) fn delayed_link(
        core: usize,
        upstream: SocketAddr,
        delay: u64,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(sibling("delayed_link")?);
        command.args(["--core", &core.to_string()]);
        command.args(["--upstream", &upstream.to_string()]);
        command.args(["--delay", &delay.to_string()]);
        Self::start(command)
    }

    /// A server that counts what arrives, in `keys`.
    pub(crate) fn counting_server(
        keys: &Path,
        address: Option<SocketAddr>,
        goaway_every: Option<u64>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(sibling("counting_server")?);
        command.arg("--keys").arg(keys);
        if let Some(address) = address {
            command.args(["--address", &address.to_string()]);
        }
        if let Some(calls) = goaway_every {
            command.args(["--goaway-every", &calls.to_string()]);
        }
        Self::start(command)
    }

    /// SIGKILL; its address, where another one can be started.
    pub(crate) fn kill(mut self) -> anyhow::Result<SocketAddr> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.address)
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), signal)?;
        Ok(())
    }

    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {}", command.get_program().display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .context("the server did not say its address")?;
        Ok(Self {
            child,
            stdin,
            address,
        })
    }

    /// How a client reaches it; credentials that it does not look at, so that clients send some.
    pub(crate) fn target(&self) -> Target {
        Target {
            uri: format!("http://{}", self.address),
            token: Some("root:Milvus".to_owned()),
            ..Target::default()
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends with its input; should it not, it is made to.
        for _ in 0..50 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of an outcome.
pub(crate) fn number(outcome: &Value, key: &str) -> anyhow::Result<f64> {
    outcome[key]
        .as_f64()
        .with_context(|| format!("no {key:?} in {outcome}"))
}
