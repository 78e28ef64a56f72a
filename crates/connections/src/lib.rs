//! Name your Milvus instances once; connect to them by name.
//!
//! An **alias** stands for a Milvus: a server, a cluster, Zilliz Cloud, or an engine in this process. The registry knows each
//! alias's configuration, from code, the profile file or the environment, and holds its live connection.
//!
//! ```no_run
//! # async fn example() -> Result<(), milvus_connections::Error> {
//! use milvus_connections::{ConnectionParams, connections};
//!
//! connections().add_connection([
//!     ("default", ConnectionParams::address("localhost:19530")),
//!     ("dev", ConnectionParams::host("localhost").port(19543)),
//! ])?;
//! connections().connect("dev").await?;
//! // Anywhere else in the program:
//! let dev = connections().get("dev")?;
//! println!("{:?}", connections().status("dev"));
//! # Ok(())
//! # }
//! ```
//!
//! # The verbs
//!
//! | verb | what it does |
//! |---|---|
//! | [`add_connection`](Connections::add_connection) | registers configurations in a batch, without network |
//! | [`connect`](Connections::connect), [`connect_with`](Connections::connect_with) | connects an alias; concurrent connects are one dial |
//! | [`get`](Connections::get), [`with`](Connections::with) | the live client, without waiting |
//! | [`has_connection`](Connections::has_connection), [`list_connections`](Connections::list_connections), [`get_connection_addr`](Connections::get_connection_addr) | what is there |
//! | [`disconnect`](Connections::disconnect), [`remove_connection`](Connections::remove_connection) | drains and closes; and forgets |
//! | [`explain`](Connections::explain) | every value of a configuration with its source |
//! | [`status`](Connections::status), [`diagnose`](Connections::diagnose) | how it is, and why it doesn't work |
//! | [`events`](Connections::events), [`watch`](Connections::watch) | what changes |
//! | [`blocking`](Connections::blocking) | the same for programs without async |
//!
//! # Where values come from
//!
//! Argument > the alias's own entry > [profile file](Profile) > [environment](Environment) > default, value by value. A
//! source that names another address than the strongest one does is about another Milvus, and nothing of it applies. The
//! environment fills the default alias; it never overrides a named one.
//!
//! # The rooms of this crate
//!
//! Parameters as given ([`ConnectionParams`], over the vocabulary of [`Field`]) are read into `settings`, `resolve` lays the
//! layers over each other, `registry` keeps snapshots and dials, `backend` knows what answers at an address.

mod backend;
pub mod blocking;
mod connections;
mod environment;
mod error;
mod events;
mod explain;
mod field;
mod params;
mod profile;
pub mod pymilvus;
mod registry;
mod resolve;
mod settings;
mod source;
mod status;

pub use connections::{
    Connections, ConnectionsBuilder, ConnectionsWatch, connect_unregistered, connections,
};
pub use environment::{
    Environment, MILVUS_CONN_ALIAS, MILVUS_CONN_TIMEOUT, MILVUS_CONNECTIONS_FILE,
    MILVUS_DEFAULT_CONNECTION, MILVUS_TOKEN, MILVUS_URI,
};
pub use error::{AliasInUse, ConfigurationError, Error, ProfileError};
pub use events::{RegistryChange, RegistryEvent, RegistryEvents};
pub use explain::{Explanation, Setting, Unused};
pub use field::{Field, FieldKind, FieldValue, ShownValue};
pub use params::{ConnectionParams, Port};
pub use profile::{
    PROFILE_FILE, Profile, ProfileEditor, ProfileLocation, locate as locate_profile,
};
pub use source::{Origin, Source};
pub use status::{AliasState, AliasStatus, ConnectionAddress, ConnectionSummary};

pub use milvus_client::{self as client, Client};
pub use milvus_transport::{self as transport, ConnectionConfig, SecretString};

/// The README's examples, compiled with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
