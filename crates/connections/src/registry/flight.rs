//! Connecting: one dial for an alias, however many ask for it.
//!
//! Invariant: a dial runs in a task of its own. A caller that goes away disturbs nobody; when the last one goes, the dial
//! ends. What comes of a dial is put into the registry only while the dial is still the alias's own: `disconnect` and
//! `remove_connection` win over it.

use std::pin::pin;
use std::sync::{Arc, Weak};

use milvus_transport::ConnectionConfig;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::snapshot::{Entry, Live, Snapshot};
use super::{Connector, Registry, Shared, in_use, same_place};
use crate::error::Error;
use crate::events::RegistryChange;
use crate::params::ConnectionParams;
use crate::resolve::Resolved;
use crate::settings::{DEFAULT_DATABASE, Settings};
use crate::source::{Source, Sourced};

type Landing<H> = Option<Result<H, Error>>;

/// A connect under way.
pub(super) struct Flight<H> {
    number: u64,
    pub(super) config: ConnectionConfig,
    /// Upgrades while the task lives: a task that dies with its runtime is thereby seen as dead.
    landing: Weak<watch::Sender<Landing<H>>>,
    task: AbortHandle,
}

impl<H> Flight<H> {
    /// Tells the waiting and stops dialing.
    pub(super) fn end(self, result: Result<H, Error>) {
        if let Some(landing) = self.landing.upgrade() {
            landing.send_replace(Some(result));
        }
        self.task.abort();
    }
}

/// What a connect that is about to begin has found.
enum Start<H> {
    /// The alias is connected with just this configuration.
    Connected(H),
    /// A dial with this configuration is under way, perhaps begun just now.
    Wait(watch::Receiver<Landing<H>>),
    /// A dial with another configuration must end first.
    After(watch::Receiver<Landing<H>>),
    /// The entry has changed since the configuration was resolved.
    Again,
}

/// What a dial needs to know to land.
struct Plan {
    number: u64,
    alias: Arc<str>,
    resolved: Resolved,
    /// The revision of the entry that was resolved; `None` when there was none.
    revision: Option<u64>,
}

impl<C: Connector> Registry<C> {
    /// Connects an alias, or waits for the connect that is under way, or finds it connected as asked.
    pub(crate) async fn connect(
        &self,
        alias: &str,
        arguments: &ConnectionParams,
    ) -> Result<C::Handle, Error> {
        loop {
            match self.start(alias, arguments)? {
                Start::Connected(handle) => return Ok(handle),
                Start::Wait(mut landing) => {
                    // The sender goes without a word only when its runtime has been shut down: then we dial ourselves.
                    if let Ok(landed) = landing.wait_for(Option::is_some).await
                        && let Some(result) = landed.clone()
                    {
                        return result;
                    }
                }
                Start::After(mut landing) => drop(landing.wait_for(Option::is_some).await),
                Start::Again => {}
            }
        }
    }

    fn start(&self, alias: &str, arguments: &ConnectionParams) -> Result<Start<C::Handle>, Error> {
        let snapshot = self.snapshot();
        let entry = snapshot.get(alias);
        if let Some(live) = entry.and_then(|entry| {
            self.0
                .live(entry)
                .filter(|live| live.revision == entry.revision)
        }) && arguments.is_empty()
        {
            return Ok(Start::Connected(live.handle.clone()));
        }
        // Outside the lock: this reads the profile file.
        let resolved =
            self.0
                .resolver
                .resolve(alias, arguments, entry.map(|entry| &entry.settings));
        let resolved = resolved.map_err(|error| suggest(error, alias, &snapshot))?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;

        let mut writer = self.0.writer();
        let snapshot = self.snapshot();
        let revision = |entry: Option<&Arc<Entry<C::Handle>>>| entry.map(|entry| entry.revision);
        if revision(snapshot.get(alias)) != revision(entry) {
            return Ok(Start::Again);
        }
        if let Some(flight) = writer.flights.get(alias) {
            if !same_place(&flight.config.target, &resolved.config.target) {
                return Err(in_use(
                    alias,
                    &flight.config.target,
                    &resolved.config.target,
                ));
            }
            if let Some(landing) = flight.landing.upgrade() {
                let waiting = landing.subscribe();
                return Ok(if same(&flight.config, &resolved.config) {
                    Start::Wait(waiting)
                } else {
                    Start::After(waiting)
                });
            }
            writer.flights.remove(alias);
        }
        if let Some(live) = snapshot.get(alias).and_then(|entry| self.0.live(entry)) {
            if !same_place(&live.config.target, &resolved.config.target) {
                return Err(in_use(alias, &live.config.target, &resolved.config.target));
            }
            if same(&live.config, &resolved.config) {
                return Ok(Start::Connected(live.handle.clone()));
            }
        }
        let (landing, waiting) = watch::channel(None);
        let landing = Arc::new(landing);
        let plan = Plan {
            number: writer.number(),
            alias: alias.into(),
            revision: revision(entry),
            resolved,
        };
        let flight = Flight {
            number: plan.number,
            config: plan.resolved.config.clone(),
            landing: Arc::downgrade(&landing),
            task: runtime
                .spawn(fly(Arc::clone(&self.0), plan, landing))
                .abort_handle(),
        };
        writer.flights.insert(alias.into(), flight);
        drop(writer);
        Ok(Start::Wait(waiting))
    }
}

/// Dials, unless nobody waits any more, and lands.
async fn fly<C: Connector>(
    shared: Arc<Shared<C>>,
    plan: Plan,
    landing: Arc<watch::Sender<Landing<C::Handle>>>,
) {
    let result = {
        let mut dial = pin!(
            shared
                .connector
                .connect(&plan.alias, plan.resolved.config.clone())
        );
        loop {
            tokio::select! {
                biased;
                result = &mut dial => break result,
                () = landing.closed() => {
                    let mut writer = shared.writer();
                    // Callers join under the lock, so that nobody can have come since.
                    if landing.receiver_count() == 0 {
                        if writer.flights.get(&plan.alias).is_some_and(|flight| flight.number == plan.number) {
                            writer.flights.remove(&plan.alias);
                        }
                        return;
                    }
                }
            }
        }
    };
    let leftover = shared.land(plan, result, &landing);
    if let Some(handle) = leftover {
        shared.connector.close(handle).await;
    }
}

impl<C: Connector> Shared<C> {
    /// Puts what came of a dial into the registry and tells the waiting. Returns a connection that nobody wants any more.
    fn land(
        &self,
        plan: Plan,
        result: Result<C::Handle, Error>,
        landing: &watch::Sender<Landing<C::Handle>>,
    ) -> Option<C::Handle> {
        let mut writer = self.writer();
        if writer
            .flights
            .get(&plan.alias)
            .is_none_or(|flight| flight.number != plan.number)
        {
            return result.ok();
        }
        writer.flights.remove(&plan.alias);
        let snapshot = self.snapshot.load_full();
        let known = snapshot.get(&plan.alias);
        let alias = Arc::clone(&plan.alias);
        let change = match &result {
            Ok(handle) => {
                let change = RegistryChange::Connected {
                    address: plan.resolved.config.target.address(),
                    reconnected: known.is_some_and(|entry| entry.live.is_some()),
                };
                let number = writer.number();
                let entry = connected(known.map(Arc::as_ref), plan, handle.clone(), number);
                self.snapshot.store(Arc::new(snapshot.with(entry)));
                change
            }
            Err(error) => {
                if let Some(entry) = known {
                    self.snapshot
                        .store(Arc::new(snapshot.with(entry.with_error(error.clone()))));
                }
                RegistryChange::ConnectFailed {
                    message: error.to_string(),
                }
            }
        };
        self.announcer.announce([(alias, change)]);
        landing.send_replace(Some(result));
        drop(writer);
        // Here, without the lock, the snapshot that held the former connection may be the last to let go of it: who still
        // holds a clone keeps using it.
        drop(snapshot);
        None
    }
}

/// The entry after a connect: it remembers everything that the connection was made from.
fn connected<H: Clone>(known: Option<&Entry<H>>, plan: Plan, handle: H, number: u64) -> Entry<H> {
    let Resolved { settings, config } = plan.resolved;
    let unchanged = known.map(|entry| entry.revision) == plan.revision;
    let (settings, revision) = match known {
        // Configured anew while it was connecting: the newer settings stay, for the next connect.
        Some(entry) if !unchanged => (entry.settings.clone(), entry.revision),
        _ => (remember(settings, &config), number),
    };
    Entry {
        alias: plan.alias,
        settings,
        revision,
        live: Some(Live {
            handle,
            config,
            revision: if unchanged { number } else { 0 },
        }),
        last_error: None,
    }
}

/// The database that is used is part of what is remembered, also when it is the default one.
fn remember(settings: Settings, config: &ConnectionConfig) -> Settings {
    let mut settings = settings.remembered();
    if config.database.is_empty() {
        settings.database = Some(Sourced {
            value: DEFAULT_DATABASE.to_owned(),
            source: Source::default_value(),
        });
    }
    settings
}

/// Whether a connection made from one serves for the other.
fn same(a: &ConnectionConfig, b: &ConnectionConfig) -> bool {
    let database = |config: &ConnectionConfig| match config.database.as_str() {
        "" => DEFAULT_DATABASE.to_owned(),
        name => name.to_owned(),
    };
    a.fingerprint() == b.fingerprint() && database(a) == database(b)
}

/// Completes "not configured" with an alias of the registry that may have been meant.
pub(super) fn suggest<H>(error: Error, alias: &str, snapshot: &Snapshot<H>) -> Error {
    match error {
        Error::UnknownAlias {
            alias: unknown,
            nearest: None,
        } => Error::UnknownAlias {
            alias: unknown,
            nearest: crate::field::nearest(alias, snapshot.iter().map(|entry| &*entry.alias))
                .map(str::to_owned),
        },
        other => other,
    }
}
