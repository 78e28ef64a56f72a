//! The immutable state that lookups read.
//!
//! Invariant: a snapshot never changes; its order is the order in which aliases were first added. A lookup is one hash of
//! a short text and one comparison, and shares no counter with other threads.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use milvus_transport::ConnectionConfig;

use crate::error::Error;
use crate::settings::Settings;

/// An alias.
#[derive(Clone)]
pub(crate) struct Entry<H> {
    pub(crate) alias: Arc<str>,
    pub(crate) settings: Settings,
    /// Changes whenever the settings do.
    pub(crate) revision: u64,
    pub(crate) live: Option<Live<H>>,
    /// Why the last connect failed; gone after one that did not.
    pub(crate) last_error: Option<Error>,
}

/// A live connection and what it was made from.
#[derive(Clone)]
pub(crate) struct Live<H> {
    pub(crate) handle: H,
    pub(crate) config: ConnectionConfig,
    /// The revision of the settings that it was made from.
    pub(crate) revision: u64,
}

impl<H: Clone> Entry<H> {
    pub(crate) fn new(alias: Arc<str>, settings: Settings, revision: u64) -> Self {
        Self {
            alias,
            settings,
            revision,
            live: None,
            last_error: None,
        }
    }

    pub(crate) fn with_settings(&self, settings: Settings, revision: u64) -> Self {
        Self {
            settings,
            revision,
            ..self.clone()
        }
    }

    pub(crate) fn without_live(&self) -> Self {
        Self {
            live: None,
            ..self.clone()
        }
    }

    pub(crate) fn with_error(&self, error: Error) -> Self {
        Self {
            last_error: Some(error),
            ..self.clone()
        }
    }
}

/// All aliases at one moment.
#[derive(Clone)]
pub(crate) struct Snapshot<H> {
    entries: Vec<Arc<Entry<H>>>,
    /// Shared by snapshots with the same aliases: most changes are to an alias that is there.
    places: Arc<Places>,
}

type Places = HashMap<Arc<str>, usize, BuildHasherDefault<AliasHasher>>;

impl<H> Default for Snapshot<H> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            places: Arc::default(),
        }
    }
}

impl<H> Snapshot<H> {
    pub(crate) fn get(&self, alias: &str) -> Option<&Arc<Entry<H>>> {
        self.places
            .get(alias)
            .and_then(|place| self.entries.get(*place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry<H>>> {
        self.entries.iter()
    }
}

impl<H: Clone> Snapshot<H> {
    /// The next snapshot, in which `entry` takes the place of the alias's present one, or comes last.
    #[must_use]
    pub(crate) fn with(&self, entry: Entry<H>) -> Self {
        let mut next = self.clone();
        next.set(entry);
        next
    }

    /// As [`with`](Self::with), on a snapshot that nobody else has seen yet.
    pub(crate) fn set(&mut self, entry: Entry<H>) {
        let entry = Arc::new(entry);
        let place = self.places.get(&entry.alias).copied();
        match place.and_then(|place| self.entries.get_mut(place)) {
            Some(known) => *known = entry,
            None => {
                Arc::make_mut(&mut self.places)
                    .insert(Arc::clone(&entry.alias), self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// The next snapshot, in which the alias is not known.
    #[must_use]
    pub(crate) fn without(&self, alias: &str) -> Self {
        let entries: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| *entry.alias != *alias)
            .cloned()
            .collect();
        let places: Places = entries
            .iter()
            .enumerate()
            .map(|(place, entry)| (Arc::clone(&entry.alias), place))
            .collect();
        Self {
            entries,
            places: Arc::new(places),
        }
    }
}

/// Multiplies and rotates eight bytes at a time. Aliases are named by the program itself, so that a hash that resists
/// crafted collisions would only cost: it takes longer than the rest of a lookup.
#[derive(Default)]
pub(crate) struct AliasHasher(u64);

impl AliasHasher {
    fn mix(&mut self, word: u64) {
        // The golden ratio in 64 bits: odd, and with its bits well spread.
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for AliasHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.mix(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    fn write_u8(&mut self, byte: u8) {
        // `str` ends its bytes with 0xff, which tells nothing here: `write` has mixed in the length.
        debug_assert_eq!(byte, 0xff);
    }

    fn finish(&self) -> u64 {
        // hashbrown takes its control bits from the top and the bucket from the bottom; multiplying mixes upwards only.
        self.0 ^ (self.0 >> 32)
    }
}
