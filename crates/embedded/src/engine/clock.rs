//! Hybrid time: milliseconds since 1970 in the upper 46 bits, a counter in the lower 18, as Milvus has it. Timestamps order requests, name log records, and are the automatic keys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const LOGICAL_BITS: u32 = 18;

/// Gives every timestamp once, each above the one before, across restarts too.
#[derive(Debug)]
pub(crate) struct Clock {
    last: AtomicU64,
}

impl Clock {
    /// Continues above `last`, the highest timestamp that the file knows.
    pub(crate) fn above(last: u64) -> Self {
        Self {
            last: AtomicU64::new(last),
        }
    }

    /// A fresh timestamp.
    pub(crate) fn next(&self) -> u64 {
        self.reserve(1)
    }

    /// The first of `count` consecutive fresh timestamps.
    pub(crate) fn reserve(&self, count: u64) -> u64 {
        let now = wall_milliseconds() << LOGICAL_BITS;
        let step = |last: u64| Some(now.max(last + 1) + count.saturating_sub(1));
        // The closure always gives a value, so both arms carry the last one before.
        let before = self
            .last
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
            .unwrap_or_else(|last| last);
        now.max(before + 1)
    }

    /// The highest timestamp given so far.
    pub(crate) fn latest(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// A timestamp of the present that is not given to anyone.
    pub(crate) fn now(&self) -> u64 {
        (wall_milliseconds() << LOGICAL_BITS).max(self.latest())
    }
}

fn wall_milliseconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// The wall clock part of a timestamp.
pub(crate) fn physical_milliseconds(timestamp: u64) -> u64 {
    timestamp >> LOGICAL_BITS
}

/// The timestamp of a wall clock.
pub(crate) fn timestamp_of(milliseconds: u64) -> u64 {
    milliseconds << LOGICAL_BITS
}

/// The lowest timestamp of rows that are at most `seconds` old at `now`.
pub(crate) fn oldest_alive(now: u64, seconds: u64) -> u64 {
    physical_milliseconds(now).saturating_sub(seconds.saturating_mul(1000)) << LOGICAL_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_overlap_and_never_go_back() {
        let clock = Clock::above(u64::MAX / 2);
        let first = clock.reserve(1000);
        let second = clock.next();
        assert!(first > u64::MAX / 2);
        assert_eq!(second, first + 1000);
        assert_eq!(clock.latest(), second);
    }
}
