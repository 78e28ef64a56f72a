//! What went wrong in the registry, and what to do about it.
//!
//! Invariant: an error names the alias, and where a value is at fault, its field and who said it; it never holds a secret.
//! Where existing code matches on a text of PyMilvus, that text is contained.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::field::Field;
use crate::pymilvus::{self, PymilvusException};
use crate::source::Origin;

/// Why a verb of the registry failed. Cheap to clone: all that waited for one connect get the same one.
///
/// ```
/// use milvus_connections::{ConnectionParams, Connections, Error};
///
/// let error = Connections::isolated()
///     .add_connection([("dev", ConnectionParams::address("localhost"))])
///     .unwrap_err();
/// assert!(matches!(error, Error::Configuration(_)));
/// assert_eq!(error.alias(), Some("dev"));
/// assert!(error.to_string().contains("Illegal address: localhost"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A value can't be used. Nothing was changed and nothing was sent.
    Configuration(Box<ConfigurationError>),
    /// The profile file can't be used.
    Profile(Box<ProfileError>),
    /// The alias is connected, or just connecting, with another address.
    AliasInUse(Box<AliasInUse>),
    /// Nobody has configured the alias.
    UnknownAlias {
        /// The alias.
        alias: Arc<str>,
        /// A configured alias whose name is like it.
        nearest: Option<String>,
    },
    /// The alias is configured or not, but not connected.
    NotConnected {
        /// The alias.
        alias: Arc<str>,
        /// Whether it is configured.
        configured: bool,
    },
    /// The alias was disconnected, removed or given another address while it was connecting.
    Withdrawn {
        /// The alias.
        alias: Arc<str>,
    },
    /// No connection could be made; the reason is told precisely.
    Connect(milvus_transport::Error),
    /// This program was built without the engine that the address needs.
    NotBuiltIn {
        /// The alias.
        alias: Arc<str>,
        /// The address, such as `./demo.db`.
        address: String,
    },
    /// The database in this process could not be opened: who has it, or what is wrong with its files.
    Embedded {
        /// The alias.
        alias: Arc<str>,
        /// The address, such as `./demo.db`.
        address: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A connect was asked for outside a tokio runtime.
    NoRuntime,
    /// A blocking call was made inside an asynchronous program.
    InsideAsync,
    /// The runtime of the blocking form can't be started.
    Runtime(Arc<std::io::Error>),
}

impl Error {
    /// The alias that the failed verb was about.
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::Configuration(error) => Some(&error.alias),
            Self::AliasInUse(error) => Some(&error.alias),
            Self::UnknownAlias { alias, .. }
            | Self::NotConnected { alias, .. }
            | Self::Withdrawn { alias }
            | Self::NotBuiltIn { alias, .. }
            | Self::Embedded { alias, .. } => Some(alias),
            Self::Connect(error) => Some(error.alias()),
            Self::Profile(_) | Self::NoRuntime | Self::InsideAsync | Self::Runtime(_) => None,
        }
    }

    /// The connection's own error, when it came to dialing.
    pub fn connect(&self) -> Option<&milvus_transport::Error> {
        match self {
            Self::Connect(error) => Some(error),
            _ => None,
        }
    }

    /// The class of exception that PyMilvus raises here.
    pub fn pymilvus_exception(&self) -> PymilvusException {
        match self {
            Self::NotConnected { .. } => PymilvusException::ConnectionNotExist,
            Self::Connect(_)
            | Self::Withdrawn { .. }
            | Self::Embedded { .. }
            | Self::NoRuntime
            | Self::InsideAsync
            | Self::Runtime(_) => PymilvusException::Milvus,
            Self::Configuration(_)
            | Self::Profile(_)
            | Self::AliasInUse(_)
            | Self::UnknownAlias { .. }
            | Self::NotBuiltIn { .. } => PymilvusException::ConnectionConfig,
        }
    }

    /// The `code` of that exception.
    pub fn pymilvus_code(&self) -> i32 {
        match self {
            Self::Connect(_) | Self::Withdrawn { .. } | Self::Embedded { .. } => {
                pymilvus::CONNECT_FAILED
            }
            _ => pymilvus::UNEXPECTED_ERROR,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(error) => error.fmt(f),
            Self::Profile(error) => error.fmt(f),
            Self::AliasInUse(error) => error.fmt(f),
            Self::UnknownAlias { alias, nearest } => {
                write!(f, "the alias {alias:?} is not configured: {}", pymilvus::configuration_missing(alias))?;
                match nearest {
                    Some(nearest) => write!(f, " Did you mean {nearest:?}?"),
                    None => f.write_str(" Give an address or URI to connect(), or name it with add_connection() or in the profile file."),
                }
            }
            Self::NotConnected { alias, configured } => {
                let first = if *configured { "connect() it first" } else { "connect() with an address or URI first" };
                write!(f, "the alias {alias:?} is not connected, {first}: {}", pymilvus::CONNECT_FIRST)
            }
            Self::Embedded { alias, address, reason } => write!(f, "can't open the database of the alias {alias:?} ({address}): {reason}"),
            Self::Withdrawn { alias } => write!(
                f,
                "the alias {alias:?} was disconnected, removed or configured anew while it was connecting. Connect again if it is still wanted."
            ),
            Self::Connect(error) => write!(f, "{error} [{}]", pymilvus::connect_failed(error.address())),
            Self::NotBuiltIn { alias, address } => write!(
                f,
                "can't open {address:?} for the alias {alias:?}: the embedded engine is not built in. \
                 Give the address of a Milvus server, or use a build of milvus-connections that has the engine (cargo feature `embedded`)."
            ),
            Self::NoRuntime => f.write_str(
                "connect() needs a tokio runtime. Call it inside one (`#[tokio::main]`), or use the blocking form: `connections().blocking()`.",
            ),
            Self::InsideAsync => f.write_str(
                "the blocking form can't be used inside a tokio runtime, where it would stop other tasks. Use the async form with `.await`.",
            ),
            Self::Runtime(error) => write!(f, "the runtime of the blocking form can't be started: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            Self::Runtime(error) => Some(error),
            _ => None,
        }
    }
}

impl From<milvus_transport::Error> for Error {
    fn from(error: milvus_transport::Error) -> Self {
        Self::Connect(error)
    }
}

/// A value of a configuration that can't be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConfigurationError {
    /// The alias that it was given for.
    pub alias: Arc<str>,
    /// The field at fault; `None` when it is the alias itself or a variable.
    pub field: Option<Field>,
    /// Who gave it.
    pub origin: Origin,
    /// What is wrong with it.
    pub message: String,
}

impl ConfigurationError {
    pub(crate) fn new(
        alias: &str,
        field: Option<Field>,
        origin: Origin,
        message: impl Into<String>,
    ) -> Self {
        Self {
            alias: alias.into(),
            field,
            origin,
            message: message.into(),
        }
    }
}

impl std::error::Error for ConfigurationError {}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the configuration of the alias {:?} can't be used: ",
            &*self.alias
        )?;
        match (&self.origin, self.field) {
            (Origin::Argument | Origin::Entry | Origin::Default, Some(field)) => {
                write!(f, "`{field}`: ")?
            }
            (origin @ (Origin::Profile { .. } | Origin::Environment { .. }), Some(field)) => {
                write!(f, "`{field}` ({origin}): ")?
            }
            (origin @ (Origin::Profile { .. } | Origin::Environment { .. }), None) => {
                write!(f, "{origin}: ")?
            }
            (_, None) => {}
        }
        f.write_str(&self.message)
    }
}

impl From<ConfigurationError> for Error {
    fn from(error: ConfigurationError) -> Self {
        Self::Configuration(Box::new(error))
    }
}

/// An alias that is connected, or connecting, with another address than the one given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AliasInUse {
    /// The alias.
    pub alias: Arc<str>,
    /// Where it is connected, or being connected.
    pub connected_to: String,
    /// The address that was given.
    pub given: String,
}

impl std::error::Error for AliasInUse {}

impl fmt::Display for AliasInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the alias {:?} is in use: it is connected to {}, and {} was given. Disconnect it first, or use another alias. {}",
            &*self.alias,
            self.connected_to,
            self.given,
            pymilvus::connection_differs(&self.alias)
        )
    }
}

/// A profile file that can't be used, with the place in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProfileError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, when the fault has a place.
    pub line: Option<usize>,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl ProfileError {
    pub(crate) fn new(path: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl std::error::Error for ProfileError {}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the profile file {}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl From<ProfileError> for Error {
    fn from(error: ProfileError) -> Self {
        Self::Profile(Box::new(error))
    }
}
