//! Credentials that come from elsewhere and change: they are taken over without a reconnect, they wake a target that was down
//! for them, and a source that hangs takes nothing from a call but its own time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use milvus_protocol::milvus::{HasCollectionRequest, InsertRequest};
use milvus_protocol::rpc;
use milvus_testkit::Scratch;
use milvus_testkit::fault::{Call, FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{
    CallOptions, ConnectFailure, Connection, ConnectionConfig, ConnectionOptions, ConnectionState,
    CredentialSource, Credentials, Error, ErrorKind, EventKind, Phase, parse_uri,
};

/// What has to come of itself comes by then, on any machine.
const AT_LAST: Duration = Duration::from_secs(60);
/// How long a value is used before its source is looked at again, and how long a command is left alone.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

async fn server() -> FaultServer {
    FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap()
}

fn config(server: &FaultServer) -> ConnectionConfig {
    let mut options = ConnectionOptions::default();
    options.call_timeout = AT_LAST;
    options.max_channels = 1;
    let uri = format!("http://{}", server.address());
    ConnectionConfig::new(parse_uri(&uri).unwrap().target).options(options)
}

async fn insert(connection: &Connection) -> Result<(), Error> {
    connection
        .call(&rpc::INSERT, InsertRequest::default())
        .await
        .map(drop)
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

/// True for a call whose password is not `new`; base64 of `root:new`.
fn wrong_password(call: &Call) -> bool {
    call.metadata_text("authorization") != Some("cm9vdDpuZXc=")
}

fn refuse_old(server: &FaultServer) {
    server.rule(Rule::new(
        When::any().and(wrong_password),
        Then::GrpcStatus(16, "auth check failure".into()),
    ));
}

fn command(command: String) -> CredentialSource {
    let user = Some("root".into());
    CredentialSource::Command { user, command }
}

fn printing(path: &Path) -> CredentialSource {
    command(format!("cat '{}'", path.display()))
}

/// The secret is `old`, then the server takes only `new`, and `rotate` makes it that.
async fn takes_over(source: CredentialSource, rotate: impl FnOnce()) {
    let server = server().await;
    let connection = Connection::connect("prod", config(&server).credentials(source))
        .await
        .unwrap();
    let channel = connection.status().channels[0].id;
    insert(&connection).await.unwrap();
    refuse_old(&server);
    rotate();
    insert(&connection).await.unwrap();
    insert(&connection).await.unwrap();
    assert_eq!(server.applied("Insert"), 3);
    assert!(
        server.arrived("Insert") <= 4,
        "what was refused is not sent again"
    );
    let channels = connection.status().channels;
    assert_eq!((channels.len(), channels[0].id), (1, channel));
}

#[tokio::test]
async fn a_rotated_environment_variable_is_used_without_a_reconnect() {
    const VARIABLE: &str = "MILVUS_TRANSPORT_TEST_ROTATED";
    let set = |secret: &str| {
        // SAFETY: Rust's own reads of the environment are guarded by a lock of its own, and nothing in this program asks
        // C for it meanwhile: the addresses of the tests in this file are numbers.
        unsafe { std::env::set_var(VARIABLE, secret) };
    };
    set("old");
    let source = CredentialSource::Environment {
        user: Some("root".into()),
        variable: VARIABLE.into(),
    };
    takes_over(source, || set("new")).await;
}

#[tokio::test]
async fn a_rotated_file_is_used_without_a_reconnect() {
    let scratch = Scratch::new("rotated-file").unwrap();
    let path = scratch.write("password", "old\n").unwrap();
    let user = Some("root".into());
    takes_over(CredentialSource::File { user, path }, || {
        drop(scratch.write("password", "new\n").unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_a_command_prints_anew_is_used_without_a_reconnect() {
    let scratch = Scratch::new("rotated-command").unwrap();
    let path = scratch.write("password", "old\n").unwrap();
    takes_over(printing(&path), || {
        drop(scratch.write("password", "new\n").unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_command_that_hangs_runs_once_and_takes_no_call_beyond_its_deadline() {
    let server = server().await;
    let connection = Connection::connect("prod", config(&server)).await.unwrap();
    let scratch = Scratch::new("hanging-command").unwrap();
    let runs = scratch.path().join("runs");
    let go = scratch.path().join("go");
    let runs_of = || std::fs::read_to_string(&runs).unwrap_or_default().len();
    connection.update_credentials(command(format!(
        "printf x >> '{}'; while ! [ -e '{}' ]; do sleep 0.02; done; echo new",
        runs.display(),
        go.display()
    )));
    let late = || {
        let options = CallOptions::timeout(Duration::from_millis(100));
        connection.call_with(
            &rpc::HAS_COLLECTION,
            HasCollectionRequest::default(),
            options,
        )
    };
    for _ in 0..3 {
        let (one, two) = tokio::join!(late(), late());
        for error in [one.unwrap_err(), two.unwrap_err()] {
            assert_eq!(
                (error.kind(), error.phase(), error.attempts()),
                (ErrorKind::DeadlineExceeded, Phase::Configuration, 0),
                "{error}"
            );
        }
    }
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { insert(&connection).await }
    });
    until("the command runs", || runs_of() > 0).await;
    assert_eq!(
        connection.status().calls_in_flight,
        0,
        "no stream is held meanwhile"
    );
    drop(scratch.write("go", "").unwrap());
    waiting.await.unwrap().unwrap();
    assert_eq!(runs_of(), 1);
    let calls = server.calls();
    let sent = calls.iter().find(|call| call.rpc() == "Insert").unwrap();
    assert!(!wrong_password(sent));
}

#[tokio::test]
async fn a_command_that_fails_is_left_alone_for_a_while() {
    let server = server().await;
    let connection = Connection::connect("prod", config(&server)).await.unwrap();
    let scratch = Scratch::new("failing-command").unwrap();
    let runs = scratch.path().join("runs");
    connection.update_credentials(command(format!("printf x >> '{}'; exit 7", runs.display())));
    let began = Instant::now();
    for _ in 0..50 {
        let error = insert(&connection).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.to_string().contains("command failed"), "{error}");
    }
    let most = 1 + began.elapsed().as_secs();
    let runs = std::fs::read_to_string(&runs).unwrap().len();
    assert!(u64::try_from(runs).unwrap() <= most, "{runs} runs");
    assert_eq!(server.arrived("Insert"), 0);
}

/// A connection whose target is down because it refuses the password, and will not be dialed again soon.
async fn down_for_its_password(server: &FaultServer, config: ConnectionConfig) -> Connection {
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    refuse_old(server);
    server.link().close_connections();
    let mut failed = 0;
    while failed < 8 {
        let event = tokio::time::timeout(AT_LAST, events.next())
            .await
            .unwrap()
            .unwrap();
        failed += u32::from(matches!(event.kind, EventKind::DialFailed { .. }));
    }
    assert_eq!(connection.status().state, ConnectionState::Down);
    connection
}

#[tokio::test]
async fn a_rotated_file_wakes_a_target_that_is_down_for_what_was_in_it() {
    let server = server().await;
    let scratch = Scratch::new("waking-file").unwrap();
    let path = scratch.write("password", "old\n").unwrap();
    let user = Some("root".into());
    let config = config(&server).credentials(CredentialSource::File { user, path });
    let connection = down_for_its_password(&server, config).await;
    scratch.write("password", "new\n").unwrap();
    let rotated = Instant::now();
    loop {
        let begun = rotated.elapsed();
        match insert(&connection).await {
            Ok(()) => return,
            // Not even a file is looked at more often.
            Err(error) => assert!(begun <= LOOK_INTERVAL, "after {begun:?}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn credentials_that_are_updated_wake_a_target_that_is_down_for_the_old_ones() {
    let server = server().await;
    let config = config(&server).credentials(Credentials::password("root", "old"));
    let connection = down_for_its_password(&server, config).await;
    connection.update_credentials(Credentials::password("root", "new"));
    insert(&connection).await.unwrap();
}

#[tokio::test]
async fn a_call_to_a_target_that_refuses_its_password_fails_at_once() {
    let server = server().await;
    let config = config(&server).credentials(Credentials::password("root", "old"));
    let connection = down_for_its_password(&server, config).await;
    let before = server.arrived("Connect");
    for _ in 0..20 {
        let error = insert(&connection).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    assert!(
        server.arrived("Connect") - before <= 2,
        "calls make nobody dial"
    );
}

#[tokio::test]
async fn a_connect_to_a_target_that_is_down_for_a_fault_dials_at_once() {
    let server = server().await;
    let mut config = config(&server).credentials(Credentials::password("root", "old"));
    config.options.connect_timeout = Duration::from_secs(3);
    let _down = down_for_its_password(&server, config.clone()).await;
    let before = server.arrived("Connect");
    let error = Connection::connect("other", config.clone())
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Connect(ConnectFailure::WrongCredentials)
    );
    assert!(server.arrived("Connect") > before, "it was asked anew");
    server.clear_rules();
    let mended = Connection::connect("other", config).await.unwrap();
    insert(&mended).await.unwrap();
}
