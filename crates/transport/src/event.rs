//! What happens to a pool, as it happens.
//!
//! Invariant: the events of one channel come in the order `Dialing`, then `DialFailed` or `Ready`, then any number of
//! `Unresponsive` and `Responsive` in turn, then at most one `Draining`, then `Closed`; nothing about a channel comes after its `Closed` or `DialFailed`. `PoolClosed` is the last
//! event of a pool.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::broadcast;

use crate::channel::ChannelId;
use crate::error::ConnectError;

/// Something that happened, and when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, by the system's clock.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A channel is being made.
    Dialing {
        /// The channel.
        channel: ChannelId,
        /// Where to.
        address: Arc<str>,
    },
    /// The channel could not be made.
    DialFailed {
        /// The channel.
        channel: ChannelId,
        /// Why.
        error: Arc<ConnectError>,
    },
    /// The channel takes calls.
    Ready {
        /// The channel.
        channel: ChannelId,
        /// The address at its other end.
        peer: String,
    },
    /// The peer has left a ping without an answer for a while: calls go elsewhere, and a replacement is dialed.
    Unresponsive {
        /// The channel.
        channel: ChannelId,
    },
    /// The peer has sent something again; the channel takes calls.
    Responsive {
        /// The channel.
        channel: ChannelId,
    },
    /// The channel takes no new calls; those in flight go on.
    Draining {
        /// The channel.
        channel: ChannelId,
        /// Why.
        reason: &'static str,
    },
    /// The channel is gone.
    Closed {
        /// The channel.
        channel: ChannelId,
        /// Why.
        reason: String,
    },
    /// The pool is gone.
    PoolClosed,
}

impl Event {
    pub(crate) fn now(kind: EventKind) -> Self {
        Self {
            at: SystemTime::now(),
            kind,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dialing { channel, address } => write!(f, "channel {channel}: dialing {address}"),
            Self::DialFailed { channel, error } => write!(f, "channel {channel}: {error}"),
            Self::Ready { channel, peer } => write!(f, "channel {channel}: ready, to {peer}"),
            Self::Unresponsive { channel } => {
                write!(f, "channel {channel}: the server does not answer")
            }
            Self::Responsive { channel } => {
                write!(f, "channel {channel}: the server answers again")
            }
            Self::Draining { channel, reason } => {
                write!(f, "channel {channel}: draining, {reason}")
            }
            Self::Closed { channel, reason } => write!(f, "channel {channel}: closed, {reason}"),
            Self::PoolClosed => f.write_str("the pool is closed"),
        }
    }
}

/// The events of a connection from the moment it was made; see [`crate::Connection::events`].
#[derive(Debug)]
pub struct Events {
    receiver: Option<broadcast::Receiver<Event>>,
    /// The last event of a pool ends the stream.
    over: bool,
}

impl Events {
    pub(crate) fn new(receiver: Option<broadcast::Receiver<Event>>) -> Self {
        Self {
            receiver,
            over: false,
        }
    }

    /// The next event; `None` after the last. A listener that falls far behind misses the oldest ones.
    pub async fn next(&mut self) -> Option<Event> {
        let receiver = self.receiver.as_mut().filter(|_| !self.over)?;
        loop {
            match receiver.recv().await {
                Ok(event) => {
                    self.over = matches!(event.kind, EventKind::PoolClosed);
                    return Some(event);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
