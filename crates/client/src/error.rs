//! What can go wrong, and how it is said.
//!
//! Four questions decide what a caller does next, and each has its own variant: did the *input* break
//! a rule (nothing was sent), does the *server* lack the feature, did the *connection or server* fail
//! the call, or did a long write stop *part-way*? A fifth variant is for answers that do not have the
//! form the caller asked for.
//!
//! Invariant: an error of this crate is cheap to clone (one failed fetch answers every caller that
//! waited for it) and shows no credential.

mod invalid;
mod task;
mod write;

use std::fmt;
use std::sync::Arc;

use milvus_transport::ErrorKind;

pub use invalid::{InvalidValue, Rule};
pub use task::TaskFailed;
pub use write::IncompleteWrite;

/// The error of every verb of this crate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The connection or the server failed the call; says which alias, address and phase, what was
    /// answered, and whether a write may have been applied.
    Connection(milvus_transport::Error),
    /// A value breaks a rule of the collection's schema. Nothing was sent.
    InvalidValue(Arc<InvalidValue>),
    /// A request (or a schema) contradicts itself or lacks a part. Nothing was sent.
    InvalidRequest(Arc<InvalidRequest>),
    /// The server does not have what the call needs.
    MissingFeature(Arc<MissingFeature>),
    /// A write of many rows stopped part-way; says which rows were acknowledged, which may have been
    /// applied and which were never sent.
    IncompleteWrite(Arc<IncompleteWrite>),
    /// Something that the server had accepted and worked on came to nothing.
    TaskFailed(Arc<TaskFailed>),
    /// The answer does not have the form that was asked for.
    UnexpectedAnswer(Arc<UnexpectedAnswer>),
}

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request that was refused before it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidRequest {
    /// What was asked for, such as `search "docs"`.
    pub request: String,
    /// The parameter at fault, such as `limit`.
    pub parameter: String,
    /// The rule it breaks.
    pub rule: String,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: `{}` {}; nothing was sent",
            self.request, self.parameter, self.rule
        )
    }
}

/// A feature that the server does not have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MissingFeature {
    /// The feature, in words: `hybrid search`.
    pub feature: String,
    /// The Milvus version that brought it, when known.
    pub since: Option<String>,
    /// What the server says of its version; empty when it says nothing.
    pub server_version: String,
    /// The address of the server.
    pub address: String,
    /// The server's own refusal, when it was asked.
    pub source: Option<milvus_transport::Error>,
}

impl fmt::Display for MissingFeature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the server at {} ", self.address)?;
        if self.server_version.is_empty() {
            formatter.write_str("(version unknown) ")?;
        } else {
            write!(formatter, "(version {}) ", self.server_version)?;
        }
        write!(formatter, "does not have {}", self.feature)?;
        if let Some(since) = &self.since {
            write!(formatter, ", which came with Milvus {since}")?;
        }
        Ok(())
    }
}

/// An answer that does not have the form that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnexpectedAnswer {
    /// What was being read, such as `column "title"`.
    pub reading: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for UnexpectedAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot read {}: {}", self.reading, self.problem)
    }
}

impl Error {
    /// The connection's error, wherever it stands: the call's own, behind a missing feature, or the
    /// reason a write stopped.
    pub fn connection_error(&self) -> Option<&milvus_transport::Error> {
        match self {
            Self::Connection(error) => Some(error),
            Self::MissingFeature(missing) => missing.source.as_ref(),
            Self::IncompleteWrite(write) => write.reason.connection_error(),
            _ => None,
        }
    }

    /// The value that broke a rule, when that is what went wrong.
    pub fn invalid_value(&self) -> Option<&InvalidValue> {
        match self {
            Self::InvalidValue(invalid) => Some(invalid),
            Self::IncompleteWrite(write) => write.reason.invalid_value(),
            _ => None,
        }
    }

    /// The fate of each row, when a write stopped part-way.
    pub fn incomplete_write(&self) -> Option<&IncompleteWrite> {
        match self {
            Self::IncompleteWrite(write) => Some(write),
            _ => None,
        }
    }

    /// The server's Milvus error code, when it answered with one.
    pub fn server_code(&self) -> Option<i32> {
        let answer = self.connection_error()?.answer()?;
        Some(answer.code())
    }

    /// Whether the server says that the collection (or its alias) does not exist.
    pub fn is_collection_not_found(&self) -> bool {
        self.connection_error()
            .and_then(milvus_transport::Error::answer)
            .is_some_and(|answer| answer.code() == 100 || answer.legacy_code() == 4)
    }

    /// Whether the server says that the collection's schema is not the one the request was made for.
    pub fn is_schema_mismatch(&self) -> bool {
        self.connection_error()
            .and_then(milvus_transport::Error::answer)
            .is_some_and(|answer| answer.code() == 109 || answer.legacy_code() == 62)
    }

    /// Whether the request may be right and only the remembered description of the collection be old: it broke a rule of the
    /// description, or the server refused what was made after it, or answered something else.
    pub(crate) fn may_come_of_an_old_description(&self) -> bool {
        match self {
            Self::InvalidValue(_) | Self::InvalidRequest(_) | Self::UnexpectedAnswer(_) => true,
            Self::Connection(error) => error.kind() == ErrorKind::Answered,
            Self::IncompleteWrite(write) => write.reason.may_come_of_an_old_description(),
            Self::MissingFeature(_) | Self::TaskFailed(_) => false,
        }
    }

    pub(crate) fn request(
        request: impl Into<String>,
        parameter: impl Into<String>,
        rule: impl Into<String>,
    ) -> Self {
        Self::InvalidRequest(Arc::new(InvalidRequest {
            request: request.into(),
            parameter: parameter.into(),
            rule: rule.into(),
        }))
    }

    pub(crate) fn task_failed(task: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::TaskFailed(Arc::new(TaskFailed {
            task: task.into(),
            reason: reason.into(),
        }))
    }

    pub(crate) fn answer(reading: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::UnexpectedAnswer(Arc::new(UnexpectedAnswer {
            reading: reading.into(),
            problem: problem.into(),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(formatter),
            Self::InvalidValue(error) => error.fmt(formatter),
            Self::InvalidRequest(error) => error.fmt(formatter),
            Self::MissingFeature(error) => error.fmt(formatter),
            Self::IncompleteWrite(error) => error.fmt(formatter),
            Self::TaskFailed(error) => error.fmt(formatter),
            Self::UnexpectedAnswer(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Display already says what the connection's error says; its source is the next link.
            Self::Connection(error) => error.source(),
            Self::MissingFeature(missing) => missing
                .source
                .as_ref()
                .map(|error| error as &(dyn std::error::Error + 'static)),
            Self::IncompleteWrite(write) => Some(&write.reason),
            _ => None,
        }
    }
}

impl From<milvus_transport::Error> for Error {
    fn from(error: milvus_transport::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<InvalidValue> for Error {
    fn from(invalid: InvalidValue) -> Self {
        Self::InvalidValue(Arc::new(invalid))
    }
}
