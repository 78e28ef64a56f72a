//! Python environments for the servers and clients that come from PyPI.
//!
//! Invariant: an environment is used only when its completion mark is there, and it is made under a file lock, so that
//! parallel test processes neither make it twice nor see it half made. Its directory's name carries its pins; changing
//! a pin makes another environment.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::process::{find_program, run_to_end};
use crate::{Failure, Scratch, testkit_directory};

/// What a Python environment contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    name: &'static str,
    pins: &'static [&'static str],
}

impl Requirements {
    /// The packages of `pins`, each as pip takes it, in an environment of its own called `name`. The name carries the
    /// versions: an environment that is there is used as it is.
    pub const fn new(name: &'static str, pins: &'static [&'static str]) -> Self {
        Self { name, pins }
    }
}

/// The wheel that carries the Milvus server. Its launcher imports `pkg_resources`, which setuptools 81 dropped.
pub const MILVUS_SERVER: Requirements = Requirements {
    name: "milvus-2.3.5",
    pins: &["milvus==2.3.5", "setuptools<81"],
};

/// The official Python client, and Milvus Lite, which uses the client's generated code.
pub const PYMILVUS: Requirements = Requirements {
    name: "pymilvus-3.0.2-lite-3.2.2",
    pins: &["pymilvus==3.0.2", "milvus-lite==3.2.2"],
};

const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A Python interpreter with packages installed beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Finds the environment for `requirements`, or makes it (network: PyPI).
    ///
    /// # Errors
    /// When there is no Python 3 with `venv`, or an installation fails.
    pub fn prepare(requirements: Requirements) -> Result<Self, Failure> {
        prepare_once(requirements.name, |directory| {
            install(requirements, directory)
        })
        .map(|directory| Self::from_interpreter(directory.join("bin/python")))
    }

    /// An interpreter that is already there.
    pub fn from_interpreter(interpreter: impl Into<PathBuf>) -> Self {
        Self {
            interpreter: interpreter.into(),
        }
    }

    /// The interpreter's path.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }

    /// The path of a command that a package installed.
    pub fn command(&self, name: &str) -> PathBuf {
        self.interpreter.with_file_name(name)
    }

    /// Runs a script and returns what it printed.
    ///
    /// # Errors
    /// When the script fails (the error carries the end of its output) or runs longer than `limit`.
    pub fn run(
        &self,
        script: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<String, Failure> {
        let scratch = Scratch::new("python")?;
        let file = scratch.write("script.py", script)?;
        let mut command = Command::new(&self.interpreter);
        command
            .arg(file)
            .args(arguments)
            .env("GRPC_VERBOSITY", "NONE")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        run_to_end(&mut command, limit, scratch.path())
    }

    /// Runs a script and parses the JSON that it printed on its last line.
    ///
    /// # Errors
    /// As [`Python::run`], and when the last line is not JSON.
    pub fn run_json(
        &self,
        script: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<serde_json::Value, Failure> {
        let output = self.run(script, arguments, limit)?;
        let last = output.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .map_err(|e| Failure::because(format!("the script printed {last:?}, not JSON"), e))
    }
}

/// Runs `make` on a fresh directory below the testkit's directory unless an earlier run completed it, and returns it.
pub(super) fn prepare_once(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    let parent = testkit_directory();
    let failed = |e: std::io::Error| {
        Failure::because(
            format!("could not prepare {name} in {}", parent.display()),
            e,
        )
    };
    fs::create_dir_all(&parent).map_err(failed)?;
    let parent = parent.canonicalize().map_err(failed)?;
    let directory = parent.join(name);
    let complete = directory.join(".complete");
    let lock = File::create(parent.join(format!("{name}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if !complete.exists() {
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(failed)?;
        }
        make(&directory)?;
        File::create(&complete).map_err(failed)?;
    }
    Ok(directory)
}

fn install(requirements: Requirements, directory: &Path) -> Result<(), Failure> {
    let base = env::var_os("PYTHON").map(PathBuf::from).or_else(|| find_program("python3")).ok_or_else(|| {
        Failure::new("the tests need Python 3 (`python3` on the path, or $PYTHON): install it, e.g. `apt-get install python3-venv`")
    })?;
    let scratch = Scratch::new("install")?;
    let mut venv = Command::new(base);
    venv.args(["-m", "venv"]).arg(directory);
    run_to_end(&mut venv, INSTALL_LIMIT, scratch.path()).map_err(|e| {
        Failure::because(
            "could not make a Python environment (Debian: `apt-get install python3-venv`)",
            e,
        )
    })?;
    let mut pip = Command::new(directory.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ])
    .args(requirements.pins);
    run_to_end(&mut pip, INSTALL_LIMIT, scratch.path()).map_err(|e| {
        Failure::because(
            format!("could not install {}", requirements.pins.join(" ")),
            e,
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn an_interrupted_preparation_is_made_anew_and_a_complete_one_is_kept() {
        let name = format!("prepare-test-{}", std::process::id());
        let made = AtomicU32::new(0);
        let make = |fails: bool| {
            prepare_once(&name, |directory| {
                made.fetch_add(1, Ordering::Relaxed);
                fs::create_dir(directory).unwrap();
                if fails {
                    Err(Failure::new("interrupted"))
                } else {
                    Ok(())
                }
            })
        };
        assert!(make(true).is_err());
        let directory = make(false).unwrap();
        assert_eq!(make(false).unwrap(), directory);
        assert_eq!(made.load(Ordering::Relaxed), 2);
        fs::remove_dir_all(&directory).unwrap();
        fs::remove_file(directory.with_file_name(format!("{name}.lock"))).unwrap();
    }
}
