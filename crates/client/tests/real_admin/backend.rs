//! The backends that checks run on, and what they lack.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{Client, Error, Result};
use milvus_testkit::real::{self, Server};
use milvus_transport::{Connection, ConnectionConfig, ConnectionOptions, Credentials, parse_uri};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Milvus 2.3.5 with authorization.
    Milvus,
    /// Milvus Lite 3.2.2.
    Lite,
}

pub(crate) struct Backend {
    pub(crate) client: Client,
    pub(crate) kind: Kind,
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

async fn connect(server: &Server) -> Client {
    let mut options = ConnectionOptions::default();
    options.connect_timeout = PATIENCE;
    options.call_timeout = PATIENCE;
    let mut config =
        ConnectionConfig::new(parse_uri(&server.uri()).unwrap().target).options(options);
    if let Some((user, password)) = &server.credentials {
        config = config.credentials(Credentials::password(user.as_str(), password.as_str()));
    }
    Client::new(Connection::connect("test", config).await.unwrap())
}

impl Backend {
    pub(crate) async fn milvus() -> Self {
        Self {
            client: connect(&real::auth()).await,
            kind: Kind::Milvus,
        }
    }

    pub(crate) async fn lite() -> Self {
        Self {
            client: connect(&real::lite()).await,
            kind: Kind::Lite,
        }
    }

    pub(crate) fn is_milvus(&self) -> bool {
        self.kind == Kind::Milvus
    }

    pub(crate) fn is_lite(&self) -> bool {
        self.kind == Kind::Lite
    }

    /// Asserts that the backend lacks something, and that the error names it and the backend's version.
    pub(crate) fn lacks<T: Debug>(&self, feature: &str, answer: Result<T>) {
        match answer {
            Err(Error::MissingFeature(missing)) => {
                let text = missing.to_string();
                assert!(missing.feature.contains(feature), "{text}");
                // Refused before it is sent, the error has what the handshake told: Milvus Lite's name.
                let version = match (self.kind, &missing.source) {
                    (Kind::Milvus, _) => "v2.3.5",
                    (Kind::Lite, Some(_)) => "milvus_lite-3.2.2",
                    (Kind::Lite, None) => "milvus_lite",
                };
                assert!(missing.server_version.starts_with(version), "{text}");
                assert!(text.contains(version), "{text}");
            }
            other => panic!("{:?} should lack {feature}, but: {other:?}", self.kind),
        }
    }

    /// A collection with some rows, gone from memory and disk when the check has dropped it.
    pub(crate) async fn docs(&self, check: &str) -> String {
        let name = unique(check);
        let client = &self.client;
        client
            .create_collection(name.as_str(), docs_schema())
            .await
            .unwrap();
        self.insert(&name, 0..100).await;
        name
    }

    pub(crate) async fn insert(&self, collection: &str, ids: std::ops::Range<i64>) {
        let vectors: Vec<f32> = ids
            .clone()
            .flat_map(|id| (0..4).map(move |place| ((id * 7 + place) % 11) as f32))
            .collect();
        self.client
            .insert(collection)
            .column("id", ids.collect::<Vec<i64>>())
            .column("vector", vectors)
            .await
            .unwrap();
    }

    pub(crate) async fn drop(&self, collection: &str) {
        self.client.drop_collection(collection).await.unwrap();
    }
}

pub(crate) fn docs_schema() -> CollectionSchema {
    CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("vector", 4))
}

/// A name that no other check, process or run uses.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}_{:x}_{number}", now.as_nanos())
}

/// Asks until a server that works in the background shows what it must; fails with what it showed last.
pub(crate) async fn eventually<F, T>(ask: impl Fn() -> F)
where
    F: Future<Output = std::result::Result<(), T>>,
    T: Debug,
{
    let began = Instant::now();
    while let Err(found) = ask().await {
        assert!(began.elapsed() < PATIENCE, "still {found:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The server's refusal, which must be an answer of the server.
#[track_caller]
pub(crate) fn refusal<T: Debug>(answer: Result<T>) -> milvus_transport::Error {
    match answer {
        Err(Error::Connection(error)) => {
            assert!(error.answer().is_some(), "{error}");
            error
        }
        other => panic!("the server should refuse, but: {other:?}"),
    }
}
