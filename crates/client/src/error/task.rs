//! Work of the server that came to nothing after it had been accepted: an index that could not be built,
//! an import that failed.
//!
//! Invariant: the reason is the server's own, or says that the server gave none.

use std::fmt;

/// Something that the server had accepted and worked on came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFailed {
    /// What was being done, such as ``building index `by_meaning` of collection `docs` ``.
    pub task: String,
    /// Why it failed, in the server's words.
    pub reason: String,
}

impl fmt::Display for TaskFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed: {}", self.task, self.reason)
    }
}
