//! What happens in a registry, as it happens.
//!
//! Invariant: nobody is waited for. A reader that falls behind is told how many changes it has missed.

use std::sync::Arc;
use std::time::SystemTime;

use futures_core::Stream;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

/// How many changes a reader may be behind before it misses some.
const BEHIND: usize = 256;

/// A change in a registry.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RegistryEvent {
    /// The alias that it is about; empty for [`RegistryChange::Missed`].
    #[serde(serialize_with = "text")]
    pub alias: Arc<str>,
    /// What changed.
    #[serde(flatten)]
    pub change: RegistryChange,
    /// When.
    #[serde(serialize_with = "unix_seconds")]
    pub at: SystemTime,
}

/// What changed for an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RegistryChange {
    /// It was configured for the first time.
    Added,
    /// It was configured anew.
    Replaced,
    /// It was connected.
    Connected {
        /// The address that answered.
        address: String,
        /// Whether it took the place of a live connection, as after a change of credentials.
        reconnected: bool,
    },
    /// A connect failed.
    ConnectFailed {
        /// The error's text.
        message: String,
    },
    /// Its connection, or its connect under way, was ended.
    Disconnected,
    /// It was forgotten.
    Removed,
    /// The reader was too slow for this many changes.
    Missed {
        /// How many.
        changes: u64,
    },
}

fn text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn unix_seconds<S: serde::Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    serializer.serialize_f64(since.as_secs_f64())
}

/// Where a registry tells of its changes.
pub(crate) struct Announcer {
    events: broadcast::Sender<RegistryEvent>,
    generation: watch::Sender<u64>,
}

impl Default for Announcer {
    fn default() -> Self {
        Self {
            events: broadcast::Sender::new(BEHIND),
            generation: watch::Sender::new(0),
        }
    }
}

impl Announcer {
    pub(crate) fn announce(&self, changes: impl IntoIterator<Item = (Arc<str>, RegistryChange)>) {
        for (alias, change) in changes {
            tracing::debug!(alias = &*alias, ?change, "registry changed");
            // Nobody listening is no fault.
            let _ = self.events.send(RegistryEvent {
                alias,
                change,
                at: SystemTime::now(),
            });
        }
        self.generation.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn events(&self) -> RegistryEvents {
        RegistryEvents {
            receiver: self.events.subscribe(),
        }
    }

    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

/// The changes of a registry from now on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), milvus_connections::Error> {
/// use milvus_connections::{ConnectionParams, Connections, RegistryChange};
///
/// let connections = Connections::isolated();
/// let mut events = connections.events();
/// connections.add_connection([("dev", ConnectionParams::address("localhost:19530"))])?;
/// let event = events.next().await.unwrap();
/// assert_eq!((&*event.alias, event.change), ("dev", RegistryChange::Added));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RegistryEvents {
    receiver: broadcast::Receiver<RegistryEvent>,
}

impl RegistryEvents {
    /// The next change; `None` when the registry is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<RegistryEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(changes)) => Some(RegistryEvent {
                alias: "".into(),
                change: RegistryChange::Missed { changes },
                at: SystemTime::now(),
            }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The changes as a stream.
    pub fn into_stream(self) -> impl Stream<Item = RegistryEvent> + Send + 'static {
        futures_util::stream::unfold(self, |mut events| async move {
            let event = events.next().await?;
            Some((event, events))
        })
    }
}
