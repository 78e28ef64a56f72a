//! The registry's verbs as Python's `Connections` calls them; types are checked here, the words are Python's.
//!
//! Invariant: in a child of a `fork` the registry has the same configurations and no connection. What was connected is
//! connected anew when it is first used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use milvus_client::Client;
use milvus_connections::{ConnectionParams, Connections, Error as RegistryError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::connection::{Connection, stays_behind};
use crate::errors::Failure;
use crate::events::Events;
use crate::parameters::{Place, alias as alias_of, parameters};
use crate::run::run;
use crate::runtime::PerProcess;

/// A registry of this process.
#[derive(Clone)]
pub(crate) struct Known {
    connections: Connections,
    inherited: Arc<[Inherited]>,
}

/// An alias that was connected in the process that this one was forked from.
struct Inherited {
    alias: String,
    /// False once the alias has been connected or disconnected here.
    pending: AtomicBool,
}

impl Known {
    fn new(connections: Connections) -> Self {
        Self {
            connections,
            inherited: Arc::default(),
        }
    }

    /// Reads what the parent had without taking a lock: another thread of the parent may have held it for ever.
    pub(crate) fn in_child(parent: &Self) -> Self {
        let (connections, connected) = parent.connections.unconnected_copy();
        let unused = parent
            .inherited
            .iter()
            .filter(|known| known.pending.load(Ordering::Acquire));
        let inherited = connected
            .into_iter()
            .chain(unused.map(|known| known.alias.clone()))
            .map(|alias| Inherited {
                alias,
                pending: AtomicBool::new(true),
            });
        Self {
            connections,
            inherited: inherited.collect(),
        }
    }

    fn pending(&self, alias: &str) -> Option<&AtomicBool> {
        let known = self.inherited.iter().find(|known| known.alias == alias)?;
        Some(&known.pending)
    }

    fn forget_inherited(&self, alias: &str) {
        if let Some(pending) = self.pending(alias) {
            pending.store(false, Ordering::Release);
        }
    }

    /// The client of a connected alias; connects one that was connected before the fork.
    pub(crate) async fn client(&self, alias: &str) -> Result<Client, Failure> {
        match self.connections.get(alias) {
            Ok(client) => Ok(client),
            Err(error) => {
                if !self
                    .pending(alias)
                    .is_some_and(|pending| pending.load(Ordering::Acquire))
                {
                    return Err(error.into());
                }
                let config = self
                    .connections
                    .configuration(alias, &ConnectionParams::default())?;
                stays_behind(&config.target)?;
                let client = self.connections.connect(alias).await?;
                self.forget_inherited(alias);
                Ok(client)
            }
        }
    }

    /// The client of an alias that is connected in this process.
    pub(crate) fn live(&self, alias: &str) -> Option<Client> {
        self.connections.get(alias).ok()
    }
}

/// A registry of named connections; `milvus_connections.connections` is the process's.
#[pyclass(frozen, module = "milvus_connections._native")]
pub(crate) struct Registry {
    known: Arc<PerProcess<Known>>,
}

impl Registry {
    fn known(&self, py: Python<'_>) -> Known {
        self.known.get(py, Known::in_child)
    }

    fn connections(&self, py: Python<'_>) -> Connections {
        self.known(py).connections
    }
}

#[pymethods]
impl Registry {
    /// A registry that reads environment and profile file, or, `isolated`, neither.
    #[new]
    #[pyo3(signature = (*, isolated = false))]
    fn new(isolated: bool) -> Self {
        let connections = if isolated {
            Connections::isolated()
        } else {
            Connections::new()
        };
        Self {
            known: Arc::new(PerProcess::new(Known::new(connections))),
        }
    }

    /// The name of the default alias.
    #[getter]
    fn default_alias(&self, py: Python<'_>) -> String {
        self.connections(py).default_alias().to_owned()
    }

    /// Registers the configuration of one alias.
    fn add(
        &self,
        py: Python<'_>,
        alias: &Bound<'_, PyAny>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let add = || -> Result<(), Failure> {
            let alias = alias_of(alias)?;
            let params = parameters(&alias, given, Place::Entry)?;
            Ok(self.connections(py).add_connection([(alias, params)])?)
        };
        add().map_err(|failure| failure.into_exception(py))
    }

    /// Connects an alias with `given` over its own configuration.
    fn connect<'py>(
        &self,
        py: Python<'py>,
        alias: &Bound<'py, PyAny>,
        given: &Bound<'py, PyDict>,
        asynchronous: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let read = || -> Result<_, Failure> {
            let alias = alias_of(alias)?;
            let params = parameters(&alias, given, Place::Arguments)?;
            Ok((alias, params))
        };
        let (alias, params) = read().map_err(|failure| failure.into_exception(py))?;
        let known = self.known(py);
        run(py, asynchronous, async move {
            let connections = &known.connections;
            match connections.connect_with(&alias, params).await {
                Ok(_) => {
                    known.forget_inherited(&alias);
                    Ok(())
                }
                Err(error) => {
                    // As PyMilvus does, and Milvus's own tests expect; a connection that works is not taken away.
                    if is_failed_connect(&error) && !connections.has_connection(&alias) {
                        connections.remove_connection(&alias).await;
                    }
                    Err(error.into())
                }
            }
        })
    }

    /// Closes an alias's connection; its configuration stays unless `forget`.
    fn disconnect<'py>(
        &self,
        py: Python<'py>,
        alias: &Bound<'py, PyAny>,
        forget: bool,
        asynchronous: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let alias = alias_of(alias).map_err(|failure| failure.into_exception(py))?;
        let known = self.known(py);
        known.forget_inherited(&alias);
        run(py, asynchronous, async move {
            if forget {
                known.connections.remove_connection(&alias).await;
            } else {
                known.connections.disconnect(&alias).await;
            }
            Ok(())
        })
    }

    /// Whether the alias has a live connection.
    fn has(&self, py: Python<'_>, alias: &Bound<'_, PyAny>) -> PyResult<bool> {
        let alias = alias_of(alias).map_err(|failure| failure.into_exception(py))?;
        Ok(self.connections(py).has_connection(&alias))
    }

    /// The handle of a connected alias.
    fn get(&self, py: Python<'_>, alias: &Bound<'_, PyAny>) -> PyResult<Connection> {
        let alias = alias_of(alias).map_err(|failure| failure.into_exception(py))?;
        let known = self.known(py);
        if known.live(&alias).is_none() {
            // Raises, or connects what was connected before the fork.
            let (known, alias) = (known.clone(), alias.clone());
            run(
                py,
                false,
                async move { known.client(&alias).await.map(|_| ()) },
            )?;
        }
        Ok(Connection::of_alias(Arc::clone(&self.known), alias))
    }

    /// Each alias, and whether it is connected.
    fn list(&self, py: Python<'_>) -> Vec<(String, bool)> {
        let connections = self.connections(py);
        let aliases = connections.list_connections();
        aliases
            .into_iter()
            .map(|summary| {
                let connected = connections.has_connection(&summary.alias);
                (summary.alias, connected)
            })
            .collect()
    }

    /// What `get_connection_addr` says, as JSON; `None` for an alias that is not known.
    fn address(&self, py: Python<'_>, alias: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let read = || -> Result<_, Failure> {
            let alias = alias_of(alias)?;
            Ok(self
                .connections(py)
                .get_connection_addr(&alias)?
                .map(|address| json(&address)))
        };
        read().map_err(|failure| failure.into_exception(py))
    }

    /// The status of an alias, or of all, as JSON; `None` for an alias that is not known.
    #[pyo3(signature = (alias = None))]
    fn status(&self, py: Python<'_>, alias: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
        let connections = self.connections(py);
        Ok(match alias {
            Some(alias) => {
                let alias = alias_of(alias).map_err(|failure| failure.into_exception(py))?;
                connections.status(&alias).map(|status| json(&status))
            }
            None => Some(json(&connections.status_of_all())),
        })
    }

    /// Every value with its source, as JSON and as a table, for a connect with `given`.
    fn explain(
        &self,
        py: Python<'_>,
        alias: &Bound<'_, PyAny>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<(String, String)> {
        let read = || -> Result<_, Failure> {
            let alias = alias_of(alias)?;
            let params = parameters(&alias, given, Place::Arguments)?;
            let explanation = self.connections(py).explain_with(&alias, &params)?;
            Ok((json(&explanation), explanation.to_string()))
        };
        read().map_err(|failure| failure.into_exception(py))
    }

    /// The steps from the configuration to the server's version, as JSON, for a connect with `given`.
    fn diagnose<'py>(
        &self,
        py: Python<'py>,
        alias: &Bound<'py, PyAny>,
        given: &Bound<'py, PyDict>,
        asynchronous: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let read = || -> Result<_, Failure> {
            let alias = alias_of(alias)?;
            let params = parameters(&alias, given, Place::Arguments)?;
            Ok((alias, params))
        };
        let (alias, params) = read().map_err(|failure| failure.into_exception(py))?;
        let connections = self.connections(py);
        run(py, asynchronous, async move {
            Ok(json(&connections.diagnose_with(&alias, &params).await?))
        })
    }

    /// The changes from now on.
    fn events(&self, py: Python<'_>) -> Events {
        Events::new(self.connections(py).events())
    }
}

/// Whether it came to dialing.
fn is_failed_connect(error: &RegistryError) -> bool {
    matches!(
        error,
        RegistryError::Connect(_)
            | RegistryError::Embedded { .. }
            | RegistryError::NotBuiltIn { .. }
    )
}

/// What can be serialised has no secret in it; what can't is nothing that is shown.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
