//! What can be asked about an alias without waiting: its address, its state, and how its connection is.
//!
//! Invariant: nothing here holds a secret, and everything can be serialised.

use milvus_transport::ConnectionStatus;
use serde::Serialize;

/// One line of `list_connections`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectionSummary {
    /// The alias.
    pub alias: String,
    /// The address that it is or would be connected to; `None` when its configuration can't be read.
    pub address: Option<String>,
    /// The database.
    pub database: String,
    /// Whether it is connected.
    pub state: AliasState,
}

/// Whether an alias is connected. How its connection is, [`AliasStatus::connection`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AliasState {
    /// It is configured.
    Configured,
    /// It is being connected for the first time, or since it was disconnected.
    Connecting,
    /// It has a live connection.
    Connected,
}

impl std::fmt::Display for AliasState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Configured => "configured",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
        })
    }
}

/// What `get_connection_addr` says: where an alias leads and as whom, never its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectionAddress {
    /// The address, such as `localhost:19530`.
    pub address: String,
    /// The user; empty when none is given.
    pub user: String,
    /// The database, once connected or when one is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db_name: Option<String>,
    /// Whether TLS is used; left out when it is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secure: bool,
}

/// An alias and its connection at one moment.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AliasStatus {
    /// The alias.
    pub alias: String,
    /// The address that it is or would be connected to; `None` when its configuration can't be read.
    pub address: Option<String>,
    /// The database.
    pub database: String,
    /// Whether it is connected.
    pub state: AliasState,
    /// Why the last connect failed; `None` after one that did not.
    pub last_error: Option<String>,
    /// The connection's own status: state, channels, calls in flight, last error, the server's version.
    pub connection: Option<ConnectionStatus>,
}
