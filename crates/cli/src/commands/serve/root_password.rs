//! The first password of `root`: from a file, a variable, a person, or made up.
//!
//! Invariant: the password is never printed and never an argument. A made-up one is in a file that only its owner can read
//! before the database knows it, so that it can't be lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use milvus_connections::SecretString;
use milvus_embedded::Embedded;
use secrecy::ExposeSecret as _;

use super::ServeArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

const ROOT: &str = "root";
pub(super) const VARIABLE: &str = "MILVUS_ROOT_PASSWORD";

/// Where root's password is, as far as this start knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RootPassword {
    /// It was set at an earlier start.
    Kept,
    /// It was set now, to what somebody gave.
    Given,
    /// It was made up and is in this file.
    Generated(PathBuf),
}

/// Sees to it that root has a password.
pub(super) async fn establish(
    database: &Embedded,
    arguments: &ServeArguments,
    console: &mut Console,
) -> Result<RootPassword, Failure> {
    if database.has_password(ROOT) && !arguments.reset_root_password {
        if arguments.root_password_file.is_some() {
            console.note(
                "root has a password already, so --root-password-file was not read; --reset-root-password makes it count",
            );
        }
        return Ok(RootPassword::Kept);
    }
    let (password, outcome) = match given(arguments, console)? {
        Some(password) => (password, RootPassword::Given),
        None => {
            let password = SecretString::from(milvus_embedded::generate_password());
            let path = file_of(&arguments.path);
            write(&path, &password).map_err(|error| {
                Failure::new(Exit::Failed, "can't write root's new password", error)
                    .at(path.display())
                    .hint(format!(
                        "Give one with --root-password-file, or in {VARIABLE}."
                    ))
            })?;
            (password, RootPassword::Generated(path))
        }
    };
    database
        .set_password(ROOT, password.expose_secret())
        .await
        .map_err(|error| Failure::new(Exit::Configuration, "can't set root's password", error))?;
    Ok(outcome)
}

/// What somebody gave; `None` when nobody did and nobody can be asked.
fn given(
    arguments: &ServeArguments,
    console: &mut Console,
) -> Result<Option<SecretString>, Failure> {
    if let Some(path) = &arguments.root_password_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Configuration, "can't read root's password", error)
                .at(path.display())
        })?;
        let text = SecretString::from(text);
        return Ok(Some(SecretString::from(
            text.expose_secret().trim_end_matches(['\r', '\n']),
        )));
    }
    if let Some(password) = console.secret_variable(VARIABLE) {
        return Ok(Some(password));
    }
    if !console.can_ask() {
        return Ok(None);
    }
    let first = ask(
        console,
        "password for root (6 to 72 characters, nothing to generate one): ",
    )?;
    if first.expose_secret().is_empty() {
        return Ok(None);
    }
    let second = ask(console, "the same again: ")?;
    if first.expose_secret() == second.expose_secret() {
        Ok(Some(first))
    } else {
        Err(Failure::usage(
            "can't set root's password",
            "the two entries are not the same",
        ))
    }
}

fn ask(console: &mut Console, prompt: &str) -> Result<SecretString, Failure> {
    let failed = |reason: String| {
        Failure::new(
            Exit::Failed,
            "can't read root's password from the terminal",
            reason,
        )
    };
    let answer = console
        .ask(prompt)
        .ok_or_else(|| failed("there is no terminal to ask at".into()))?;
    answer.map_err(|error| failed(error.to_string()))
}

/// Beside the database, not in it: who copies the one does not copy the other by accident.
pub(super) fn file_of(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".root-password");
    database.with_file_name(name)
}

/// Without a line feed, so that it is the password as a whole for every program that reads it.
fn write(path: &Path, password: &SecretString) -> io::Result<()> {
    write_private(path, password.expose_secret())
}

/// Writes a file that only its owner can read, and that was no link to somewhere else.
pub(in crate::commands) fn write_private(path: &Path, secret: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create_private(path)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()
}

/// Makes a file that only its owner can read; fails when there is one.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
