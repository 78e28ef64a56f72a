//! Runs `milvusctl`: in this process with stand-ins for its streams, or as the program that was built.
//!
//! Invariant: a run sees no environment, profile file or terminal but those that it is given.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses some of it"
)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use milvusctl::{Console, Exit, run};

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub exit: Exit,
    pub output: String,
    pub errors: String,
}

impl Ran {
    /// Everything that a person sees, for snapshots.
    pub fn transcript(&self) -> String {
        let code = self.exit as u8;
        let mut text = String::new();
        for (name, part) in [("output", &self.output), ("errors", &self.errors)] {
            if !part.is_empty() {
                text.push_str(&format!("--- {name}\n{part}"));
            }
        }
        format!("{text}--- exit code {code}\n")
    }
}

/// How to run in this process.
pub struct Program {
    file: PathBuf,
    is_terminal: bool,
    is_colored: bool,
    input: String,
    answer: Option<String>,
    variables: Vec<(String, OsString)>,
}

impl Program {
    /// On a terminal without colour, with this profile file.
    pub fn with_file(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            is_terminal: true,
            is_colored: false,
            input: String::new(),
            answer: None,
            variables: Vec::new(),
        }
    }

    pub fn piped(mut self) -> Self {
        self.is_terminal = false;
        self
    }

    pub fn colored(mut self) -> Self {
        self.is_colored = true;
        self
    }

    pub fn input(mut self, text: &str) -> Self {
        self.input = text.to_owned();
        self
    }

    /// Somebody at the terminal answers each prompt with this.
    pub fn answer(mut self, text: &str) -> Self {
        self.answer = Some(text.to_owned());
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub async fn run(self, arguments: &[&str]) -> Ran {
        let (output, errors) = (Captured::default(), Captured::default());
        let mut console = Console::builder()
            .input(self.input)
            .output(output.clone(), self.is_terminal)
            .errors(errors.clone(), false)
            .variable("MILVUS_CONNECTIONS_FILE", self.file);
        if !self.is_colored {
            console = console.variable("NO_COLOR", "1");
        }
        if let Some(answer) = self.answer {
            console = console.answers(move |_| Ok(answer.clone().into()));
        }
        for (name, value) in self.variables {
            console = console.variable(name, value);
        }
        let mut console = console.build();
        let all = ["milvusctl"].iter().chain(arguments).copied();
        let exit = run(all, &mut console).await;
        Ran {
            exit,
            output: output.text(),
            errors: errors.text(),
        }
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The program that was built, with a profile file and an environment that holds nothing else.
pub fn built(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milvusctl"));
    command
        .env_clear()
        .env("MILVUS_CONNECTIONS_FILE", file)
        .stdin(Stdio::null());
    command
}

/// Runs to the end; `(exit code, standard output, standard error)`.
pub fn finished(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A folder with a profile file of this text in it, readable by its owner only.
pub fn profile(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("connections.toml");
    std::fs::write(&file, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    (folder, file)
}

/// Snapshot settings that hide what differs from run to run: the folder, times, ports.
pub fn steady(folder: &Path) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    for folder in [real.as_path(), folder] {
        settings.add_filter(&escaped(&folder.display().to_string()), "[folder]");
    }
    settings.add_filter(r" *\d+\.\d+ ms", " [time] ms");
    settings.add_filter(r#""(\w*micros)": \d+"#, r#""$1": "[time]""#);
    settings.add_filter(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:[port]");
    settings.add_filter(r"localhost:[3-6]\d{4}", "localhost:[port]");
    settings.add_filter(r"(min|mean|p50|p95|p99|max) \d+\.\d+", "$1 [time]");
    settings.add_filter(r"(DNS \[time\] ms)  .*", "$1  [addresses]");
    settings.add_filter(r"os error \d+", "os error [number]");
    settings.add_filter(r"it ended \d+ days ago", "it ended [days] days ago");
    settings
}

/// The text as a regular expression that matches itself.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_alphanumeric() {
                vec![c]
            } else {
                vec!['\\', c]
            }
        })
        .collect()
}
