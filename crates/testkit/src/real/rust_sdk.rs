//! The official Rust client, as a program of its own: its crates are no dependencies of this workspace.
//!
//! Invariant: built from its own lock file into a folder of its own; building again what is built takes a second.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::process::run_to_end;
use crate::{Failure, Scratch, testkit_directory};

const NAME: &str = "milvus-sdk-rust-everyday";
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// A program that does everyday work with `milvus-sdk-rust`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RustSdk {
    program: PathBuf,
}

impl RustSdk {
    /// Builds it (network: crates.io, the first time).
    ///
    /// # Errors
    /// When it can't be built.
    pub fn prepare() -> Result<Self, Failure> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/milvus-sdk-rust");
        let target = testkit_directory().join("milvus-sdk-rust");
        let failed =
            |error| Failure::because(format!("could not make {}", target.display()), error);
        fs::create_dir_all(&target).map_err(failed)?;
        let scratch = Scratch::new("milvus-sdk-rust")?;
        let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build
            .args(["build", "--locked", "--manifest-path"])
            .arg(source.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target);
        run_to_end(&mut build, BUILD_LIMIT, scratch.path())
            .map_err(|error| Failure::because("could not build the official Rust client", error))?;
        Ok(Self {
            program: target.join("debug").join(NAME),
        })
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// When it fails (the error carries the end of its output) or runs longer than `limit`.
    pub fn run(&self, arguments: &[&str], limit: Duration) -> Result<String, Failure> {
        let scratch = Scratch::new("milvus-sdk-rust-run")?;
        let mut command = Command::new(&self.program);
        command.args(arguments);
        run_to_end(&mut command, limit, scratch.path())
    }
}
