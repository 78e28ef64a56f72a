//! What the program's exit code says.
//!
//! Invariant: the codes are a promise to scripts; they are documented in `--help` and never change their meaning.

use std::process::ExitCode;

use milvus_connections::Error;
use milvus_connections::transport::{ConnectFailure, ErrorKind};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// All is well.
    Success = 0,
    /// The operation failed, for another reason than those below.
    Failed = 1,
    /// The arguments can't be understood, or one of them would have held a secret.
    Usage = 2,
    /// A configuration can't be used: the profile file, an alias, or a value that was given.
    Configuration = 3,
    /// No connection could be made or kept.
    Connection = 4,
    /// The credentials are missing, unreadable or wrong, or the user may not do this.
    Authentication = 5,
}

/// The codes as `--help` tells them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  all is well
  1  the operation failed
  2  the arguments can't be understood
  3  the configuration can't be used: profile file, alias or value
  4  no connection: DNS, TCP, TLS, HTTP/2, not a Milvus, not ready, no such database
  5  credentials are missing, unreadable or wrong, or the user may not do this";

impl Exit {
    /// What a failed connect means for the exit code.
    pub(crate) fn of_connect(failure: ConnectFailure) -> Self {
        match failure {
            ConnectFailure::WrongCredentials
            | ConnectFailure::CredentialsRequired
            | ConnectFailure::CredentialsUnreadable
            | ConnectFailure::PermissionDenied => Self::Authentication,
            ConnectFailure::InvalidConfiguration | ConnectFailure::NotBuiltIn => {
                Self::Configuration
            }
            _ => Self::Connection,
        }
    }

    /// What an error of a connection or call means for the exit code.
    pub(crate) fn of_call(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Connect(failure) => Self::of_connect(failure),
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => Self::Authentication,
            ErrorKind::InvalidConfiguration => Self::Configuration,
            ErrorKind::Unavailable
            | ErrorKind::Transport
            | ErrorKind::Closed
            | ErrorKind::DeadlineExceeded => Self::Connection,
            _ => Self::Failed,
        }
    }

    /// What an error of the registry means for the exit code.
    pub(crate) fn of_registry(error: &Error) -> Self {
        match error {
            Error::Connect(error) => Self::of_call(error.kind()),
            Error::Configuration(_)
            | Error::Profile(_)
            | Error::AliasInUse(_)
            | Error::UnknownAlias { .. }
            | Error::NotBuiltIn { .. } => Self::Configuration,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        for exit in [
            Exit::Success,
            Exit::Failed,
            Exit::Usage,
            Exit::Configuration,
            Exit::Connection,
            Exit::Authentication,
        ] {
            assert!(HELP.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
