//! The pool: the channels of one target, shared by every handle whose configuration has the same fingerprint.
//!
//! Invariant: callers read an immutable snapshot of the ready channels and never dial; one task owns all changes. A
//! report names the channel it is about, so a late one can't hurt another channel. There is no terminal state but
//! closed, and the last error is always there to read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

mod backoff;
pub(crate) mod budget;
mod calls;
mod dialing;
mod directory;
pub(crate) mod establish;
mod handover;
pub(crate) mod mismatch;
mod routes;
mod slots;
mod task;
mod upkeep;

pub(crate) use calls::{Calls, HeldCall};
pub(crate) use directory::Lease;
pub(crate) use routes::routes;

use crate::channel::{Channel, ChannelId, Released, StreamPermit};
use crate::config::ConnectionConfig;
use crate::credentials::{AuthorizationCache, Credentials};
use crate::dial::Resolver;
use crate::error::ConnectError;
use crate::event::Event;
use crate::handshake::ServerDescription;
use crate::http2::End;
use crate::moment::after;
use crate::options::ConnectionOptions;
use crate::statistics::Statistics;
use crate::telemetry::Metrics;
use budget::RetryBudget;
use establish::Route;
use handover::{Leases, Wish};

/// Calls in flight on every ready channel from which on another channel is worth its price.
const CROWDED_CALLS: u32 = 64;
/// Bytes on their way on every ready channel from which on another channel is worth its price: more than the windows
/// of a server with default settings let through in a round trip.
const CROWDED_BYTES: usize = 256 * 1024;
/// Events that a slow listener may be behind before it misses some (and is told so).
const EVENT_BACKLOG: usize = 64;

/// What the pool is told from outside its task.
pub(crate) enum Command {
    /// A call waits and nothing is ready.
    Wake,
    /// Someone wants to know now whether the target can be reached.
    Connect,
    /// The ready channels are crowded.
    Grow,
    /// The peer of this channel announced the end, for this reason.
    GoingAway(ChannelId, Option<h2::Reason>),
    /// The peer of this channel does not answer; or it does again.
    Unresponsive(ChannelId),
    Responsive(ChannelId),
    /// This channel is over.
    Ended(ChannelId, End),
    /// The credentials have changed.
    CredentialsChanged,
    /// Drain until then, then cut.
    Close(Instant),
}

/// How the target is, as far as the pool knows.
#[derive(Clone, Debug)]
pub(crate) enum Health {
    /// No channel yet, none has failed.
    Connecting,
    /// At least one channel is ready.
    Ready,
    /// No channel is ready and the last dial failed.
    Down {
        since: Instant,
        error: Arc<ConnectError>,
        failures: u64,
    },
    /// No new calls; those in flight may end.
    Closing,
    /// Over.
    Closed,
}

/// What callers see: replaced whole, never changed.
pub(crate) struct Ready {
    pub(crate) channels: Box<[Arc<Channel>]>,
    pub(crate) draining: Box<[Arc<Channel>]>,
    pub(crate) health: Health,
    pub(crate) last_error: Option<Arc<ConnectError>>,
}

/// The channels of one target.
pub(crate) struct Pool {
    pub(crate) address: Arc<str>,
    pub(crate) routes: Box<[Arc<Route>]>,
    pub(crate) options: ConnectionOptions,
    pub(crate) authorization: AuthorizationCache,
    pub(crate) budget: RetryBudget,
    pub(crate) statistics: Statistics,
    pub(crate) metrics: Metrics,
    pub(crate) server: ArcSwap<ServerDescription>,
    pub(crate) events: broadcast::Sender<Event>,
    resolver: Resolver,
    ready: ArcSwap<Ready>,
    changed: watch::Sender<()>,
    pub(crate) released: Arc<Released>,
    commands: mpsc::UnboundedSender<Command>,
    /// Set when closing begins: read with every look-up of an alias.
    closing: AtomicBool,
    /// Handles that use it; see [`Lease`].
    leases: Leases,
    growth: Wish,
    wake: Wish,
    waiting: AtomicUsize,
}

/// Why no stream could be had.
pub(crate) enum NoStream {
    /// The target is down, and not for a moment.
    Down(Arc<ConnectError>),
    /// The pool has been closed.
    Closed,
}

impl Pool {
    /// Makes a pool and starts its task on the current runtime.
    pub(crate) fn start(config: &ConnectionConfig, routes: Vec<Route>) -> Arc<Self> {
        Self::start_with(config, routes, Resolver::System)
    }

    fn start_with(config: &ConnectionConfig, routes: Vec<Route>, resolver: Resolver) -> Arc<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let address = config.target.address();
        let pool = Arc::new(Self {
            metrics: Metrics::register(&address),
            address: address.into(),
            routes: routes.into_iter().map(Arc::new).collect(),
            options: config.options.clone(),
            authorization: AuthorizationCache::new(
                config.credentials.clone(),
                Credentials::authorization,
            ),
            budget: RetryBudget::new(),
            statistics: Statistics::new(),
            server: ArcSwap::default(),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            resolver,
            ready: ArcSwap::from_pointee(Ready {
                channels: Box::default(),
                draining: Box::default(),
                health: Health::Connecting,
                last_error: None,
            }),
            changed: watch::Sender::new(()),
            released: Arc::default(),
            commands,
            closing: AtomicBool::new(false),
            leases: Leases::new(),
            growth: Wish::new(),
            wake: Wish::new(),
            waiting: AtomicUsize::new(0),
        });
        tokio::spawn(task::run(Arc::clone(&pool), received));
        pool
    }

    pub(crate) fn snapshot(&self) -> Arc<Ready> {
        self.ready.load_full()
    }

    pub(crate) fn command(&self, command: Command) {
        // The task is gone only when the pool is closed or its runtime has ended; then there is nobody to tell.
        let _ = self.commands.send(command);
    }

    pub(crate) fn emit(&self, kind: crate::event::EventKind) {
        self.metrics.pool_event(&kind);
        // Without a listener there is nobody to tell.
        let _ = self.events.send(Event::now(kind));
    }

    /// True when the task that owns the channels has ended, with the runtime or by closing.
    pub(crate) fn is_over(&self) -> bool {
        self.commands.is_closed()
    }

    /// Calls that wait for a channel or for a stream of one.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A stream for a call that sends `bytes`, now if there is one.
    pub(crate) fn try_stream(&self, bytes: usize) -> Option<StreamPermit> {
        let ready = self.ready.load();
        let permit = pick(&ready.channels, bytes)?;
        self.note_crowding(&ready);
        Some(permit)
    }

    /// A stream for a call that sends `bytes`; waits while there is hope.
    pub(crate) async fn stream(&self, bytes: usize) -> Result<StreamPermit, NoStream> {
        if let Some(permit) = self.try_stream(bytes) {
            return Ok(permit);
        }
        let _waiting = (Waiting::begin(&self.waiting), self.metrics.wait_begins());
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let mut released = std::pin::pin!(self.released.wait());
            // Registered before the second look, so that nothing is missed in between.
            released.as_mut().enable();
            if let Some(permit) = self.look_again(bytes)? {
                return Ok(permit);
            }
            tokio::select! {
                outcome = changed.changed() => {
                    if outcome.is_err() {
                        return Err(NoStream::Closed);
                    }
                }
                () = released => {}
            }
            if let Some(permit) = self.try_stream(bytes) {
                return Ok(permit);
            }
        }
    }

    fn look_again(&self, bytes: usize) -> Result<Option<StreamPermit>, NoStream> {
        if let Some(permit) = self.try_stream(bytes) {
            return Ok(Some(permit));
        }
        if self.is_over() {
            return Err(NoStream::Closed);
        }
        let ready = self.ready.load();
        match &ready.health {
            Health::Closing | Health::Closed => Err(NoStream::Closed),
            Health::Down { since, error, .. }
                if !error.failure.may_pass() || since.elapsed() >= self.options.outage_patience =>
            {
                Err(NoStream::Down(Arc::clone(error)))
            }
            Health::Ready => {
                self.note_crowding(&ready);
                Ok(None)
            }
            Health::Connecting | Health::Down { .. } => {
                if self.wake.make() {
                    self.command(Command::Wake);
                }
                Ok(None)
            }
        }
    }

    /// Asks for another channel when all are crowded; once until the task has looked.
    fn note_crowding(&self, ready: &Ready) {
        if ready.channels.len()
            >= self
                .options
                .most_channels()
                .saturating_mul(self.routes.len())
        {
            return;
        }
        let crowded = |channel: &Arc<Channel>| {
            let gauges = &channel.gauges;
            gauges.in_flight() >= CROWDED_CALLS.min(gauges.stream_limit())
                || gauges.bytes_in_flight() >= CROWDED_BYTES
        };
        // One that has fallen silent takes no calls, and the task replaces it unasked.
        let mut of_use = ready
            .channels
            .iter()
            .filter(|channel| !channel.gauges.is_unresponsive())
            .peekable();
        if of_use.peek().is_some() && of_use.all(crowded) && self.growth.make() {
            self.command(Command::Grow);
        }
    }

    /// Whether a call could leave `channel` for another one whose peer answers.
    pub(crate) fn has_other_than(&self, channel: &Channel) -> bool {
        self.ready.load().channels.iter().any(|other| {
            let gauges = &other.gauges;
            other.id != channel.id && !gauges.is_unresponsive() && !gauges.is_draining()
        })
    }

    /// What the task does to show a new state.
    fn publish(&self, ready: Ready) {
        self.metrics
            .channels(ready.channels.len(), ready.draining.len());
        self.ready.store(Arc::new(ready));
        self.changed.send_replace(());
    }

    /// Ends when the first channel is ready, or with the error of a dial that failed after this was called.
    pub(crate) async fn connected(&self) -> Result<(), NoStream> {
        let failures = |health: &Health| match health {
            Health::Down { failures, .. } => *failures,
            _ => 0,
        };
        let mut changed = self.changed.subscribe();
        let seen = failures(&self.ready.load().health);
        self.command(Command::Connect);
        loop {
            match &self.ready.load().health {
                Health::Ready => return Ok(()),
                Health::Closing | Health::Closed => return Err(NoStream::Closed),
                health @ Health::Down { error, .. } if failures(health) > seen => {
                    return Err(NoStream::Down(Arc::clone(error)));
                }
                _ if self.is_over() => return Err(NoStream::Closed),
                _ => {}
            }
            if changed.changed().await.is_err() {
                return Err(NoStream::Closed);
            }
        }
    }

    /// The target has refused our credentials: when their source says otherwise by now, those are tried at once, and how
    /// that ends is for the next look at the pool. Else this is the failure that there was.
    pub(crate) async fn try_other_credentials(
        &self,
        failure: Arc<ConnectError>,
    ) -> Result<(), NoStream> {
        match self.authorization.current().await {
            Ok(current) if !self.authorization.was_refused(&current) => {
                let _ = self.connected().await;
                Ok(())
            }
            _ => Err(NoStream::Down(failure)),
        }
    }

    /// Drains for at most `patience`, then cuts; ends when nothing is left.
    pub(crate) async fn close(&self, patience: Duration) {
        let mut changed = self.changed.subscribe();
        self.command(Command::Close(after(Instant::now(), patience)));
        while !self.is_over() && !matches!(self.ready.load().health, Health::Closed) {
            tokio::select! {
                _ = changed.changed() => {}
                () = self.commands.closed() => {}
            }
        }
    }

    /// True once closing has begun.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// The least busy channel, by bytes on their way first: an insert is best where no other one fills the peer's window. The
/// search begins at a random one, so that equals share; pools are small, so all are looked at. When the chosen one has no
/// stream left, any other.
fn pick(channels: &[Arc<Channel>], bytes: usize) -> Option<StreamPermit> {
    if let [only] = channels {
        return only.try_stream(bytes);
    }
    let start = fastrand::usize(..channels.len().max(1));
    let (before, after) = channels.split_at_checked(start)?;
    let busy = |channel: &&Arc<Channel>| {
        let gauges = &channel.gauges;
        (
            gauges.is_unresponsive(),
            gauges.bytes_in_flight(),
            gauges.in_flight(),
        )
    };
    let chosen = after.iter().chain(before).min_by_key(busy)?;
    chosen.try_stream(bytes).or_else(|| {
        channels
            .iter()
            .find_map(|channel| channel.try_stream(bytes))
    })
}

/// Counts a waiting call for as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
