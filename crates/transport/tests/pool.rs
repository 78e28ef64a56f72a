//! The pool's own rules: keepalive that backs off, growth that shrinks again, few dials at once, and what becomes of calls
//! when a peer falls silent with its connections open.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashSet;
use std::time::Duration;

use h2::Reason;
use milvus_protocol::milvus::{HasCollectionRequest, InsertRequest};
use milvus_protocol::rpc;
use milvus_testkit::fault::{
    Direction, FaultListener, FaultServer, FaultServerOptions, FrameRule, FrameThen, FrameWhen,
    LastStream, ListenerFault, Rule, Then, When,
};
use milvus_transport::{
    Applied, CallOptions, Connection, ConnectionConfig, ConnectionOptions, ErrorKind, EventKind,
    Events, parse_uri,
};

const LONG: Duration = Duration::from_secs(30);

async fn server_with_streams(limit: Option<u32>) -> FaultServer {
    let options = FaultServerOptions {
        max_concurrent_streams: limit,
        ..FaultServerOptions::default()
    };
    FaultServer::start(options).await.unwrap()
}

fn config(addresses: &str) -> ConnectionConfig {
    let mut options = ConnectionOptions::default();
    options.call_timeout = LONG;
    options.connect_timeout = LONG;
    let target = parse_uri(&format!("http://{addresses}")).unwrap().target;
    ConnectionConfig::new(target).options(options)
}

fn has() -> HasCollectionRequest {
    HasCollectionRequest::default()
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
    tokio::time::timeout(LONG, search).await.unwrap();
}

async fn wait_for_arrival(server: &FaultServer, rpc: &str, count: u64) {
    let arrived = async {
        while server.arrived(rpc) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, arrived).await.unwrap();
}

#[tokio::test]
async fn a_complaint_about_pings_doubles_the_keepalive_interval_of_later_channels() {
    let server = server_with_streams(None).await;
    let config = config(&server.address().to_string());
    let connection = Connection::connect("prod", config).await.unwrap();
    let interval = |connection: &Connection| {
        let channels = connection.status().channels;
        let ready = channels.iter().find(|channel| !channel.draining);
        ready.map(|channel| channel.keepalive_seconds)
    };
    assert_eq!(interval(&connection), Some(25.0));
    for doubled in [50.0, 100.0] {
        let complaint = Then::GoAway(LastStream::This, Reason::ENHANCE_YOUR_CALM);
        server.rule(Rule::new(When::rpc("HasCollection"), complaint).times(1));
        let mut events = connection.events();
        connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
        wait_for(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
        // A call on it: the channel has proved itself, and the next one is dialed at once.
        connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
        assert_eq!(interval(&connection), Some(doubled));
    }
}

#[tokio::test]
async fn a_channel_above_the_resting_number_goes_when_it_is_idle() {
    let server = server_with_streams(Some(1)).await;
    let mut config = config(&server.address().to_string());
    config.options.max_channels = 2;
    config.options.idle_timeout = Duration::from_millis(100);
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    server.rule(Rule::new(When::rpc("HasCollection"), Then::Hang).times(2));
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.call(&rpc::HAS_COLLECTION, has()).await })
        })
        .collect();
    wait_for_arrival(&server, "HasCollection", 2).await;
    assert_eq!(connection.status().channels.len(), 2);
    for call in calls {
        call.abort();
    }
    wait_for(&mut events, |kind| {
        matches!(kind, EventKind::Draining { reason: "idle", .. })
    })
    .await;
    wait_for(&mut events, |kind| matches!(kind, EventKind::Closed { .. })).await;
    assert_eq!(connection.status().channels.len(), 1);
    connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
}

#[tokio::test]
async fn no_more_than_two_dials_are_under_way() {
    let mut uri = Vec::new();
    let mut listeners = Vec::new();
    // Nobody answers: a dial to each of these takes until its timeout.
    for _ in 0..5 {
        let listener = FaultListener::start(ListenerFault::Silent).await.unwrap();
        uri.push(listener.address().to_string());
        listeners.push(listener);
    }
    let server = server_with_streams(None).await;
    uri.insert(0, server.address().to_string());
    let mut config = config(&uri.join(","));
    config.options.dial_timeout = Duration::from_millis(500);
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    let (mut under_way, mut most, mut ended) = (HashSet::new(), 0, 0);
    while ended < 6 {
        let event = tokio::time::timeout(LONG, events.next())
            .await
            .unwrap()
            .unwrap();
        match event.kind {
            EventKind::Dialing { channel, .. } => {
                under_way.insert(channel);
            }
            // A dial that began before we listened is not among those.
            EventKind::DialFailed { channel, .. } | EventKind::Ready { channel, .. } => {
                under_way.remove(&channel);
                ended += 1;
            }
            _ => {}
        }
        most = most.max(under_way.len());
    }
    assert_eq!(most, 2);
}

#[tokio::test]
async fn two_channels_are_added_at_once_where_calls_crowd() {
    let server = server_with_streams(Some(1)).await;
    let mut config = config(&server.address().to_string());
    config.options.max_channels = 4;
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    server.rule(Rule::new(When::any(), Then::Hang));
    let mut calls = Vec::new();
    let mut dialing = 0;
    let crowd = async {
        while dialing < 2 {
            let connection = connection.clone();
            calls.push(tokio::spawn(async move {
                connection.call(&rpc::HAS_COLLECTION, has()).await
            }));
            tokio::select! {
                event = events.next() => match event.unwrap().kind {
                    EventKind::Dialing { .. } => dialing += 1,
                    other => panic!("{other}"),
                },
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    };
    tokio::time::timeout(LONG, crowd).await.unwrap();
    for call in calls {
        call.abort();
    }
}

#[tokio::test]
async fn durations_without_end_are_taken_as_such() {
    let server = server_with_streams(None).await;
    let mut config = config(&server.address().to_string());
    let options = &mut config.options;
    for duration in [
        &mut options.connect_timeout,
        &mut options.dial_timeout,
        &mut options.call_timeout,
        &mut options.keepalive_interval,
        &mut options.keepalive_timeout,
        &mut options.max_lifetime,
        &mut options.idle_timeout,
        &mut options.drain_timeout,
        &mut options.outage_patience,
    ] {
        *duration = Duration::MAX;
    }
    let connection = Connection::connect("prod", config).await.unwrap();
    // The channel after this one has twice the keepalive interval.
    let complaint = Then::GoAway(LastStream::This, Reason::ENHANCE_YOUR_CALM);
    server.rule(Rule::new(When::rpc("HasCollection"), complaint).times(1));
    for _ in 0..2 {
        let mut events = connection.events();
        connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
        let options = CallOptions::timeout(Duration::MAX);
        let call = connection.call_with(&rpc::HAS_COLLECTION, has(), options);
        call.await.unwrap();
        server.link().close_connections();
        wait_for(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
    }
    tokio::time::timeout(LONG, connection.close())
        .await
        .unwrap();
}

/// Two endpoints, of which `silent` will send nothing more on the connections that it has.
async fn connect_to_two(keepalive_timeout: Duration) -> (Connection, FaultServer, FaultServer) {
    let (silent, other) = (
        server_with_streams(None).await,
        server_with_streams(None).await,
    );
    let mut config = config(&format!("{},{}", silent.address(), other.address()));
    config.options.keepalive_timeout = keepalive_timeout;
    let connection = Connection::connect("prod", config).await.unwrap();
    let both = async {
        while connection.status().channels.len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, both).await.unwrap();
    let to_client = FrameWhen {
        direction: Some(Direction::ToClient),
        ..FrameWhen::default()
    };
    silent
        .link()
        .rule(FrameRule::new(to_client, FrameThen::Stall).times(1));
    (connection, silent, other)
}

#[tokio::test]
async fn a_read_leaves_a_peer_that_has_fallen_silent_and_a_write_is_not_sent_twice() {
    let (connection, silent, other) = connect_to_two(Duration::from_secs(4)).await;
    let mut events = connection.events();
    // Two calls at once go to two channels.
    let reads = async {
        tokio::join!(
            connection.call(&rpc::HAS_COLLECTION, has()),
            connection.call(&rpc::HAS_COLLECTION, has()),
        )
    };
    let writes = async {
        tokio::join!(
            connection.call(&rpc::INSERT, InsertRequest::default()),
            connection.call(&rpc::INSERT, InsertRequest::default()),
        )
    };
    let (reads, writes) = tokio::join!(reads, writes);
    reads.0.unwrap();
    reads.1.unwrap();
    // The one that the silent peer got was sent again: to the other peer, or over the channel that has taken its place.
    let sent = silent.arrived("HasCollection") + other.arrived("HasCollection");
    assert!(sent > 2, "{sent}");
    wait_for(&mut events, |kind| {
        matches!(kind, EventKind::Unresponsive { .. })
    })
    .await;
    // A write stays until the silence has lasted for so long that the peer counts as dead.
    let failed = [writes.0, writes.1]
        .into_iter()
        .find_map(Result::err)
        .unwrap();
    assert_eq!(failed.applied(), Applied::Unknown, "{failed}");
    assert_eq!(silent.arrived("Insert") + other.arrived("Insert"), 2);
    // What took the silent channel's place is used.
    connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_to_a_silent_peer_and_all_goes_on_when_it_speaks_again() {
    let server = server_with_streams(None).await;
    let mut config = config(&server.address().to_string());
    config.options.keepalive_timeout = LONG;
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    let insert = || {
        let connection = connection.clone();
        tokio::spawn(async move {
            connection
                .call(&rpc::INSERT, InsertRequest::default())
                .await
        })
    };
    server.link().freeze();
    let in_flight = insert();
    wait_for(&mut events, |kind| {
        matches!(kind, EventKind::Unresponsive { .. })
    })
    .await;
    assert!(connection.status().channels[0].unresponsive);
    let waiting = insert();
    let error = connection
        .call_with(
            &rpc::INSERT,
            InsertRequest::default(),
            CallOptions::timeout(Duration::from_millis(50)),
        )
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(error.applied(), Applied::No);
    assert!(error.to_string().contains("nothing was sent"), "{error}");
    assert_eq!(connection.status().calls_waiting, 1);
    server.link().thaw();
    in_flight.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(server.applied("Insert"), 2);
}

#[tokio::test]
async fn a_slow_answer_is_not_a_silent_peer_and_costs_one_ping() {
    let server = server_with_streams(None).await;
    let mut config = config(&server.address().to_string());
    config.options.keepalive_timeout = Duration::from_secs(10);
    let connection = Connection::connect("prod", config).await.unwrap();
    let slow = Then::Delay(Duration::from_secs(3));
    server.rule(Rule::new(When::rpc("HasCollection"), slow));
    let channel = connection.status().channels[0].id;
    connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
    assert_eq!(server.link().counters().pings, 1);
    let status = connection.status();
    assert_eq!((status.channels.len(), status.channels[0].id), (1, channel));
    assert_eq!(status.calls.retried, 0);
}
