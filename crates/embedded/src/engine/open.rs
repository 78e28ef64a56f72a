//! Opening: catalog, segments and deletions are read, the log is replayed on top, orphans are removed.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arc_swap::ArcSwap;

use super::deletions::decode_bitmap;
use super::draft::apply_part;
use super::flush::SegmentRecord;
use super::maintenance::{Bell, Maintenance};
use super::threads::Threads;
use super::writer::{Writer, internal};
use super::{Clock, Draft, Engine, Pins, Segment, SegmentView, Snapshot, State};
use crate::catalog::Catalog;
use crate::error::MilvusError;
use crate::storage::{AlignedBuffer, ImageReader, StorageError, Store, Table, decode_record};

impl Engine {
    /// Brings a store to life.
    ///
    /// Flushes and compacts by itself when `automatic`, otherwise only when asked to.
    pub(crate) fn start(store: Store, automatic: bool) -> Result<Self, MilvusError> {
        let catalog = Catalog::load(&store)?;
        let mut snapshots: HashMap<u64, Snapshot> = catalog
            .all_collections()
            .map(|record| (record.id, Snapshot::empty(Arc::clone(record))))
            .collect();
        let mut known = HashSet::new();
        load_segments(&store, &mut snapshots, &mut known)?;
        let newest = replay(&store, &mut snapshots)?;
        store.remove_orphans(|id| known.contains(&id))?;
        let clock = Arc::new(Clock::above(newest.max(read_clock(&store)?)));
        let collections = snapshots
            .into_iter()
            .map(|(id, snapshot)| (id, Arc::new(snapshot)))
            .collect();
        let state = State {
            catalog: Arc::new(catalog),
            collections: Arc::new(collections),
        };
        let state = bootstrap(&store, &clock, state)?;
        let store = Arc::new(store);
        let state = Arc::new(ArcSwap::from_pointee(state));
        let bell = Arc::new(Bell::default());
        let failed = |error| internal(format!("could not start a thread: {error}"));
        let writer = Writer::start(
            Arc::clone(&store),
            Arc::clone(&state),
            Arc::clone(&clock),
            Arc::clone(&bell),
        )
        .map_err(failed)?;
        // What the log brought may be enough for a flush.
        bell.touch(state.load().collections.keys().copied());
        let maintenance = Maintenance::start(
            Arc::clone(&store),
            Arc::clone(&state),
            Arc::clone(&clock),
            writer.jobs(),
            bell,
            automatic,
        )
        .map_err(failed)?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            maintenance,
            writer,
            store,
            state,
            clock,
            pins: Pins::default(),
            scans: Threads::new("milvus-scan", cores.max(2)),
            preparations: Threads::new("milvus-prepare", cores.max(2)),
        })
    }
}

fn bootstrap(store: &Store, clock: &Clock, state: State) -> Result<State, MilvusError> {
    let mut draft = Draft::new(state, clock);
    let now = clock.next();
    let (catalog, writes) = draft.catalog_mut();
    catalog.bootstrap(now, store.format(), writes)?;
    // From here on something may be written that an older program can't read.
    draft.writes.extend(store.upgrade());
    if !draft.writes.is_empty() {
        store.commit_synced(&draft.writes)?;
    }
    store.set_upgraded();
    Ok(draft.state)
}

fn read_clock(store: &Store) -> Result<u64, StorageError> {
    let bytes = store.get(Table::Meta, b"clock")?;
    Ok(bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes))
}

/// The two numbers of a key of `segments`, `deletions` or `log`.
fn split_key(store: &Store, key: &[u8]) -> Result<(u64, u64), StorageError> {
    let damaged = || {
        StorageError::corrupt(
            store.catalog_path(),
            "a key",
            format!("{} bytes instead of 16", key.len()),
        )
    };
    let (first, second) = key.split_first_chunk::<8>().ok_or_else(damaged)?;
    let second: [u8; 8] = second.try_into().map_err(|_| damaged())?;
    Ok((u64::from_be_bytes(*first), u64::from_be_bytes(second)))
}

fn load_segments(
    store: &Store,
    snapshots: &mut HashMap<u64, Snapshot>,
    known: &mut HashSet<u64>,
) -> Result<(), StorageError> {
    let mut deletions = HashMap::new();
    store.scan(Table::Deletions, |key, value| {
        deletions.insert(split_key(store, key)?, value.to_vec());
        Ok(())
    })?;
    let mut found = Vec::new();
    store.scan(Table::Segments, |key, value| {
        let record: SegmentRecord = serde_json::from_slice(value).map_err(|error| {
            StorageError::corrupt(store.catalog_path(), "a segment record", error.to_string())
        })?;
        found.push((split_key(store, key)?, record));
        Ok(())
    })?;
    for ((collection, id), record) in found {
        known.insert(id);
        let Some(snapshot) = snapshots.get_mut(&collection) else {
            continue;
        };
        let Some(partition) = snapshot.partitions.get_mut(&record.partition) else {
            continue;
        };
        let (rows, bytes) = (record.rows as usize, record.bytes as usize);
        let segment = match open_segment(store, id, &record) {
            Ok(file) => Segment::in_file(id, bytes, file),
            // Only its own collection suffers.
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::error!(collection = %snapshot.record.name, %error, "a collection can't be read");
                Segment::damaged(id, bytes, rows, error.into())
            }
            Err(error) => return Err(error),
        };
        let mut view = SegmentView::new(segment);
        if let Some(bytes) = deletions.get(&(collection, id)) {
            let bitmap = decode_bitmap(bytes, view.segment.rows(), &store.catalog_path(), id)?;
            view.deleted = Some(Arc::new(bitmap));
        }
        Arc::make_mut(partition).segments.push(view);
    }
    Ok(())
}

fn open_segment(
    store: &Store,
    id: u64,
    record: &SegmentRecord,
) -> Result<ImageReader, StorageError> {
    let file = store.open_segment(id)?;
    if file.rows() as u64 == record.rows {
        return Ok(file);
    }
    let detail = format!(
        "the catalog says {} rows, the file has {}",
        record.rows,
        file.rows()
    );
    Err(StorageError::corrupt(
        store.segment_path(id),
        "the header",
        detail,
    ))
}

/// Records that were read and wait to be applied: few, because they may be large.
const READ_AHEAD: usize = 4;

/// Applies the log in the order of its timestamps. Gives the newest timestamp. One thread reads and another one checks and applies, since
/// how long an open after a crash takes is how long this takes.
fn replay(store: &Store, snapshots: &mut HashMap<u64, Snapshot>) -> Result<u64, MilvusError> {
    let path = store.catalog_path();
    let path = path.as_path();
    std::thread::scope(|scope| {
        let (records, read) = sync_channel(READ_AHEAD);
        let applying = std::thread::Builder::new()
            .name("milvus-replay".to_owned())
            .spawn_scoped(scope, move || apply_all(&read, snapshots, path))
            .map_err(|error| internal(format!("could not start a thread: {error}")))?;
        let mut reading = Reading {
            records,
            path,
            record: None,
        };
        let mut newest = 0;
        let scanned = store.scan(Table::Log, |key, value| {
            // The values of one record follow each other.
            let (key, number) = match key.split_last_chunk::<4>() {
                Some((key, number)) if key.len() == 16 => (key, u32::from_be_bytes(*number)),
                _ => (key, 0),
            };
            let place = split_key(store, key)?;
            newest = newest.max(place.1);
            reading.add(place, number, value)
        });
        reading.pass_on();
        drop(reading);
        let applied = applying.join();
        applied.unwrap_or_else(|_| Err(internal("the log could not be replayed")))?;
        scanned?;
        Ok(newest)
    })
}

/// Puts the values of records together.
struct Reading<'a> {
    records: SyncSender<Record>,
    path: &'a Path,
    record: Option<Record>,
}

struct Record {
    collection: u64,
    timestamp: u64,
    values: u32,
    bytes: AlignedBuffer,
}

impl Reading<'_> {
    fn add(
        &mut self,
        (collection, timestamp): (u64, u64),
        number: u32,
        value: &[u8],
    ) -> Result<(), StorageError> {
        if number == 0 {
            self.pass_on();
            self.record = Some(Record {
                collection,
                timestamp,
                values: 0,
                bytes: AlignedBuffer::default(),
            });
        }
        let fits = |record: &&mut Record| {
            (record.collection, record.timestamp, record.values) == (collection, timestamp, number)
        };
        let Some(record) = self.record.as_mut().filter(fits) else {
            let place = format!("log record {timestamp} of collection {collection}");
            let detail = format!("value {number} doesn't follow the one before");
            return Err(StorageError::corrupt(self.path, place, detail));
        };
        record.values += 1;
        record.bytes.extend(value);
        Ok(())
    }

    /// The record is complete now.
    fn pass_on(&mut self) {
        if let Some(record) = self.record.take() {
            // Whoever applies them may have failed, and says so itself.
            let _ = self.records.send(record);
        }
    }
}

/// Applies the records as they come. One that can't be applied doesn't keep the others from being checked.
fn apply_all(
    records: &Receiver<Record>,
    snapshots: &mut HashMap<u64, Snapshot>,
    path: &Path,
) -> Result<(), MilvusError> {
    let mut refused = None;
    for mut record in records {
        let (collection, timestamp) = (record.collection, record.timestamp);
        let Some(snapshot) = snapshots.get_mut(&collection) else {
            continue;
        };
        let length = record.bytes.len();
        let place = format!("log record {timestamp} of collection {collection}");
        let parts = decode_record(&record.bytes.take(), path, &place)?;
        // Without all of its files a collection can't tell what a deletion meant. The log stays for when the file is restored.
        if snapshot.check_files().is_ok() {
            for part in parts {
                if let Err(error) = apply_part(snapshot, &part) {
                    refused.get_or_insert(error);
                }
            }
        }
        snapshot.timestamp = timestamp;
        snapshot.log_bytes += length;
    }
    refused.map_or(Ok(()), Err)
}
