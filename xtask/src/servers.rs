//! `cargo xtask servers -- COMMAND`: the real servers that tests share, started, described through environment
//! variables, and stopped.
//!
//! Invariant: COMMAND runs only when every server answers, and no server outlives this task.

use std::ffi::OsString;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context as _, bail};
use milvus_testkit::real::{
    CERTIFICATES_VARIABLE, CloudFront, Milvus, MilvusLite, MilvusOptions, Node, PYMILVUS,
    PYTHON_VARIABLE, Python, RustSdk, Server, Shared, TlsMode,
};
use milvus_testkit::{Certificates, DIRECTORY_VARIABLE, Scratch};

/// Arguments of `servers`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The command to run while the servers are up
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let servers = Servers::start()?;
    eprintln!(
        "the servers are up after {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let status = servers.run(&arguments.command)?;
    drop(servers);
    if !status.success() {
        bail!("the command failed ({status})");
    }
    Ok(())
}

/// All shared servers, running.
pub(crate) struct Servers {
    variables: Vec<(&'static str, OsString)>,
    // Fields are dropped in this order: what depends on another server stops first, the certificates go last.
    _front: CloudFront,
    _milvus: Vec<Milvus>,
    _lite: MilvusLite,
    _certificates: Scratch,
}

impl Servers {
    /// Downloads, unpacks and builds what the servers and the official clients need, without starting any.
    pub(crate) fn install() -> anyhow::Result<()> {
        Python::prepare(PYMILVUS)?;
        Milvus::install()?;
        Node::prepare()?;
        // Here and not in the test that runs it, which has four minutes.
        RustSdk::prepare()?;
        Ok(())
    }

    /// Starts all of them and waits until each answers.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let python = Python::prepare(PYMILVUS)?;
        let directory = Scratch::new("certificates")?;
        let certificates = Certificates::generate(directory.path())?;
        let kind = |shared| milvus_options(shared, &certificates);
        let kinds = [Shared::Plain, Shared::Auth, Shared::Tls, Shared::MutualTls];
        let milvus = Milvus::start_all(kinds.into_iter().map(kind).collect())?;
        let mut described: Vec<(Shared, Server)> = kinds
            .into_iter()
            .zip(milvus.iter().map(Milvus::server))
            .collect();
        let auth = described
            .iter()
            .find(|(shared, _)| *shared == Shared::Auth)
            .map(|(_, server)| server.clone());
        let front = CloudFront::start(
            &auth.context("no server with authorization")?,
            &certificates,
        )?;
        let lite = MilvusLite::start()?;
        described.push((Shared::Cloud, front.server().clone()));
        described.push((Shared::Lite, lite.server()));
        let mut variables: Vec<(&'static str, OsString)> = described
            .iter()
            .map(|(shared, server)| (shared.variable(), server.address().into()))
            .collect();
        variables.push((CERTIFICATES_VARIABLE, directory.path().into()));
        variables.push((PYTHON_VARIABLE, python.interpreter().into()));
        variables.push((
            DIRECTORY_VARIABLE,
            milvus_testkit::testkit_directory().into(),
        ));
        Ok(Self {
            variables,
            _front: front,
            _milvus: milvus,
            _lite: lite,
            _certificates: directory,
        })
    }

    /// The environment variables that describe the servers to tests.
    pub(crate) fn variables(&self) -> &[(&'static str, OsString)] {
        &self.variables
    }

    fn run(&self, command: &[OsString]) -> anyhow::Result<ExitStatus> {
        let (program, arguments) = command.split_first().context("no command given")?;
        Command::new(program)
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .status()
            .with_context(|| format!("could not run {}", program.display()))
    }
}

fn milvus_options(shared: Shared, certificates: &Certificates) -> MilvusOptions {
    let tls = match shared {
        Shared::Tls => TlsMode::OneWay,
        Shared::MutualTls => TlsMode::Mutual,
        Shared::Plain | Shared::Auth | Shared::Cloud | Shared::Lite => TlsMode::Off,
    };
    MilvusOptions {
        authorization: shared != Shared::Plain,
        tls,
        certificates: Some(certificates.clone()),
        server_certificate: None,
    }
}
