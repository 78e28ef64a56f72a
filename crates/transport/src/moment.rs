//! Moments that lie as far ahead as a user has asked for.
//!
//! Invariant: no duration makes a panic, however long it is; what the clock can't hold is as far away as nobody waits.

use std::time::Duration;

use tokio::time::Instant;

/// Further than anybody waits, and far within what a clock can hold: thirty years.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The moment that comes `wait` after `from`.
pub(crate) fn after(from: Instant, wait: Duration) -> Instant {
    from + wait.min(FAR)
}

/// This part of a duration, which may be a little more than all of it.
pub(crate) fn part_of(duration: Duration, part: f64) -> Duration {
    duration.min(FAR).mul_f64(part.clamp(0.0, 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_duration_is_too_long() {
        let now = Instant::now();
        assert_eq!(
            after(now, Duration::from_secs(5)) - now,
            Duration::from_secs(5)
        );
        let far = after(now, Duration::MAX);
        assert!(far - now >= FAR);
        // What a timer does with it: rounds it up.
        assert!(far.checked_add(FAR).is_some());
        assert_eq!(
            part_of(Duration::from_secs(10), 0.9),
            Duration::from_secs(9)
        );
        assert!(part_of(Duration::MAX, 1.2) > FAR);
    }
}
