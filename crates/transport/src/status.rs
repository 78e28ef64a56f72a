//! How a connection is, at one moment; made to be shown to people and to be serialised.

use std::time::Duration;

use crate::channel::{Channel, ChannelId};
use crate::handshake::ServerDescription;
use crate::pool::{Health, Pool};
use crate::statistics::CallStatistics;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionState {
    /// The first channel is being made.
    Connecting,
    /// Calls are taken.
    Ready,
    /// No channel is ready; calls wait, or fail with the last connect error. Dialing goes on.
    Down,
    /// Calls in flight end; new ones are refused.
    Closing,
    /// Closed.
    Closed,
}

impl std::fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Closing => "closing",
            Self::Closed => "closed",
        })
    }
}

/// A snapshot of a connection.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// The alias of the handle that was asked.
    pub alias: String,
    /// The target.
    pub address: String,
    /// The handle's database; empty for the server's default one.
    pub database: String,
    /// The state.
    pub state: ConnectionState,
    /// What the server said of itself.
    pub server: ServerDescription,
    /// The channels that are ready or draining.
    pub channels: Vec<ChannelStatus>,
    /// Calls that have a stream.
    pub calls_in_flight: u32,
    /// Calls that wait for one.
    pub calls_waiting: usize,
    /// Counts and latencies since the pool was made.
    pub calls: CallStatistics,
    /// What a retry may still cost: 500 when all is well.
    pub retry_tokens: i64,
    /// The last failure to make or keep a channel, also while all is well again.
    pub last_error: Option<String>,
}

/// A snapshot of one channel.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct ChannelStatus {
    /// Its id.
    pub id: ChannelId,
    /// The address at its other end.
    pub peer: String,
    /// True when it takes no new calls.
    pub draining: bool,
    /// Whether the peer has left a ping without an answer for a while, so that calls go elsewhere.
    pub unresponsive: bool,
    /// Streams in use.
    pub calls_in_flight: u32,
    /// Streams that the peer allows.
    pub stream_limit: u32,
    /// Bytes of requests on their way.
    pub bytes_in_flight: usize,
    /// Calls so far.
    pub calls: u64,
    /// Seconds since it was opened.
    pub age_seconds: f64,
    /// Seconds of silence after which the peer is pinged; twice as many for each time that a peer complained.
    pub keepalive_seconds: f64,
    /// The last round trip of a ping, in microseconds; `None` before the first.
    pub round_trip_micros: Option<u64>,
}

impl ConnectionStatus {
    pub(crate) fn in_process(
        alias: &str,
        address: &str,
        database: &str,
        state: ConnectionState,
        server: ServerDescription,
    ) -> Self {
        Self {
            alias: alias.to_owned(),
            address: address.to_owned(),
            database: database.to_owned(),
            state,
            server,
            channels: Vec::new(),
            calls_in_flight: 0,
            calls_waiting: 0,
            calls: CallStatistics::default(),
            retry_tokens: 0,
            last_error: None,
        }
    }

    pub(crate) fn of_pool(alias: &str, database: &str, pool: &Pool) -> Self {
        let snapshot = pool.snapshot();
        let describe = |channel: &std::sync::Arc<Channel>| ChannelStatus::of(channel);
        let channels: Vec<_> = snapshot
            .channels
            .iter()
            .chain(&snapshot.draining)
            .map(describe)
            .collect();
        let state = match snapshot.health {
            // A task that has gone with its runtime can't say so itself.
            _ if pool.is_over() => ConnectionState::Closed,
            Health::Connecting => ConnectionState::Connecting,
            Health::Ready => ConnectionState::Ready,
            Health::Down { .. } => ConnectionState::Down,
            Health::Closing => ConnectionState::Closing,
            Health::Closed => ConnectionState::Closed,
        };
        Self {
            alias: alias.to_owned(),
            address: pool.address.to_string(),
            database: database.to_owned(),
            state,
            server: (**pool.server.load()).clone(),
            calls_in_flight: channels.iter().map(|channel| channel.calls_in_flight).sum(),
            calls_waiting: pool.waiting(),
            calls: pool.statistics.snapshot(),
            retry_tokens: pool.budget.tokens(),
            last_error: snapshot.last_error.as_ref().map(ToString::to_string),
            channels,
        }
    }
}

impl ChannelStatus {
    fn of(channel: &Channel) -> Self {
        let gauges = &channel.gauges;
        Self {
            id: channel.id,
            peer: channel.peer.to_string(),
            draining: gauges.is_draining(),
            unresponsive: gauges.is_unresponsive(),
            calls_in_flight: gauges.in_flight(),
            stream_limit: gauges.stream_limit(),
            bytes_in_flight: gauges.bytes_in_flight(),
            calls: gauges.calls(),
            age_seconds: gauges.age().as_secs_f64(),
            keepalive_seconds: channel.keepalive.interval.as_secs_f64(),
            round_trip_micros: gauges.round_trip().map(micros),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
