//! The registry against a server that misbehaves on demand, and against none.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::time::Duration;

use milvus_connections::transport::Step;
use milvus_connections::{
    AliasState, ConnectionParams, Connections, ConnectionsWatch, Error, blocking,
};
use milvus_protocol::milvus::GetVersionRequest;
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};

async fn server() -> FaultServer {
    FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap()
}

fn at(server: &FaultServer) -> ConnectionParams {
    ConnectionParams::address(server.address().to_string())
}

#[tokio::test]
async fn many_connects_at_once_are_one_dial() {
    let server = server().await;
    server.rule(Rule::new(
        When::rpc("Connect"),
        Then::Delay(Duration::from_millis(300)),
    ));
    let connections = Connections::isolated();
    connections
        .add_connection([("dev", at(&server).max_channels(1))])
        .unwrap();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let connections = connections.clone();
            tokio::spawn(async move { connections.connect("dev").await.map(drop) })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(server.link().counters().connections, 1);
    assert_eq!(server.arrived("Connect"), 1);
    assert_eq!(
        connections.status("dev").unwrap().state,
        AliasState::Connected
    );
}

#[tokio::test]
async fn a_change_of_credentials_lets_a_call_in_flight_finish() {
    let server = server().await;
    server.rule(
        Rule::new(
            When::rpc("GetVersion"),
            Then::Delay(Duration::from_millis(500)),
        )
        .times(1),
    );
    let connections = Connections::isolated();
    let params = at(&server).user("a").password("p");
    let client = connections.connect_with("dev", params).await.unwrap();
    let call = tokio::spawn(async move {
        client
            .connection()
            .call(&rpc::GET_VERSION, GetVersionRequest {})
            .await
    });
    while server.arrived("GetVersion") == 0 {
        tokio::task::yield_now().await;
    }
    connections
        .connect_with("dev", ConnectionParams::new().user("b").password("p"))
        .await
        .unwrap();
    call.await
        .unwrap()
        .expect("the call that was under way ends well");
    assert_eq!(
        connections
            .get_connection_addr("dev")
            .unwrap()
            .unwrap()
            .user,
        "b"
    );
}

#[tokio::test]
async fn a_disconnect_waits_for_a_call_in_flight() {
    let server = server().await;
    server.rule(Rule::new(
        When::rpc("GetVersion"),
        Then::Delay(Duration::from_millis(500)),
    ));
    let connections = Connections::isolated();
    let client = connections.connect_with("dev", at(&server)).await.unwrap();
    let call = tokio::spawn(async move {
        client
            .connection()
            .call(&rpc::GET_VERSION, GetVersionRequest {})
            .await
    });
    while server.arrived("GetVersion") == 0 {
        tokio::task::yield_now().await;
    }
    connections.disconnect("dev").await;
    assert!(call.is_finished() || call.await.unwrap().is_ok());
    assert!(!connections.has_connection("dev"));
}

#[tokio::test]
async fn two_aliases_of_one_server_close_apart() {
    let server = server().await;
    let connections = Connections::isolated();
    let a = connections.connect_with("a", at(&server)).await.unwrap();
    let b = connections.connect_with("b", at(&server)).await.unwrap();
    connections.remove_connection("a").await;
    assert!(
        a.connection()
            .call(&rpc::GET_VERSION, GetVersionRequest {})
            .await
            .is_err()
    );
    b.connection()
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await
        .unwrap();
    assert!(connections.has_connection("b"));
}

#[tokio::test]
async fn a_refused_port_is_told_and_the_registry_watches() {
    let connections = Connections::isolated();
    let mut watch: ConnectionsWatch = connections.watch();
    connections
        .add_connection([("dev", ConnectionParams::address("127.0.0.1:0"))])
        .unwrap();
    let seen = watch.changed().await;
    assert_eq!(seen.last().unwrap().alias, "dev");
    let error = connections.connect("dev").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Fail connecting to server on 127.0.0.1:0"),
        "{error}"
    );
}

#[tokio::test]
async fn a_diagnosis_stops_at_the_step_that_fails() {
    let server = server().await;
    let connections = Connections::isolated();
    connections
        .add_connection([
            ("good", at(&server)),
            ("refused", ConnectionParams::address("127.0.0.1:0")),
        ])
        .unwrap();
    let good = connections.diagnose("good").await.unwrap();
    assert!(good.healthy, "{good:?}");
    assert!(!connections.has_connection("good"));
    let refused = connections.diagnose("refused").await.unwrap();
    assert_eq!(refused.first_failure().unwrap().step, Step::Tcp);
    assert!(connections.diagnose("unknown").await.is_err());
}

#[tokio::test]
async fn the_blocking_form_inside_a_runtime_is_an_error() {
    let connections = Connections::isolated();
    assert!(matches!(
        connections.blocking().connect("default"),
        Err(Error::InsideAsync)
    ));
    assert!(matches!(
        connections.blocking().disconnect("default"),
        Err(Error::InsideAsync)
    ));
    assert!(matches!(blocking::wait(async {}), Err(Error::InsideAsync)));
}

#[cfg(not(feature = "embedded"))]
#[tokio::test]
async fn an_engine_that_is_not_built_in_is_told() {
    let connections = Connections::isolated();
    for uri in ["memory:", "memory:notes", "demo.db"] {
        let error = connections
            .connect_with("local", ConnectionParams::uri(uri))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NotBuiltIn { .. }), "{error}");
        assert!(error.to_string().contains(uri), "{error}");
    }
}

#[tokio::test]
async fn a_database_file_in_a_folder_that_is_missing_is_refused() {
    let connections = Connections::isolated();
    let error = connections
        .connect_with("local", ConnectionParams::uri("no/such/folder/demo.db"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not exists"), "{error}");
}
