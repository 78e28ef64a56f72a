//! What calls may cost: who is not known yet takes no place of those who are, and nobody is waited for longer than he waits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use milvus_protocol::milvus::{
    ConnectRequest, ConnectResponse, GetVersionRequest, GetVersionResponse,
};
use milvus_protocol::rpc;
use milvus_protocol::server::{MilvusService, MilvusServiceServer};
use milvus_server::{Authenticate, Listen, ServeOptions, Server};
use milvus_transport::{Connection, ConnectionConfig, Credentials, parse_uri};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

/// Answers at once, but for `GetVersion`: never. Tells when that one was given up.
#[derive(Default)]
struct Stuck {
    begun: Notify,
    given_up: Arc<Notify>,
}

struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

struct Shared(Arc<Stuck>);

impl MilvusService for Shared {
    async fn connect(
        &self,
        _: Request<ConnectRequest>,
    ) -> Result<Response<ConnectResponse>, Status> {
        Ok(Response::new(ConnectResponse::default()))
    }

    async fn get_version(
        &self,
        _: Request<GetVersionRequest>,
    ) -> Result<Response<GetVersionResponse>, Status> {
        let _tell = Tell(Arc::clone(&self.0.given_up));
        self.0.begun.notify_one();
        std::future::pending().await
    }
}

/// root's password is `Milvus`; every other password takes until the end of the test.
#[derive(Default)]
struct SlowToRefuse {
    over: Mutex<bool>,
    told: Condvar,
    hashing: AtomicUsize,
}

impl Authenticate for SlowToRefuse {
    fn verify_password(&self, user: &str, password: &str) -> Option<u64> {
        if (user, password) == ("root", "Milvus") {
            return Some(1);
        }
        self.hashing.fetch_add(1, Ordering::SeqCst);
        let over = self.over.lock().unwrap();
        drop(self.told.wait_while(over, |over| !*over).unwrap());
        None
    }

    fn password_revision(&self, user: &str) -> Option<u64> {
        (user == "root").then_some(1)
    }
}

fn tcp() -> ServeOptions {
    ServeOptions::new(Listen::Tcp(([127, 0, 0, 1], 0).into()))
}

async fn start(options: ServeOptions) -> (String, Arc<Stuck>) {
    let server = Server::bind(options).await.unwrap();
    let uri = format!("http://{}", server.address());
    let stuck = Arc::new(Stuck::default());
    let service = MilvusServiceServer::new(Shared(Arc::clone(&stuck)));
    tokio::spawn(server.run(service, std::future::pending()));
    (uri, stuck)
}

fn config(uri: &str, password: &str) -> ConnectionConfig {
    let mut config = ConnectionConfig::new(parse_uri(uri).unwrap().target)
        .credentials(Credentials::password("root", password));
    config.options.retry = false;
    config
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_takes_no_place_of_those_who_are_known() {
    let users = Arc::new(SlowToRefuse::default());
    let mut options = tcp();
    options.authentication = Some(Arc::clone(&users) as Arc<dyn Authenticate>);
    options.max_calls = 2;
    let (uri, _) = start(options).await;
    let known = Connection::connect("known", config(&uri, "Milvus"))
        .await
        .unwrap();
    let flood: Vec<_> = (0..20)
        .map(|guess| {
            let config = config(&uri, &format!("guess {guess}"));
            tokio::spawn(async move { Connection::connect("guess", config).await })
        })
        .collect();
    while users.hashing.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        let answer = known.call(&rpc::CONNECT, ConnectRequest::default()).await;
        answer.unwrap();
    }
    // All from one address: one hash at a time.
    assert_eq!(users.hashing.load(Ordering::SeqCst), 1);
    *users.over.lock().unwrap() = true;
    users.told.notify_all();
    for guess in flood {
        assert!(guess.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_call_is_given_up_at_its_callers_deadline() {
    let (uri, stuck) = start(tcp()).await;
    // By hand, because our own client gives the call up itself.
    let address = uri.strip_prefix("http://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!(
        "{uri}/milvus.proto.milvus.MilvusService/GetVersion"
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .header("grpc-timeout", "100m")
    .body(())
    .unwrap();
    let mut requests = requests.ready().await.unwrap();
    let (response, mut body) = requests.send_request(request, false).unwrap();
    body.send_data(vec![0; 5].into(), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "4");
    stuck.given_up.notified().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_gives_its_call_up() {
    let (uri, stuck) = start(tcp()).await;
    let connection = Connection::connect("gone", config(&uri, "")).await.unwrap();
    let call = tokio::spawn(async move {
        connection
            .call(&rpc::GET_VERSION, GetVersionRequest {})
            .await
    });
    stuck.begun.notified().await;
    call.abort();
    tokio::time::timeout(Duration::from_secs(60), stuck.given_up.notified())
        .await
        .unwrap();
}
