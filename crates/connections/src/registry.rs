//! The registry: which alias means what, and what is connected.
//!
//! Invariants: readers see an immutable snapshot and never wait; a change makes the next snapshot under a short lock that
//! is never held across an await or a callback. One alias has at most one dial under way (see [`flight`]). A failed connect
//! forgets nothing.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use milvus_transport::{ConnectionConfig, Target};

use crate::error::{AliasInUse, Error};
use crate::events::{Announcer, RegistryChange};
use crate::params::ConnectionParams;
use crate::resolve::{Resolved, Resolver, check_alias};
use crate::settings::Settings;
use crate::source::Origin;

mod flight;
mod snapshot;

use flight::Flight;
pub(crate) use snapshot::{Entry, Live, Snapshot};

/// What makes connections. The registry knows them only as handles, so that it can be tested without a server.
pub(crate) trait Connector: Send + Sync + 'static {
    /// A live connection, cheap to clone.
    type Handle: Clone + Send + Sync + 'static;

    /// Connects; returns when the other side has answered.
    fn connect(
        &self,
        alias: &str,
        config: ConnectionConfig,
    ) -> impl Future<Output = Result<Self::Handle, Error>> + Send;

    /// Lets calls in flight finish, within a bound, and closes.
    fn close(&self, handle: Self::Handle) -> impl Future<Output = ()> + Send;

    /// Whether it has been closed by other hands.
    fn is_closed(&self, handle: &Self::Handle) -> bool;
}

/// A registry over one kind of connector; a cheap handle to shared state.
pub(crate) struct Registry<C: Connector>(Arc<Shared<C>>);

impl<C: Connector> Clone for Registry<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<C: Connector> {
    connector: C,
    resolver: Resolver,
    snapshot: ArcSwap<Snapshot<C::Handle>>,
    /// Held to make the next snapshot.
    writer: Mutex<Writer<C::Handle>>,
    announcer: Announcer,
}

/// What only writers need.
struct Writer<H> {
    flights: HashMap<Arc<str>, Flight<H>>,
    next_number: u64,
}

impl<H> Writer<H> {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

impl<C: Connector> Registry<C> {
    pub(crate) fn new(connector: C, resolver: Resolver) -> Self {
        let default = Entry::new(Arc::clone(&resolver.default_alias), Settings::default(), 0);
        Self(Arc::new(Shared {
            connector,
            resolver,
            snapshot: ArcSwap::from_pointee(Snapshot::default().with(default)),
            writer: Mutex::new(Writer {
                flights: HashMap::new(),
                next_number: 0,
            }),
            announcer: Announcer::default(),
        }))
    }

    /// The same configurations with nothing connected. Takes no lock.
    pub(crate) fn unconnected_copy(&self) -> Self
    where
        C: Clone,
    {
        let mut snapshot = Snapshot::default();
        for (number, entry) in (0..).zip(self.snapshot().iter()) {
            let alias = Arc::from(&*entry.alias);
            snapshot.set(Entry::new(alias, entry.settings.clone(), number));
        }
        let copy = Self::new(self.0.connector.clone(), self.0.resolver.clone());
        copy.0.writer().next_number = snapshot.iter().count() as u64;
        copy.0.snapshot.store(Arc::new(snapshot));
        copy
    }

    pub(crate) fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }

    pub(crate) fn announcer(&self) -> &Announcer {
        &self.0.announcer
    }

    /// The present state, kept alive for as long as it is held.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot<C::Handle>> {
        self.0.snapshot.load_full()
    }

    /// Borrows the live handle of an alias without touching a counter that other threads touch.
    pub(crate) fn with_live<T>(
        &self,
        alias: &str,
        read: impl FnOnce(Option<&C::Handle>) -> T,
    ) -> T {
        let snapshot = self.0.snapshot.load();
        let live = snapshot.get(alias).and_then(|entry| entry.live.as_ref());
        read(
            live.map(|live| &live.handle)
                .filter(|handle| !self.0.connector.is_closed(handle)),
        )
    }

    pub(crate) fn is_connected(&self, alias: &str) -> bool {
        self.with_live(alias, |live| live.is_some())
    }

    pub(crate) fn get(&self, alias: &str) -> Result<C::Handle, Error> {
        self.with_live(alias, |live| live.cloned())
            .ok_or_else(|| self.not_connected(alias))
    }

    #[cold]
    pub(crate) fn not_connected(&self, alias: &str) -> Error {
        Error::NotConnected {
            alias: alias.into(),
            configured: self.0.snapshot.load().get(alias).is_some(),
        }
    }

    /// Whether a connect is under way.
    pub(crate) fn is_connecting(&self, alias: &str) -> bool {
        self.0.writer().flights.contains_key(alias)
    }

    /// What `alias` amounts to with these arguments over its entry as it is.
    pub(crate) fn resolve(
        &self,
        alias: &str,
        arguments: &ConnectionParams,
    ) -> Result<Resolved, Error> {
        let snapshot = self.snapshot();
        let entry = snapshot.get(alias).map(|entry| &entry.settings);
        let resolved = self.0.resolver.resolve(alias, arguments, entry);
        resolved.map_err(|error| flight::suggest(error, alias, &snapshot))
    }

    /// Replaces the entries of all these aliases, or of none.
    pub(crate) fn add(&self, entries: Vec<(String, ConnectionParams)>) -> Result<(), Error> {
        let mut checked = Vec::with_capacity(entries.len());
        for (alias, params) in entries {
            check_alias(&alias)?;
            let settings = Settings::of(&alias, &params, &Origin::Entry)?;
            if let Some(target) = settings.complete_target() {
                settings.config(&alias, target)?;
            }
            let target = settings
                .complete_target()
                .or_else(|| Settings::default_target().complete_target());
            checked.push((alias, settings, target));
        }
        let mut writer = self.0.writer();
        let snapshot = self.0.snapshot.load_full();
        for (alias, _, target) in &checked {
            let connecting = writer
                .flights
                .get(alias.as_str())
                .map(|flight| &flight.config.target);
            let connected = snapshot
                .get(alias)
                .and_then(|entry| self.0.live(entry))
                .map(|live| &live.config.target);
            if let (Some(used), Some(target)) = (connecting.or(connected), target)
                && !same_place(used, target)
            {
                return Err(in_use(alias, used, target));
            }
        }
        let mut next = Snapshot::clone(&snapshot);
        let mut changes = Vec::new();
        for (alias, settings, _) in checked {
            let number = writer.number();
            let (entry, change) = match next.get(&alias) {
                Some(known) => (
                    known.with_settings(settings, number),
                    RegistryChange::Replaced,
                ),
                None => (
                    Entry::new(alias.as_str().into(), settings, number),
                    RegistryChange::Added,
                ),
            };
            changes.push((Arc::clone(&entry.alias), change));
            next.set(entry);
        }
        self.0.snapshot.store(Arc::new(next));
        self.0.announcer.announce(changes);
        drop(writer);
        Ok(())
    }

    /// Closes the alias's connection, after its calls in flight; ends a connect that is under way.
    pub(crate) async fn disconnect(&self, alias: &str) {
        let live = {
            let mut writer = self.0.writer();
            let withdrawn = self.0.withdraw(&mut writer, alias);
            let snapshot = self.0.snapshot.load_full();
            let entry = snapshot.get(alias).filter(|entry| entry.live.is_some());
            if let Some(entry) = entry {
                self.0
                    .snapshot
                    .store(Arc::new(snapshot.with(entry.without_live())));
            }
            if withdrawn || entry.is_some() {
                self.0
                    .announcer
                    .announce([(Arc::from(alias), RegistryChange::Disconnected)]);
            }
            entry.and_then(|entry| entry.live.clone())
        };
        self.close(live).await;
    }

    /// As [`disconnect`](Self::disconnect), and forgets the alias.
    pub(crate) async fn remove(&self, alias: &str) {
        let live = {
            let mut writer = self.0.writer();
            self.0.withdraw(&mut writer, alias);
            let snapshot = self.0.snapshot.load_full();
            let entry = snapshot.get(alias);
            if entry.is_some() {
                self.0.snapshot.store(Arc::new(snapshot.without(alias)));
                self.0
                    .announcer
                    .announce([(Arc::from(alias), RegistryChange::Removed)]);
            }
            entry.and_then(|entry| entry.live.clone())
        };
        self.close(live).await;
    }

    /// In a task of its own where there is a runtime: dropping the caller's future must not leave a connection half closed.
    async fn close(&self, live: Option<Live<C::Handle>>) {
        let Some(live) = live else { return };
        let shared = Arc::clone(&self.0);
        let closing = async move { shared.connector.close(live.handle).await };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(closing).await),
            Err(_) => closing.await,
        }
    }
}

impl<C: Connector> Shared<C> {
    /// A panic under the lock can't leave anything half done: the snapshot is stored whole or not at all.
    fn writer(&self) -> MutexGuard<'_, Writer<C::Handle>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live<'a>(&self, entry: &'a Entry<C::Handle>) -> Option<&'a Live<C::Handle>> {
        entry
            .live
            .as_ref()
            .filter(|live| !self.connector.is_closed(&live.handle))
    }

    /// Ends the connect that is under way for an alias; whether there was one.
    fn withdraw(&self, writer: &mut Writer<C::Handle>, alias: &str) -> bool {
        let Some(flight) = writer.flights.remove(alias) else {
            return false;
        };
        flight.end(Err(Error::Withdrawn {
            alias: alias.into(),
        }));
        true
    }
}

/// PyMilvus compares addresses, and so do we: whether TLS is used, and as whom, may change under the same alias.
fn same_place(a: &Target, b: &Target) -> bool {
    match (a, b) {
        (Target::Tcp { endpoints: a, .. }, Target::Tcp { endpoints: b, .. }) => a == b,
        _ => a == b,
    }
}

fn in_use(alias: &str, used: &Target, given: &Target) -> Error {
    Error::AliasInUse(Box::new(AliasInUse {
        alias: alias.into(),
        connected_to: used.address(),
        given: given.address(),
    }))
}

#[cfg(test)]
mod tests;
