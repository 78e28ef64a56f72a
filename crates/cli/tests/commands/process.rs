//! The program as it is run: exit codes, pipes that close, signals, file modes, and no secret anywhere.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{built, finished, profile};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};

/// Stands in each secret of the sweep.
const CANARY: &str = "canary-7f3a";

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn results_are_json_when_piped_and_failures_have_their_exit_code() {
    let (_folder, file) = profile("[dev]\naddress = 'localhost:19530'\n");
    let (code, output, errors) = finished(built(&file).arg("list"));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (
            code,
            errors.as_str(),
            json["connections"][1]["alias"].as_str()
        ),
        (0, "", Some("dev"))
    );
    let (code, output, errors) = finished(built(&file).args(["list", "--format", "table"]));
    assert!(
        code == 0 && errors.is_empty() && output.starts_with("ALIAS") && !output.contains('\u{1b}'),
        "{output}"
    );
    let (code, output, errors) = finished(built(&file).args(["show", "nobody"]));
    assert!(
        code == 3 && output.is_empty() && errors.starts_with("error: there is no alias"),
        "{errors}"
    );
    let (code, ..) = finished(built(&file).arg("--nonsense"));
    assert_eq!(code, 2);
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let (_folder, file) = profile("");
    for arguments in [
        &["completions", "bash"][..],
        &["list"],
        &["--help"],
        &["version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = built(&file)
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!(
            (done.status.code(), done.stderr.as_slice()),
            (Some(0), &b""[..]),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_file_is_its_owners_only_even_if_it_was_not() {
    let (_folder, file) = profile("# for all\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut adding = built(&file)
        .args(["add", "dev", "localhost:1", "--user", "root", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(adding.stdin.take().unwrap(), "{CANARY}").unwrap();
    assert!(adding.wait().unwrap().success());
    assert_eq!(mode(&file), 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("# for all\n") && text.contains(CANARY),
        "{text}"
    );
    // A file that others can read may hold no secret.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, output, errors) = finished(built(&file).arg("list"));
    assert_eq!(code, 3, "{output}");
    assert!(
        errors.contains("chmod 600") && !errors.contains(CANARY),
        "{errors}"
    );
}

/// Aliases that keep a secret in each of the ways that there are.
fn profile_of_secrets(address: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let text = format!(
        "\
[inline]
address = '{address}'
user = 'root'
password = '{CANARY}'
[inline_token]
address = '{address}'
token = '{CANARY}'
[in_uri]
uri = 'http://root:{CANARY}@{address}'
[variable]
address = '{address}'
token_env = 'CANARY_TOKEN'
[file]
address = '{address}'
user = 'root'
password_file = 'password'
[command]
address = '{address}'
token_command = 'cat password'
"
    );
    let (folder, file) = profile(&text);
    fs::write(folder.path().join("password"), format!("{CANARY}\n")).unwrap();
    (folder, file)
}

const ALIASES: [&str; 6] = [
    "inline",
    "inline_token",
    "in_uri",
    "variable",
    "file",
    "command",
];

fn with_secrets(folder: &Path, file: &Path) -> Command {
    let mut command = built(file);
    command
        .current_dir(folder)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("CANARY_TOKEN", CANARY)
        .env("MILVUS_TOKEN", CANARY)
        .env("MILVUS_URI", format!("http://root:{CANARY}@127.0.0.1:1"))
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1");
    command
}

fn sweep(folder: &Path, file: &Path) {
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["list"],
        vec!["doctor"],
        vec!["version"],
        vec!["explain"],
        vec!["show"],
    ];
    for alias in ALIASES {
        for command in ["show", "explain", "doctor", "version"] {
            commands.push(vec![command, alias]);
        }
        commands.push(vec!["ping", alias, "--count", "1"]);
        commands.push(vec!["add", alias, "localhost:1"]);
        commands.push(vec!["remove", alias, "nobody"]);
    }
    for command in commands {
        for form in [&["--format", "table", "--color", "always"][..], &["--json"]] {
            let (code, output, errors) =
                finished(with_secrets(folder, file).args(&command).args(form));
            assert!(
                (0..=5).contains(&code),
                "{command:?} ended with {code}: {errors}"
            );
            assert!(
                !output.contains(CANARY) && !errors.contains(CANARY),
                "{command:?} {form:?} tells the secret:\n{output}{errors}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_tells_a_secret_whether_it_works_or_not() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (folder, file) = profile_of_secrets(&server.address().to_string());
    sweep(folder.path(), &file);
    let calls = server.calls();
    let with_credentials = calls
        .iter()
        .filter(|call| call.metadata_text("authorization").is_some())
        .count();
    assert!(
        with_credentials >= ALIASES.len(),
        "the secrets were used: {with_credentials} of {} calls",
        calls.len()
    );
    server.rule(Rule::new(
        When::any(),
        Then::GrpcStatus(16, "auth check failure".into()),
    ));
    sweep(folder.path(), &file);
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a ping that goes on, and returns once it has made its first calls.
fn pinging(
    folder: &Path,
    file: &Path,
    alias: &str,
) -> (Running, BufReader<std::process::ChildStdout>) {
    let mut command = with_secrets(folder, file);
    command.args([
        "ping",
        alias,
        "--format",
        "table",
        "--count",
        "100000",
        "--interval",
        "0.01",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let running = Running(child);
    for _ in 0..3 {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    (running, output)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_processes_tells_no_secret() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (folder, file) = profile_of_secrets(&server.address().to_string());
    for alias in ALIASES {
        let (running, _output) = pinging(folder.path(), &file, alias);
        let seen = fs::read(format!("/proc/{}/cmdline", running.0.id())).unwrap();
        let seen = String::from_utf8_lossy(&seen);
        assert!(seen.contains(alias) && !seen.contains(CANARY), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_ping_tells_its_summary() {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (folder, file) = profile_of_secrets(&server.address().to_string());
    let (mut running, mut output) = pinging(folder.path(), &file, "inline");
    let id = running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
    assert!(rest.contains(" calls, 0 failed\nmin "), "{rest}");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

/// A terminal of its own: the end that a person sits at, and the one that programs have.
fn terminal() -> (fs::File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let program = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(Path::new(name.to_str().unwrap()))
        .unwrap();
    (person.into(), program.into())
}

/// Reads what appears on a terminal until `text` has.
fn read_until(person: &mut fs::File, seen: &mut String, text: &str) {
    let until = Instant::now() + Duration::from_secs(30);
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        assert!(Instant::now() < until, "no {text:?} in {seen:?}");
        let length = std::io::Read::read(person, &mut buffer).unwrap();
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn top_draws_on_the_terminal_and_gives_it_back_as_it_was() {
    const ENTER: &str = "\u{1b}[?1049h";
    const LEAVE: &str = "\u{1b}[?1049l";
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (_folder, file) = profile(&format!("[prod]\naddress = '{}'\n", server.address()));
    for by_key in [true, false] {
        let (mut person, program) = terminal();
        let before = tcgetattr(&program).unwrap();
        let mut child = built(&file)
            .args(["top", "--interval", "0.1"])
            .env("TERM", "xterm-256color")
            .stdin(program.try_clone().unwrap())
            .stdout(program.try_clone().unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = String::new();
        read_until(&mut person, &mut seen, "ready, to ");
        assert!(seen.starts_with(ENTER), "{seen:?}");
        assert!(seen.contains("\u{1b}[32mready"), "{seen:?}");
        let drawn_on = tcgetattr(&program).unwrap();
        assert!(!drawn_on.local_modes.contains(LocalModes::ECHO));
        if by_key {
            person.write_all(b"q").unwrap();
        } else {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        read_until(&mut person, &mut seen, LEAVE);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{seen:?}");
        let after = tcgetattr(program.as_fd()).unwrap();
        assert_eq!(after.local_modes, before.local_modes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn top_is_drawn_anew_when_the_terminal_gets_another_size() {
    const END_FRAME: &str = "\u{1b}[J\u{1b}[?2026l";
    const FRAME: &str = "\u{1b}[?2026h\u{1b}[H";
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let (_folder, file) = profile(&format!("[prod]\naddress = '{}'\n", server.address()));
    let (mut person, program) = terminal();
    let resize = |ws_col, ws_row| {
        let size = Winsize {
            ws_row,
            ws_col,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&program, size).unwrap();
    };
    resize(120, 30);
    // So long an interval that no frame comes by itself after the first.
    let child = built(&file)
        .args(["top", "--interval", "100000", "--color", "never"])
        .env("TERM", "xterm")
        .stdin(program.try_clone().unwrap())
        .stdout(program.try_clone().unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    for (columns, rows) in [(120, 30), (46, 12), (20, 3), (90, 30)] {
        if columns != 120 {
            resize(columns, rows);
            // The terminal is not the controlling one of the program, so that the signal is ours to send.
            kill_process(Pid::from_child(&running.0), Signal::WINCH).unwrap();
        }
        let mut seen = String::new();
        read_until(&mut person, &mut seen, END_FRAME);
        let frame = seen.split(FRAME).nth(1).unwrap();
        let frame = frame.split(END_FRAME).next().unwrap();
        let lines: Vec<String> = frame
            .split("\r\n")
            // The terminal makes a line's end of its own of each line feed.
            .map(|line| line.trim_end_matches('\r').replace("\u{1b}[K", ""))
            .collect();
        let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns.into(), "{columns} columns: {lines:?}");
        assert!(lines.len() <= rows.into(), "{rows} rows: {lines:?}");
        // What is shown has been cut where it was too long, and only there.
        let is_cut = lines[0].ends_with('…');
        assert_eq!(is_cut, columns < 70, "{columns} columns: {lines:?}");
    }
    person.write_all(b"q").unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

/// The first command of the README, as it is run there.
#[test]
fn the_demo_runs_to_its_end_and_leaves_nothing_behind() {
    let (folder, file) = profile("");
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let demo = |more: &[&str]| {
        let mut command = built(&file);
        command.arg("demo").args(more).env("TMPDIR", &scratch);
        let (code, output, errors) = finished(&mut command);
        assert_eq!((code, errors.as_str()), (0, ""), "{output}");
        output
    };
    let told: serde_json::Value = serde_json::from_str(&demo(&[])).unwrap();
    let rows = told["rows"].as_u64().unwrap();
    assert!(rows > 0, "{told}");
    for (alias, address) in [("default", "demo.db"), ("dev", "memory:")] {
        let found = told["aliases"].as_array().unwrap().iter();
        let found = found.clone().find(|found| found["alias"] == alias).unwrap();
        assert_eq!(found["rows"].as_u64(), Some(rows), "{told}");
        assert!(
            found["address"].as_str().unwrap().contains(address),
            "{told}"
        );
    }
    let answers = told["answers"].as_array().unwrap();
    assert!(
        answers[0]["text"].as_str().unwrap().contains("dough"),
        "{told}"
    );
    assert!(
        answers[0]["score"].as_f64() >= answers[1]["score"].as_f64(),
        "{told}"
    );
    let plain = demo(&["which planet has rings", "--format", "table"]);
    for part in [
        &format!("{rows} rows inserted"),
        "\nwhich planet has rings\n",
        "ALIAS",
        "planet",
        "milvusctl doctor",
    ] {
        assert!(plain.contains(part), "{part}: {plain}");
    }
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    let kept = folder.path().join("kept.db");
    demo(&["--keep", kept.to_str().unwrap()]);
    assert!(kept.join("catalog.redb").exists());
}
