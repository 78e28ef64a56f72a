//! Passes bytes between a client and a server, frame by frame, and does to them what the link's rules say.
//!
//! Invariant: within one direction bytes leave in the order in which they were received or injected, and only whole frames
//! are written (but for a cut that was asked for).

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::frame::{Frame, FrameKind, FrameReader, MAX_CONCURRENT_STREAMS, Piece};
use super::link::{Connection, Direction, FrameThen, Link};

/// Room for one read: a fast link does not get slow because it is looked at.
const READ_SIZE: usize = 64 << 10;

/// Something to write when its time has come.
#[derive(Debug)]
pub(super) enum Outgoing {
    Bytes { due: Instant, bytes: Bytes },
    End { due: Instant },
}

impl Outgoing {
    pub(super) fn bytes(bytes: Bytes, delay: Duration) -> Self {
        Self::Bytes {
            due: Instant::now() + delay,
            bytes,
        }
    }

    fn end(delay: Duration) -> Self {
        Self::End {
            due: Instant::now() + delay,
        }
    }
}

/// A connection that was accepted and has nobody behind it yet.
pub(super) struct Accepted<C> {
    opened: Opened,
    client: C,
    to_client: UnboundedSender<Outgoing>,
    client_queue: UnboundedReceiver<Outgoing>,
}

/// A second descriptor of a socket, through which the connection can be reset.
pub(super) fn duplicate(stream: &TcpStream) -> Option<OwnedFd> {
    stream.as_fd().try_clone_to_owned().ok()
}

impl<C: AsyncRead + AsyncWrite + Unpin> Accepted<C> {
    pub(super) fn new(link: Arc<Link>, client: C, socket: Option<OwnedFd>) -> Self {
        let (to_client, client_queue) = unbounded_channel();
        let connection = link.open(to_client.clone(), socket);
        Self {
            opened: Opened { link, connection },
            client,
            to_client,
            client_queue,
        }
    }

    /// What can be done to the connection from outside.
    pub(super) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.opened.connection)
    }

    /// Passes bytes between the client and `server` until either has ended and what it sent is delivered.
    pub(super) async fn relay<S: AsyncRead + AsyncWrite + Unpin>(self, server: S) {
        let Self {
            opened,
            client,
            to_client,
            client_queue,
        } = self;
        let (from_client, client) = split(client);
        let (from_server, server) = split(server);
        let (to_server, server_queue) = unbounded_channel();
        let shared = Shared {
            opened: &opened,
            to_client,
            to_server,
            taken: Mutex::default(),
        };
        let reading = async {
            let (up, down) = (FrameReader::of_client(), FrameReader::of_server());
            let flows = tokio::join!(
                shared.read(from_client, up, Direction::ToServer),
                shared.read(from_server, down, Direction::ToClient),
            );
            // Both ends have ended; the writers deliver what is queued and decide when this connection is over. A stalled way
            // has nothing to deliver.
            if matches!(flows, (Flow::Stalled, _) | (_, Flow::Stalled)) {
                opened.connection.end();
            }
            std::future::pending::<()>().await;
        };
        let writing_to_server = async {
            write(server, server_queue, None, &opened.link).await;
            std::future::pending::<()>().await;
        };
        let cut = opened.link.cut();
        tokio::select! {
            () = reading => {}
            () = writing_to_server => {}
            () = write(client, client_queue, cut, &opened.link) => {}
            () = opened.connection.wait_for_end() => {}
        }
    }
}

/// A connection that counts as open; its end is counted however it comes about, the relay being dropped included.
struct Opened {
    link: Arc<Link>,
    connection: Arc<Connection>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.connection.release_socket();
        self.link.ended(&self.connection);
    }
}

/// What the two directions of a connection share.
struct Shared<'a> {
    opened: &'a Opened,
    to_client: UnboundedSender<Outgoing>,
    to_server: UnboundedSender<Outgoing>,
    /// Streams that were taken from the server: nothing of them is passed on any more, either way.
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    streams: HashSet<u32>,
    above: Option<u32>,
}

enum Flow {
    On,
    Stalled,
}

impl Shared<'_> {
    async fn read<R: AsyncRead>(
        &self,
        mut from: ReadHalf<R>,
        mut reader: FrameReader,
        direction: Direction,
    ) -> Flow {
        let mut highest_stream = 0;
        let mut extra = Duration::ZERO;
        loop {
            // Without room of its own the buffer grows by 64 bytes at a time, and so would the reads.
            reader.buffer().reserve(READ_SIZE);
            let Ok(length @ 1..) = from.read_buf(reader.buffer()).await else {
                break;
            };
            self.opened.link.count_bytes(direction, length);
            if self.opened.link.is_opaque() {
                let bytes = reader.buffer().split().freeze();
                self.send(direction, bytes, extra);
                continue;
            }
            while let Some(piece) = reader.next_piece() {
                match piece {
                    Piece::Preface(bytes) => self.send(direction, bytes, extra),
                    Piece::Frame(frame) => {
                        let opens_stream = direction == Direction::ToServer
                            && frame.kind == FrameKind::Headers
                            && frame.stream > highest_stream;
                        highest_stream = highest_stream.max(frame.stream);
                        if let Flow::Stalled = self.pass(direction, frame, opens_stream, &mut extra)
                        {
                            self.discard(from, direction).await;
                            return Flow::Stalled;
                        }
                    }
                }
            }
        }
        let _ = self
            .queue(direction)
            .send(Outgoing::end(self.opened.link.delay() + extra));
        Flow::On
    }

    /// Keeps reading, so that the sender sees a peer that takes everything and does nothing.
    async fn discard<R: AsyncRead>(&self, mut from: ReadHalf<R>, direction: Direction) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            self.opened.link.count_bytes(direction, length);
        }
    }

    fn pass(
        &self,
        direction: Direction,
        frame: Frame,
        opens_stream: bool,
        extra: &mut Duration,
    ) -> Flow {
        let decision = self.opened.link.decide(direction, &frame, opens_stream);
        if self.is_taken(&frame) || self.is_own_acknowledgement(direction, &frame) {
            return Flow::On;
        }
        let stream = frame.stream;
        match decision {
            None => self.forward(direction, &frame, *extra),
            Some(FrameThen::Drop) => {}
            Some(FrameThen::Delay(delay)) => {
                *extra += delay;
                self.forward(direction, &frame, *extra);
            }
            Some(FrameThen::InjectToClient(injected)) => {
                self.forward(direction, &frame, *extra);
                self.opened.connection.send_to_client(&injected);
            }
            Some(FrameThen::GoAway {
                last_stream,
                reason,
            }) => {
                let last = last_stream.number(stream);
                self.forward(direction, &frame, *extra);
                self.opened
                    .connection
                    .send_to_client(&Frame::go_away(last, reason, ""));
                if stream > last {
                    self.take(stream);
                }
                self.taken().above = Some(last);
            }
            Some(FrameThen::ResetStream(reason)) => {
                // Passed on all the same: both sides' header compression must stay in step.
                self.forward(direction, &frame, *extra);
                self.take(stream);
                self.opened
                    .connection
                    .send_to_client(&Frame::reset_stream(stream, reason));
            }
            Some(FrameThen::Stall) => return Flow::Stalled,
            Some(FrameThen::Close) => self.opened.connection.end(),
            Some(FrameThen::Abort) => self.opened.connection.abort(),
        }
        Flow::On
    }

    fn forward(&self, direction: Direction, frame: &Frame, extra: Duration) {
        let is_settings = direction == Direction::ToClient
            && frame.kind == FrameKind::Settings
            && !frame.is_acknowledgement();
        if is_settings {
            self.opened.connection.pass_settings();
        }
        self.send(direction, frame.encode(), extra);
        if direction == Direction::ToClient && frame.kind == FrameKind::Data {
            self.break_body(frame);
        }
        if let Some(limit) = self.opened.link.advertised().filter(|_| is_settings) {
            self.opened
                .connection
                .send_settings(&Frame::settings(&[(MAX_CONCURRENT_STREAMS, limit)]));
        }
    }

    /// Resets the stream of a body that has come as far as it was to come.
    fn break_body(&self, frame: &Frame) {
        let (stream, connection) = (frame.stream, &self.opened.connection);
        if let Some(reason) = connection.passed_body(stream, frame.payload.len()) {
            self.take(stream);
            connection.send_to_client(&Frame::reset_stream(stream, reason));
        }
    }

    fn send(&self, direction: Direction, bytes: Bytes, extra: Duration) {
        let _ = self
            .queue(direction)
            .send(Outgoing::bytes(bytes, self.opened.link.delay() + extra));
    }

    fn queue(&self, direction: Direction) -> &UnboundedSender<Outgoing> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    /// Takes a stream away from the server, which is told that the client cancelled it.
    fn take(&self, stream: u32) {
        self.taken().streams.insert(stream);
        self.send(
            Direction::ToServer,
            Frame::reset_stream(stream, Reason::CANCEL).encode(),
            Duration::ZERO,
        );
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_taken(&self, frame: &Frame) -> bool {
        let taken = self.taken();
        frame.stream != 0
            && (taken.streams.contains(&frame.stream)
                || taken.above.is_some_and(|last| frame.stream > last))
    }

    fn is_own_acknowledgement(&self, direction: Direction, frame: &Frame) -> bool {
        direction == Direction::ToServer
            && frame.kind == FrameKind::Settings
            && frame.is_acknowledgement()
            && self.opened.connection.keeps_acknowledgement()
    }
}

/// Writes what is queued when it is due, up to `cut` bytes.
async fn write<W: AsyncWrite>(
    mut to: WriteHalf<W>,
    mut queue: UnboundedReceiver<Outgoing>,
    cut: Option<u64>,
    link: &Link,
) {
    let mut left = cut.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    let write = async {
        while let Some(outgoing) = queue.recv().await {
            match outgoing {
                Outgoing::Bytes { due, bytes } => {
                    wait_until(due).await;
                    link.thawed().await;
                    let part = bytes.slice(..bytes.len().min(left));
                    to.write_all(&part).await?;
                    left -= part.len();
                }
                Outgoing::End { due } => {
                    wait_until(due).await;
                    link.thawed().await;
                    break;
                }
            }
            if left == 0 {
                break;
            }
            if queue.is_empty() {
                to.flush().await?;
            }
        }
        io::Result::Ok(())
    };
    // A peer that is gone ends the connection like one that said so.
    let _ = write.await;
    let _ = to.shutdown().await;
}

async fn wait_until(due: Instant) {
    if due > Instant::now() {
        sleep_until(due).await;
    }
}
