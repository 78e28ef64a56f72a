//! The invariants of a connection, each with a test named after it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use h2::Reason;
use milvus_protocol::milvus::{HasCollectionRequest, InsertRequest};
use milvus_protocol::rpc;
use milvus_testkit::fault::{
    Direction, FaultServer, FaultServerOptions, FrameKind, FrameRule, FrameThen, FrameWhen,
    LastStream, Rule, Then, When,
};
use milvus_transport::{
    CallOptions, ConnectFailure, Connection, ConnectionConfig, ConnectionOptions, ConnectionState,
    Credentials, ErrorKind, EventKind, Events, parse_uri,
};

async fn server() -> FaultServer {
    FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap()
}

async fn server_with_streams(limit: u32) -> FaultServer {
    FaultServer::start(FaultServerOptions {
        max_concurrent_streams: Some(limit),
        ..FaultServerOptions::default()
    })
    .await
    .unwrap()
}

fn config(server: &FaultServer) -> ConnectionConfig {
    let mut options = ConnectionOptions::default();
    options.call_timeout = Duration::from_secs(20);
    ConnectionConfig::new(
        parse_uri(&format!("http://{}", server.address()))
            .unwrap()
            .target,
    )
    .options(options)
}

async fn connect(server: &FaultServer) -> Connection {
    Connection::connect("prod", config(server)).await.unwrap()
}

fn has() -> HasCollectionRequest {
    HasCollectionRequest {
        collection_name: "docs".into(),
        ..HasCollectionRequest::default()
    }
}

fn slow(time: Duration) -> Rule {
    Rule::new(When::rpc("HasCollection"), Then::Delay(time))
}

/// Waits for an event; the events are the synchronisation of these tests.
async fn wait_for(events: &mut Events, wanted: impl Fn(&EventKind) -> bool) {
    let search = async {
        while let Some(event) = events.next().await {
            if wanted(&event.kind) {
                return;
            }
        }
        panic!("the events ended");
    };
    tokio::time::timeout(Duration::from_secs(20), search)
        .await
        .unwrap();
}

/// Waits until the server has seen as many calls.
async fn wait_for_arrival(server: &FaultServer, rpc: &str, count: u64) {
    let arrived = async {
        while server.arrived(rpc) < count {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_callers_future_never_dials_and_dropping_it_cancels_only_its_own_stream() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(Rule::new(When::rpc("HasCollection"), Then::Hang).times(1));
    server.rule(slow(Duration::from_millis(100)));
    let hanging = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(&rpc::HAS_COLLECTION, has()).await }
    });
    wait_for_arrival(&server, "HasCollection", 1).await;
    let other = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(&rpc::HAS_COLLECTION, has()).await }
    });
    wait_for_arrival(&server, "HasCollection", 2).await;
    hanging.abort();
    other.await.unwrap().unwrap();
    assert_eq!(server.link().counters().connections, 1);
    assert_eq!(connection.status().calls_in_flight, 0);
}

#[tokio::test]
async fn dropping_a_call_at_any_step_leaks_nothing() {
    let server = server_with_streams(1).await;
    let mut config = config(&server);
    config.options.max_channels = 1;
    let connection = Connection::connect("prod", config).await.unwrap();
    for polls in 0..20 {
        {
            let mut call = pin!(connection.call(&rpc::HAS_COLLECTION, has()));
            for _ in 0..polls {
                if call
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_ready()
                {
                    break;
                }
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        // With one stream in all, a leak would be the end.
        connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
        let status = connection.status();
        assert_eq!(
            (
                status.calls_in_flight,
                status.calls_waiting,
                status.channels.len()
            ),
            (0, 0, 1),
            "after {polls} polls"
        );
        assert_eq!(status.channels[0].bytes_in_flight, 0);
    }
}

#[tokio::test]
async fn a_late_error_can_not_evict_a_healthy_channel() {
    let server = server().await;
    let connection = connect(&server).await;
    let mut events = connection.events();
    server.rule(Rule::new(When::rpc("HasCollection"), Then::Hang).times(1));
    let late = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection
                .call_with(
                    &rpc::HAS_COLLECTION,
                    has(),
                    CallOptions::timeout(Duration::from_millis(600)),
                )
                .await
        }
    });
    wait_for_arrival(&server, "HasCollection", 1).await;
    // The old channel says farewell; a new one takes its place while the late call still hangs on the old one.
    server.rule(
        Rule::new(
            When::rpc("Insert"),
            Then::GoAway(LastStream::This, Reason::NO_ERROR),
        )
        .times(1),
    );
    connection
        .call(&rpc::INSERT, InsertRequest::default())
        .await
        .unwrap();
    wait_for(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
    let healthy = connection
        .status()
        .channels
        .iter()
        .find(|channel| !channel.draining)
        .unwrap()
        .id;
    assert_eq!(
        late.await.unwrap().unwrap_err().kind(),
        ErrorKind::DeadlineExceeded
    );
    connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
    assert!(
        connection
            .status()
            .channels
            .iter()
            .any(|channel| channel.id == healthy && !channel.draining)
    );
}

#[tokio::test]
async fn a_replaced_channel_drains_and_its_calls_finish_on_it() {
    let server = server().await;
    let mut config = config(&server);
    config.options.max_lifetime = Duration::from_millis(300);
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    server.rule(slow(Duration::from_secs(1)).times(1));
    let long = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(&rpc::HAS_COLLECTION, has()).await }
    });
    wait_for_arrival(&server, "HasCollection", 1).await;
    wait_for(&mut events, |kind| {
        matches!(
            kind,
            EventKind::Draining {
                reason: "replaced",
                ..
            }
        )
    })
    .await;
    connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
    long.await.unwrap().unwrap();
    assert_eq!(server.applied("HasCollection"), 2);
}

#[tokio::test]
async fn the_drain_deadline_cuts_and_says_so() {
    let server = server().await;
    let mut config = config(&server);
    config.options.drain_timeout = Duration::from_millis(100);
    let connection = Connection::connect("prod", config).await.unwrap();
    server.rule(Rule::new(When::rpc("Insert"), Then::Hang));
    let hanging = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection
                .call(&rpc::INSERT, InsertRequest::default())
                .await
        }
    });
    wait_for_arrival(&server, "Insert", 1).await;
    tokio::time::timeout(Duration::from_secs(10), connection.close())
        .await
        .unwrap();
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!(error.applied(), milvus_transport::Applied::Unknown);
    assert!(error.to_string().contains("drain deadline"), "{error}");
}

#[tokio::test]
async fn a_channel_is_ready_only_after_milvus_has_answered_its_handshake() {
    let server = server().await;
    server.rule(
        Rule::new(
            When::rpc("Connect"),
            Then::in_band(1, "service not ready[proxy=1]: Initializing"),
        )
        .times(1),
    );
    let error = Connection::connect("prod", config(&server))
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Connect(ConnectFailure::ProxyNotReady)
    );
    assert_eq!(server.arrived("HasCollection"), 0);
    connect(&server)
        .await
        .call(&rpc::HAS_COLLECTION, has())
        .await
        .unwrap();
}

#[tokio::test]
async fn there_is_no_terminal_state_but_close_and_the_last_error_is_always_there() {
    let server = server().await;
    let connection = connect(&server).await;
    let mut events = connection.events();
    let address = server.stop().await;
    wait_for(&mut events, |kind| {
        matches!(kind, EventKind::DialFailed { .. })
    })
    .await;
    let status = connection.status();
    assert_eq!(status.state, ConnectionState::Down);
    assert!(status.last_error.unwrap().contains("refused"));
    // A call waits through the outage.
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(&rpc::HAS_COLLECTION, has()).await }
    });
    let failures = 3;
    for _ in 0..failures {
        wait_for(&mut events, |kind| {
            matches!(kind, EventKind::DialFailed { .. })
        })
        .await;
    }
    let _server = FaultServer::start(FaultServerOptions {
        address: Some(address),
        ..FaultServerOptions::default()
    })
    .await
    .unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(connection.status().state, ConnectionState::Ready);
}

#[tokio::test]
async fn an_outage_longer_than_the_patience_fails_at_once_with_the_last_error() {
    let server = server().await;
    let mut config = config(&server);
    config.options.outage_patience = Duration::from_millis(50);
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    server.stop().await;
    wait_for(&mut events, |kind| {
        matches!(kind, EventKind::DialFailed { .. })
    })
    .await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    let error = connection
        .call(&rpc::INSERT, InsertRequest::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.applied(), milvus_transport::Applied::No);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn calls_never_exceed_the_peers_stream_limit() {
    let server = server_with_streams(2).await;
    server.rule(slow(Duration::from_millis(5)));
    let mut config = config(&server);
    config.options.max_channels = 2;
    let connection = Connection::connect("prod", config).await.unwrap();
    let calls = (0..100).map(|_| {
        let connection = connection.clone();
        tokio::spawn(async move { connection.call(&rpc::HAS_COLLECTION, has()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    // A server that is asked for more refuses the stream, and the call comes again.
    assert_eq!(server.arrived("HasCollection"), 100);
    assert_eq!(connection.status().calls.retried, 0);
    assert_eq!(
        connection.status().channels.len(),
        2,
        "crowded channels make the pool grow"
    );
}

#[tokio::test]
async fn a_stream_limit_that_shrinks_to_nothing_is_waited_out() {
    let server = server().await;
    let mut config = config(&server);
    config.options.max_channels = 1;
    let connection = Connection::connect("prod", config).await.unwrap();
    server.link().advertise_max_concurrent_streams(0);
    let shrunk = async {
        while connection.status().channels[0].stream_limit != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), shrunk)
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(&rpc::HAS_COLLECTION, has()).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.arrived("HasCollection"), 0);
    server.link().advertise_max_concurrent_streams(1);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn close_is_bounded_and_tells_those_who_wait() {
    let server = server_with_streams(1).await;
    let mut config = config(&server);
    config.options.max_channels = 1;
    config.options.drain_timeout = Duration::from_millis(200);
    let connection = Connection::connect("prod", config).await.unwrap();
    server.rule(Rule::new(When::rpc("HasCollection"), Then::Hang));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.call(&rpc::HAS_COLLECTION, has()).await })
        })
        .collect();
    wait_for_arrival(&server, "HasCollection", 1).await;
    tokio::time::timeout(Duration::from_secs(10), connection.close())
        .await
        .unwrap();
    let mut closed = 0;
    for call in calls {
        closed += u32::from(call.await.unwrap().unwrap_err().kind() == ErrorKind::Closed);
    }
    assert!(closed >= 2, "{closed}");
    assert_eq!(connection.status().state, ConnectionState::Closed);
}

#[tokio::test]
async fn two_aliases_with_one_fingerprint_share_a_pool_and_closing_one_does_not_disturb_the_other()
{
    let server = server().await;
    let one = Connection::connect("one", config(&server)).await.unwrap();
    let two = Connection::connect("two", config(&server)).await.unwrap();
    let three = Connection::connect(
        "three",
        config(&server).credentials(Credentials::token("other")),
    )
    .await
    .unwrap();
    assert_eq!(
        server.link().counters().connections,
        2,
        "one for the first two, one for the third"
    );
    assert_eq!(one.status().channels[0].id, two.status().channels[0].id);
    server.rule(slow(Duration::from_millis(200)).times(1));
    let busy = tokio::spawn({
        let two = two.clone();
        async move { two.call(&rpc::HAS_COLLECTION, has()).await }
    });
    wait_for_arrival(&server, "HasCollection", 1).await;
    one.close().await;
    assert_eq!(
        one.call(&rpc::HAS_COLLECTION, has())
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Closed
    );
    busy.await.unwrap().unwrap();
    two.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
    drop(three);
    two.close().await;
    let closed = async {
        while server.link().counters().open_connections > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_goaway_every_hundred_calls_is_invisible() {
    let server = server().await;
    let headers = || FrameWhen::frame(Direction::ToServer, FrameKind::Headers);
    for hundred in 1..8 {
        let last = FrameThen::GoAway {
            last_stream: LastStream::BeforeThis,
            reason: Reason::NO_ERROR,
        };
        server
            .link()
            .rule(FrameRule::new(headers(), last).skip(100 * hundred).times(1));
    }
    let connection = connect(&server).await;
    let workers = (0..8).map(|_| {
        let connection = connection.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                connection
                    .call(&rpc::INSERT, InsertRequest::default())
                    .await
                    .unwrap();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    assert_eq!(server.applied("Insert"), 800, "none lost, none doubled");
}

#[tokio::test]
async fn one_dead_endpoint_of_three_is_not_noticed_by_calls() {
    let (one, two) = (server().await, server().await);
    let dead = server().await.stop().await;
    let uri = format!("http://{},{},{}", one.address(), dead, two.address());
    let connection = Connection::connect(
        "prod",
        ConnectionConfig::new(parse_uri(&uri).unwrap().target),
    )
    .await
    .unwrap();
    for _ in 0..200 {
        connection
            .call(&rpc::INSERT, InsertRequest::default())
            .await
            .unwrap();
    }
    assert_eq!(one.applied("Insert") + two.applied("Insert"), 200);
    assert!(
        one.applied("Insert") > 0 && two.applied("Insert") > 0,
        "both are used"
    );
    assert!(connection.status().last_error.unwrap().contains("refused"));
}

#[tokio::test]
async fn events_come_in_their_documented_order() {
    let server = server().await;
    let connection = connect(&server).await;
    let mut events = connection.events();
    server.link().close_connections();
    let mut seen = Vec::new();
    while seen.last() != Some(&"ready") {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next())
            .await
            .unwrap()
            .unwrap();
        seen.push(match event.kind {
            EventKind::Dialing { .. } => "dialing",
            EventKind::DialFailed { .. } => "dial failed",
            EventKind::Ready { .. } => "ready",
            EventKind::Draining { .. } => "draining",
            EventKind::Closed { .. } => "closed",
            _ => "other",
        });
    }
    assert_eq!(seen, ["closed", "dialing", "ready"]);
    connection.close().await;
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.kind);
    }
    assert!(matches!(last, Some(EventKind::PoolClosed)));
}

#[tokio::test]
async fn a_half_dead_peer_is_found_by_a_deadline_and_replaced() {
    let server = server().await;
    let mut config = config(&server);
    config.options.keepalive_timeout = Duration::from_millis(200);
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    // The connection stays open, and nothing comes back on it any more.
    server.link().rule(
        FrameRule::new(
            FrameWhen {
                direction: Some(Direction::ToClient),
                ..FrameWhen::default()
            },
            FrameThen::Stall,
        )
        .times(1),
    );
    let error = connection
        .call_with(
            &rpc::HAS_COLLECTION,
            has(),
            CallOptions::timeout(Duration::from_millis(100)),
        )
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    wait_for(&mut events, |kind| matches!(kind, EventKind::Closed { reason, .. } if reason.contains("did not answer a ping"))).await;
    connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
}

#[tokio::test]
async fn a_channel_that_only_loses_its_pings_is_kept_while_answers_come() {
    let server = server().await;
    let mut config = config(&server);
    config.options.keepalive_timeout = Duration::from_millis(300);
    let connection = Connection::connect("prod", config).await.unwrap();
    let channel = connection.status().channels[0].id;
    server
        .link()
        .rule(FrameRule::new(FrameWhen::ping_to_server(), FrameThen::Drop));
    server.rule(Rule::new(When::rpc("HasCollection"), Then::Hang).times(1));
    // A deadline raises the suspicion; the answers to other calls allay it.
    connection
        .call_with(
            &rpc::HAS_COLLECTION,
            has(),
            CallOptions::timeout(Duration::from_millis(50)),
        )
        .await
        .unwrap_err();
    let until = tokio::time::Instant::now() + Duration::from_millis(900);
    while tokio::time::Instant::now() < until {
        connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(connection.status().channels[0].id, channel);
}

#[tokio::test]
async fn a_goaway_that_is_followed_by_a_hang_up_doubles_nothing() {
    let server = server().await;
    let headers = || FrameWhen::frame(Direction::ToServer, FrameKind::Headers);
    for hundred in 1..8 {
        let last = FrameThen::GoAway {
            last_stream: LastStream::BeforeThis,
            reason: Reason::NO_ERROR,
        };
        let rule = FrameRule::new(headers(), last);
        server.link().rule(rule.skip(100 * hundred).times(1));
        // The next call of that connection, which the peer has said that it will not look at.
        let rule = FrameRule::new(headers(), FrameThen::Close);
        server.link().rule(rule.skip(100 * hundred + 1).times(1));
    }
    let connection = connect(&server).await;
    let workers = (0..16).map(|_| {
        let connection = connection.clone();
        tokio::spawn(async move {
            let mut unknown = 0_u64;
            for _ in 0..50 {
                let outcome = connection
                    .call(&rpc::INSERT, InsertRequest::default())
                    .await;
                if let Err(error) = outcome {
                    assert_eq!(error.applied(), milvus_transport::Applied::Unknown);
                    unknown += 1;
                }
            }
            unknown
        })
    });
    let mut unknown = 0;
    for worker in workers.collect::<Vec<_>>() {
        unknown += worker.await.unwrap();
    }
    // Calls that the peer had promised to answer may be cut by the hang-up; of these, nobody can know.
    let applied = server.applied("Insert");
    assert!(
        applied <= 800 && applied + unknown >= 800,
        "{applied} applied, {unknown} unknown"
    );
}
