//! `grpc.health.v1` as Kubernetes and Envoy ask it: over plain TCP, without credentials, of a server that asks everybody else for them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use milvus_protocol::health::health_check_response::ServingStatus;
use milvus_protocol::health::{HealthCheckRequest, HealthCheckResponse};
use milvus_protocol::server::{MilvusService, MilvusServiceServer};
use milvus_server::{Authenticate, Listen, ServeOptions, Server, Stopped};
use prost::Message as _;
use tokio::sync::oneshot;

struct Nothing;

impl MilvusService for Nothing {}

/// Lets nobody in.
struct Nobody;

impl Authenticate for Nobody {
    fn verify_password(&self, _: &str, _: &str) -> Option<u64> {
        None
    }

    fn password_revision(&self, _: &str) -> Option<u64> {
        None
    }
}

struct Running {
    address: String,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Stopped>,
}

async fn start() -> Running {
    let mut options = ServeOptions::new(Listen::Tcp(([127, 0, 0, 1], 0).into()));
    options.authentication = Some(Arc::new(Nobody));
    // A probe must be answered when nothing else is.
    options.max_calls = 0;
    options.drain_timeout = Duration::from_secs(300);
    let server = Server::bind(options).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let service = MilvusServiceServer::new(Nothing);
    let task = tokio::spawn(server.run(service, async { drop(stopped.await) }));
    Running {
        address,
        stop,
        task,
    }
}

/// A gRPC client that shows no credentials.
struct Probe(h2::client::SendRequest<Bytes>);

/// The answers of one call, one after the other.
struct Answers {
    body: h2::RecvStream,
    read: BytesMut,
    /// The status when there are no answers.
    refusal: Option<String>,
}

impl Probe {
    async fn connect(address: &str) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(requests)
    }

    async fn call(&self, path: &str, service: &str) -> Answers {
        let message = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut frame = vec![0];
        frame.extend((message.encoded_len() as u32).to_be_bytes());
        message.encode(&mut frame).unwrap();
        let request = http::Request::post(format!("http://served/{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut requests = self.0.clone().ready().await.unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        body.send_data(frame.into(), true).unwrap();
        let response = response.await.unwrap();
        let refusal = response.headers().get("grpc-status");
        let refusal = refusal.map(|status| status.to_str().unwrap().to_owned());
        Answers {
            body: response.into_body(),
            read: BytesMut::new(),
            refusal,
        }
    }

    async fn check(&self, service: &str) -> Result<ServingStatus, String> {
        let mut answers = self.call("grpc.health.v1.Health/Check", service).await;
        match answers.refusal.take() {
            Some(status) => Err(status),
            None => Ok(answers.next().await.unwrap()),
        }
    }

    async fn watch(&self, service: &str) -> Answers {
        self.call("grpc.health.v1.Health/Watch", service).await
    }
}

impl Answers {
    /// `None` when the stream has ended well.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            if let Some(length) = self.read.get(1..5) {
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if self.read.len() >= 5 + length {
                    self.read.advance(5);
                    let message = self.read.split_to(length).freeze();
                    let answer = HealthCheckResponse::decode(message).unwrap();
                    return Some(answer.status());
                }
            }
            let Some(data) = self.body.data().await else {
                let trailers = self.body.trailers().await.unwrap().unwrap();
                assert_eq!(trailers["grpc-status"], "0");
                return None;
            };
            let data = data.unwrap();
            self.body
                .flow_control()
                .release_capacity(data.len())
                .unwrap();
            self.read.extend_from_slice(&data);
        }
    }
}

const MILVUS: &str = "milvus.proto.milvus.MilvusService";

#[tokio::test]
async fn a_check_needs_no_credentials_and_no_place_among_the_calls() {
    let server = start().await;
    let probe = Probe::connect(&server.address).await;
    assert_eq!(probe.check("").await, Ok(ServingStatus::Serving));
    assert_eq!(probe.check(MILVUS).await, Ok(ServingStatus::Serving));
    // NOT_FOUND, UNAUTHENTICATED, UNIMPLEMENTED.
    assert_eq!(probe.check("other.Service").await, Err("5".into()));
    let other = probe.call(&format!("{MILVUS}/GetVersion"), "").await;
    assert_eq!(other.refusal.as_deref(), Some("16"));
    let other = probe.call("grpc.health.v1.Health/List", "").await;
    assert_eq!(other.refusal.as_deref(), Some("12"));
}

#[tokio::test]
async fn who_watches_learns_of_the_stop_and_does_not_hold_it_up() {
    let server = start().await;
    let probe = Probe::connect(&server.address).await;
    let mut watched = [probe.watch("").await, probe.watch(MILVUS).await];
    for answers in &mut watched {
        assert_eq!(answers.next().await, Some(ServingStatus::Serving));
    }
    let mut unknown = probe.watch("other.Service").await;
    assert_eq!(unknown.next().await, Some(ServingStatus::ServiceUnknown));
    server.stop.send(()).unwrap();
    for answers in &mut watched {
        assert_eq!(answers.next().await, Some(ServingStatus::NotServing));
        assert_eq!(answers.next().await, None);
    }
    assert_eq!(unknown.next().await, None);
    drop(probe);
    assert_eq!(server.task.await.unwrap().calls_cut, 0);
}

#[tokio::test]
async fn watchers_are_bounded_and_one_that_goes_makes_room() {
    let server = start().await;
    let mut watchers = Vec::new();
    let mut refused = 0;
    // Two connections, because one has at most 1,000 streams.
    for _ in 0..2 {
        let probe = Probe::connect(&server.address).await;
        for _ in 0..600 {
            let mut answers = probe.watch("").await;
            if answers.refusal.as_deref() == Some("14") {
                refused += 1;
            } else {
                assert_eq!(answers.next().await, Some(ServingStatus::Serving));
                watchers.push(answers);
            }
        }
    }
    assert_eq!((watchers.len(), refused), (1_000, 200));
    drop(watchers);
    let probe = Probe::connect(&server.address).await;
    while probe.watch("").await.refusal.is_some() {
        tokio::task::yield_now().await;
    }
}
