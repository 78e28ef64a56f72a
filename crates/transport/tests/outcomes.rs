//! What an attempt proves decides what happens next: a test for each row of the table.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use h2::Reason;
use milvus_protocol::milvus::{
    GetVersionRequest, HasCollectionRequest, InsertRequest, UpsertRequest,
};
use milvus_protocol::rpc;
use milvus_testkit::fault::{
    Call, Direction, FaultServer, FaultServerOptions, FrameKind, FrameRule, FrameThen, FrameWhen,
    LastStream, Rule, Then, When,
};
use milvus_transport::{
    Applied, CallOptions, Connection, ConnectionConfig, ConnectionOptions, CredentialSource,
    Credentials, ErrorKind, GrpcCode, Phase, parse_uri,
};

async fn server() -> FaultServer {
    FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap()
}

fn config(server: &FaultServer) -> ConnectionConfig {
    let mut options = ConnectionOptions::default();
    options.call_timeout = Duration::from_secs(10);
    options.max_channels = 1;
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

fn insert() -> InsertRequest {
    InsertRequest {
        collection_name: "docs".into(),
        ..InsertRequest::default()
    }
}

fn has() -> HasCollectionRequest {
    HasCollectionRequest {
        collection_name: "docs".into(),
        ..HasCollectionRequest::default()
    }
}

fn once(rpc: &str, then: Then) -> Rule {
    Rule::new(When::rpc(rpc), then).times(1)
}

#[tokio::test]
async fn refused_streams_are_sent_again_for_free_even_inserts() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(once("Insert", Then::Reset(Reason::REFUSED_STREAM)));
    server.rule(once(
        "Insert",
        Then::GoAway(LastStream::BeforeThis, Reason::NO_ERROR),
    ));
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    assert_eq!(server.applied("Insert"), 1);
    assert_eq!(server.arrived("Insert"), 3);
    assert_eq!(
        connection.status().retry_tokens,
        500,
        "refusals cost nothing"
    );
}

#[tokio::test]
async fn a_refusal_after_the_answer_has_begun_proves_nothing() {
    let farewell = FrameThen::GoAway {
        last_stream: LastStream::BeforeThis,
        reason: Reason::NO_ERROR,
    };
    let body = FrameWhen::frame(Direction::ToClient, FrameKind::Data);
    for reset in [true, false] {
        let server = server().await;
        let connection = connect(&server).await;
        if reset {
            server.rule(once("Insert", Then::ResetBody(2, Reason::REFUSED_STREAM)));
        } else {
            let rule = FrameRule::new(body.clone(), farewell.clone());
            server.link().rule(rule.times(1));
        }
        let error = connection.call(&rpc::INSERT, insert()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.applied(), error.attempts()),
            (ErrorKind::Transport, Applied::Unknown, 1),
            "{error}"
        );
        assert_eq!(server.arrived("Insert"), 1);
        assert_eq!(server.applied("Insert"), 1);
    }
}

#[tokio::test]
async fn an_insert_whose_fate_is_unknown_is_never_sent_twice() {
    let server = server().await;
    let connection = connect(&server).await;
    for then in [
        Then::Close,
        Then::Abort,
        Then::Reset(Reason::INTERNAL_ERROR),
        Then::ResetBody(2, Reason::CANCEL),
    ] {
        let before = server.arrived("Insert");
        server.clear_rules();
        server.rule(once("Insert", then));
        let error = connection.call(&rpc::INSERT, insert()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        assert_eq!(error.applied(), Applied::Unknown, "{error}");
        assert_eq!(error.attempts(), 1);
        assert!(
            error
                .to_string()
                .contains("may or may not have been applied"),
            "{error}"
        );
        assert_eq!(server.arrived("Insert"), before + 1);
    }
}

#[tokio::test]
async fn reads_and_keyed_writes_are_sent_again_after_a_break() {
    let server = server().await;
    let connection = connect(&server).await;
    for then in [
        Then::Close,
        Then::Abort,
        Then::Reset(Reason::INTERNAL_ERROR),
    ] {
        server.clear_rules();
        server.rule(once("HasCollection", then.clone()));
        connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
        server.rule(once("Upsert", then));
        let request = UpsertRequest {
            collection_name: "docs".into(),
            ..UpsertRequest::default()
        };
        connection.call(&rpc::UPSERT, request).await.unwrap();
    }
    assert!(
        connection.status().retry_tokens < 500,
        "retries after a break cost"
    );
}

#[tokio::test]
async fn a_later_attempt_does_not_hide_that_an_earlier_one_may_have_been_applied() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(once("Upsert", Then::Abort));
    server.rule(Rule::new(
        When::rpc("Upsert"),
        Then::in_band(100, "no such collection"),
    ));
    let request = UpsertRequest::default();
    let error = connection.call(&rpc::UPSERT, request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.applied(), error.attempts()),
        (ErrorKind::Answered, Applied::Unknown, 2),
        "{error}"
    );
}

#[tokio::test]
async fn the_class_of_a_call_can_be_overruled() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(once("Upsert", Then::Abort));
    let mut options = CallOptions::default();
    options.class = Some(rpc::OperationClass::NonIdempotentWrite);
    let request = UpsertRequest {
        collection_name: "docs".into(),
        ..UpsertRequest::default()
    };
    let error = connection
        .call_with(&rpc::UPSERT, request, options)
        .await
        .unwrap_err();
    assert_eq!(error.applied(), Applied::Unknown);
}

#[tokio::test]
async fn the_retry_budget_runs_out() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(Rule::new(
        When::rpc("HasCollection"),
        Then::GrpcStatus(14, "overloaded".into()),
    ));
    let mut options = CallOptions::default();
    options.timeout = Some(Duration::from_millis(300));
    let mut arrived = 0;
    for _ in 0..300 {
        let error = connection
            .call_with(&rpc::HAS_COLLECTION, has(), options.clone())
            .await
            .unwrap_err();
        // Also where the deadline passes in the middle of an attempt, the answer before it is told.
        assert!(
            error.attempts() <= 1
                || error
                    .answer()
                    .is_some_and(|answer| answer.grpc_code() == GrpcCode::Unavailable),
            "{error:?}"
        );
        arrived += u64::from(error.attempts());
        if connection.status().retry_tokens < 5 {
            break;
        }
    }
    assert!(connection.status().retry_tokens < 5);
    assert!(server.arrived("HasCollection") <= arrived);
    let error = connection
        .call_with(&rpc::HAS_COLLECTION, has(), options)
        .await
        .unwrap_err();
    assert_eq!(error.attempts(), 1, "without tokens there is one attempt");
}

#[tokio::test]
async fn answers_marked_retriable_go_by_the_class() {
    let server = server().await;
    let connection = connect(&server).await;
    let passing = || {
        let Then::InBand(mut status) = Then::in_band(503, "node not available") else {
            unreachable!()
        };
        status.retriable = true;
        Then::InBand(status)
    };
    server.rule(once("HasCollection", passing()));
    connection.call(&rpc::HAS_COLLECTION, has()).await.unwrap();
    server.rule(once("Insert", passing()));
    let error = connection.call(&rpc::INSERT, insert()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.applied(), error.attempts()),
        (ErrorKind::Answered, Applied::Unknown, 1)
    );
    assert!(error.answer().unwrap().retriable());
}

#[tokio::test]
async fn throttling_is_waited_for_and_marks_nothing_bad() {
    let server = server().await;
    let connection = connect(&server).await;
    let channel = connection.status().channels[0].id;
    server.rule(once("Insert", Then::rate_limited()));
    server.rule(once("Insert", Then::GrpcStatus(8, "slow down".into())));
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    let status = connection.status();
    assert_eq!((status.channels[0].id, status.channels.len()), (channel, 1));
    assert_eq!((status.calls.throttled, status.retry_tokens), (2, 500));
    assert_eq!(server.applied("Insert"), 1);
}

#[tokio::test]
async fn throttling_beyond_the_deadline_is_an_error_at_once() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(Rule::new(When::rpc("Insert"), Then::rate_limited()));
    let error = connection
        .call_with(
            &rpc::INSERT,
            insert(),
            CallOptions::timeout(Duration::from_millis(40)),
        )
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.applied()),
        (ErrorKind::RateLimited, Applied::No)
    );
    assert_eq!(error.answer().unwrap().code(), 8);
}

#[tokio::test]
async fn a_final_answer_is_returned_as_it_is() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(Rule::new(
        When::rpc("Insert"),
        Then::in_band(100, "collection not found[collection=docs]"),
    ));
    let error = connection.call(&rpc::INSERT, insert()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.applied(), error.attempts()),
        (ErrorKind::Answered, Applied::No, 1)
    );
    assert_eq!(error.answer().unwrap().code(), 100);
    insta::assert_snapshot!(
        error.to_string().replace(&server.address().to_string(), "ADDRESS"),
        @r#"Insert failed on "prod" (ADDRESS): the server answered (the server said: collection not found[collection=docs] [code 100])."#
    );
}

#[tokio::test]
async fn a_call_that_the_server_does_not_have_names_its_version() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(Rule::new(
        When::rpc("HasCollection"),
        Then::GrpcStatus(12, "unknown method HasCollection".into()),
    ));
    let error = connection
        .call(&rpc::HAS_COLLECTION, has())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
    assert!(
        error.to_string().contains(&connection.server().version),
        "{error}"
    );
}

#[tokio::test]
async fn the_deadline_covers_the_answer_and_says_that_a_write_is_unknown() {
    let server = server().await;
    let connection = connect(&server).await;
    for then in [Then::Hang, Then::StallBody(3)] {
        server.clear_rules();
        server.rule(Rule::new(When::rpc("Insert"), then));
        let error = connection
            .call_with(
                &rpc::INSERT,
                insert(),
                CallOptions::timeout(Duration::from_millis(100)),
            )
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.phase(), error.applied()),
            (
                ErrorKind::DeadlineExceeded,
                Phase::Exchange,
                Applied::Unknown
            )
        );
    }
    server.clear_rules();
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    assert_eq!(connection.status().calls_in_flight, 0);
}

#[tokio::test]
async fn answers_that_are_not_grpc_are_told() {
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(once("Insert", Then::NoTrailers));
    let error = connection.call(&rpc::INSERT, insert()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.applied()),
        (ErrorKind::Decode, Applied::Unknown)
    );
    server.rule(once("Insert", Then::HttpStatus(413, "too large".into())));
    let error = connection.call(&rpc::INSERT, insert()).await.unwrap_err();
    assert!(error.to_string().contains("413"), "{error}");
}

#[tokio::test]
async fn a_request_over_the_limit_fails_before_it_is_sent() {
    let server = server().await;
    let mut config = config(&server);
    config.options.max_request_bytes = 1000;
    let connection = Connection::connect("prod", config).await.unwrap();
    let request = InsertRequest {
        collection_name: "d".repeat(2000),
        ..InsertRequest::default()
    };
    let error = connection.call(&rpc::INSERT, request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.applied(), error.attempts()),
        (ErrorKind::RequestTooLarge, Applied::No, 0)
    );
    assert!(error.to_string().contains("1000"), "{error}");
    assert_eq!(server.arrived("Insert"), 0);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_told_and_one_of_many_megabytes_is_not() {
    let server = server().await;
    let connection = connect(&server).await;
    let large = milvus_protocol::milvus::GetVersionResponse {
        version: "v".repeat(20_000_000),
        ..Default::default()
    };
    server.answer(&rpc::GET_VERSION, &large);
    let answer = connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();
    assert_eq!(answer.version.len(), 20_000_000);
    let mut small = config(&server);
    small.options.max_response_bytes = 1_000_000;
    let connection = Connection::connect("small", small).await.unwrap();
    let error = connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
    assert_eq!(connection.status().calls_in_flight, 0);
}

fn wrong_password(call: &Call) -> bool {
    // base64 of `root:new`
    call.metadata_text("authorization") != Some("cm9vdDpuZXc=")
}

#[tokio::test]
async fn refused_credentials_are_final_unless_they_have_changed_meanwhile() {
    let server = server().await;
    let scratch = milvus_testkit::Scratch::new("rotation").unwrap();
    let path = scratch.write("password", "old\n").unwrap();
    let source = CredentialSource::File {
        user: Some("root".into()),
        path: path.clone(),
    };
    let connection = Connection::connect("prod", config(&server).credentials(source))
        .await
        .unwrap();
    server.rule(Rule::new(
        When::any().and(wrong_password),
        Then::GrpcStatus(16, "auth check failure".into()),
    ));
    let error = connection.call(&rpc::INSERT, insert()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Unauthenticated, 1)
    );
    scratch.write("password", "new\n").unwrap();
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    assert_eq!(
        connection.status().channels.len(),
        1,
        "a new password needs no new channel"
    );
}

#[tokio::test]
async fn updated_credentials_are_used_by_the_next_attempt() {
    let server = server().await;
    let connection = Connection::connect(
        "prod",
        config(&server).credentials(Credentials::password("root", "old")),
    )
    .await
    .unwrap();
    let channel = connection.status().channels[0].id;
    server.rule(Rule::new(
        When::any().and(wrong_password),
        Then::GrpcStatus(16, "auth check failure".into()),
    ));
    connection.call(&rpc::INSERT, insert()).await.unwrap_err();
    connection.update_credentials(Credentials::password("root", "new"));
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    assert_eq!(connection.status().channels[0].id, channel);
}

#[tokio::test]
async fn every_call_carries_milvus_metadata() {
    let server = server().await;
    let config = config(&server)
        .credentials(Credentials::password("root", "Milvus"))
        .database("books");
    let connection = Connection::connect("prod", config).await.unwrap();
    connection.call(&rpc::INSERT, insert()).await.unwrap();
    let calls = server.calls();
    let call = calls.iter().find(|call| call.rpc() == "Insert").unwrap();
    assert_eq!(
        call.metadata_text("authorization"),
        Some("cm9vdDpNaWx2dXM=")
    );
    assert_eq!(call.metadata_text("dbname"), Some("books"));
    assert!(call.metadata_text("identifier").is_some());
    assert!(call.metadata_text("client-request-id").is_some());
    assert!(
        call.metadata_text("client-request-unixmsec")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 1_700_000_000_000
    );
    assert!(call.metadata_text("grpc-timeout").unwrap().ends_with('m'));
    assert_eq!(call.decode::<InsertRequest>().unwrap().db_name, "books");
}

#[tokio::test]
async fn streams_of_messages_end_well_or_say_why() {
    use milvus_protocol::milvus::{DumpMessagesRequest, DumpMessagesResponse};
    let server = server().await;
    let connection = connect(&server).await;
    server.rule(
        Rule::new(
            When::rpc("DumpMessages"),
            Then::message(&DumpMessagesResponse::default()),
        )
        .times(1),
    );
    server.rule(Rule::new(
        When::rpc("DumpMessages"),
        Then::GrpcStatus(12, "unknown method".into()),
    ));
    let (mut sender, mut receiver) = connection.open_stream(&rpc::DUMP_MESSAGES).await.unwrap();
    sender
        .send(&DumpMessagesRequest {
            pchannel: "p".repeat(200_000),
            ..DumpMessagesRequest::default()
        })
        .await
        .unwrap();
    sender.finish().unwrap();
    receiver.next().await.unwrap().unwrap();
    assert!(receiver.next().await.is_none());
    drop(receiver);
    assert_eq!(connection.status().calls_in_flight, 0);
    let (sender, mut receiver) = connection.open_stream(&rpc::DUMP_MESSAGES).await.unwrap();
    sender.finish().unwrap();
    let error = receiver.next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.rpc()),
        (ErrorKind::Unimplemented, Some("DumpMessages"))
    );
    assert!(receiver.next().await.is_none());
}
