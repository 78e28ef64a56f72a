//! What is wrong with a link: the rules on frames, the delay, the cut, and what was counted on it.
//!
//! Invariant: a rule counts every frame that it matches, in the order in which they were received, so "the third PING"
//! means the third on the link.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use h2::Reason;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};

use super::frame::{Frame, FrameKind, MAX_CONCURRENT_STREAMS};
use super::relay::Outgoing;

/// Which way a frame travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// Which frames a rule is about; every field that is set must agree.
#[derive(Clone, Debug, Default)]
pub struct FrameWhen {
    /// The way it travels.
    pub direction: Option<Direction>,
    /// Its type.
    pub kind: Option<FrameKind>,
    /// Its stream.
    pub stream: Option<u32>,
    /// Whether it acknowledges another (PING, SETTINGS).
    pub acknowledgement: Option<bool>,
}

impl FrameWhen {
    /// Frames of one type that travel one way.
    pub fn frame(direction: Direction, kind: FrameKind) -> Self {
        Self {
            direction: Some(direction),
            kind: Some(kind),
            ..Self::default()
        }
    }

    /// The client's PING frames that ask, not those that answer.
    pub fn ping_to_server() -> Self {
        Self {
            acknowledgement: Some(false),
            ..Self::frame(Direction::ToServer, FrameKind::Ping)
        }
    }

    fn matches(&self, direction: Direction, frame: &Frame) -> bool {
        self.direction.is_none_or(|wanted| wanted == direction)
            && self.kind.is_none_or(|wanted| wanted == frame.kind)
            && self.stream.is_none_or(|wanted| wanted == frame.stream)
            && self.acknowledgement.is_none_or(|wanted| wanted == frame.is_acknowledgement())
            // Headers that go on in another frame can't be acted on yet: nothing may be sent in between.
            && (frame.kind != FrameKind::Headers || frame.ends_headers())
    }
}

/// The last stream that a GOAWAY says will be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastStream {
    /// The stream of the frame or call that the rule matched: it will be answered, later ones will not.
    This,
    /// The stream before it: the matched one has not been looked at.
    BeforeThis,
    /// A given number.
    Exactly(u32),
}

impl LastStream {
    pub(super) fn number(self, this: u32) -> u32 {
        match self {
            Self::This => this,
            Self::BeforeThis => this.saturating_sub(2),
            Self::Exactly(stream) => stream,
        }
    }
}

/// What happens to a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameThen {
    /// It is lost. (Lost headers or bodies leave both sides out of step, as a faulty middlebox would.)
    Drop,
    /// It, and all that follows it the same way, arrives later.
    Delay(Duration),
    /// It is passed on, and this frame goes to the client after it.
    InjectToClient(Frame),
    /// The client is told that the connection takes no further streams. Streams above the last are taken from the
    /// server, which does not answer them; the frame is passed on otherwise.
    GoAway {
        /// The last stream that will be answered.
        last_stream: LastStream,
        /// The reason given.
        reason: Reason,
    },
    /// Its stream is reset on both sides: with `CANCEL` towards the server, with this reason towards the client.
    ResetStream(Reason),
    /// It, and all that follows it the same way on this connection, is never passed on.
    Stall,
    /// The connection ends in an orderly way (FIN) in both directions.
    Close,
    /// The connection ends with a TCP reset towards the client.
    Abort,
}

/// When a frame is seen, then something happens to it.
#[derive(Clone, Debug)]
pub struct FrameRule {
    when: FrameWhen,
    skip: u64,
    times: u64,
    then: FrameThen,
}

impl FrameRule {
    /// A rule for all frames that `when` matches.
    pub fn new(when: FrameWhen, then: FrameThen) -> Self {
        Self {
            when,
            skip: 0,
            times: u64::MAX,
            then,
        }
    }

    /// Lets the first `count` matching frames pass.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Acts `count` times, then never again.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }
}

/// How a link starts out; everything can be changed later through [`Link`].
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// How long each byte takes, each way. The bandwidth stays what it is.
    pub delay: Duration,
    /// Whether the bytes are something else than HTTP/2 in plain text (TLS, HTTP/1.1): no frames are looked for, and
    /// frame rules never match.
    pub opaque: bool,
}

/// What was seen on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Connections that were accepted.
    pub connections: u64,
    /// Of those, the ones still open.
    pub open_connections: u64,
    /// Streams that clients opened.
    pub streams: u64,
    /// PING frames from clients that asked for an answer.
    pub pings: u64,
    /// Bytes from clients.
    pub bytes_to_server: u64,
    /// Bytes to clients.
    pub bytes_to_client: u64,
}

#[derive(Debug, Default)]
struct Totals {
    accepted: AtomicU64,
    ended: AtomicU64,
    streams: AtomicU64,
    pings: AtomicU64,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
}

/// The faults of a link, and what was counted on it. Shared by all its connections; every change takes effect at once.
#[derive(Debug, Default)]
pub struct Link {
    opaque: bool,
    delay_nanoseconds: AtomicU64,
    rules: Mutex<Vec<FrameRule>>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    totals: Totals,
    /// For what the server says about its limit of streams, see [`Link::advertise_max_concurrent_streams`].
    advertised: Mutex<Option<u32>>,
    cut: Mutex<Option<u64>>,
    frozen: watch::Sender<bool>,
}

/// A lock is held for a few instructions by code that does not panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(options: &LinkOptions) -> Arc<Self> {
        let link = Self {
            opaque: options.opaque,
            ..Self::default()
        };
        link.set_delay(options.delay);
        Arc::new(link)
    }

    /// Adds a rule; the first rule that matches a frame and has not been used up decides.
    pub fn rule(&self, rule: FrameRule) {
        lock(&self.rules).push(rule);
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        lock(&self.rules).clear();
    }

    /// Changes how long each byte takes, each way.
    pub fn set_delay(&self, delay: Duration) {
        self.delay_nanoseconds.store(
            u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// Ends each connection once it has passed `bytes` bytes to the client, in the middle of a frame if need be.
    pub fn cut_after(&self, bytes: Option<u64>) {
        *lock(&self.cut) = bytes;
    }

    /// Nothing is passed on any more, either way, on connections that are there and on new ones, until
    /// [`thaw`](Self::thaw): what a client sees of a process that is stopped.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// Passes on what has been waiting, and all that follows.
    pub fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// Tells clients another limit of streams than the server does: after the server's settings on each new connection,
    /// and at once on those that are open.
    pub fn advertise_max_concurrent_streams(&self, limit: u32) {
        *lock(&self.advertised) = Some(limit);
        let settings = Frame::settings(&[(MAX_CONCURRENT_STREAMS, limit)]);
        self.for_each_connection(|connection| connection.send_settings(&settings));
    }

    /// Sends a frame to the client of every open connection. SETTINGS are acknowledged by the link itself.
    pub fn inject_to_client(&self, frame: &Frame) {
        self.for_each_connection(|connection| match frame.kind {
            FrameKind::Settings => connection.send_settings(frame),
            _ => connection.send_to_client(frame),
        });
    }

    /// Ends every open connection in an orderly way (FIN).
    pub fn close_connections(&self) {
        self.for_each_connection(Connection::end);
    }

    /// Ends every open connection with a TCP reset towards the client.
    pub fn abort_connections(&self) {
        self.for_each_connection(Connection::abort);
    }

    /// What was counted so far.
    pub fn counters(&self) -> LinkCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let (ended, connections) = (get(&self.totals.ended), get(&self.totals.accepted));
        LinkCounters {
            connections,
            open_connections: connections.saturating_sub(ended),
            streams: get(&self.totals.streams),
            pings: get(&self.totals.pings),
            bytes_to_server: get(&self.totals.bytes_to_server),
            bytes_to_client: get(&self.totals.bytes_to_client),
        }
    }

    fn for_each_connection(&self, act: impl Fn(&Connection)) {
        let open: Vec<Arc<Connection>> = lock(&self.connections).values().cloned().collect();
        open.iter().for_each(|connection| act(connection));
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.opaque
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay_nanoseconds.load(Ordering::Relaxed))
    }

    pub(super) async fn thawed(&self) {
        if *self.frozen.borrow() {
            // An error would mean that the link is gone, and with it who asks.
            let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
        }
    }

    pub(super) fn cut(&self) -> Option<u64> {
        *lock(&self.cut)
    }

    pub(super) fn advertised(&self) -> Option<u32> {
        *lock(&self.advertised)
    }

    pub(super) fn open(
        &self,
        to_client: UnboundedSender<Outgoing>,
        socket: Option<OwnedFd>,
    ) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            id: self.totals.accepted.fetch_add(1, Ordering::SeqCst) + 1,
            to_client,
            settings: Mutex::default(),
            resets: Mutex::default(),
            ending: Notify::new(),
            socket: Mutex::new(socket),
        });
        lock(&self.connections).insert(connection.id, Arc::clone(&connection));
        connection
    }

    pub(super) fn ended(&self, connection: &Connection) {
        if lock(&self.connections).remove(&connection.id).is_some() {
            self.totals.ended.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(super) fn count_bytes(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::ToServer => &self.totals.bytes_to_server,
            Direction::ToClient => &self.totals.bytes_to_client,
        };
        counter.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    /// Counts a frame and says what shall happen to it.
    pub(super) fn decide(
        &self,
        direction: Direction,
        frame: &Frame,
        opens_stream: bool,
    ) -> Option<FrameThen> {
        if opens_stream {
            self.totals.streams.fetch_add(1, Ordering::SeqCst);
        }
        if FrameWhen::ping_to_server().matches(direction, frame) {
            self.totals.pings.fetch_add(1, Ordering::SeqCst);
        }
        let mut decision = None;
        for rule in lock(&self.rules)
            .iter_mut()
            .filter(|rule| rule.when.matches(direction, frame))
        {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.times > 0 && decision.is_none() {
                rule.times -= 1;
                decision = Some(rule.then.clone());
            }
        }
        decision
    }
}

/// One connection of a link, for what is done to it from outside.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    to_client: UnboundedSender<Outgoing>,
    /// For each SETTINGS frame on its way to the client, whether the link itself made it: the server must not see an
    /// acknowledgement of something it never sent.
    settings: Mutex<VecDeque<bool>>,
    /// Streams to reset towards the client, each once that many bytes of its body have been passed on.
    resets: Mutex<HashMap<u32, (usize, Reason)>>,
    ending: Notify,
    socket: Mutex<Option<OwnedFd>>,
}

impl Connection {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn send_to_client(&self, frame: &Frame) {
        // A connection that is gone needs no frame.
        let _ = self
            .to_client
            .send(Outgoing::bytes(frame.encode(), Duration::ZERO));
    }

    pub(super) fn send_settings(&self, frame: &Frame) {
        let mut settings = lock(&self.settings);
        settings.push_back(true);
        self.send_to_client(frame);
    }

    /// Notes that the server's own settings go to the client.
    pub(super) fn pass_settings(&self) {
        lock(&self.settings).push_back(false);
    }

    /// Whether an acknowledgement of settings is meant for the link and not for the server.
    pub(super) fn keeps_acknowledgement(&self) -> bool {
        lock(&self.settings).pop_front().unwrap_or(false)
    }

    /// Asks for RST_STREAM towards the client once `bytes` bytes of the stream's body have been passed on.
    pub(super) fn reset_after(&self, stream: u32, bytes: usize, reason: Reason) {
        lock(&self.resets).insert(stream, (bytes, reason));
    }

    /// Notes that a part of a body was passed on to the client; says why the stream shall be reset now, if it shall.
    pub(super) fn passed_body(&self, stream: u32, bytes: usize) -> Option<Reason> {
        let mut resets = lock(&self.resets);
        let (left, reason) = resets.get_mut(&stream)?;
        *left = left.saturating_sub(bytes);
        (*left == 0).then_some(*reason)
    }

    pub(super) fn end(&self) {
        self.ending.notify_one();
    }

    pub(super) fn abort(&self) {
        if let Some(socket) = lock(&self.socket).take() {
            // With a linger time of zero the kernel sends RST instead of FIN when the last descriptor is closed.
            let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        }
        self.end();
    }

    pub(super) async fn wait_for_end(&self) {
        self.ending.notified().await;
    }

    /// Lets go of the socket, so that closing the stream closes the connection.
    pub(super) fn release_socket(&self) {
        drop(lock(&self.socket).take());
    }
}
