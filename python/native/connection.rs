//! A handle to one Milvus: an alias of a registry, or a connection of its own; in one database.
//!
//! Invariants: a handle outlives what happens to its connection: one of an alias always uses the alias's present
//! connection, and in a child of a `fork` both kinds connect anew when they are first used. A handle never shows a secret.

use std::sync::Arc;

use arc_swap::ArcSwap;
use milvus_client::Client;
use milvus_connections::{ConnectionConfig, Connections, connect_unregistered};
use milvus_transport::Target;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::connections::Known;
use crate::errors::Failure;
use crate::parameters::{Place, parameters};
use crate::run::run;
use crate::runtime::{Owned, PerProcess};

/// Where a handle's client comes from.
#[derive(Clone)]
enum Source {
    /// An alias of a registry.
    Alias {
        registry: Arc<PerProcess<Known>>,
        alias: Arc<str>,
    },
    /// A connection that only this handle, and handles made from it, use.
    Own(Arc<Own>),
}

/// A connection that no registry knows.
pub(crate) struct Own {
    alias: Arc<str>,
    config: ConnectionConfig,
    connected: ArcSwap<Owned<Client>>,
}

impl Own {
    fn new(alias: String, config: ConnectionConfig, client: Client) -> Self {
        Self {
            alias: alias.into(),
            config,
            connected: ArcSwap::from_pointee(Owned::new(client)),
        }
    }

    /// The client, unless it belongs to the process that this one was forked from.
    fn live(&self) -> Option<Client> {
        self.connected.load().get().cloned()
    }

    /// A client of this process, in the place of its parent's.
    async fn connect_anew(&self) -> Result<Client, Failure> {
        stays_behind(&self.config.target)?;
        let client = connect_unregistered(&self.alias, self.config.clone()).await?;
        self.connected.store(Arc::new(Owned::new(client.clone())));
        Ok(client)
    }
}

/// A handle to one Milvus.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct Connection {
    source: Source,
    /// The database of this handle; `None` for the connection's own.
    database: Option<Arc<str>>,
}

/// A handle's client, or what is needed to get it: made with the GIL, used without.
pub(crate) enum Handle {
    Ready(Client),
    Alias {
        known: Known,
        alias: Arc<str>,
        database: Option<Arc<str>>,
    },
    Anew {
        own: Arc<Own>,
        database: Option<Arc<str>>,
    },
}

impl Handle {
    /// The client, connected anew where the process was forked.
    pub(crate) async fn client(self) -> Result<Client, Failure> {
        let (client, database) = match self {
            Self::Ready(client) => return Ok(client),
            Self::Alias {
                known,
                alias,
                database,
            } => (known.client(&alias).await?, database),
            Self::Anew { own, database } => (own.connect_anew().await?, database),
        };
        in_database(client, database.as_deref())
    }
}

/// Refuses a target that a child of a `fork` can't reach: it would find another, empty database under the same name.
///
/// # Errors
/// For a database in memory.
pub(crate) fn stays_behind(target: &Target) -> Result<(), Failure> {
    match target {
        Target::Memory { .. } => Err(Failure::unexpected(format!(
            "the database {target} is in the memory of the process that this one was forked from, and can't be reached from here: \
             make a client of this process's own, or share a file or a server"
        ))),
        _ => Ok(()),
    }
}

fn in_database(client: Client, database: Option<&str>) -> Result<Client, Failure> {
    match database {
        Some(name) if client.database() != name => Ok(client.using_database(name)?),
        _ => Ok(client),
    }
}

impl Connection {
    pub(crate) fn of_alias(registry: Arc<PerProcess<Known>>, alias: String) -> Self {
        Self {
            source: Source::Alias {
                registry,
                alias: alias.into(),
            },
            database: None,
        }
    }

    /// What a call needs; never waits.
    pub(crate) fn handle(&self, py: Python<'_>) -> PyResult<Handle> {
        let database = self.database.clone();
        let (live, otherwise) = match &self.source {
            Source::Alias { registry, alias } => {
                let known = registry.get(py, Known::in_child);
                (
                    known.live(alias),
                    Handle::Alias {
                        known,
                        alias: Arc::clone(alias),
                        database: database.clone(),
                    },
                )
            }
            Source::Own(own) => (
                own.live(),
                Handle::Anew {
                    own: Arc::clone(own),
                    database: database.clone(),
                },
            ),
        };
        match live {
            Some(client) => in_database(client, database.as_deref())
                .map(Handle::Ready)
                .map_err(|failure| failure.into_exception(py)),
            None => Ok(otherwise),
        }
    }

    fn alias_text(&self) -> &str {
        match &self.source {
            Source::Alias { alias, .. } => alias,
            Source::Own(own) => &own.alias,
        }
    }

    fn client_now(&self, py: Python<'_>) -> Option<Client> {
        match self.handle(py) {
            Ok(Handle::Ready(client)) => Some(client),
            _ => None,
        }
    }
}

#[pymethods]
impl Connection {
    /// Connects with these parameters, outside any registry. `alias` is the name in errors.
    #[staticmethod]
    fn open<'py>(
        py: Python<'py>,
        alias: String,
        given: &Bound<'py, PyDict>,
        asynchronous: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let configure = || -> Result<_, Failure> {
            let params = parameters(&alias, given, Place::Arguments)?;
            Ok(Connections::new().configuration(&alias, &params)?)
        };
        let config = configure().map_err(|failure| failure.into_exception(py))?;
        run(py, asynchronous, async move {
            let client = connect_unregistered(&alias, config.clone()).await?;
            let own = Own::new(alias, config, client);
            Ok(Self {
                source: Source::Own(Arc::new(own)),
                database: None,
            })
        })
    }

    /// The same connection in another database.
    fn using_database(&self, py: Python<'_>, name: &str) -> PyResult<Self> {
        let handle = Self {
            source: self.source.clone(),
            database: Some(name.into()),
        };
        // A name that can't be one is told now.
        handle.handle(py)?;
        Ok(handle)
    }

    /// The alias.
    #[getter]
    fn alias(&self) -> &str {
        self.alias_text()
    }

    /// The address, such as `localhost:19530`.
    #[getter]
    fn address(&self, py: Python<'_>) -> String {
        match (&self.source, self.client_now(py)) {
            (_, Some(client)) => client.connection().address().to_owned(),
            (Source::Own(own), None) => own.config.target.address(),
            (Source::Alias { .. }, None) => String::new(),
        }
    }

    /// The database; `default` when none was named.
    #[getter]
    fn database(&self, py: Python<'_>) -> String {
        let named = self.database.as_deref().map(str::to_owned);
        let own = || {
            self.client_now(py)
                .map(|client| client.database().to_owned())
        };
        named
            .or_else(own)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "default".to_owned())
    }

    /// Whether a call would find a connection that is open.
    #[getter]
    fn is_open(&self, py: Python<'_>) -> bool {
        self.client_now(py)
            .is_some_and(|client| client.connection().is_open())
    }

    /// The connection's state in a word.
    #[getter]
    fn state(&self, py: Python<'_>) -> String {
        self.client_now(py).map_or_else(
            || "not connected".to_owned(),
            |client| client.connection().status().state.to_string(),
        )
    }

    /// The server's version; empty when it does not say.
    #[getter]
    fn server_version(&self, py: Python<'_>) -> String {
        self.client_now(py)
            .map_or_else(String::new, |client| client.connection().server().version)
    }

    /// Asks the server for its version.
    fn version<'py>(&self, py: Python<'py>, asynchronous: bool) -> PyResult<Bound<'py, PyAny>> {
        let handle = self.handle(py)?;
        run(py, asynchronous, async move {
            Ok(handle.client().await?.version().await?)
        })
    }

    /// The connection's status as JSON; `None` when there is no connection.
    fn status(&self, py: Python<'_>) -> Option<String> {
        self.client_now(py)
            .and_then(|client| serde_json::to_string(&client.connection().status()).ok())
    }

    /// Closes a connection of one's own after its calls in flight; an alias's connection stays, it is the registry's.
    fn close<'py>(&self, py: Python<'py>, asynchronous: bool) -> PyResult<Bound<'py, PyAny>> {
        let own = match &self.source {
            Source::Own(own) => own.live(),
            Source::Alias { .. } => None,
        };
        run(py, asynchronous, async move {
            if let Some(client) = own {
                client.connection().close().await;
            }
            Ok(())
        })
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "<Connection alias={:?} address={:?} database={:?} state={:?}>",
            self.alias_text(),
            self.address(py),
            self.database(py),
            self.state(py),
        )
    }
}
