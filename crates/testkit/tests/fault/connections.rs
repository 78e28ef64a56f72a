//! What happens before HTTP/2, and to whole connections.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream as BlockingStream};
use std::sync::Arc;
use std::time::Duration;

use milvus_testkit::fault::{
    FaultListener, FaultServer, FaultServerOptions, FaultTls, ListenerFault, Rule, Then, When,
};
use milvus_testkit::{Certificates, Identity, Scratch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::client::Client;

#[tokio::test]
async fn calls_can_end_their_connection() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    server.rule(Rule::new(When::rpc("Insert"), Then::Close));
    server.rule(Rule::new(When::rpc("Upsert"), Then::Abort));
    for rpc in ["Insert", "Upsert"] {
        let mut client = Client::connect(server.address()).await;
        assert!(client.call(rpc, b"").await.is_err());
        assert_eq!(server.applied(rpc), 1);
    }
    assert_eq!(server.link().counters().connections, 2);
}

#[tokio::test]
async fn a_server_comes_back_at_its_address() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let client = Client::connect(server.address()).await;
    let address = server.stop().await;
    let _ = client.connection.await.unwrap();
    assert_eq!(
        TcpStream::connect(address).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let options = FaultServerOptions {
        address: Some(address),
        ..FaultServerOptions::default()
    };
    let server = FaultServer::start(options).await.unwrap();
    assert!(
        Client::connect(server.address())
            .await
            .call("Search", b"")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_number_of_streams_is_limited() {
    let options = FaultServerOptions {
        max_concurrent_streams: Some(1),
        ..FaultServerOptions::default()
    };
    let server = FaultServer::start(options).await.unwrap();
    let mut client = Client::connect(server.address()).await;
    client.round_trip().await;
    assert_eq!(client.requests.current_max_send_streams(), 1);
}

async fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn an_http_one_server_says_bad_request() {
    let listener = FaultListener::start(ListenerFault::HttpOne).await.unwrap();
    assert!(
        ask(listener.address())
            .await
            .unwrap()
            .starts_with(b"HTTP/1.1 400 Bad Request\r\n")
    );
    assert_eq!(listener.connections(), 1);
}

#[tokio::test]
async fn a_port_can_close_at_once() {
    let listener = FaultListener::start(ListenerFault::CloseAtOnce)
        .await
        .unwrap();
    // The client sees an end or a reset, whichever comes first; never a byte.
    assert!(
        ask(listener.address())
            .await
            .map_or(true, |answer| answer.is_empty())
    );
    assert_eq!(listener.connections(), 1);
}

#[tokio::test]
async fn a_silent_port_accepts_and_a_full_one_does_not() {
    let silent = FaultListener::start(ListenerFault::Silent).await.unwrap();
    assert!(TcpStream::connect(silent.address()).await.is_ok());
    let full = FaultListener::start(ListenerFault::FullBacklog)
        .await
        .unwrap();
    let error =
        BlockingStream::connect_timeout(&full.address(), Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

async fn tls(
    certificates: &Certificates,
    identity: Identity,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let protocols = protocols.iter().map(|name| (*name).to_owned()).collect();
    let tls = FaultTls {
        protocols,
        ..FaultTls::new(identity)
    };
    let server = FaultServer::start(FaultServerOptions {
        tls: Some(tls),
        ..FaultServerOptions::default()
    })
    .await?;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificates.ca()).unwrap())
        .unwrap();
    let mut configuration =
        ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(server.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(configuration))
        .connect(name, tcp)
        .await
}

#[tokio::test]
async fn each_bad_certificate_is_refused_for_its_own_reason() {
    let scratch = Scratch::new("certificates").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let good = tls(&certificates, certificates.server(), &["h2"])
        .await
        .unwrap();
    assert_eq!(good.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    for (identity, reason) in [
        (certificates.expired(), "certificate expired"),
        (certificates.not_yet_valid(), "certificate not valid yet"),
        (certificates.other_name(), "certificate not valid for name"),
        (certificates.unknown_authority(), "UnknownIssuer"),
    ] {
        let error = tls(&certificates, identity, &["h2"])
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error} does not contain {reason}");
    }
}

#[tokio::test]
async fn alpn_can_be_wrong_or_unknown() {
    let scratch = Scratch::new("certificates").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let unknown = tls(&certificates, certificates.server(), &[])
        .await
        .unwrap();
    assert_eq!(unknown.get_ref().1.alpn_protocol(), None);
    assert!(
        tls(&certificates, certificates.server(), &["http/1.1"])
            .await
            .is_err()
    );
}
