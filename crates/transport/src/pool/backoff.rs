//! When to dial again.
//!
//! Invariant: delays are spread by full jitter and grow until a channel has proved itself; one that comes up and dies at once
//! does not start them over.

use std::time::Duration;

/// The bound of the first delay; it doubles with every failure.
const FIRST: Duration = Duration::from_millis(50);
/// The longest delay after failures that may pass by themselves.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest delay after failures that someone has to mend: a certificate, a password.
const LONGEST_FOR_FAULTS: Duration = Duration::from_secs(30);
/// While calls wait for a channel, nobody should wait long for the next dial: a refused connection costs microseconds.
const WHILE_CALLS_WAIT: Duration = Duration::from_millis(80);
/// No dial follows a failed one faster than this.
const SHORTEST: Duration = Duration::from_millis(10);
/// How long a channel must live before its end starts the delays over.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Whether a channel that ends has proved that its place is a good one, so that the next one is dialed without a delay.
/// Every channel has succeeded once, at Milvus's greeting; it has to live on for ten seconds. A shorter life is enough where
/// the peer has answered calls and then announced the end: that is how a server does it that limits the calls of a
/// connection, and the calls it has answered are what bounds how often this happens.
pub(super) fn is_proved(age: Duration, announced: bool, answered: bool) -> bool {
    age >= STABLE_AFTER || (announced && answered)
}

/// The delays of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One more dial failed: how long to wait. `random` is uniform in [0, 1).
    pub(crate) fn after_failure(
        &mut self,
        may_pass: bool,
        calls_wait: bool,
        random: f64,
    ) -> Duration {
        let longest = match (may_pass, calls_wait) {
            (true, true) => WHILE_CALLS_WAIT,
            (true, false) => LONGEST,
            (false, _) => LONGEST_FOR_FAULTS,
        };
        let bound = FIRST
            .saturating_mul(2u32.saturating_pow(self.failures.min(16)))
            .min(longest);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random).max(SHORTEST)
    }

    /// How long a dial may still be put off now that calls wait. `random` is uniform in [0, 1).
    pub(crate) fn while_calls_wait(&self, random: f64) -> Duration {
        if self.failures == 0 {
            Duration::ZERO
        } else {
            WHILE_CALLS_WAIT.mul_f64(random).max(SHORTEST)
        }
    }

    /// Something failed that needs no delay the first time.
    pub(crate) fn count(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// A channel has proved itself.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Dials that failed since the last reset.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds(failures in 0u32..100, may_pass: bool, calls_wait: bool, random in 0.0f64..1.0) {
            let mut backoff = Backoff { failures };
            let delay = backoff.after_failure(may_pass, calls_wait, random);
            prop_assert!(delay >= SHORTEST);
            prop_assert!(delay <= LONGEST_FOR_FAULTS);
            if may_pass {
                prop_assert!(delay <= LONGEST);
            }
            if may_pass && calls_wait {
                prop_assert!(delay <= WHILE_CALLS_WAIT);
            }
            prop_assert_eq!(backoff.failures(), failures + 1);
        }
    }

    #[test]
    fn a_channel_proves_itself_by_its_age_or_by_answers_and_a_farewell() {
        let young = STABLE_AFTER - Duration::from_millis(1);
        for (announced, answered) in [(false, false), (false, true), (true, false)] {
            assert!(!is_proved(young, announced, answered));
            assert!(is_proved(STABLE_AFTER, announced, answered));
        }
        assert!(is_proved(young, true, true));
    }

    #[test]
    fn bounds_double_until_the_longest() {
        let mut backoff = Backoff::default();
        let bounds: Vec<_> = (0..10)
            .map(|_| backoff.after_failure(true, false, 1.0).as_millis())
            .collect();
        assert_eq!(
            bounds,
            [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        backoff.reset();
        assert_eq!(backoff.after_failure(true, false, 1.0).as_millis(), 50);
    }
}
