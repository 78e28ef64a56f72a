//! Several requests of one write under way at a time, and what became of each row when one fails.
//!
//! After a failure no further request is started; those under way are waited for, so that every row's
//! fate is known that can be known.
//!
//! Invariant: the ranges that were started are each recorded in exactly one of the three lists.

use std::future::Future;
use std::ops::Range;

use futures_util::StreamExt as _;
use futures_util::future::poll_immediate;
use futures_util::stream::FuturesUnordered;
use milvus_transport::Applied;

use crate::error::{Error, Result};

/// What became of the rows that were started.
#[derive(Debug, Default)]
pub(super) struct Fates {
    pub(super) acknowledged: Vec<Range<u64>>,
    pub(super) unknown: Vec<Range<u64>>,
    pub(super) not_applied: Vec<Range<u64>>,
}

impl Fates {
    /// Whether nothing was applied for certain.
    pub(super) fn is_untouched(&self) -> bool {
        self.acknowledged.is_empty() && self.unknown.is_empty()
    }

    /// Counts what was not started of so many rows as not applied.
    pub(super) fn rest_not_applied(&mut self, rows: u64) {
        let started = [&self.acknowledged, &self.unknown, &self.not_applied];
        let ends = started.into_iter().flatten().map(|range| range.end);
        let first_unsent = ends.max().unwrap_or(0);
        if first_unsent < rows {
            self.not_applied.push(first_unsent..rows);
            self.tidy();
        }
    }

    /// Sorts the ranges and joins neighbours.
    pub(super) fn tidy(&mut self) {
        for ranges in [
            &mut self.acknowledged,
            &mut self.unknown,
            &mut self.not_applied,
        ] {
            ranges.sort_by_key(|range| range.start);
            ranges.dedup_by(|next, last| {
                let joins = last.end == next.start;
                if joins {
                    last.end = next.end;
                }
                joins
            });
        }
    }
}

/// Starts what `next` gives, at most `concurrency` at a time, until it gives no more or one fails.
///
/// Making a request may take long: what was started begins before the next is made, and between two of them other tasks
/// get their turn.
///
/// `acknowledge` takes each answer; if it refuses one, the rows of that answer count as unknown.
pub(super) async fn run<Request, Answer>(
    concurrency: usize,
    mut next: impl FnMut() -> Result<Option<(Range<u64>, Request)>>,
    mut acknowledge: impl FnMut(Range<u64>, Answer) -> Result<()>,
) -> (Fates, Option<Error>)
where
    Request: Future<Output = Result<Answer>>,
{
    let mut outcome = Outcome::default();
    let mut is_done = false;
    let mut under_way = FuturesUnordered::new();
    loop {
        if is_done || outcome.reason.is_some() || under_way.len() >= concurrency.max(1) {
            let Some((rows, answer)) = under_way.next().await else {
                break;
            };
            outcome.settle(rows, answer, &mut acknowledge);
            continue;
        }
        match next() {
            Ok(Some((rows, request))) => {
                under_way.push(async move { (rows, request.await) });
                while let Some((rows, answer)) = poll_immediate(under_way.next()).await.flatten() {
                    outcome.settle(rows, answer, &mut acknowledge);
                }
                tokio::task::yield_now().await;
            }
            Ok(None) => is_done = true,
            Err(error) => outcome.reason = Some(error),
        }
    }
    outcome.fates.tidy();
    (outcome.fates, outcome.reason)
}

#[derive(Default)]
struct Outcome {
    fates: Fates,
    /// The first failure.
    reason: Option<Error>,
}

impl Outcome {
    /// Records what became of the rows of a request that ended.
    fn settle<Answer>(
        &mut self,
        rows: Range<u64>,
        answer: Result<Answer>,
        acknowledge: &mut impl FnMut(Range<u64>, Answer) -> Result<()>,
    ) {
        match answer.map(|answer| acknowledge(rows.clone(), answer)) {
            Ok(Ok(())) => self.fates.acknowledged.push(rows),
            Ok(Err(error)) => {
                self.fates.unknown.push(rows);
                self.reason.get_or_insert(error);
            }
            Err(error) => {
                if may_be_applied(&error) {
                    self.fates.unknown.push(rows);
                } else {
                    self.fates.not_applied.push(rows);
                }
                self.reason.get_or_insert(error);
            }
        }
    }
}

fn may_be_applied(error: &Error) -> bool {
    error
        .connection_error()
        .is_some_and(|error| error.applied() == Applied::Unknown)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Requests of ten rows, of which the one that starts at `fails_at` fails.
    async fn of_ten(
        requests: u64,
        concurrency: usize,
        fails_at: Option<u64>,
    ) -> (Fates, Option<Error>, usize) {
        let started = Cell::new(0);
        let under_way = Cell::new(0_usize);
        let most = Cell::new(0);
        let next = || {
            let start = started.get() * 10;
            if started.get() == requests {
                return Ok(None);
            }
            started.set(started.get() + 1);
            let under_way = &under_way;
            let most = &most;
            Ok(Some((start..start + 10, async move {
                under_way.set(under_way.get() + 1);
                most.set(most.get().max(under_way.get()));
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                under_way.set(under_way.get() - 1);
                if fails_at == Some(start) {
                    Err(Error::answer("a test", "fails"))
                } else {
                    Ok(())
                }
            })))
        };
        let (fates, reason) = run(concurrency, next, |_, ()| Ok(())).await;
        (fates, reason, most.get())
    }

    #[tokio::test]
    async fn all_rows_are_acknowledged_and_no_more_than_allowed_are_under_way() {
        let (fates, reason, most) = of_ten(20, 3, None).await;
        assert!(reason.is_none());
        assert_eq!(fates.acknowledged, vec![0..200; 1]);
        assert_eq!(most, 3);
    }

    #[tokio::test]
    async fn a_failure_starts_nothing_more_and_waits_for_what_is_under_way() {
        let (fates, reason, _) = of_ten(100, 3, Some(50)).await;
        assert!(reason.is_some());
        let rows = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
        assert_eq!(fates.not_applied, vec![50..60; 1]);
        assert!(rows(&fates.acknowledged) >= 50 && rows(&fates.acknowledged) <= 70);
        assert!(fates.unknown.is_empty());
    }

    #[tokio::test]
    async fn each_row_of_several_requests_under_way_has_its_own_fate() {
        let mut started = 0;
        let next = || {
            let start = started * 10;
            started += 1;
            let request = async move {
                // All four are under way before the first ends.
                for _ in 0..if start == 0 { 6 } else { 12 } {
                    tokio::task::yield_now().await;
                }
                match start {
                    0 => Err(Error::answer("a test", "fails")),
                    _ => Ok(start),
                }
            };
            Ok(Some((start..start + 10, request)))
        };
        let acknowledge = |_, start| match start {
            20 => Err(Error::answer("a test", "an answer that is none")),
            _ => Ok(()),
        };
        let (fates, reason) = run(4, next, acknowledge).await;
        assert!(reason.is_some());
        assert_eq!(started, 4, "nothing is started after a failure");
        assert_eq!(fates.acknowledged, [10..20, 30..40]);
        assert_eq!(fates.unknown, vec![20..30; 1]);
        assert_eq!(fates.not_applied, vec![0..10; 1]);
    }

    #[tokio::test]
    async fn a_request_begins_before_the_next_one_is_made() {
        let begun = Cell::new(0);
        let mut made = 0;
        let next = || {
            assert_eq!(begun.get(), made, "each that was made has begun");
            made += 1;
            let begun = &begun;
            let request = async move {
                begun.set(begun.get() + 1);
                tokio::task::yield_now().await;
                Ok(())
            };
            Ok((made <= 5).then_some((made..made + 1, request)))
        };
        let (fates, reason) = run(3, next, |_, ()| Ok(())).await;
        assert!(reason.is_none());
        assert_eq!(fates.acknowledged, vec![1..6; 1]);
    }
}
