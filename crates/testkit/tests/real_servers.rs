//! Each shared server is what its description says, asked by the official client.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use milvus_testkit::real::{self, Server};

const LIMIT: Duration = Duration::from_secs(120);

/// Connects with raw gRPC, so that nothing but what the description says decides, and prints the answer of `Connect`.
const SCRIPT: &str = r#"
import base64, json, sys
import grpc
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc
address, token, ca, name, certificate, key = sys.argv[1:7]
read = lambda path: open(path, "rb").read() if path else None
if ca:
    credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(certificate))
    options = [("grpc.ssl_target_name_override", name)] if name else []
    channel = grpc.secure_channel(address, credentials, options)
else:
    channel = grpc.insecure_channel(address)
metadata = [("authorization", base64.b64encode(token.encode()).decode())] if token else []
try:
    stub = milvus_pb2_grpc.MilvusServiceStub(channel)
    answer = stub.Connect(milvus_pb2.ConnectRequest(), metadata=metadata, timeout=60)
    print(json.dumps({"code": "OK", "text": answer.server_info.build_tags}))
except grpc.RpcError as error:
    print(json.dumps({"code": error.code().name, "text": error.details()}))
"#;

/// The gRPC code and the version or error text that `Connect` answers.
fn connect(server: &Server, token: &str) -> (String, String) {
    let text = |path: Option<&std::path::Path>| {
        path.map_or_else(String::new, |path| path.display().to_string())
    };
    let tls = server.tls.as_ref();
    let client = tls.and_then(|tls| tls.client.as_ref());
    let arguments = [
        server.address(),
        token.to_owned(),
        text(tls.map(|tls| tls.ca.as_path())),
        tls.and_then(|tls| tls.server_name.clone())
            .unwrap_or_default(),
        text(client.map(|client| client.certificate.as_path())),
        text(client.map(|client| client.key.as_path())),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = real::pymilvus()
        .run_json(SCRIPT, &arguments, LIMIT)
        .unwrap();
    let field = |name: &str| answer[name].as_str().unwrap().to_owned();
    (field("code"), field("text"))
}

fn version_of(server: &Server) -> String {
    let (code, text) = connect(server, &server.token());
    assert_eq!(code, "OK", "{text}");
    text
}

#[test]
fn plain_answers_without_credentials() {
    assert_eq!(version_of(&real::plain()), "v2.3.5-lite");
}

#[test]
fn auth_answers_with_credentials_only() {
    let auth = real::auth();
    assert_eq!(version_of(&auth), "v2.3.5-lite");
    assert_eq!(connect(&auth, "root:wrong").0, "UNAUTHENTICATED");
}

#[test]
fn tls_answers_with_its_own_authority_only() {
    let tls = real::tls();
    assert_eq!(version_of(&tls), "v2.3.5-lite");
    let mut stranger = tls.clone();
    stranger.tls.as_mut().unwrap().ca = real::certificates().unknown_ca();
    assert_eq!(connect(&stranger, &tls.token()).0, "UNAVAILABLE");
}

#[test]
fn mutual_tls_answers_with_a_client_certificate_only() {
    let mutual = real::mutual_tls();
    assert_eq!(version_of(&mutual), "v2.3.5-lite");
    let mut nameless = mutual.clone();
    nameless.tls.as_mut().unwrap().client = None;
    assert_eq!(connect(&nameless, &mutual.token()).0, "UNAVAILABLE");
}

#[test]
fn cloud_answers_under_its_own_name_only() {
    let cloud = real::cloud();
    assert_eq!(version_of(&cloud), "v2.3.5-lite");
    assert_eq!(connect(&cloud, "root:wrong").0, "UNAUTHENTICATED");
    let mut unnamed = cloud.clone();
    unnamed.tls.as_mut().unwrap().server_name =
        Some("in02-unknown.vectordb.zillizcloud.test".to_owned());
    assert_eq!(connect(&unnamed, &cloud.token()).0, "UNAVAILABLE");
}

#[test]
fn lite_answers_without_credentials() {
    let version = version_of(&real::lite());
    assert!(
        version.contains("3.2.2") || version.to_lowercase().contains("lite"),
        "{version}"
    );
}
