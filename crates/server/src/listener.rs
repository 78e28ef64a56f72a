//! Where connections come from.
//!
//! Invariant: a Unix socket's file is removed when the listener goes, and a leftover one of a server that was killed does
//! not keep a new server from starting; a socket that somebody listens on is never taken away.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::options::ServeError;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// A TCP address; port 0 for a free one.
    Tcp(SocketAddr),
    /// A Unix socket, which only its owner may open.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        path: PathBuf,
    },
}

pub(crate) enum Incoming {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// Who is at the other end, for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl Incoming {
    pub(crate) fn peer(&self) -> Peer {
        match self {
            Self::Tcp(_, address) => Peer::Tcp(*address),
            Self::Unix(_) => Peer::Unix,
        }
    }
}

impl Listener {
    pub(crate) async fn bind(listen: &Listen) -> Result<Self, ServeError> {
        let bound = match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Listen::Unix(path) => bind_unix(path).await,
        };
        bound.map_err(|error| ServeError::Listen {
            address: listen.to_string(),
            error,
        })
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Self::Unix { path, .. } => format!("unix:{}", path.display()),
        }
    }

    pub(crate) fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    pub(crate) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = std::task::ready!(listener.poll_accept(context))?;
                stream.set_nodelay(true)?;
                Poll::Ready(Ok(Incoming::Tcp(stream, peer)))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = std::task::ready!(listener.poll_accept(context))?;
                Poll::Ready(Ok(Incoming::Unix(stream)))
            }
        }
    }
}

/// The next connection of any of the listeners. They take turns: a flood on one does not keep the others waiting.
pub(crate) async fn accept_any(listeners: &[Listener], turn: &mut usize) -> io::Result<Incoming> {
    std::future::poll_fn(|context| {
        *turn = turn.wrapping_add(1);
        let first = *turn % listeners.len().max(1);
        let (before, after) = listeners.split_at(first);
        for listener in after.iter().chain(before) {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

async fn bind_unix(path: &Path) -> io::Result<Listener> {
    // Clients are in other folders, and this process may change its own.
    let path = &std::path::absolute(path)?;
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        // Left behind by a server that was killed: nobody listens.
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Listener::Unix {
        listener,
        path: path.to_owned(),
    })
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self {
            // It may have been removed by hand; then there is nothing to do.
            let _ = std::fs::remove_file(path);
        }
    }
}
