//! Closing one of two handles that share a pool: its calls end, and the other's never notice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use milvus_protocol::milvus::{
    DumpMessagesRequest, GetVersionRequest, HasCollectionRequest, InsertRequest,
};
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{
    Applied, Connection, ConnectionConfig, ConnectionOptions, Credentials, Error, ErrorKind,
    parse_uri,
};

/// What has to come of itself comes by then, on any machine.
const AT_LAST: Duration = Duration::from_secs(60);

async fn server(streams: Option<u32>) -> FaultServer {
    FaultServer::start(FaultServerOptions {
        max_concurrent_streams: streams,
        ..FaultServerOptions::default()
    })
    .await
    .unwrap()
}

/// Two handles on one pool of one channel.
async fn two(server: &FaultServer) -> (Connection, Connection) {
    let mut options = ConnectionOptions::default();
    options.call_timeout = AT_LAST;
    options.max_channels = 1;
    options.drain_timeout = Duration::from_millis(300);
    options.keepalive_timeout = Duration::from_millis(2500);
    let uri = format!("http://{}", server.address());
    let config = ConnectionConfig::new(parse_uri(&uri).unwrap().target)
        .credentials(Credentials::password("root", "old"))
        .options(options);
    let one = Connection::connect("one", config.clone()).await.unwrap();
    let two = Connection::connect("two", config).await.unwrap();
    assert_eq!(one.status().channels[0].id, two.status().channels[0].id);
    (one, two)
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

async fn close(connection: &Connection) {
    tokio::time::timeout(AT_LAST, connection.close())
        .await
        .unwrap();
}

fn insert(connection: &Connection) -> tokio::task::JoinHandle<Result<(), Error>> {
    let connection = connection.clone();
    tokio::spawn(async move {
        let request = InsertRequest::default();
        connection.call(&rpc::INSERT, request).await.map(drop)
    })
}

fn has(connection: &Connection) -> tokio::task::JoinHandle<Result<(), Error>> {
    let connection = connection.clone();
    tokio::spawn(async move {
        let request = HasCollectionRequest::default();
        connection
            .call(&rpc::HAS_COLLECTION, request)
            .await
            .map(drop)
    })
}

async fn assert_works(connection: &Connection) {
    connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_that_waits_through_a_closed_handle_is_told_and_that_of_the_other_is_sent() {
    let server = server(Some(1)).await;
    let (one, two) = two(&server).await;
    server.rule(Rule::new(When::rpc("HasCollection"), Then::Hang));
    let hanging = has(&two);
    until("the stream is taken", || {
        server.arrived("HasCollection") == 1
    })
    .await;
    let (mine, theirs) = (insert(&one), insert(&two));
    until("both wait", || two.status().calls_waiting == 2).await;
    close(&one).await;
    let error = mine.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.applied(), error.attempts()),
        (ErrorKind::Closed, Applied::No, 0),
        "{error}"
    );
    assert_eq!(two.status().calls_waiting, 1);
    hanging.abort();
    theirs.await.unwrap().unwrap();
    assert_eq!(server.arrived("Insert"), 1);
}

#[tokio::test]
async fn a_call_that_would_be_sent_again_through_a_closed_handle_is_not() {
    let server = server(None).await;
    let (one, two) = two(&server).await;
    let busy = Then::GrpcStatus(14, "not now".into());
    server.rule(Rule::new(When::rpc("HasCollection"), busy));
    let trying = has(&one);
    until("it is tried again", || server.arrived("HasCollection") >= 3).await;
    close(&one).await;
    let arrived = server.arrived("HasCollection");
    let error = trying.await.unwrap().unwrap_err();
    assert!(error.answer().is_some(), "{error}");
    assert_works(&two).await;
    assert_eq!(server.arrived("HasCollection"), arrived);
}

#[tokio::test]
async fn a_call_in_flight_through_a_closed_handle_has_until_the_drain_deadline() {
    let server = server(None).await;
    let (one, two) = two(&server).await;
    server.rule(Rule::new(When::rpc("Insert"), Then::Hang));
    server.rule(Rule::new(
        When::rpc("HasCollection"),
        Then::Delay(Duration::from_millis(50)),
    ));
    let (cut, done) = (insert(&one), has(&one));
    until("they are in flight", || {
        server.arrived("Insert") + server.arrived("HasCollection") == 2
    })
    .await;
    let channel = two.status().channels[0].id;
    close(&one).await;
    assert_eq!(
        two.status().calls_in_flight,
        0,
        "none is left after the close"
    );
    let error = cut.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.applied(), error.attempts()),
        (ErrorKind::Transport, Applied::Unknown, 1),
        "{error}"
    );
    assert!(error.to_string().contains("drain deadline"), "{error}");
    done.await.unwrap().unwrap();
    assert_works(&two).await;
    assert_eq!(two.status().channels[0].id, channel);
}

#[tokio::test]
async fn streams_of_messages_end_with_their_handle_and_none_begins_after_it() {
    let server = server(None).await;
    let (one, two) = two(&server).await;
    server.rule(Rule::new(When::rpc("DumpMessages"), Then::Hang));
    let (mut sender, mut receiver) = one.open_stream(&rpc::DUMP_MESSAGES).await.unwrap();
    let waiting = tokio::spawn(async move { receiver.next().await });
    close(&one).await;
    let error = waiting.await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("drain deadline"), "{error}");
    let request = DumpMessagesRequest::default();
    let error = sender.send(&request).await.unwrap_err();
    assert!(error.to_string().contains("drain deadline"), "{error}");
    let Err(error) = one.open_stream(&rpc::DUMP_MESSAGES).await else {
        panic!("a stream of a closed handle");
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
    two.open_stream(&rpc::DUMP_MESSAGES).await.unwrap();
}

#[tokio::test]
async fn a_closed_handle_changes_no_credentials() {
    let server = server(None).await;
    let (one, two) = two(&server).await;
    close(&one).await;
    one.update_credentials(Credentials::password("root", "new"));
    insert(&two).await.unwrap().unwrap();
    let calls = server.calls();
    let sent = calls.iter().find(|call| call.rpc() == "Insert").unwrap();
    // base64 of `root:old`
    assert_eq!(sent.metadata_text("authorization"), Some("cm9vdDpvbGQ="));
}
