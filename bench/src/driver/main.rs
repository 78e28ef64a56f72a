//! The driver of the benchmarks: `bench NAME`. `cargo xtask bench NAME` builds it and runs it.
//!
//! Invariant: runs of ours and of the peers alternate, so that what else happens on the machine hits all alike; every run is
//! bounded in time; what a benchmark starts is gone when it ends.

mod calls;
mod connect;
mod data;
mod embedded;
mod faults;
mod programs;
mod python;
mod real_outage;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use milvus_bench::report::Report;

#[derive(Parser)]
#[command(
    name = "bench",
    about = "Benchmarks of milvus-connections beside its peers"
)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
    /// Fewer and shorter runs: shows that everything works, its numbers mean little
    #[arg(long, global = true)]
    quick: bool,
    /// Only the cases whose names contain this text
    #[arg(long, global = true, value_name = "TEXT")]
    only: Option<String>,
    /// Where to write the results for programs
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the results as a chart
    #[arg(long, global = true, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Subcommand)]
enum Benchmark {
    /// Start to first answer, many connections, speed of failing: against a real Milvus
    Connect,
    /// Kills, pauses, GOAWAY, restarts under readers and inserters: what fails, what is doubled, how fast it recovers
    Faults,
    /// The embedded engine beside Milvus Lite and a Milvus server: insert, search, filter, memory, kill -9
    Embedded,
    /// Rate, latency and processor time of calls: against a server that does nothing
    Calls,
    /// The Python package beside PyMilvus: import, connect, insert, search
    Python,
    /// Inserts, searches and answers: against a server that does nothing, and a real Milvus
    Data,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (name, run): (_, fn(&mut Report, bool) -> anyhow::Result<()>) = match arguments.benchmark {
        Benchmark::Connect => ("connect", connect::run),
        Benchmark::Embedded => ("embedded", embedded::run),
        Benchmark::Faults => ("faults", faults::run),
        Benchmark::Calls => ("calls", calls::run),
        Benchmark::Python => ("python", python::run),
        Benchmark::Data => ("data", data::run),
    };
    let mut report = Report::new(name).only(arguments.only);
    let outcome = run(&mut report, arguments.quick);
    report.compare(&programs::OUR_NAMES);
    print!("{}", report.table());
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    if let Some(path) = &arguments.svg {
        std::fs::write(path, report.chart(&programs::OUR_NAMES))
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    outcome
}
