//! What is remembered about a target: the schemas of its collections and this process's last writes.
//!
//! Invariant: there is one memory per logical target in the process, for as long as any client of the
//! target lives; a fact about one database is never used for another. A child of a `fork` remembers nothing: its parent's
//! memories may have been locked when it was forked.

mod schemas;
mod sessions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use milvus_transport::PerProcess;

pub(crate) use schemas::Schemas;
pub(crate) use sessions::Sessions;

/// A database and a collection (or alias) in it. The default database has two names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CollectionKey {
    database: String,
    collection: String,
}

impl CollectionKey {
    pub(crate) fn new(database: &str, collection: &str) -> Self {
        let database = if database.is_empty() {
            "default"
        } else {
            database
        };
        Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
        }
    }
}

/// What this process remembers about one target.
#[derive(Debug, Default)]
pub(crate) struct TargetMemory {
    pub(crate) schemas: Schemas,
    pub(crate) sessions: Sessions,
}

impl TargetMemory {
    /// The memory of this target, shared with every other client of it.
    pub(crate) fn of(logical_target: &str) -> Arc<Self> {
        static TARGETS: PerProcess<Mutex<HashMap<String, Weak<TargetMemory>>>> = PerProcess::new();
        let targets = TARGETS.get();
        let mut targets = lock(&targets);
        if let Some(memory) = targets.get(logical_target).and_then(Weak::upgrade) {
            return memory;
        }
        targets.retain(|_, memory| memory.strong_count() > 0);
        let memory = Arc::new(Self::default());
        targets.insert(logical_target.to_owned(), Arc::downgrade(&memory));
        memory
    }
}

/// A poisoned lock means that another thread panicked between two whole updates of a map.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_target_share_a_memory_while_one_lives() {
        let first = TargetMemory::of("test-shared:1");
        let second = TargetMemory::of("test-shared:1");
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &TargetMemory::of("test-shared:2")));
        let key = CollectionKey::new("", "docs");
        first.sessions.advance(&key, 9);
        drop((first, second));
        assert!(!TargetMemory::of("test-shared:1").sessions.has_any());
    }

    #[test]
    fn the_default_database_has_two_names() {
        assert_eq!(
            CollectionKey::new("", "docs"),
            CollectionKey::new("default", "docs")
        );
        assert_ne!(
            CollectionKey::new("other", "docs"),
            CollectionKey::new("", "docs")
        );
    }
}
