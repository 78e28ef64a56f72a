//! Where credentials come from, and how they are read from there.
//!
//! Invariant: a failure tells where it looked and why it could not read, and quotes nothing of what it found.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Credentials;

/// A credential command that takes longer than this has failed.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Where credentials come from.
///
/// With a `user`, the secret read is that user's password; without, it is a token (an API key, or `user:password`).
///
/// ```
/// use milvus_transport::{CredentialSource, Credentials};
///
/// let fixed = CredentialSource::from(Credentials::token("an-api-key"));
/// let rotated = CredentialSource::File { user: None, path: "/run/secrets/milvus-token".into() };
/// assert_eq!(format!("{fixed:?}"), "Fixed(Token(..))");
/// assert!(format!("{rotated:?}").contains("milvus-token"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialSource {
    /// Given once and for all.
    Fixed(Credentials),
    /// Read from an environment variable, and looked at again once a second at most.
    Environment {
        /// The user whose password the variable holds; `None` when it holds a token.
        user: Option<String>,
        /// The variable's name.
        variable: String,
    },
    /// Read from a file, and read again once a second at most. White space at the end is not part of the secret.
    File {
        /// The user whose password the file holds; `None` when it holds a token.
        user: Option<String>,
        /// The file's path.
        path: PathBuf,
    },
    /// Printed by a command that `sh -c` runs. It is asked again after five minutes, while calls go on with what it
    /// printed last, and when the server refuses that, though not more often than once a second. White space at the end
    /// is not part of the secret.
    Command {
        /// The user whose password the command prints; `None` when it prints a token.
        user: Option<String>,
        /// The command.
        command: String,
    },
}

impl Default for CredentialSource {
    fn default() -> Self {
        Self::Fixed(Credentials::Anonymous)
    }
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(credentials)
    }
}

impl CredentialSource {
    /// The user's name as far as it is known without reading a secret.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Fixed(credentials) => credentials.user(),
            Self::Environment { user, .. }
            | Self::File { user, .. }
            | Self::Command { user, .. } => user.as_deref(),
        }
    }

    /// True when both name the same source and, where the secret is given in place, the same secret.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(a), Self::Fixed(b)) => a.same_as(b),
            (
                Self::Environment {
                    user: a,
                    variable: x,
                },
                Self::Environment {
                    user: b,
                    variable: y,
                },
            ) => (a, x) == (b, y),
            (Self::File { user: a, path: x }, Self::File { user: b, path: y }) => (a, x) == (b, y),
            (
                Self::Command {
                    user: a,
                    command: x,
                },
                Self::Command {
                    user: b,
                    command: y,
                },
            ) => (a, x) == (b, y),
            _ => false,
        }
    }

    /// Reads the credentials now.
    ///
    /// # Errors
    /// When the variable is not set, the file can't be read, or the command fails or prints nothing.
    pub async fn read(&self) -> Result<Credentials, CredentialError> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Environment { user, variable } => match std::env::var(variable) {
                Ok(secret) if !secret.is_empty() => Ok(with_user(user.as_deref(), secret)),
                _ => Err(CredentialError::new(format!(
                    "the environment variable {variable} is not set"
                ))),
            },
            Self::File { user, path } => {
                let text = tokio::fs::read_to_string(path).await.map_err(|e| {
                    CredentialError::new(format!(
                        "the credential file {} can't be read: {e}",
                        path.display()
                    ))
                })?;
                non_empty(&text, || {
                    format!("the credential file {} is empty", path.display())
                })
                .map(|secret| with_user(user.as_deref(), secret))
            }
            Self::Command { user, command } => run(command)
                .await
                .map(|secret| with_user(user.as_deref(), secret)),
        }
    }

    /// Feeds what tells this source from another into a hasher that keys pools.
    pub(crate) fn hash_into(&self, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        match self {
            Self::Fixed(credentials) => credentials.hash_into(hasher),
            Self::Environment { user, variable } => ("environment", user, variable).hash(hasher),
            Self::File { user, path } => ("file", user, path).hash(hasher),
            Self::Command { user, command } => ("command", user, command).hash(hasher),
        }
    }
}

fn with_user(user: Option<&str>, secret: String) -> Credentials {
    match user {
        Some(user) => Credentials::password(user, secret),
        None => Credentials::token(secret),
    }
}

fn non_empty(text: &str, message: impl FnOnce() -> String) -> Result<String, CredentialError> {
    match text.trim_end() {
        "" => Err(CredentialError::new(message())),
        secret => Ok(secret.to_owned()),
    }
}

async fn run(command: &str) -> Result<String, CredentialError> {
    let child = tokio::process::Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    // What the command printed may be the secret itself, so a failure quotes none of it.
    let output = tokio::time::timeout(COMMAND_TIMEOUT, child)
        .await
        .map_err(|_| {
            CredentialError::new(format!(
                "the credential command did not end within {} s",
                COMMAND_TIMEOUT.as_secs()
            ))
        })?
        .map_err(|e| CredentialError::new(format!("the credential command can't be run: {e}")))?;
    if !output.status.success() {
        return Err(CredentialError::new(format!(
            "the credential command failed ({})",
            output.status
        )));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| {
        CredentialError::new("the credential command printed bytes that are not UTF-8".into())
    })?;
    non_empty(&text, || "the credential command printed nothing".into())
}

/// Why credentials could not be read. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialError {
    message: String,
}

impl CredentialError {
    pub(super) fn new(message: String) -> Self {
        Self { message }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CredentialError {}
