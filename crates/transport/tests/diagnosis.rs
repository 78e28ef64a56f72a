//! Every way in which a connect can fail, produced for real: `connect` and `diagnose` name the same failure, each with
//! words of its own, and neither waits longer than it takes to know.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use milvus_testkit::fault::{
    FaultListener, FaultServer, FaultServerOptions, FaultTls, ListenerFault, Rule, Then, When,
};
use milvus_testkit::ports::free_port;
use milvus_testkit::{Certificates, Identity, Scratch};
use milvus_transport::{
    ConnectFailure, Connection, ConnectionConfig, ConnectionOptions, Credentials, ErrorKind, Step,
    StepOutcome, TlsOptions, diagnose, parse_uri,
};

fn config(uri: &str) -> ConnectionConfig {
    let mut options = ConnectionOptions::default();
    options.dial_timeout = Duration::from_millis(700);
    ConnectionConfig::new(parse_uri(uri).unwrap().target).options(options)
}

fn trusting(certificates: &Certificates) -> TlsOptions {
    let mut tls = TlsOptions::default();
    tls.ca_pem_path = Some(certificates.ca());
    tls
}

/// Connects and diagnoses; both must find `expected`, the diagnosis at `step`.
async fn check(config: &ConnectionConfig, expected: ConnectFailure, step: Step) -> String {
    let error = Connection::connect("prod", config.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect(expected), "{error}");
    let diagnosis = diagnose("prod", config).await;
    let failed = diagnosis
        .first_failure()
        .unwrap_or_else(|| panic!("healthy: {diagnosis:?}"));
    assert_eq!(
        (failed.failure, failed.step),
        (Some(expected), step),
        "{diagnosis:?}"
    );
    let steps = &diagnosis.endpoints[0].steps;
    assert_eq!(steps.len(), Step::ALL.len());
    for (found, step) in steps.iter().zip(Step::ALL) {
        assert_eq!(found.step, step);
        let reached = matches!(found.outcome, StepOutcome::Passed | StepOutcome::NotNeeded);
        assert_eq!(reached, step < failed.step, "{found:?}");
    }
    assert!(
        error.to_string().contains("prod") && error.to_string().contains(error.address()),
        "{error}"
    );
    error.hint().unwrap();
    error.to_string()
}

async fn fault_server(tls: Option<FaultTls>) -> FaultServer {
    FaultServer::start(FaultServerOptions {
        tls,
        ..FaultServerOptions::default()
    })
    .await
    .unwrap()
}

async fn listener(fault: ListenerFault) -> (FaultListener, SocketAddr) {
    let listener = FaultListener::start(fault).await.unwrap();
    let address = listener.address();
    (listener, address)
}

#[tokio::test]
async fn dns_name_unknown() {
    check(
        &config("http://no-such-host.invalid:19530"),
        ConnectFailure::DnsNameUnknown,
        Step::Dns,
    )
    .await;
}

#[tokio::test]
async fn refused() {
    let port = free_port().unwrap();
    check(
        &config(&format!("http://127.0.0.1:{port}")),
        ConnectFailure::Refused,
        Step::Tcp,
    )
    .await;
}

#[tokio::test]
async fn no_route() {
    // The kernel has no TCP route to a broadcast address, and sends nothing to find out.
    check(
        &config("http://255.255.255.255:19530"),
        ConnectFailure::Unreachable,
        Step::Tcp,
    )
    .await;
}

#[tokio::test]
async fn timeout() {
    let (_listener, address) = listener(ListenerFault::FullBacklog).await;
    check(
        &config(&format!("http://{address}")),
        ConnectFailure::TimedOut,
        Step::Tcp,
    )
    .await;
}

#[tokio::test]
async fn socket_missing() {
    let scratch = Scratch::new("socket-missing").unwrap();
    check(
        &config(&format!("unix:{}/milvus.sock", scratch.path().display())),
        ConnectFailure::SocketMissing,
        Step::Tcp,
    )
    .await;
}

#[tokio::test]
async fn plain_http_1_server() {
    let (_listener, address) = listener(ListenerFault::HttpOne).await;
    let text = check(
        &config(&format!("http://{address}")),
        ConnectFailure::HttpOneServer,
        Step::Http2,
    )
    .await;
    assert!(text.contains("HTTP/1.1 400"), "{text}");
}

#[tokio::test]
async fn not_http_at_all() {
    let (_listener, address) =
        listener(ListenerFault::Bytes("SSH-2.0-OpenSSH_9.2\r\n".into())).await;
    check(
        &config(&format!("http://{address}")),
        ConnectFailure::NotHttp2,
        Step::Http2,
    )
    .await;
}

#[tokio::test]
async fn closed_at_once() {
    let (_listener, address) = listener(ListenerFault::CloseAtOnce).await;
    check(
        &config(&format!("http://{address}")),
        ConnectFailure::ClosedAtOnce,
        Step::Http2,
    )
    .await;
}

#[tokio::test]
async fn proxy_not_ready_by_silence() {
    let (_listener, address) = listener(ListenerFault::Silent).await;
    check(
        &config(&format!("http://{address}")),
        ConnectFailure::ProxyNotReady,
        Step::Http2,
    )
    .await;
}

#[tokio::test]
async fn proxy_not_ready_in_its_own_words() {
    for then in [
        Then::in_band(1, "service not ready[proxy=3]: Initializing"),
        Then::GrpcStatus(
            14,
            "internal: Milvus Proxy is not ready yet. please wait".into(),
        ),
        Then::GrpcStatus(
            2,
            "service unavailable: internal: Milvus Proxy is not ready yet. please wait".into(),
        ),
        Then::HttpStatus(503, "no healthy upstream".into()),
    ] {
        let server = fault_server(None).await;
        server.rule(Rule::new(When::rpc("Connect"), then));
        check(
            &config(&format!("http://{}", server.address())),
            ConnectFailure::ProxyNotReady,
            Step::Handshake,
        )
        .await;
    }
}

#[tokio::test]
async fn http_2_but_no_milvus() {
    let server = fault_server(None).await;
    server.rule(Rule::new(
        When::any(),
        Then::HttpStatus(404, "not found".into()),
    ));
    check(
        &config(&format!("http://{}", server.address())),
        ConnectFailure::NotMilvus,
        Step::Handshake,
    )
    .await;
}

#[tokio::test]
async fn grpc_but_no_milvus() {
    let server = fault_server(None).await;
    server.rule(Rule::new(
        When::any(),
        Then::GrpcStatus(12, "unknown service".into()),
    ));
    check(
        &config(&format!("http://{}", server.address())),
        ConnectFailure::NotMilvus,
        Step::Handshake,
    )
    .await;
}

#[tokio::test]
async fn wrong_password_and_missing_password() {
    let server = fault_server(None).await;
    server.rule(Rule::new(
        When::any(),
        Then::GrpcStatus(
            16,
            "auth check failure, please check username and password are correct".into(),
        ),
    ));
    let plain = config(&format!("http://{}", server.address()));
    check(
        &plain,
        ConnectFailure::CredentialsRequired,
        Step::Authentication,
    )
    .await;
    check(
        &plain.credentials(Credentials::password("root", "wrong")),
        ConnectFailure::WrongCredentials,
        Step::Authentication,
    )
    .await;
}

#[tokio::test]
async fn unknown_database() {
    let server = fault_server(None).await;
    let named = When::rpc("Connect").and(|call| call.metadata_text("dbname") == Some("nope"));
    server.rule(Rule::new(
        named,
        Then::in_band(800, "database not found[database=nope]"),
    ));
    let text = check(
        &config(&format!("http://{}", server.address())).database("nope"),
        ConnectFailure::UnknownDatabase,
        Step::Database,
    )
    .await;
    assert!(text.contains("nope"), "{text}");
}

#[tokio::test]
async fn tls_server_spoken_to_in_plain_text() {
    let scratch = Scratch::new("tls-required").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let server = fault_server(Some(FaultTls::new(certificates.server()))).await;
    check(
        &config(&format!("http://{}", server.address())),
        ConnectFailure::TlsRequired,
        Step::Http2,
    )
    .await;
}

#[tokio::test]
async fn plain_server_spoken_to_with_tls() {
    let scratch = Scratch::new("tls-not-spoken").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let server = fault_server(None).await;
    let config = config(&format!("https://{}", server.address())).tls(trusting(&certificates));
    check(&config, ConnectFailure::TlsNotSpoken, Step::Tls).await;
}

#[tokio::test]
async fn certificates_that_can_not_be_trusted() {
    let scratch = Scratch::new("certificates").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let cases: [(Identity, ConnectFailure); 4] = [
        (certificates.expired(), ConnectFailure::CertificateExpired),
        (
            certificates.not_yet_valid(),
            ConnectFailure::CertificateNotYetValid,
        ),
        (
            certificates.other_name(),
            ConnectFailure::CertificateNameMismatch,
        ),
        (
            certificates.unknown_authority(),
            ConnectFailure::UnknownCertificateAuthority,
        ),
    ];
    for (identity, expected) in cases {
        let server = fault_server(Some(FaultTls::new(identity))).await;
        let config = config(&format!("https://localhost:{}", server.address().port()))
            .tls(trusting(&certificates));
        check(&config, expected, Step::Tls).await;
    }
}

#[tokio::test]
async fn client_certificates_that_are_missing_or_refused() {
    let scratch = Scratch::new("client-certificates").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let tls = FaultTls {
        client_ca: Some(certificates.ca()),
        ..FaultTls::new(certificates.server())
    };
    let server = fault_server(Some(tls)).await;
    let without = config(&format!("https://localhost:{}", server.address().port()))
        .tls(trusting(&certificates));
    check(
        &without,
        ConnectFailure::ClientCertificateRequired,
        Step::Tls,
    )
    .await;
    let mut stranger = without.clone();
    stranger.tls.client_pem_path = Some(certificates.unknown_client().certificate);
    stranger.tls.client_key_path = Some(certificates.unknown_client().key);
    check(
        &stranger,
        ConnectFailure::ClientCertificateRefused,
        Step::Tls,
    )
    .await;
}

#[tokio::test]
async fn tls_without_http_2() {
    let scratch = Scratch::new("alpn").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    for protocols in [vec!["http/1.1".to_owned()], vec![]] {
        let server = fault_server(Some(FaultTls {
            protocols,
            ..FaultTls::new(certificates.server())
        }))
        .await;
        let config = config(&format!("https://localhost:{}", server.address().port()))
            .tls(trusting(&certificates));
        check(&config, ConnectFailure::AlpnNotH2, Step::Tls).await;
    }
}

#[tokio::test]
async fn files_that_can_not_be_used() {
    let mut config = config("https://localhost:1");
    config.tls.ca_pem_path = Some("/no/such/file.pem".into());
    let text = check(
        &config,
        ConnectFailure::InvalidConfiguration,
        Step::Configuration,
    )
    .await;
    assert!(
        text.contains("ca_pem_path") && text.contains("/no/such/file.pem"),
        "{text}"
    );
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_as_it_is() {
    let scratch = Scratch::new("pinned").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let server = fault_server(Some(FaultTls::new(certificates.unknown_authority()))).await;
    let mut config = config(&format!("https://localhost:{}", server.address().port()));
    config.tls.server_pem_path = Some(certificates.unknown_authority().certificate);
    Connection::connect("pinned", config.clone()).await.unwrap();
    assert!(diagnose("pinned", &config).await.healthy);
}

#[tokio::test]
async fn a_healthy_target_passes_every_step() {
    let server = fault_server(None).await;
    let diagnosis = diagnose("prod", &config(&format!("http://{}", server.address()))).await;
    assert!(diagnosis.healthy, "{diagnosis:?}");
    let json = serde_json::to_value(&diagnosis).unwrap();
    assert_eq!(
        json["endpoints"][0]["steps"].as_array().unwrap().len(),
        Step::ALL.len()
    );
}

#[test]
fn every_failure_has_words_of_its_own() {
    let failures = [
        ConnectFailure::DnsNameUnknown,
        ConnectFailure::DnsFailed,
        ConnectFailure::Refused,
        ConnectFailure::Unreachable,
        ConnectFailure::TimedOut,
        ConnectFailure::SocketMissing,
        ConnectFailure::SocketForbidden,
        ConnectFailure::ClosedAtOnce,
        ConnectFailure::HttpOneServer,
        ConnectFailure::TlsRequired,
        ConnectFailure::TlsNotSpoken,
        ConnectFailure::CertificateExpired,
        ConnectFailure::CertificateNotYetValid,
        ConnectFailure::CertificateNameMismatch,
        ConnectFailure::UnknownCertificateAuthority,
        ConnectFailure::CertificateInvalid,
        ConnectFailure::ClientCertificateRequired,
        ConnectFailure::ClientCertificateRefused,
        ConnectFailure::ServerNameRefused,
        ConnectFailure::AlpnNotH2,
        ConnectFailure::TlsIncompatible,
        ConnectFailure::TlsFailed,
        ConnectFailure::NotHttp2,
        ConnectFailure::NotMilvus,
        ConnectFailure::WrongCredentials,
        ConnectFailure::CredentialsRequired,
        ConnectFailure::CredentialsUnreadable,
        ConnectFailure::UnknownDatabase,
        ConnectFailure::PermissionDenied,
        ConnectFailure::ProxyNotReady,
        ConnectFailure::HandshakeFailed,
        ConnectFailure::HandshakeBroken,
        ConnectFailure::ChannelLost,
        ConnectFailure::InvalidConfiguration,
        ConnectFailure::NotBuiltIn,
    ];
    let meanings: HashSet<_> = failures.iter().map(|failure| failure.meaning()).collect();
    assert_eq!(meanings.len(), failures.len());
    let table: Vec<_> = failures
        .iter()
        .map(|failure| format!("{}\n    {}", failure.meaning(), failure.hint()))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}
