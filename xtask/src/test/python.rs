//! The Python package, tested as its users get it: installed by `pip install ./python` into an environment of its own.
//!
//! Invariant: the tests run against what was installed, never against the source folder; a check that finds nothing to
//! check is a failure.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use milvus_testkit::real::{Python, Requirements};

use super::cargo::run_checked;
use super::counts::Counts;
use crate::project;

/// PyMilvus for the tests side by side, a program that uses it, and the tools. Its oldest supported Python decides the versions.
const TOOLS: Requirements = Requirements::new(
    "python-package-2",
    &[
        "pymilvus==3.0.2",
        "pytest==8.4.2",
        "mypy==1.18.2",
        "pandas>=1.4",
        "pyarrow>=10",
        "langchain-milvus==0.4.0; python_version >= '3.10'",
    ],
);

/// Installs the package and runs its tests, with the servers that `variables` describe.
pub(super) fn tests(variables: &[(&'static str, OsString)]) -> anyhow::Result<Counts> {
    let python = install()?;
    let folder = project::root().join("python");
    let junit = project::target().join("python/junit.xml");
    if junit.exists() {
        fs::remove_file(&junit)?;
    }
    let status = command(&python, &folder)
        .args([
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--junit-xml",
        ])
        .arg(&junit)
        .args([
            "tests",
            "--doctest-modules",
            "--pyargs",
            "milvus_connections",
        ])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .status()
        .context("could not run pytest")?;
    let report = fs::read_to_string(&junit).with_context(|| {
        format!(
            "pytest ran no test ({status}): it wrote no {}",
            junit.display()
        )
    })?;
    let counts = Counts::from_pytest(&report).context("pytest's report has no counts")?;
    ensure!(counts.passed + counts.failed > 0, "pytest ran no test");
    ensure!(
        status.success() == (counts.failed == 0),
        "pytest ended with {status} and counted {counts:?}"
    );
    Ok(counts)
}

/// mypy over the package and a program that uses it, and the stubs of the native module against the module.
pub(super) fn types() -> anyhow::Result<Counts> {
    let python = install()?;
    let folder = project::root().join("python");
    let cache = project::target().join("python/mypy");
    let mypy = |checked: &[&str]| {
        run_checked(
            command(&python, &folder)
                .args([
                    "-m",
                    "mypy",
                    "--config-file",
                    "pyproject.toml",
                    "--cache-dir",
                ])
                .arg(&cache)
                .args(checked),
        )
    };
    let package = mypy(&["-p", "milvus_connections"])?;
    let use_of_it = mypy(&["tests/test_typed_use.py"])?;
    let stubs = run_checked(command(&python, &folder).args([
        "-m",
        "mypy.stubtest",
        "--mypy-config-file",
        "pyproject.toml",
        "milvus_connections._native",
    ]))?;
    Ok(package + use_of_it + stubs)
}

/// The environment with the package in it, as the sources are now. Cargo knows what of it is still up to date.
fn install() -> anyhow::Result<Python> {
    let python = Python::prepare(TOOLS)?;
    let root = project::root();
    run_checked(
        command(&python, &root)
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--no-deps", "--force-reinstall", "./python"])
            .env("CARGO_TARGET_DIR", absolute(&project::target())?)
            // What the other tests have been built with: a build of its own would take minutes.
            .env("MATURIN_PEP517_ARGS", "--locked --profile dev"),
    )?;
    Ok(python)
}

fn command(python: &Python, folder: &Path) -> Command {
    let mut command = Command::new(python.interpreter());
    command
        .current_dir(folder)
        .env("GRPC_VERBOSITY", "NONE")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("PYTHONPATH");
    command
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(path)?;
    Ok(path.canonicalize()?)
}
