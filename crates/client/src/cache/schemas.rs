//! Descriptions of collections, fetched once however many callers ask at the same time.
//!
//! Callers that find a fetch under way wait for it and get its answer, also when that is an error; an
//! error is not remembered. Nobody owns the fetch: whoever waits drives it, and it is dropped when
//! nobody waits any more. (Kept, it would grow old without being driven, and its deadline would be over when
//! the next caller joined it.)
//!
//! Invariant: an answer to a fetch that began before a collection was forgotten is never remembered.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};

use super::{CollectionKey, lock};
use crate::describe_collection::CollectionDescription;
use crate::error::Result;

type Answer = Result<Arc<CollectionDescription>>;
type Fetch = Shared<BoxFuture<'static, Answer>>;

enum Slot {
    Known(Arc<CollectionDescription>),
    Fetching {
        number: u64,
        fetch: WeakShared<BoxFuture<'static, Answer>>,
    },
}

/// Descriptions, by database and collection.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<State>);

#[derive(Default)]
struct State {
    slots: HashMap<CollectionKey, Slot>,
    fetches: u64,
}

impl State {
    fn begin<F>(&mut self, key: &CollectionKey, fetch: F) -> (u64, Fetch)
    where
        F: Future<Output = Result<CollectionDescription>> + Send + 'static,
    {
        self.fetches += 1;
        let number = self.fetches;
        let fetch = fetch.map(|answer| answer.map(Arc::new)).boxed().shared();
        if let Some(weak) = fetch.downgrade() {
            let slot = Slot::Fetching {
                number,
                fetch: weak,
            };
            self.slots.insert(key.clone(), slot);
        }
        (number, fetch)
    }
}

impl Schemas {
    /// What is known, without asking.
    pub(crate) fn known(&self, key: &CollectionKey) -> Option<Arc<CollectionDescription>> {
        match lock(&self.0).slots.get(key) {
            Some(Slot::Known(description)) => Some(Arc::clone(description)),
            _ => None,
        }
    }

    /// The description: known, or fetched by `fetch` (or by a caller that asked before).
    pub(crate) async fn get<F>(&self, key: &CollectionKey, fetch: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Result<CollectionDescription>> + Send + 'static,
    {
        let (number, fetch) = {
            let mut state = lock(&self.0);
            let under_way = match state.slots.get(key) {
                Some(Slot::Known(description)) => return Ok(Arc::clone(description)),
                Some(Slot::Fetching { number, fetch }) => {
                    fetch.upgrade().map(|fetch| (*number, fetch))
                }
                None => None,
            };
            match under_way {
                // One that ended in an error is not worth joining.
                Some((number, fetch)) if !matches!(fetch.peek(), Some(Err(_))) => (number, fetch),
                _ => state.begin(key, fetch()),
            }
        };
        let answer = fetch.await;
        let mut state = lock(&self.0);
        let is_current = matches!(
            state.slots.get(key),
            Some(Slot::Fetching { number: current, .. }) if *current == number
        );
        if is_current {
            match &answer {
                Ok(description) => {
                    state
                        .slots
                        .insert(key.clone(), Slot::Known(Arc::clone(description)));
                }
                Err(_) => {
                    state.slots.remove(key);
                }
            }
        }
        answer
    }

    /// Forgets a collection, also under its other names.
    pub(crate) fn forget(&self, key: &CollectionKey) {
        let mut state = lock(&self.0);
        let real_name = match state.slots.remove(key) {
            Some(Slot::Known(description)) => Some(description.name.clone()),
            _ => None,
        };
        state.slots.retain(|other, slot| match slot {
            Slot::Known(description) => {
                let same = description.name == key.collection
                    || Some(&description.name) == real_name.as_ref();
                other.database != key.database || !same
            }
            // It may be an alias of the same collection: let it be fetched anew.
            Slot::Fetching { .. } => other.database != key.database,
        });
    }

    /// Forgets all collections of a database.
    pub(crate) fn forget_database(&self, database: &str) {
        let database = CollectionKey::new(database, "").database;
        lock(&self.0)
            .slots
            .retain(|key, _| key.database != database);
    }
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let collections = lock(&self.0).slots.len();
        formatter
            .debug_struct("Schemas")
            .field("collections", &collections)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::error::Error;

    fn described(name: &str) -> CollectionDescription {
        let mut description = CollectionDescription::default();
        name.clone_into(&mut description.name);
        description
    }

    #[tokio::test]
    async fn concurrent_callers_share_one_fetch_and_its_error() {
        let schemas = Schemas::default();
        let key = CollectionKey::new("", "docs");
        let gate = Arc::new(Semaphore::new(0));
        let fetches = Arc::new(AtomicUsize::new(0));
        for outcome in [Err(Error::answer("x", "y")), Ok(described("docs"))] {
            let ask = || {
                schemas.get(&key, || {
                    let (gate, fetches) = (Arc::clone(&gate), Arc::clone(&fetches));
                    let outcome = outcome.clone();
                    async move {
                        fetches.fetch_add(1, Ordering::SeqCst);
                        gate.acquire().await.expect("open").forget();
                        outcome
                    }
                })
            };
            let callers = join_all((0..20).map(|_| ask()));
            let open = async { gate.add_permits(1) };
            let (answers, ()) = tokio::join!(callers, open);
            assert!(
                answers
                    .iter()
                    .all(|answer| answer.is_ok() == outcome.is_ok())
            );
        }
        assert_eq!(fetches.load(Ordering::SeqCst), 2, "one for each round");
        assert!(schemas.known(&key).is_some());
    }

    #[tokio::test]
    async fn a_cancelled_caller_leaves_the_fetch_to_the_others() {
        let schemas = Schemas::default();
        let key = CollectionKey::new("", "docs");
        let gate = Arc::new(Semaphore::new(0));
        let ask = || {
            schemas.get(&key, || {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.expect("open").forget();
                    Ok(described("docs"))
                }
            })
        };
        let mut first = Box::pin(ask());
        let mut second = Box::pin(ask());
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        gate.add_permits(1);
        second.await.expect("the second caller drives the fetch on");
    }

    #[tokio::test]
    async fn a_fetch_that_nobody_waits_for_is_dropped_and_not_joined() {
        let schemas = Schemas::default();
        let key = CollectionKey::new("", "docs");
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let mut first = Box::pin(schemas.get(&key, || async move {
            let _held = held;
            std::future::pending().await
        }));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(first);
        assert_eq!(Arc::strong_count(&alive), 1, "the fetch is gone");
        let second = schemas.get(&key, || async { Ok(described("docs")) });
        second.await.expect("a fetch of its own");
    }

    #[tokio::test]
    async fn what_was_asked_before_it_was_forgotten_is_not_remembered() {
        let schemas = Schemas::default();
        let key = CollectionKey::new("", "docs");
        let gate = Arc::new(Semaphore::new(0));
        let mut fetch = Box::pin(schemas.get(&key, || {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.expect("open").forget();
                Ok(described("docs"))
            }
        }));
        assert!(futures_util::poll!(&mut fetch).is_pending());
        schemas.forget(&key);
        gate.add_permits(1);
        fetch.await.expect("its caller still gets the answer");
        assert!(schemas.known(&key).is_none());
    }

    #[tokio::test]
    async fn forgetting_a_collection_forgets_its_aliases() {
        let schemas = Schemas::default();
        for name in ["docs", "alias_of_docs"] {
            let key = CollectionKey::new("", name);
            schemas
                .get(&key, || async { Ok(described("docs")) })
                .await
                .expect("fetched");
        }
        schemas.forget(&CollectionKey::new("", "alias_of_docs"));
        assert!(schemas.known(&CollectionKey::new("", "docs")).is_none());
    }
}
