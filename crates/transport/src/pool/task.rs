//! The one task that owns a pool's channels: dials, replaces, drains, closes.
//!
//! Invariant: a channel that is replaced leaves the ready set first and drains; only the drain deadline cuts it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::is_proved;
use super::dialing::MAX_DIALS;
use super::establish::Established;
use super::slots::Slots;
use super::{Command, Health, Pool, Ready};
use crate::channel::{Channel, ChannelId};
use crate::error::ConnectError;
use crate::event::EventKind;
use crate::http2::End;
use crate::moment::after;

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
        /// The dial that waits for it.
        dial: Option<ChannelId>,
        found: Result<Vec<SocketAddr>, ConnectError>,
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
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let resting = pool.options.resting_channels();
        let slots = pool.routes.iter().map(|_| Slots::new(resting)).collect();
        Self {
            pool,
            slots,
            ready: Vec::new(),
            retiring: Vec::new(),
            draining: Vec::new(),
            work: FuturesUnordered::new(),
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

    pub(super) fn is_to_be_replaced(&self, channel: &Channel) -> bool {
        self.retiring.contains(&channel.id) || channel.gauges.is_unresponsive()
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Wake => {
                self.pool.wake.take();
                self.hurry();
            }
            Command::Connect => {
                for slots in &mut self.slots {
                    slots.not_before = Instant::now();
                }
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

    /// One more channel, at the endpoint that shall have the fewest; while two dials go on, what comes of them is awaited.
    fn grow(&mut self) {
        let most = self.pool.options.most_channels();
        let candidate = self
            .slots
            .iter_mut()
            .filter(|slots| slots.wanted < most && slots.dials.len() < MAX_DIALS)
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
            after(Instant::now(), self.pool.options.drain_timeout),
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
            // What announced the end may be told only now that it has come.
            let announced = channel.gauges.is_draining();
            // Whoever picked it a moment ago must not begin on it.
            channel.gauges.start_draining();
            self.allow_redial_after(&channel, announced);
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
        let gauges = &channel.gauges;
        let proved = is_proved(gauges.age(), announced, gauges.has_answered());
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
        self.give_up_dials();
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
