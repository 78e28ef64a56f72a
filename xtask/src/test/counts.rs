//! How many tests passed and failed, read from what the test runners write.
//!
//! Invariant: an error of the runner counts as a failure; nothing is counted twice.

use std::ops::Add;

/// Passed and failed tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Counts {
    /// A step that is one test, and passed.
    pub(super) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
    };
    /// A step that is one test, and failed.
    pub(super) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
    };

    /// The counts in the first element of a JUnit report, as nextest writes it.
    pub(super) fn from_junit(report: &str) -> Option<Self> {
        let element = report.split_once("<testsuites")?.1.split_once('>')?.0;
        let attribute = |name: &str| -> Option<u64> {
            let value = element.split_once(&format!(" {name}=\""))?.1;
            value.split_once('"')?.0.parse().ok()
        };
        let failed = attribute("failures")? + attribute("errors")?;
        Some(Self {
            passed: attribute("tests")?.checked_sub(failed)?,
            failed,
        })
    }

    /// The counts in the one suite of a JUnit report as pytest writes it. A test that was left out has not passed.
    pub(super) fn from_pytest(report: &str) -> Option<Self> {
        let element = report.split_once("<testsuite ")?.1.split_once('>')?.0;
        let attribute = |name: &str| -> Option<u64> {
            let value = element.split_once(&format!("{name}=\""))?.1;
            value.split_once('"')?.0.parse().ok()
        };
        let failed = attribute("failures")? + attribute("errors")?;
        Some(Self {
            passed: attribute("tests")?.checked_sub(failed + attribute("skipped")?)?,
            failed,
        })
    }

    /// The sum of all `test result:` lines of libtest.
    pub(super) fn from_libtest(output: &str) -> Self {
        let number_before = |line: &str, word: &str| -> u64 {
            let before = line.split_once(word).map_or("", |(before, _)| before);
            before
                .split_whitespace()
                .next_back()
                .and_then(|number| number.parse().ok())
                .unwrap_or(0)
        };
        output
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("test result:"))
            .map(|line| Self {
                passed: number_before(line, " passed"),
                failed: number_before(line, " failed"),
            })
            .fold(Self::default(), Self::add)
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_counts_failures_and_errors() {
        let report = r#"<?xml version="1.0"?>
            <testsuites name="nextest-run" tests="18" failures="2" errors="1" uuid="x" time="1.5">
            <testsuite name="a" tests="5" disabled="0" errors="0" failures="0">"#;
        assert_eq!(
            Counts::from_junit(report),
            Some(Counts {
                passed: 15,
                failed: 3
            })
        );
        assert_eq!(Counts::from_junit("<nothing/>"), None);
    }

    #[test]
    fn pytest_tests_that_were_left_out_have_not_passed() {
        let report = r#"<?xml version="1.0"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
            failures="2" skipped="3" tests="18" time="1.5"><testcase/>"#;
        assert_eq!(
            Counts::from_pytest(report),
            Some(Counts {
                passed: 12,
                failed: 3
            })
        );
    }

    #[test]
    fn libtest_lines_are_added_up() {
        let output = "running 1 test\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            Counts::from_libtest(output),
            Counts {
                passed: 15,
                failed: 2
            }
        );
    }
}
