//! The commands that work on the profile file: what they write, what they say, and what they refuse.

use std::fs;

use crate::program::{Program, profile, steady};
use milvusctl::Exit;

const TEAM: &str = "\
# The team's servers.
[prod]
uri = \"https://in01-0123.api.example.com\"   # Zilliz Cloud
token_env = \"PROD_TOKEN\"
timeout = 3

# Mine.
[dev]
address = \"localhost:19530\"
user = \"root\"
password_file = \"dev-password\"
";

#[tokio::test]
async fn list_show_and_explain_tell_a_profile() {
    let (folder, file) = profile(TEAM);
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    for (name, arguments) in [
        ("list", &["list"][..]),
        ("show", &["show", "prod"]),
        ("explain", &["explain", "dev"]),
    ] {
        let ran = Program::with_file(&file).run(arguments).await;
        insta::assert_snapshot!(format!("{name}_table"), ran.transcript());
        let ran = Program::with_file(&file).piped().run(arguments).await;
        serde_json::from_str::<serde_json::Value>(&ran.output).unwrap();
        insta::assert_snapshot!(format!("{name}_json"), ran.transcript());
    }
    let names = Program::with_file(&file)
        .piped()
        .run(&["list", "--names"])
        .await;
    assert_eq!(names.output, "default\nprod\ndev\n");
}

#[tokio::test]
async fn the_environment_fills_the_default_alias_and_what_does_not_apply_is_told() {
    let (folder, file) = profile("[default]\naddress = 'localhost:19530'\n");
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let ran = Program::with_file(&file)
        .variable("MILVUS_URI", "https://env.example.com")
        .variable("MILVUS_CONN_TIMEOUT", "4")
        .run(&["explain"])
        .await;
    insta::assert_snapshot!("explain_environment", ran.transcript());
}

#[tokio::test]
async fn add_writes_keeps_comments_and_replaces_only_when_told() {
    let (folder, file) = profile(TEAM);
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let add = [
        "add",
        "staging",
        "db.example.com:19530",
        "--token-env",
        "STAGING_TOKEN",
        "--set",
        "max_channels=8",
        "--tls",
    ];
    let ran = Program::with_file(&file)
        .variable("STAGING_TOKEN", "canary")
        .run(&add)
        .await;
    insta::assert_snapshot!("add", ran.transcript());
    let again = Program::with_file(&file).run(&add).await;
    insta::assert_snapshot!("add_twice", again.transcript());
    let replaced = Program::with_file(&file)
        .run(&[
            "add",
            "staging",
            "a:1",
            "b:2",
            "--replace",
            "--db",
            "notes",
            "--timeout",
            "2.5",
        ])
        .await;
    insta::assert_snapshot!("add_replace", replaced.transcript());
    insta::assert_snapshot!("file_after_add", fs::read_to_string(&file).unwrap());
}

#[tokio::test]
async fn add_makes_the_file_and_its_folder() {
    let (folder, _) = profile("");
    let file = folder.path().join("new/folder/connections.toml");
    let ran = Program::with_file(&file)
        .piped()
        .run(&["add", "dev", "localhost"])
        .await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.errors);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "[dev]\nhost = \"localhost\"\n"
    );
    let json: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(
        (json["action"].as_str(), json["address"].as_str()),
        (Some("added"), Some("localhost:19530"))
    );
}

#[tokio::test]
async fn a_secret_comes_by_prompt_or_standard_input() {
    let (folder, file) = profile("");
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let asked = Program::with_file(&file)
        .answer("canary-1")
        .run(&["add", "a", "localhost:1", "--user", "root"])
        .await;
    insta::assert_snapshot!("add_prompt", asked.transcript());
    let read = Program::with_file(&file)
        .input("canary-2\nmore")
        .run(&["add", "b", "localhost:2", "--stdin"])
        .await;
    assert_eq!(read.exit, Exit::Success, "{}", read.errors);
    let in_uri = Program::with_file(&file)
        .input("canary-3")
        .run(&["add", "c", "http://root@localhost:3", "--stdin"])
        .await;
    assert_eq!(in_uri.exit, Exit::Success, "{}", in_uri.errors);
    insta::assert_snapshot!("file_after_secrets", fs::read_to_string(&file).unwrap());
    let nobody = Program::with_file(&file)
        .run(&["add", "d", "localhost:4", "--user", "root"])
        .await;
    insta::assert_snapshot!("add_nobody_to_ask", nobody.transcript());
    let empty = Program::with_file(&file)
        .input("\n")
        .run(&["add", "d", "localhost:4", "--stdin"])
        .await;
    assert_eq!(empty.exit, Exit::Usage, "{}", empty.errors);
}

#[tokio::test]
async fn a_secret_as_an_argument_is_refused_and_not_repeated() {
    let (folder, file) = profile("");
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let mut transcripts = String::new();
    for (number, arguments) in [
        &[
            "add",
            "a",
            "localhost:1",
            "--user",
            "root",
            "--password",
            "canary",
        ][..],
        &["add", "a", "localhost:1", "--password=canary"],
        &["add", "a", "localhost:1", "--token", "canary"],
        &["add", "a", "https://root:canary@localhost"],
        &["add", "a", "localhost:1", "--set", "token=canary"],
        &["ping", "https://root:canary@localhost"],
        &["doctor", "localhost:1", "--token=canary"],
        &["show", "https://root:canary@localhost"],
        &["list", "https://root:canary@localhost"],
        &["add", "https://root:canary@localhost", "dev"],
    ]
    .into_iter()
    .enumerate()
    {
        let ran = Program::with_file(&file).run(arguments).await;
        assert!(
            matches!(ran.exit, Exit::Usage | Exit::Configuration),
            "{arguments:?}: {}",
            ran.errors
        );
        let transcript = ran.transcript();
        assert!(!transcript.contains("canary"), "{transcript}");
        transcripts.push_str(&format!("=== {number}\n{transcript}"));
    }
    insta::assert_snapshot!("secrets_refused", transcripts);
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

#[tokio::test]
async fn remove_takes_all_or_none() {
    let (folder, file) = profile(TEAM);
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    let wrong = Program::with_file(&file)
        .run(&["remove", "dev", "prdo"])
        .await;
    insta::assert_snapshot!("remove_unknown", wrong.transcript());
    assert_eq!(fs::read_to_string(&file).unwrap(), TEAM);
    let right = Program::with_file(&file).run(&["rm", "dev"]).await;
    insta::assert_snapshot!("remove", right.transcript());
    let left = fs::read_to_string(&file).unwrap();
    assert!(
        left.contains("# Zilliz Cloud") && !left.contains("[dev]"),
        "{left}"
    );
}

#[tokio::test]
async fn faults_say_what_where_why_and_what_to_do() {
    let mut transcripts = String::new();
    let (folder, _) = profile("");
    let settings = steady(folder.path());
    let _bound = settings.bind_to_scope();
    for (name, text, arguments) in [
        ("unknown alias", TEAM, &["show", "prdo"][..]),
        ("unknown alias in JSON", TEAM, &["show", "prdo", "--json"]),
        ("unknown key", "[dev]\nadress = 'localhost:1'\n", &["list"]),
        ("no TOML", "[dev\n", &["list"]),
        (
            "wrong value",
            "[dev]\naddress = 'localhost'\n",
            &["show", "dev"],
        ),
        (
            "wrong value in a list",
            "[dev]\naddress = 'localhost'\n[ok]\nhost = 'h'\n",
            &["list"],
        ),
        (
            "wrong field",
            TEAM,
            &["add", "x", "localhost:1", "--set", "max_chanels=1"],
        ),
        ("wrong address", TEAM, &["add", "x", "localhost:port"]),
        ("wrong URI", TEAM, &["add", "x", "ftp://localhost"]),
        (
            "password without user",
            TEAM,
            &["add", "x", "localhost:1", "--password-env", "X"],
        ),
        ("several URIs", TEAM, &["add", "x", "a:1", "http://b:1"]),
    ] {
        let file = folder.path().join("faulty.toml");
        fs::write(&file, text).unwrap();
        let ran = Program::with_file(&file).run(arguments).await;
        transcripts.push_str(&format!("=== {name}\n{}", ran.transcript()));
    }
    insta::assert_snapshot!("faults", transcripts);
}

#[tokio::test]
async fn a_file_that_is_named_and_not_there_is_told() {
    let (folder, _) = profile("");
    let missing = folder.path().join("missing.toml");
    let ran = Program::with_file(&missing).run(&["list"]).await;
    assert_eq!(ran.exit, Exit::Configuration, "{}", ran.errors);
    assert!(ran.errors.contains("missing.toml"), "{}", ran.errors);
}

#[tokio::test]
async fn completions_know_the_commands_and_ask_for_the_aliases() {
    let (_folder, file) = profile(TEAM);
    for shell in ["bash", "zsh", "fish"] {
        let ran = Program::with_file(&file).run(&["completions", shell]).await;
        assert_eq!(ran.exit, Exit::Success);
        for text in ["doctor", "password-env", "milvusctl list --names"] {
            assert!(ran.output.contains(text), "{shell}: {text}");
        }
    }
    let zsh = Program::with_file(&file)
        .run(&["completions", "zsh"])
        .await
        .output;
    assert!(zsh.matches(":_milvusctl_aliases'").count() >= 6, "{zsh}");
}
