//! Where a value came from. Every value of a configuration carries its source, so that `explain` can tell it and an
//! error can say which file, variable or argument to mend.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::field::Field;

/// Who said it. The order is the order of precedence, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// An argument of this very call.
    Argument,
    /// The alias's entry in the registry: `add_connection`, or an earlier `connect`.
    Entry,
    /// The profile file.
    Profile {
        /// The file.
        path: Arc<Path>,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        variable: &'static str,
    },
    /// Nobody: it is the default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => f.write_str("argument"),
            Self::Entry => f.write_str("entry"),
            Self::Profile { path } => write!(f, "profile file {}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who said it, and in which field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// Who said it.
    pub origin: Origin,
    /// The field in which it was said: the database may come from a `uri`. `None` for a default.
    pub field: Option<Field>,
}

impl Source {
    pub(crate) fn new(origin: &Origin, field: Field) -> Self {
        Self {
            origin: origin.clone(),
            field: Some(field),
        }
    }

    pub(crate) fn default_value() -> Self {
        Self {
            origin: Origin::Default,
            field: None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.field) {
            (Origin::Environment { .. } | Origin::Default, _) | (_, None) => self.origin.fmt(f),
            (origin, Some(field)) => write!(f, "{origin}, `{field}`"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

impl<T> Sourced<T> {
    pub(crate) fn new(value: T, origin: &Origin, field: Field) -> Self {
        Self {
            value,
            source: Source::new(origin, field),
        }
    }
}
