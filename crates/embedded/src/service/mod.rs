//! The Milvus service of an embedded database: every call that the everyday work of an SDK makes, answered in this process.
//!
//! Invariant: a failure is answered in the message's own status with Milvus's numbers, as a Milvus proxy does it, so that clients can't tell the difference.
//! Work that reads files or scans rows runs on threads of the engine's own, as many at a time as the machine has cores, and ends when its
//! caller has gone away. What comes before a write has others, so that no number of slow searches keeps a write waiting.

mod access;
mod aliases;
mod alternatives;
mod answer;
mod authorization;
mod collections;
mod databases;
mod deleting;
mod field_data;
mod filters;
mod indexes;
mod keys;
mod loading;
mod maintenance;
mod parameters;
mod partitions;
mod querying;
mod routes;
mod schema;
mod search_parameters;
mod searching;
mod struct_arrays;
mod users;
mod writing;

use std::sync::Arc;
use std::time::Instant;

pub use keys::{ApiKey, KeyDescription, generate_password};

use milvus_protocol::common::KeyValuePair;
use milvus_protocol::server::MilvusServiceServer;

use self::parameters::{find, flag};
use crate::engine::{
    Cancellation, Engine, Location, OpenError, Options, Pinned, Reader, Snapshot, State,
};
use crate::error::{MilvusError, MilvusErrorKind};

/// An open embedded database. Cheap to clone; the files are closed with the last handle of the process.
///
/// ```
/// use milvus_embedded::{Location, Options, open};
///
/// let database = open(Location::Memory("example".to_owned()), Options::default())?;
/// let service = database.service(); // a tower service for `milvus.proto.milvus.MilvusService`
/// # let _ = service;
/// # Ok::<(), milvus_embedded::OpenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Embedded {
    engine: Arc<Engine>,
}

/// The engine, for one read that may lose its caller.
struct Reading {
    engine: Arc<Engine>,
    cancellation: Cancellation,
}

impl std::ops::Deref for Reading {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

/// The tower service type of an embedded database.
pub type EmbeddedService = MilvusServiceServer<Embedded>;

/// Opens a database, makes it when it doesn't exist, or joins the handle that this process already has.
///
/// # Errors
/// When another process has it open (the text says who, and how to share it), when files can't be read or written, and when they are damaged.
pub fn open(location: impl Into<Location>, options: Options) -> Result<Embedded, OpenError> {
    let engine = crate::engine::open(&location.into(), &options)?;
    Ok(Embedded { engine })
}

impl Embedded {
    /// The service: clonable, answers `http::Request`s of gRPC with `http::Response`s, in process or behind a port. Needs a tokio runtime.
    pub fn service(&self) -> EmbeddedService {
        MilvusServiceServer::new(self.clone())
    }

    /// Tells other processes that find the database taken where it is served: their error names the address.
    pub fn announce(&self, served_at: &str) {
        self.engine.store().announce(served_at);
    }

    /// Runs a read away from the async threads. Dropping the future ends it.
    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<R, MilvusError> + Send + 'static,
    ) -> Result<R, MilvusError> {
        let engine = Arc::clone(&self.engine);
        let outcome = self.engine.scan(move |cancellation| {
            let cancellation = cancellation.clone();
            work(&Reading {
                engine,
                cancellation,
            })
        });
        outcome.await.unwrap_or_else(|| Err(panicked()))
    }

    /// Runs what takes long before a write away from the async threads, and from the reads.
    async fn preparing<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<R, MilvusError> + Send + 'static,
    ) -> Result<R, MilvusError> {
        let engine = Arc::clone(&self.engine);
        let outcome = self.engine.prepare(move || work(&engine));
        outcome.await.unwrap_or_else(|| Err(panicked()))
    }
}

impl Embedded {
    /// [`Engine::wait_for_room`] for a write that finds out in the writer what it does.
    async fn wait_for_room_in(&self, database: &str, collection: &str) -> Result<(), MilvusError> {
        let id = self
            .engine
            .state()
            .catalog
            .collection(database, collection)?
            .id;
        self.engine.wait_for_room(id).await
    }
}

fn panicked() -> MilvusError {
    MilvusError::new(
        MilvusErrorKind::Internal,
        "the request hit a fault of the engine; nothing was changed",
    )
}

/// At which moment a read looks at its collection.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    timestamp: u64,
    /// Whether an iterator asks, which may stay at the moment of its first read.
    of_iterator: bool,
    /// Whether this read may be the first.
    may_begin: bool,
}

impl Moment {
    /// From the parameters of a read. An iterator that skips its offset says that it is none, but it says so.
    fn new(parameters: &[KeyValuePair], timestamp: u64) -> Self {
        Self {
            timestamp,
            of_iterator: find(parameters, "iterator").is_some(),
            may_begin: flag(parameters, "iterator"),
        }
    }

    /// The snapshot to read, and the timestamp that stands for it in the answer.
    fn snapshot(self, engine: &Engine, newest: Arc<Snapshot>) -> (Arc<Snapshot>, u64) {
        engine.pins().expire(Instant::now());
        if self.of_iterator {
            match engine.pins().find(newest.record.id, self.timestamp) {
                Pinned::Kept(snapshot) => return (snapshot, self.timestamp),
                Pinned::Unknown if self.may_begin => {
                    // No other request gets this timestamp, so it means this snapshot and no other.
                    let timestamp = engine.clock().next();
                    engine.pins().keep(Arc::clone(&newest), timestamp);
                    return (newest, timestamp);
                }
                Pinned::Unknown | Pinned::Gone => {}
            }
        }
        (newest, engine.clock().now())
    }
}

/// The collection to read, its loaded partitions of those asked for, and the timestamp of the moment at which it is read.
fn reader(
    engine: &Reading,
    state: &State,
    database: &str,
    collection: &str,
    partitions: &[String],
    moment: Moment,
) -> Result<(Reader, u64), MilvusError> {
    let record = state.catalog.collection(database, collection)?;
    let not_loaded = |what: String| {
        MilvusError::new(
            MilvusErrorKind::CollectionNotLoaded,
            format!("{what}: collection not loaded[collection={}]", record.name),
        )
    };
    let mut ids = Vec::new();
    for name in partitions {
        let partition = record.partition(name)?;
        if !record.is_loaded(partition) {
            return Err(not_loaded(format!("partition {name} is not loaded")));
        }
        ids.push(partition.id);
    }
    if partitions.is_empty() {
        ids.extend(
            record
                .partitions
                .iter()
                .filter(|partition| record.is_loaded(partition))
                .map(|partition| partition.id),
        );
        if ids.is_empty() {
            return Err(not_loaded(
                "collection is not loaded; call load_collection first".to_owned(),
            ));
        }
    }
    let snapshot = state.collections.get(&record.id).cloned();
    let snapshot =
        snapshot.ok_or_else(|| MilvusError::collection_not_found(database, collection))?;
    snapshot.check_files()?;
    let (snapshot, timestamp) = moment.snapshot(engine, snapshot);
    let reader = Reader::new(snapshot, ids, timestamp);
    Ok((reader.until(engine.cancellation.clone()), timestamp))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn no_number_of_slow_reads_keeps_a_write_waiting_and_those_left_alone_end() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let location = Location::Memory("slow reads".to_owned());
            let database = open(location, Options::default()).unwrap();
            let (ended, has_ended) = channel();
            let cores = std::thread::available_parallelism().map_or(2, usize::from);
            let most = 4 * cores.max(2);
            let reads: Vec<_> = (0..most)
                .map(|_| {
                    let (database, ended) = (database.clone(), ended.clone());
                    tokio::spawn(async move {
                        let work = move |reading: &Reading| {
                            while reading.cancellation.check().is_ok() {
                                std::thread::yield_now();
                            }
                            ended.send(()).unwrap();
                            Ok(())
                        };
                        database.blocking(work).await
                    })
                })
                .collect();
            drop(ended);
            tokio::task::yield_now().await;
            assert_eq!(database.preparing(|_| Ok(7)).await, Ok(7));
            reads.iter().for_each(tokio::task::JoinHandle::abort);
            for read in reads {
                assert!(read.await.is_err());
            }
            // Those that had begun say so; the others never began, and dropped their sender.
            let begun = has_ended.iter().count();
            assert!(begun < most, "{begun} of {most}");
            assert_eq!(database.blocking(|_| Ok(8)).await, Ok(8));
        });
    }
}
