//! Where credentials come from, asked again for every attempt so that a rotated secret takes effect without a reconnect.
//!
//! Invariant: asking is cheap when nothing has changed. The header value is cached; a file is read again only when its
//! modification time or size has changed (looked at once a second at most), a command runs again only after its answer
//! has aged or the server has refused it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use tokio::time::Instant;

use super::Credentials;

/// How long the answer of a credential command is used before the command is asked again.
const COMMAND_LIFETIME: Duration = Duration::from_secs(300);
/// How long a file's or a variable's value is used before it is looked at again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
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
    /// Read from an environment variable.
    Environment {
        /// The user whose password the variable holds; `None` when it holds a token.
        user: Option<String>,
        /// The variable's name.
        variable: String,
    },
    /// Read from a file, and read again when the file changes. White space at the end is not part of the secret.
    File {
        /// The user whose password the file holds; `None` when it holds a token.
        user: Option<String>,
        /// The file's path.
        path: PathBuf,
    },
    /// Printed by a command that `sh -c` runs. It is asked again after five minutes, and at once when the server
    /// refuses what it printed. White space at the end is not part of the secret.
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
    fn new(message: String) -> Self {
        Self { message }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CredentialError {}

/// One reading of a source, ready to be put on a call.
pub(crate) struct Authorization {
    /// The `authorization` metadata; `None` when anonymous.
    pub(crate) header: Option<HeaderValue>,
    read_at: Instant,
    stamp: Option<(SystemTime, u64)>,
}

/// The latest reading of a source; shared by all calls of a pool.
pub(crate) struct AuthorizationCache {
    source: arc_swap::ArcSwap<CredentialSource>,
    current: ArcSwapOption<Authorization>,
    /// One permit, so that many calls read a source once.
    reading: tokio::sync::Semaphore,
}

impl AuthorizationCache {
    pub(crate) fn new(source: CredentialSource) -> Self {
        let current = match &source {
            CredentialSource::Fixed(credentials) => Some(Arc::new(Authorization {
                header: credentials.authorization(),
                read_at: Instant::now(),
                stamp: None,
            })),
            _ => None,
        };
        Self {
            source: arc_swap::ArcSwap::from_pointee(source),
            current: ArcSwapOption::new(current),
            reading: tokio::sync::Semaphore::new(1),
        }
    }

    pub(crate) fn source(&self) -> Arc<CredentialSource> {
        self.source.load_full()
    }

    /// Replaces the source; the next attempt uses it.
    pub(crate) fn replace(&self, source: CredentialSource) {
        let fresh = Self::new(source);
        self.source.store(fresh.source.load_full());
        self.current.store(fresh.current.load_full());
    }

    /// What the next attempt shall send.
    pub(crate) async fn current(&self) -> Result<Arc<Authorization>, CredentialError> {
        if let Some(current) = self.current.load_full()
            && self.is_fresh(&current)
        {
            return Ok(current);
        }
        self.read_again(None).await
    }

    /// The server has refused `refused`: reads the source again at once. `Some` when the answer differs.
    pub(crate) async fn changed_since(
        &self,
        refused: &Arc<Authorization>,
    ) -> Option<Arc<Authorization>> {
        if let Some(current) = self.current.load_full()
            && current.header != refused.header
        {
            return Some(current);
        }
        if matches!(**self.source.load(), CredentialSource::Fixed(_)) {
            return None;
        }
        let fresh = self.read_again(Some(refused)).await.ok()?;
        (fresh.header != refused.header).then_some(fresh)
    }

    fn is_fresh(&self, current: &Authorization) -> bool {
        let lifetime = match **self.source.load() {
            CredentialSource::Fixed(_) => return true,
            CredentialSource::Command { .. } => COMMAND_LIFETIME,
            CredentialSource::Environment { .. } | CredentialSource::File { .. } => LOOK_INTERVAL,
        };
        current.read_at.elapsed() < lifetime
    }

    async fn read_again(
        &self,
        refused: Option<&Arc<Authorization>>,
    ) -> Result<Arc<Authorization>, CredentialError> {
        let _reading = self.reading.acquire().await;
        let known = self.current.load_full();
        if let Some(known) = &known
            && self.is_fresh(known)
            && refused.is_none_or(|refused| refused.header != known.header)
        {
            return Ok(Arc::clone(known));
        }
        let source = self.source();
        let stamp = match &*source {
            CredentialSource::File { path, .. } => file_stamp(path).await,
            _ => None,
        };
        if let Some(known) = &known
            && stamp.is_some()
            && stamp == known.stamp
        {
            let renewed = Arc::new(Authorization {
                header: known.header.clone(),
                read_at: Instant::now(),
                stamp,
            });
            self.current.store(Some(Arc::clone(&renewed)));
            return Ok(renewed);
        }
        let credentials = match source.read().await {
            Ok(credentials) => credentials,
            // A file that is being replaced is away for a moment: what was read last still stands.
            Err(error) => return known.filter(|_| refused.is_none()).ok_or(error),
        };
        let fresh = Arc::new(Authorization {
            header: credentials.authorization(),
            read_at: Instant::now(),
            stamp,
        });
        self.current.store(Some(Arc::clone(&fresh)));
        Ok(fresh)
    }
}

async fn file_stamp(path: &std::path::Path) -> Option<(SystemTime, u64)> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
