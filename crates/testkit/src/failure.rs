//! The one error type of this crate: a sentence for the person whose test could not run.
//!
//! Invariant: `Debug` prints the same sentence as `Display`, because tests report failures through `unwrap`.

use std::fmt;

/// Why something that a test needs could not be made, started or reached.
pub struct Failure(String);

impl Failure {
    /// A failure described by one or two sentences.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A failure while doing `what`, caused by `error`.
    pub fn because(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
