//! The timestamp of this process's last write to each collection: what session consistency waits for.
//!
//! Invariant: a timestamp only moves forward, whatever the order in which answers arrive.

use std::collections::HashMap;
use std::sync::Mutex;

use super::{CollectionKey, lock};

/// Last writes, by database and collection.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<CollectionKey, u64>>);

impl Sessions {
    /// Remembers a write with this (hybrid) timestamp. A server that gives none says 0.
    pub(crate) fn advance(&self, key: &CollectionKey, timestamp: u64) {
        if timestamp == 0 {
            return;
        }
        let mut timestamps = lock(&self.0);
        match timestamps.get_mut(key) {
            Some(last) => *last = (*last).max(timestamp),
            None => {
                timestamps.insert(key.clone(), timestamp);
            }
        }
    }

    /// The last write, if there was one.
    pub(crate) fn last_write(&self, key: &CollectionKey) -> Option<u64> {
        lock(&self.0).get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_only_move_forward() {
        let sessions = Sessions::default();
        let key = CollectionKey::new("", "docs");
        for timestamp in [5, 9, 3, 0] {
            sessions.advance(&key, timestamp);
        }
        assert_eq!(sessions.last_write(&key), Some(9));
        assert_eq!(sessions.last_write(&CollectionKey::new("", "other")), None);
    }
}
