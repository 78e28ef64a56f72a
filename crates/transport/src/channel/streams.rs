//! The streams of one channel: how many are taken, how many the peer allows, and whether the channel drains.
//!
//! Invariant: no stream is taken above the peer's limit or after draining has begun, and whoever leaves a draining channel
//! without streams is told so, so that its end is never missed. No type of a runtime is in here, and the atomics are a
//! parameter, so that a model checker can try every interleaving (see the tests at the end).

use std::sync::atomic::Ordering;

/// The atomics that the code here is made of: the standard library's, or a model checker's.
pub(crate) trait Atomics {
    /// A number that threads share.
    type Number: Number;

    /// A sequentially consistent fence.
    fn fence();
}

/// The operations of an atomic `u32` that are needed here.
pub(crate) trait Number {
    fn new(value: u32) -> Self;
    fn load(&self, order: Ordering) -> u32;
    fn swap(&self, value: u32, order: Ordering) -> u32;
    fn fetch_add(&self, value: u32, order: Ordering) -> u32;
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32;
    fn fetch_or(&self, value: u32, order: Ordering) -> u32;
    fn compare_exchange(&self, old: u32, new: u32, order: Ordering) -> Result<u32, u32>;
}

macro_rules! atomics {
    ($name:ident, $number:ty, $fence:path) => {
        impl Atomics for $name {
            type Number = $number;

            #[inline]
            fn fence() {
                $fence(Ordering::SeqCst);
            }
        }

        impl Number for $number {
            fn new(value: u32) -> Self {
                <$number>::new(value)
            }

            #[inline]
            fn load(&self, order: Ordering) -> u32 {
                <$number>::load(self, order)
            }

            #[inline]
            fn swap(&self, value: u32, order: Ordering) -> u32 {
                <$number>::swap(self, value, order)
            }

            #[inline]
            fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
                <$number>::fetch_add(self, value, order)
            }

            #[inline]
            fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
                <$number>::fetch_sub(self, value, order)
            }

            #[inline]
            fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
                <$number>::fetch_or(self, value, order)
            }

            #[inline]
            fn compare_exchange(&self, old: u32, new: u32, order: Ordering) -> Result<u32, u32> {
                <$number>::compare_exchange(self, old, new, order, Ordering::Relaxed)
            }
        }
    };
}

/// The standard library's.
#[derive(Debug)]
pub(crate) struct Std;

atomics!(Std, std::sync::atomic::AtomicU32, std::sync::atomic::fence);

/// The flag beside the count: one word, so that taking a stream and draining can't miss each other.
const DRAINING: u32 = 1 << 31;

/// The streams of one channel.
pub(crate) struct Streams<A: Atomics = Std> {
    /// How many are taken, and whether the channel drains.
    state: A::Number,
    limit: A::Number,
}

impl<A: Atomics> Streams<A> {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            state: A::Number::new(0),
            limit: A::Number::new(limit),
        }
    }

    /// What the peer allows from now on; `true` when it is more than before.
    pub(crate) fn set_limit(&self, limit: u32) -> bool {
        // The usual case is that nothing has changed, many times a second.
        let before = self.limit.load(Ordering::Relaxed);
        before != limit && self.limit.swap(limit, Ordering::AcqRel) < limit
    }

    /// Takes a stream if the peer has one left and the channel does not drain.
    pub(crate) fn take(&self) -> bool {
        let limit = self.limit();
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state & DRAINING != 0 || state >= limit {
                return false;
            }
            match self
                .state
                .compare_exchange(state, state + 1, Ordering::AcqRel)
            {
                Ok(_) => return true,
                Err(other) => state = other,
            }
        }
    }

    /// Gives a stream back; `true` when it was the last one of a channel that drains.
    #[must_use]
    pub(crate) fn give_back(&self) -> bool {
        self.state.fetch_sub(1, Ordering::AcqRel) == DRAINING | 1
    }

    /// No stream is taken from now on; `true` when none is taken now either.
    #[must_use]
    pub(crate) fn drain(&self) -> bool {
        self.state.fetch_or(DRAINING, Ordering::AcqRel) & !DRAINING == 0
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.state.load(Ordering::Acquire) & DRAINING != 0
    }

    /// True when the channel drains and no stream is taken.
    pub(crate) fn is_drained(&self) -> bool {
        self.state.load(Ordering::Acquire) == DRAINING
    }

    pub(crate) fn taken(&self) -> u32 {
        self.state.load(Ordering::Relaxed) & !DRAINING
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }
}

/// How many wait for a stream.
pub(crate) struct Waiters<A: Atomics = Std> {
    count: A::Number,
}

impl<A: Atomics> Waiters<A> {
    pub(crate) fn new() -> Self {
        Self {
            count: A::Number::new(0),
        }
    }

    /// One more waits. Who then looks for a stream sees it, or [`anyone`](Self::anyone) after it was given back sees us.
    pub(crate) fn begin(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        A::fence();
    }

    pub(crate) fn end(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether someone waits who may have missed a stream that was given back before this is asked.
    pub(crate) fn anyone(&self) -> bool {
        A::fence();
        self.count.load(Ordering::Relaxed) > 0
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

/// What the models are made of, here and in the pool.
#[cfg(test)]
pub(crate) mod model {
    use super::{Atomics, Number, Ordering};

    /// The model checker's atomics.
    pub(crate) struct Model;

    atomics!(
        Model,
        loom::sync::atomic::AtomicU32,
        loom::sync::atomic::fence
    );

    /// Tries every interleaving with at most three preemptions, which finds nearly all faults at a bounded price.
    pub(crate) fn in_all_interleavings(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use loom::sync::{Mutex, Notify};
    use loom::thread;

    use super::model::{Model, in_all_interleavings};
    use super::*;

    #[test]
    fn no_more_streams_are_taken_than_the_peer_allows() {
        in_all_interleavings(|| {
            let streams = Arc::new(Streams::<Model>::new(2));
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let streams = Arc::clone(&streams);
                    thread::spawn(move || u32::from(streams.take()))
                })
                .collect();
            let taken: u32 = callers
                .into_iter()
                .map(|caller| caller.join().unwrap())
                .sum();
            assert_eq!(taken, 2);
            assert_eq!(streams.taken(), 2);
        });
    }

    #[test]
    fn draining_and_taking_can_not_miss_each_other() {
        in_all_interleavings(|| {
            let streams = Arc::new(Streams::<Model>::new(10));
            let told = Arc::new(Mutex::new(0));
            let tell = |told: &Mutex<u32>| *told.lock().unwrap() += 1;
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    let (streams, told) = (Arc::clone(&streams), Arc::clone(&told));
                    thread::spawn(move || {
                        if streams.take() {
                            // What is taken keeps the channel.
                            assert!(!streams.is_drained());
                            if streams.give_back() {
                                tell(&told);
                            }
                        }
                    })
                })
                .collect();
            if streams.drain() {
                tell(&told);
            }
            assert!(!streams.take());
            for caller in callers {
                caller.join().unwrap();
            }
            assert!(streams.is_drained());
            assert_eq!(*told.lock().unwrap(), 1, "told exactly once");
        });
    }

    #[test]
    fn a_stream_given_back_is_never_missed_by_one_who_waits() {
        in_all_interleavings(|| {
            let streams = Arc::new(Streams::<Model>::new(1));
            let waiters = Arc::new(Waiters::<Model>::new());
            let released = Arc::new(Notify::new());
            assert!(streams.take());
            let holder = {
                let (streams, waiters) = (Arc::clone(&streams), Arc::clone(&waiters));
                let released = Arc::clone(&released);
                thread::spawn(move || {
                    let _ = streams.give_back();
                    if waiters.anyone() {
                        released.notify();
                    }
                })
            };
            if !streams.take() {
                waiters.begin();
                // Missed: the model would stand still here.
                while !streams.take() {
                    released.wait();
                }
                waiters.end();
            }
            holder.join().unwrap();
            assert_eq!(streams.taken(), 1);
        });
    }

    #[test]
    fn a_limit_that_shrinks_holds_for_the_next_one() {
        let streams = Streams::<Std>::new(1);
        assert!(streams.set_limit(2));
        assert!(!streams.set_limit(2));
        assert!(streams.take() && streams.take() && !streams.take());
        assert!(!streams.set_limit(0));
        assert!(!streams.give_back());
        assert!(!streams.give_back());
        assert!(!streams.take());
    }
}
