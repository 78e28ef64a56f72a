//! Cargo and its further tools, run from the project's root.
//!
//! Invariant: a tool that is missing is installed below the target directory in a fixed version; nothing is written
//! outside of it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::{env, fs};

use anyhow::{Context as _, ensure};

use super::counts::Counts;
use crate::project;

/// A cargo subcommand that is not part of the toolchain.
pub(super) struct Tool {
    /// The crate and its program.
    pub(super) name: &'static str,
    /// The version to install when there is none.
    pub(super) version: &'static str,
    /// What follows `cargo`.
    pub(super) subcommand: &'static str,
}

fn tools() -> PathBuf {
    project::target().join("tools")
}

/// Cargo, which finds the tools that [`ensure_tool`] installed.
pub(super) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(project::root()).stdin(Stdio::null());
    let path = env::var_os("PATH").unwrap_or_default();
    let search = env::split_paths(&path).chain([tools().join("bin")]);
    command.env("PATH", env::join_paths(search).unwrap_or(path));
    command
}

/// Runs a command that is one check.
pub(super) fn run_checked(command: &mut Command) -> anyhow::Result<Counts> {
    let status = command
        .status()
        .with_context(|| format!("could not run {:?}", command.get_program()))?;
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words: Vec<&OsStr> = [program].into_iter().chain(command.get_args()).collect();
    let line = words.join(" ".as_ref());
    ensure!(status.success(), "`{}` failed ({status})", line.display());
    Ok(Counts::PASSED)
}

/// Runs a command, copies its output as it comes, and returns it.
pub(super) fn run_and_copy(command: &mut Command) -> anyhow::Result<(ExitStatus, String)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("the output was asked for")?;
    let mut copy = String::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        copy.push_str(&line);
        copy.push('\n');
    }
    Ok((child.wait()?, copy))
}

/// Installs a tool unless it is there.
pub(super) fn ensure_tool(tool: &Tool) -> anyhow::Result<()> {
    let found = cargo()
        .args([tool.subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if found.success() {
        return Ok(());
    }
    let build = tools().join("build");
    // Not optimised: building a tool takes longer than it saves in one run (cargo-deny: 90 s instead of 280 s).
    let mut install = cargo();
    install
        .args([
            "install",
            "--locked",
            "--debug",
            tool.name,
            "--version",
            tool.version,
            "--root",
        ])
        .arg(tools())
        .arg("--target-dir")
        .arg(&build)
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    run_checked(&mut install)
        .with_context(|| format!("could not install {} {}", tool.name, tool.version))?;
    fs::remove_dir_all(&build).with_context(|| format!("could not remove {}", build.display()))
}
