//! Real servers and clients: started once by `cargo xtask`, described to tests through the environment.
//!
//! Starting a Milvus takes 10 to 20 s and a quarter of a gigabyte, and nextest runs each test in a process of its own.
//! So `cargo xtask test` (or `cargo xtask servers -- COMMAND`) starts each shared server once and tests ask for its
//! description: [`plain`], [`auth`], [`tls`], [`mutual_tls`], [`cloud`], [`lite`]. A test that stops, kills or pauses a
//! server starts its own with [`Milvus::start`].
//!
//! | variable | server |
//! |---|---|
//! | `MILVUS_TEST_PLAIN` | Milvus 2.3.5, no authorization |
//! | `MILVUS_TEST_AUTH` | Milvus 2.3.5, authorization on (`root` / `Milvus`) |
//! | `MILVUS_TEST_TLS` | Milvus 2.3.5, authorization on, one-way TLS |
//! | `MILVUS_TEST_MUTUAL_TLS` | Milvus 2.3.5, authorization on, mutual TLS (TLS 1.3 only) |
//! | `MILVUS_TEST_CLOUD` | nginx with TLS in front of the authorization server, SNI required, as Zilliz Cloud |
//! | `MILVUS_TEST_LITE` | Milvus Lite 3.2.2, no authorization |
//! | `MILVUS_TEST_CERTIFICATES` | directory of the certificates ([`crate::Certificates`]) that the servers use |
//! | `MILVUS_TEST_PYTHON` | a Python interpreter that has pymilvus 3.0.2 |
//!
//! Each server's value is `host:port`.
//!
//! Invariant: a shared server is shared. Tests use collection, database and user names of their own and leave `root`'s
//! password alone.
// Tests call these functions to get what they need to run; without it there is nothing to return.
#![allow(clippy::panic)]

mod cloud_front;
mod configuration;
mod lite;
mod milvus;
mod node;
mod python;
mod rust_sdk;

use std::env;
use std::path::PathBuf;

pub use cloud_front::CloudFront;
pub use lite::MilvusLite;
pub use milvus::{Milvus, MilvusOptions, TlsMode};
pub use node::Node;
pub use python::{MILVUS_SERVER, PYMILVUS, Python, Requirements};
pub use rust_sdk::RustSdk;

use crate::certificates::{CLOUD_SERVER_NAME, Certificates, Identity};

/// The user that a Milvus with authorization starts with.
pub const ROOT_USER: &str = "root";
/// That user's password.
pub const ROOT_PASSWORD: &str = "Milvus";

/// How to reach a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A host name or IP address.
    pub host: String,
    /// The gRPC port.
    pub port: u16,
    /// User and password, when the server checks them.
    pub credentials: Option<(String, String)>,
    /// What TLS needs, when the server speaks TLS.
    pub tls: Option<ServerTls>,
}

/// What a client needs to speak TLS with a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The authority that issued the server's certificate, PEM.
    pub ca: PathBuf,
    /// The name to ask for and to verify, when it is not the host.
    pub server_name: Option<String>,
    /// The client's certificate and key, when the server asks for one.
    pub client: Option<Identity>,
}

impl Server {
    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// `http://host:port`, or `https://` for a server with TLS.
    pub fn uri(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// `user:password`, or the empty string for a server that checks neither.
    pub fn token(&self) -> String {
        self.credentials
            .as_ref()
            .map_or_else(String::new, |(user, password)| format!("{user}:{password}"))
    }
}

/// A server that `cargo xtask` starts for all tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Milvus without authorization.
    Plain,
    /// Milvus with authorization.
    Auth,
    /// Milvus with authorization and one-way TLS.
    Tls,
    /// Milvus with authorization and mutual TLS.
    MutualTls,
    /// nginx with TLS in front of [`Shared::Auth`].
    Cloud,
    /// Milvus Lite.
    Lite,
}

impl Shared {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Auth,
        Self::Tls,
        Self::MutualTls,
        Self::Cloud,
        Self::Lite,
    ];

    /// The environment variable that carries its `host:port`.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Plain => "MILVUS_TEST_PLAIN",
            Self::Auth => "MILVUS_TEST_AUTH",
            Self::Tls => "MILVUS_TEST_TLS",
            Self::MutualTls => "MILVUS_TEST_MUTUAL_TLS",
            Self::Cloud => "MILVUS_TEST_CLOUD",
            Self::Lite => "MILVUS_TEST_LITE",
        }
    }

    /// Completes the description of a server at `host:port`.
    fn describe(
        self,
        address: &str,
        certificates: impl FnOnce() -> Certificates,
    ) -> Option<Server> {
        let (host, port) = address.rsplit_once(':')?;
        let checks = !matches!(self, Self::Plain | Self::Lite);
        let credentials = checks.then(|| (ROOT_USER.to_owned(), ROOT_PASSWORD.to_owned()));
        let tls = match self {
            Self::Plain | Self::Auth | Self::Lite => None,
            Self::Tls | Self::MutualTls | Self::Cloud => {
                let certificates = certificates();
                Some(ServerTls {
                    ca: certificates.ca(),
                    server_name: (self == Self::Cloud).then(|| CLOUD_SERVER_NAME.to_owned()),
                    client: (self == Self::MutualTls).then(|| certificates.client()),
                })
            }
        };
        Some(Server {
            host: host.to_owned(),
            port: port.parse().ok()?,
            credentials,
            tls,
        })
    }
}

/// The variable with the directory of the servers' certificates.
pub const CERTIFICATES_VARIABLE: &str = "MILVUS_TEST_CERTIFICATES";
/// The variable with a Python interpreter that has pymilvus.
pub const PYTHON_VARIABLE: &str = "MILVUS_TEST_PYTHON";

fn required(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!(
            "this test needs a real server and ${variable} is not set: run it through `cargo xtask test`, or \
             `cargo xtask servers -- cargo nextest run -p CRATE TEST`"
        )
    })
}

/// The description of a shared server.
///
/// # Panics
/// When the test does not run through `cargo xtask`.
pub fn shared(server: Shared) -> Server {
    let address = required(server.variable());
    server
        .describe(&address, certificates)
        .unwrap_or_else(|| panic!("${} must be host:port, not {address:?}", server.variable()))
}

/// The shared Milvus without authorization. Panics as [`shared`] does.
pub fn plain() -> Server {
    shared(Shared::Plain)
}

/// The shared Milvus with authorization. Panics as [`shared`] does.
pub fn auth() -> Server {
    shared(Shared::Auth)
}

/// The shared Milvus with authorization and one-way TLS. Panics as [`shared`] does.
pub fn tls() -> Server {
    shared(Shared::Tls)
}

/// The shared Milvus with authorization and mutual TLS. Panics as [`shared`] does.
pub fn mutual_tls() -> Server {
    shared(Shared::MutualTls)
}

/// The shared front that looks like Zilliz Cloud. Panics as [`shared`] does.
pub fn cloud() -> Server {
    shared(Shared::Cloud)
}

/// The shared Milvus Lite. Panics as [`shared`] does.
pub fn lite() -> Server {
    shared(Shared::Lite)
}

/// The certificates of the shared servers. Panics as [`shared`] does.
pub fn certificates() -> Certificates {
    Certificates::in_directory(required(CERTIFICATES_VARIABLE))
}

/// The Python environment with PyMilvus. Panics as [`shared`] does.
pub fn pymilvus() -> Python {
    Python::from_interpreter(required(PYTHON_VARIABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_carries_what_a_client_needs() {
        let certificates = || Certificates::in_directory("certificates");
        let cloud = Shared::Cloud
            .describe("localhost:1234", certificates)
            .unwrap();
        assert_eq!(
            (cloud.uri().as_str(), cloud.token().as_str()),
            ("https://localhost:1234", "root:Milvus")
        );
        assert_eq!(
            cloud.tls.unwrap().server_name.as_deref(),
            Some(CLOUD_SERVER_NAME)
        );
        let plain = Shared::Plain
            .describe("localhost:1234", certificates)
            .unwrap();
        assert_eq!(
            (plain.uri().as_str(), plain.token().as_str()),
            ("http://localhost:1234", "")
        );
        assert!(Shared::Auth.describe("nonsense", certificates).is_none());
    }
}
