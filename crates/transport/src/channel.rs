//! A channel: one HTTP/2 connection to one address of a Milvus, as the pool sees it.
//!
//! Invariant: connecting → ready → draining → closed, never back. Its id is never used again in this process. A call
//! holds a stream of the channel from before it is sent until its answer is read to the end, and no more streams are
//! held than the peer allows, so HTTP/2 never queues behind our back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) mod streams;

use crate::dial::FirstBytes;
use crate::grpc::AnswerMemory;
use crate::http2::Keepalive;
use crate::pool::establish::Driver;
use streams::{Streams, Waiters};

/// Names one channel for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct ChannelId(u64);

impl ChannelId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number of this channel: the first one that the process made is 1.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for ChannelId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What callers, the driver and the pool read and write of a channel while it lives.
pub(crate) struct Gauges {
    streams: Streams,
    bytes_in_flight: AtomicUsize,
    calls: AtomicU64,
    /// A call has been answered.
    answered: AtomicBool,
    cut: AtomicBool,
    drained: Notify,
    suspected: Notify,
    /// The peer has not answered a ping for a while.
    unresponsive: AtomicBool,
    round_trip_micros: AtomicU64,
    /// Milliseconds after `opened` at which the last call ended.
    idle_since: AtomicU64,
    opened: Instant,
    released: Arc<Released>,
}

impl Gauges {
    pub(crate) fn new(released: Arc<Released>) -> Self {
        released.channels.fetch_add(1, Ordering::Relaxed);
        Self {
            released,
            streams: Streams::new(1),
            bytes_in_flight: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            drained: Notify::new(),
            suspected: Notify::new(),
            unresponsive: AtomicBool::new(false),
            round_trip_micros: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            opened: Instant::now(),
        }
    }

    pub(crate) fn set_stream_limit(&self, limit: usize) {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        if self.streams.set_limit(limit) {
            self.released.all();
        }
    }

    pub(crate) fn set_round_trip(&self, time: Duration) {
        self.round_trip_micros.store(
            u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// No call may begin on this channel any more. Calls in flight go on.
    pub(crate) fn start_draining(&self) {
        if self.streams.drain() {
            self.drained.notify_one();
        }
    }

    /// Ends when the channel drains and its last call is done.
    pub(crate) async fn drained(&self) {
        loop {
            self.drained.notified().await;
            if self.streams.is_drained() {
                return;
            }
        }
    }

    /// Someone has waited in vain for an answer: the driver shall ask the peer for a sign of life.
    pub(crate) fn suspect(&self) {
        self.suspected.notify_one();
    }

    pub(crate) async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// Whether the peer has not answered a ping for a while, so that calls should rather go elsewhere.
    pub(crate) fn is_unresponsive(&self) -> bool {
        self.unresponsive.load(Ordering::Relaxed)
    }

    /// What the driver has found out; `true` when it was otherwise before.
    pub(crate) fn set_unresponsive(&self, unresponsive: bool) -> bool {
        let changed = self.unresponsive.swap(unresponsive, Ordering::Relaxed) != unresponsive;
        if changed && !unresponsive {
            self.released.all();
        }
        changed
    }

    /// True when calls in flight were cut here, not by the peer.
    pub(crate) fn was_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.streams.is_draining()
    }

    /// Whether the pool has no other channel.
    pub(crate) fn is_alone(&self) -> bool {
        self.released.channels.load(Ordering::Relaxed) == 1
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.streams.taken()
    }

    pub(crate) fn bytes_in_flight(&self) -> usize {
        self.bytes_in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn stream_limit(&self) -> u32 {
        self.streams.limit()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// A call has been answered, by a success or an error.
    pub(crate) fn note_answer(&self) {
        // Written once, so that the cache line stays shared.
        if !self.has_answered() {
            self.answered.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a call has been answered on this channel, beyond Milvus's greeting.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip_micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// How long the channel has been without a call; zero while there is one.
    pub(crate) fn idle(&self) -> Duration {
        if self.in_flight() > 0 {
            return Duration::ZERO;
        }
        self.age().saturating_sub(Duration::from_millis(
            self.idle_since.load(Ordering::Relaxed),
        ))
    }

    fn millis_of_life(&self) -> u64 {
        u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX)
    }

    fn give_stream_back(&self) {
        if self.streams.give_back() {
            self.drained.notify_one();
        }
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.released.channels.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One HTTP/2 connection, ready or draining.
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    /// Which of the target's endpoints it leads to.
    pub(crate) endpoint: usize,
    /// The address that was dialed, for people and for telling whether DNS still has it.
    pub(crate) peer: Peer,
    /// What Milvus's handshake gave us to send back with every call.
    pub(crate) identifier: Option<i64>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) first_bytes: Arc<FirstBytes>,
    pub(crate) keepalive: Keepalive,
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) driver: Driver,
    /// Where large answers are put together.
    pub(crate) answers: AnswerMemory,
}

/// Tells calls that wait for a stream that one was given back; shared by the channels of a pool.
#[derive(Default)]
pub(crate) struct Released {
    /// How many share it.
    channels: AtomicUsize,
    waiters: Waiters,
    notify: Notify,
}

impl Released {
    /// A wait that sees every stream given back from now on.
    pub(crate) fn wait(&self) -> WaitForStream<'_> {
        self.waiters.begin();
        WaitForStream {
            released: self,
            notified: self.notify.notified(),
        }
    }

    fn all(&self) {
        self.notify.notify_waiters();
    }

    fn one(&self) {
        if self.waiters.anyone() {
            self.notify.notify_one();
        }
    }
}

pin_project_lite::pin_project! {
    /// Ends when a stream was given back.
    pub(crate) struct WaitForStream<'a> {
        released: &'a Released,
        #[pin]
        notified: tokio::sync::futures::Notified<'a>,
    }

    impl PinnedDrop for WaitForStream<'_> {
        fn drop(this: Pin<&mut Self>) {
            this.released.waiters.end();
        }
    }
}

impl WaitForStream<'_> {
    /// Sees what is given back from now on, also before the first poll.
    pub(crate) fn enable(self: Pin<&mut Self>) {
        self.project().notified.enable();
    }
}

impl Future for WaitForStream<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        self.project().notified.poll(cx)
    }
}

/// The other end of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp(std::net::SocketAddr),
    Unix(std::path::PathBuf),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Channel {
    /// A stream for one call that sends `bytes`, if the peer has one left. None to a peer that has fallen silent: what is
    /// sent to it has an unknown fate, what waits has none.
    pub(crate) fn try_stream(self: &Arc<Self>, bytes: usize) -> Option<StreamPermit> {
        if self.gauges.is_unresponsive() || !self.gauges.streams.take() {
            return None;
        }
        self.gauges
            .bytes_in_flight
            .fetch_add(bytes, Ordering::Relaxed);
        self.gauges.calls.fetch_add(1, Ordering::Relaxed);
        Some(StreamPermit {
            channel: Arc::clone(self),
            bytes,
        })
    }

    /// True when a call that has been waiting here for long enough to wonder has heard nothing of the peer either.
    pub(crate) fn is_silent(&self) -> bool {
        self.first_bytes.silence() >= self.keepalive.patience
    }

    /// Cuts what is in flight and ends the driver.
    pub(crate) fn cut(&self) {
        self.gauges.cut.store(true, Ordering::Relaxed);
        self.gauges.start_draining();
        self.driver.end();
    }
}

/// The right to one stream of a channel; given back when dropped, wherever the call was by then.
pub(crate) struct StreamPermit {
    channel: Arc<Channel>,
    bytes: usize,
}

impl StreamPermit {
    pub(crate) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let gauges = &self.channel.gauges;
        gauges
            .bytes_in_flight
            .fetch_sub(self.bytes, Ordering::Relaxed);
        gauges
            .idle_since
            .store(gauges.millis_of_life(), Ordering::Relaxed);
        gauges.give_stream_back();
        gauges.released.one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_draining_channel_gives_no_stream_and_ends_with_its_last_call() {
        let gauges = Gauges::new(Arc::default());
        gauges.set_stream_limit(10);
        assert!(gauges.streams.take());
        gauges.start_draining();
        assert!(!gauges.streams.take());
        let mut drained = std::pin::pin!(gauges.drained());
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(drained.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        gauges.give_stream_back();
        drained.await;
    }

    #[test]
    fn a_channel_is_alone_when_the_others_of_its_pool_are_gone() {
        let released: Arc<Released> = Arc::default();
        let one = Gauges::new(Arc::clone(&released));
        assert!(one.is_alone());
        let other = Gauges::new(released);
        assert!(!one.is_alone());
        drop(other);
        assert!(one.is_alone());
    }
}
