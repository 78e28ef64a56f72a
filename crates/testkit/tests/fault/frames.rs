//! What happens to frames, in front of a server that has no faults of its own.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use h2::{Ping, Reason};
use milvus_testkit::fault::{
    Direction, FaultServer, FaultServerOptions, Frame, FrameKind, FrameProxy, FrameRule, FrameThen,
    FrameWhen, LastStream, LinkOptions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;

async fn proxied(options: LinkOptions) -> (FaultServer, FrameProxy) {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let proxy = FrameProxy::start(server.address(), options).await.unwrap();
    (server, proxy)
}

fn request_headers() -> FrameWhen {
    FrameWhen::frame(Direction::ToServer, FrameKind::Headers)
}

#[tokio::test]
async fn calls_pass_and_are_counted() {
    let (server, proxy) = proxied(LinkOptions::default()).await;
    let mut client = Client::connect(proxy.address()).await;
    for _ in 0..3 {
        assert!(client.call("Search", &vec![7; 100_000]).await.is_ok());
    }
    client.round_trip().await;
    let counters = proxy.link().counters();
    assert_eq!((counters.connections, counters.open_connections), (1, 1));
    assert_eq!((counters.streams, counters.pings), (3, 1));
    assert!(counters.bytes_to_server > 300_000 && counters.bytes_to_client > 0);
    assert_eq!(server.calls()[2].message.len(), 100_000);
}

#[tokio::test]
async fn swallowed_pings_are_counted_and_not_answered() {
    let (_server, proxy) = proxied(LinkOptions::default()).await;
    proxy
        .link()
        .rule(FrameRule::new(FrameWhen::ping_to_server(), FrameThen::Drop));
    let mut client = Client::connect(proxy.address()).await;
    assert!(client.call("Search", b"").await.is_ok());
    let mut pings = client.pings;
    let mut pong = pin!(pings.ping(Ping::opaque()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pong.as_mut().poll(&mut cx).is_pending());
    // A call that was sent after the ping comes back before it.
    let (response, _) = {
        let request = http::Request::post("http://testkit/x/Search")
            .body(())
            .unwrap();
        client.requests.send_request(request, true).unwrap()
    };
    assert!(response.await.is_ok());
    assert_eq!(proxy.link().counters().pings, 1);
    assert!(pong.as_mut().poll(&mut cx).is_pending());
}

#[tokio::test]
async fn a_stream_is_reset_and_the_next_one_works() {
    let (server, proxy) = proxied(LinkOptions::default()).await;
    let reset = FrameThen::ResetStream(Reason::REFUSED_STREAM);
    proxy
        .link()
        .rule(FrameRule::new(request_headers(), reset).skip(1).times(1));
    let mut client = Client::connect(proxy.address()).await;
    assert!(client.call("Insert", b"").await.is_ok());
    assert_eq!(
        client.call("Insert", b"").await.unwrap_err().reason(),
        Some(Reason::REFUSED_STREAM)
    );
    // Header compression on both sides is still in step.
    assert!(client.call("Insert", b"").await.is_ok());
    assert_eq!(server.arrived("Insert"), 2);
}

#[tokio::test]
async fn goaway_takes_the_streams_above_it_from_the_server() {
    let (server, proxy) = proxied(LinkOptions::default()).await;
    let goaway = FrameThen::GoAway {
        last_stream: LastStream::BeforeThis,
        reason: Reason::NO_ERROR,
    };
    proxy
        .link()
        .rule(FrameRule::new(request_headers(), goaway).skip(1).times(1));
    let mut client = Client::connect(proxy.address()).await;
    assert!(client.call("Insert", b"").await.is_ok());
    assert!(client.call("Insert", b"").await.unwrap_err().is_go_away());
    let mut again = Client::connect(proxy.address()).await;
    assert!(again.call("Insert", b"").await.is_ok());
    assert_eq!(server.arrived("Insert"), 2);
}

#[tokio::test]
async fn the_limit_of_streams_is_lied_about_and_shrinks() {
    let (_server, proxy) = proxied(LinkOptions::default()).await;
    proxy.link().advertise_max_concurrent_streams(5);
    let mut client = Client::connect(proxy.address()).await;
    client.round_trip().await;
    assert_eq!(client.requests.current_max_send_streams(), 5);
    for limit in [1, 0, 3] {
        proxy.link().advertise_max_concurrent_streams(limit);
        client.round_trip().await;
        assert_eq!(
            client.requests.current_max_send_streams(),
            usize::try_from(limit).unwrap()
        );
    }
    // The server never saw an acknowledgement of what it had not sent, and still answers.
    assert!(client.call("Search", b"").await.is_ok());
}

#[tokio::test]
async fn frames_are_injected_and_connections_ended() {
    let (_server, proxy) = proxied(LinkOptions::default()).await;
    let mut client = Client::connect(proxy.address()).await;
    assert!(client.call("Search", b"").await.is_ok());
    proxy.link().inject_to_client(&Frame::go_away(
        1,
        Reason::ENHANCE_YOUR_CALM,
        "too_many_pings",
    ));
    let error = client.connection.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));

    let mut client = Client::connect(proxy.address()).await;
    client.round_trip().await;
    proxy.link().abort_connections();
    let error = client.connection.await.unwrap().unwrap_err();
    assert!(error.is_io(), "{error}");
}

#[tokio::test]
async fn a_connection_is_cut_at_the_byte() {
    let (_server, proxy) = proxied(LinkOptions {
        opaque: true,
        ..LinkOptions::default()
    })
    .await;
    for cut in [0, 5, 13] {
        proxy.link().cut_after(Some(cut));
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        let mut received = Vec::new();
        // Whether the end is orderly depends on what the proxy had not read yet; the number of bytes does not.
        let _ = stream.read_to_end(&mut received).await;
        assert_eq!(received.len() as u64, cut);
    }
}

#[tokio::test]
async fn a_delay_is_at_least_as_long_as_asked_for_and_each_way() {
    let delay = Duration::from_millis(30);
    let (_server, proxy) = proxied(LinkOptions {
        delay,
        ..LinkOptions::default()
    })
    .await;
    let mut client = Client::connect(proxy.address()).await;
    let start = Instant::now();
    assert!(client.call("Search", b"").await.is_ok());
    assert!(start.elapsed() >= 2 * delay);
}

#[tokio::test]
async fn a_stalled_direction_passes_nothing_any_more() {
    let (_server, proxy) = proxied(LinkOptions::default()).await;
    let mut client = Client::connect(proxy.address()).await;
    assert!(client.call("Search", b"").await.is_ok());
    let body = FrameWhen::frame(Direction::ToClient, FrameKind::Data);
    proxy.link().rule(FrameRule::new(body, FrameThen::Stall));
    let response = client.send("Search", b"").await.unwrap();
    let mut body = response.await.unwrap().into_body();
    let before = proxy.link().counters().bytes_to_client;
    // What the server answers to this ping arrives at the proxy and stays there.
    client.pings.send_ping(Ping::opaque()).unwrap();
    while proxy.link().counters().bytes_to_client == before {
        tokio::task::yield_now().await;
    }
    let mut cx = Context::from_waker(Waker::noop());
    assert!(body.poll_data(&mut cx).is_pending() && client.pings.poll_pong(&mut cx).is_pending());
}
