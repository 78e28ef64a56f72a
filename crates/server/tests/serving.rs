//! A served service, used by a real client of it: plain, with TLS, with credentials, over a Unix socket, through a stop.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use milvus_protocol::milvus::{
    ConnectRequest, ConnectResponse, GetVersionRequest, GetVersionResponse,
};
use milvus_protocol::rpc;
use milvus_protocol::server::{MilvusService, MilvusServiceServer};
use milvus_server::{Authenticate, Listen, ServeOptions, Server, ServerTls, Stopped};
use milvus_testkit::{Certificates, Scratch};
use milvus_transport::{
    ConnectFailure, Connection, ConnectionConfig, Credentials, ErrorKind, TlsOptions, parse_uri,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

struct Slow(Duration);

impl MilvusService for Slow {
    async fn connect(
        &self,
        _: Request<ConnectRequest>,
    ) -> Result<Response<ConnectResponse>, Status> {
        Ok(Response::new(ConnectResponse {
            identifier: 7,
            ..ConnectResponse::default()
        }))
    }

    async fn get_version(
        &self,
        _: Request<GetVersionRequest>,
    ) -> Result<Response<GetVersionResponse>, Status> {
        tokio::time::sleep(self.0).await;
        Ok(Response::new(GetVersionResponse {
            version: "v9".into(),
            ..GetVersionResponse::default()
        }))
    }
}

struct Root;

impl Authenticate for Root {
    fn verify_password(&self, user: &str, password: &str) -> Option<u64> {
        ((user, password) == ("root", "Milvus")).then_some(1)
    }

    fn password_revision(&self, user: &str) -> Option<u64> {
        (user == "root").then_some(1)
    }
}

struct Running {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<Stopped>,
}

async fn start(options: ServeOptions, answer_after: Duration) -> Running {
    let server = Server::bind(options).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(
        server.run(MilvusServiceServer::new(Slow(answer_after)), async {
            drop(stopped.await)
        }),
    );
    Running {
        address,
        stop: Some(stop),
        task,
    }
}

fn tcp() -> ServeOptions {
    ServeOptions::new(Listen::Tcp(([127, 0, 0, 1], 0).into()))
}

fn config(uri: &str) -> ConnectionConfig {
    ConnectionConfig::new(parse_uri(uri).unwrap().target)
}

async fn version(config: ConnectionConfig) -> String {
    let connection = Connection::connect("served", config).await.unwrap();
    let answer = connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();
    connection.close().await;
    answer.version
}

#[tokio::test]
async fn serves_on_tcp_and_says_what_it_lacks() {
    let server = start(tcp(), Duration::ZERO).await;
    assert_eq!(
        version(config(&format!("http://{}", server.address))).await,
        "v9"
    );
    let connection = Connection::connect("served", config(&format!("http://{}", server.address)))
        .await
        .unwrap();
    let error = connection
        .call(&rpc::SHOW_COLLECTIONS, Default::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
}

#[tokio::test]
async fn serves_on_a_unix_socket_that_only_its_owner_may_open() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("served").unwrap();
    let path = scratch.path().join("milvus.sock");
    // What a killed server leaves behind does not keep the next one from starting.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut server = start(
        ServeOptions::new(Listen::Unix(path.clone())),
        Duration::ZERO,
    )
    .await;
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(version(config(&server.address)).await, "v9");
    let second = Server::bind(ServeOptions::new(Listen::Unix(path.clone())))
        .await
        .unwrap_err();
    assert!(
        second.to_string().contains("something else does already"),
        "{second}"
    );
    server.stop.take().unwrap().send(()).unwrap();
    server.task.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn serves_with_one_way_and_mutual_tls() {
    let scratch = Scratch::new("served-tls").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let identity = certificates.server();
    for client_ca in [None, Some(certificates.ca())] {
        let mut options = tcp();
        let mutual = client_ca.is_some();
        options.tls = Some(ServerTls {
            certificate: identity.certificate.clone(),
            key: identity.key.clone(),
            client_ca,
        });
        let server = start(options, Duration::ZERO).await;
        let mut tls = TlsOptions::default();
        tls.ca_pem_path = Some(certificates.ca());
        let uri = format!("https://{}", server.address);
        if mutual {
            let error = Connection::connect("served", config(&uri).tls(tls.clone()))
                .await
                .unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::Connect(ConnectFailure::ClientCertificateRequired),
                "{error}"
            );
            tls.client_pem_path = Some(certificates.client().certificate);
            tls.client_key_path = Some(certificates.client().key);
        }
        assert_eq!(version(config(&uri).tls(tls)).await, "v9");
    }
}

#[tokio::test]
async fn asks_for_credentials() {
    let mut options = tcp();
    options.authentication = Some(Arc::new(Root));
    let server = start(options, Duration::ZERO).await;
    let plain = config(&format!("http://{}", server.address));
    let failure = |error: milvus_transport::Error| error.kind();
    let error = Connection::connect("served", plain.clone())
        .await
        .unwrap_err();
    assert_eq!(
        failure(error),
        ErrorKind::Connect(ConnectFailure::CredentialsRequired)
    );
    let wrong = plain
        .clone()
        .credentials(Credentials::password("root", "wrong"));
    assert_eq!(
        failure(Connection::connect("served", wrong).await.unwrap_err()),
        ErrorKind::Connect(ConnectFailure::WrongCredentials)
    );
    assert_eq!(
        version(plain.credentials(Credentials::password("root", "Milvus"))).await,
        "v9"
    );
}

#[tokio::test]
async fn a_stop_lets_calls_in_flight_end() {
    let mut server = start(tcp(), Duration::from_millis(500)).await;
    let connection = Connection::connect("served", config(&format!("http://{}", server.address)))
        .await
        .unwrap();
    let call = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection
                .call(&rpc::GET_VERSION, GetVersionRequest {})
                .await
        }
    });
    while connection.status().calls_in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(call.await.unwrap().unwrap().version, "v9");
    let stopped = tokio::time::timeout(Duration::from_secs(20), server.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stopped.calls_cut, 0);
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_deadline_is_cut_and_counted() {
    let mut options = tcp();
    options.drain_timeout = Duration::from_millis(50);
    let mut server = start(options, Duration::from_secs(300)).await;
    let connection = Connection::connect("served", config(&format!("http://{}", server.address)))
        .await
        .unwrap();
    let call = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection
                .call(&rpc::GET_VERSION, GetVersionRequest {})
                .await
        }
    });
    while connection.status().calls_in_flight == 0 || !in_flight(&server.address, 1).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(server.task.await.unwrap().calls_cut, 1);
    call.abort();
}

#[tokio::test]
async fn more_calls_than_allowed_are_told_to_come_again() {
    let mut options = tcp();
    options.max_calls = 1;
    let server = start(options, Duration::from_secs(300)).await;
    let mut config = config(&format!("http://{}", server.address));
    config.options.retry = false;
    let connection = Connection::connect("served", config).await.unwrap();
    let first = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection
                .call(&rpc::GET_VERSION, GetVersionRequest {})
                .await
        }
    });
    while !in_flight(&server.address, 1).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let refused = connection
        .call(&rpc::SHOW_COLLECTIONS, Default::default())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(
        refused.to_string().contains("send the call again"),
        "{refused}"
    );
    first.abort();
}

#[tokio::test]
async fn several_addresses_are_answered_alike() {
    let scratch = Scratch::new("served-twice").unwrap();
    let path = scratch.path().join("milvus.sock");
    let mut options = tcp();
    options.listen.push(Listen::Unix(path.clone()));
    let server = start(options, Duration::ZERO).await;
    for _ in 0..3 {
        for uri in [
            format!("http://{}", server.address),
            format!("unix:{}", path.display()),
        ] {
            assert_eq!(version(config(&uri)).await, "v9");
        }
    }
}

/// Whether `/metrics` tells of so many calls in flight.
async fn in_flight(address: &str, calls: u64) -> bool {
    let metrics = get(address, "/metrics").await;
    metrics.contains(&format!("\nmilvus_server_calls_in_flight {calls}\n"))
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn probes_and_prometheus_are_answered_over_http_1() {
    let server = start(tcp(), Duration::ZERO).await;
    version(config(&format!("http://{}", server.address))).await;
    let get = async |path: &str| get(&server.address, path).await;
    let health = get("/healthz").await;
    assert!(
        health.starts_with("HTTP/1.1 200") && health.ends_with("OK"),
        "{health}"
    );
    let metrics = get("/metrics").await;
    assert!(
        metrics.contains("\nmilvus_server_calls_total 2\n"),
        "{metrics}"
    );
    assert!(get("/").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn probes_can_have_an_address_of_their_own() {
    let mut options = tcp();
    options.probes = Some(Listen::Tcp(([127, 0, 0, 1], 0).into()));
    // Not even one connection is left for a probe on the other address.
    options.max_connections = 1;
    options.drain_timeout = Duration::from_secs(300);
    let server = Server::bind(options).await.unwrap();
    let (address, probes) = (server.address(), server.probes_address().unwrap());
    assert_ne!(address, probes);
    let (stop, stopped) = oneshot::channel::<()>();
    let service = MilvusServiceServer::new(Slow(Duration::from_secs(300)));
    let task = tokio::spawn(server.run(service, async { drop(stopped.await) }));
    let connection = Connection::connect("served", config(&format!("http://{address}")))
        .await
        .unwrap();
    let call = tokio::spawn(async move {
        connection
            .call(&rpc::GET_VERSION, GetVersionRequest {})
            .await
    });
    while !in_flight(&probes, 1).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(get(&probes, "/healthz").await.ends_with("OK"));
    // A load balancer learns of the stop while the last call is being answered.
    stop.send(()).unwrap();
    while !get(&probes, "/healthz").await.starts_with("HTTP/1.1 503") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!task.is_finished());
    task.abort();
    call.abort();
}

#[tokio::test]
async fn with_an_address_of_their_own_probes_are_not_answered_elsewhere() {
    let mut options = tcp();
    options.probes = Some(Listen::Tcp(([127, 0, 0, 1], 0).into()));
    let server = start(options, Duration::ZERO).await;
    for path in ["/healthz", "/metrics"] {
        let answer = get(&server.address, path).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(!answer.contains("milvus_server_"), "{answer}");
    }
}

#[tokio::test]
async fn a_relative_socket_is_told_with_its_whole_path() {
    let scratch = Scratch::new("served-relative").unwrap();
    let here = std::env::current_dir().unwrap();
    // From here up to the root and down again: a relative path of a socket that is elsewhere.
    let up: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(scratch.path().strip_prefix("/").unwrap()).join("s");
    let server = Server::bind(ServeOptions::new(Listen::Unix(relative)))
        .await
        .unwrap();
    let address = server.address();
    let path = address.strip_prefix("unix:").unwrap();
    assert!(path.starts_with('/'), "{address}");
    assert!(std::path::Path::new(path).exists(), "{address}");
}
