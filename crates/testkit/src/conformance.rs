//! The conformance suite: what any backend that answers Milvus calls must do, seen through the client.
//!
//! A check is written once, against "any backend". It also says which backends lack what it checks, and
//! then the very answer that a user gets there is asserted: a feature that is missing must be missing in
//! plain words.
//!
//! ```no_run
//! # async fn example(client: milvus_client::Client) {
//! use milvus_testkit::conformance::{Backend, BackendKind, data_checks, run};
//!
//! let backend = Backend::new("my server", BackendKind::MilvusLite, client);
//! run(&backend, &data_checks()).await.assert_all_passed();
//! # }
//! ```
//!
//! Invariant: checks share nothing: each makes its own collection and drops it, whatever happens.

mod admin;
mod deletes;
mod documents;
mod inserts;
mod pages;
mod queries;
mod schemas;
mod searches;
mod sizes;
mod stage;
mod structs;
mod vectors;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use milvus_client::{Client, Error};

pub use stage::Stage;

/// What kind of server answers; decides which features it may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// Milvus 2.3.5.
    Milvus23,
    /// Milvus Lite 3.2.2.
    MilvusLite,
    /// The engine in this process.
    Embedded,
}

/// A server to be checked.
#[derive(Clone, Debug)]
pub struct Backend {
    name: String,
    kind: BackendKind,
    client: Client,
}

impl Backend {
    /// A server that is reached by `client`.
    pub fn new(name: impl Into<String>, kind: BackendKind, client: Client) -> Self {
        Self {
            name: name.into(),
            kind,
            client,
        }
    }
}

/// How a backend that lacks a feature answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// [`Error::MissingFeature`], which names the feature and the server's version: said before anything is
    /// sent, or by the server's UNIMPLEMENTED.
    MissingFeature,
    /// The server refuses, in words that contain this.
    Refused(&'static str),
    /// The server says nothing and does something else, which no client can know.
    Silent,
}

impl Lack {
    fn describes(self, error: &Error) -> bool {
        match self {
            Self::MissingFeature => names_what_is_missing(error),
            Self::Refused(words) => error
                .connection_error()
                .and_then(|error| error.answer())
                .is_some_and(|answer| answer.reason().contains(words)),
            Self::Silent => false,
        }
    }
}

/// Why a check did not pass.
#[derive(Debug)]
pub enum Problem {
    /// A call failed.
    Call(Error),
    /// A call did something else than it must.
    Wrong(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => write!(f, "a call failed: {error}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

/// What a check says in the end.
pub type Verdict = Result<(), Problem>;

type Run = fn(Stage) -> Pin<Box<dyn Future<Output = (Stage, Verdict)> + Send>>;

/// One thing that every backend must do.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    name: &'static str,
    run: Run,
    lacking: &'static [(BackendKind, Lack)],
}

impl Check {
    /// The check's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    async fn judge(&self, backend: &Backend) -> Verdict {
        let stage = Stage::new(&backend.client, backend.kind, self.name);
        let (stage, verdict) = (self.run)(stage).await;
        stage.clear().await;
        let lack = self
            .lacking
            .iter()
            .find(|(kind, _)| *kind == backend.kind)
            .map(|(_, lack)| *lack);
        match (lack, verdict) {
            (None, verdict) => verdict,
            (Some(lack), Err(Problem::Call(error))) if lack.describes(&error) => Ok(()),
            (Some(Lack::Silent), Err(Problem::Wrong(_))) => Ok(()),
            (Some(lack), Err(problem)) => Err(Problem::Wrong(format!(
                "the feature is missing, which should have shown as {lack:?}, but: {problem}"
            ))),
            (Some(lack), Ok(())) => Err(Problem::Wrong(format!(
                "{lack:?} is listed for this backend, but the check passed"
            ))),
        }
    }
}

/// Whether an error says that a feature is missing, and names it and the server's version.
fn names_what_is_missing(error: &Error) -> bool {
    matches!(error, Error::MissingFeature(missing)
        if !missing.feature.is_empty() && !missing.server_version.is_empty())
}

/// Makes a [`Check`] of an `async fn(&mut Stage) -> Verdict`.
macro_rules! check {
    ($function:path $(, $kind:ident => $lack:expr)* $(,)?) => {
        $crate::conformance::Check {
            name: {
                const PATH: &str = stringify!($function);
                PATH
            },
            run: |mut stage| {
                Box::pin(async move {
                    let verdict = $function(&mut stage).await;
                    (stage, verdict)
                })
            },
            lacking: &[$(($crate::conformance::BackendKind::$kind, $lack)),*],
        }
    };
}
use check;

/// Fails a check.
fn wrong(what: impl Into<String>) -> Verdict {
    Err(Problem::Wrong(what.into()))
}

/// Characters of a value that a message shows.
const SHOWN: usize = 300;

/// Fails a check unless two things are equal.
fn expect_eq<T: fmt::Debug + PartialEq<U>, U: fmt::Debug>(
    what: &str,
    found: T,
    expected: U,
) -> Verdict {
    if found == expected {
        return Ok(());
    }
    let shown = |value: &dyn fmt::Debug| {
        let text = format!("{value:?}");
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.len()),
            None => text,
        }
    };
    wrong(format!(
        "{what}: expected {}, found {}",
        shown(&expected),
        shown(&found)
    ))
}

/// Fails a check unless something holds.
fn expect(what: &str, holds: bool) -> Verdict {
    if holds { Ok(()) } else { wrong(what) }
}

/// How long a server may take for what it does in the background. Servers under test share a slow machine, and a check fails
/// only where one answers wrongly, not where it is late.
const PATIENCE: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_millis(250);

/// Asks again and again until a server that does its work in the background shows the result; fails with the last problem
/// when it has not within [`PATIENCE`].
async fn expect_in_time<F>(ask: impl Fn() -> F) -> Verdict
where
    F: Future<Output = Verdict>,
{
    let began = Instant::now();
    loop {
        let verdict = ask().await;
        let may_change = match &verdict {
            Ok(()) => false,
            Err(Problem::Wrong(_)) => true,
            // A server's refusal may be one of the moment; a feature that is missing does not come.
            Err(Problem::Call(error)) => matches!(error, Error::Connection(_)),
        };
        if !may_change || began.elapsed() > PATIENCE {
            return verdict;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// All checks of rows: in, out, searched.
pub fn data_checks() -> Vec<Check> {
    [
        schemas::checks(),
        inserts::checks(),
        vectors::checks(),
        sizes::checks(),
        deletes::checks(),
        queries::checks(),
        searches::checks(),
        pages::checks(),
        structs::checks(),
    ]
    .concat()
}

/// All checks of what is around the rows: databases, collections, partitions, aliases, indexes, loading, storage,
/// users, the server.
pub fn admin_checks() -> Vec<Check> {
    admin::checks()
}

/// What the checks of a backend said.
#[derive(Debug)]
pub struct Report {
    backend: String,
    judged: Vec<Judged>,
}

/// What one check said, and how long it took: a server that is slow shows in its neighbours, too.
#[derive(Debug)]
struct Judged {
    check: &'static str,
    verdict: Verdict,
    took: Duration,
}

impl Report {
    /// The names of the checks that did not pass.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.judged.iter().filter(|judged| judged.verdict.is_err());
        failed.map(|judged| judged.check).collect()
    }

    /// Ends the test if a check did not pass, with all that did not.
    ///
    /// What did not pass is the last thing that the test says: no panic's message, no backtrace of the runtime comes
    /// behind it.
    #[allow(
        clippy::print_stderr,
        reason = "what a test says is captured and shown where it fails"
    )]
    pub fn assert_all_passed(&self) {
        if self.failed().is_empty() {
            return;
        }
        let report = self.to_string();
        eprint!("{report}");
        std::panic::resume_unwind(Box::new(report));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.judged.len();
        let passed = all - self.failed().len();
        writeln!(f, "{}: {passed} of {all} checks passed", self.backend)?;
        for judged in &self.judged {
            if let Err(problem) = &judged.verdict {
                let (check, took) = (judged.check, judged.took.as_secs_f64());
                writeln!(f, "  {check} (after {took:.1} s): {problem}")?;
            }
        }
        Ok(())
    }
}

/// Checks under way at a time: most of one is waiting for the server.
const CONCURRENCY: usize = 4;

/// Runs checks against a backend, a few at a time.
pub async fn run(backend: &Backend, checks: &[Check]) -> Report {
    let judged = checks.iter().map(|check| async move {
        let began = Instant::now();
        Judged {
            check: check.name,
            verdict: check.judge(backend).await,
            took: began.elapsed(),
        }
    });
    Report {
        backend: backend.name.clone(),
        judged: stream::iter(judged).buffered(CONCURRENCY).collect().await,
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use super::*;

    #[test]
    fn a_report_names_each_check_that_failed_and_why() {
        let judged = |check, verdict| Judged {
            check,
            verdict,
            took: Duration::from_millis(2_345),
        };
        let report = Report {
            backend: "a server".to_owned(),
            judged: vec![judged("first", Ok(())), judged("second", wrong("no rows"))],
        };
        assert_eq!(report.failed(), ["second"]);
        assert_eq!(
            report.to_string(),
            "a server: 1 of 2 checks passed\n  second (after 2.3 s): no rows\n"
        );
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| report.assert_all_passed()));
        let said = *ended
            .expect_err("one has failed")
            .downcast::<String>()
            .expect("text");
        assert!(said.contains("no rows"));
    }

    #[tokio::test]
    async fn what_comes_late_is_waited_for() {
        let asked = std::cell::Cell::new(0);
        let late = || async {
            asked.set(asked.get() + 1);
            expect("the third time", asked.get() == 3)
        };
        assert!(expect_in_time(late).await.is_ok());
    }
}
