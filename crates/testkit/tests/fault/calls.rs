//! What happens to calls.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use h2::Reason;
use milvus_protocol::common::Status;
use milvus_protocol::{milvus, rpc};
use milvus_testkit::fault::{FaultServer, FaultServerOptions, LastStream, Rule, Then, When};
use prost::Message;

use crate::client::{Client, receive};

async fn server() -> FaultServer {
    FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap()
}

fn insert_of(rows: u32) -> Vec<u8> {
    milvus::InsertRequest {
        num_rows: rows,
        ..Default::default()
    }
    .encode_to_vec()
}

#[tokio::test]
async fn without_rules_every_call_succeeds_and_is_recorded() {
    let server = server().await;
    let mut client = Client::connect(server.address()).await;
    for row in rpc::ALL
        .iter()
        .filter(|row| row.service == "milvus.proto.milvus.MilvusService")
    {
        let answer = client.call(row.name, b"").await.unwrap();
        assert_eq!(answer.grpc_status, Some((0, String::new())), "{}", row.name);
    }
    let connect = client.call("Connect", b"").await.unwrap();
    let connect = milvus::ConnectResponse::decode(connect.message).unwrap();
    assert!(connect.status.unwrap().is_success() && connect.identifier != 0);

    let answer = client.call("Insert", &insert_of(7)).await.unwrap();
    assert_eq!(
        milvus::MutationResult::decode(answer.message)
            .unwrap()
            .insert_cnt,
        7
    );
    let call = server.calls().pop().unwrap();
    assert_eq!(
        (call.rpc(), call.metadata_text("client-request-id")),
        ("Insert", Some("id of Insert"))
    );
    assert_eq!(call.decode::<milvus::InsertRequest>().unwrap().num_rows, 7);
    assert_eq!((server.arrived("Insert"), server.applied("Insert")), (2, 2));
}

#[tokio::test]
async fn the_nth_call_gets_an_in_band_status() {
    let server = server().await;
    server.rule(
        Rule::new(
            When::rpc("Search"),
            Then::in_band(100, "collection not found"),
        )
        .skip(1)
        .times(1),
    );
    let mut client = Client::connect(server.address()).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        let answer = client.call("Search", b"").await.unwrap();
        codes.push(
            milvus::SearchResults::decode(answer.message)
                .unwrap()
                .status
                .unwrap()
                .code,
        );
    }
    assert_eq!(codes, [0, 100, 0]);
    assert_eq!((server.arrived("Search"), server.applied("Search")), (3, 2));

    server.rule(Rule::new(When::rpc("DropCollection"), Then::rate_limited()));
    let answer = client.call("DropCollection", b"").await.unwrap();
    assert!(Status::decode(answer.message).unwrap().is_rate_limited());
}

#[tokio::test]
async fn scripted_and_computed_answers_are_given() {
    let server = server().await;
    server.answer(
        &rpc::GET_VERSION,
        &milvus::GetVersionResponse {
            version: "v9".to_owned(),
            ..Default::default()
        },
    );
    server.rule(Rule::new(
        When::any(),
        Then::compute(|call| call.message.clone()),
    ));
    let mut client = Client::connect(server.address()).await;
    let version = client.call("GetVersion", b"").await.unwrap();
    assert_eq!(
        milvus::GetVersionResponse::decode(version.message)
            .unwrap()
            .version,
        "v9"
    );
    assert_eq!(client.call("Query", b"echo").await.unwrap().message, "echo");
}

#[tokio::test]
async fn grpc_and_http_statuses_are_given() {
    let server = server().await;
    server.rule(Rule::new(
        When::rpc("Query"),
        Then::GrpcStatus(16, "100 % wrong".to_owned()),
    ));
    server.rule(Rule::new(
        When::rpc("Search"),
        Then::HttpStatus(502, "Bad Gateway".to_owned()),
    ));
    let mut client = Client::connect(server.address()).await;
    let query = client.call("Query", b"").await.unwrap();
    assert_eq!(query.grpc_status, Some((16, "100 %25 wrong".to_owned())));
    let search = client.call("Search", b"").await.unwrap();
    assert_eq!((search.http_status, search.grpc_status), (502, None));
}

#[tokio::test]
async fn a_refused_stream_is_not_applied_and_the_connection_goes_on() {
    let server = server().await;
    server.rule(Rule::new(When::rpc("Insert"), Then::Reset(Reason::REFUSED_STREAM)).times(1));
    server.rule(Rule::new(When::rpc("Insert"), Then::Reset(Reason::INTERNAL_ERROR)).times(1));
    let mut client = Client::connect(server.address()).await;
    for (reason, applied) in [(Reason::REFUSED_STREAM, 0), (Reason::INTERNAL_ERROR, 1)] {
        let error = client.call("Insert", b"").await.unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert_eq!(
            (error.reason(), server.applied("Insert")),
            (Some(reason), applied)
        );
    }
    assert!(client.call("Insert", b"").await.is_ok());
    assert_eq!(
        (
            server.arrived("Insert"),
            server.link().counters().connections
        ),
        (3, 1)
    );
}

#[tokio::test]
async fn goaway_answers_the_streams_before_it_and_not_its_own() {
    let server = server().await;
    server.rule(Rule::new(
        When::rpc("Query"),
        Then::SlowTrailers(Duration::from_millis(50)),
    ));
    let goaway = Then::GoAway(LastStream::BeforeThis, Reason::NO_ERROR);
    server.rule(Rule::new(When::rpc("Insert"), goaway).times(1));
    let mut client = Client::connect(server.address()).await;
    let before = client.send("Query", b"").await.unwrap();
    let error = client.call("Insert", b"").await.unwrap_err();
    assert!(error.is_go_away() && error.is_remote(), "{error}");
    assert_eq!(
        receive(before).await.unwrap().grpc_status,
        Some((0, String::new()))
    );
    assert_eq!((server.arrived("Insert"), server.applied("Insert")), (1, 0));
    drop(client.requests);
    client.connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn goaway_with_this_stream_still_answers_it() {
    let server = server().await;
    server.rule(
        Rule::new(
            When::any(),
            Then::GoAway(LastStream::This, Reason::NO_ERROR),
        )
        .every(2),
    );
    let mut client = Client::connect(server.address()).await;
    for _ in 0..2 {
        assert!(client.call("Query", b"").await.is_ok());
    }
    assert!(client.call("Query", b"").await.is_err());
    assert_eq!(server.applied("Query"), 2);
}

#[tokio::test]
async fn a_stalled_body_stops_and_a_reset_one_breaks_at_the_byte() {
    let server = server().await;
    let size = 100;
    server.rule(Rule::new(When::rpc("Query"), Then::StallBody(9)));
    server.rule(Rule::new(
        When::rpc("Search"),
        Then::ResetBody(7, Reason::INTERNAL_ERROR),
    ));
    let mut client = Client::connect(server.address()).await;

    let mut stalled = client
        .send("Query", &vec![0; size])
        .await
        .unwrap()
        .await
        .unwrap()
        .into_body();
    // The answer of Query is 7 bytes long with its framing, so all of it comes, and no trailers.
    assert_eq!(stalled.data().await.unwrap().unwrap().len(), 7);
    client.round_trip().await;
    poll_fn(|cx| {
        assert!(stalled.poll_data(cx).is_pending());
        Poll::Ready(())
    })
    .await;

    let mut broken = client
        .send("Search", b"")
        .await
        .unwrap()
        .await
        .unwrap()
        .into_body();
    let mut received = 0;
    let error = loop {
        match broken.data().await.unwrap() {
            Ok(chunk) => received += chunk.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (received, error.reason()),
        (7, Some(Reason::INTERNAL_ERROR))
    );
}

#[tokio::test]
async fn trailers_can_be_missing() {
    let server = server().await;
    server.rule(Rule::new(When::any(), Then::NoTrailers));
    let mut client = Client::connect(server.address()).await;
    assert_eq!(client.call("Query", b"").await.unwrap().grpc_status, None);
}
