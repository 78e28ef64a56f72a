//! `serve` and `key`: the password of a first start, what is said, how it ends, and what it refuses.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::program::{Program, Ran, built, finished, steady};
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

    /// SIGTERM, and what it left on standard error.
    fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
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
