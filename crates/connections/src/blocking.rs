//! The registry for programs without async: the same verbs, on a runtime of the library's own.
//!
//! Invariant: a blocking call inside a tokio runtime is an error and no panic; it would stop the tasks of that runtime.

use std::future::Future;
use std::sync::{Arc, LazyLock};

use milvus_client::Client;
use milvus_transport::Diagnosis;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::connections::Connections;
use crate::error::Error;
use crate::params::ConnectionParams;

/// Enough for many connections' pings and reads; a program that needs more has a runtime of its own.
const WORKERS: usize = 2;

/// Process-wide, since connections outlive the call that made them.
static RUNTIME: LazyLock<Result<Runtime, Arc<std::io::Error>>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("milvus-connections")
        .enable_all()
        .build()
        .map_err(Arc::new)
});

/// Waits for a future, such as a call of a [`Client`], on the library's own runtime.
///
/// ```
/// let answer = milvus_connections::blocking::wait(async { 42 })?;
/// assert_eq!(answer, 42);
/// # Ok::<(), milvus_connections::Error>(())
/// ```
///
/// # Errors
/// [`Error::InsideAsync`] inside a tokio runtime; [`Error::Runtime`] when the system gives no threads.
pub fn wait<F: Future>(future: F) -> Result<F::Output, Error> {
    if Handle::try_current().is_ok() {
        return Err(Error::InsideAsync);
    }
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.block_on(future)),
        Err(error) => Err(Error::Runtime(Arc::clone(error))),
    }
}

/// The verbs that touch the network, blocking. All others never wait: they are on [`Connections`] itself.
///
/// ```
/// use milvus_connections::{ConnectionParams, Connections, Error};
///
/// let connections = Connections::isolated();
/// // Nothing listens at port 0.
/// let error = connections.blocking().connect_with("dev", ConnectionParams::address("127.0.0.1:0")).unwrap_err();
/// assert!(matches!(error, Error::Connect(_)));
/// assert!(error.to_string().contains("127.0.0.1:0"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BlockingConnections<'a> {
    connections: &'a Connections,
}

impl<'a> BlockingConnections<'a> {
    pub(crate) fn new(connections: &'a Connections) -> Self {
        Self { connections }
    }

    /// As [`Connections::connect`].
    ///
    /// # Errors
    /// As there; and those of [`wait`].
    pub fn connect(&self, alias: &str) -> Result<Client, Error> {
        wait(self.connections.connect(alias))?
    }

    /// As [`Connections::connect_with`].
    ///
    /// # Errors
    /// As there; and those of [`wait`].
    pub fn connect_with(&self, alias: &str, params: ConnectionParams) -> Result<Client, Error> {
        wait(self.connections.connect_with(alias, params))?
    }

    /// As [`Connections::disconnect`].
    ///
    /// # Errors
    /// Those of [`wait`].
    pub fn disconnect(&self, alias: &str) -> Result<(), Error> {
        wait(self.connections.disconnect(alias))
    }

    /// As [`Connections::remove_connection`].
    ///
    /// # Errors
    /// Those of [`wait`].
    pub fn remove_connection(&self, alias: &str) -> Result<(), Error> {
        wait(self.connections.remove_connection(alias))
    }

    /// As [`Connections::diagnose`].
    ///
    /// # Errors
    /// As there; and those of [`wait`].
    pub fn diagnose(&self, alias: &str) -> Result<Diagnosis, Error> {
        wait(self.connections.diagnose(alias))?
    }
}
