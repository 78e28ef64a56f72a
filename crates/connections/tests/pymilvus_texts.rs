//! Each text and code that programs written for PyMilvus match on is contained in the error that they get here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use milvus_connections::pymilvus::{self, PymilvusException};
use milvus_connections::{ConnectionParams, Connections, Error};

/// The error of registering `params`, or, where a registration can't know it, of connecting with them.
async fn refused(params: ConnectionParams) -> Error {
    let connections = Connections::isolated();
    match connections.add_connection([("dev", params)]) {
        Err(error) => error,
        Ok(()) => connections.connect("dev").await.unwrap_err(),
    }
}

fn host() -> ConnectionParams {
    ConnectionParams::host("localhost")
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used() {
    let scheme =
        "is illegal, needs start with [unix, http, https, tcp] or a local file endswith [.db]";
    for (params, text) in [
        (host().port("nineteen"), "Type of 'port' must be str or int"),
        (
            host().port(65535),
            "port number 65535 out of range, valid range [0, 65535)",
        ),
        (
            host().port(-1),
            "port number -1 out of range, valid range [0, 65535)",
        ),
        (
            host().port("65536"),
            "port number 65536 out of range, valid range [0, 65535)",
        ),
        (
            ConnectionParams::address("localhost"),
            "Illegal address: localhost, should be in form 'localhost:19530'",
        ),
        (
            ConnectionParams::uri("http:"),
            "Illegal uri: [http:], expected form",
        ),
        (
            ConnectionParams::uri("localhost:19530"),
            "Illegal uri: [localhost:19530], expected form",
        ),
        (ConnectionParams::uri("ftp://localhost"), scheme),
        (ConnectionParams::uri("demo.sqlite"), scheme),
        (
            ConnectionParams::uri("no/such/folder/demo.db"),
            "no/such/folder not exists",
        ),
    ] {
        let error = refused(params).await;
        assert!(error.to_string().contains(text), "{text}\n{error}");
        assert!(error.to_string().contains("\"dev\""), "{error}");
        assert_eq!(
            error.pymilvus_exception(),
            PymilvusException::ConnectionConfig
        );
        assert_eq!(error.pymilvus_code(), 1);
    }
}

#[tokio::test]
async fn an_alias_that_is_not_there() {
    let connections = Connections::isolated();
    let error = connections.connect("prod").await.unwrap_err();
    let text = "You need to pass in the configuration of the connection named 'prod'";
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(
        error.pymilvus_exception().class_name(),
        "ConnectionConfigException"
    );
    let error = connections.get("prod").unwrap_err();
    assert!(
        error.to_string().contains("should create connection first"),
        "{error}"
    );
    assert_eq!(
        error.pymilvus_exception().class_name(),
        "ConnectionNotExistException"
    );
}

#[tokio::test]
async fn a_connect_that_fails() {
    let error = refused(ConnectionParams::address("127.0.0.1:0")).await;
    let text = error.to_string();
    assert!(
        text.contains("Fail connecting to server on 127.0.0.1:0"),
        "{text}"
    );
    assert!(
        text.contains("illegal connection params or server unavailable"),
        "{text}"
    );
    assert_eq!(error.pymilvus_exception().class_name(), "MilvusException");
    assert_eq!(error.pymilvus_code(), 2);
}

#[test]
fn types_that_only_python_can_get_wrong() {
    assert!(pymilvus::HOST_TYPE.contains("Type of 'host' must be str"));
    assert!(pymilvus::PORT_TYPE.contains("Type of 'port' must be str or int"));
    assert!(
        pymilvus::alias_type("<class 'int'>")
            .contains("Alias should be string, but <class 'int'> is given")
    );
}
