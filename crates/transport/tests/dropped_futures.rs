//! "Drop the future at step N", for every N: a connect, a call, a stream of messages and a close are given up at each of
//! their await points, and nothing is left of them.
//!
//! Invariant: a step is one poll, made when the future was woken, so every place at which it can wait is a place at which it
//! is dropped. The servers have one stream and one channel wherever a leak would show by that: the next call would wait for
//! ever.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use milvus_protocol::milvus::{
    DumpMessagesRequest, DumpMessagesResponse, HasCollectionRequest, InsertRequest,
};
use milvus_protocol::rpc;
use milvus_testkit::fault::{
    Direction, FaultServer, FaultServerOptions, FrameKind, FrameRule, FrameThen, FrameWhen, Rule,
    Then, When,
};
use milvus_transport::{
    Connection, ConnectionConfig, ConnectionOptions, ConnectionState, Error, ErrorKind, parse_uri,
};

/// More steps than any of these futures has.
const MOST_STEPS: usize = 5_000;
/// What has to come of itself comes by then, on any machine.
const AT_LAST: Duration = Duration::from_secs(60);

async fn server(max_concurrent_streams: Option<u32>) -> FaultServer {
    FaultServer::start(FaultServerOptions {
        max_concurrent_streams,
        ..FaultServerOptions::default()
    })
    .await
    .unwrap()
}

fn config(server: &FaultServer) -> ConnectionConfig {
    let uri = format!("http://{}", server.address());
    let mut options = ConnectionOptions::default();
    options.max_channels = 1;
    options.connect_timeout = AT_LAST;
    options.dial_timeout = AT_LAST;
    options.call_timeout = AT_LAST;
    ConnectionConfig::new(parse_uri(&uri).unwrap().target).options(options)
}

/// The handshake of the pool, and then the question whether the database is there.
fn config_with_database(server: &FaultServer) -> ConnectionConfig {
    let mut config = config(server);
    config.database = "books".into();
    config
}

async fn connect(server: &FaultServer) -> Connection {
    Connection::connect("prod", config(server)).await.unwrap()
}

async fn call(connection: &Connection) -> Result<(), Error> {
    let request = HasCollectionRequest {
        collection_name: "docs".into(),
        ..HasCollectionRequest::default()
    };
    connection
        .call(&rpc::HAS_COLLECTION, request)
        .await
        .map(drop)
}

/// Polls the future so many times, each time because it was woken, and drops it. `None` when it was not done by then.
async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    let steps = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(AT_LAST, steps)
        .await
        .expect("the future is woken until it is done")
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let come_true = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(AT_LAST, come_true).await.is_err() {
        panic!("never came true: {what}");
    }
}

async fn until_sockets_are(server: &FaultServer, count: u64) {
    until(&format!("{count} open sockets"), || {
        server.link().counters().open_connections == count
    })
    .await;
}

/// No stream, no waiting call, no byte on its way is left of a call; and the next one works.
async fn assert_nothing_is_left(connection: &Connection, step: &str) {
    let status = connection.status();
    assert_eq!(
        (status.calls_in_flight, status.calls_waiting),
        (0, 0),
        "{step}"
    );
    assert!(
        status
            .channels
            .iter()
            .all(|channel| channel.bytes_in_flight == 0 && channel.calls_in_flight == 0),
        "{step}: {status:?}"
    );
    call(connection)
        .await
        .unwrap_or_else(|error| panic!("{step}: the next call: {error}"));
}

#[tokio::test]
async fn a_connect_dropped_at_any_step_leaves_no_socket() {
    let server = server(None).await;
    for polls in 0..MOST_STEPS {
        let dropped = Connection::connect("prod", config_with_database(&server));
        let connected = drop_after(polls, dropped).await;
        let is_done = connected.is_some();
        if let Some(connected) = connected {
            connected.unwrap().close().await;
        }
        until_sockets_are(&server, 0).await;
        let next = Connection::connect("prod", config_with_database(&server))
            .await
            .unwrap_or_else(|error| panic!("after {polls} polls: {error}"));
        call(&next).await.unwrap();
        next.close().await;
        until_sockets_are(&server, 0).await;
        if is_done {
            return;
        }
    }
    panic!("the connect never ended");
}

#[tokio::test]
async fn a_connect_dropped_while_a_server_is_mute_leaves_no_socket() {
    let server = server(None).await;
    let stall = |kind| {
        server.link().rule(FrameRule::new(
            FrameWhen::frame(Direction::ToClient, kind),
            FrameThen::Stall,
        ));
    };
    let hang = |skipped| server.rule(Rule::new(When::rpc("Connect"), Then::Hang).skip(skipped));
    // By what the server is mute, and how many handshakes have come by then.
    let stages: [(&str, &dyn Fn(), u64); 5] = [
        ("HTTP/2 settings", &|| stall(FrameKind::Settings), 0),
        ("the head of its greeting", &|| stall(FrameKind::Headers), 1),
        ("the body of its greeting", &|| stall(FrameKind::Data), 1),
        ("its greeting", &|| hang(0), 1),
        ("what it says of the database", &|| hang(1), 2),
    ];
    for (stage, mute, handshakes) in stages {
        mute();
        let before = server.arrived("Connect");
        let connections = server.link().counters().connections;
        tokio::select! {
            biased;
            ended = Connection::connect("prod", config_with_database(&server)) => {
                panic!("{stage}: {ended:?}")
            }
            () = until(stage, || {
                server.link().counters().connections > connections
                    && server.arrived("Connect") >= before + handshakes
            }) => {}
        }
        until_sockets_are(&server, 0).await;
        server.clear_rules();
        server.link().clear_rules();
        let next = Connection::connect("prod", config_with_database(&server))
            .await
            .unwrap_or_else(|error| panic!("{stage}: {error}"));
        call(&next).await.unwrap();
        next.close().await;
        until_sockets_are(&server, 0).await;
    }
}

#[tokio::test]
async fn a_connect_dropped_at_any_step_disturbs_no_handle_of_its_pool() {
    let server = server(Some(1)).await;
    let other = connect(&server).await;
    for polls in 0..MOST_STEPS {
        let dropped = Connection::connect("prod", config_with_database(&server));
        let connected = drop_after(polls, dropped).await;
        let is_done = connected.is_some();
        drop(connected);
        assert_nothing_is_left(&other, &format!("after {polls} polls")).await;
        let counters = server.link().counters();
        assert_eq!((counters.connections, counters.open_connections), (1, 1));
        if is_done {
            return;
        }
    }
    panic!("the connect never ended");
}

#[tokio::test]
async fn a_close_dropped_at_any_step_closes_all_the_same() {
    let server = server(None).await;
    for has_call in [false, true] {
        for polls in 0..MOST_STEPS {
            let step = format!("with a call in flight: {has_call}, after {polls} polls");
            let mut config = config(&server);
            config.options.drain_timeout = Duration::from_millis(50);
            let connection = Connection::connect("prod", config).await.unwrap();
            let in_flight = if has_call {
                server.rule(Rule::new(When::rpc("Insert"), Then::Hang));
                let before = server.arrived("Insert");
                let calling = connection.clone();
                let task = tokio::spawn(async move {
                    calling.call(&rpc::INSERT, InsertRequest::default()).await
                });
                until("the insert", || server.arrived("Insert") > before).await;
                Some(task)
            } else {
                None
            };
            let is_done = drop_after(polls, connection.close()).await.is_some();
            if polls == 0 {
                // A future that was never polled has done nothing.
                assert!(connection.is_open(), "{step}");
                call(&connection).await.unwrap();
                connection.close().await;
            }
            assert!(!connection.is_open(), "{step}");
            let error = call(&connection).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{step}: {error}");
            if let Some(in_flight) = in_flight {
                let error = in_flight.await.unwrap().unwrap_err();
                assert!(
                    error.to_string().contains("drain deadline"),
                    "{step}: {error}"
                );
            }
            until_sockets_are(&server, 0).await;
            until("closed", || {
                let status = connection.status();
                status.state == ConnectionState::Closed && status.channels.is_empty()
            })
            .await;
            server.clear_rules();
            if is_done {
                break;
            }
            assert!(polls + 1 < MOST_STEPS, "the close never ended");
        }
    }
}

/// What a call meets on its way.
#[derive(Clone, Copy, Debug)]
enum Met {
    Nothing,
    /// All streams of the only channel are taken, and one is given back.
    NoStream,
    /// The only channel is lost as the call begins.
    NoChannel,
    /// Answers that make the call wait and try again.
    Unavailable,
    RateLimit,
    /// A stream that the server has not looked at.
    Refusal,
}

#[tokio::test]
async fn a_call_dropped_at_any_step_leaves_nothing() {
    let all = [
        Met::Nothing,
        Met::NoStream,
        Met::NoChannel,
        Met::Unavailable,
        Met::RateLimit,
        Met::Refusal,
    ];
    for met in all {
        let server = server(Some(1)).await;
        let connection = connect(&server).await;
        let ended = drop_calls_at_each_step(&server, &connection, met).await;
        assert!(ended, "{met:?}: the call never ended");
        until_sockets_are(&server, 1).await;
        connection.close().await;
        until_sockets_are(&server, 0).await;
    }
}

async fn drop_calls_at_each_step(server: &FaultServer, connection: &Connection, met: Met) -> bool {
    let meet = |then| server.rule(Rule::new(When::rpc("HasCollection"), then).times(2));
    for polls in 0..MOST_STEPS {
        let mut taken = None;
        match met {
            Met::Nothing => {}
            Met::NoStream => {
                server.rule(Rule::new(When::rpc("DumpMessages"), Then::Hang));
                taken = Some(connection.open_stream(&rpc::DUMP_MESSAGES).await.unwrap());
            }
            Met::NoChannel => server.link().close_connections(),
            Met::Unavailable => meet(Then::GrpcStatus(14, "not now".into())),
            Met::RateLimit => meet(Then::rate_limited()),
            Met::Refusal => meet(Then::Reset(h2::Reason::REFUSED_STREAM)),
        }
        let giving_back = async {
            // Three looks of the call at a pool without a stream are enough.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            drop(taken);
        };
        let (outcome, ()) = tokio::join!(drop_after(polls, call(connection)), giving_back);
        server.clear_rules();
        assert_nothing_is_left(connection, &format!("{met:?}, after {polls} polls")).await;
        if let Some(outcome) = outcome {
            outcome.unwrap_or_else(|error| panic!("{met:?}: {error}"));
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_stream_of_messages_dropped_at_any_step_leaves_nothing() {
    let server = server(Some(1)).await;
    let connection = connect(&server).await;
    server.rule(Rule::new(
        When::rpc("DumpMessages"),
        Then::message(&DumpMessagesResponse::default()),
    ));
    // More than the window of a stream, so that sending waits.
    let message = DumpMessagesRequest {
        pchannel: "p".repeat(1_500_000),
        ..DumpMessagesRequest::default()
    };
    for polls in 0..MOST_STEPS {
        let whole = async {
            let (mut sender, mut receiver) =
                connection.open_stream(&rpc::DUMP_MESSAGES).await.unwrap();
            sender.send(&message).await.unwrap();
            sender.finish().unwrap();
            receiver.next().await.unwrap().unwrap();
            assert!(receiver.next().await.is_none());
        };
        let is_done = drop_after(polls, whole).await.is_some();
        assert_nothing_is_left(&connection, &format!("after {polls} polls")).await;
        assert_eq!(server.link().counters().connections, 1);
        if is_done {
            return;
        }
    }
    panic!("the stream never ended");
}

/// A large message is handed over whole and goes out as the windows allow; what counts is how much of it has gone.
#[tokio::test]
async fn a_large_insert_dropped_anywhere_in_its_body_gives_the_window_back() {
    let server = server(Some(1)).await;
    let connection = connect(&server).await;
    let insert = || InsertRequest {
        hash_keys: vec![u32::MAX; 400_000],
        ..InsertRequest::default()
    };
    let before = server.link().counters().bytes_to_server;
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    let whole = server.link().counters().bytes_to_server - before;
    // Together more than the connection's window holds.
    const PARTS: u64 = 12;
    for part in 0..PARTS {
        let before = server.link().counters().bytes_to_server;
        let sent = || server.link().counters().bytes_to_server - before;
        tokio::select! {
            biased;
            () = until("a part of the body", || sent() >= whole * part / PARTS) => {}
            outcome = connection.call(&rpc::INSERT, insert()) => drop(outcome.unwrap()),
        }
        assert_nothing_is_left(&connection, &format!("part {part} of {PARTS}")).await;
    }
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    assert_eq!(server.link().counters().connections, 1);
}
