//! `ping`, `doctor` and `version` against servers that misbehave on demand, and against none.

use std::time::Duration;

use crate::program::{Program, Ran, profile, steady};
use milvus_testkit::fault::{
    FaultListener, FaultServer, FaultServerOptions, FaultTls, ListenerFault, Rule, Then, When,
};
use milvus_testkit::{Certificates, Identity, Scratch};
use milvusctl::Exit;

async fn run(arguments: &[&str]) -> Ran {
    let (_folder, file) = profile("");
    Program::with_file(&file).run(arguments).await
}

fn port_without_listener() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn speaking_tls(identity: Identity) -> FaultServer {
    let tls = Some(FaultTls::new(identity));
    let options = FaultServerOptions {
        tls,
        ..FaultServerOptions::default()
    };
    FaultServer::start(options).await.unwrap()
}

async fn answering(then: Then) -> FaultServer {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    server.rule(Rule::new(When::any(), then));
    server
}

#[tokio::test]
async fn doctor_tells_each_failure_and_the_exit_code_follows() {
    let scratch = Scratch::new("milvusctl-doctor").unwrap();
    let certificates = Certificates::generate(scratch.path()).unwrap();
    let settings = steady(scratch.path());
    let _bound = settings.bind_to_scope();
    let web = FaultListener::start(ListenerFault::HttpOne).await.unwrap();
    let expired = speaking_tls(certificates.expired()).await;
    let stranger = speaking_tls(certificates.unknown_authority()).await;
    let unready = answering(Then::in_band(1, "service not ready[proxy=1]: Initializing")).await;
    let strict = answering(Then::GrpcStatus(
        16,
        "auth check failure, please check username and password are correct".into(),
    ))
    .await;
    let ca = certificates.ca().display().to_string();
    let on = |scheme: &str, server: &FaultServer| {
        format!("{scheme}://localhost:{}", server.address().port())
    };
    for (name, exit, target) in [
        ("refused", Exit::Connection, port_without_listener()),
        ("web_server", Exit::Connection, web.address().to_string()),
        ("expired", Exit::Connection, on("https", &expired)),
        (
            "unknown_authority",
            Exit::Connection,
            on("https", &stranger),
        ),
        ("plain_to_tls", Exit::Connection, on("http", &expired)),
        ("tls_to_plain", Exit::Connection, on("https", &unready)),
        ("not_ready", Exit::Connection, unready.address().to_string()),
        (
            "credentials_required",
            Exit::Authentication,
            strict.address().to_string(),
        ),
    ] {
        let mut arguments = vec!["doctor", target.as_str()];
        if target.starts_with("https") {
            arguments.extend(["--ca", ca.as_str()]);
        }
        let ran = run(&arguments).await;
        assert_eq!(ran.exit, exit, "{}", ran.transcript());
        insta::assert_snapshot!(format!("doctor_{name}"), ran.transcript());
    }
}

#[tokio::test]
async fn doctor_looks_at_every_alias_and_goes_on_after_a_bad_one() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (folder, file) = profile(&format!(
        "[default]\naddress = '{}'\n[bad]\naddress = 'nonsense'\n[away]\naddress = '{}'\n",
        server.address(),
        port_without_listener()
    ));
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let ran = Program::with_file(&file).run(&["doctor"]).await;
    insta::assert_snapshot!("doctor_all", ran.transcript());
    let ran = Program::with_file(&file).piped().run(&["doctor"]).await;
    let json: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    let healthy: Vec<_> = json["diagnoses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|diagnosis| diagnosis["healthy"].as_bool().unwrap())
        .collect();
    assert_eq!(healthy, [true, false, false]);
    assert_eq!(json["healthy"], false);
    assert_eq!(
        json["diagnoses"][2]["endpoints"][0]["steps"][2]["failure"],
        "refused"
    );
}

#[tokio::test]
async fn doctor_colours_what_matters() {
    let (_folder, file) = profile("");
    let ran = Program::with_file(&file)
        .colored()
        .run(&["doctor", &port_without_listener()])
        .await;
    assert!(
        ran.output.contains("\u{1b}[32m✓\u{1b}[0m"),
        "{}",
        ran.output
    );
    assert!(
        ran.output.contains("\u{1b}[1m\u{1b}[31m✗\u{1b}[0m"),
        "{}",
        ran.output
    );
}

#[tokio::test]
async fn ping_measures_and_counts_failures() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let address = server.address().to_string();
    let (folder, file) = profile("");
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let ran = Program::with_file(&file)
        .run(&["ping", &address, "--count", "3", "--interval", "0"])
        .await;
    insta::assert_snapshot!("ping", ran.transcript());
    server.rule(
        Rule::new(
            When::rpc("GetVersion"),
            Then::in_band(5, "canary of a failure"),
        )
        .times(1),
    );
    let ran = Program::with_file(&file)
        .piped()
        .run(&["ping", &address, "--count", "2", "--interval", "0"])
        .await;
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.transcript());
    let json: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(
        (
            json["failed"].as_u64(),
            json["calls"].as_array().map(Vec::len)
        ),
        (Some(1), Some(2))
    );
    assert!(json["round_trip"]["p99_micros"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn top_shows_every_alias_once_when_asked_to_or_piped() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (_folder, file) = profile(&format!(
        "[prod]\naddress = '{}'\n[away]\naddress = '{}'\n[bad]\naddress = 'nonsense'\n",
        server.address(),
        port_without_listener()
    ));
    let ran = Program::with_file(&file)
        .piped()
        .run(&["top", "bad", "prod", "away"])
        .await;
    assert_eq!(ran.exit, Exit::Connection, "{}", ran.transcript());
    let rows: Vec<serde_json::Value> = ran
        .output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let states: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["alias"].as_str().unwrap(),
                row["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [("bad", "down"), ("prod", "ready"), ("away", "down")]
    );
    assert_eq!(
        (&rows[1]["channels"], &rows[1]["succeeded"]),
        (&1.into(), &1.into())
    );
    assert!(rows[2]["failure"].as_str().unwrap().contains("refused"));
    let ran = Program::with_file(&file)
        .run(&["top", "prod", "--once"])
        .await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.transcript());
    assert!(
        ran.output.contains("prod") && ran.output.contains("ready"),
        "{}",
        ran.output
    );
    assert!(!ran.output.contains("away"), "{}", ran.output);
    let ran = Program::with_file(&file).run(&["top", "nobody"]).await;
    assert_eq!(ran.exit, Exit::Configuration, "{}", ran.transcript());
}

#[tokio::test]
async fn ping_tells_why_it_can_not_connect() {
    let (folder, file) = profile(&format!(
        "[staging]\naddress = '{}'\n",
        port_without_listener()
    ));
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let ran = Program::with_file(&file).run(&["ping", "staging"]).await;
    assert_eq!(ran.exit, Exit::Connection);
    insta::assert_snapshot!("ping_refused", ran.transcript());
    let ran = Program::with_file(&file)
        .run(&["ping", "stagign", "--json"])
        .await;
    assert_eq!(ran.exit, Exit::Configuration);
    let json: serde_json::Value = serde_json::from_str(&ran.errors).unwrap();
    assert_eq!(json["error"]["exit_code"], 3);
    assert!(
        json["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("Did you mean \"staging\"?")
    );
}

#[tokio::test]
async fn a_server_can_not_write_control_characters_to_the_terminal() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    server.rule(Rule::new(
        When::any(),
        Then::in_band(5, "\u{1b}[2Jcleared\u{7}"),
    ));
    let ran = run(&["doctor", &server.address().to_string()]).await;
    assert!(
        ran.output.contains("cleared") && !ran.output.contains(['\u{1b}', '\u{7}']),
        "{:?}",
        ran.output
    );
    let ran = run(&["ping", &server.address().to_string()]).await;
    assert!(
        ran.errors.contains("cleared") && !ran.errors.contains(['\u{1b}', '\u{7}']),
        "{:?}",
        ran.errors
    );
}

#[tokio::test]
async fn version_asks_the_server_only_when_there_is_one() {
    let ran = run(&["version"]).await;
    assert_eq!(
        ran.output,
        format!("milvusctl {}\n", env!("CARGO_PKG_VERSION"))
    );
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (_folder, file) = profile("");
    let ran = Program::with_file(&file)
        .piped()
        .run(&["version", &server.address().to_string()])
        .await;
    let json: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(json["server"]["address"], server.address().to_string());
}

#[tokio::test]
async fn a_connect_takes_no_longer_than_it_may() {
    let silent = FaultListener::start(ListenerFault::Silent).await.unwrap();
    let limit = Duration::from_secs(60);
    let address = silent.address().to_string();
    let arguments = ["ping", &address, "--timeout", "0.2"];
    let ran = tokio::time::timeout(limit, run(&arguments)).await.unwrap();
    assert_eq!(ran.exit, Exit::Connection, "{}", ran.transcript());
}
