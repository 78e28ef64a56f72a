//! Connections to real servers: the handshake, credentials, TLS, databases, and each failure that a real server produces.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use milvus_protocol::milvus::{GetVersionRequest, HasCollectionRequest, ListDatabasesRequest};
use milvus_protocol::rpc;
use milvus_testkit::real::{self, Server};
use milvus_transport::{
    ConnectFailure, Connection, ConnectionConfig, ConnectionState, Credentials, ErrorKind,
    TlsOptions, parse_uri,
};

fn config(server: &Server) -> ConnectionConfig {
    let mut config = ConnectionConfig::new(parse_uri(&server.uri()).unwrap().target);
    if let Some((user, password)) = &server.credentials {
        config = config.credentials(Credentials::password(user.as_str(), password.as_str()));
    }
    if let Some(tls) = &server.tls {
        let mut options = TlsOptions::default();
        options.ca_pem_path = Some(tls.ca.clone());
        options.server_name = tls.server_name.clone();
        if let Some(client) = &tls.client {
            options.client_pem_path = Some(client.certificate.clone());
            options.client_key_path = Some(client.key.clone());
        }
        config = config.tls(options);
    }
    config
}

async fn works(server: &Server) {
    let connection = Connection::connect("test", config(server)).await.unwrap();
    let answer = connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();
    assert!(!answer.version.is_empty());
    let status = connection.status();
    assert_eq!(status.state, ConnectionState::Ready);
    assert_eq!(status.channels.len(), 1);
    connection.close().await;
    assert_eq!(connection.status().state, ConnectionState::Closed);
    let closed = connection
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
}

async fn failure(config: ConnectionConfig) -> ConnectFailure {
    let error = Connection::connect("test", config).await.unwrap_err();
    println!("{error}");
    match error.kind() {
        ErrorKind::Connect(failure) => failure,
        other => panic!("{other:?}: {error}"),
    }
}

#[tokio::test]
async fn connects_to_every_kind_of_server() {
    for server in [
        real::plain(),
        real::auth(),
        real::tls(),
        real::mutual_tls(),
        real::cloud(),
        real::lite(),
    ] {
        works(&server).await;
    }
}

#[tokio::test]
async fn tells_wrong_credentials_from_missing_ones() {
    let right = config(&real::auth());
    assert_eq!(
        failure(
            right
                .clone()
                .credentials(Credentials::password("root", "wrong"))
        )
        .await,
        ConnectFailure::WrongCredentials
    );
    assert_eq!(
        failure(right.clone().credentials(Credentials::token("an-api-key"))).await,
        ConnectFailure::WrongCredentials
    );
    assert_eq!(
        failure(right.credentials(Credentials::Anonymous)).await,
        ConnectFailure::CredentialsRequired
    );
}

#[tokio::test]
async fn tells_an_unknown_database() {
    let right = config(&real::auth());
    assert_eq!(
        failure(right.clone().database("nope")).await,
        ConnectFailure::UnknownDatabase
    );
    let connection = Connection::connect("test", right.database("default"))
        .await
        .unwrap();
    let databases = connection
        .call(&rpc::LIST_DATABASES, ListDatabasesRequest::default())
        .await
        .unwrap();
    assert!(databases.db_names.contains(&"default".to_owned()));
}

#[tokio::test]
async fn an_answer_with_an_error_inside_is_an_error() {
    let connection = Connection::connect("test", config(&real::auth()))
        .await
        .unwrap();
    let elsewhere = connection.with_database("nope").unwrap();
    let request = HasCollectionRequest {
        collection_name: "c".into(),
        ..HasCollectionRequest::default()
    };
    // 2.3.5 answers HasCollection in an unknown database with success and `false`.
    assert!(
        !elsewhere
            .call(&rpc::HAS_COLLECTION, request)
            .await
            .unwrap()
            .value
    );
    let error = elsewhere
        .call(&rpc::SHOW_COLLECTIONS, Default::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Answered);
    assert_eq!(error.answer().unwrap().code(), 800);
    assert_eq!(error.rpc(), Some("ShowCollections"));
}

#[tokio::test]
async fn tells_tls_and_plain_text_apart_both_ways() {
    let mut plain_to_tls = config(&real::tls());
    plain_to_tls.target = parse_uri(&real::tls().uri().replace("https://", "http://"))
        .unwrap()
        .target;
    assert_eq!(failure(plain_to_tls).await, ConnectFailure::TlsRequired);
    let mut tls_to_plain = config(&real::auth());
    tls_to_plain.target = parse_uri(&real::auth().uri().replace("http://", "https://"))
        .unwrap()
        .target;
    assert_eq!(failure(tls_to_plain).await, ConnectFailure::TlsNotSpoken);
}

#[tokio::test]
async fn tells_what_is_wrong_with_certificates() {
    let mut unknown = config(&real::tls());
    unknown.tls.ca_pem_path = Some(real::certificates().unknown_ca());
    assert_eq!(
        failure(unknown).await,
        ConnectFailure::UnknownCertificateAuthority
    );
    let mut other_name = config(&real::tls());
    other_name.tls.server_name = Some("milvus.elsewhere.test".into());
    assert_eq!(
        failure(other_name).await,
        ConnectFailure::CertificateNameMismatch
    );
    let mut without = config(&real::mutual_tls());
    without.tls.client_pem_path = None;
    without.tls.client_key_path = None;
    assert_eq!(
        failure(without).await,
        ConnectFailure::ClientCertificateRequired
    );
}
