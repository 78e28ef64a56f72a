//! How to serve.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::authentication::Authenticate;
use crate::listener::Listen;

/// How to serve; see the fields for the defaults and their reasons.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Where to listen; each address is answered alike.
    pub listen: Vec<Listen>,
    /// TLS; `None` for plain text. A Unix socket never uses it.
    pub tls: Option<ServerTls>,
    /// Who may call; `None` lets everybody, as a Milvus without authorization does.
    pub authentication: Option<Arc<dyn Authenticate>>,
    /// Calls in flight that one connection may have. Default 1,000: clients with more open another connection.
    pub max_concurrent_streams: u32,
    /// Connections at once; one more is accepted and closed. Default 10,000.
    pub max_connections: usize,
    /// Calls in flight at once; one more is refused with UNAVAILABLE, which every client may send again. Default 4,096.
    pub max_calls: usize,
    /// Where `GET /healthz` and `/metrics` are answered, in plain HTTP/1.1, and then nowhere else. `None`: on every address of `listen`.
    pub probes: Option<Listen>,
    /// How long calls in flight may go on after the stop signal. Default 10 s.
    pub drain_timeout: Duration,
}

impl ServeOptions {
    /// Plain text, for everybody, with the default limits.
    pub fn new(listen: Listen) -> Self {
        Self {
            listen: vec![listen],
            tls: None,
            authentication: None,
            max_concurrent_streams: 1_000,
            max_connections: 10_000,
            max_calls: 4_096,
            probes: None,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("listen", &self.listen)
            .field("tls", &self.tls)
            .field("authentication", &self.authentication.is_some())
            .field("max_concurrent_streams", &self.max_concurrent_streams)
            .field("max_connections", &self.max_connections)
            .field("max_calls", &self.max_calls)
            .field("probes", &self.probes)
            .field("drain_timeout", &self.drain_timeout)
            .finish()
    }
}

/// The server's side of TLS, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The server's certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority of the clients' certificates; with it, a client without one is refused (mutual TLS).
    pub client_ca: Option<PathBuf>,
}

/// Why serving could not begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The address can't be listened on.
    Listen {
        /// Which.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// A TLS file can't be used.
    Tls {
        /// What was being done with which file.
        what: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "can't listen on {address}: something else does already. Choose another port, or stop it."
                )
            }
            Self::Listen { address, error } if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "can't listen on {address}: this user may not. Choose a port above 1023, or a path that the user may write."
                )
            }
            Self::Listen { address, error } => write!(f, "can't listen on {address}: {error}"),
            Self::Tls { what, reason } => write!(f, "{what}: {reason}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { error, .. } => Some(error),
            Self::Tls { .. } => None,
        }
    }
}
