//! The official clients do everyday work on a served database: PyMilvus in its three forms, the Node and the Rust client,
//! and our own with the conformance checks.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use milvus_connections::{Client, ConnectionParams, Connections};
use milvus_testkit::conformance::{Backend, BackendKind, admin_checks, data_checks, run};
use milvus_testkit::real::{self, Node, RustSdk};
use milvus_testkit::{Certificates, Scratch, ServerProcess};

const START_LIMIT: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(200);

/// A database that the built program serves; gone with this value.
struct Served {
    // Declared before the folder, so that the process is gone when its files are removed.
    _process: ServerProcess,
    uri: String,
    password_file: PathBuf,
    folder: Scratch,
}

impl Served {
    fn start(name: &str, with: impl FnOnce(&Scratch, &mut Command)) -> Self {
        let arguments = ["--listen", "127.0.0.1:0", "--format", "json"];
        Self::start_with(name, &arguments, with)
    }

    fn start_with(
        name: &str,
        arguments: &[&str],
        with: impl FnOnce(&Scratch, &mut Command),
    ) -> Self {
        let folder = Scratch::new(name).unwrap();
        let log = folder.path().join("log");
        let program = Path::new(env!("CARGO_BIN_EXE_milvusctl"));
        let mut process = ServerProcess::spawn("milvusctl serve", program, &log, |command| {
            command
                .arg("serve")
                .args(arguments)
                .arg(folder.path().join("demo.db"))
                .env_remove("MILVUS_ROOT_PASSWORD");
            with(&folder, command);
        })
        .unwrap();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        process
            .wait_until(START_LIMIT, || said().ends_with('\n'))
            .unwrap();
        let said: serde_json::Value = serde_json::from_str(&said()).unwrap();
        Self {
            _process: process,
            uri: said["addresses"][0].as_str().unwrap().to_owned(),
            password_file: said["root_password_file"].as_str().unwrap().into(),
            folder,
        }
    }

    fn plain(name: &str) -> Self {
        Self::start(name, |_, _| {})
    }

    /// With TLS, and with `mutual` for clients with a certificate only.
    fn tls(name: &str, mutual: bool) -> Self {
        Self::start(name, |folder, command| {
            let certificates = Certificates::generate(folder.path()).unwrap();
            let server = certificates.server();
            command
                .arg("--tls-cert")
                .arg(server.certificate)
                .arg("--tls-key")
                .arg(server.key);
            if mutual {
                command.arg("--client-ca").arg(certificates.ca());
            }
        })
    }

    /// On a Unix socket, and on nothing else.
    fn unix(name: &str) -> Self {
        Self::start_with(name, &["--format", "json"], |folder, command| {
            command.arg("--unix").arg(folder.path().join("socket"));
        })
    }

    /// The files of the client's side of TLS: the authority's, and the client's certificate and key.
    fn client_files(&self) -> [String; 3] {
        let certificates = Certificates::in_directory(self.folder.path());
        let client = certificates.client();
        [certificates.ca(), client.certificate, client.key]
            .map(|path| path.to_str().unwrap().to_owned())
    }

    /// The URI with the name that the certificate is for: these clients take no other than that of the address.
    fn uri_by_name(&self) -> String {
        self.uri.replace("127.0.0.1", "localhost")
    }

    fn password_file(&self) -> &str {
        self.password_file.to_str().unwrap()
    }

    /// Without the scheme.
    fn address(&self) -> &str {
        self.uri.split_once("://").unwrap().1
    }
}

/// The parts that a script says it has done, on its last line.
fn done(output: &str) -> Vec<String> {
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output}"))
}

fn pymilvus(script: &str, arguments: &[&str]) -> Vec<String> {
    let output = real::pymilvus().run(script, arguments, LIMIT);
    done(&output.unwrap_or_else(|failure| panic!("{failure}")))
}

#[test]
fn pymilvus_client_does_everyday_work() {
    let served = Served::plain("serve-pymilvus");
    let script = include_str!("pymilvus_client.py");
    assert_eq!(
        pymilvus(script, &[&served.uri, served.password_file()]).len(),
        11
    );
}

#[test]
fn pymilvus_client_does_everyday_work_over_tls() {
    let served = Served::tls("serve-pymilvus-tls", false);
    let [ca, ..] = served.client_files();
    let script = include_str!("pymilvus_client.py");
    let arguments = [&*served.uri_by_name(), served.password_file(), &ca];
    assert_eq!(pymilvus(script, &arguments).len(), 11);
}

#[test]
fn pymilvus_client_does_everyday_work_over_mutual_tls() {
    let served = Served::tls("serve-pymilvus-mutual", true);
    let [ca, certificate, key] = served.client_files();
    let script = include_str!("pymilvus_client.py");
    let uri = served.uri_by_name();
    let arguments = [&*uri, served.password_file(), &ca, &certificate, &key];
    assert_eq!(pymilvus(script, &arguments).len(), 11);
}

#[test]
fn pymilvus_client_does_everyday_work_through_a_unix_socket() {
    let served = Served::unix("serve-pymilvus-unix");
    assert!(served.uri.starts_with("unix:/"), "{}", served.uri);
    let script = include_str!("pymilvus_client.py");
    assert_eq!(
        pymilvus(script, &[&served.uri, served.password_file()]).len(),
        11
    );
}

#[test]
fn pymilvus_async_client_does_everyday_work() {
    let served = Served::plain("serve-pymilvus-async");
    let script = include_str!("pymilvus_async_client.py");
    assert_eq!(
        pymilvus(script, &[&served.uri, served.password_file()]).len(),
        4
    );
}

#[test]
fn pymilvus_upserts_parts_of_rows_and_iterates_while_others_write() {
    let served = Served::plain("serve-pymilvus-rows");
    let script = include_str!("pymilvus_upserts_and_iterators.py");
    assert_eq!(
        pymilvus(script, &[&served.uri, served.password_file()]).len(),
        4
    );
}

#[test]
fn pymilvus_orm_does_everyday_work() {
    let served = Served::plain("serve-pymilvus-orm");
    let script = include_str!("pymilvus_orm.py");
    assert_eq!(
        pymilvus(script, &[&served.uri, served.password_file()]).len(),
        5
    );
}

fn node(arguments: &[&str]) {
    let node = Node::prepare().unwrap();
    let output = node.run(include_str!("node.js"), arguments, LIMIT);
    assert_eq!(
        done(&output.unwrap_or_else(|failure| panic!("{failure}"))).len(),
        6
    );
}

#[test]
fn the_node_client_does_everyday_work() {
    let served = Served::plain("serve-node");
    node(&[served.address(), served.password_file()]);
}

#[test]
fn the_node_client_does_everyday_work_over_one_way_and_mutual_tls() {
    for mutual in [false, true] {
        let served = Served::tls("serve-node-tls", mutual);
        let (uri, files) = (served.uri_by_name(), served.client_files());
        let address = uri.split_once("://").unwrap().1;
        let shown = if mutual { &files[..] } else { &files[..1] };
        let shown = shown.iter().map(String::as_str);
        let arguments: Vec<&str> = [address, served.password_file()]
            .into_iter()
            .chain(shown)
            .collect();
        node(&arguments);
    }
}

#[test]
fn the_official_rust_client_does_everyday_work() {
    let served = Served::plain("serve-rust");
    let sdk = RustSdk::prepare().unwrap_or_else(|failure| panic!("{failure}"));
    let output = sdk.run(&[&served.uri, served.password_file()], LIMIT);
    assert_eq!(
        done(&output.unwrap_or_else(|failure| panic!("{failure}"))).len(),
        6
    );
}

async fn client(served: &Served) -> Client {
    let connections = Connections::isolated();
    let params = ConnectionParams::uri(&*served.uri)
        .user("root")
        .password_file(served.password_file());
    connections.add_connection([("served", params)]).unwrap();
    connections.connect("served").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_served_database_passes_all_checks() {
    let served = Served::plain("serve-conformance");
    let client = client(&served).await;
    let backend = Backend::new("served", BackendKind::Embedded, client);
    let checks = [data_checks(), admin_checks()].concat();
    run(&backend, &checks).await.assert_all_passed();
}
