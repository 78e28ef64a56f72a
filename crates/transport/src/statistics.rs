//! Counts and latencies of a pool, cheap enough to be always on.
//!
//! Invariant: one call costs a handful of relaxed atomic additions, and nothing here is ever locked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a quarter of a power of two each, from 1 µs: 4 × 32 reach beyond an hour.
const BUCKETS: usize = 128;

/// The counters of one pool.
#[derive(Debug)]
pub(crate) struct Statistics {
    succeeded: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    throttled: AtomicU64,
    streams: AtomicU64,
    latency: [AtomicU64; BUCKETS],
}

/// The counters of one pool at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CallStatistics {
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Attempts beyond a call's first.
    pub retried: u64,
    /// Answers that asked to slow down.
    pub throttled: u64,
    /// Streams of messages that were opened; they are no calls here, and have no latency.
    pub streams: u64,
    /// Half of the successful calls took no longer, in microseconds; `None` before the first one.
    pub p50_micros: Option<u64>,
    /// 99 of 100 successful calls took no longer, in microseconds; `None` before the first one.
    pub p99_micros: Option<u64>,
}

impl Statistics {
    pub(crate) fn new() -> Self {
        Self {
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    pub(crate) fn succeeded(&self, took: Duration) {
        self.succeeded.fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = self.latency.get(bucket_of(took)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stream_opened(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> CallStatistics {
        let counts: Vec<u64> = self
            .latency
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        CallStatistics {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            streams: self.streams.load(Ordering::Relaxed),
            p50_micros: percentile(&counts, 50),
            p99_micros: percentile(&counts, 99),
        }
    }
}

/// The bucket of a time: four to each power of two of microseconds.
fn bucket_of(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(4);
    let octave = 63 - micros.leading_zeros();
    // The two bits below the leading one.
    let quarter = (micros >> (octave - 2)) & 3;
    let index = u64::from(octave - 2) * 4 + quarter;
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The longest time that falls into a bucket, in microseconds.
fn upper_bound(bucket: usize) -> u64 {
    let (octave, quarter) = (bucket / 4, (bucket % 4) as u64);
    ((5 + quarter) << octave) - 1
}

fn percentile(counts: &[u64], percent: u64) -> Option<u64> {
    let total: u64 = counts.iter().sum();
    let rank = (total * percent).div_ceil(100);
    let mut seen = 0;
    let bucket = counts.iter().position(|count| {
        seen += count;
        seen >= rank && seen > 0
    });
    bucket.map(upper_bound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_holds_what_falls_into_it_within_a_quarter(micros in 4u64..3_000_000_000) {
            let bucket = bucket_of(Duration::from_micros(micros));
            prop_assert!(micros <= upper_bound(bucket));
            prop_assert!(bucket == 0 || micros > upper_bound(bucket - 1));
            prop_assert!(upper_bound(bucket) <= micros + micros / 4);
        }
    }

    #[test]
    fn percentiles_are_read_from_the_buckets() {
        let statistics = Statistics::new();
        assert_eq!(statistics.snapshot().p50_micros, None);
        for _ in 0..98 {
            statistics.succeeded(Duration::from_micros(100));
        }
        statistics.succeeded(Duration::from_millis(50));
        statistics.succeeded(Duration::from_millis(50));
        let snapshot = statistics.snapshot();
        assert!((100..=125).contains(&snapshot.p50_micros.unwrap()));
        assert!((50_000..=62_500).contains(&snapshot.p99_micros.unwrap()));
        assert_eq!(snapshot.succeeded, 100);
    }
}
