//! `bench calls`: what a call costs once connected.
//!
//! Against a server that does nothing, in another process, client and server each on a core of its own: rate, latency and
//! processor time of small calls, and what telemetry has of it; large inserts and answers over a link with a delay; small calls to a server that allows few
//! streams; many aliases of one target.

use milvus_bench::client::{Target, Work};
use milvus_bench::report::Report;

use crate::programs::{self, Clients, Helper, OUR_NAMES, Who, number};

const CLIENT_CORE: usize = 0;
const SERVER_CORE: usize = 1;
/// Each way, in milliseconds.
const LINK_DELAY: u64 = 20;
/// What the strict server allows on one connection.
const FEW_STREAMS: u32 = 10;
const ALIASES: usize = 100;

const EVERYBODY: [Who; 6] = [
    Who::OursOneChannel,
    Who::Tonic,
    Who::Ours,
    Who::MilvusSdk,
    Who::Pymilvus,
    Who::PymilvusAsyncio,
];
const OVER_THE_LINK: [Who; 4] = [Who::Ours, Who::Tonic, Who::MilvusSdk, Who::Pymilvus];

struct Extent {
    rounds: usize,
    seconds: f64,
    callers: &'static [usize],
}

/// Runs the benchmark.
pub(crate) fn run(report: &mut Report, quick: bool) -> anyhow::Result<()> {
    let extent = if quick {
        Extent {
            rounds: 1,
            seconds: 0.3,
            callers: &[1, 64],
        }
    } else {
        Extent {
            rounds: 3,
            seconds: 1.0,
            callers: &[1, 8, 64, 256],
        }
    };
    let clients = Clients::prepare()?;
    let server = Helper::null_server(SERVER_CORE, None)?;
    small_calls(report, &clients, &server.target(), &extent)?;
    telemetry(report, &clients, &server.target(), &extent)?;
    over_a_link(report, &clients, &server, &extent)?;
    aliases(report, &clients, &server.target(), &extent)
}

fn small_calls(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    extent: &Extent,
) -> anyhow::Result<()> {
    for round in 0..extent.rounds {
        for &callers in extent.callers {
            // Each round begins with another one, so that none always follows the same one.
            for index in 0..EVERYBODY.len() {
                let who = EVERYBODY[(index + round) % EVERYBODY.len()];
                let work = Work::SmallCalls {
                    callers,
                    seconds: extent.seconds,
                };
                let case = format!("small calls, {callers} callers");
                measure(report, clients, &case, who, target, &work, &SMALL)?;
            }
        }
    }
    Ok(())
}

/// What is reported of an outcome: its key and the metric's name.
type Metrics = [(&'static str, &'static str)];

const SMALL: [(&str, &str); 4] = [
    ("rate", "rate [calls/s]"),
    ("cpu_us", "client CPU per call [µs]"),
    ("p50_us", "p50 [µs]"),
    ("p99_us", "p99 [µs]"),
];
const LARGE: [(&str, &str); 2] = [
    ("megabytes_per_second", "throughput [MB/s]"),
    ("first_ms", "first [ms]"),
];

fn measure(
    report: &mut Report,
    clients: &Clients,
    case: &str,
    who: Who,
    target: &Target,
    work: &Work,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    if !report.wants(case) || report.has_remark(case, who.name()) {
        return Ok(());
    }
    let (outcome, _) = match clients.run(who, target, work, Some(CLIENT_CORE)) {
        Ok(done) => done,
        // What a peer can't do is a result; what we can't do is a fault.
        Err(error) if !OUR_NAMES.contains(&who.name()) => {
            report.remark(case, who.name(), &format!("{error:#}"));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for (key, metric) in metrics {
        report.add(case, who.name(), metric, number(&outcome, key)?);
    }
    Ok(())
}

/// What spans and metrics cost a small call of 64 callers, in a process in which nobody listens.
fn telemetry(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    extent: &Extent,
) -> anyhow::Result<()> {
    let case = "telemetry to which nobody listens";
    let rounds = if report.wants(case) { extent.rounds } else { 0 };
    for _ in 0..rounds {
        let outcome = programs::telemetry_cost(target, CLIENT_CORE)?;
        let nanoseconds = number(&outcome, "nanoseconds")?;
        let work = Work::SmallCalls {
            callers: 64,
            seconds: extent.seconds,
        };
        let who = Who::OursOneChannel;
        let (calls, _) = clients.run(who, target, &work, Some(CLIENT_CORE))?;
        let share = nanoseconds / 10.0 / number(&calls, "cpu_us")?;
        report.add(case, who.name(), "CPU per call [ns]", nanoseconds);
        report.add(case, who.name(), "share of a small call [%]", share);
    }
    Ok(())
}

fn over_a_link(
    report: &mut Report,
    clients: &Clients,
    server: &Helper,
    extent: &Extent,
) -> anyhow::Result<()> {
    let link = Helper::delayed_link(SERVER_CORE, server.address, LINK_DELAY)?;
    let strict = Helper::null_server(SERVER_CORE, Some(FEW_STREAMS))?;
    let strict_link = Helper::delayed_link(SERVER_CORE, strict.address, LINK_DELAY)?;
    // Calls of half a second need more of it than small ones.
    let seconds = (extent.seconds * 2.0).max(1.5);
    for _ in 0..extent.rounds.min(3) {
        for who in OVER_THE_LINK {
            let case = format!("3 MB inserts, 4 callers, {LINK_DELAY} ms link");
            let work = Work::Inserts {
                callers: 4,
                seconds,
            };
            measure(report, clients, &case, who, &link.target(), &work, &LARGE)?;
            let case = format!("10 MB answers, {LINK_DELAY} ms link");
            let work = Work::Answers { seconds };
            measure(report, clients, &case, who, &link.target(), &work, &LARGE)?;
            let work = Work::SmallCalls {
                callers: 64,
                seconds,
            };
            let case = format!("small calls, 64 callers, {LINK_DELAY} ms link");
            measure(report, clients, &case, who, &link.target(), &work, &SMALL)?;
            let case = format!(
                "small calls, 64 callers, {LINK_DELAY} ms link, {FEW_STREAMS} streams per connection"
            );
            measure(
                report,
                clients,
                &case,
                who,
                &strict_link.target(),
                &work,
                &SMALL,
            )?;
        }
    }
    Ok(())
}

fn aliases(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    extent: &Extent,
) -> anyhow::Result<()> {
    let case = format!("{ALIASES} aliases of one target");
    let work = Work::Connections {
        count: ALIASES,
        shared: true,
    };
    let rounds = if report.wants(&case) {
        extent.rounds
    } else {
        0
    };
    for _ in 0..rounds {
        for who in [Who::Ours, Who::MilvusSdk, Who::Pymilvus] {
            let (outcome, _) = clients.run(who, target, &work, None)?;
            let name = who.name();
            #[allow(clippy::cast_precision_loss, reason = "a small count")]
            let each = ALIASES as f64;
            report.add(&case, name, "time [ms]", number(&outcome, "seconds")? * 1e3);
            report.add(
                &case,
                name,
                "memory per alias [KB]",
                number(&outcome, "bytes")? / 1e3 / each,
            );
            report.add(
                &case,
                name,
                "additional sockets",
                number(&outcome, "sockets")?,
            );
        }
    }
    Ok(())
}
