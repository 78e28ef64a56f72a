//! A secret is nowhere to be read: not in any public type, error, snapshot, event or log line.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::error::Error as _;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milvus_protocol::milvus::{CreateCredentialRequest, InsertRequest};
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{
    CallOptions, Connection, ConnectionConfig, CredentialSource, Credentials, Error, diagnose,
    parse_uri,
};
use tracing_subscriber::fmt::MakeWriter;

/// Long enough that no other text holds it by chance.
const CANARY: &str = "canary-5ca1ab1e-d0d0";

/// Everything that was printed.
#[derive(Clone, Default)]
struct Sweep(Arc<Mutex<Vec<u8>>>);

impl Sweep {
    fn text(&self, text: &str) {
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    fn debug(&self, value: &impl Debug) {
        self.text(&format!("{value:?}\n{value:#?}\n"));
    }

    fn error(&self, error: &Error) {
        self.text(&format!(
            "{error}\n{error:?}\n{error:#?}\n{:?}\n",
            error.hint()
        ));
        let mut source = error.source();
        while let Some(cause) = source {
            self.text(&format!("{cause}\n{cause:?}\n"));
            source = cause.source();
        }
    }

    fn is_clean(&self) {
        let bytes = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // The canary as it is, and as the base64 of `user:canary` and of the canary alone, without their ends.
        for spelled in [
            CANARY,
            "Y2FuYXJ5LTVjYTFhYjFl",
            "OmNhbmFyeS01Y2ExYWIx",
            "cm9vdDpjYW5hcnk",
        ] {
            if let Some(at) = text.find(spelled) {
                let from = text[..at]
                    .char_indices()
                    .rev()
                    .nth(300)
                    .map_or(0, |(from, _)| from);
                panic!(
                    "the secret is printed: …{}",
                    &text[from..at + spelled.len()]
                );
            }
        }
        assert!(
            text.len() > 10_000,
            "the sweep saw too little: {} bytes",
            text.len()
        );
    }
}

impl io::Write for Sweep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sweep {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn use_everything(sweep: &Sweep, server: &FaultServer, credentials: CredentialSource) {
    let config = ConnectionConfig::new(
        parse_uri(&format!("http://{}", server.address()))
            .unwrap()
            .target,
    )
    .credentials(credentials);
    sweep.debug(&config);
    sweep.debug(&config.fingerprint());
    sweep.debug(&config.credentials.read().await.unwrap());
    let diagnosis = diagnose("prod", &config).await;
    sweep.debug(&diagnosis);
    sweep.text(&serde_json::to_string(&diagnosis).unwrap());
    let connection = Connection::connect("prod", config).await.unwrap();
    let mut events = connection.events();
    sweep.debug(&connection);
    let request = CreateCredentialRequest {
        username: "u".into(),
        password: CANARY.into(),
        ..CreateCredentialRequest::default()
    };
    sweep.debug(&request);
    connection
        .call(&rpc::CREATE_CREDENTIAL, request)
        .await
        .unwrap();
    for then in [
        Then::GrpcStatus(16, "auth check failure".into()),
        Then::GrpcStatus(7, "permission deny".into()),
        Then::in_band(1, "wrong"),
        Then::Abort,
        Then::NoTrailers,
        Then::Hang,
    ] {
        server.clear_rules();
        server.rule(Rule::new(When::rpc("Insert"), then));
        let options = CallOptions::timeout(Duration::from_millis(300));
        let error = connection
            .call_with(&rpc::INSERT, InsertRequest::default(), options)
            .await
            .unwrap_err();
        sweep.error(&error);
    }
    server.clear_rules();
    sweep.debug(&connection.status());
    sweep.text(&serde_json::to_string(&connection.status()).unwrap());
    connection.close().await;
    while let Some(event) = events.next().await {
        sweep.debug(&event);
        sweep.text(&event.kind.to_string());
    }
}

#[test]
fn a_canary_is_found_nowhere() {
    let sweep = Sweep::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(sweep.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = FaultServer::start(FaultServerOptions::default())
            .await
            .unwrap();
        let scratch = milvus_testkit::Scratch::new("canary").unwrap();
        let path = scratch.write("secret", CANARY).unwrap();
        let user = || Some("root".to_owned());
        for source in [
            Credentials::password("root", CANARY).into(),
            Credentials::token(CANARY).into(),
            Credentials::token(format!("root:{CANARY}")).into(),
            CredentialSource::File {
                user: user(),
                path: path.clone(),
            },
            CredentialSource::Command {
                user: user(),
                command: format!("cat {}", path.display()),
            },
        ] {
            sweep.debug(&source);
            use_everything(&sweep, &server, source).await;
        }
        for uri in [
            format!("http://root:{CANARY}@localhost:19530"),
            format!("http://root:{CANARY}@localhost:port"),
            format!("ftp://u:{CANARY}@h"),
        ] {
            match parse_uri(&uri) {
                Ok(parsed) => sweep.debug(&parsed),
                Err(error) => sweep.text(&format!("{error}\n{error:?}\n")),
            }
        }
        let failing = CredentialSource::Command {
            user: None,
            command: format!("echo {CANARY}; echo {CANARY} >&2; exit 3"),
        };
        let error = failing.read().await.unwrap_err();
        sweep.text(&format!("{error}\n{error:?}\n"));
    });
    sweep.is_clean();
}
