//! `cargo xtask test`: makes what the tests need, runs every check of the project, and counts.
//!
//! Invariant: a part that can't run is a failure, never a skip; one failing step does not keep the others from running;
//! the last line of the output is `N passed, N failed`, and the exit code is 0 exactly when nothing failed.

mod cargo;
mod counts;
mod hygiene;
mod python;
mod report;
mod rust_version;

use std::ffi::OsString;
use std::thread;

use anyhow::{Context as _, anyhow, ensure};

use self::cargo::{Tool, cargo, ensure_tool, run_checked};
use self::counts::Counts;
use self::report::Report;
use crate::servers::Servers;
use crate::{generate, project, wire_check};

/// Arguments of `test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out what needs the network, real servers or much time: format, lints and the tests without servers only
    #[arg(long)]
    quick: bool,
    /// Only the Python package, with real servers
    #[arg(long, conflicts_with = "quick")]
    python: bool,
}

const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9.143",
    subcommand: "nextest",
};
const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    subcommand: "deny",
};

/// The tests that need no server; the names are explained in CONTRIBUTING.md.
const WITHOUT_SERVERS: &str = "not (binary(/^real_/) or binary(/^own_server_/))";

/// What is off by default, with the crates that have it: a workspace is built without, and nothing else would compile it.
const WITH_FEATURES: &[&str] = &[
    "--package",
    "milvus-client",
    "--package",
    "milvus-connections",
    "--features",
    "milvus-client/arrow,milvus-connections/arrow",
];

/// Runs the task, and ends the process with exit code 1 when something failed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut report = Report::default();
    if arguments.quick {
        quick(&mut report);
    } else if arguments.python {
        only_python(&mut report);
    } else {
        full(&mut report);
    }
    if report.close() {
        return Ok(());
    }
    // Not an error to print: the closing line is the last word.
    std::process::exit(1);
}

fn quick(report: &mut Report) {
    checks_without_building(report);
    report.step("lints", lints);
    report.step("lints with features", feature_lints);
    report.step("tests without servers", || {
        tests(&[], &["--workspace", "-E", WITHOUT_SERVERS])
    });
    report.step("tests with features", feature_tests);
}

fn full(report: &mut Report) {
    // Downloads and unpacking go on while the compiler has the cores.
    let installing = thread::spawn(Servers::install);
    checks_without_building(report);
    report.step("lints", lints);
    report.step("lints with features", feature_lints);
    report.step("rust version", rust_version::check);
    report.step("dependencies", dependencies);
    report.step("wire check", || {
        wire_check::run(&wire_check::Arguments {})?;
        Ok(Counts::PASSED)
    });
    let servers = start_servers(report, || {
        installing
            .join()
            .map_err(|_| anyhow!("the installation panicked"))?
    });
    // Without servers the tests that need them fail and say why, and the others still tell something.
    report.step("tests", || {
        let variables = servers.as_ref().map_or(&[][..], Servers::variables);
        tests(variables, &["--workspace"])
    });
    python(report, servers);
    report.step("tests with features", feature_tests);
    report.step("doc tests", || doc_tests(&["--workspace"]));
    report.step("doc tests with features", || doc_tests(WITH_FEATURES));
    report.step("documentation", documentation);
}

fn only_python(report: &mut Report) {
    let servers = start_servers(report, Servers::install);
    python(report, servers);
}

fn start_servers(
    report: &mut Report,
    install: impl FnOnce() -> anyhow::Result<()>,
) -> Option<Servers> {
    let mut servers = None;
    report.step("real servers", || {
        install()?;
        servers = Some(Servers::start()?);
        Ok(Counts::PASSED)
    });
    servers
}

/// Stops the servers as soon as nothing needs them.
fn python(report: &mut Report, servers: Option<Servers>) {
    report.step("python", || {
        python::tests(servers.as_ref().map_or(&[], Servers::variables))
    });
    drop(servers);
    report.step("python types", python::types);
}

fn checks_without_building(report: &mut Report) {
    report.step("format", || {
        run_checked(cargo().args(["fmt", "--all", "--check"]))
    });
    report.step("hygiene", || hygiene::check(&project::root()));
    report.step("generated code", || {
        generate::run(&generate::Arguments { check: true })?;
        Ok(Counts::PASSED)
    });
}

fn lints() -> anyhow::Result<Counts> {
    clippy(&["--workspace"])
}

fn feature_lints() -> anyhow::Result<Counts> {
    clippy(WITH_FEATURES)
}

fn clippy(selection: &[&str]) -> anyhow::Result<Counts> {
    let mut command = cargo();
    command
        .args(["clippy", "--locked", "--all-targets"])
        .args(selection)
        .args(["--", "-D", "warnings"]);
    run_checked(&mut command)
}

/// The tests inside the crates, in which all that the features add is tested.
fn feature_tests() -> anyhow::Result<Counts> {
    tests(&[], &[WITH_FEATURES, &["--lib"]].concat())
}

/// Licences, duplicates and sources. Advisories need a database from outside: `cargo deny check advisories`.
fn dependencies() -> anyhow::Result<Counts> {
    ensure_tool(&DENY)?;
    run_checked(cargo().args([
        "deny",
        "--locked",
        "--workspace",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}

fn tests(variables: &[(&'static str, OsString)], selection: &[&str]) -> anyhow::Result<Counts> {
    ensure_tool(&NEXTEST)?;
    let junit = project::target().join("nextest/default/junit.xml");
    // A report of an earlier run must not be taken for this one's.
    if junit.exists() {
        std::fs::remove_file(&junit)?;
    }
    let status = cargo()
        .args(["nextest", "run", "--locked", "--no-fail-fast"])
        .args(selection)
        .env("RUST_BACKTRACE", backtraces())
        // A snapshot that differs is a failure to look at, not a file to leave in the tree.
        .env("INSTA_UPDATE", "no")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .status()?;
    let text = std::fs::read_to_string(&junit).with_context(|| {
        format!(
            "nextest ran no test ({status}): it wrote no {}",
            junit.display()
        )
    })?;
    let counts = Counts::from_junit(&text).context("nextest's report has no counts")?;
    ensure!(counts.passed + counts.failed > 0, "nextest ran no test");
    ensure!(
        status.success() == (counts.failed == 0),
        "nextest ended with {status} and counted {counts:?}"
    );
    Ok(counts)
}

/// Backtraces of an asynchronous runtime are hundreds of lines, of which none says why a test failed, and reports that
/// keep only the end of an output then keep only them. Who wants them sets the variable.
fn backtraces() -> OsString {
    std::env::var_os("RUST_BACKTRACE").unwrap_or_else(|| "0".into())
}

fn doc_tests(selection: &[&str]) -> anyhow::Result<Counts> {
    let mut command = cargo();
    command
        .args(["test", "--locked", "--doc", "--no-fail-fast"])
        .args(selection);
    let (status, output) = cargo::run_and_copy(&mut command)?;
    let counts = Counts::from_libtest(&output);
    ensure!(
        counts.passed + counts.failed > 0,
        "no doc test ran ({status})"
    );
    // A doc test that does not compile is counted; a crate that does not is not.
    ensure!(
        status.success() || counts.failed > 0,
        "the doc tests ended with {status}"
    );
    Ok(counts)
}

fn documentation() -> anyhow::Result<Counts> {
    let mut command = cargo();
    command
        .args([
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--keep-going",
        ])
        .env("RUSTDOCFLAGS", "-D warnings");
    run_checked(&mut command)
}
