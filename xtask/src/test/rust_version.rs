//! The oldest Rust that the project promises to build with.
//!
//! Invariant: either this very run builds with that version, or a separate check does; and no dependency asks for a newer
//! one.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::cargo::{cargo, run_checked};
use super::counts::Counts;
use crate::project;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    rust_version: Option<String>,
    /// `None` for what is part of the workspace.
    source: Option<String>,
}

/// Checks the promise.
pub(super) fn check() -> anyhow::Result<Counts> {
    let output = cargo()
        .args(["metadata", "--locked", "--format-version", "1"])
        .output()?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let (ours, dependencies): (Vec<_>, Vec<_>) = metadata
        .packages
        .iter()
        .partition(|package| package.source.is_none());
    let promised = ours
        .iter()
        .find_map(|package| package.rust_version.as_deref())
        .context("no rust-version")?;
    for package in &ours {
        let version = package.rust_version.as_deref();
        ensure!(
            version == Some(promised),
            "{} promises Rust {version:?}, others {promised}",
            package.name
        );
    }
    let newer: Vec<String> = dependencies
        .iter()
        .filter_map(|package| {
            let wanted = package.rust_version.as_deref()?;
            (release(wanted) > release(promised))
                .then(|| format!("{} {} ({wanted})", package.name, package.version))
        })
        .collect();
    ensure!(
        newer.is_empty(),
        "these need a newer Rust than {promised}: {}",
        newer.join(", ")
    );

    let compiler = Command::new("rustc")
        .arg("--version")
        .output()
        .context("could not run rustc")?;
    let compiler = String::from_utf8_lossy(&compiler.stdout).into_owned();
    let version = compiler.split_whitespace().nth(1).unwrap_or_default();
    if same_release(version, promised) {
        println!("this run builds with Rust {version}, and the project promises {promised}");
        return Ok(Counts::PASSED);
    }
    // Not `cargo +VERSION`: the cargo that runs this task is a particular one and does not know the others.
    let mut check = Command::new("rustup");
    check
        .args([
            "run",
            promised,
            "cargo",
            "check",
            "--locked",
            "--workspace",
            "--all-targets",
        ])
        .env_remove("RUSTUP_TOOLCHAIN")
        .current_dir(project::root());
    run_checked(&mut check)
}

/// Major, minor and patch, as far as given.
fn release(version: &str) -> Vec<u32> {
    let numbers = version
        .split(['.', '-'])
        .map_while(|number| number.parse().ok())
        .take(3);
    numbers.chain([0, 0, 0]).take(3).collect()
}

/// Whether `version` is `promised` or a patch of it.
fn same_release(version: &str, promised: &str) -> bool {
    release(version).get(..2) == release(promised).get(..2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(release("1.100") > release("1.95.3"));
        assert!(release("1.95") == release("1.95.0"));
        assert!(same_release("1.95.0", "1.95") && !same_release("1.96.0-nightly", "1.95"));
    }
}
