//! The snapshots that iterators stay at, by the timestamp that their first answer told.
//!
//! The invariant: what they keep is bounded, in number, in time and in memory, by letting go of the one that was used least recently. An
//! iterator whose snapshot has gone reads the newest state.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Segment, Snapshot, State};

/// Snapshots kept at most.
const MOST: usize = 64;
/// How long one is kept that nobody uses.
const LIFETIME: Duration = Duration::from_secs(600);
/// Rows in memory that only these snapshots keep alive.
const MAX_BYTES: usize = 256 << 20;
/// Timestamps remembered of snapshots that have gone.
const REMEMBERED: usize = 1024;

/// The kept snapshots of a database.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<Board>);

#[derive(Debug, Default)]
struct Board {
    /// Used least recently first.
    pins: Vec<Pin>,
    /// The newest last.
    gone: VecDeque<u64>,
}

#[derive(Debug)]
struct Pin {
    timestamp: u64,
    snapshot: Arc<Snapshot>,
    used: Instant,
}

/// What is known of a timestamp that an iterator names.
#[derive(Debug)]
pub(crate) enum Pinned {
    /// The snapshot that it stands for.
    Kept(Arc<Snapshot>),
    /// It stood for one that is not kept any more.
    Gone,
    /// It never stood for any.
    Unknown,
}

impl Pins {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a snapshot. `timestamp` must be one that nothing else has.
    pub(crate) fn keep(&self, snapshot: Arc<Snapshot>, timestamp: u64) {
        let mut board = self.board();
        if board.pins.len() >= MOST {
            board.forget(|place, _| place == 0);
        }
        board.pins.push(Pin {
            timestamp,
            snapshot,
            used: Instant::now(),
        });
    }

    /// What a timestamp stands for in a collection.
    pub(crate) fn find(&self, collection: u64, timestamp: u64) -> Pinned {
        let mut board = self.board();
        let is_meant =
            |pin: &Pin| pin.timestamp == timestamp && pin.snapshot.record.id == collection;
        let Some(place) = board.pins.iter().position(is_meant) else {
            return match board.gone.contains(&timestamp) {
                true => Pinned::Gone,
                false => Pinned::Unknown,
            };
        };
        let mut pin = board.pins.remove(place);
        pin.used = Instant::now();
        let snapshot = Arc::clone(&pin.snapshot);
        board.pins.push(pin);
        Pinned::Kept(snapshot)
    }

    /// Lets go of what has not been used for long.
    pub(crate) fn expire(&self, now: Instant) {
        let mut board = self.board();
        board.forget(|_, pin| now.saturating_duration_since(pin.used) >= LIFETIME);
    }

    /// Lets go of dropped collections, and of what keeps more rows in memory than it may.
    pub(crate) fn fit(&self, state: &State) {
        let mut board = self.board();
        if board.pins.is_empty() {
            return;
        }
        board.forget(|_, pin| !state.collections.contains_key(&pin.snapshot.record.id));
        let growing = |snapshot: &Arc<Snapshot>| -> Vec<(*const Segment, usize)> {
            let segments = snapshot.segments().map(|view| &view.segment);
            let in_memory = segments.filter(|segment| !segment.is_sealed());
            in_memory
                .map(|segment| (Arc::as_ptr(segment), segment.bytes()))
                .collect()
        };
        let ids: HashSet<u64> = board
            .pins
            .iter()
            .map(|pin| pin.snapshot.record.id)
            .collect();
        let mut counted: HashSet<*const Segment> = ids
            .iter()
            .filter_map(|id| state.collections.get(id))
            .flat_map(growing)
            .map(|(segment, _)| segment)
            .collect();
        let mut bytes = 0;
        let mut first_kept = board.pins.len();
        for (place, pin) in board.pins.iter().enumerate().rev() {
            for (segment, size) in growing(&pin.snapshot) {
                if counted.insert(segment) {
                    bytes += size;
                }
            }
            if bytes > MAX_BYTES {
                break;
            }
            first_kept = place;
        }
        board.forget(|place, _| place < first_kept);
    }
}

impl Board {
    fn forget(&mut self, goes: impl Fn(usize, &Pin) -> bool) {
        let mut place = 0;
        let gone = &mut self.gone;
        self.pins.retain(|pin| {
            let goes = goes(place, pin);
            place += 1;
            if goes {
                gone.push_back(pin.timestamp);
            }
            !goes
        });
        while gone.len() > REMEMBERED {
            gone.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Column;
    use crate::engine::{PartitionSnapshot, SegmentView};

    /// A snapshot of a collection with one growing segment of some megabytes.
    fn snapshot(collection: u64, megabytes: usize) -> Arc<Snapshot> {
        let record = serde_json::json!({
            "id": collection, "database": 1, "name": "docs", "fields": [],
            "partitions": [{"id": 1, "name": "_default"}],
        });
        let record = serde_json::from_value(record).unwrap();
        let mut snapshot = Snapshot::empty(Arc::new(record));
        let rows = megabytes << 17;
        let segment = Segment::in_memory(rows, vec![(100, Column::from_i64(vec![0; rows]))]);
        let partition = PartitionSnapshot {
            segments: vec![SegmentView::new(segment)],
        };
        snapshot.partitions.insert(1, Arc::new(partition));
        Arc::new(snapshot)
    }

    fn state(snapshots: &[&Arc<Snapshot>]) -> State {
        let collections = snapshots
            .iter()
            .map(|snapshot| (snapshot.record.id, Arc::clone(snapshot)));
        State {
            collections: Arc::new(collections.collect()),
            ..State::default()
        }
    }

    fn is_kept(pins: &Pins, timestamp: u64) -> bool {
        matches!(pins.find(7, timestamp), Pinned::Kept(_))
    }

    #[test]
    fn the_one_used_least_recently_goes_first() {
        let pins = Pins::default();
        let one = snapshot(7, 0);
        for timestamp in 0..MOST as u64 {
            pins.keep(Arc::clone(&one), timestamp);
        }
        assert!(is_kept(&pins, 0));
        assert!(matches!(pins.find(8, 0), Pinned::Unknown));
        pins.keep(one, MOST as u64);
        assert!(is_kept(&pins, 0) && is_kept(&pins, MOST as u64));
        assert!(matches!(pins.find(7, 1), Pinned::Gone));
        assert!(matches!(pins.find(7, 9999), Pinned::Unknown));
    }

    #[test]
    fn what_nobody_uses_goes() {
        let pins = Pins::default();
        pins.keep(snapshot(7, 0), 1);
        pins.expire(Instant::now() + LIFETIME / 2);
        assert!(is_kept(&pins, 1));
        pins.expire(Instant::now() + LIFETIME);
        assert!(!is_kept(&pins, 1));
    }

    #[test]
    fn what_keeps_too_many_rows_in_memory_goes() {
        let pins = Pins::default();
        let (old, middle, new) = (snapshot(7, 100), snapshot(7, 100), snapshot(7, 100));
        for (timestamp, kept) in [&old, &middle, &middle, &new].into_iter().enumerate() {
            pins.keep(Arc::clone(kept), timestamp as u64);
        }
        // Rows that the state has too cost nothing.
        pins.fit(&state(&[&old]));
        assert!(is_kept(&pins, 0));
        assert!((1..4).all(|timestamp| is_kept(&pins, timestamp)));
        pins.fit(&state(&[&snapshot(7, 0)]));
        assert!(!is_kept(&pins, 0));
        assert!((1..4).all(|timestamp| is_kept(&pins, timestamp)));
        // The collection was dropped.
        pins.fit(&state(&[]));
        assert!((0..4).all(|timestamp| !is_kept(&pins, timestamp)));
    }
}
