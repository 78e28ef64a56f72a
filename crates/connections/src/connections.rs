//! The verbs of the registry, and its process-wide instance.
//!
//! Invariant: a verb that touches the network is async and says so; all others neither wait nor send. What they do is in
//! [`crate::registry`]; this file is the shape that users see.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use milvus_client::Client;
use milvus_transport::{ConnectionConfig, Diagnosis};
use tokio::sync::watch;

use crate::backend::Milvus;
use crate::blocking::BlockingConnections;
use crate::environment::Environment;
use crate::error::Error;
use crate::events::RegistryEvents;
use crate::explain::Explanation;
use crate::params::ConnectionParams;
use crate::profile::Profile;
use crate::registry::{Connector as _, Entry, Registry};
use crate::resolve::{ProfileLookup, Resolved, Resolver};
use crate::settings::{DEFAULT_DATABASE, Settings};
use crate::status::{AliasState, AliasStatus, ConnectionAddress, ConnectionSummary};

/// The process-wide registry.
///
/// ```no_run
/// # async fn example() -> Result<(), milvus_connections::Error> {
/// use milvus_connections::{ConnectionParams, connections};
///
/// connections().add_connection([
///     ("default", ConnectionParams::address("localhost:19530")),
///     ("dev", ConnectionParams::host("localhost").port(19543)),
/// ])?;
/// let dev = connections().connect("dev").await?;
/// # Ok(())
/// # }
/// ```
pub fn connections() -> &'static Connections {
    static CONNECTIONS: LazyLock<Connections> = LazyLock::new(Connections::new);
    &CONNECTIONS
}

/// Connects without a registry: for a connection that only its owner knows. The alias is its name in errors.
///
/// # Errors
/// As [`Connections::connect`].
pub async fn connect_unregistered(alias: &str, config: ConnectionConfig) -> Result<Client, Error> {
    Milvus.connect(alias, config).await
}

/// A registry of named Milvus connections. A clone is another handle to the same registry.
///
/// Most programs use the process-wide one, [`connections()`]; a library or a test may own a private one.
///
/// The alias `default` (or what `MILVUS_CONN_ALIAS` says) is there from the start: `localhost:19530`, unless the profile
/// file or `MILVUS_URI` says otherwise.
#[derive(Clone)]
pub struct Connections {
    registry: Registry<Milvus>,
}

impl Connections {
    /// A registry that reads the process's environment and the profile file that is found; see
    /// [`locate_profile`](crate::locate_profile).
    pub fn new() -> Self {
        Self::builder().discover_profile().build()
    }

    /// A registry that reads neither environment nor profile file: it knows what it is told.
    pub fn isolated() -> Self {
        Self::builder().environment(Environment::empty()).build()
    }

    /// A registry with an environment and a profile file of one's choice.
    pub fn builder() -> ConnectionsBuilder {
        ConnectionsBuilder {
            environment: Environment::process(),
            profile: ProfileLookup::Nowhere,
        }
    }

    /// The name of the default alias.
    pub fn default_alias(&self) -> &str {
        &self.registry.resolver().default_alias
    }

    /// Registers the configurations of several aliases, all or none. Touches no network.
    ///
    /// What an alias had before is replaced. An alias that is connected takes a new configuration for the same address,
    /// which takes effect at the next connect.
    ///
    /// ```
    /// use milvus_connections::{ConnectionParams, Connections};
    ///
    /// let connections = Connections::isolated();
    /// connections.add_connection([
    ///     ("default", ConnectionParams::address("localhost:19530")),
    ///     ("dev", ConnectionParams::host("localhost").port(19543)),
    /// ])?;
    /// let aliases: Vec<_> = connections.list_connections().into_iter().map(|c| c.alias).collect();
    /// assert_eq!(aliases, ["default", "dev"]);
    /// assert!(!connections.has_connection("dev"));
    /// # Ok::<(), milvus_connections::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`], which names the alias and the field; [`Error::AliasInUse`] when an alias is connected to
    /// another address. Nothing has been changed then.
    pub fn add_connection<A: Into<String>>(
        &self,
        entries: impl IntoIterator<Item = (A, ConnectionParams)>,
    ) -> Result<(), Error> {
        let entries = entries
            .into_iter()
            .map(|(alias, params)| (alias.into(), params));
        self.registry.add(entries.collect())
    }

    /// Connects an alias with its own configuration, or returns the connection that it has.
    ///
    /// Returns after Milvus has answered its handshake with the given credentials. Concurrent connects of one alias are
    /// one dial. Dropping the future lets go of the dial only when nobody else waits for it.
    ///
    /// # Errors
    /// [`Error::Connect`], which says what is wrong; [`Error::UnknownAlias`]; [`Error::Configuration`]. The alias's
    /// configuration stays.
    pub async fn connect(&self, alias: &str) -> Result<Client, Error> {
        self.registry.connect(alias, &ConnectionParams::new()).await
    }

    /// Connects an alias with these parameters over its own configuration, and remembers them once connected.
    ///
    /// With the configuration that it is connected with, nothing happens. With other credentials, another database or other
    /// options it connects anew, and the new connection takes the place of the former one, on which calls in flight and
    /// clones that are still held go on.
    ///
    /// ```no_run
    /// # async fn example(connections: milvus_connections::Connections) -> Result<(), milvus_connections::Error> {
    /// use milvus_connections::ConnectionParams;
    ///
    /// let params = ConnectionParams::uri("https://in01-0123.api.example.com").token("an-api-key");
    /// let client = connections.connect_with("cloud", params).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect); and [`Error::AliasInUse`] with another address than it is connected to.
    pub async fn connect_with(
        &self,
        alias: &str,
        params: ConnectionParams,
    ) -> Result<Client, Error> {
        self.registry.connect(alias, &params).await
    }

    /// Lets calls in flight finish, within `drain_timeout`, and closes the alias's connection. Its configuration stays.
    /// An alias that is unknown or not connected is fine. A connect that is under way ends with [`Error::Withdrawn`].
    pub async fn disconnect(&self, alias: &str) {
        self.registry.disconnect(alias).await;
    }

    /// As [`disconnect`](Self::disconnect), and forgets the alias's configuration.
    pub async fn remove_connection(&self, alias: &str) {
        self.registry.remove(alias).await;
    }

    /// Whether the alias has a live connection; being configured is not enough.
    pub fn has_connection(&self, alias: &str) -> bool {
        self.registry.is_connected(alias)
    }

    /// The client of a connected alias. Never waits: an atomic read and a clone.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn get(&self, alias: &str) -> Result<Client, Error> {
        self.registry.get(alias)
    }

    /// Lends the client of a connected alias. Unlike [`get`](Self::get) it touches no counter that threads share, so that
    /// any number of threads do it side by side at full speed.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn with<T>(&self, alias: &str, read: impl FnOnce(&Client) -> T) -> Result<T, Error> {
        self.registry
            .with_live(alias, |live| live.map(read))
            .ok_or_else(|| self.registry.not_connected(alias))
    }

    /// All aliases of the registry, in the order in which they were first added.
    ///
    /// An alias that only the profile file names appears here once it has been connected; [`profile`](Self::profile) has
    /// them all.
    pub fn list_connections(&self) -> Vec<ConnectionSummary> {
        let profile = self.registry.resolver().profile().ok().flatten();
        let snapshot = self.registry.snapshot();
        snapshot
            .iter()
            .map(|entry| self.summary(entry, profile.as_ref()))
            .collect()
    }

    /// Where an alias leads, and as whom; `None` when nobody has configured it. Never a secret.
    ///
    /// # Errors
    /// When the profile file or the environment is at fault.
    pub fn get_connection_addr(&self, alias: &str) -> Result<Option<ConnectionAddress>, Error> {
        let snapshot = self.registry.snapshot();
        let entry = snapshot.get(alias);
        if let Some(entry) = entry
            && let Some(live) = &entry.live
        {
            return Ok(Some(address(&entry.settings, &live.config)));
        }
        let profile = self.registry.resolver().profile()?;
        if entry.is_none()
            && profile
                .as_ref()
                .is_none_or(|profile| profile.params(alias).is_none())
        {
            return Ok(None);
        }
        match self.resolved(alias, entry.map(Arc::as_ref), profile.as_ref()) {
            Ok(resolved) => Ok(Some(address(&resolved.settings, &resolved.config))),
            Err(Error::UnknownAlias { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every value of an alias's configuration, with its source; secrets are `set`.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`], or what is wrong with the configuration.
    pub fn explain(&self, alias: &str) -> Result<Explanation, Error> {
        self.explain_with(alias, &ConnectionParams::new())
    }

    /// As [`explain`](Self::explain), for a connect with these parameters.
    ///
    /// # Errors
    /// As there.
    pub fn explain_with(
        &self,
        alias: &str,
        params: &ConnectionParams,
    ) -> Result<Explanation, Error> {
        let resolved = self.registry.resolve(alias, params)?;
        Ok(Explanation::new(
            alias,
            &resolved.settings,
            &resolved.config,
        ))
    }

    /// The configuration with which an alias would be connected, given these parameters over its own.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn configuration(
        &self,
        alias: &str,
        params: &ConnectionParams,
    ) -> Result<ConnectionConfig, Error> {
        self.registry
            .resolve(alias, params)
            .map(|resolved| resolved.config)
    }

    /// An alias and its connection at this moment; `None` when the registry doesn't know it.
    pub fn status(&self, alias: &str) -> Option<AliasStatus> {
        let snapshot = self.registry.snapshot();
        let profile = self.registry.resolver().profile().ok().flatten();
        snapshot
            .get(alias)
            .map(|entry| self.alias_status(entry, profile.as_ref()))
    }

    /// The status of each alias, in the order of [`list_connections`](Self::list_connections).
    pub fn status_of_all(&self) -> Vec<AliasStatus> {
        let snapshot = self.registry.snapshot();
        let profile = self.registry.resolver().profile().ok().flatten();
        snapshot
            .iter()
            .map(|entry| self.alias_status(entry, profile.as_ref()))
            .collect()
    }

    /// Walks from the configuration to Milvus's version, step by step, and says at which step it fails, what that means
    /// and what to do. Uses a connection of its own.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`], or what is wrong with the configuration.
    pub async fn diagnose(&self, alias: &str) -> Result<Diagnosis, Error> {
        self.diagnose_with(alias, &ConnectionParams::new()).await
    }

    /// As [`diagnose`](Self::diagnose), for a connect with these parameters.
    ///
    /// # Errors
    /// As there.
    pub async fn diagnose_with(
        &self,
        alias: &str,
        params: &ConnectionParams,
    ) -> Result<Diagnosis, Error> {
        let config = self.configuration(alias, params)?;
        Ok(milvus_transport::diagnose(alias, &config).await)
    }

    /// Every change from now on, each by itself.
    pub fn events(&self) -> RegistryEvents {
        self.registry.announcer().events()
    }

    /// The list of connections each time it changes; changes that come together are seen together.
    pub fn watch(&self) -> ConnectionsWatch {
        ConnectionsWatch {
            generation: self.registry.announcer().generation(),
            connections: self.clone(),
        }
    }

    /// The profile file in force, read now; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Profile`], with the line.
    pub fn profile(&self) -> Result<Option<Profile>, Error> {
        self.registry.resolver().profile()
    }

    /// The same configurations in a registry of their own, with nothing connected, and the names of those that were: for
    /// the child of a `fork`, which has its parent's memory but not the threads that its connections live on. Takes no
    /// lock, since a thread that held one is not there to give it back.
    pub fn unconnected_copy(&self) -> (Self, Vec<String>) {
        let snapshot = self.registry.snapshot();
        let connected = snapshot.iter().filter(|entry| entry.live.is_some());
        let names = connected.map(|entry| entry.alias.to_string()).collect();
        (
            Self {
                registry: self.registry.unconnected_copy(),
            },
            names,
        )
    }

    /// The same verbs for programs without async.
    pub fn blocking(&self) -> BlockingConnections<'_> {
        BlockingConnections::new(self)
    }

    fn resolved(
        &self,
        alias: &str,
        entry: Option<&Entry<Client>>,
        profile: Option<&Profile>,
    ) -> Result<Resolved, Error> {
        let settings = entry.map(|entry| &entry.settings);
        self.registry
            .resolver()
            .resolve_with(alias, &ConnectionParams::new(), settings, profile)
    }

    fn summary(&self, entry: &Entry<Client>, profile: Option<&Profile>) -> ConnectionSummary {
        let (address, database) = match &entry.live {
            Some(live) => (
                Some(live.config.target.address()),
                live.config.database.clone(),
            ),
            None => match self.resolved(&entry.alias, Some(entry), profile) {
                Ok(resolved) => (
                    Some(resolved.config.target.address()),
                    resolved.config.database,
                ),
                Err(_) => (None, String::new()),
            },
        };
        ConnectionSummary {
            alias: entry.alias.to_string(),
            address,
            database: if database.is_empty() {
                DEFAULT_DATABASE.to_owned()
            } else {
                database
            },
            state: if self.registry.is_connected(&entry.alias) {
                AliasState::Connected
            } else if self.registry.is_connecting(&entry.alias) {
                AliasState::Connecting
            } else {
                AliasState::Configured
            },
        }
    }

    fn alias_status(&self, entry: &Entry<Client>, profile: Option<&Profile>) -> AliasStatus {
        let summary = self.summary(entry, profile);
        AliasStatus {
            alias: summary.alias,
            address: summary.address,
            database: summary.database,
            state: summary.state,
            last_error: entry.last_error.as_ref().map(Error::to_string),
            connection: entry
                .live
                .as_ref()
                .map(|live| live.handle.connection().status()),
        }
    }
}

fn address(settings: &Settings, config: &ConnectionConfig) -> ConnectionAddress {
    ConnectionAddress {
        address: config.target.address(),
        user: settings
            .user
            .as_ref()
            .map(|user| user.value.clone())
            .unwrap_or_default(),
        db_name: settings
            .database
            .as_ref()
            .map(|database| database.value.clone()),
        secure: config.target.secure(),
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.registry.snapshot();
        let entries = snapshot.iter().map(|entry| {
            (
                &*entry.alias,
                if entry.live.is_some() {
                    "connected"
                } else {
                    "configured"
                },
            )
        });
        f.debug_map().entries(entries).finish()
    }
}

/// Makes a registry; see [`Connections::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ConnectionsBuilder {
    environment: Environment,
    profile: ProfileLookup,
}

impl ConnectionsBuilder {
    /// The environment to read; by default the process's.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Reads this profile file, which must be there when a configuration is needed. By default none is read.
    pub fn profile_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.profile = ProfileLookup::File(path.into());
        self
    }

    /// Reads the profile file that is found; see [`locate_profile`](crate::locate_profile).
    pub fn discover_profile(mut self) -> Self {
        self.profile = ProfileLookup::Discovered;
        self
    }

    /// The registry.
    pub fn build(self) -> Connections {
        let default_alias = self.environment.default_alias().into();
        Connections {
            registry: Registry::new(
                Milvus,
                Resolver {
                    environment: self.environment,
                    profile: self.profile,
                    default_alias,
                },
            ),
        }
    }
}

/// The list of connections each time it changes; see [`Connections::watch`].
#[derive(Debug)]
pub struct ConnectionsWatch {
    generation: watch::Receiver<u64>,
    connections: Connections,
}

impl ConnectionsWatch {
    /// Waits for a change that has not been seen yet. Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Vec<ConnectionSummary> {
        // The sender lives in the registry, which `connections` keeps alive.
        let _ = self.generation.changed().await;
        self.connections.list_connections()
    }
}
