//! Statics that a child of a `fork` makes anew.
//!
//! The child has its parent's memory and none of its threads: a lock that one of them held stays held, and what they keep
//! in order stays as it was. So a child never looks into what belongs to its parent.
//!
//! Invariants: getting a value takes no lock. A parent's value is never dropped by a child: to drop a pool is to speak on
//! its sockets.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// A value of a process, made when it is first asked for.
///
/// ```
/// use std::sync::Mutex;
/// use milvus_transport::PerProcess;
///
/// static KNOWN: PerProcess<Mutex<Vec<u32>>> = PerProcess::new();
///
/// KNOWN.get().lock().unwrap().push(7);
/// assert_eq!(*KNOWN.get().lock().unwrap(), [7]);
/// ```
#[derive(Debug)]
pub struct PerProcess<T>(ArcSwapOption<Owned<T>>);

#[derive(Debug)]
struct Owned<T> {
    process: u32,
    value: Arc<T>,
}

impl<T: Default> PerProcess<T> {
    /// A value that is not made yet.
    pub const fn new() -> Self {
        Self(ArcSwapOption::const_empty())
    }

    /// This process's value.
    pub fn get(&self) -> Arc<T> {
        self.of(std::process::id())
    }

    fn of(&self, process: u32) -> Arc<T> {
        loop {
            let known = self.0.load_full();
            if let Some(owned) = known.as_ref()
                && owned.process == process
            {
                return Arc::clone(&owned.value);
            }
            let value = Arc::new(T::default());
            let own = Owned {
                process,
                value: Arc::clone(&value),
            };
            let before = self.0.compare_and_swap(&known, Some(Arc::new(own)));
            let is_ours = match (&*before, &known) {
                (None, None) => true,
                (Some(before), Some(known)) => Arc::ptr_eq(before, known),
                _ => false,
            };
            // What the parent knew stays as it is: the references of this process are never given back.
            std::mem::forget(known);
            if is_ours {
                std::mem::forget(before);
                return value;
            }
        }
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_child_does_not_wait_for_a_lock_of_its_parents() {
        let known = PerProcess::<Mutex<Vec<u32>>>::new();
        let parents = known.of(1);
        let mut held = parents.lock().unwrap();
        held.push(7);
        let childs = known.of(2);
        assert!(childs.try_lock().unwrap().is_empty());
        childs.lock().unwrap().push(8);
        assert_eq!(*known.of(2).lock().unwrap(), [8]);
        assert_eq!(*held, [7]);
    }

    #[test]
    fn a_child_never_drops_what_is_its_parents() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        #[derive(Default)]
        struct Counted;
        impl Drop for Counted {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        let known = PerProcess::<Counted>::new();
        drop(known.of(1));
        drop(known.of(2));
        drop(known.of(3));
        assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
        drop(known);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1, "its own");
    }

    #[test]
    fn threads_that_ask_at_once_get_one_value() {
        let known = PerProcess::<AtomicUsize>::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| known.get().fetch_add(1, Ordering::Relaxed));
            }
        });
        assert_eq!(known.get().load(Ordering::Relaxed), 8);
    }
}
