//! A command that failed: what was to be done, where it went wrong, why, and what to try next.
//!
//! Invariant: every part is a sentence or clause for people; no Rust value is printed as Rust writes it.

use std::fmt::Display;
use std::io;

use milvus_connections::transport;
use milvus_connections::{ConfigurationError, Error, Origin, ProfileError};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{Paint, Tone, labelled};

/// Why a command failed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    /// What could not be done.
    pub(crate) message: String,
    /// Where: an address, a file and line, a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
    /// Why.
    pub(crate) reason: String,
    /// What to try next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// The exit code.
    #[serde(serialize_with = "as_code")]
    pub(crate) exit_code: Exit,
    /// The output was closed by its reader: nothing is wrong, and nobody reads what could be said.
    #[serde(skip)]
    pub(crate) is_silent: bool,
}

fn as_code<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*exit as u8)
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Display, reason: impl Display) -> Self {
        Self {
            message: message.to_string(),
            place: None,
            reason: reason.to_string(),
            hint: None,
            exit_code: exit,
            is_silent: false,
        }
    }

    pub(crate) fn usage(message: impl Display, reason: impl Display) -> Self {
        Self::new(Exit::Usage, message, reason)
    }

    pub(crate) fn at(mut self, place: impl Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The failure as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        // A struct of texts and a number always has a JSON form.
        let failure = serde_json::to_string(self).unwrap_or_default();
        format!("{{\"error\":{failure}}}\n")
    }

    /// The failure as text for people.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut parts = Vec::new();
        if let Some(place) = &self.place {
            parts.push(("where", place.as_str()));
        }
        if !self.reason.is_empty() {
            parts.push(("why", self.reason.as_str()));
        }
        if let Some(hint) = &self.hint {
            parts.push(("hint", hint.as_str()));
        }
        format!(
            "{} {}\n{}",
            paint.tone(Tone::Bad, "error:"),
            paint.tone(Tone::Strong, &self.message),
            labelled(&parts, paint)
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = Exit::of_registry(&error);
        match error {
            Error::Configuration(error) => (*error).into(),
            Error::Profile(error) => (*error).into(),
            Error::Connect(error) => error.into(),
            Error::UnknownAlias { alias, nearest } => {
                let hint = match nearest {
                    Some(nearest) => {
                        format!("Did you mean {nearest:?}? `milvusctl list` shows all.")
                    }
                    None => format!(
                        "Add it with `milvusctl add {alias} HOST:PORT`; `milvusctl list` shows all."
                    ),
                };
                Self::new(
                    exit,
                    format!("there is no alias {alias:?}"),
                    "it is neither in the profile file nor an address",
                )
                .hint(hint)
            }
            Error::NotBuiltIn { alias, address } => Self::new(
                exit,
                format!("can't open {address:?} for {alias:?}"),
                "this build has no embedded engine, which the address needs",
            )
            .hint("Give the address of a Milvus server, or build with the feature `embedded`."),
            other => Self::new(exit, "the registry could not do it", other),
        }
    }
}

impl From<ConfigurationError> for Failure {
    fn from(error: ConfigurationError) -> Self {
        let field = error.field.map(|field| format!("`{field}`"));
        let origin = match &error.origin {
            origin @ (Origin::Profile { .. } | Origin::Environment { .. }) => {
                Some(origin.to_string())
            }
            _ => None,
        };
        let place = match (field, origin) {
            (Some(field), Some(origin)) => Some(format!("{field} in the {origin}")),
            (field, origin) => field.or(origin),
        };
        let message = format!("the configuration of {:?} can't be used", &*error.alias);
        let failure = Self::new(Exit::Configuration, message, &error.message);
        Self { place, ..failure }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let place = match error.line {
            Some(line) => format!("{}, line {line}", error.path.display()),
            None => error.path.display().to_string(),
        };
        Self::new(
            Exit::Configuration,
            "the profile file can't be used",
            &error.message,
        )
        .at(place)
    }
}

impl From<transport::Error> for Failure {
    fn from(error: transport::Error) -> Self {
        let exit = Exit::of_call(error.kind());
        let name = match error.alias() {
            alias if alias == error.address() || alias.is_empty() => error.address().to_owned(),
            alias => format!("{alias:?} ({})", error.address()),
        };
        let message = match error.rpc() {
            Some(rpc) => format!("{rpc} failed on {name}"),
            None => format!("can't connect to {name}"),
        };
        let failure = Self::new(exit, message, reason(&error)).at(error.phase());
        Self {
            hint: error.hint().map(str::to_owned),
            ..failure
        }
    }
}

/// What happened, without the parts that the failure tells by themselves.
fn reason(error: &transport::Error) -> String {
    let mut reason = match error.kind() {
        transport::ErrorKind::Connect(failure) => failure.meaning().to_owned(),
        _ => return error.to_string(),
    };
    if !error.detail().is_empty() {
        reason.push_str(": ");
        reason.push_str(error.detail());
    }
    if let Some(answer) = error.answer() {
        reason.push_str(&format!(" (the server said: {answer})"));
    }
    reason
}

impl From<io::Error> for Failure {
    /// Of the output: input and files have failures of their own.
    fn from(error: io::Error) -> Self {
        let is_silent = error.kind() == io::ErrorKind::BrokenPipe;
        let exit = if is_silent {
            Exit::Success
        } else {
            Exit::Failed
        };
        Self {
            is_silent,
            ..Self::new(exit, "can't write the output", error)
        }
    }
}
