//! The probes behind `milvusctl top`: one task for each alias, which connects it and then makes a small call at an interval.
//!
//! Invariant: a probe never gives up. A connect that failed is tried again at the next interval; a connection that was made
//! heals by itself, and is only asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use milvus_connections::transport::{CallOptions, Connection, ConnectionState};
use milvus_connections::{ConnectionParams, Connections};
use milvus_protocol::milvus::GetVersionRequest;
use milvus_protocol::rpc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::view::{AliasRow, SeenEvent, Snapshot};
use crate::exit::Exit;
use crate::failure::Failure;

/// Events that are remembered; a terminal rarely has more lines.
const EVENTS_KEPT: usize = 100;
/// What an answer may take when the interval is shorter.
const LEAST_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of one alias, written by its probe.
#[derive(Default)]
struct Found {
    connection: Option<Connection>,
    /// Whether a call or a connect has ended.
    is_known: bool,
    /// Of the last connect or call; `None` when it succeeded.
    failure: Option<Failure>,
}

impl Found {
    fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.is_known = true;
    }
}

struct Probe {
    alias: String,
    address: String,
    found: Arc<Mutex<Found>>,
    task: Option<JoinHandle<()>>,
}

/// The probes of all aliases; they end when this is dropped.
pub(super) struct Probes {
    probes: Vec<Probe>,
    events: Arc<Mutex<VecDeque<SeenEvent>>>,
}

/// Held for a few instructions by code that does not panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Probes {
    /// Starts the probes. An alias whose configuration is at fault is shown with what is wrong with it.
    pub(super) fn start(connections: &Connections, aliases: &[String], interval: Duration) -> Self {
        let events = Arc::new(Mutex::new(VecDeque::new()));
        let mut probes = Vec::with_capacity(aliases.len());
        for alias in aliases {
            let found = Arc::new(Mutex::new(Found::default()));
            let (address, task) = match connections.configuration(alias, &ConnectionParams::new()) {
                Ok(config) => {
                    let probing = probe(
                        connections.clone(),
                        alias.clone(),
                        interval,
                        Arc::clone(&found),
                        Arc::clone(&events),
                    );
                    (config.target.address(), Some(tokio::spawn(probing)))
                }
                Err(error) => {
                    lock(&found).failed(Failure::from(error));
                    ("–".to_owned(), None)
                }
            };
            probes.push(Probe {
                alias: alias.clone(),
                address,
                found,
                task,
            });
        }
        Self { probes, events }
    }

    /// Ends when each alias has answered or failed, or at the limit.
    pub(super) async fn all_known(&self, limit: Duration) {
        let known = async {
            while !self.probes.iter().all(|probe| lock(&probe.found).is_known) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // What is not known by then is shown as it is.
        let _ = tokio::time::timeout(limit, known).await;
    }

    /// How all aliases are now; rates are since `before`.
    pub(super) fn snapshot(&self, before: Option<&Snapshot>) -> Snapshot {
        let taken = Instant::now();
        let rows = self.probes.iter().map(|probe| {
            let mut row = probe.row();
            let earlier = before.and_then(|before| {
                let row = before.rows.iter().find(|row| row.alias == probe.alias)?;
                Some((row.calls(), taken.duration_since(before.taken)))
            });
            if let Some((calls, elapsed)) = earlier.filter(|(_, elapsed)| !elapsed.is_zero()) {
                let made = row.calls().saturating_sub(calls);
                #[allow(clippy::cast_precision_loss, reason = "calls of one interval")]
                let rate = made as f64 / elapsed.as_secs_f64();
                row.calls_per_second = Some(rate);
            }
            row
        });
        Snapshot {
            rows: rows.collect(),
            events: lock(&self.events).iter().cloned().collect(),
            taken,
        }
    }

    /// What the last alias that failed means for the exit code.
    pub(super) fn worst(&self) -> Exit {
        let mut exits = self.probes.iter().rev().filter_map(|probe| {
            let found = lock(&probe.found);
            match &found.failure {
                Some(failure) => Some(failure.exit_code),
                None if !found.is_known => Some(Exit::Connection),
                None => None,
            }
        });
        exits.next().unwrap_or(Exit::Success)
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        for task in self.probes.iter().filter_map(|probe| probe.task.as_ref()) {
            task.abort();
        }
    }
}

impl Probe {
    fn row(&self) -> AliasRow {
        let found = lock(&self.found);
        let failed = found.failure.as_ref().map(|failure| failure.reason.clone());
        let Some(connection) = &found.connection else {
            let state = if failed.is_some() {
                ConnectionState::Down
            } else {
                ConnectionState::Connecting
            };
            return AliasRow::unconnected(&self.alias, &self.address, state, failed);
        };
        AliasRow::of(connection.status(), failed)
    }
}

async fn probe(
    connections: Connections,
    alias: String,
    interval: Duration,
    found: Arc<Mutex<Found>>,
    events: Arc<Mutex<VecDeque<SeenEvent>>>,
) {
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let connection = loop {
        tick.tick().await;
        match connections.connect(&alias).await {
            Ok(client) => break client.connection().clone(),
            Err(error) => lock(&found).failed(Failure::from(error)),
        }
    };
    lock(&found).connection = Some(connection.clone());
    let listening = listen(&alias, &connection, &events);
    let calling = async {
        loop {
            let timeout = interval.max(LEAST_TIMEOUT);
            let answer = connection
                .call_with(
                    &rpc::GET_VERSION,
                    GetVersionRequest {},
                    CallOptions::timeout(timeout),
                )
                .await;
            {
                let mut found = lock(&found);
                found.failure = answer.err().map(Failure::from);
                found.is_known = true;
            }
            tick.tick().await;
        }
    };
    tokio::join!(listening, calling);
}

/// Remembers what happens to the channels of an alias.
async fn listen(alias: &str, connection: &Connection, events: &Mutex<VecDeque<SeenEvent>>) {
    let mut stream = connection.events();
    // What was there before the first event was listened to.
    for channel in connection.status().channels {
        let what = format!("channel {}: ready, to {}", channel.id, channel.peer);
        remember(events, SystemTime::now(), alias, what);
    }
    while let Some(event) = stream.next().await {
        remember(events, event.at, alias, event.kind.to_string());
    }
}

fn remember(events: &Mutex<VecDeque<SeenEvent>>, at: SystemTime, alias: &str, what: String) {
    let mut events = lock(events);
    if events.len() == EVENTS_KEPT {
        events.pop_front();
    }
    events.push_back(SeenEvent {
        at,
        alias: alias.to_owned(),
        what,
    });
}
