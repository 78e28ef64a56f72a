//! Watching what goes on after the server has accepted it.
//!
//! Invariant: a stream starts its work when it is first polled, ends after the step that says "done", and
//! asks nothing any more once it is dropped.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::{TryStreamExt as _, stream};

use crate::call::{CallSettings, Clock};
use crate::error::Result;

/// How far something has come. What is counted (percent, rows, collections) stands at the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do; may grow while new rows arrive.
    pub total: u64,
}

impl Progress {
    pub(super) fn new(done: i64, total: i64) -> Self {
        let total = u64::try_from(total).unwrap_or(0);
        Self {
            done: u64::try_from(done).unwrap_or(0).min(total),
            total,
        }
    }

    /// From 0 to 1; 1 when there is nothing to do.
    pub fn fraction(&self) -> f64 {
        if self.total == 0 {
            return 1.0;
        }
        self.done as f64 / self.total as f64
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.done, self.total)
    }
}

/// How far something has come, each time the server was asked. Ends when it is done; an error is the last
/// item.
///
/// Nothing is sent before the stream is polled. Dropping it stops the asking, not the server's work.
pub type ProgressStream = BoxStream<'static, Result<Progress>>;

/// One answer of the server to "how far?".
pub(super) enum Step {
    More(Progress),
    Last(Progress),
}

enum State<Begin, Begun> {
    Before(Begin),
    Under(Arc<Begun>, Clock, Pace),
    Over,
}

/// Begins something and asks for its progress until it is done.
pub(super) fn watch<Begin, Beginning, Begun, Ask, Asking>(
    settings: CallSettings,
    begin: Begin,
    ask: Ask,
) -> ProgressStream
where
    Begin: FnOnce(Clock) -> Beginning + Send + 'static,
    Beginning: Future<Output = Result<Begun>> + Send + 'static,
    Begun: Send + Sync + 'static,
    Ask: Fn(Arc<Begun>, Clock) -> Asking + Send + Sync + 'static,
    Asking: Future<Output = Result<Step>> + Send + 'static,
{
    let shared = Arc::new((settings, ask));
    let steps = stream::try_unfold(State::Before(begin), move |state| {
        let shared = Arc::clone(&shared);
        async move {
            let (settings, ask) = &*shared;
            let (begun, clock, pace) = match state {
                State::Before(begin) => {
                    let clock = settings.start();
                    let begun = begin(clock.clone()).await?;
                    (Arc::new(begun), clock, Pace::default())
                }
                State::Under(begun, clock, pace) => {
                    let pace = pace.rest(&clock).await;
                    (begun, clock, pace)
                }
                State::Over => return Ok(None),
            };
            let asking = ask(Arc::clone(&begun), clock.clone());
            Ok(Some(match asking.await? {
                Step::More(progress) => (progress, State::Under(begun, clock, pace)),
                Step::Last(progress) => (progress, State::Over),
            }))
        }
    });
    Box::pin(steps)
}

/// Waits for the end of a stream.
pub(super) async fn finish(stream: ProgressStream) -> Result<()> {
    stream.try_for_each(|_| async { Ok(()) }).await
}

/// The pauses between questions: short at first, since small things are done at once, and never long
/// enough to annoy.
#[derive(Clone, Copy)]
struct Pace(Duration);

impl Default for Pace {
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}

impl Pace {
    const LONGEST: Duration = Duration::from_secs(1);

    /// Pauses, but not beyond the deadline: the question asked then says that it has passed.
    async fn rest(self, clock: &Clock) -> Self {
        let pause = clock
            .remaining()
            .map_or(self.0, |remaining| remaining.min(self.0));
        tokio::time::sleep(pause).await;
        Self(Self::LONGEST.min(self.0 * 3 / 2))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt as _;

    use super::*;
    use crate::error::Error;

    #[tokio::test(start_paused = true)]
    async fn a_stream_begins_once_and_ends_with_the_last_step() {
        let begun = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let (begins, asks) = (Arc::clone(&begun), Arc::clone(&asked));
        let stream = watch(
            CallSettings::default(),
            move |_| async move {
                begins.fetch_add(1, Ordering::SeqCst);
                Ok(7)
            },
            move |seven, _| {
                let asks = Arc::clone(&asks);
                async move {
                    assert_eq!(*seven, 7);
                    let round = asks.fetch_add(1, Ordering::SeqCst) as i64;
                    let progress = Progress::new(round, 3);
                    Ok(if round < 3 {
                        Step::More(progress)
                    } else {
                        Step::Last(progress)
                    })
                }
            },
        );
        assert_eq!(
            begun.load(Ordering::SeqCst),
            0,
            "nothing before the first poll"
        );
        let steps: Vec<_> = stream
            .map(|step| step.expect("progress").done)
            .collect()
            .await;
        assert_eq!(steps, [0, 1, 2, 3]);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn an_error_ends_the_stream() {
        let mut stream = watch(
            CallSettings::default(),
            |_| async { Ok(()) },
            |_, _| async { Err(Error::answer("x", "y")) },
        );
        assert!(stream.next().await.expect("an item").is_err());
        assert!(stream.next().await.is_none());
    }

    #[test]
    fn progress_never_exceeds_its_total() {
        assert_eq!(Progress::new(9, 4).fraction(), 1.0);
        assert_eq!(Progress::new(0, 0).fraction(), 1.0);
        assert_eq!(Progress::new(-1, 4).done, 0);
        assert_eq!(Progress::new(1, 4).to_string(), "1 of 4");
    }
}
