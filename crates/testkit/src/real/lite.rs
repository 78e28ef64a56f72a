//! A private Milvus Lite 3.2.2: a newer protocol than the Milvus of the wheel, pure Python, no authorization.
//!
//! Invariant: the same as for the other servers: ready when handed out, gone when dropped.

use std::time::Duration;

use super::Server;
use super::milvus::answers_http2;
use super::python::{PYMILVUS, Python};
use crate::ports::free_port;
use crate::{Failure, Scratch, ServerProcess};

const START_LIMIT: Duration = Duration::from_secs(120);

/// A running Milvus Lite; dropping it stops the server and removes its data.
#[derive(Debug)]
pub struct MilvusLite {
    // Declared before the data so that the server is gone when its directory is removed.
    process: ServerProcess,
    port: u16,
    _data: Scratch,
}

impl MilvusLite {
    /// Installs Milvus Lite when it is not there yet, starts one, and waits until it answers.
    ///
    /// # Errors
    /// When it can't be installed, or does not get ready.
    pub fn start() -> Result<Self, Failure> {
        let program = Python::prepare(PYMILVUS)?.command("milvus-lite");
        let data = Scratch::new("milvus-lite")?;
        let port = free_port()?;
        let mut process = ServerProcess::spawn(
            "Milvus Lite",
            &program,
            &data.path().join("log"),
            |command| {
                command.args([
                    "server",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    &port.to_string(),
                    "--data-dir",
                ]);
                command.arg(data.path().join("data"));
            },
        )?;
        process.wait_until(START_LIMIT, || answers_http2(port))?;
        Ok(Self {
            process,
            port,
            _data: data,
        })
    }

    /// How to reach it.
    pub fn server(&self) -> Server {
        Server {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            credentials: None,
            tls: None,
        }
    }

    /// Kills the process (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
