//! `serve` and `key`: the password of a first start, what is said, how it ends, and what it refuses.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::program::{Program, Ran, built, finished, steady};
use milvus_connections::client::MetricType;
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::{CollectionSchema, FieldSchema};
use milvus_connections::{ConnectionParams, Connections};
use milvus_testkit::Certificates;
use milvusctl::{Console, Exit};

const CANARY: &str = "canary-7f3a";

struct Serving {
    process: Child,
    said: serde_json::Value,
    address: String,
}

impl Serving {
    fn start(database: &Path, with: impl FnOnce(&mut Command)) -> Self {
        let mut command = built(Path::new("unused.toml"));
        command
            .arg("serve")
            .arg(database)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        with(&mut command);
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let address = said["addresses"][0].as_str().unwrap().to_owned();
        Self {
            process,
            said,
            address,
        }
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// SIGTERM, and what it left on standard error.
    fn stop(mut self) -> String {
        self.terminate();
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        let mut errors = String::new();
        std::io::Read::read_to_string(self.process.stderr.as_mut().unwrap(), &mut errors).unwrap();
        errors
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn database() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.db");
    (folder, path)
}

/// The exit code of a `ping` with this secret in a variable.
fn ping(address: &str, user: Option<&str>, secret: &str) -> i32 {
    let mut command = built(Path::new("unused.toml"));
    command
        .args(["ping", address, "--count", "1"])
        .env("SECRET", secret);
    match user {
        Some(user) => command.args(["--user", user, "--password-env", "SECRET"]),
        None => command.args(["--token-env", "SECRET"]),
    };
    finished(&mut command).0
}

#[test]
fn a_first_start_makes_a_password_that_only_its_file_tells() {
    let (folder, path) = database();
    let serving = Serving::start(&path, |_| {});
    let file = folder.path().join("demo.db.root-password");
    assert_eq!(
        serving.said["root_password_file"].as_str(),
        file.to_str(),
        "{}",
        serving.said
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let password = fs::read_to_string(&file).unwrap();
    assert!(password.len() >= 32 && !serving.said.to_string().contains(&password));
    assert_eq!(ping(&serving.address, Some("root"), &password), 0);
    assert_eq!(ping(&serving.address, Some("root"), "Milvus"), 5);
    let errors = serving.stop();
    assert!(
        errors.contains("stopping") && !errors.contains(&password),
        "{errors}"
    );
    // The password stays, and is told no more.
    let serving = Serving::start(&path, |_| {});
    assert!(serving.said.get("root_password_file").is_none());
    assert_eq!(ping(&serving.address, Some("root"), &password), 0);
    serving.stop();
    let serving = Serving::start(&path, |command| {
        command.arg("--reset-root-password");
    });
    assert_eq!(ping(&serving.address, Some("root"), &password), 5);
    let password = fs::read_to_string(&file).unwrap();
    assert_eq!(ping(&serving.address, Some("root"), &password), 0);
}

#[test]
fn a_given_password_is_taken_from_the_file_before_the_variable_and_never_told() {
    let (folder, path) = database();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{CANARY}-file\n")).unwrap();
    let serving = Serving::start(&path, |command| {
        command
            .arg("--root-password-file")
            .arg(&file)
            .env("MILVUS_ROOT_PASSWORD", format!("{CANARY}-variable"));
    });
    assert!(!serving.said.to_string().contains(CANARY));
    assert_eq!(
        ping(&serving.address, Some("root"), &format!("{CANARY}-file")),
        0
    );
    assert!(!serving.stop().contains(CANARY));
    let serving = Serving::start(&path, |command| {
        command
            .arg("--reset-root-password")
            .env("MILVUS_ROOT_PASSWORD", format!("{CANARY}-variable"));
    });
    assert_eq!(
        ping(
            &serving.address,
            Some("root"),
            &format!("{CANARY}-variable")
        ),
        0
    );
    assert!(!folder.path().join("demo.db.root-password").exists());
    assert!(!serving.stop().contains(CANARY));
}

#[test]
fn everybody_is_let_in_only_when_asked_for() {
    let (folder, path) = database();
    let serving = Serving::start(&path, |command| {
        command.arg("--no-auth");
    });
    assert_eq!(serving.said["authentication"], false);
    let mut anonymous = built(Path::new("unused.toml"));
    anonymous.args(["ping", &serving.address, "--count", "1"]);
    assert_eq!(finished(&mut anonymous).0, 0);
    serving.stop();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn keys_let_their_bearers_in_until_they_are_taken_back() {
    let (folder, path) = database();
    Serving::start(&path, |_| {}).stop();
    let text = path.display().to_string();
    let run = async |arguments: &[&str]| -> Ran {
        Program::with_file(Path::new("unused.toml"))
            .run(arguments)
            .await
    };
    let ran = run(&["key", "create", &text, "web", "--user", "root"]).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.errors);
    let file = folder.path().join("demo.db.web.key");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let key = fs::read_to_string(&file).unwrap();
    assert!(!ran.output.contains(&key), "{}", ran.output);
    let again = run(&["key", "create", &text, "web", "--user", "root"]).await;
    assert_eq!(again.exit, Exit::Failed);
    let nobody = run(&["key", "create", &text, "other", "--user", "nobody"]).await;
    assert!(
        nobody.errors.contains("user not found"),
        "{}",
        nobody.errors
    );
    let list = run(&["key", "list", &text]).await;
    assert!(
        list.output.contains("web") && !list.output.contains(&key),
        "{}",
        list.output
    );
    let serving = Serving::start(&path, |_| {});
    assert_eq!(ping(&serving.address, None, &key), 0);
    assert_eq!(ping(&serving.address, None, &format!("{key}x")), 5);
    serving.stop();
    assert_eq!(
        run(&["key", "remove", &text, "web"]).await.exit,
        Exit::Success
    );
    assert_eq!(
        run(&["key", "remove", &text, "web"]).await.exit,
        Exit::Failed
    );
    let serving = Serving::start(&path, |_| {});
    assert_eq!(ping(&serving.address, None, &key), 5);
}

#[tokio::test]
async fn what_cannot_be_served_is_told_with_what_to_do() {
    let (folder, path) = database();
    let mut settings = steady(folder.path());
    settings.add_filter(r"process \d+", "process [pid]");
    let _bound = settings.bind_to_scope();
    let run = async |arguments: &[&str]| {
        Program::with_file(Path::new("unused.toml"))
            .run(arguments)
            .await
    };
    let text = path.display().to_string();
    let other = folder.path().join("other.db").display().to_string();
    let serving = Serving::start(&path, |_| {});
    insta::assert_snapshot!("serve_locked", run(&["serve", &text]).await.transcript());
    let ran = run(&["key", "create", &text, "web", "--user", "root"]).await;
    insta::assert_snapshot!("key_locked", ran.transcript());
    let taken = serving.address.trim_start_matches("http://");
    let ran = run(&["serve", &other, "--no-auth", "--listen", taken]).await;
    insta::assert_snapshot!("serve_port_taken", ran.transcript());
    serving.stop();
    let parent = folder.path().display().to_string();
    insta::assert_snapshot!(
        "serve_other_folder",
        run(&["serve", &parent]).await.transcript()
    );
    let missing = folder.path().join("nowhere/x.db").display().to_string();
    insta::assert_snapshot!(
        "serve_no_folder",
        run(&["serve", &missing]).await.transcript()
    );
    let broken = folder.path().join("broken.pem");
    fs::write(&broken, "no certificate").unwrap();
    let broken = broken.display().to_string();
    let tls = ["--tls-cert", &broken, "--tls-key", &broken];
    let ran = run(&[
        &["serve", &other, "--no-auth", "--listen", "127.0.0.1:0"][..],
        &tls,
    ]
    .concat())
    .await;
    insta::assert_snapshot!("serve_bad_certificate", ran.transcript());
    let ran = run(&["serve", &other, "--listen", "nonsense"]).await;
    assert_eq!(ran.exit, Exit::Usage, "{}", ran.errors);
    let ran = run(&["key", "list", &missing]).await;
    insta::assert_snapshot!("key_no_database", ran.transcript());
}

#[tokio::test]
async fn a_prompted_password_is_asked_for_twice() {
    let (_folder, path) = database();
    let mut answers = ["one-password", "another-password"].into_iter();
    let mut console = Console::builder()
        .answers(move |_| Ok(answers.next().unwrap().to_owned().into()))
        .build();
    let path = path.display().to_string();
    let arguments = ["milvusctl", "serve", &path, "--listen", "127.0.0.1:0"];
    assert_eq!(milvusctl::run(arguments, &mut console).await, Exit::Usage);
}

#[test]
fn what_is_refused_is_logged_without_what_was_shown() {
    let (_folder, path) = database();
    let start = |level: &[&str]| {
        Serving::start(&path, |command| {
            command
                .args(level)
                .env("MILVUS_ROOT_PASSWORD", format!("{CANARY}-right"));
        })
    };
    let serving = start(&[]);
    assert_eq!(
        ping(&serving.address, Some("root"), &format!("{CANARY}-wrong")),
        5
    );
    assert_eq!(ping(&serving.address, None, &format!("{CANARY}-key")), 5);
    let log = serving.stop();
    let refused: Vec<_> = log
        .lines()
        .filter(|line| line.contains("a call was refused"))
        .collect();
    assert!(refused.len() >= 2, "{log}");
    for line in refused {
        assert!(
            line.contains("WARN")
                && line.contains("peer=127.0.0.1:")
                && line.contains("method=\"/milvus.proto.milvus.MilvusService/Connect\"")
                && line.contains("auth check failure"),
            "{line}"
        );
    }
    assert!(!log.contains(CANARY), "{log}");
    // As much as is asked for.
    let serving = start(&["--log", "off"]);
    assert_eq!(ping(&serving.address, None, "wrong"), 5);
    assert!(!serving.stop().contains("refused"));
    let ran = finished(
        built(Path::new("unused.toml"))
            .arg("serve")
            .arg(&path)
            .env("MILVUSCTL_LOG", "loud"),
    );
    assert!(
        ran.0 == 2 && ran.2.contains("\"loud\" is no level"),
        "{ran:?}"
    );
}

/// Answers to a plain HTTP/1.1 request.
fn get(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_second_signal_cuts_the_calls_that_the_first_one_waits_for() {
    use std::io::Write as _;
    let (_folder, path) = database();
    let mut serving = Serving::start(&path, |command| {
        command.args(["--no-auth", "--drain", "86400", "--probes", "127.0.0.1:0"]);
    });
    let health = serving.said["health"].as_str().unwrap();
    let probes = health
        .trim_start_matches("http://")
        .trim_end_matches("/healthz")
        .to_owned();
    let address = serving.address.trim_start_matches("http://");
    // A call whose body never comes.
    let mut caller = std::net::TcpStream::connect(address).unwrap();
    let head = "POST /milvus.proto.milvus.MilvusService/GetVersion HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 100\r\n\r\n";
    caller.write_all(head.as_bytes()).unwrap();
    let pause = || std::thread::sleep(std::time::Duration::from_millis(5));
    while !get(&probes, "/metrics").contains("\nmilvus_server_calls_in_flight 1\n") {
        pause();
    }
    let errors = serving.process.stderr.take().unwrap();
    let mut errors = BufReader::new(errors);
    let mut said = |what: &str| {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(
                errors.read_line(&mut line).unwrap() > 0,
                "{what} was not said"
            );
        }
    };
    serving.terminate();
    said("calls in flight are answered first");
    while !get(&probes, "/healthz").contains("stopping") {
        pause();
    }
    assert_eq!(serving.process.try_wait().unwrap(), None);
    serving.terminate();
    said("calls in flight were cut");
    assert_eq!(serving.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_socket_is_told_with_its_whole_path() {
    let (folder, path) = database();
    let mut command = built(Path::new("unused.toml"));
    command
        .args(["serve", "--no-auth", "--unix", "demo.sock"])
        .arg(&path)
        .current_dir(folder.path())
        .stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = said["addresses"][0].as_str().unwrap().to_owned();
    let serving = Serving {
        process,
        said,
        address,
    };
    let socket = serving.address.strip_prefix("unix:").unwrap();
    assert!(Path::new(socket).is_absolute(), "{socket}");
    assert_eq!(ping(&serving.address, None, "nobody asks"), 0);
}

#[test]
fn what_is_told_of_a_socket_works_with_pymilvus() {
    let (folder, path) = database();
    let mut command = built(Path::new("unused.toml"));
    command
        .args([
            "serve",
            "--no-auth",
            "--format",
            "table",
            "--unix",
            "demo.sock",
        ])
        .arg(&path)
        .current_dir(folder.path())
        .stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let serving = Serving {
        process,
        said: serde_json::Value::Null,
        address: String::new(),
    };
    // Long lines are folded at words, wherever that is for the folder's name.
    let said = lines
        .map(Result::unwrap)
        .take_while(|line| !line.trim_start().starts_with("stop:"))
        .map(|line| line.trim().to_owned())
        .collect::<Vec<_>>()
        .join(" ");
    let option = r#"grpc_options={"grpc.default_authority": "localhost"}"#;
    assert!(
        said.contains("MilvusClient(\"unix:/") && said.contains(option),
        "{said}"
    );
    drop(serving);
}

#[test]
fn with_an_authority_for_clients_only_those_with_a_certificate_are_let_in() {
    let (folder, path) = database();
    let certificates = Certificates::generate(folder.path()).unwrap();
    let (server, client) = (certificates.server(), certificates.client());
    let serving = Serving::start(&path, |command| {
        command
            .arg("--no-auth")
            .arg("--tls-cert")
            .arg(&server.certificate)
            .arg("--tls-key")
            .arg(&server.key)
            .arg("--client-ca")
            .arg(certificates.ca());
    });
    let uri = serving.address.replace("127.0.0.1", "localhost");
    let ping = |with_certificate: bool| {
        let mut command = built(Path::new("unused.toml"));
        command
            .args(["ping", &uri, "--count", "1", "--ca"])
            .arg(certificates.ca());
        if with_certificate {
            command
                .arg("--client-certificate")
                .arg(&client.certificate)
                .arg("--client-key")
                .arg(&client.key);
        }
        finished(&mut command)
    };
    let (code, output, errors) = ping(true);
    assert_eq!(code, 0, "{output}{errors}");
    let (code, output, errors) = ping(false);
    assert_eq!(code, 4, "{output}{errors}");
    assert!(errors.contains("certificate"), "{errors}");
}

#[tokio::test]
async fn a_request_larger_than_allowed_is_refused_and_the_next_one_is_not() {
    let (_folder, path) = database();
    let serving = Serving::start(&path, |command| {
        command.args(["--no-auth", "--max-request", "1"]);
    });
    let connections = Connections::isolated();
    let params = ConnectionParams::uri(&*serving.address);
    connections.add_connection([("served", params)]).unwrap();
    let client = connections.connect("served").await.unwrap();
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("vector", 64));
    let created = client.create_collection("big", schema);
    let index = Index::flat(MetricType::L2);
    created.index("vector", index).await.unwrap();
    let insert = async |rows: usize| {
        client
            .insert("big")
            .column("id", (0..).take(rows).collect::<Vec<i64>>())
            .column("vector", vec![0.5f32; 64 * rows])
            .await
    };
    // 264 bytes a row.
    let refused = insert(5_000).await.unwrap_err().to_string();
    assert!(refused.contains("1048576"), "{refused}");
    insert(3_000).await.unwrap();
    assert_eq!(client.query("big").count().await.unwrap(), 3_000);
}
