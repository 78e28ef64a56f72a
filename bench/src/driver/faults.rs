//! `bench faults`: what becomes of calls when the server dies, stops, says farewell, or is restarted.
//!
//! Readers and inserters call with a deadline of ten seconds while the fault happens to a counting server in a process of
//! its own, or to a real Milvus. What the client says of each insert is then compared with what arrived.
//!
//! Invariant: a row counts as doubled, lost or hidden by what the server has, never by what a client says.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use milvus_bench::client::{Target, Work};
use milvus_bench::faults::Account;
use milvus_bench::report::Report;
use milvus_testkit::Scratch;
use rustix::process::Signal;

use crate::programs::{Clients, Helper, Who};
use crate::real_outage;

/// The deadline of every call, in seconds.
pub(crate) const DEADLINE: f64 = 10.0;
/// All is well for so long before the fault, and is watched for so long after it.
pub(crate) const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(4);
const CALLERS: usize = 64;
/// Of the rate before a fault, in percent: what is taken as back again, and as all of it.
const FULL_RATES: [u32; 2] = [70, 95];
const PEERS: [Who; 3] = [Who::Ours, Who::MilvusSdk, Who::Pymilvus];

#[derive(Clone, Copy)]
enum Fault {
    None,
    Kill(Duration),
    Pause(Duration),
    Goaway(u64),
    OneOfThreeDead,
    PauseOneOfThree(Duration),
    RollingRestart,
    KillRealMilvus(Duration),
}

impl Fault {
    fn name(self) -> String {
        match self {
            Self::None => "no fault".into(),
            Self::Kill(down) => format!("SIGKILL, back after {} s", down.as_secs()),
            Self::Pause(time) => format!("SIGSTOP for {} s", time.as_secs()),
            Self::Goaway(calls) => format!("GOAWAY every {calls} calls"),
            Self::OneOfThreeDead => "one of three endpoints dead".into(),
            Self::PauseOneOfThree(time) => {
                format!("one of three endpoints stopped for {} s", time.as_secs())
            }
            Self::RollingRestart => "rolling restart of three endpoints, 1 s each".into(),
            Self::KillRealMilvus(down) => format!(
                "real Milvus: SIGKILL, started again after {} s",
                down.as_secs()
            ),
        }
    }

    /// Whether the client is given three endpoints, which only some can take.
    fn endpoints(self) -> usize {
        match self {
            Self::OneOfThreeDead | Self::PauseOneOfThree(_) | Self::RollingRestart => 3,
            _ => 1,
        }
    }

    fn takes(self) -> Duration {
        match self {
            Self::Kill(time) | Self::Pause(time) | Self::PauseOneOfThree(time) => time,
            // And so long for its start, which is shorter on most machines.
            Self::KillRealMilvus(time) => time + Duration::from_secs(12),
            Self::RollingRestart => Duration::from_secs(6),
            _ => Duration::from_secs(2),
        }
    }
}

/// Runs the benchmark.
pub(crate) fn run(report: &mut Report, quick: bool) -> anyhow::Result<()> {
    let clients = Clients::prepare()?;
    let seconds = Duration::from_secs;
    let all = [
        Fault::None,
        Fault::Kill(seconds(2)),
        Fault::Kill(seconds(8)),
        Fault::Pause(seconds(10)),
        Fault::Goaway(100),
        Fault::OneOfThreeDead,
        Fault::PauseOneOfThree(seconds(10)),
        Fault::RollingRestart,
        Fault::KillRealMilvus(seconds(2)),
        Fault::KillRealMilvus(seconds(8)),
    ];
    let some = [
        Fault::Kill(seconds(2)),
        Fault::Goaway(100),
        Fault::RollingRestart,
    ];
    // Cases that are asked for by name are all there are.
    let faults = if quick && report.is_whole() {
        &some[..]
    } else {
        &all[..]
    };
    let rounds = if quick { 1 } else { 3 };
    for _ in 0..rounds {
        let wanted = faults.iter().filter(|fault| report.wants(&fault.name()));
        for fault in wanted.collect::<Vec<_>>() {
            for who in PEERS {
                if fault.endpoints() > 1 && who != Who::Ours {
                    let text = "takes one address";
                    report.remark(&fault.name(), who.name(), text);
                    continue;
                }
                let observed = observe(&clients, who, *fault)
                    .with_context(|| format!("{}, {}", fault.name(), who.name()))?;
                observed.add_to(report, &fault.name(), who.name());
            }
        }
    }
    Ok(())
}

/// What the client said, what arrived, and when the server was back.
struct Observed {
    account: Account,
    arrived: Arrived,
    /// In milliseconds since 1970; `None` where the server was never gone.
    up_ms: Option<u64>,
    fault_ms: u64,
}

/// What the server has.
pub(crate) struct Arrived {
    pub(crate) keys: HashSet<i64>,
    /// How many of them it has twice.
    pub(crate) doubled: usize,
}

fn observe(clients: &Clients, who: Who, fault: Fault) -> anyhow::Result<Observed> {
    if let Fault::KillRealMilvus(down) = fault {
        return observe_real(clients, who, fault, down);
    }
    let directory = Scratch::new("bench-faults")?;
    let keys = directory.path().join("keys");
    let goaway = match fault {
        Fault::Goaway(calls) => Some(calls),
        _ => None,
    };
    let mut servers = (0..fault.endpoints())
        .map(|_| Helper::counting_server(&keys, None, goaway))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let uri = servers
        .iter()
        .map(|server| server.address.to_string())
        .collect::<Vec<_>>()
        .join(",");
    if matches!(fault, Fault::OneOfThreeDead) {
        servers.remove(1).kill()?;
    }
    let (target, work) = (target(&format!("http://{uri}")), work(fault));
    let (outcome, up_ms, fault_ms) = thread::scope(|scope| {
        let client = scope.spawn(|| clients.run(who, &target, &work, None));
        let happened = wait_for_inserts(&keys).and_then(|()| {
            thread::sleep(BEFORE);
            let fault_ms = now_ms()?;
            Ok((inject(fault, servers, &keys)?, fault_ms))
        });
        let outcome = client
            .join()
            .map_err(|_| anyhow::anyhow!("the client's thread panicked"))??;
        let ((up_ms, _servers), fault_ms) = happened?;
        anyhow::Ok((outcome.0, up_ms, fault_ms))
    })?;
    Ok(Observed {
        account: serde_json::from_value(outcome)?,
        arrived: arrived(&keys)?,
        up_ms,
        fault_ms,
    })
}

fn observe_real(
    clients: &Clients,
    who: Who,
    fault: Fault,
    down: Duration,
) -> anyhow::Result<Observed> {
    let mut outage = real_outage::Outage::prepare()?;
    let (target, work) = (target(&outage.uri()), work(fault));
    let (outcome, happened) = thread::scope(|scope| {
        let client = scope.spawn(|| clients.run(who, &target, &work, None));
        let happened = outage.happens(down);
        let outcome = client
            .join()
            .map_err(|_| anyhow::anyhow!("the client's thread panicked"))?;
        anyhow::Ok((outcome?.0, happened?))
    })?;
    Ok(Observed {
        account: serde_json::from_value(outcome)?,
        arrived: outage.arrived()?,
        up_ms: Some(happened.up_ms),
        fault_ms: happened.fault_ms,
    })
}

fn target(uri: &str) -> Target {
    Target {
        uri: uri.to_owned(),
        token: Some("root:Milvus".to_owned()),
        deadline: Some(DEADLINE),
        ..Target::default()
    }
}

fn work(fault: Fault) -> Work {
    Work::Faults {
        callers: CALLERS,
        seconds: (BEFORE + fault.takes() + AFTER).as_secs_f64(),
    }
}

/// Does what the fault says; when the server was back, and the servers, which live on.
fn inject(
    fault: Fault,
    mut servers: Vec<Helper>,
    keys: &Path,
) -> anyhow::Result<(Option<u64>, Vec<Helper>)> {
    let up = match fault {
        Fault::None | Fault::Goaway(_) | Fault::OneOfThreeDead | Fault::KillRealMilvus(_) => None,
        Fault::Kill(down) => {
            let server = servers.pop().context("a server")?;
            let back = restart(server, down, keys)?;
            servers.push(back);
            Some(now_ms()?)
        }
        Fault::Pause(time) | Fault::PauseOneOfThree(time) => {
            let server = servers.first().context("a server")?;
            server.signal(Signal::STOP)?;
            thread::sleep(time);
            server.signal(Signal::CONT)?;
            Some(now_ms()?)
        }
        Fault::RollingRestart => {
            let mut up = None;
            for _ in 0..servers.len() {
                let back = restart(servers.remove(0), Duration::from_secs(1), keys)?;
                up = Some(now_ms()?);
                servers.push(back);
                thread::sleep(Duration::from_secs(1));
            }
            up
        }
    };
    Ok((up, servers))
}

fn restart(server: Helper, down: Duration, keys: &Path) -> anyhow::Result<Helper> {
    let address: SocketAddr = server.kill()?;
    thread::sleep(down);
    Helper::counting_server(keys, Some(address), None)
}

fn wait_for_inserts(keys: &Path) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while std::fs::metadata(keys).map_or(0, |file| file.len()) < 100 * 8 {
        ensure!(Instant::now() < until, "no inserts arrive");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

pub(crate) fn now_ms() -> anyhow::Result<u64> {
    Ok(u64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
    )?)
}

/// Which keys arrived, and how many twice.
fn arrived(file: &Path) -> anyhow::Result<Arrived> {
    let mut keys = HashSet::new();
    let mut again = HashSet::new();
    for key in std::fs::read(file)?.chunks_exact(8) {
        let key = i64::from_le_bytes(key.try_into()?);
        if !keys.insert(key) {
            again.insert(key);
        }
    }
    Ok(Arrived {
        keys,
        doubled: again.len(),
    })
}

impl Observed {
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn add_to(&self, report: &mut Report, case: &str, who: &str) {
        let account = &self.account;
        let failed: HashSet<i64> = account
            .not_applied
            .iter()
            .chain(&account.unknown)
            .copied()
            .collect();
        let is_there = |key: &&i64| self.arrived.keys.contains(*key);
        let acknowledged: Vec<i64> = (0..account.inserts)
            .filter(|key| !failed.contains(key))
            .collect();
        let lost = acknowledged.iter().filter(|key| !is_there(key)).count();
        let counts = [
            (
                "calls",
                (account.reads + account.reads_failed) as f64 + account.inserts as f64,
            ),
            ("failed reads", account.reads_failed as f64),
            (
                "failed inserts, said to be not applied",
                account.not_applied.len() as f64,
            ),
            ("failed inserts, others", account.unknown.len() as f64),
            (
                "said to be not applied, but arrived",
                account.not_applied.iter().filter(is_there).count() as f64,
            ),
            (
                "failed inserts of others that arrived",
                account.unknown.iter().filter(is_there).count() as f64,
            ),
            ("acknowledged inserts", acknowledged.len() as f64),
            ("inserts that arrived", self.arrived.keys.len() as f64),
            ("acknowledged inserts that never arrived", lost as f64),
            ("inserts that arrived twice", self.arrived.doubled as f64),
            ("longest call [ms]", account.longest_ms),
        ];
        for (metric, value) in counts {
            report.add(case, who, metric, value);
        }
        for percent in self.up_ms.map_or(&[][..], |_| &FULL_RATES[..]) {
            match self.up_ms.and_then(|up| self.rate_after(up, *percent)) {
                Some(ms) => {
                    let metric = format!("{percent} % of the rate after up again [ms]");
                    report.add(case, who, &metric, ms);
                }
                None => {
                    let text = format!("never came back to {percent} % of its rate");
                    report.remark(case, who, &text);
                }
            }
        }
        for said in &account.said {
            report.remark(case, who, said);
        }
    }

    /// From `up` until the rate of half a second was again so many percent of what it was before the fault, and that of no
    /// tenth of it below the least that counts as back.
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn rate_after(&self, up: u64, percent: u32) -> Option<f64> {
        /// In hundredths of a second: what is taken as one rate.
        const WINDOW: usize = 10;
        const WINDOWS: usize = 5;
        let per = &self.account.per_centisecond;
        let index = |ms: u64| usize::try_from(ms.saturating_sub(self.account.began_ms) / 10).ok();
        let rate = |from: usize| {
            let window = per.get(from..from + WINDOW)?;
            Some(f64::from(window.iter().sum::<u32>()))
        };
        let fault = index(self.fault_ms)?;
        let before = per.get(fault.checked_sub(100)?..fault)?;
        let usual = f64::from(before.iter().sum::<u32>()) / 10.0;
        let of_usual = |percent: u32| usual * f64::from(percent) / 100.0;
        let up = index(up)?;
        let back = (up..per.len()).find(|from| {
            let rates: Option<Vec<f64>> = (0..WINDOWS)
                .map(|window| rate(from + window * WINDOW))
                .collect();
            rates.is_some_and(|rates| {
                rates.iter().all(|rate| *rate >= of_usual(FULL_RATES[0]))
                    && rates.iter().sum::<f64>() >= of_usual(percent) * WINDOWS as f64
            })
        })?;
        Some((back - up) as f64 * 10.0)
    }
}
