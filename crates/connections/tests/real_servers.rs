//! The registry against real servers: Milvus with authentication, with TLS and mutual TLS, behind a front that looks like
//! Zilliz Cloud, and Milvus Lite.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use milvus_connections::pymilvus::PymilvusException;
use milvus_connections::transport::{ConnectFailure, ErrorKind};
use milvus_connections::{
    AliasState, Client, ConnectionParams, Connections, Environment, Error, RegistryChange,
};
use milvus_protocol::milvus::{
    CreateCredentialRequest, DeleteCredentialRequest, GetVersionRequest, ShowCollectionsRequest,
};
use milvus_protocol::rpc;
use milvus_testkit::Scratch;
use milvus_testkit::real::{self, Server};

fn params(server: &Server) -> ConnectionParams {
    let mut params = ConnectionParams::address(server.address());
    if let Some((user, password)) = &server.credentials {
        params = params.user(user).password(password.as_str());
    }
    if let Some(tls) = &server.tls {
        params = params.secure(true).ca_pem_path(&tls.ca);
        if let Some(name) = &tls.server_name {
            params = params.server_name(name);
        }
        if let Some(client) = &tls.client {
            params = params.client_certificate(&client.certificate, &client.key);
        }
    }
    params
}

async fn version(client: &Client) -> String {
    let answer = client
        .connection()
        .call(&rpc::GET_VERSION, GetVersionRequest {})
        .await;
    answer.expect("the server answers").version
}

fn failure(error: &Error) -> ConnectFailure {
    match error.connect().map(|error| error.kind()) {
        Some(ErrorKind::Connect(failure)) => failure,
        other => panic!("{other:?}: {error}"),
    }
}

/// The batch of the pages, one server with authentication and one with TLS, both connected.
async fn the_example() -> (Connections, Server, Server) {
    let (auth, tls) = (real::auth(), real::tls());
    let ca = tls.tls.as_ref().expect("the server speaks TLS").ca.clone();
    let connections = Connections::isolated();
    connections
        .add_connection([
            (
                "default",
                ConnectionParams::address(auth.address())
                    .user("root")
                    .password("Milvus"),
            ),
            (
                "dev",
                ConnectionParams::host(&tls.host)
                    .port(tls.port)
                    .token("root:Milvus")
                    .secure(true)
                    .ca_pem_path(ca),
            ),
        ])
        .unwrap();
    for alias in ["default", "dev"] {
        assert!(!connections.has_connection(alias));
        let client = connections.connect(alias).await.unwrap();
        assert!(version(&client).await.contains("2.3"), "{alias}");
        assert!(connections.has_connection(alias));
    }
    (connections, auth, tls)
}

#[tokio::test]
async fn the_example_of_the_pages_runs_on_a_server_with_authentication_and_one_with_tls() {
    let (connections, auth, tls) = the_example().await;
    let listed: Vec<_> = connections
        .list_connections()
        .into_iter()
        .map(|c| (c.alias, c.address.unwrap(), c.database, c.state))
        .collect();
    let connected = |alias: &str, server: &Server| {
        (
            alias.to_owned(),
            server.address(),
            "default".to_owned(),
            AliasState::Connected,
        )
    };
    assert_eq!(
        listed,
        [connected("default", &auth), connected("dev", &tls)]
    );
    let address =
        |alias| serde_json::to_value(connections.get_connection_addr(alias).unwrap()).unwrap();
    assert_eq!(
        address("default"),
        serde_json::json!({"address": auth.address(), "user": "root", "db_name": "default"})
    );
    assert_eq!(
        address("dev"),
        serde_json::json!({"address": tls.address(), "user": "", "db_name": "default", "secure": true})
    );
    assert_eq!(connections.get_connection_addr("unknown").unwrap(), None);
}

#[tokio::test]
async fn each_verb_does_its_part_on_the_example() {
    let (connections, ..) = the_example().await;
    let status = serde_json::to_string(&connections.status_of_all()).unwrap();
    assert!(
        status.contains("2.3") && !status.contains("Milvus\""),
        "{status}"
    );
    connections
        .with("dev", |client| {
            assert_eq!(client.connection().alias(), "dev")
        })
        .unwrap();
    let diagnosis = connections.diagnose("dev").await.unwrap();
    assert!(diagnosis.healthy, "{diagnosis:?}");
    let explanation = connections.explain("dev").unwrap().to_string();
    assert!(
        explanation.contains("ca_pem_path") && !explanation.contains("root:Milvus"),
        "{explanation}"
    );
    connections.disconnect("default").await;
    assert!(!connections.has_connection("default"));
    assert!(connections.has_connection("dev"));
    assert!(matches!(
        connections.get("default"),
        Err(Error::NotConnected {
            configured: true,
            ..
        })
    ));
    connections.remove_connection("dev").await;
    assert!(matches!(
        connections.get("dev"),
        Err(Error::NotConnected {
            configured: false,
            ..
        })
    ));
    assert_eq!(connections.list_connections().len(), 1);
}

#[tokio::test]
async fn every_kind_of_server_is_connected_by_its_alias() {
    let connections = Connections::isolated();
    let servers = [
        ("plain", real::plain()),
        ("mutual", real::mutual_tls()),
        ("cloud", real::cloud()),
        ("lite", real::lite()),
    ];
    connections
        .add_connection(
            servers
                .iter()
                .map(|(alias, server)| (*alias, params(server))),
        )
        .unwrap();
    for (alias, _) in &servers {
        let client = connections
            .connect(alias)
            .await
            .unwrap_or_else(|e| panic!("{alias}: {e}"));
        let request = ShowCollectionsRequest::default();
        client
            .connection()
            .call(&rpc::SHOW_COLLECTIONS, request)
            .await
            .unwrap_or_else(|e| panic!("{alias}: {e}"));
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_what_was_configured_stays() {
    let server = real::auth();
    let connections = Connections::isolated();
    connections
        .add_connection([(
            "dev",
            ConnectionParams::address(server.address())
                .user("root")
                .password("wrong-canary"),
        )])
        .unwrap();
    let error = connections.connect("dev").await.unwrap_err();
    assert_eq!(failure(&error), ConnectFailure::WrongCredentials, "{error}");
    let text = format!("{error} {error:?} {:?}", connections.status("dev"));
    assert!(!text.contains("canary"), "{text}");
    assert!(
        text.contains(&format!(
            "Fail connecting to server on {}",
            server.address()
        )),
        "{text}"
    );
    assert!(
        text.contains("illegal connection params or server unavailable"),
        "{text}"
    );
    assert_eq!(
        (error.pymilvus_exception(), error.pymilvus_code()),
        (PymilvusException::Milvus, 2)
    );
    assert!(!connections.has_connection("dev"));
    assert_eq!(
        connections
            .get_connection_addr("dev")
            .unwrap()
            .unwrap()
            .user,
        "root"
    );
    assert!(connections.status("dev").unwrap().last_error.is_some());

    let client = connections
        .connect_with("dev", ConnectionParams::new().password("Milvus"))
        .await
        .unwrap();
    assert!(version(&client).await.contains("2.3"));
    assert_eq!(connections.status("dev").unwrap().last_error, None);
}

#[tokio::test]
async fn an_unknown_database_is_told() {
    let connections = Connections::isolated();
    let uri = format!(
        "http://root:Milvus@{}/no_such_database",
        real::auth().address()
    );
    let error = connections
        .connect_with("dev", ConnectionParams::uri(uri))
        .await
        .unwrap_err();
    assert_eq!(failure(&error), ConnectFailure::UnknownDatabase, "{error}");
    assert!(error.to_string().contains("no_such_database"), "{error}");
}

#[tokio::test]
async fn connecting_again_uses_what_is_remembered() {
    let server = real::auth();
    let connections = Connections::isolated();
    connections
        .connect_with("dev", params(&server))
        .await
        .unwrap();
    let again = connections
        .connect_with("dev", ConnectionParams::address(server.address()))
        .await
        .unwrap();
    assert!(version(&again).await.contains("2.3"));
    connections.disconnect("dev").await;
    assert!(
        again
            .connection()
            .call(&rpc::GET_VERSION, GetVersionRequest {})
            .await
            .is_err()
    );
    let anew = connections.connect("dev").await.unwrap();
    assert!(version(&anew).await.contains("2.3"));
    let error = connections
        .connect_with("dev", params(&real::plain()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AliasInUse(_)), "{error}");
}

#[tokio::test]
async fn other_credentials_authenticate_anew_and_leave_the_former_connection_in_use() {
    let server = real::auth();
    let connections = Connections::isolated();
    let root = connections
        .connect_with("dev", params(&server))
        .await
        .unwrap();
    let user = format!("registry_{}", std::process::id());
    let request = CreateCredentialRequest {
        username: user.clone(),
        // Milvus's clients send passwords in base64.
        password: "cGFzc3dvcmQ=".into(),
        ..Default::default()
    };
    root.connection()
        .call(&rpc::CREATE_CREDENTIAL, request)
        .await
        .unwrap();
    let mut events = connections.events();
    let other = ConnectionParams::new().user(&user).password("password");
    let client = connections.connect_with("dev", other).await.unwrap();
    assert!(version(&client).await.contains("2.3"));
    assert!(version(&root).await.contains("2.3"));
    let event = events.next().await.unwrap();
    assert_eq!(
        event.change,
        RegistryChange::Connected {
            address: server.address(),
            reconnected: true
        }
    );
    assert_eq!(
        connections
            .get_connection_addr("dev")
            .unwrap()
            .unwrap()
            .user,
        user
    );

    let wrong = ConnectionParams::new().user(&user).password("wrong");
    let error = connections.connect_with("dev", wrong).await.unwrap_err();
    assert_eq!(failure(&error), ConnectFailure::WrongCredentials, "{error}");
    assert!(
        version(&connections.get("dev").unwrap())
            .await
            .contains("2.3")
    );
    let request = DeleteCredentialRequest {
        username: user,
        ..Default::default()
    };
    root.connection()
        .call(&rpc::DELETE_CREDENTIAL, request)
        .await
        .unwrap();
}

#[tokio::test]
async fn profile_and_environment_lead_to_a_real_server() {
    let (auth, tls) = (real::auth(), real::tls());
    let folder = Scratch::new("registry-profile").unwrap();
    let path = folder.path().join("milvus-connections.toml");
    let ca = &tls.tls.as_ref().unwrap().ca;
    std::fs::write(folder.path().join("token"), "root:Milvus\n").unwrap();
    std::fs::write(
        &path,
        format!(
            "[prod]\nuri = '{}'\nca_pem_path = '{}'\ntoken_file = 'token'\n",
            tls.uri(),
            ca.display()
        ),
    )
    .unwrap();
    let environment = Environment::of([
        ("MILVUS_URI", format!("http://{}", auth.address())),
        ("MILVUS_TOKEN", auth.token()),
        ("MILVUS_CONN_ALIAS", "main".to_owned()),
        ("MILVUS_CONNECTIONS_FILE", path.display().to_string()),
    ]);
    let connections = Connections::builder()
        .environment(environment)
        .discover_profile()
        .build();
    assert_eq!(connections.default_alias(), "main");
    for alias in ["main", "prod"] {
        let client = connections.connect(alias).await.unwrap();
        assert!(version(&client).await.contains("2.3"));
    }
    let prod = connections.explain("prod").unwrap();
    assert_eq!(
        prod.setting("address").unwrap().value.to_string(),
        tls.address()
    );
    assert!(
        prod.setting("token_file")
            .unwrap()
            .source
            .to_string()
            .contains("profile file")
    );
    let main = connections.explain("main").unwrap();
    assert_eq!(
        main.setting("token").unwrap().source.to_string(),
        "environment variable MILVUS_TOKEN"
    );
    assert!(
        !serde_json::to_string(&[prod, main])
            .unwrap()
            .contains("root:Milvus")
    );
}

#[test]
fn the_blocking_form_does_the_same() {
    let connections = Connections::isolated();
    let client = connections
        .blocking()
        .connect_with("dev", params(&real::auth()))
        .unwrap();
    let version = milvus_connections::blocking::wait(version(&client)).unwrap();
    assert!(version.contains("2.3"));
    connections.blocking().disconnect("dev").unwrap();
    assert!(!connections.has_connection("dev"));
    connections.blocking().connect("dev").unwrap();
    connections.blocking().remove_connection("dev").unwrap();
    assert!(matches!(
        connections.blocking().connect("dev"),
        Err(Error::UnknownAlias { .. })
    ));
}
