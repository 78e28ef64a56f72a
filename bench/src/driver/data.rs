//! `bench data`: what rows, searches and answers cost.
//!
//! First without a server (encoding and decoding), then against one that does nothing, in another process, client and server
//! each on a core of its own: the client's cost alone. Then against a real Milvus 2.3.5, where the server's work is the larger
//! part.

use std::path::Path;

use anyhow::Context as _;
use milvus_bench::client::{Target, Work};
use milvus_bench::data::{self, Form};
use milvus_bench::report::Report;
use milvus_testkit::Scratch;
use milvus_testkit::real::{Milvus, MilvusOptions};
use serde_json::Value;

use crate::programs::{Clients, Helper, OUR_NAMES, Who, number};

const CLIENT_CORE: usize = 0;
const SERVER_CORE: usize = 1;

const CLIENTS: [Who; 3] = [Who::Ours, Who::MilvusSdk, Who::Pymilvus];
const SEARCHERS: [Who; 4] = [Who::Ours, Who::Tonic, Who::MilvusSdk, Who::Pymilvus];

struct Extent {
    rounds: usize,
    seconds: f64,
    /// Rows of an insert.
    rows: usize,
    /// Rows on the real server.
    real_rows: usize,
    callers: &'static [usize],
}

/// Runs the benchmark.
pub(crate) fn run(report: &mut Report, quick: bool) -> anyhow::Result<()> {
    let extent = if quick {
        Extent {
            rounds: 1,
            seconds: 0.3,
            rows: 20_000,
            real_rows: 5_000,
            callers: &[1, 64],
        }
    } else {
        Extent {
            rounds: 3,
            seconds: 1.0,
            rows: 100_000,
            real_rows: 20_000,
            callers: &[1, 8, 64],
        }
    };
    let clients = Clients::prepare()?;
    coding(report, &clients, &extent)?;
    let server = Helper::data_server(SERVER_CORE)?;
    inserts(report, &clients, &server.target(), &extent)?;
    searches(
        report,
        &clients,
        &server.target(),
        &extent,
        "server that does nothing",
        Some(CLIENT_CORE),
    )?;
    answers(report, &clients, &server.target(), &extent)?;
    drop(server);
    real(report, &clients, &extent)
}

/// One run; a peer that can't is a remark, and so is what a bare channel has no part in.
fn measure(
    report: &mut Report,
    clients: &Clients,
    case: &str,
    who: Who,
    target: &Target,
    work: &Work,
    core: Option<usize>,
) -> anyhow::Result<Option<Value>> {
    if report.has_remark(case, who.name()) || !report.wants(case) {
        return Ok(None);
    }
    match clients.run(who, target, work, core) {
        Ok((outcome, _)) => Ok(Some(outcome)),
        Err(error) if !OUR_NAMES.contains(&who.name()) => {
            report.remark(case, who.name(), &format!("{error:#}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn add(
    report: &mut Report,
    case: &str,
    who: Who,
    outcome: &Value,
    metrics: &[(&str, &str)],
) -> anyhow::Result<()> {
    for (key, metric) in metrics {
        report.add(case, who.name(), metric, number(outcome, key)?);
    }
    Ok(())
}

fn coding(report: &mut Report, clients: &Clients, extent: &Extent) -> anyhow::Result<()> {
    const METRIC: &str = "pace [GB/s]";
    let encode = format!("encode {}×{} f32", data::MESSAGE_ROWS, data::DIMENSION);
    let decode = format!("decode {}×{} f32", data::ANSWER_ROWS, data::DIMENSION);
    let target = Target::default();
    for round in 0..extent.rounds {
        for index in 0..CLIENTS.len() {
            let who = CLIENTS[(index + round) % CLIENTS.len()];
            let work = Work::Coding {
                seconds: extent.seconds / 2.0,
            };
            let outcome = measure(
                report,
                clients,
                &encode,
                who,
                &target,
                &work,
                Some(CLIENT_CORE),
            )?;
            let Some(outcome) = outcome else { continue };
            report.add(&encode, who.name(), METRIC, number(&outcome, "encode")?);
            report.add(&decode, who.name(), METRIC, number(&outcome, "decode")?);
            if who == Who::Ours {
                let memcpy = number(&outcome, "memcpy")?;
                report.add(&encode, "memcpy", METRIC, memcpy);
                report.add(&decode, "memcpy", METRIC, memcpy);
            }
        }
    }
    Ok(())
}

const INSERT: [(&str, &str); 3] = [
    ("megabytes_per_second", "throughput [MB/s]"),
    ("cpu_per_gigabyte", "client CPU per GB [s]"),
    ("peak_megabytes", "peak memory beyond the rows [MB]"),
];

fn inserts(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    extent: &Extent,
) -> anyhow::Result<()> {
    for round in 0..extent.rounds {
        for form in [Form::Columns, Form::Rows] {
            let case = format!(
                "insert {}×{}, {}",
                extent.rows,
                data::DIMENSION,
                form_name(form)
            );
            for index in 0..CLIENTS.len() {
                let who = CLIENTS[(index + round) % CLIENTS.len()];
                let work = Work::InsertRows {
                    rows: extent.rows,
                    form,
                };
                let outcome = measure(
                    report,
                    clients,
                    &case,
                    who,
                    target,
                    &work,
                    Some(CLIENT_CORE),
                )?;
                if let Some(outcome) = outcome {
                    add(report, &case, who, &outcome, &INSERT)?;
                }
            }
        }
    }
    Ok(())
}

fn form_name(form: Form) -> &'static str {
    match form {
        Form::Columns => "columns",
        Form::Rows => "rows",
    }
}

const CALLS: [(&str, &str); 4] = [
    ("rate", "rate [calls/s]"),
    ("p50_us", "p50 [µs]"),
    ("p99_us", "p99 [µs]"),
    ("cpu_us", "client CPU per call [µs]"),
];

fn searches(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    extent: &Extent,
    server: &str,
    core: Option<usize>,
) -> anyhow::Result<()> {
    for round in 0..extent.rounds {
        for &callers in extent.callers {
            let case = format!("search for 10 hits, {callers} callers, {server}");
            let work = Work::Searches {
                callers,
                seconds: extent.seconds,
            };
            for index in 0..SEARCHERS.len() {
                let who = SEARCHERS[(index + round) % SEARCHERS.len()];
                let outcome = measure(report, clients, &case, who, target, &work, core)?;
                if let Some(outcome) = outcome {
                    add(report, &case, who, &outcome, &CALLS)?;
                }
            }
        }
    }
    Ok(())
}

fn answers(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    extent: &Extent,
) -> anyhow::Result<()> {
    let case = format!(
        "answers of {}×{}, 1 caller",
        data::ANSWER_ROWS,
        data::DIMENSION
    );
    let work = Work::SmallAnswers {
        seconds: extent.seconds,
    };
    let metrics = [CALLS[0], CALLS[1], CALLS[3], INSERT[0]];
    for round in 0..extent.rounds {
        for index in 0..SEARCHERS.len() {
            let who = SEARCHERS[(index + round) % SEARCHERS.len()];
            let outcome = measure(
                report,
                clients,
                &case,
                who,
                target,
                &work,
                Some(CLIENT_CORE),
            )?;
            if let Some(outcome) = outcome {
                add(report, &case, who, &outcome, &metrics)?;
            }
        }
    }
    Ok(())
}

fn real(report: &mut Report, clients: &Clients, extent: &Extent) -> anyhow::Result<()> {
    let milvus = Milvus::start(MilvusOptions::default()).context("could not start Milvus")?;
    let target = Target {
        uri: milvus.server().uri(),
        ..Target::default()
    };
    let scratch = Scratch::new("bench-data")?;
    let path = scratch.path().join("vectors.npy");
    data::write_numpy(&path, extent.real_rows)?;
    for round in 0..extent.rounds.min(2) {
        for index in 0..CLIENTS.len() {
            let who = CLIENTS[(index + round) % CLIENTS.len()];
            real_writes(report, clients, &target, who, &path, extent)?;
        }
    }
    clients.run(
        Who::Ours,
        &target,
        &Work::Prepare {
            rows: extent.real_rows,
        },
        None,
    )?;
    searches(report, clients, &target, extent, "Milvus 2.3.5", None)
}

fn real_writes(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    who: Who,
    path: &Path,
    extent: &Extent,
) -> anyhow::Result<()> {
    let size = format!("{}×{}", extent.real_rows, data::DIMENSION);
    let insert = Work::InsertRows {
        rows: extent.real_rows,
        form: Form::Columns,
    };
    let load = Work::LoadFile {
        path: path.to_owned(),
    };
    for (case, work) in [
        (format!("insert {size}, columns, Milvus 2.3.5"), insert),
        (
            format!("NumPy file of {size} to flushed rows, Milvus 2.3.5"),
            load,
        ),
    ] {
        // Everybody begins with an empty collection.
        clients.run(Who::Ours, target, &Work::Prepare { rows: 0 }, None)?;
        let outcome = measure(report, clients, &case, who, target, &work, None)?;
        if let Some(outcome) = outcome {
            add(report, &case, who, &outcome, &INSERT)?;
            report.add(&case, who.name(), "time [s]", number(&outcome, "seconds")?);
        }
    }
    Ok(())
}
