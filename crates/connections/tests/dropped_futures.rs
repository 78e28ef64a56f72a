//! The registry's verbs given up at each of their await points: an alias is then as it was before or as it was to become,
//! nothing is left of a dial, and the next connect works.
//!
//! Invariant: a step is one poll, made when the future was woken, so every place at which it can wait is a place at which it
//! is dropped.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use milvus_connections::{AliasState, Client, ConnectionParams, Connections};
use milvus_protocol::milvus::GetVersionRequest;
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};

/// More steps than any of these futures has.
const MOST_STEPS: usize = 1_000;
/// What has to come of itself comes by then, on any machine.
const AT_LAST: Duration = Duration::from_secs(60);

async fn server() -> FaultServer {
    FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap()
}

/// Connecting makes the handshake of the pool, and then asks whether the database is there.
fn at(server: &FaultServer) -> ConnectionParams {
    ConnectionParams::address(server.address().to_string())
        .db_name("books")
        .timeout(AT_LAST)
        .max_channels(1)
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

fn state(connections: &Connections) -> AliasState {
    connections.status("dev").unwrap().state
}

async fn call(client: &Client) {
    client
        .connection()
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connect_dropped_at_any_step_leaves_the_alias_as_it_was() {
    let server = server().await;
    let connections = Connections::isolated();
    connections.add_connection([("dev", at(&server))]).unwrap();
    for polls in 0..MOST_STEPS {
        let outcome = drop_after(polls, connections.connect("dev")).await;
        let is_done = outcome.is_some();
        drop(outcome);
        until("the dial is over", || {
            state(&connections) != AliasState::Connecting
        })
        .await;
        if is_done {
            assert!(connections.has_connection("dev"));
        }
        if !connections.has_connection("dev") {
            assert_eq!(state(&connections), AliasState::Configured);
            until_sockets_are(&server, 0).await;
        }
        call(&connections.connect("dev").await.unwrap()).await;
        connections.disconnect("dev").await;
        until_sockets_are(&server, 0).await;
        if is_done {
            return;
        }
    }
    panic!("the connect never ended");
}

#[tokio::test]
async fn a_connect_dropped_while_the_server_is_mute_leaves_the_alias_as_it_was() {
    let server = server().await;
    let connections = Connections::isolated();
    connections.add_connection([("dev", at(&server))]).unwrap();
    // At the handshake of the pool; at the question whether the database is there.
    for handshakes in [1, 2] {
        server.rule(Rule::new(When::rpc("Connect"), Then::Hang).skip(handshakes - 1));
        let before = server.arrived("Connect");
        tokio::select! {
            biased;
            ended = connections.connect("dev") => panic!("{ended:?}"),
            () = until("the handshakes", || server.arrived("Connect") >= before + handshakes) => {}
        }
        until("the dial is over", || {
            state(&connections) == AliasState::Configured
        })
        .await;
        until_sockets_are(&server, 0).await;
        server.clear_rules();
        call(&connections.connect("dev").await.unwrap()).await;
        connections.disconnect("dev").await;
        until_sockets_are(&server, 0).await;
    }
}

#[tokio::test]
async fn a_connect_dropped_at_any_step_keeps_the_former_connection() {
    let server = server().await;
    let connections = Connections::isolated();
    let former = connections
        .connect_with("dev", at(&server).user("a").password("p"))
        .await
        .unwrap();
    for polls in 0..MOST_STEPS {
        let other = ConnectionParams::new()
            .user(format!("b{polls}"))
            .password("p");
        let outcome = drop_after(polls, connections.connect_with("dev", other)).await;
        let is_done = outcome.is_some();
        drop(outcome);
        // The former connection is held here, whatever has become of the alias.
        until("the sockets of what is in use, and no other", || {
            let address = connections.get_connection_addr("dev").unwrap().unwrap();
            let in_use = if address.user == "a" { 1 } else { 2 };
            server.link().counters().open_connections == in_use
        })
        .await;
        assert!(connections.has_connection("dev"));
        call(&connections.get("dev").unwrap()).await;
        call(&former).await;
        if is_done {
            drop(former);
            until_sockets_are(&server, 1).await;
            return;
        }
    }
    panic!("the connect never ended");
}

#[tokio::test]
async fn a_disconnect_dropped_at_any_step_closes_all_the_same() {
    let server = server().await;
    for forgets in [false, true] {
        for polls in 0..MOST_STEPS {
            let connections = Connections::isolated();
            let client = connections.connect_with("dev", at(&server)).await.unwrap();
            server.rule(
                Rule::new(
                    When::rpc("GetVersion"),
                    Then::Delay(Duration::from_millis(20)),
                )
                .times(1),
            );
            let before = server.arrived("GetVersion");
            let in_flight = tokio::spawn(async move { call(&client).await });
            until("the call", || server.arrived("GetVersion") > before).await;
            let disconnecting = async {
                if forgets {
                    connections.remove_connection("dev").await;
                } else {
                    connections.disconnect("dev").await;
                }
            };
            let is_done = drop_after(polls, disconnecting).await.is_some();
            // A future that was never polled has done nothing; any other has begun what goes on without it.
            assert_eq!(connections.has_connection("dev"), polls == 0);
            assert_eq!(connections.status("dev").is_none(), forgets && polls > 0);
            in_flight
                .await
                .expect("the call that was under way ends well");
            if polls > 0 {
                until_sockets_are(&server, 0).await;
            }
            let again = connections.connect_with("dev", at(&server)).await.unwrap();
            call(&again).await;
            drop(again);
            connections.remove_connection("dev").await;
            until_sockets_are(&server, 0).await;
            if is_done {
                break;
            }
            assert!(polls + 1 < MOST_STEPS, "the disconnect never ended");
        }
    }
}
