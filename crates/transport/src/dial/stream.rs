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

use super::cork::Cork;
use super::is_hang_up;
use super::turn::Turn;
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
    /// How many bytes have been read.
    received: AtomicU64,
    /// How many are read before callers get to run.
    pub(crate) turn: Turn,
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

    /// How many bytes have come.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
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
        self.received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
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
    /// Bytes read in this turn.
    read: usize,
    cork: Cork,
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
            received: AtomicU64::new(0),
            turn: Turn::default(),
        });
        Self {
            inner,
            peer_hung_up: false,
            first_bytes,
            read: 0,
            cork: Cork::default(),
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

impl Inner {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(test)]
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    fn poll_read_at_most(
        &mut self,
        most: usize,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() <= most {
            return self.poll_read(cx, buf);
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let polled = self.poll_read(cx, &mut part);
        let read = part.filled().len();
        buf.advance(read);
        polled
    }

    /// The TCP socket below.
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Unix(_) => None,
            #[cfg(test)]
            Self::Memory(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.first_bytes.turn.bytes().saturating_sub(self.read);
        if left == 0 {
            self.read = 0;
            // The next turn comes after all that this one has woken.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = self.inner.poll_read_at_most(left, cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        self.first_bytes.note(new);
        self.read = if polled.is_pending() {
            0
        } else {
            self.read + new.len()
        };
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
        let this = &mut *self;
        this.cork.before_flush(this.inner.tcp());
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
        let this = &mut *self;
        this.cork.before_write(this.inner.tcp(), bufs);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_turn_ends_with_a_wake_up_for_the_next_one() {
        let (near, mut far) = tokio::io::duplex(1024);
        far.write_all(&[1; 250]).await.unwrap();
        let mut stream = Stream::memory(near);
        stream.first_bytes.turn.set(100);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut read = || {
            let mut bytes = [0; 64];
            let mut buf = ReadBuf::new(&mut bytes);
            let polled =
                Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut buf);
            polled.is_ready().then(|| buf.filled().len())
        };
        let wakes = || woken.0.swap(0, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!([read(), read()], [Some(64), Some(36)]);
            assert_eq!((wakes(), read(), wakes()), (0, None, 1));
        }
        assert_eq!(read(), Some(50));
        // Now the stream itself says when there is more.
        assert_eq!((read(), wakes()), (None, 0));
        assert_eq!(stream.first_bytes.received(), 250);
    }

    #[tokio::test]
    async fn turns_lose_nothing() {
        let sent: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for turn in [1, 7, 256, 4_096, usize::MAX] {
            let (near, mut far) = tokio::io::duplex(1_000);
            let mut stream = Stream::memory(near);
            stream.first_bytes.turn.set(turn);
            let mut received = Vec::new();
            let (read, ()) = tokio::join!(stream.read_to_end(&mut received), async {
                far.write_all(&sent).await.unwrap();
                drop(far);
            });
            assert_eq!(read.unwrap(), sent.len());
            assert_eq!(received, sent, "in turns of {turn} bytes");
        }
    }
}
