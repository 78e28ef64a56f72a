//! The one task that owns a pool's channels: dials, replaces, drains, closes.
//!
//! Invariant: at most two dials at once. A channel that is replaced leaves the ready set first and drains; only the drain
//! deadline cuts it. An error from DNS never empties the set of addresses.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::STABLE_AFTER;
use super::establish::{Dial, Established, establish};
use super::slots::Slots;
use super::{Command, Health, Pool, Ready};
use crate::channel::{Channel, ChannelId, Peer};
use crate::error::ConnectError;
use crate::event::EventKind;
use crate::http2::{End, Keepalive, News};

/// Dials at once: enough to use two addresses, too few for a storm.
pub(super) const MAX_DIALS: usize = 2;
/// A look-up is not older than this when a dial uses it.
const LOOK_UP_HOLDS: Duration = Duration::from_secs(1);
/// The keepalive interval is doubled at most this often when the peer complains about pings.
const MOST_DOUBLINGS: u32 = 5;

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

pub(super) enum Done {
    Dialed {
        endpoint: usize,
        outcome: Result<Box<Established>, ConnectError>,
        id: ChannelId,
    },
    LookedUp {
        endpoint: usize,
        addresses: Vec<std::net::SocketAddr>,
    },
}

/// Runs until the pool is closed and its last channel is gone.
pub(super) async fn run(pool: Arc<Pool>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut task = Task::new(pool);
    while !task.is_over() {
        task.dial_where_wanted();
        let wake_at = task.next_deadline();
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => task.obey(command),
                None => break,
            },
            Some(done) = task.work.next(), if !task.work.is_empty() => task.finish(done),
            () = tokio::time::sleep_until(wake_at) => task.maintain(),
        }
        task.publish_changes();
    }
    task.end();
}

pub(super) struct Task {
    pub(super) pool: Arc<Pool>,
    pub(super) slots: Box<[Slots]>,
    pub(super) ready: Vec<Arc<Channel>>,
    /// Ready, and to be drained as soon as its replacement is ready.
    pub(super) retiring: Vec<ChannelId>,
    pub(super) draining: Vec<(Arc<Channel>, Instant)>,
    pub(super) work: FuturesUnordered<Work>,
    pub(super) dials: usize,
    pub(super) down_since: Option<Instant>,
    pub(super) failures: u64,
    pub(super) last_error: Option<Arc<ConnectError>>,
    pub(super) keepalive_doublings: u32,
    /// The channel whose peer complained about pings last.
    pub(super) complained: Option<ChannelId>,
    pub(super) closing: Option<Instant>,
    pub(super) changed: bool,
}

impl Task {
    fn new(pool: Arc<Pool>) -> Self {
        let resting = pool.options.resting_channels();
        let slots = pool.routes.iter().map(|_| Slots::new(resting)).collect();
        Self {
            pool,
            slots,
            ready: Vec::new(),
            retiring: Vec::new(),
            draining: Vec::new(),
            work: FuturesUnordered::new(),
            dials: 0,
            down_since: None,
            failures: 0,
            last_error: None,
            keepalive_doublings: 0,
            complained: None,
            closing: None,
            changed: false,
        }
    }

    fn is_over(&self) -> bool {
        self.closing.is_some() && self.ready.is_empty() && self.draining.is_empty()
    }

    fn dial_where_wanted(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let now = Instant::now();
        for endpoint in 0..self.slots.len() {
            while self.dials < MAX_DIALS && self.wants_dial(endpoint, now) {
                self.dial(endpoint, now);
            }
        }
    }

    pub(super) fn wants_dial(&self, endpoint: usize, now: Instant) -> bool {
        let standing = self
            .ready
            .iter()
            .filter(|channel| channel.endpoint == endpoint && !self.is_to_be_replaced(channel))
            .count();
        self.slots
            .get(endpoint)
            .is_some_and(|slots| slots.not_before <= now && standing + slots.dialing < slots.wanted)
    }

    fn is_to_be_replaced(&self, channel: &Channel) -> bool {
        self.retiring.contains(&channel.id) || channel.gauges.is_unresponsive()
    }

    fn dial(&mut self, endpoint: usize, now: Instant) {
        let (Some(slots), Some(route)) =
            (self.slots.get_mut(endpoint), self.pool.routes.get(endpoint))
        else {
            return;
        };
        slots.dialing += 1;
        self.dials += 1;
        let fresh = slots
            .looked_up
            .is_some_and(|at| now.duration_since(at) < LOOK_UP_HOLDS);
        let known = if fresh {
            slots.addresses.clone()
        } else {
            Vec::new()
        };
        let first = slots.least_used(&self.ready, endpoint);
        let keepalive = Keepalive::of(&self.pool.options, self.keepalive_doublings);
        let id = ChannelId::next();
        self.pool.emit(EventKind::Dialing {
            channel: id,
            address: Arc::clone(&route.address),
        });
        let (pool, route) = (Arc::clone(&self.pool), Arc::clone(route));
        let (news, ended) = (self.pool.commands.clone(), self.pool.commands.clone());
        self.work.push(Box::pin(async move {
            let on_news = move |what| {
                drop(news.send(match what {
                    News::GoingAway(reason) => Command::GoingAway(id, reason),
                    News::Unresponsive => Command::Unresponsive(id),
                    News::Responsive => Command::Responsive(id),
                }));
            };
            let on_end = move |end| drop(ended.send(Command::Ended(id, end)));
            let outcome = match pool.authorization.current().await {
                Ok(authorization) => {
                    let user = pool
                        .authorization
                        .source()
                        .user()
                        .unwrap_or_default()
                        .to_owned();
                    // A dial that outlasts the connect could not say how far it came.
                    let timeout = pool
                        .options
                        .dial_timeout
                        .min(pool.options.connect_timeout.mul_f64(0.9));
                    let released = Arc::clone(&pool.released);
                    let dial = Dial {
                        released,
                        route,
                        known,
                        first,
                        timeout,
                        keepalive,
                        authorization: authorization.header.clone(),
                        user,
                    };
                    establish(dial, on_news, on_end).await
                }
                Err(error) => Err(ConnectError::unreadable_credentials(&pool.address, error)),
            };
            Done::Dialed {
                endpoint,
                outcome: outcome.map(Box::new),
                id,
            }
        }));
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Dialed {
                endpoint,
                outcome,
                id,
            } => {
                self.dials -= 1;
                if let Some(slots) = self.slots.get_mut(endpoint) {
                    slots.dialing -= 1;
                }
                match outcome {
                    Ok(established) => self.admit(endpoint, id, *established),
                    Err(error) => self.note_failure(endpoint, id, error),
                }
            }
            Done::LookedUp {
                endpoint,
                addresses,
            } => self.adopt_addresses(endpoint, addresses),
        }
    }

    fn admit(&mut self, endpoint: usize, id: ChannelId, established: Established) {
        let Established {
            peer,
            addresses,
            greeting,
            gauges,
            first_bytes,
            keepalive,
            sender,
            driver,
        } = established;
        let Some(driver) = driver.release() else {
            return;
        };
        let channel = Arc::new(Channel {
            id,
            endpoint,
            peer,
            identifier: greeting.identifier,
            gauges,
            first_bytes,
            keepalive,
            sender,
            driver,
        });
        if self.closing.is_some() {
            channel.cut();
            return;
        }
        if **self.pool.server.load() != greeting.server {
            self.pool.server.store(Arc::new(greeting.server));
        }
        let same_place = |channel: &&Arc<Channel>| channel.endpoint == endpoint;
        let old = self.ready.iter().filter(same_place);
        let old = old
            .clone()
            .find(|channel| channel.gauges.is_unresponsive())
            .or_else(|| old.clone().find(|channel| self.is_to_be_replaced(channel)))
            .map(|channel| channel.id);
        self.pool.emit(EventKind::Ready {
            channel: id,
            peer: channel.peer.to_string(),
        });
        self.ready.push(channel);
        self.down_since = None;
        self.changed = true;
        if let Some(slots) = self.slots.get_mut(endpoint) {
            slots.last_error = None;
        }
        if let Some(old) = old {
            self.drain(old, "replaced");
        }
        self.adopt_addresses(endpoint, addresses);
    }

    fn note_failure(&mut self, endpoint: usize, id: ChannelId, error: ConnectError) {
        let calls_wait = self.pool.waiting() > 0;
        let error = Arc::new(error);
        if let Some(slots) = self.slots.get_mut(endpoint) {
            let delay =
                slots
                    .backoff
                    .after_failure(error.failure.may_pass(), calls_wait, fastrand::f64());
            slots.not_before = Instant::now() + delay;
            slots.last_error = Some(Arc::clone(&error));
        }
        self.pool.emit(EventKind::DialFailed {
            channel: id,
            error: Arc::clone(&error),
        });
        self.failures += 1;
        self.last_error = Some(error);
        self.changed = true;
    }

    /// Takes over a look-up: channels to addresses that are gone are replaced, and there is one channel at rest for each
    /// address, so that all are used.
    fn adopt_addresses(&mut self, endpoint: usize, addresses: Vec<std::net::SocketAddr>) {
        let Some(slots) = self.slots.get_mut(endpoint) else {
            return;
        };
        if addresses.is_empty() {
            return;
        }
        slots.looked_up = Some(Instant::now());
        let in_use = self
            .ready
            .iter()
            .rev()
            .find(|channel| channel.endpoint == endpoint)
            .and_then(|channel| match channel.peer {
                Peer::Tcp(address) => Some(address.is_ipv6()),
                Peer::Unix(_) => None,
            });
        slots.rest_on(
            &addresses,
            in_use,
            self.pool.options.resting_channels(),
            self.pool.options.most_channels(),
        );
        slots.addresses = addresses;
        let gone = self
            .ready
            .iter()
            .filter(|channel| channel.endpoint == endpoint)
            .filter(|channel| match &channel.peer {
                Peer::Tcp(address) => !slots.addresses.contains(address),
                Peer::Unix(_) => false,
            });
        let gone: Vec<_> = gone
            .map(|channel| channel.id)
            .filter(|id| !self.retiring.contains(id))
            .collect();
        self.retiring.extend(gone);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Wake => {
                self.pool.wake.take();
                self.hurry();
            }
            Command::Grow => {
                self.pool.growth.take();
                self.grow();
            }
            Command::GoingAway(id, reason) => {
                self.heed(id, reason);
                self.drain(id, "the server announced its end");
            }
            Command::Unresponsive(id) => {
                self.tell_of(id, EventKind::Unresponsive { channel: id });
            }
            Command::Responsive(id) => self.tell_of(id, EventKind::Responsive { channel: id }),
            Command::Ended(id, end) => self.remove(id, &end),
            Command::CredentialsChanged => {
                for slots in &mut self.slots {
                    slots.backoff.reset();
                    slots.not_before = Instant::now();
                }
            }
            Command::Close(deadline) => self.close(deadline),
        }
    }

    /// Says something of a ready channel. One that has fallen silent is replaced by what is dialed from now on, since it
    /// counts as missing until it speaks again.
    fn tell_of(&self, id: ChannelId, kind: EventKind) {
        if self.ready.iter().any(|channel| channel.id == id) {
            self.pool.emit(kind);
        }
    }

    /// Calls wait: no endpoint stays in a long delay.
    fn hurry(&mut self) {
        for slots in &mut self.slots {
            if slots
                .last_error
                .as_ref()
                .is_none_or(|error| error.failure.may_pass())
            {
                slots.not_before = slots
                    .not_before
                    .min(Instant::now() + slots.backoff.while_calls_wait(fastrand::f64()));
            }
        }
    }

    /// One more channel, at the endpoint that has the fewest.
    fn grow(&mut self) {
        let most = self.pool.options.most_channels();
        let candidate = self
            .slots
            .iter_mut()
            .filter(|slots| slots.wanted < most && slots.dialing == 0)
            .min_by_key(|slots| slots.wanted);
        if let Some(slots) = candidate {
            slots.wanted += 1;
        }
    }

    /// Takes a channel out of the ready set; its calls go on until the drain deadline.
    pub(super) fn drain(&mut self, id: ChannelId, reason: &'static str) {
        let Some(index) = self.ready.iter().position(|channel| channel.id == id) else {
            return;
        };
        let channel = self.ready.swap_remove(index);
        self.retiring.retain(|retiring| *retiring != id);
        self.pool.emit(EventKind::Draining {
            channel: id,
            reason,
        });
        self.allow_redial_after(&channel, true);
        self.draining.push((
            Arc::clone(&channel),
            Instant::now() + self.pool.options.drain_timeout,
        ));
        self.changed = true;
        // Last: with no call in flight, the driver ends at once and reports it.
        channel.gauges.start_draining();
    }

    /// The peer complained about our pings (RFC 9113: ENHANCE_YOUR_CALM; gRPC: `too_many_pings`): from now on half as many,
    /// once for each channel that was told so.
    fn heed(&mut self, id: ChannelId, reason: Option<h2::Reason>) {
        if reason == Some(h2::Reason::ENHANCE_YOUR_CALM) && self.complained.replace(id) != Some(id)
        {
            self.keepalive_doublings = (self.keepalive_doublings + 1).min(MOST_DOUBLINGS);
        }
    }

    fn remove(&mut self, id: ChannelId, end: &End) {
        self.heed(id, end.reason());
        if let Some(index) = self.ready.iter().position(|channel| channel.id == id) {
            let channel = self.ready.swap_remove(index);
            self.retiring.retain(|retiring| *retiring != id);
            // Whoever picked it a moment ago must not begin on it.
            channel.gauges.start_draining();
            self.allow_redial_after(&channel, false);
            let address = Arc::clone(&self.pool.address);
            self.last_error = Some(Arc::new(ConnectError::lost(
                &address,
                &channel.peer.to_string(),
                end,
            )));
        } else if let Some(index) = self
            .draining
            .iter()
            .position(|(channel, _)| channel.id == id)
        {
            self.draining.swap_remove(index);
        } else {
            return;
        }
        self.pool.emit(EventKind::Closed {
            channel: id,
            reason: end.describe(),
        });
        self.changed = true;
    }

    /// A channel that had proved itself is replaced at once; one that died young waits its turn.
    fn allow_redial_after(&mut self, channel: &Channel, announced: bool) {
        let Some(slots) = self.slots.get_mut(channel.endpoint) else {
            return;
        };
        let proved =
            channel.gauges.age() >= STABLE_AFTER || (announced && channel.gauges.calls() > 0);
        if proved || slots.backoff.failures() == 0 {
            slots.backoff.reset();
            slots.not_before = Instant::now();
            if !proved {
                slots.backoff.count();
            }
        } else {
            let calls_wait = self.pool.waiting() > 0;
            slots.not_before = Instant::now()
                + slots
                    .backoff
                    .after_failure(true, calls_wait, fastrand::f64());
        }
    }

    fn close(&mut self, deadline: Instant) {
        self.pool.closing.store(true, Ordering::Release);
        self.closing = Some(
            self.closing
                .map_or(deadline, |earlier| earlier.min(deadline)),
        );
        self.work.clear();
        self.dials = 0;
        while let Some(channel) = self.ready.first() {
            let id = channel.id;
            self.drain(id, "the connection is being closed");
        }
        for (_, until) in &mut self.draining {
            *until = (*until).min(deadline);
        }
        self.changed = true;
    }

    fn health(&mut self) -> Health {
        if self.closing.is_some() {
            return Health::Closing;
        }
        if !self.ready.is_empty() {
            return Health::Ready;
        }
        // Down once no endpoint is left that has not failed.
        let failed = self.slots.iter().all(|slots| slots.last_error.is_some());
        match (&self.last_error, failed) {
            (Some(error), true) => {
                let since = *self.down_since.get_or_insert_with(Instant::now);
                Health::Down {
                    since,
                    error: Arc::clone(error),
                    failures: self.failures,
                }
            }
            _ => Health::Connecting,
        }
    }

    fn publish_changes(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let health = self.health();
        self.pool.publish(Ready {
            channels: self.ready.iter().cloned().collect(),
            draining: self
                .draining
                .iter()
                .map(|(channel, _)| Arc::clone(channel))
                .collect(),
            health,
            last_error: self.last_error.clone(),
        });
    }

    fn end(&mut self) {
        self.pool.emit(EventKind::PoolClosed);
        self.pool.publish(Ready {
            channels: Box::default(),
            draining: Box::default(),
            health: Health::Closed,
            last_error: self.last_error.clone(),
        });
    }
}
