//! The environment variables that fill the default alias.
//!
//! Invariant: read through an [`Environment`], so that a program or a test can give its own, and a test never changes
//! the process's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use crate::error::{ConfigurationError, Error};
use crate::source::Origin;

/// The URI of the default alias.
pub const MILVUS_URI: &str = "MILVUS_URI";
/// The older name of [`MILVUS_URI`]; used when that one is not set.
pub const MILVUS_DEFAULT_CONNECTION: &str = "MILVUS_DEFAULT_CONNECTION";
/// The token of the default alias.
pub const MILVUS_TOKEN: &str = "MILVUS_TOKEN";
/// The name of the default alias.
pub const MILVUS_CONN_ALIAS: &str = "MILVUS_CONN_ALIAS";
/// Seconds that a connect may take, for every alias that says nothing else.
pub const MILVUS_CONN_TIMEOUT: &str = "MILVUS_CONN_TIMEOUT";
/// The path of the profile file.
pub const MILVUS_CONNECTIONS_FILE: &str = "MILVUS_CONNECTIONS_FILE";

/// Where environment variables are read.
///
/// ```
/// use milvus_connections::{Connections, Environment};
///
/// let environment = Environment::of([("MILVUS_URI", "http://db.example.com:19530")]);
/// let connections = Connections::builder().environment(environment).build();
/// let address = connections.get_connection_addr("default")?.unwrap();
/// assert_eq!(address.address, "db.example.com:19530");
/// # Ok::<(), milvus_connections::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Environment(Variables);

#[derive(Clone)]
enum Variables {
    Process,
    Given(BTreeMap<String, OsString>),
}

/// Names only: a value may be a token.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process => f.write_str("Process"),
            Self::Given(variables) => f.debug_set().entries(variables.keys()).finish(),
        }
    }
}

impl Environment {
    /// The process's own environment, read at each use.
    pub fn process() -> Self {
        Self(Variables::Process)
    }

    /// No variables at all.
    pub fn empty() -> Self {
        Self(Variables::Given(BTreeMap::new()))
    }

    /// These variables and no others.
    pub fn of<N: Into<String>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self(Variables::Given(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        ))
    }

    /// The variable's value; `None` when it is not set or empty.
    pub(crate) fn get_os(&self, name: &str) -> Option<OsString> {
        let value = match &self.0 {
            Variables::Process => std::env::var_os(name),
            Variables::Given(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    fn get(&self, alias: &str, name: &'static str) -> Result<Option<String>, Error> {
        self.get_os(name)
            .map(|value| {
                value
                    .into_string()
                    .map_err(|_| fault(alias, name, "its value is not valid Unicode".to_owned()))
            })
            .transpose()
    }

    /// The name of the default alias.
    pub(crate) fn default_alias(&self) -> String {
        self.get_os(MILVUS_CONN_ALIAS)
            .and_then(|value| value.into_string().ok())
            .unwrap_or_else(|| "default".to_owned())
    }

    /// The URI of the default alias, and the variable that it came from.
    pub(crate) fn uri(&self, alias: &str) -> Result<Option<(&'static str, String)>, Error> {
        for name in [MILVUS_URI, MILVUS_DEFAULT_CONNECTION] {
            if let Some(uri) = self.get(alias, name)? {
                return Ok(Some((name, uri)));
            }
        }
        Ok(None)
    }

    /// The token of the default alias.
    pub(crate) fn token(&self, alias: &str) -> Result<Option<String>, Error> {
        self.get(alias, MILVUS_TOKEN)
    }

    /// How long a connect may take.
    pub(crate) fn timeout(&self, alias: &str) -> Result<Option<Duration>, Error> {
        let Some(text) = self.get(alias, MILVUS_CONN_TIMEOUT)? else {
            return Ok(None);
        };
        match text.trim().parse().ok().and_then(duration) {
            Some(timeout) => Ok(Some(timeout)),
            None => Err(fault(
                alias,
                MILVUS_CONN_TIMEOUT,
                format!("{text:?} is not a number of seconds above zero"),
            )),
        }
    }
}

/// Seconds as a duration; `None` when they are not above zero or beyond all bounds.
pub(crate) fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
}

fn fault(alias: &str, variable: &'static str, message: String) -> Error {
    ConfigurationError::new(alias, None, Origin::Environment { variable }, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set() {
        let environment = Environment::of([
            (MILVUS_URI, ""),
            (MILVUS_DEFAULT_CONNECTION, "http://old:1"),
        ]);
        assert_eq!(
            environment.uri("default").unwrap(),
            Some((MILVUS_DEFAULT_CONNECTION, "http://old:1".to_owned()))
        );
        assert_eq!(environment.default_alias(), "default");
    }

    #[test]
    fn a_timeout_must_be_a_number_above_zero() {
        let timeout =
            |text: &str| Environment::of([(MILVUS_CONN_TIMEOUT, text)]).timeout("default");
        assert_eq!(timeout("2.5").unwrap(), Some(Duration::from_millis(2500)));
        for wrong in ["0", "-1", "ten", "inf", "nan", "1e300"] {
            let error = timeout(wrong).unwrap_err().to_string();
            assert!(
                error.contains(MILVUS_CONN_TIMEOUT) && error.contains(wrong),
                "{error}"
            );
        }
    }

    #[test]
    fn debug_shows_names_only() {
        let environment = Environment::of([(MILVUS_TOKEN, "canary")]);
        assert!(!format!("{environment:?}").contains("canary"));
    }
}
