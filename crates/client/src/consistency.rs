//! How fresh the data that a read sees must be.
//!
//! A read carries a guarantee timestamp: the server waits until it has seen all writes up to it. Two
//! small numbers are not times but orders: 0 asks for everything up to now, 1 for whatever is there,
//! 2 for the server's own bounded delay.
//!
//! A read may also leave the level to the collection. Milvus then heeds the timestamp only for the
//! levels Session and Customized: a collection of level Bounded (the usual one) or Eventually would
//! hide the caller's own last rows for seconds. So after a write of this process, such a read says for
//! itself how fresh it must be: as fresh as the collection's level, and as this process's last write.
//!
//! Invariant: a read without an explicit level sees this process's own writes, whatever level the
//! collection has, and is never less fresh than that level. An explicit level is sent as it is.

use std::time::Duration;

use milvus_protocol::common;

/// How fresh the data that a read sees must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsistencyLevel {
    /// Everything written by anybody before the read began.
    Strong,
    /// Everything written by this process to this collection.
    Session,
    /// Everything but the last few seconds, as the server is configured. Said explicitly, it may hide
    /// this process's own last writes too.
    Bounded,
    /// Whatever the server has at hand. Said explicitly, it may hide this process's own last writes too.
    Eventually,
    /// Everything up to this (hybrid) timestamp, such as one from
    /// [`WriteResult::timestamp`](crate::WriteResult::timestamp).
    Timestamp(u64),
}

const LATEST: u64 = 0;
const ANYTHING: u64 = 1;
const BOUNDED: u64 = 2;

/// Bits of a hybrid timestamp below the milliseconds.
pub(crate) const LOGICAL_BITS: u32 = 18;

/// How far a bounded read may lag behind (Milvus's `common.gracefulTime`, by default).
const BOUNDED_DELAY: Duration = Duration::from_secs(5);
/// After this long a read of any level covers a write on any server, however it is configured.
const SURELY_COVERED: Duration = Duration::from_secs(60);

/// This process's last writes to a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastWrite {
    /// The last one with a timestamp.
    pub(crate) timed: Option<TimedWrite>,
    /// How long ago a write without a timestamp was acknowledged.
    pub(crate) untimed: Option<Duration>,
}

/// A write whose place in the server's order is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimedWrite {
    /// The server's (hybrid) timestamp of it.
    pub(crate) timestamp: u64,
    /// How long ago its acknowledgment came.
    pub(crate) age: Duration,
}

impl LastWrite {
    /// The later of two, part by part.
    pub(crate) fn or(self, other: Self) -> Self {
        let later = |write: &TimedWrite| write.timestamp;
        Self {
            timed: [self.timed, other.timed]
                .into_iter()
                .flatten()
                .max_by_key(later),
            untimed: [self.untimed, other.untimed].into_iter().flatten().min(),
        }
    }

    fn timestamp(self) -> Option<u64> {
        self.timed.map(|write| write.timestamp)
    }

    /// Whether there is a write that a read may not cover by itself.
    fn is_recent(self) -> bool {
        self.timed.is_some_and(|write| write.age <= SURELY_COVERED)
    }

    /// Whether there may be a write that only a strong read covers.
    fn needs_latest(self) -> bool {
        self.untimed.is_some_and(|age| age <= SURELY_COVERED)
    }
}

impl TimedWrite {
    /// What covers this write and is as fresh as a bounded read; `None` when a bounded read covers it.
    ///
    /// The server's clock is taken from the write, not from this machine.
    fn bounded(self) -> Option<u64> {
        if self.age > SURELY_COVERED {
            return None;
        }
        let later = self.age.saturating_sub(BOUNDED_DELAY).as_millis();
        let later = u64::try_from(later).unwrap_or(u64::MAX) << LOGICAL_BITS;
        Some(self.timestamp.saturating_add(later))
    }
}

/// The three fields of a read that say how fresh its data must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guarantee {
    pub(crate) level: i32,
    pub(crate) timestamp: u64,
    pub(crate) use_default: bool,
}

impl ConsistencyLevel {
    /// The number of this level in the protocol (`common.ConsistencyLevel`).
    pub const fn number(self) -> i32 {
        match self {
            Self::Strong => common::ConsistencyLevel::Strong as i32,
            Self::Session => common::ConsistencyLevel::Session as i32,
            Self::Bounded => common::ConsistencyLevel::Bounded as i32,
            Self::Eventually => common::ConsistencyLevel::Eventually as i32,
            Self::Timestamp(_) => common::ConsistencyLevel::Customized as i32,
        }
    }

    /// The level with this number; `None` for a number that only newer servers know.
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Strong),
            1 => Some(Self::Session),
            2 => Some(Self::Bounded),
            3 => Some(Self::Eventually),
            4 => Some(Self::Timestamp(ANYTHING)),
            _ => None,
        }
    }
}

/// What to ask for, given the caller's choice, the collection's own level (as far as it is known) and
/// this process's last writes to the collection.
pub(crate) fn guarantee(
    chosen: Option<ConsistencyLevel>,
    own: Option<ConsistencyLevel>,
    last_write: LastWrite,
) -> Guarantee {
    use ConsistencyLevel as Level;
    let session = last_write.timestamp().unwrap_or(ANYTHING);
    let explicit = |level: Level, timestamp| Guarantee {
        level: level.number(),
        timestamp,
        use_default: false,
    };
    let latest = explicit(Level::Strong, LATEST);
    let by_collection = Guarantee {
        level: 0,
        timestamp: session,
        use_default: true,
    };
    match (chosen, own) {
        (None, Some(Level::Strong)) => by_collection,
        (None | Some(Level::Session), _) if last_write.needs_latest() => latest,
        // The level may be one that would hide the write.
        (None, None) if last_write.is_recent() => latest,
        (None, Some(Level::Bounded)) => last_write
            .timed
            .and_then(TimedWrite::bounded)
            .map_or(by_collection, |covering| explicit(Level::Session, covering)),
        (None, Some(Level::Eventually)) => last_write
            .timestamp()
            .map_or(by_collection, |covering| explicit(Level::Session, covering)),
        (None, _) => by_collection,
        (Some(Level::Strong), _) => latest,
        (Some(Level::Session), _) => explicit(Level::Session, session),
        (Some(Level::Bounded), _) => explicit(Level::Bounded, BOUNDED),
        (Some(Level::Eventually), _) => explicit(Level::Eventually, ANYTHING),
        (Some(level @ Level::Timestamp(timestamp)), _) => explicit(level, timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: LastWrite = LastWrite {
        timed: None,
        untimed: None,
    };

    fn wrote(seconds_ago: u64) -> LastWrite {
        LastWrite {
            timed: Some(TimedWrite {
                timestamp: 77,
                age: Duration::from_secs(seconds_ago),
            }),
            untimed: None,
        }
    }

    const LEVELS: [ConsistencyLevel; 4] = [
        ConsistencyLevel::Strong,
        ConsistencyLevel::Session,
        ConsistencyLevel::Bounded,
        ConsistencyLevel::Eventually,
    ];

    #[test]
    fn each_level_asks_for_what_it_promises() {
        let own = Some(ConsistencyLevel::Bounded);
        let ask = |level| guarantee(Some(level), own, wrote(1)).timestamp;
        assert_eq!(ask(ConsistencyLevel::Strong), 0);
        assert_eq!(ask(ConsistencyLevel::Session), 77);
        assert_eq!(ask(ConsistencyLevel::Bounded), 2);
        assert_eq!(ask(ConsistencyLevel::Eventually), 1);
        assert_eq!(ask(ConsistencyLevel::Timestamp(5)), 5);
    }

    #[test]
    fn without_a_level_the_collections_own_holds() {
        for own in LEVELS.map(Some).into_iter().chain([None]) {
            let read = guarantee(None, own, NOTHING);
            assert!(read.use_default, "{own:?}");
            assert_eq!(read.timestamp, 1, "{own:?}");
        }
    }

    #[test]
    fn own_writes_are_covered_whatever_the_collections_level() {
        for (own, use_default) in [
            (Some(ConsistencyLevel::Strong), true),
            (Some(ConsistencyLevel::Session), true),
            (Some(ConsistencyLevel::Timestamp(1)), true),
            (Some(ConsistencyLevel::Bounded), false),
            (Some(ConsistencyLevel::Eventually), false),
        ] {
            let read = guarantee(None, own, wrote(2));
            assert_eq!(read.timestamp, 77, "{own:?}");
            assert_eq!(read.use_default, use_default, "{own:?}");
            assert!(use_default || read.level == ConsistencyLevel::Session.number());
        }
    }

    #[test]
    fn a_write_to_a_collection_of_unknown_level_is_covered_by_a_strong_read() {
        let read = guarantee(None, None, wrote(2));
        assert_eq!((read.timestamp, read.use_default), (0, false));
        assert!(guarantee(None, None, wrote(61)).use_default);
    }

    #[test]
    fn a_write_never_makes_a_bounded_read_staler() {
        let own = Some(ConsistencyLevel::Bounded);
        let after = |seconds| guarantee(None, own, wrote(seconds));
        assert_eq!(after(5).timestamp, 77);
        assert_eq!(after(12).timestamp, 77 + (7_000 << LOGICAL_BITS));
        assert!(after(61).use_default, "the server knows its own delay");
    }

    #[test]
    fn a_write_without_a_timestamp_is_covered_by_strong_reads() {
        let after = |seconds| LastWrite {
            untimed: Some(Duration::from_secs(seconds)),
            ..wrote(3)
        };
        for own in LEVELS.map(Some).into_iter().chain([None]) {
            for chosen in [None, Some(ConsistencyLevel::Session)] {
                let read = guarantee(chosen, own, after(1));
                let is_strong = read.timestamp == 0 && !read.use_default;
                let is_default = own == Some(ConsistencyLevel::Strong) && read.use_default;
                assert!(is_strong || is_default, "{chosen:?} {own:?} {read:?}");
            }
        }
        let own = Some(ConsistencyLevel::Bounded);
        assert_eq!(
            guarantee(None, own, after(61)),
            guarantee(None, own, wrote(3))
        );
        let bounded = Some(ConsistencyLevel::Bounded);
        assert_eq!(guarantee(bounded, own, after(1)).timestamp, 2, "as asked");
    }
}
