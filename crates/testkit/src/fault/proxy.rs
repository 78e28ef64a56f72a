//! A proxy in front of any server on this machine, with the faults of a [`Link`].
//!
//! Invariant: each accepted connection has one connection to the server behind it, made when it was accepted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{JoinHandle, JoinSet};

use super::link::{Link, LinkOptions};
use super::relay::{Accepted, duplicate};

/// A TCP proxy on a loopback port that looks at HTTP/2 frames; dropping it ends its connections.
#[derive(Debug)]
pub struct FrameProxy {
    address: SocketAddr,
    link: Arc<Link>,
    accepting: JoinHandle<()>,
}

impl FrameProxy {
    /// Starts a proxy in front of `upstream` on the current runtime.
    ///
    /// # Errors
    /// When no port can be listened on, or `upstream` is not an address.
    pub async fn start(upstream: impl ToSocketAddrs, options: LinkOptions) -> io::Result<Self> {
        let upstream = tokio::net::lookup_host(upstream).await?.next();
        let upstream =
            upstream.ok_or_else(|| io::Error::other("the upstream's name has no address"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let link = Link::new(&options);
        let accepting = tokio::spawn(accept(listener, upstream, Arc::clone(&link)));
        Ok(Self {
            address,
            link,
            accepting,
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The faults, and what was counted.
    pub fn link(&self) -> &Link {
        &self.link
    }
}

impl Drop for FrameProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, link: Arc<Link>) {
    // Dropped, and its tasks with it, when the proxy is.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(connect(client, upstream, Arc::clone(&link)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(client: TcpStream, upstream: SocketAddr, link: Arc<Link>) {
    let socket = duplicate(&client);
    let _ = client.set_nodelay(true);
    let accepted = Accepted::new(link, client, socket);
    if let Ok(server) = TcpStream::connect(upstream).await {
        let _ = server.set_nodelay(true);
        accepted.relay(server).await;
    }
}
