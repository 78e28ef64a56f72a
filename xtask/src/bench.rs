//! `cargo xtask bench NAME`: builds the benchmarks in release mode and runs one.
//!
//! They are a package of their own (`bench/`), outside the workspace: their peers bring many crates that nobody needs who
//! only tests. What each one measures is said in docs/benchmarks.md.
//!
//! Invariant: nothing of the benchmarks is built unless this task is asked for.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::project;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The benchmark: `connect`, `calls`, `data`, `faults`, `embedded` or `python`
    name: String,
    /// Fewer and shorter runs: shows that everything works, its numbers mean little
    #[arg(long)]
    quick: bool,
    /// Only the cases whose names contain this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Also write the results to this file, for programs
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the results into this file, as bars side by side
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = project::root();
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = target.join("bench");
    build(&root, &target)?;
    let mut bench = Command::new(target.join("release/bench"));
    bench.arg(&arguments.name);
    if arguments.quick {
        bench.arg("--quick");
    }
    if let Some(text) = &arguments.only {
        bench.arg("--only").arg(text);
    }
    if let Some(file) = &arguments.json {
        bench.arg("--json").arg(file);
    }
    if let Some(file) = &arguments.svg {
        bench.arg("--svg").arg(file);
    }
    let status = bench.status().context("could not run the benchmark")?;
    if !status.success() {
        bail!("the benchmark failed ({status})");
    }
    Ok(())
}

fn build(root: &Path, target: &Path) -> anyhow::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--manifest-path"])
        .arg(root.join("bench/Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()
        .context("could not run cargo")?;
    if !status.success() {
        bail!("the benchmarks do not build ({status})");
    }
    Ok(())
}
