//! How many retries a target is worth.
//!
//! Invariant: when a target fails for good, retries add at most a bounded number of calls to what callers ask for
//! anyway; when most calls succeed, retries are free. (A token bucket, as in gRFC A6 and the AWS SDKs.)

use std::sync::atomic::{AtomicI64, Ordering};

const FULL: i64 = 500;
/// What a retry costs after an answer or a broken channel.
pub(crate) const RETRY_COST: i64 = 5;
const SUCCESS_GAIN: i64 = 1;

/// The retries that a target has left; shared by all calls of a pool.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    tokens: AtomicI64,
}

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self {
            tokens: AtomicI64::new(FULL),
        }
    }

    /// Takes `cost` tokens if there are as many.
    pub(crate) fn take(&self, cost: i64) -> bool {
        self.tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| {
                (tokens >= cost).then_some(tokens - cost)
            })
            .is_ok()
    }

    /// A call has succeeded.
    pub(crate) fn success(&self) {
        // Full is the usual state: then there is nothing to write, and the cache line stays shared.
        if self.tokens.load(Ordering::Relaxed) < FULL {
            let _ = self
                .tokens
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| {
                    Some((tokens + SUCCESS_GAIN).min(FULL))
                });
        }
    }

    pub(crate) fn tokens(&self) -> i64 {
        self.tokens.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_budget_is_never_overdrawn_and_never_overfull(steps in proptest::collection::vec(0u8..3, 0..2000)) {
            let budget = RetryBudget::new();
            for step in steps {
                let before = budget.tokens();
                match step {
                    0 => budget.success(),
                    1 => prop_assert_eq!(budget.take(RETRY_COST), before >= RETRY_COST),
                    _ => prop_assert_eq!(budget.take(2 * RETRY_COST), before >= 2 * RETRY_COST),
                }
                prop_assert!((0..=FULL).contains(&budget.tokens()));
            }
        }
    }
}
