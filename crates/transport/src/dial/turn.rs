//! How much of what has come is read before callers get to run.
//!
//! A driver that reads all there is wakes all callers at once, they call again at once, and the peer answers them at once: client
//! and peer wait for each other by turns. Read in turns, the first callers have called again before the last ones have
//! their answers, and both sides work at the same time. Only a pool's only channel needs it: several overlap anyway.
//!
//! Invariant: a few callers get their answers as if there were no turns, and so do those whose answers are not small.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Fewer calls in flight than these have nothing to overlap with.
const LEAST_CALLS: u32 = 12;
/// Turns in which the answers to all calls in flight are read.
const TURNS: u64 = 8;
/// Bytes, frames and all. A peer that serves its streams in rotation, as h2 and hyper do, sends all trailers last, some ten bytes
/// each: those of small answers, with which the calls end, are in more than one turn; of larger ones they are all in the last.
const LARGEST_ANSWER: u64 = 96;
/// Bytes: what it costs to read in shorter turns is more than what they win.
const LEAST_BYTES: u64 = 256;
/// The usual size of an answer is reckoned anew after so many calls, or after so many bytes. Less would be too few calls to tell.
const WINDOW_CALLS: u64 = 1024;
const WINDOW_BYTES: u64 = 1024 * 1024;

/// How many bytes are read in a turn; set by the driver of a connection, heeded by its stream.
#[derive(Debug)]
pub(crate) struct Turn(AtomicUsize);

impl Default for Turn {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl Turn {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// From now on all is read that there is.
    pub(crate) fn end(&self) {
        self.set(usize::MAX);
    }

    pub(super) fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// What a driver knows of the size of answers.
#[derive(Debug, Default)]
pub(crate) struct AnswerSize {
    calls: u64,
    received: u64,
}

impl AnswerSize {
    /// Sets how long a turn is by how many calls are in flight and what was received since it was set before; `calls` and
    /// `received` (bytes) are totals.
    pub(crate) fn set_turn(&mut self, turn: &Turn, in_flight: u32, calls: u64, received: u64) {
        let new_calls = calls.saturating_sub(self.calls);
        let new_bytes = received.saturating_sub(self.received);
        if new_calls < WINDOW_CALLS && new_bytes < WINDOW_BYTES {
            return;
        }
        (self.calls, self.received) = (calls, received);
        let answer = new_bytes / new_calls.max(1);
        let bytes = if in_flight < LEAST_CALLS || answer > LARGEST_ANSWER {
            usize::MAX
        } else {
            let all = answer.saturating_mul(u64::from(in_flight));
            usize::try_from((all / TURNS).max(LEAST_BYTES)).unwrap_or(usize::MAX)
        };
        turn.set(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The turn after a window with such answers.
    fn turn_of(in_flight: u32, calls: u64, received: u64) -> usize {
        let turn = Turn::default();
        AnswerSize::default().set_turn(&turn, in_flight, calls, received);
        turn.bytes()
    }

    #[test]
    fn the_answers_of_many_callers_are_read_in_turns() {
        assert_eq!(turn_of(256, 2_000, 2_000 * 50), 256 * 50 / 8);
        assert_eq!(turn_of(64, 1_024, 1_024 * 80), 64 * 80 / 8);
    }

    #[test]
    fn a_turn_is_worth_its_while() {
        assert_eq!(turn_of(16, 1_024, 1_024 * 50), 256);
        assert_eq!(turn_of(16, 1_024, 0), 256);
    }

    #[test]
    fn a_few_callers_and_large_answers_have_no_turns() {
        assert_eq!(turn_of(8, 2_000, 2_000 * 50), usize::MAX);
        assert_eq!(turn_of(1, 0, 10_000_000), usize::MAX);
        assert_eq!(turn_of(64, 1_024, 1_024 * 97), usize::MAX);
        assert_eq!(turn_of(64, 64, 64 * 1_000_000), usize::MAX);
    }

    #[test]
    fn a_few_calls_change_nothing() {
        let (turn, mut size) = (Turn::default(), AnswerSize::default());
        size.set_turn(&turn, 64, 1_023, 51_150);
        assert_eq!(turn.bytes(), usize::MAX);
        size.set_turn(&turn, 64, 1_024, 51_200);
        assert_eq!(turn.bytes(), 400);
        // Counted from there on.
        size.set_turn(&turn, 64, 2_000, 900_000);
        assert_eq!(turn.bytes(), 400);
    }
}
