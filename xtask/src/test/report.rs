//! The steps of a test run: a line when each starts, a line when it ends, a table and the closing line at the end.
//!
//! Invariant: a step that returns an error counts as one failure.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::counts::Counts;

/// What has been run so far.
#[derive(Default)]
pub(super) struct Report {
    steps: Vec<Step>,
}

struct Step {
    name: &'static str,
    counts: Counts,
    took: Duration,
}

impl Report {
    /// Runs a step.
    pub(super) fn step(
        &mut self,
        name: &'static str,
        action: impl FnOnce() -> anyhow::Result<Counts>,
    ) {
        println!("==> {name}");
        flush();
        let start = Instant::now();
        let counts = action().unwrap_or_else(|error| {
            eprintln!("{name}: {error:#}");
            Counts::FAILED
        });
        let step = Step {
            name,
            counts,
            took: start.elapsed(),
        };
        println!("{}\n", step.line());
        flush();
        self.steps.push(step);
    }

    /// Prints the table and the closing line; true when nothing failed.
    pub(super) fn close(&self) -> bool {
        let mut total = Counts::default();
        for step in &self.steps {
            println!("{}", step.line());
            total = total + step.counts;
        }
        println!("\n{}", closing_line(total));
        flush();
        total.failed == 0
    }
}

impl Step {
    fn line(&self) -> String {
        let verdict = if self.counts.failed == 0 {
            "pass"
        } else {
            "FAIL"
        };
        let Counts { passed, failed } = self.counts;
        let seconds = self.took.as_secs_f64();
        format!(
            "<== {verdict}  {:22} {seconds:7.1} s  {passed:5} passed {failed:4} failed",
            self.name
        )
    }
}

fn closing_line(total: Counts) -> String {
    format!("{} passed, {} failed", total.passed, total.failed)
}

/// What the steps' programs print goes around our own buffer.
fn flush() {
    // Nobody to tell when the output is gone.
    let _ = std::io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn an_error_is_one_failure_and_the_next_step_still_runs() {
        let mut report = Report::default();
        report.step("broken", || bail!("no such thing"));
        report.step("sound", || {
            Ok(Counts {
                passed: 7,
                failed: 0,
            })
        });
        assert!(!report.close());
        let total = report
            .steps
            .iter()
            .fold(Counts::default(), |sum, step| sum + step.counts);
        assert_eq!(closing_line(total), "7 passed, 1 failed");
    }
}
