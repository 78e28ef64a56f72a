//! A connection whose user changes the own password goes on: against a Milvus that asks for passwords.
//!
//! What else there is to users is in the conformance suite; this needs connections of its own.

#![allow(clippy::expect_used, reason = "tests")]

use std::time::Duration;

use milvus_client::Client;
use milvus_testkit::real;
use milvus_transport::{
    ConnectFailure, Connection, ConnectionConfig, ConnectionOptions, Credentials, Error, ErrorKind,
    parse_uri,
};

/// How long a server that shares a busy machine with others may take.
const PATIENCE: Duration = Duration::from_secs(150);

async fn connect_as(user: &str, password: &str) -> Result<Client, Error> {
    let target = parse_uri(&real::auth().uri()).expect("a URI").target;
    let mut options = ConnectionOptions::default();
    options.connect_timeout = PATIENCE;
    options.call_timeout = PATIENCE;
    let config = ConnectionConfig::new(target)
        .options(options)
        .credentials(Credentials::password(user, password));
    Ok(Client::new(Connection::connect("test", config).await?))
}

#[tokio::test]
async fn a_connection_goes_on_with_the_password_that_it_has_set() {
    let (root, password) = real::auth().credentials.expect("a user of all rights");
    let root = connect_as(&root, &password).await.expect("connected");
    let anna = format!("anna_{}", std::process::id());
    let anna = anna.as_str();
    // Left over from a try that failed, she is no fault of this one.
    let _ = root.drop_user(anna).await;
    root.create_user(anna, "secret1").await.expect("created");

    let client = connect_as(anna, "secret1").await.expect("connected");
    let wrong = client.update_password(anna, "wrong-one", "secret2").await;
    let wrong = wrong.expect_err("not the old password");
    let answer = wrong.connection_error().and_then(Error::answer);
    assert!(answer.is_some(), "{wrong}");
    let update = client.update_password(anna, "secret1", "secret2");
    update.update_connection().await.expect("updated");
    client.version().await.expect("with the new password");
    connect_as(anna, "secret2").await.expect("connected");
    client.connection().close().await;

    let old = connect_as(anna, "secret1").await.expect_err("the old one");
    let kind = ErrorKind::Connect(ConnectFailure::WrongCredentials);
    assert_eq!(old.kind(), kind, "{old}");
    root.drop_user(anna).await.expect("dropped");
}
