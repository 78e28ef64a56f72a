//! The timestamp of this process's last write to each collection: what session consistency waits for.
//!
//! Invariant: a timestamp only moves forward, whatever the order in which answers arrive.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use super::{CollectionKey, lock};
use crate::consistency::{LastWrite, TimedWrite};

/// Last writes, by database and collection.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<CollectionKey, Entry>>);

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The largest timestamp, and when it came.
    timed: Option<(u64, Instant)>,
    /// When the last acknowledgment without a timestamp came.
    untimed: Option<Instant>,
}

impl Sessions {
    /// Remembers a write with this (hybrid) timestamp. A server that gives none says 0.
    pub(crate) fn advance(&self, key: &CollectionKey, timestamp: u64) {
        let now = Instant::now();
        let mut entries = lock(&self.0);
        if !entries.contains_key(key) {
            entries.insert(key.clone(), Entry::default());
        }
        let Some(entry) = entries.get_mut(key) else {
            return;
        };
        if timestamp == 0 {
            entry.untimed = Some(now);
        } else if entry.timed.is_none_or(|(last, _)| last < timestamp) {
            entry.timed = Some((timestamp, now));
        }
    }

    /// The last writes; nothing when there were none.
    pub(crate) fn last_write(&self, key: &CollectionKey) -> LastWrite {
        let Some(entry) = lock(&self.0).get(key).copied() else {
            return LastWrite::default();
        };
        LastWrite {
            timed: entry.timed.map(|(timestamp, acknowledged)| TimedWrite {
                timestamp,
                age: acknowledged.elapsed(),
            }),
            untimed: entry.untimed.map(|acknowledged| acknowledged.elapsed()),
        }
    }

    /// Whether anything was written, to any collection of the target.
    pub(crate) fn has_any(&self) -> bool {
        !lock(&self.0).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_only_move_forward() {
        let sessions = Sessions::default();
        let key = CollectionKey::new("", "docs");
        assert!(!sessions.has_any());
        for timestamp in [5, 9, 3] {
            sessions.advance(&key, timestamp);
        }
        let last = |key| sessions.last_write(key).timed.map(|write| write.timestamp);
        assert_eq!(last(&key), Some(9));
        assert_eq!(sessions.last_write(&key).untimed, None);
        sessions.advance(&key, 0);
        assert_eq!(last(&key), Some(9));
        assert!(sessions.last_write(&key).untimed.is_some());
        let other = CollectionKey::new("", "other");
        assert_eq!(sessions.last_write(&other), LastWrite::default());
    }
}
