//! The program against real servers: every kind of them, and the failures that they produce.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

#[path = "commands/program.rs"]
mod program;

use std::path::Path;

use milvus_testkit::real::{self, Server};
use milvusctl::Exit;
use program::{Program, Ran, profile};

/// The arguments of `add`, `ping` and `doctor` for a server, apart from the secret.
fn arguments(server: &Server) -> Vec<String> {
    let mut all = Vec::new();
    if let Some((user, _)) = &server.credentials {
        all.extend(["--user".to_owned(), user.clone(), "--stdin".to_owned()]);
    }
    if let Some(tls) = &server.tls {
        all.extend(["--ca".to_owned(), path(&tls.ca)]);
        if let Some(name) = &tls.server_name {
            all.extend(["--server-name".to_owned(), name.clone()]);
        }
        if let Some(client) = &tls.client {
            all.extend(["--client-certificate".to_owned(), path(&client.certificate)]);
            all.extend(["--client-key".to_owned(), path(&client.key)]);
        }
    }
    all
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn password(server: &Server) -> &str {
    server
        .credentials
        .as_ref()
        .map_or("", |(_, password)| password)
}

async fn run_with_secret(file: &Path, secret: &str, head: &[&str], tail: &[String]) -> Ran {
    let all: Vec<&str> = head
        .iter()
        .copied()
        .chain(tail.iter().map(String::as_str))
        .collect();
    Program::with_file(file)
        .input(secret)
        .piped()
        .run(&all)
        .await
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.output)
        .unwrap_or_else(|error| panic!("{error}: {}", ran.transcript()))
}

#[tokio::test]
async fn every_kind_of_server_is_added_pinged_and_healthy() {
    let (_folder, file) = profile("");
    let servers = [
        ("plain", real::plain()),
        ("auth", real::auth()),
        ("tls", real::tls()),
        ("mutual_tls", real::mutual_tls()),
        ("cloud", real::cloud()),
        ("lite", real::lite()),
    ];
    for (alias, server) in &servers {
        let added = run_with_secret(
            &file,
            password(server),
            &["add", alias, &server.uri()],
            &arguments(server),
        )
        .await;
        assert_eq!(added.exit, Exit::Success, "{}", added.transcript());
        let pinged = Program::with_file(&file)
            .piped()
            .run(&["ping", alias, "--count", "2", "--interval", "0"])
            .await;
        assert_eq!(pinged.exit, Exit::Success, "{}", pinged.transcript());
        assert!(json(&pinged)["round_trip"]["min_micros"].as_u64() > Some(0));
        let version = Program::with_file(&file)
            .piped()
            .run(&["version", alias])
            .await;
        assert_eq!(json(&version)["server"]["address"], server.address());
    }
    // The default alias is looked up only when it is the one that is meant.
    let names: Vec<&str> = servers.iter().map(|(alias, _)| *alias).collect();
    let healthy = Program::with_file(&file)
        .piped()
        .run(&[&["doctor"], names.as_slice()].concat())
        .await;
    assert_eq!(healthy.exit, Exit::Success, "{}", healthy.transcript());
    assert_eq!(
        json(&healthy)["diagnoses"].as_array().map(Vec::len),
        Some(servers.len())
    );
}

/// A way to fail, and what tells it.
struct Case {
    failure: &'static str,
    exit: Exit,
    secret: &'static str,
    target: String,
    arguments: Vec<String>,
}

fn cases() -> Vec<Case> {
    let (auth, tls) = (real::auth(), real::tls());
    let case = |failure, secret, target: String, base: &Server, more: &[String]| Case {
        failure,
        exit: Exit::Connection,
        secret,
        target,
        arguments: [arguments(base).as_slice(), more].concat(),
    };
    let option = |name: &str, value: String| [name.to_owned(), value];
    let unknown_ca = option("--ca", path(&real::certificates().unknown_ca()));
    let other_name = option("--server-name", "milvus.elsewhere.test".to_owned());
    let other_scheme = |uri: String| match uri.strip_prefix("https://") {
        Some(rest) => format!("http://{rest}"),
        None => uri.replacen("http://", "https://", 1),
    };
    let root = real::ROOT_PASSWORD;
    vec![
        Case {
            exit: Exit::Authentication,
            ..case("wrong_credentials", "wrong", auth.uri(), &auth, &[])
        },
        Case {
            exit: Exit::Authentication,
            arguments: Vec::new(),
            ..case("credentials_required", "", auth.uri(), &auth, &[])
        },
        case(
            "unknown_database",
            root,
            auth.uri(),
            &auth,
            &option("--database", "nope".to_owned()),
        ),
        case(
            "unknown_certificate_authority",
            root,
            tls.uri(),
            &auth,
            &unknown_ca,
        ),
        case(
            "certificate_name_mismatch",
            root,
            tls.uri(),
            &tls,
            &other_name,
        ),
        case("tls_required", root, other_scheme(tls.uri()), &auth, &[]),
        case("tls_not_spoken", root, other_scheme(auth.uri()), &auth, &[]),
    ]
}

#[tokio::test]
async fn real_failures_are_told_by_exit_code_and_name() {
    let (_folder, file) = profile("");
    for case in cases() {
        let doctor = run_with_secret(
            &file,
            case.secret,
            &["doctor", &case.target],
            &case.arguments,
        )
        .await;
        assert_eq!(
            doctor.exit,
            case.exit,
            "{}: {}",
            case.failure,
            doctor.transcript()
        );
        let steps = json(&doctor)["diagnoses"][0]["endpoints"][0]["steps"].clone();
        let failed = steps
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["outcome"] == "failed")
            .unwrap();
        assert_eq!(failed["failure"], case.failure, "{failed}");
        let ping = run_with_secret(
            &file,
            case.secret,
            &["ping", &case.target, "--json"],
            &case.arguments,
        )
        .await;
        assert_eq!(
            ping.exit,
            case.exit,
            "{}: {}",
            case.failure,
            ping.transcript()
        );
        let error: serde_json::Value = serde_json::from_str(&ping.errors).unwrap();
        assert_eq!(error["error"]["hint"], failed["hint"], "{error}");
    }
}
