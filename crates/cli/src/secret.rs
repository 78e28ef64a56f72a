//! How a secret comes into the program: by prompt or from standard input, never as an argument.
//!
//! Invariant: a secret goes straight into a [`SecretString`]; no text of this program repeats it.

use std::io::{BufRead as _, Read as _};

use milvus_connections::{ConnectionParams, Field, FieldValue, SecretString};

use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

/// More than any token or password has.
const MOST_BYTES: u64 = 64 * 1024;

/// What the secret is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretKind {
    /// A user's password.
    Password,
    /// An API key, or `user:password`.
    Token,
}

impl SecretKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
        }
    }
}

/// Asks whoever sits at the terminal.
pub(crate) fn ask(
    console: &mut Console,
    kind: SecretKind,
    whose: &str,
) -> Result<SecretString, Failure> {
    let name = kind.name();
    let answer = console
        .ask(&format!("{name} of {whose}: "))
        .ok_or_else(|| {
            Failure::usage(
                format!("can't ask for the {name}"),
                "there is no terminal to ask at",
            )
            .hint(instead(kind))
        })?;
    let secret = answer.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("can't read the {name} from the terminal"),
            error,
        )
    })?;
    not_empty(secret, kind)
}

/// Reads the first line of standard input.
pub(crate) fn from_input(console: &mut Console, kind: SecretKind) -> Result<SecretString, Failure> {
    let fault = |reason: &str| {
        Failure::new(
            Exit::Failed,
            format!("can't read the {} from standard input", kind.name()),
            reason,
        )
    };
    let mut line = Vec::new();
    console
        .input()
        .take(MOST_BYTES)
        .read_until(b'\n', &mut line)
        .map_err(|error| fault(&error.to_string()))?;
    let text = String::from_utf8(line).map_err(|_| fault("it is not UTF-8"))?;
    not_empty(
        SecretString::from(text.trim_end_matches(['\r', '\n'])),
        kind,
    )
}

fn not_empty(secret: SecretString, kind: SecretKind) -> Result<SecretString, Failure> {
    // An empty value is taken back by the parameters, which spares this program from ever looking into a secret.
    let is_empty = ConnectionParams::new()
        .with(Field::Token, FieldValue::Secret(secret.clone()))
        .is_empty();
    if is_empty {
        return Err(Failure::usage(
            format!("the {} is empty", kind.name()),
            "nothing was entered",
        ));
    }
    Ok(secret)
}

/// How else a secret may be given.
pub(crate) fn instead(kind: SecretKind) -> String {
    let name = kind.name();
    format!(
        "Give it with --prompt, with --stdin, or by reference: --{name}-env VARIABLE, --{name}-file FILE or --{name}-command COMMAND."
    )
}

/// Refuses a secret that was given as an argument, without repeating it.
pub(crate) fn refuse_argument(what: &str, kind: SecretKind) -> Failure {
    Failure::usage(
        format!("{what}, and no argument of this program takes one"),
        "arguments are seen by every user of this machine (`ps`) and kept in the shell's history",
    )
    .hint(format!("{} If it was real, change it.", instead(kind)))
}
