//! Global clusters: the topology is looked up, writes go to the primary, and calls follow it when it moves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milvus_protocol::milvus::{HasCollectionRequest, InsertRequest};
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, FaultTls, Rule, Then, When};
use milvus_testkit::{Certificates, Scratch};
use milvus_transport::{
    Applied, ConnectFailure, Connection, ConnectionConfig, Credentials, ErrorKind, TlsOptions,
    parse_uri,
};

async fn cluster() -> FaultServer {
    FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap()
}

fn topology(version: u64, clusters: &[(&FaultServer, u8)]) -> String {
    let clusters: Vec<_> = clusters
        .iter()
        .enumerate()
        .map(|(index, (server, capability))| format!(r#"{{"clusterId":"c{index}","endpoint":"http://{}","capability":{capability},"region":"x"}}"#, server.address()))
        .collect();
    format!(
        r#"{{"code":0,"data":{{"version":"{version}","clusters":[{}]}}}}"#,
        clusters.join(",")
    )
}

/// A global endpoint whose answer can be changed; without TLS, as the clusters.
struct GlobalEndpoint {
    server: FaultServer,
}

impl GlobalEndpoint {
    async fn start(topology: String) -> Self {
        let this = Self {
            server: cluster().await,
        };
        this.answer(topology);
        this
    }

    fn answer(&self, topology: String) {
        self.answer_to("Bearer an-api-key", topology);
    }

    fn answer_to(&self, bearer: &'static str, topology: String) {
        self.server.clear_rules();
        let authorized = When::rpc("topology")
            .and(move |call| call.metadata_text("authorization") == Some(bearer));
        self.server
            .rule(Rule::new(authorized, Then::HttpStatus(200, topology)));
        self.server
            .rule(Rule::new(When::any(), Then::HttpStatus(401, "no".into())));
    }

    fn config(&self) -> ConnectionConfig {
        let uri = format!(
            "http://my-global-cluster-1.localhost:{}",
            self.server.address().port()
        );
        let mut config = ConnectionConfig::new(parse_uri(&uri).unwrap().target)
            .credentials(Credentials::token("an-api-key"));
        config.options.call_timeout = Duration::from_secs(20);
        config
    }
}

fn not_primary() -> Then {
    Then::in_band(
        2200,
        "STREAMING_CODE_REPLICATE_VIOLATION: cannot write to a secondary cluster",
    )
}

async fn insert(connection: &Connection) -> Result<(), milvus_transport::Error> {
    connection
        .call(&rpc::INSERT, InsertRequest::default())
        .await
        .map(drop)
}

#[tokio::test]
async fn calls_go_to_the_primary_and_follow_it_when_it_moves() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    insert(&connection).await.unwrap();
    assert_eq!((east.applied("Insert"), west.applied("Insert")), (1, 0));

    // The primary moves: the former one says so with the next write, and the write arrives at the new one, once.
    global.answer(topology(2, &[(&east, 1), (&west, 3)]));
    east.rule(Rule::new(When::rpc("Insert"), not_primary()));
    insert(&connection).await.unwrap();
    assert_eq!((east.applied("Insert"), west.applied("Insert")), (1, 1));
    insert(&connection).await.unwrap();
    assert_eq!((east.arrived("Insert"), west.applied("Insert")), (2, 2));
    assert_eq!(
        connection.address(),
        connection.logical_target(),
        "the alias keeps its address"
    );
}

#[tokio::test]
async fn an_older_topology_is_ignored() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(5, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    global.answer(topology(4, &[(&east, 1), (&west, 3)]));
    east.rule(Rule::new(When::rpc("Insert"), not_primary()).times(1));
    let error = insert(&connection).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("STREAMING_CODE_REPLICATE_VIOLATION"),
        "{error}"
    );
    insert(&connection).await.unwrap();
    assert_eq!((east.applied("Insert"), west.arrived("Insert")), (1, 0));
}

#[tokio::test]
async fn a_topology_older_than_one_that_was_seen_is_ignored_also_where_that_one_changed_nothing() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    for (version, primary, other) in [(5, &east, &west), (3, &west, &east)] {
        global.answer(topology(version, &[(primary, 3), (other, 1)]));
        east.rule(Rule::new(When::rpc("Insert"), not_primary()).times(1));
        insert(&connection).await.unwrap_err();
    }
    insert(&connection).await.unwrap();
    assert_eq!((east.applied("Insert"), west.arrived("Insert")), (1, 0));
}

async fn has(connection: &Connection) -> Result<(), milvus_transport::Error> {
    connection
        .call(&rpc::HAS_COLLECTION, HasCollectionRequest::default())
        .await
        .map(drop)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let come_true = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), come_true)
        .await
        .is_err()
    {
        panic!("never came true: {what}");
    }
}

#[tokio::test]
async fn calls_that_wait_for_a_dead_primary_move_to_the_next_one() {
    let (east, west) = (cluster().await, cluster().await);
    let first = topology(1, &[(&east, 3), (&west, 1)]);
    let second = topology(2, &[(&east, 1), (&west, 3)]);
    let global = GlobalEndpoint::start(first).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    let before = global.server.arrived("topology");
    east.stop().await;
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { tokio::join!(insert(&connection), has(&connection)) }
    });
    // Nobody's call has failed, and the topology is looked at all the same; it takes some time to change.
    until("the topology is looked at", || {
        global.server.arrived("topology") > before + 1
    })
    .await;
    assert_eq!(west.arrived("Insert"), 0);
    global.answer(second);
    let (written, read) = waiting.await.unwrap();
    written.unwrap();
    read.unwrap();
    assert_eq!(
        (west.applied("Insert"), west.applied("HasCollection")),
        (1, 1)
    );
    assert!(connection.is_open());
}

#[tokio::test]
async fn a_read_that_the_primary_answers_unavailable_ends_at_the_next_one() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    let unavailable = Then::GrpcStatus(14, "shutting down".into());
    east.rule(Rule::new(When::rpc("HasCollection"), unavailable));
    let before = global.server.arrived("topology");
    let reading = tokio::spawn({
        let connection = connection.clone();
        async move { has(&connection).await }
    });
    // It goes on trying, and looking: the topology takes some time to change.
    until("the topology is looked at", || {
        global.server.arrived("topology") > before
    })
    .await;
    global.answer(topology(2, &[(&east, 1), (&west, 3)]));
    reading.await.unwrap().unwrap();
    assert_eq!(west.applied("HasCollection"), 1);
}

#[tokio::test]
async fn a_primary_that_answers_unavailable_is_left_and_no_write_is_sent_twice() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    global.answer(topology(2, &[(&east, 1), (&west, 3)]));
    for rpc in ["Insert", "HasCollection"] {
        let unavailable = Then::GrpcStatus(14, "shutting down".into());
        east.rule(Rule::new(When::rpc(rpc), unavailable));
    }
    let error = insert(&connection).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.applied(), error.attempts()),
        (ErrorKind::Unavailable, Applied::Unknown, 1)
    );
    has(&connection).await.unwrap();
    assert_eq!((east.arrived("Insert"), west.arrived("Insert")), (1, 0));
    insert(&connection).await.unwrap();
    assert_eq!(
        (west.applied("Insert"), west.applied("HasCollection")),
        (1, 1)
    );
}

#[tokio::test]
async fn a_break_asks_for_the_topology() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    global.answer(topology(2, &[(&east, 1), (&west, 3)]));
    east.rule(Rule::new(When::rpc("Insert"), Then::Abort).times(1));
    let error = insert(&connection).await.unwrap_err();
    assert_eq!(error.applied(), Applied::Unknown);
    // West is connected to only for a topology that was looked at since.
    until("the next primary is ready", || west.arrived("Connect") > 0).await;
    let arrived = async {
        while west.applied("Insert") == 0 {
            insert(&connection).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived)
        .await
        .unwrap();
}

#[tokio::test]
async fn updated_credentials_are_those_of_the_endpoint_of_the_primary_and_of_the_next_one() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    connection.update_credentials(Credentials::token("another-key"));
    insert(&connection).await.unwrap();
    let next = topology(2, &[(&east, 1), (&west, 3)]);
    global.answer_to("Bearer another-key", next);
    east.rule(Rule::new(When::rpc("Insert"), not_primary()));
    insert(&connection).await.unwrap();
    for server in [&east, &west] {
        let calls = server.calls();
        let sent = calls.iter().find(|call| call.rpc() == "Insert").unwrap();
        // base64 of `another-key`
        assert_eq!(
            sent.metadata_text("authorization"),
            Some("YW5vdGhlci1rZXk=")
        );
    }
    let shaken = west.calls();
    let shaken = shaken.iter().find(|call| call.rpc() == "Connect").unwrap();
    assert_eq!(
        shaken.metadata_text("authorization"),
        Some("YW5vdGhlci1rZXk=")
    );
}

#[tokio::test]
async fn a_close_wins_over_a_primary_that_is_being_connected() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    global.answer(topology(2, &[(&east, 1), (&west, 3)]));
    east.rule(Rule::new(When::rpc("Insert"), not_primary()));
    west.rule(Rule::new(
        When::rpc("Connect"),
        Then::Delay(Duration::from_millis(300)),
    ));
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { insert(&connection).await }
    });
    until("the next primary is being connected", || {
        west.arrived("Connect") > 0
    })
    .await;
    connection.close().await;
    waiting.await.unwrap().unwrap_err();
    until("west is let go", || {
        west.link().counters().open_connections == 0
    })
    .await;
    assert!(!connection.is_open());
    let error = insert(&connection).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(west.arrived("Insert"), 0);
}

#[tokio::test]
async fn a_close_waits_for_what_is_in_flight_on_a_former_primary() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let mut config = global.config();
    config.options.drain_timeout = Duration::from_secs(1);
    config.options.keepalive_timeout = Duration::from_millis(2500);
    let connection = Connection::connect("global", config).await.unwrap();
    east.rule(Rule::new(When::rpc("Insert"), Then::Hang).times(1));
    east.rule(Rule::new(When::rpc("Insert"), not_primary()));
    let hanging = tokio::spawn({
        let connection = connection.clone();
        async move { insert(&connection).await }
    });
    until("it is in flight", || east.arrived("Insert") == 1).await;
    global.answer(topology(2, &[(&east, 1), (&west, 3)]));
    insert(&connection).await.unwrap();
    assert_eq!(west.applied("Insert"), 1);
    connection.close().await;
    assert!(hanging.is_finished());
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!(error.applied(), Applied::Unknown);
    assert!(error.to_string().contains("drain deadline"), "{error}");
}

#[tokio::test]
async fn a_failed_look_up_keeps_the_primary_that_is_known() {
    let east = cluster().await;
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    for broken in [
        "not json",
        r#"{"code":0,"data":{"version":9,"clusters":[]}}"#,
    ] {
        global.answer(broken.into());
        east.rule(Rule::new(When::rpc("Insert"), not_primary()).times(1));
        insert(&connection).await.unwrap_err();
        insert(&connection).await.unwrap();
    }
    drop(global);
    insert(&connection).await.unwrap();
}

#[tokio::test]
async fn many_calls_ask_for_the_topology_once() {
    let (east, west) = (cluster().await, cluster().await);
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3), (&west, 1)])).await;
    let connection = Connection::connect("global", global.config())
        .await
        .unwrap();
    global.answer(topology(2, &[(&west, 3), (&east, 1)]));
    let before = global.server.arrived("topology");
    east.rule(Rule::new(When::rpc("Insert"), not_primary()));
    let failed = Arc::new(AtomicU64::new(0));
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (connection, failed) = (connection.clone(), Arc::clone(&failed));
            tokio::spawn(async move {
                if insert(&connection).await.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(
        (failed.load(Ordering::Relaxed), west.applied("Insert")),
        (0, 32)
    );
    assert!(
        global.server.arrived("topology") - before <= 2,
        "{}",
        global.server.arrived("topology") - before
    );
}

#[tokio::test]
async fn wrong_keys_and_missing_primaries_fail_the_connect_with_their_own_words() {
    let east = cluster().await;
    let global = GlobalEndpoint::start(topology(1, &[(&east, 3)])).await;
    let stranger = global
        .config()
        .credentials(Credentials::token("another-key"));
    let error = Connection::connect("global", stranger).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Connect(ConnectFailure::WrongCredentials),
        "{error}"
    );
    global.answer(topology(1, &[(&east, 1)]));
    let error = Connection::connect("global", global.config())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("names no writable cluster"),
        "{error}"
    );
}

#[tokio::test]
async fn a_global_endpoint_speaks_tls() {
    let scratch = Scratch::new("global-tls").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let east = cluster().await;
    let tls = FaultTls::new(certificates.server());
    let global = FaultServer::start(FaultServerOptions {
        tls: Some(tls),
        ..FaultServerOptions::default()
    })
    .await
    .unwrap();
    global.rule(Rule::new(
        When::rpc("topology"),
        Then::HttpStatus(200, topology(1, &[(&east, 3)])),
    ));
    let uri = format!(
        "https://my-global-cluster-1.localhost:{}",
        global.address().port()
    );
    let mut options = TlsOptions::default();
    options.ca_pem_path = Some(certificates.ca());
    options.server_name = Some("localhost".into());
    let connection = Connection::connect(
        "global",
        ConnectionConfig::new(parse_uri(&uri).unwrap().target).tls(options),
    )
    .await
    .unwrap();
    insert(&connection).await.unwrap();
}
