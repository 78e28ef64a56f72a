//! What became of each row when a long write stopped part-way.
//!
//! Invariant: acknowledged, unknown and not sent are disjoint ranges that together cover every row of
//! the input exactly once.

use std::fmt;
use std::ops::Range;

use super::Error;

/// A write of many rows (or ids) that stopped part-way.
///
/// Row numbers count the caller's input from 0.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IncompleteWrite {
    /// What was being done: `insert into "docs"`.
    pub operation: String,
    /// Rows the server acknowledged.
    pub acknowledged: Vec<Range<u64>>,
    /// Rows that were sent and that may or may not have been applied: the answer was lost.
    pub unknown: Vec<Range<u64>>,
    /// Rows that were not applied: never sent, or refused by the server.
    pub not_applied: Vec<Range<u64>>,
    /// Whether the input had more rows than were counted (a stream of rows that was not read on).
    pub input_left: bool,
    /// Why the write stopped.
    pub reason: Error,
}

impl fmt::Display for IncompleteWrite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} stopped: {} rows acknowledged{}, {} may have been applied{}, {} not applied{}",
            self.operation,
            count(&self.acknowledged),
            Ranges(&self.acknowledged),
            count(&self.unknown),
            Ranges(&self.unknown),
            count(&self.not_applied),
            Ranges(&self.not_applied),
        )?;
        if self.input_left {
            formatter.write_str(", the rest of the input not read")?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

fn count(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// At most three ranges, so that the message stays one line.
struct Ranges<'a>(&'a [Range<u64>]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        if self.0.is_empty() {
            return Ok(());
        }
        formatter.write_str(" (")?;
        for (place, range) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(formatter, "{separator}{}..{}", range.start, range.end)?;
        }
        if self.0.len() > SHOWN {
            formatter.write_str(", …")?;
        }
        formatter.write_str(")")
    }
}
