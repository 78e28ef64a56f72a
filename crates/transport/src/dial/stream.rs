//! The byte stream below HTTP/2: TCP, TLS over TCP, or a Unix socket.
//!
//! Invariant: the first bytes that the peer sends are kept, so that a peer which does not speak HTTP/2 can be named
//! for what it is; and the time of the last byte is known, so that silence can be told from idleness.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::is_hang_up;
use crate::tls::{NoCertificate, find_tls_error};

/// How many of the first bytes are kept: enough for an HTTP/1.1 status line or an HTTP/2 SETTINGS frame.
const KEPT: usize = 512;

/// What has come from a peer: its first bytes and the time of its last one.
pub(crate) struct FirstBytes {
    first: OnceLock<Box<[u8]>>,
    /// Kept here, since HTTP/2 keeps of an I/O error no more than its text.
    tls_error: OnceLock<rustls::Error>,
    arrived: Notify,
    /// Of TLS without a client certificate: whether the server wanted one.
    no_certificate: Option<Arc<NoCertificate>>,
    born: Instant,
    /// Milliseconds from `born` to the last byte read.
    last_read: AtomicU64,
    /// How often something was read.
    reads: AtomicU64,
}

impl FirstBytes {
    /// The peer's first bytes, up to some hundred; empty while none has come.
    pub(crate) fn first(&self) -> &[u8] {
        self.first.get().map_or(&[], |first| first)
    }

    /// The TLS error that ended the stream, if it was one.
    pub(crate) fn tls_error(&self) -> Option<&rustls::Error> {
        self.tls_error.get()
    }

    /// True when the server asked for a client certificate and got none.
    pub(crate) fn lacks_client_certificate(&self) -> bool {
        self.no_certificate
            .as_ref()
            .is_some_and(|none| none.was_asked_for())
    }

    /// How long the peer has been silent.
    pub(crate) fn silence(&self) -> std::time::Duration {
        let last = std::time::Duration::from_millis(self.last_read.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(last)
    }

    /// Another number whenever something has come since.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Ends when the first byte has come; for one who waits.
    pub(crate) async fn arrived(&self) {
        while self.first.get().is_none() {
            self.arrived.notified().await;
        }
    }

    /// True when the peer began with an HTTP/2 SETTINGS frame (RFC 9113, section 3.4).
    pub(crate) fn is_http2(&self) -> bool {
        const SETTINGS: u8 = 4;
        self.first().get(3) == Some(&SETTINGS) && !self.is_http1()
    }

    /// True when the peer began with an HTTP/1 status line.
    pub(crate) fn is_http1(&self) -> bool {
        self.first().starts_with(b"HTTP/1.")
    }

    /// True when the peer began with a TLS record: an alert or a handshake message.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.first(), [0x15 | 0x16, 0x03, 0..=4, ..])
    }

    fn note(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.first.get().is_none() {
            // A second writer can't be: a stream is read by one task.
            let _ = self.first.set(bytes.get(..KEPT).unwrap_or(bytes).into());
            self.arrived.notify_one();
        }
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_read.store(now, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
    }
}

/// The stream of one channel.
///
/// A peer that hangs up may have said why before: a GOAWAY that still waits to be read tells which calls it has not looked
/// at. So a write that fails because the peer has hung up is no error here; what it held is thrown away, and the reading
/// side comes to the farewell and then to the end.
pub(crate) struct Stream {
    inner: Inner,
    peer_hung_up: bool,
    first_bytes: Arc<FirstBytes>,
}

enum Inner {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
    /// Within this process, where a test wants time to stand still.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self::new(Inner::Tcp(stream), None)
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, no_certificate: Arc<NoCertificate>) -> Self {
        Self::new(Inner::Tls(Box::new(stream)), Some(no_certificate))
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self::new(Inner::Unix(stream), None)
    }

    #[cfg(test)]
    pub(crate) fn memory(stream: tokio::io::DuplexStream) -> Self {
        Self::new(Inner::Memory(stream), None)
    }

    fn new(inner: Inner, no_certificate: Option<Arc<NoCertificate>>) -> Self {
        let first_bytes = Arc::new(FirstBytes {
            first: OnceLock::new(),
            tls_error: OnceLock::new(),
            arrived: Notify::new(),
            no_certificate,
            born: Instant::now(),
            last_read: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        });
        Self {
            inner,
            peer_hung_up: false,
            first_bytes,
        }
    }

    pub(crate) fn first_bytes(&self) -> Arc<FirstBytes> {
        Arc::clone(&self.first_bytes)
    }
}

impl Stream {
    /// What a write's outcome means: see the type.
    fn written(&mut self, polled: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Err(error)) if is_hang_up(&error) => {
                self.peer_hung_up = true;
                Poll::Ready(Ok(all))
            }
            polled => polled,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(test)]
            Inner::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        self.first_bytes
            .note(buf.filled().get(before..).unwrap_or_default());
        if let Poll::Ready(Err(error)) = &polled
            && let Some(tls) = find_tls_error(error)
        {
            let _ = self.first_bytes.tls_error.set(tls.clone());
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.peer_hung_up {
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(test)]
            Inner::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.written(polled, buf.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.peer_hung_up {
            return Poll::Ready(Ok(()));
        }
        let polled = match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Unix(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(test)]
            Inner::Memory(stream) => Pin::new(stream).poll_flush(cx),
        };
        self.written(polled.map_ok(|()| 0), 0).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Inner::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        if self.peer_hung_up {
            return Poll::Ready(Ok(all));
        }
        let polled = match &mut self.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Inner::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Inner::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(test)]
            Inner::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.written(polled, all)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Tcp(stream) => stream.is_write_vectored(),
            Inner::Tls(stream) => stream.is_write_vectored(),
            Inner::Unix(stream) => stream.is_write_vectored(),
            #[cfg(test)]
            Inner::Memory(stream) => stream.is_write_vectored(),
        }
    }
}
