//! The server side, called as a transport would call it: HTTP requests in, HTTP responses out.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody};
use milvus_protocol::health::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
};
use milvus_protocol::milvus::{
    DumpMessagesRequest, DumpMessagesResponse, GetVersionRequest, GetVersionResponse,
    InsertRequest, MutationResult, ReplicateRequest, ReplicateResponse, SearchRequest,
};
use milvus_protocol::rpc::{self, RpcKind};
use milvus_protocol::server::{
    Health, HealthServer, MessageLimits, MessageStream, MilvusService, MilvusServiceServer,
};
use milvus_protocol::{decode_message, encode_grpc_frame};
use tonic::{Request, Response, Status};
use tower_service::Service as _;

struct Small;

impl MilvusService for Small {
    async fn get_version(
        &self,
        request: Request<GetVersionRequest>,
    ) -> Result<Response<GetVersionResponse>, Status> {
        let database = request
            .metadata()
            .get("dbname")
            .and_then(|value| value.to_str().ok());
        Ok(Response::new(GetVersionResponse {
            version: format!("0.1 in {}", database.unwrap_or("none")),
            ..GetVersionResponse::default()
        }))
    }

    async fn insert(
        &self,
        _request: Request<InsertRequest>,
    ) -> Result<Response<MutationResult>, Status> {
        Err(Status::permission_denied("not for you"))
    }

    async fn dump_messages(
        &self,
        _request: Request<DumpMessagesRequest>,
    ) -> Result<Response<MessageStream<DumpMessagesResponse>>, Status> {
        let messages = [
            Ok(DumpMessagesResponse::default()),
            Ok(DumpMessagesResponse::default()),
            Err(Status::data_loss("gone")),
        ];
        Ok(Response::new(Box::pin(futures_util::stream::iter(
            messages,
        ))))
    }

    async fn create_replicate_stream(
        &self,
        request: Request<MessageStream<ReplicateRequest>>,
    ) -> Result<Response<MessageStream<ReplicateResponse>>, Status> {
        let answers = request
            .into_inner()
            .map(|message| message.map(|_| ReplicateResponse::default()));
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Health for Small {
    async fn check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }
}

/// What came back: gRPC status and text, and the messages before it.
struct Answer {
    code: i32,
    text: String,
    messages: Vec<Bytes>,
}

fn frame<M: prost::Message>(message: &M) -> Bytes {
    encode_grpc_frame(message, usize::MAX)
        .map(|frame| frame.to_bytes())
        .unwrap_or_default()
}

fn post<B>(path: &str, body: B) -> http::Request<B> {
    let mut request = http::Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::builder()
        .path_and_query(path)
        .build()
        .unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/grpc"),
    );
    headers.insert("dbname", http::HeaderValue::from_static("books"));
    request
}

async fn answer_of(response: http::Response<tonic::body::Body>) -> Answer {
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let body = response.into_body();
    let collected = body.collect().await;
    assert!(collected.is_ok(), "{:?}", collected.err());
    let collected = collected.unwrap_or_default();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let mut rest = collected.to_bytes();
    let mut messages = Vec::new();
    while rest.len() >= 5 {
        let prefix = rest.split_to(5);
        let length = prefix[1..]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        messages.push(rest.split_to(length));
    }
    let text = |name: &str| {
        let value = trailers.get(name).or_else(|| headers.get(name));
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    Answer {
        code: text("grpc-status").parse().unwrap_or(-1),
        text: text("grpc-message").replace("%20", " "),
        messages,
    }
}

async fn call(path: &str, body: Bytes) -> Answer {
    let mut server = MilvusServiceServer::new(Small);
    let Ok(response) = server.call(post(path, Full::new(body))).await;
    answer_of(response).await
}

#[tokio::test]
async fn a_written_call_is_answered_with_its_metadata() {
    let answer = call(
        rpc::GET_VERSION.path(),
        frame(&GetVersionRequest::default()),
    )
    .await;
    assert_eq!(answer.code, 0);
    let version: GetVersionResponse = decode_message(answer.messages[0].clone()).unwrap();
    assert_eq!(version.version, "0.1 in books");
}

#[tokio::test]
async fn every_call_that_is_not_written_is_answered_with_unimplemented_and_its_name() {
    let written = [
        "GetVersion",
        "Insert",
        "DumpMessages",
        "CreateReplicateStream",
    ];
    let service = "milvus.proto.milvus.MilvusService";
    let rows = rpc::ALL
        .iter()
        .filter(|row| row.service == service && !written.contains(&row.name));
    for row in rows {
        assert_eq!(row.kind, RpcKind::Unary);
        let answer = call(row.path, Bytes::from_static(&[0; 5])).await;
        assert_eq!(answer.code, 12, "{}", row.name);
        assert_eq!(
            answer.text,
            format!(
                "this server does not offer the call MilvusService/{}",
                row.name
            )
        );
        assert!(answer.messages.is_empty());
    }
}

#[tokio::test]
async fn a_path_of_nobody_is_unimplemented() {
    let answer = call(
        "/milvus.proto.milvus.MilvusService/Fly",
        Bytes::from_static(&[0; 5]),
    )
    .await;
    assert_eq!(answer.code, 12);
    assert!(
        answer.text.ends_with("MilvusService/Fly"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn the_services_own_status_is_passed_on() {
    let answer = call(rpc::INSERT.path(), frame(&InsertRequest::default())).await;
    assert_eq!((answer.code, answer.text.as_str()), (7, "not for you"));
}

#[tokio::test]
async fn bytes_that_are_no_message_are_an_internal_error_that_names_it() {
    let answer = call(
        rpc::GET_VERSION.path(),
        Bytes::from_static(&[0, 0, 0, 0, 1, 0xff]),
    )
    .await;
    assert_eq!(answer.code, 13);
    assert!(answer.text.contains("GetVersionRequest"), "{}", answer.text);
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_by_its_length() {
    let mut limits = MessageLimits::default();
    limits.request = 10;
    let mut server = MilvusServiceServer::new(Small).with_limits(limits);
    let request = SearchRequest {
        collection_name: "a name of more than ten bytes".into(),
        ..SearchRequest::default()
    };
    let Ok(response) = server
        .call(post(rpc::SEARCH.path(), Full::new(frame(&request))))
        .await;
    let answer = answer_of(response).await;
    assert_eq!(answer.code, 11);
    assert!(answer.text.contains("10"), "{}", answer.text);
}

#[tokio::test]
async fn a_response_over_the_limit_becomes_an_error() {
    let mut limits = MessageLimits::default();
    limits.response = 3;
    let mut server = MilvusServiceServer::new(Small).with_limits(limits);
    let body = Full::new(frame(&GetVersionRequest::default()));
    let Ok(response) = server.call(post(rpc::GET_VERSION.path(), body)).await;
    let answer = answer_of(response).await;
    assert_eq!(answer.code, 11);
    assert!(answer.text.contains("limit of 3 bytes"), "{}", answer.text);
    assert!(answer.messages.is_empty());
}

#[tokio::test]
async fn a_stream_gives_its_messages_and_then_its_status() {
    let answer = call(
        rpc::DUMP_MESSAGES.path(),
        frame(&DumpMessagesRequest::default()),
    )
    .await;
    assert_eq!(answer.messages.len(), 2);
    assert_eq!((answer.code, answer.text.as_str()), (15, "gone"));
}

#[tokio::test]
async fn a_stream_in_both_directions_answers_each_message() {
    let frames = (0..3).map(|_| {
        let data = frame(&ReplicateRequest::default());
        Ok::<_, Infallible>(http_body::Frame::data(data))
    });
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let mut server = MilvusServiceServer::new(Small);
    let Ok(response) = server
        .call(post(rpc::CREATE_REPLICATE_STREAM.path(), body))
        .await;
    let answer = answer_of(response).await;
    assert_eq!((answer.code, answer.messages.len()), (0, 3));
}

#[tokio::test]
async fn what_is_not_grpc_is_refused_in_http() {
    let mut server = MilvusServiceServer::new(Small);
    let mut plain = post(rpc::SEARCH.path(), Full::new(Bytes::new()));
    plain.headers_mut().remove("content-type");
    let Ok(response) = server.call(plain).await;
    assert_eq!(response.status(), 415);

    let mut get = post(rpc::SEARCH.path(), Full::new(Bytes::new()));
    *get.method_mut() = http::Method::GET;
    let Ok(response) = server.call(get).await;
    assert_eq!(response.status(), 405);
}

#[tokio::test]
async fn dropping_a_call_drops_the_work() {
    struct Never(std::sync::Arc<()>);
    impl MilvusService for Never {
        async fn get_version(
            &self,
            _request: Request<GetVersionRequest>,
        ) -> Result<Response<GetVersionResponse>, Status> {
            let _held = std::sync::Arc::clone(&self.0);
            std::future::pending().await
        }
    }
    let token = std::sync::Arc::new(());
    let mut server = MilvusServiceServer::new(Never(std::sync::Arc::clone(&token)));
    let body = Full::new(frame(&GetVersionRequest::default()));
    {
        let mut context = Context::from_waker(Waker::noop());
        let mut call = pin!(server.call(post(rpc::GET_VERSION.path(), body)));
        assert!(call.as_mut().poll(&mut context).is_pending());
        assert_eq!(std::sync::Arc::strong_count(&token), 3);
    }
    assert_eq!(std::sync::Arc::strong_count(&token), 2);
}

#[tokio::test]
async fn the_health_service_is_served_the_same_way() {
    let mut server = HealthServer::new(Small);
    assert_eq!(server.service_name(), "grpc.health.v1.Health");
    let body = Full::new(frame(&HealthCheckRequest::default()));
    let Ok(response) = server.call(post(rpc::GRPC_HEALTH_CHECK.path(), body)).await;
    let answer = answer_of(response).await;
    let health: HealthCheckResponse = decode_message(answer.messages[0].clone()).unwrap();
    assert_eq!(health.status(), ServingStatus::Serving);
}
