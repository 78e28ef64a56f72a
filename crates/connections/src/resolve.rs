//! From an alias to the configuration of a connection: the layers are collected and laid over each other.
//!
//! Invariant: the environment fills the default alias, and an alias that nobody has configured; it never overrides a named
//! alias. Only its timeout is for all, since it sends nobody anywhere.

use std::path::PathBuf;
use std::sync::Arc;

use milvus_transport::ConnectionConfig;

use crate::environment::{Environment, MILVUS_CONN_TIMEOUT, MILVUS_TOKEN};
use crate::error::{ConfigurationError, Error};
use crate::field::{Field, FieldValue};
use crate::params::ConnectionParams;
use crate::profile::Profile;
use crate::settings::Settings;
use crate::source::Origin;

/// Which profile file a registry looks at. It is read again each time a configuration is needed, so that a change of the
/// file takes effect at the next connect.
#[derive(Clone, Debug, Default)]
pub(crate) enum ProfileLookup {
    /// None.
    #[default]
    Nowhere,
    /// The one that is found; see [`crate::locate_profile`].
    Discovered,
    /// This one; it must be there.
    File(PathBuf),
}

/// Knows where configurations come from.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    pub(crate) environment: Environment,
    pub(crate) profile: ProfileLookup,
    pub(crate) default_alias: Arc<str>,
}

/// An alias's merged settings and what they amount to.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) settings: Settings,
    pub(crate) config: ConnectionConfig,
}

impl Resolver {
    /// The profile file in force.
    pub(crate) fn profile(&self) -> Result<Option<Profile>, Error> {
        Ok(match &self.profile {
            ProfileLookup::Nowhere => None,
            ProfileLookup::Discovered => Profile::discover(&self.environment)?,
            ProfileLookup::File(path) => Some(Profile::read(path)?),
        })
    }

    /// What an alias amounts to, given arguments and its entry, if it has one.
    pub(crate) fn resolve(
        &self,
        alias: &str,
        arguments: &ConnectionParams,
        entry: Option<&Settings>,
    ) -> Result<Resolved, Error> {
        self.resolve_with(alias, arguments, entry, self.profile()?.as_ref())
    }

    /// As [`resolve`](Self::resolve), with a profile that has been read already.
    pub(crate) fn resolve_with(
        &self,
        alias: &str,
        arguments: &ConnectionParams,
        entry: Option<&Settings>,
        profile: Option<&Profile>,
    ) -> Result<Resolved, Error> {
        check_alias(alias)?;
        let mut settings = Settings::of(alias, arguments, &Origin::Argument)?;
        let profile_layer = match profile
            .and_then(|profile| Some((profile.shared_path(), profile.params(alias)?)))
        {
            Some((path, params)) => Some(Settings::of(alias, params, &Origin::Profile { path })?),
            None => None,
        };
        let is_named = entry.is_some() || profile_layer.is_some();
        let needs_environment =
            *alias == *self.default_alias || !(is_named || settings.target.is_some());
        if let Some(entry) = entry {
            settings = settings.over(entry.clone());
        }
        if let Some(layer) = profile_layer {
            settings = settings.over(layer);
        }
        if needs_environment {
            settings = settings.over(self.environment_layer(alias)?);
        }
        settings = settings.over(self.environment_timeout(alias)?);
        if is_named && settings.target.is_none() {
            settings = settings.over(Settings::default_target());
        }
        let Some(target) = settings.complete_target() else {
            return Err(Error::UnknownAlias {
                alias: alias.into(),
                nearest: profile
                    .and_then(|profile| crate::field::nearest(alias, profile.aliases()))
                    .map(str::to_owned),
            });
        };
        let config = settings.config(alias, target)?;
        Ok(Resolved { settings, config })
    }

    /// `MILVUS_URI` and `MILVUS_TOKEN`; the token wins over the URI's user information.
    fn environment_layer(&self, alias: &str) -> Result<Settings, Error> {
        let mut layer = Settings::default();
        if let Some(token) = self.environment.token(alias)? {
            let origin = Origin::Environment {
                variable: MILVUS_TOKEN,
            };
            layer = layer.over(Settings::of(
                alias,
                &ConnectionParams::new().token(token),
                &origin,
            )?);
        }
        if let Some((variable, uri)) = self.environment.uri(alias)? {
            let origin = Origin::Environment { variable };
            layer = layer.over(Settings::of(alias, &ConnectionParams::uri(uri), &origin)?);
        }
        Ok(layer)
    }

    fn environment_timeout(&self, alias: &str) -> Result<Settings, Error> {
        let Some(timeout) = self.environment.timeout(alias)? else {
            return Ok(Settings::default());
        };
        let params = ConnectionParams::new().with(Field::Timeout, FieldValue::Seconds(timeout));
        let origin = Origin::Environment {
            variable: MILVUS_CONN_TIMEOUT,
        };
        Ok(Settings::of(alias, &params, &origin)?)
    }
}

/// An alias is any text but the empty one.
pub(crate) fn check_alias(alias: &str) -> Result<(), Error> {
    if alias.is_empty() {
        let message = "an alias can't be empty; the usual one is \"default\"";
        return Err(ConfigurationError::new(alias, None, Origin::Argument, message).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUD: (&str, &str) = ("MILVUS_URI", "https://env:pw@cloud");

    fn resolver(variables: impl IntoIterator<Item = (&'static str, &'static str)>) -> Resolver {
        Resolver {
            environment: Environment::of(variables),
            profile: ProfileLookup::Nowhere,
            default_alias: "default".into(),
        }
    }

    fn entry(params: ConnectionParams) -> Settings {
        Settings::of("x", &params, &Origin::Entry).unwrap()
    }

    fn uri(resolved: Result<Resolved, Error>) -> String {
        resolved.unwrap().config.target.to_string()
    }

    #[test]
    fn the_environment_fills_the_default_alias_and_never_overrides_a_named_one() {
        let resolver = resolver([CLOUD, (MILVUS_TOKEN, "key")]);
        let nothing = ConnectionParams::new();
        let default = resolver
            .resolve("default", &nothing, Some(&Settings::default()))
            .unwrap();
        assert_eq!(default.config.target.to_string(), "https://cloud:443");
        assert_eq!(
            format!("{:?}", default.config.credentials),
            "Fixed(Token(..))"
        );
        let named = entry(ConnectionParams::address("local:1"));
        let named = resolver.resolve("named", &nothing, Some(&named)).unwrap();
        assert_eq!(named.config.target.to_string(), "http://local:1");
        assert_eq!(
            format!("{:?}", named.config.credentials),
            "Fixed(Anonymous)"
        );
    }

    #[test]
    fn an_entry_of_the_default_alias_is_stronger_than_the_environment() {
        let resolver = resolver([CLOUD]);
        let own = entry(ConnectionParams::address("local:1"));
        let resolved = resolver
            .resolve("default", &ConnectionParams::new(), Some(&own))
            .unwrap();
        assert_eq!(resolved.config.target.to_string(), "http://local:1");
        assert_eq!(resolved.config.credentials.user(), None);
        assert_eq!(
            resolved.settings.unused.len(),
            1,
            "{:?}",
            resolved.settings.unused
        );
    }

    #[test]
    fn an_alias_without_entry_falls_back_to_the_environment_and_then_fails() {
        let nothing = ConnectionParams::new();
        assert_eq!(
            uri(resolver([CLOUD]).resolve("other", &nothing, None)),
            "https://cloud:443"
        );
        let argument = ConnectionParams::address("h:1");
        let resolved = resolver([CLOUD]).resolve("other", &argument, None).unwrap();
        assert_eq!(resolved.config.credentials.user(), None);
        let error = resolver([(MILVUS_TOKEN, "key")])
            .resolve("other", &nothing, None)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("You need to pass in the configuration of the connection named 'other'"),
            "{error}"
        );
    }

    #[test]
    fn a_profile_is_weaker_than_an_entry_and_stronger_than_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        std::fs::write(
            &path,
            "[default]\nuri = 'http://profile'\ntimeout = 7\ntoken_env = 'T'",
        )
        .unwrap();
        let mut resolver = resolver([CLOUD, (MILVUS_CONN_TIMEOUT, "3")]);
        resolver.profile = ProfileLookup::File(path);
        let nothing = ConnectionParams::new();
        let resolved = resolver
            .resolve("default", &nothing, Some(&Settings::default()))
            .unwrap();
        assert_eq!(resolved.config.target.to_string(), "http://profile:19530");
        assert_eq!(resolved.config.options.connect_timeout.as_secs(), 7);
        let own = entry(ConnectionParams::address("own:1"));
        let resolved = resolver.resolve("default", &nothing, Some(&own)).unwrap();
        assert_eq!(resolved.config.target.to_string(), "http://own:1");
        assert_eq!(resolved.config.options.connect_timeout.as_secs(), 3);
        let error = resolver
            .resolve("defualt", &nothing, None)
            .map(|r| r.config.target.to_string());
        assert_eq!(error.unwrap(), "https://cloud:443");
        resolver.environment = Environment::empty();
        let error = resolver
            .resolve("defualt", &nothing, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("Did you mean \"default\"?"), "{error}");
    }

    #[test]
    fn faults_name_the_variable() {
        let error = resolver([("MILVUS_DEFAULT_CONNECTION", "u:canary@h")])
            .resolve("default", &ConnectionParams::new(), None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("MILVUS_DEFAULT_CONNECTION") && !error.contains("canary"),
            "{error}"
        );
    }
}
