//! HTTP/2 over an open stream: the settings we ask for, and the driver that keeps one connection going.
//!
//! Invariant: the driver ends exactly once, and says why. While it runs, the peer's stream limit, GOAWAY, the round
//! trip time and whether it answers at all are known without asking.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong, Reason};
use tokio::time::Instant;

use crate::channel::Gauges;
use crate::dial::{AnswerSize, FirstBytes, Stream};
use crate::moment::after;
use crate::options::{ConnectionOptions, PROBE_GAP};

/// What one answer may have in flight. A 10 MB answer over a link with 40 ms round trip takes as long as the link needs,
/// not as long as the window forces it to; the memory is only taken by answers that are that large.
const STREAM_WINDOW: u32 = 32 * 1024 * 1024;
/// What all answers of a channel may have in flight.
const CONNECTION_WINDOW: u32 = 128 * 1024 * 1024;
/// The largest frame that we take: fewer frames, fewer wake-ups for big answers. Each has a buffer of its own; one much larger
/// would be fresh memory each time (allocators map it anew), and its pages cost more than the wake-ups.
const MAX_FRAME: u32 = 64 * 1024;
/// How many streams that we reset are remembered, so that late frames for them are not an error.
const REMEMBERED_RESETS: usize = 1024;
/// Until the peer's SETTINGS have come: what most servers allow.
const STREAMS_BEFORE_SETTINGS: usize = 100;

/// An HTTP/2 connection whose greeting has been written; the peer's has not been awaited.
pub(crate) async fn handshake(
    stream: Stream,
) -> Result<(SendRequest<Bytes>, Connection<Stream, Bytes>), h2::Error> {
    h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
        .handshake(stream)
        .await
}

/// Why a driver ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All calls of a draining channel were done, or its drain deadline passed.
    Drained,
    /// The peer closed the connection, or it broke.
    Lost(Option<h2::Error>),
    /// The peer did not answer a ping in time.
    Silent(Duration),
}

impl End {
    /// What the peer said when it ended the connection.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Lost(Some(error)) if error.is_remote() => error.reason(),
            _ => None,
        }
    }

    /// What happened, as a clause.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Drained => "it was closed here".into(),
            Self::Lost(None) => "the server closed it".into(),
            Self::Lost(Some(error)) => error.to_string(),
            Self::Silent(waited) => format!(
                "the server did not answer a ping within {} s",
                waited.as_secs_f32()
            ),
        }
    }
}

/// How a driver keeps an eye on its peer.
#[derive(Clone, Copy)]
pub(crate) struct Keepalive {
    /// A silence after which the peer is pinged.
    pub(crate) interval: Duration,
    /// Without a byte for so long after a ping, the peer is dead.
    pub(crate) timeout: Duration,
    /// Without a byte for so long after a ping, calls should rather go elsewhere.
    pub(crate) patience: Duration,
    /// Between a ping and one that is sent on suspicion.
    pub(crate) least_gap: Duration,
}

impl Keepalive {
    /// By a connection's options, with half as many pings for each complaint about them.
    pub(crate) fn of(options: &ConnectionOptions, complaints: u32) -> Self {
        let fewer = 2u32.saturating_pow(complaints);
        Self {
            interval: options.tolerated_keepalive_interval().saturating_mul(fewer),
            timeout: options.keepalive_timeout,
            patience: options.patience_with_silence(),
            least_gap: PROBE_GAP.saturating_mul(fewer),
        }
    }

    /// For a connection that lives no longer than this.
    pub(crate) fn none_within(lifetime: Duration) -> Self {
        Self {
            interval: lifetime,
            timeout: lifetime,
            patience: lifetime,
            least_gap: lifetime,
        }
    }
}

/// What a driver tells while its connection lives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// The peer announced the end, for this reason; calls may still be in flight. Told once.
    GoingAway(Option<Reason>),
    /// The peer has been silent since a ping.
    Unresponsive,
    /// It has sent something after all.
    Responsive,
}

/// Drives one connection to its end.
pub(crate) async fn drive(
    mut connection: Connection<Stream, Bytes>,
    mut probe: SendRequest<Bytes>,
    gauges: Arc<Gauges>,
    first_bytes: Arc<FirstBytes>,
    keepalive: Keepalive,
    on_news: impl Fn(News),
) -> End {
    let ping_pong = connection.ping_pong();
    let mut is_going_away = false;
    let mut received = None;
    let mut answer_size = AnswerSize::default();
    let traffic = pin!(poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        // What the peer allows and announces comes with what it sends; most polls only write.
        let all = first_bytes.received();
        let news = received.replace(all) != Some(all);
        if news {
            if gauges.is_alone() {
                let (in_flight, calls) = (gauges.in_flight(), gauges.calls());
                answer_size.set_turn(&first_bytes.turn, in_flight, calls, all);
            } else {
                // Several channels overlap without it.
                first_bytes.turn.end();
            }
            gauges.set_stream_limit(probe.current_max_send_streams());
        }
        if gauges.is_unresponsive()
            && first_bytes.silence() < keepalive.patience
            && gauges.set_unresponsive(false)
        {
            on_news(News::Responsive);
        }
        if !is_going_away
            && (news || polled.is_ready())
            && let Poll::Ready(Err(error)) = probe.poll_ready(cx)
            // With no call in flight the connection ends in the poll that reads the GOAWAY; it was announced all the same.
            && (polled.is_pending() || (error.is_go_away() && error.is_remote()))
        {
            is_going_away = true;
            gauges.start_draining();
            on_news(News::GoingAway(error.reason()));
        }
        polled
    }));
    let watch = watch_peer(ping_pong, &gauges, &first_bytes, keepalive, &on_news);
    tokio::select! {
        ended = traffic => End::Lost(ended.err()),
        end = watch => end,
        () = gauges.drained() => End::Drained,
    }
}

/// Ends when the peer is found dead: silent for the interval (or suspected), and then no answer to a ping.
async fn watch_peer(
    ping_pong: Option<PingPong>,
    gauges: &Gauges,
    first_bytes: &FirstBytes,
    keepalive: Keepalive,
    on_news: &impl Fn(News),
) -> End {
    let Some(mut ping_pong) = ping_pong else {
        return std::future::pending().await;
    };
    let mut not_before = Instant::now();
    loop {
        let due = keepalive.interval.saturating_sub(first_bytes.silence());
        let suspected = tokio::select! {
            () = tokio::time::sleep(due) => false,
            () = gauges.suspected() => true,
        };
        if suspected && Instant::now() < not_before {
            // Peers count pings that come too soon; and what is suspected may have spoken by then.
            tokio::time::sleep_until(not_before).await;
            if first_bytes.silence() < keepalive.patience {
                continue;
            }
        }
        if !suspected && first_bytes.silence() < keepalive.interval {
            continue;
        }
        if ping_pong.send_ping(Ping::opaque()).is_err() {
            // The connection is over; its own future says why.
            return std::future::pending().await;
        }
        not_before = after(Instant::now(), keepalive.least_gap);
        if let Some(end) = await_pong(&mut ping_pong, gauges, first_bytes, keepalive, on_news).await
        {
            return end;
        }
    }
}

/// Waits for the answer to a ping. Other bytes count as well: the peer lives, and the answer is queued behind them.
async fn await_pong(
    ping_pong: &mut PingPong,
    gauges: &Gauges,
    first_bytes: &FirstBytes,
    keepalive: Keepalive,
    on_news: &impl Fn(News),
) -> Option<End> {
    let asked = Instant::now();
    let mut pong = pin!(poll_fn(|cx| ping_pong.poll_pong(cx)));
    loop {
        let silence = first_bytes.silence().min(asked.elapsed());
        if silence >= keepalive.timeout {
            return Some(End::Silent(keepalive.timeout));
        }
        let next = if silence < keepalive.patience {
            keepalive.patience.min(keepalive.timeout)
        } else {
            if gauges.set_unresponsive(true) {
                on_news(News::Unresponsive);
            }
            keepalive.timeout
        };
        tokio::select! {
            answer = &mut pong => match answer {
                Ok(_) => {
                    gauges.set_round_trip(asked.elapsed());
                    return None;
                }
                // The connection is over; its own future says why.
                Err(_) => return std::future::pending().await,
            },
            () = tokio::time::sleep(next - silence) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What the driver tells of a server that does so, all of it before the driver is polled for the first time.
    async fn news_of(says_farewell: bool) -> (Vec<News>, End) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let stream = Stream::tcp(stream);
        let first_bytes = stream.first_bytes();
        let (sender, connection) = handshake(stream).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let mut server = h2::server::handshake(accepted).await.unwrap();
        if says_farewell {
            server.abrupt_shutdown(Reason::NO_ERROR);
            assert!(server.accept().await.is_none());
        }
        drop(server);
        let gauges = Arc::new(Gauges::new(Arc::default()));
        let keepalive = Keepalive::none_within(Duration::from_secs(60));
        let heard = Mutex::new(Vec::new());
        let end = drive(connection, sender, gauges, first_bytes, keepalive, |news| {
            heard.lock().unwrap().push(news);
        })
        .await;
        (heard.into_inner().unwrap(), end)
    }

    #[tokio::test]
    async fn a_farewell_is_told_also_when_the_end_comes_with_it() {
        let (news, end) = news_of(true).await;
        assert!(
            matches!(news[..], [News::GoingAway(Some(Reason::NO_ERROR))]),
            "{news:?}"
        );
        assert!(matches!(end, End::Lost(_)), "{end:?}");
    }

    #[tokio::test]
    async fn a_connection_that_just_ends_was_not_announced() {
        let (news, end) = news_of(false).await;
        assert!(news.is_empty(), "{news:?}");
        assert!(matches!(end, End::Lost(_)), "{end:?}");
    }

    const IDLE: Keepalive = Keepalive {
        interval: Duration::from_secs(25),
        timeout: Duration::from_secs(10),
        patience: Duration::from_secs(1),
        least_gap: Duration::from_secs(6),
    };

    /// Drives a connection without calls within this process; what is told of it goes into `heard`.
    async fn drive_idle(near: tokio::io::DuplexStream, heard: &Mutex<Vec<News>>) -> End {
        let stream = Stream::memory(near);
        let first_bytes = stream.first_bytes();
        let (sender, connection) = handshake(stream).await.unwrap();
        let gauges = Arc::new(Gauges::new(Arc::default()));
        let listen = |news| heard.lock().unwrap().push(news);
        drive(connection, sender, gauges, first_bytes, IDLE, listen).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_peer_that_is_gone_is_found_by_a_ping() {
        // Nobody reads at the other end, and nobody hangs up.
        let (near, _far) = tokio::io::duplex(64 * 1024);
        let (began, heard) = (Instant::now(), Mutex::default());
        let end = drive_idle(near, &heard).await;
        assert!(matches!(end, End::Silent(_)), "{end:?}");
        let waited = IDLE.interval + IDLE.timeout;
        assert_eq!(began.elapsed().as_secs(), waited.as_secs());
        assert!(matches!(heard.lock().unwrap()[..], [News::Unresponsive]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_peer_that_answers_is_kept() {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let server = tokio::spawn(async move {
            let mut server = h2::server::handshake(far).await.unwrap();
            server.accept().await.is_none()
        });
        let heard = Mutex::default();
        let hour = Duration::from_secs(60 * 60);
        let driving = tokio::time::timeout(hour, drive_idle(near, &heard));
        assert!(driving.await.is_err(), "it has ended");
        assert!(heard.lock().unwrap().is_empty());
        server.abort();
    }

    #[test]
    fn a_keepalive_without_end_is_one_however_often_the_peer_complains() {
        let options = ConnectionOptions {
            keepalive_interval: Duration::MAX,
            ..ConnectionOptions::default()
        };
        assert_eq!(Keepalive::of(&options, 5).interval, Duration::MAX);
    }
}
