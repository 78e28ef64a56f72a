//! Ports that never get as far as HTTP/2.
//!
//! Invariant: what is wrong with a port is wrong from the moment on in which `start` returns.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What is wrong with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerFault {
    /// Accepts connections, reads what is sent, answers nothing, as a Milvus that is starting.
    Silent,
    /// Closes each connection as soon as it was accepted.
    CloseAtOnce,
    /// Speaks HTTP/1.1 only: answers anything with `400 Bad Request` and closes.
    HttpOne,
    /// Answers the first bytes with these, and keeps the connection.
    Bytes(Bytes),
    /// Its queue of connections is full: the kernel drops every further attempt to connect, which times out.
    FullBacklog,
}

/// A faulty port on loopback; dropping it closes it.
#[derive(Debug)]
pub struct FaultListener {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    accepting: Option<JoinHandle<()>>,
    // What keeps a full queue full.
    _queue: Vec<Socket>,
}

impl FaultListener {
    /// Starts listening on the current runtime.
    ///
    /// # Errors
    /// When no port can be listened on, or its queue can't be filled.
    pub async fn start(fault: ListenerFault) -> io::Result<Self> {
        let accepted = Arc::new(AtomicU64::new(0));
        if fault == ListenerFault::FullBacklog {
            let (address, queue) = tokio::task::spawn_blocking(full_backlog).await??;
            return Ok(Self {
                address,
                accepted,
                accepting: None,
                _queue: queue,
            });
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = Some(tokio::spawn(accept(listener, fault, Arc::clone(&accepted))));
        Ok(Self {
            address,
            accepted,
            accepting,
            _queue: Vec::new(),
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for FaultListener {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, fault: ListenerFault, accepted: Arc<AtomicU64>) {
    // Dropped, and its tasks with it, when the listener is.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                accepted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(misbehave(client, fault.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn misbehave(mut client: TcpStream, fault: ListenerFault) {
    let answer: &[u8] = match &fault {
        ListenerFault::CloseAtOnce | ListenerFault::FullBacklog => return,
        ListenerFault::Silent => &[],
        ListenerFault::HttpOne => {
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\nBad Request\n"
        }
        ListenerFault::Bytes(bytes) => bytes,
    };
    let mut buffer = vec![0; 4096];
    // An error or the end of input means that the client is gone.
    let Ok(1..) = client.read(&mut buffer).await else {
        return;
    };
    if client.write_all(answer).await.is_err() {
        return;
    }
    if fault == ListenerFault::HttpOne {
        let _ = client.shutdown().await;
    }
    while let Ok(1..) = client.read(&mut buffer).await {}
}

/// A listening socket that accepts nothing, and as many connections as its queue holds.
fn full_backlog() -> io::Result<(SocketAddr, Vec<Socket>)> {
    const ENOUGH: Duration = Duration::from_millis(300);
    let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(0)?;
    let address = listener.local_addr()?;
    let mut queue = vec![listener];
    // A queue of length zero holds one connection or two, depending on the kernel.
    for _ in 0..16 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let full = client.connect_timeout(&address, ENOUGH).is_err();
        queue.push(client);
        if full {
            let address = address
                .as_socket()
                .ok_or_else(|| io::Error::other("no IPv4 address"))?;
            return Ok((address, queue));
        }
    }
    Err(io::Error::other(
        "the kernel queues more connections than it was told to",
    ))
}
