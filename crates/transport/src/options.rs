//! The numbers that a connection lives by, each with its reason.
//!
//! Invariant: the defaults are right for a service beside its Milvus; nothing here has to be set to be safe.

use std::time::Duration;

/// Timeouts, pool size and limits of one connection.
///
/// ```
/// use std::time::Duration;
/// use milvus_transport::ConnectionOptions;
///
/// let mut options = ConnectionOptions::default();
/// options.call_timeout = Duration::from_secs(5);
/// options.max_channels = 8;
/// assert_eq!(options.min_channels, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// How long `connect` may take from the first look-up to the answered handshake. Default 10 s, as PyMilvus.
    pub connect_timeout: Duration,
    /// How long TCP and TLS to one address may take before it counts as dead. Default 5 s: several addresses fit into
    /// `connect_timeout`. At the limit the next address is tried; the last one's failure is reported.
    pub dial_timeout: Duration,
    /// The deadline of a call that names none, over everything: waiting for a channel, attempts, backoff. Default 60 s:
    /// longer than a busy Milvus needs for a search, shorter than a user's patience.
    pub call_timeout: Duration,
    /// A ping after this long without a byte from the peer. Default 25 s: below the idle limits of usual load balancers
    /// (60 s), well above Milvus's minimum of 5 s. Values below 5 s are raised to it, since Milvus closes connections
    /// that ping more often.
    pub keepalive_interval: Duration,
    /// How long the answer to a ping may take before the channel counts as dead. Default 10 s. A tenth of it (within
    /// 0.25 s and 2 s) is the patience with silence: while a call has been waiting for so long and the peer has said
    /// nothing, it is pinged; without an answer after the same time again, it gets no new calls, a replacement is
    /// dialed, and reads in flight go elsewhere as soon as there is an elsewhere. Writes in flight stay, since only the
    /// peer's end would tell their fate.
    pub keepalive_timeout: Duration,
    /// Channels (HTTP/2 connections) kept per connection, also without calls. Default 1.
    pub min_channels: usize,
    /// Channels at most. Default 4: one HTTP/2 connection is enough until its peer's stream limit, its congestion
    /// window, or one core's encryption rate is reached.
    pub max_channels: usize,
    /// The age at which a channel is replaced, ±20 % so that many clients don't move at once. Default 30 min: without it
    /// a proxy that was added behind a load balancer never gets traffic.
    pub max_lifetime: Duration,
    /// How long a channel above `min_channels` may be without calls before it is closed. Default 5 min.
    pub idle_timeout: Duration,
    /// How long calls in flight may go on when their channel or connection closes. Default 10 s.
    pub drain_timeout: Duration,
    /// How long after the last ready channel a call without a channel still waits (it then fails at once with the last
    /// connect error, unless its own class may wait until its deadline). Default 30 s: longer than a Milvus restart.
    pub outage_patience: Duration,
    /// Bytes of one request; a larger one fails before it is sent. Default 64 MiB, a Milvus proxy's own limit.
    pub max_request_bytes: usize,
    /// Bytes of one answer. Default 512 MiB: twice what a Milvus proxy sends at most by its own default, so that the
    /// server's limit is the one that counts.
    pub max_response_bytes: usize,
    /// Whether attempts that failed are made again where the outcome allows. Default true.
    pub retry: bool,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            dial_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(25),
            keepalive_timeout: Duration::from_secs(10),
            min_channels: 1,
            max_channels: 4,
            max_lifetime: Duration::from_secs(30 * 60),
            idle_timeout: Duration::from_secs(5 * 60),
            drain_timeout: Duration::from_secs(10),
            outage_patience: Duration::from_secs(30),
            max_request_bytes: 64 * 1024 * 1024,
            max_response_bytes: 512 * 1024 * 1024,
            retry: true,
        }
    }
}

/// Milvus closes connections that ping more often (`keepalive.EnforcementPolicy.MinTime` of its proxy).
const SERVER_PING_MINIMUM: Duration = Duration::from_secs(5);

/// No ping that only a suspicion asks for follows another one faster: the minimum, and room for a network that delivers
/// the second one sooner than the first.
pub(crate) const PROBE_GAP: Duration = Duration::from_secs(6);

impl ConnectionOptions {
    /// How long a peer may say nothing while a call waits before it is pinged; and how long it may leave that ping without
    /// an answer before calls go elsewhere. A tenth of the time after which it counts as dead.
    pub(crate) fn patience_with_silence(&self) -> Duration {
        (self.keepalive_timeout / 10).clamp(Duration::from_millis(250), Duration::from_secs(2))
    }

    /// The keepalive interval in force: never below what a Milvus proxy tolerates.
    pub(crate) fn tolerated_keepalive_interval(&self) -> Duration {
        self.keepalive_interval.max(SERVER_PING_MINIMUM)
    }

    /// Channels kept at rest: at least one, at most the maximum.
    pub(crate) fn resting_channels(&self) -> usize {
        self.min_channels.clamp(1, self.most_channels())
    }

    /// Channels at most: at least one.
    pub(crate) fn most_channels(&self) -> usize {
        self.max_channels.max(1)
    }
}
