//! `bench python`: what the Python package costs, beside PyMilvus: importing, connecting, inserting, searching.
//!
//! Against the server that does nothing, in another process on another core. Both run in one environment, each run in a
//! process of its own; the package is installed there as its users install it, in release mode.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use milvus_bench::messages::{PACKAGE_DIMENSION, PACKAGE_LIMIT};
use milvus_bench::report::Report;
use milvus_testkit::real::{Python, Requirements};
use serde_json::{Value, json};

use crate::programs::{Helper, number, one_line};

/// The interpreter of both, with numpy, which PyMilvus brings.
const ENVIRONMENT: Requirements = Requirements::new("python-bench-1", &["pymilvus==3.0.2"]);
const PACKAGES: [(&str, &str); 2] = [("ours", "milvus_connections"), ("pymilvus", "pymilvus")];

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
/// How long one run may take; most of it is making 300 MB of rows.
const LIMIT: Duration = Duration::from_secs(100);

/// Runs the benchmark.
pub(crate) fn run(report: &mut Report, quick: bool) -> anyhow::Result<()> {
    let python = install()?;
    let rounds = if quick { 1 } else { 5 };
    let seconds = if quick { 0.5 } else { 3.0 };
    let none = server(0)?;
    let one = server(1)?;
    let hundred = server(100)?;
    for round in 0..rounds {
        let mut packages = PACKAGES;
        packages.rotate_left(round % PACKAGES.len());
        for (who, module) in packages {
            let run = |server: &Helper, mut job: Value| {
                job["module"] = module.into();
                job["uri"] = format!("http://{}", server.address).into();
                if job.get("core").is_none() {
                    job["core"] = CLIENT_CORE.into();
                }
                run_package(&python, &job)
            };
            let mut add = |case: &str, outcome: &Value, metrics: &[(&str, &str)]| {
                metrics.iter().try_for_each(|(key, metric)| {
                    report.add(case, who, metric, number(outcome, key)?);
                    anyhow::Ok(())
                })
            };
            let times = [("ms", "time [ms]"), ("cpu_ms", "client CPU [ms]")];
            let inserts = [times[0], times[1], ("peak_megabytes", "peak memory [MB]")];
            let rates = [
                ("rate", "rate [calls/s]"),
                ("cpu_us", "client CPU per call [µs]"),
            ];
            let shared = [rates[0], rates[1], ("server_share", "server CPU [%]")];
            let outcome = run(&one, json!({"work": "import"}))?;
            add(
                "import",
                &outcome,
                &[("ms", "time [ms]"), ("megabytes", "memory [MB]")],
            )?;
            add("connect", &run(&one, json!({"work": "connect"}))?, &times)?;
            for (work, case) in [
                ("insert_rows", "insert 100,000 × 768, rows of numpy vectors"),
                ("insert_columns", "insert 100,000 × 768, columns"),
            ] {
                add(case, &run(&none, json!({"work": work}))?, &inserts)?;
                let unpinned = run(&none, json!({"work": work, "core": null}))?;
                add(&format!("{case}, on any core"), &unpinned, &inserts)?;
            }
            for (server, queries, callers, case) in [
                (&one, 1, 1, "search nq=1, reading all hits"),
                (&hundred, 100, 1, "search nq=100, reading all hits"),
                (&one, 1, 64, "search nq=1 from 64 threads, reading all hits"),
            ] {
                let job = json!({"work": "search", "queries": queries, "callers": callers, "seconds": seconds});
                let metrics: &[_] = if callers > 1 { &shared } else { &rates };
                add(case, &run(server, job)?, metrics)?;
            }
        }
    }
    Ok(())
}

fn server(queries: usize) -> anyhow::Result<Helper> {
    Helper::null_server_of(SERVER_CORE, PACKAGE_DIMENSION, queries, PACKAGE_LIMIT)
}

fn run_package(python: &Python, job: &Value) -> anyhow::Result<Value> {
    let mut command = Command::new(python.interpreter());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/package.py"))
        .env("GRPC_VERBOSITY", "NONE");
    let (outcome, _) = one_line(&mut command, &format!("{job}\n"), LIMIT)
        .with_context(|| format!("could not run {job}"))?;
    Ok(outcome)
}

/// The environment with the package as it is now. Cargo's files go beside those of the benchmarks.
fn install() -> anyhow::Result<Python> {
    let python = Python::prepare(ENVIRONMENT)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target: PathBuf = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .context("where is this program?")?
        .join("python");
    let status = Command::new(python.interpreter())
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--no-deps", "--force-reinstall", "./python"])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", target)
        .status()
        .context("could not run pip")?;
    ensure!(
        status.success(),
        "the Python package can't be installed ({status})"
    );
    Ok(python)
}
