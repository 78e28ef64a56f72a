//! No secret comes out of the registry: everything that can be shown is shown, with a canary for a secret inside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fmt::{Debug, Display, Write as _};

use milvus_connections::{ConnectionParams, Connections, Environment, Profile, ProfileEditor};
use milvus_testkit::fault::{FaultServer, FaultServerOptions};
use serde::Serialize;

const CANARY: &str = "canary-5b1e";

/// All that was shown.
#[derive(Default)]
struct Shown(String);

impl Shown {
    fn debug(&mut self, what: &impl Debug) -> &mut Self {
        writeln!(self.0, "{what:?} {what:#?}").unwrap();
        self
    }

    fn display(&mut self, what: &impl Display) -> &mut Self {
        writeln!(self.0, "{what}").unwrap();
        self
    }

    fn json(&mut self, what: &impl Serialize) -> &mut Self {
        self.0.push_str(&serde_json::to_string(what).unwrap());
        self
    }
}

fn with_secrets(address: &str) -> Vec<ConnectionParams> {
    vec![
        ConnectionParams::address(address)
            .user("root")
            .password(CANARY),
        ConnectionParams::address(address).token(CANARY),
        ConnectionParams::address(address).token(format!("root:{CANARY}")),
        ConnectionParams::uri(format!("http://root:{CANARY}@{address}")),
    ]
}

/// Everything that a registry shows of an alias, whether it is connected or not.
async fn show(connections: &Connections, alias: &str, shown: &mut Shown) {
    shown
        .debug(connections)
        .debug(&connections.list_connections())
        .json(&connections.list_connections())
        .debug(&connections.get_connection_addr(alias))
        .json(&connections.status(alias))
        .debug(&connections.status_of_all())
        .debug(&connections.configuration(alias, &ConnectionParams::new()));
    match connections.explain(alias) {
        Ok(explanation) => shown
            .debug(&explanation)
            .display(&explanation)
            .json(&explanation),
        Err(error) => shown.debug(&error).display(&error),
    };
    match connections.diagnose(alias).await {
        Ok(diagnosis) => shown.debug(&diagnosis).json(&diagnosis),
        Err(error) => shown.debug(&error).display(&error),
    };
}

#[tokio::test]
async fn no_secret_is_shown_of_a_registry() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let good = server.address().to_string();
    let mut shown = Shown::default();
    for params in with_secrets(&good)
        .into_iter()
        .chain(with_secrets("127.0.0.1:0"))
    {
        shown.debug(&params);
        let connections = Connections::isolated();
        let mut events = connections.events();
        connections
            .add_connection([("dev", params.clone())])
            .unwrap();
        show(&connections, "dev", &mut shown).await;
        match connections.connect("dev").await {
            Ok(client) => shown.debug(&client),
            Err(error) => shown.debug(&error).display(&error),
        };
        show(&connections, "dev", &mut shown).await;
        for _ in 0..2 {
            let event = events.next().await.unwrap();
            shown.debug(&event).json(&event);
        }
        let elsewhere = ConnectionParams::address("127.0.0.1:1").token(CANARY);
        if let Err(error) = connections.add_connection([("dev", elsewhere)]) {
            shown.debug(&error).display(&error);
        }
        if let Err(error) = connections
            .connect_with("new", params.secure(true).password(CANARY))
            .await
        {
            shown.debug(&error).display(&error);
        }
    }
    assert!(shown.0.len() > 10_000, "much has been shown");
    assert!(!shown.0.contains(CANARY), "{}", shown.0);
}

#[tokio::test]
async fn no_secret_is_shown_of_environment_and_profile() {
    let mut shown = Shown::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    let mut editor = ProfileEditor::open(&path).unwrap();
    editor.set(
        "prod",
        &ConnectionParams::host("127.0.0.1").port(0).token(CANARY),
    );
    shown.debug(&editor);
    editor.save().unwrap();
    shown.debug(&editor).debug(&Profile::read(&path).unwrap());
    for uri in [
        format!("http://root:{CANARY}@127.0.0.1:0"),
        format!("http//root:{CANARY}@h"),
    ] {
        let environment = Environment::of([("MILVUS_URI", uri.as_str()), ("MILVUS_TOKEN", CANARY)]);
        let builder = Connections::builder()
            .environment(environment)
            .profile_file(&path);
        shown.debug(&builder);
        let connections = builder.build();
        for alias in ["default", "prod"] {
            show(&connections, alias, &mut shown).await;
            if let Err(error) = connections.connect(alias).await {
                shown.debug(&error).display(&error);
            }
            show(&connections, alias, &mut shown).await;
        }
    }
    assert!(!shown.0.contains(CANARY), "{}", shown.0);
}
