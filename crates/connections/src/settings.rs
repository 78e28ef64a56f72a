//! One layer of a configuration in canonical form, and how layers are laid over each other.
//!
//! Invariant (precedence): argument > the alias's own entry > profile file > environment > default, value by value. But a
//! layer that names another Milvus than the strongest layer does is about another Milvus: nothing of it applies, or a
//! credential would be sent to a server that it was not made for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use milvus_transport::{
    ConnectionConfig, ConnectionOptions, CredentialSource, Credentials, DEFAULT_HOST, DEFAULT_PORT,
    Endpoint, Host, SecretString, Target, TlsOptions,
};

use crate::error::ConfigurationError;
use crate::explain::Unused;
use crate::field::{Field, FieldValue};
use crate::params::ConnectionParams;
use crate::source::{Origin, Source, Sourced};

mod read;

/// The name that an unnamed database has in Milvus.
pub(crate) const DEFAULT_DATABASE: &str = "default";

/// A layer, or several of them merged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Where to; TCP targets stand here as not secure, since `secure` is a value of its own.
    pub(crate) target: Option<Sourced<Target>>,
    pub(crate) secure: Option<Sourced<bool>>,
    pub(crate) user: Option<Sourced<String>>,
    pub(crate) secret: Option<Sourced<Secret>>,
    pub(crate) database: Option<Sourced<String>>,
    /// TLS files and options.
    pub(crate) others: BTreeMap<Field, Sourced<FieldValue>>,
    /// What was given and does not apply.
    pub(crate) unused: Vec<Unused>,
}

/// A password or token, in place or by reference.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) is_token: bool,
    pub(crate) kept: Kept,
}

#[derive(Clone, Debug)]
pub(crate) enum Kept {
    InPlace(SecretString),
    Variable(String),
    File(PathBuf),
    Command(String),
}

impl Secret {
    /// The name of what is referred to; `set` for a secret that is kept in place.
    pub(crate) fn shown(&self) -> String {
        match &self.kept {
            Kept::InPlace(_) => "set".to_owned(),
            Kept::Variable(name) => name.clone(),
            Kept::File(path) => path.display().to_string(),
            Kept::Command(command) => command.clone(),
        }
    }
}

impl Settings {
    /// Reads and checks what one origin says.
    pub(crate) fn of(
        alias: &str,
        params: &ConnectionParams,
        origin: &Origin,
    ) -> Result<Self, ConfigurationError> {
        read::settings(params, origin).map_err(|fault| {
            ConfigurationError::new(alias, Some(fault.field), origin.clone(), fault.message)
        })
    }

    /// The target that stands in when nobody names one.
    pub(crate) fn default_target() -> Self {
        let host = Host::Name(DEFAULT_HOST.to_owned());
        let endpoint = Endpoint {
            host,
            port: DEFAULT_PORT,
        };
        Self {
            target: Some(Sourced {
                value: Target::endpoint(endpoint, false),
                source: Source::default_value(),
            }),
            ..Self::default()
        }
    }

    /// Lays these settings over weaker ones.
    #[must_use]
    pub(crate) fn over(mut self, weaker: Self) -> Self {
        if let (Some(strong), Some(weak)) = (&self.target, &weaker.target)
            && strong.value != weak.value
        {
            let reason = format!(
                "it is about {}, not {}",
                weak.value.address(),
                strong.value.address()
            );
            self.unused.extend(weaker.unused_as_a_whole(&reason));
            return self;
        }
        self.lay_credentials_over(weaker.user, weaker.secret);
        self.target = self.target.or(weaker.target);
        self.secure = self.secure.or(weaker.secure);
        self.database = self.database.or(weaker.database);
        for (field, value) in weaker.others {
            self.others.entry(field).or_insert(value);
        }
        self.unused.extend(weaker.unused);
        self
    }

    /// A password goes with the user that it was given for; a token needs none.
    fn lay_credentials_over(
        &mut self,
        user: Option<Sourced<String>>,
        secret: Option<Sourced<Secret>>,
    ) {
        match &self.secret {
            Some(own) if own.value.is_token => {}
            Some(_) => self.user = self.user.take().or(user),
            None => {
                let same_user = match (&self.user, &user) {
                    (Some(own), Some(weaker)) => own.value == weaker.value,
                    (Some(_), None) => secret.as_ref().is_some_and(|secret| !secret.value.is_token),
                    (None, _) => true,
                };
                if same_user {
                    self.user = self.user.take().or(user);
                    self.secret = secret;
                }
            }
        }
    }

    fn unused_as_a_whole(&self, reason: &str) -> Vec<Unused> {
        let sources = self
            .target
            .iter()
            .map(|s| &s.source)
            .chain(self.secure.iter().map(|s| &s.source))
            .chain(self.user.iter().map(|s| &s.source))
            .chain(self.secret.iter().map(|s| &s.source))
            .chain(self.database.iter().map(|s| &s.source))
            .chain(self.others.values().map(|s| &s.source));
        let mut unused: Vec<Unused> = Vec::new();
        for source in sources.filter(|source| source.origin != Origin::Default) {
            if !unused.iter().any(|known| known.source == *source) {
                unused.push(Unused {
                    source: source.clone(),
                    reason: reason.to_owned(),
                });
            }
        }
        unused
    }

    /// The same settings as an entry of the registry remembers them.
    #[must_use]
    pub(crate) fn remembered(mut self) -> Self {
        let remember = |source: &mut Source| {
            if source.origin == Origin::Argument {
                source.origin = Origin::Entry;
            }
        };
        self.target.iter_mut().for_each(|s| remember(&mut s.source));
        self.secure.iter_mut().for_each(|s| remember(&mut s.source));
        self.user.iter_mut().for_each(|s| remember(&mut s.source));
        self.secret.iter_mut().for_each(|s| remember(&mut s.source));
        self.database
            .iter_mut()
            .for_each(|s| remember(&mut s.source));
        self.others
            .values_mut()
            .for_each(|s| remember(&mut s.source));
        self.unused.clear();
        self
    }

    /// Whether TLS is to be used.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| secure.value)
    }

    /// The complete target; `None` when nobody named one.
    pub(crate) fn complete_target(&self) -> Option<Target> {
        self.target.as_ref().map(|target| match &target.value {
            Target::Tcp { endpoints, .. } => Target::Tcp {
                endpoints: endpoints.clone(),
                secure: self.is_secure(),
            },
            other => other.clone(),
        })
    }

    /// The configuration of a connection to `target`, which [`complete_target`](Self::complete_target) gave.
    pub(crate) fn config(
        &self,
        alias: &str,
        target: Target,
    ) -> Result<ConnectionConfig, ConfigurationError> {
        let fault = |source: &Source, message: String| {
            ConfigurationError::new(alias, source.field, source.origin.clone(), message)
        };
        if let (Some(secure), false) = (
            self.secure.as_ref().filter(|s| s.value),
            matches!(target, Target::Tcp { .. }),
        ) {
            return Err(fault(
                &secure.source,
                format!(
                    "TLS is for network addresses, and {} is local",
                    target.address()
                ),
            ));
        }
        if !target.secure()
            && let Some((_, given)) = self.others.iter().find(|(field, _)| concerns_tls(**field))
        {
            return Err(fault(
                &given.source,
                "it is for TLS, and the connection is in plain text. Use https:// in the URI, or set `secure` to true.".to_owned(),
            ));
        }
        let mut config =
            ConnectionConfig::new(target).credentials(self.credentials().map_err(|secret| {
                fault(
                    &secret.source,
                    "a password is given without a `user`".to_owned(),
                )
            })?);
        config.tls = self.tls();
        config.database = self
            .database
            .as_ref()
            .map(|d| d.value.clone())
            .unwrap_or_default();
        config.options = self.options();
        if let (Some(least), true) = (
            self.others.get(&Field::MinChannels),
            config.options.min_channels > config.options.max_channels,
        ) {
            let most = config.options.max_channels;
            return Err(fault(
                &least.source,
                format!(
                    "{} is more than `max_channels`, {most}",
                    config.options.min_channels
                ),
            ));
        }
        Ok(config)
    }

    fn credentials(&self) -> Result<CredentialSource, &Sourced<Secret>> {
        let user = self.user.as_ref().map(|user| user.value.clone());
        let Some(secret) = &self.secret else {
            return Ok(CredentialSource::from(match user {
                Some(user) => Credentials::password(user, String::new()),
                None => Credentials::Anonymous,
            }));
        };
        let user = match (secret.value.is_token, user) {
            (true, _) => None,
            (false, Some(user)) => Some(user),
            (false, None) => return Err(secret),
        };
        Ok(match (secret.value.kept.clone(), user) {
            (Kept::InPlace(password), Some(user)) => Credentials::password(user, password).into(),
            (Kept::InPlace(token), None) => Credentials::token(token).into(),
            (Kept::Variable(variable), user) => CredentialSource::Environment { user, variable },
            (Kept::File(path), user) => CredentialSource::File { user, path },
            (Kept::Command(command), user) => CredentialSource::Command { user, command },
        })
    }

    fn tls(&self) -> TlsOptions {
        let path = |field| match self.others.get(&field).map(|given| &given.value) {
            Some(FieldValue::Path(path)) => Some(path.clone()),
            _ => None,
        };
        let mut tls = TlsOptions::default();
        tls.ca_pem_path = path(Field::CaPemPath);
        tls.client_pem_path = path(Field::ClientPemPath);
        tls.client_key_path = path(Field::ClientKeyPath);
        tls.server_pem_path = path(Field::ServerPemPath);
        tls.server_name = match self
            .others
            .get(&Field::ServerName)
            .map(|given| &given.value)
        {
            Some(FieldValue::Text(name)) => Some(name.clone()),
            _ => None,
        };
        tls
    }

    fn options(&self) -> ConnectionOptions {
        let mut options = ConnectionOptions::default();
        for (field, given) in &self.others {
            match (field, &given.value) {
                (Field::Timeout, FieldValue::Seconds(value)) => options.connect_timeout = *value,
                (Field::DialTimeout, FieldValue::Seconds(value)) => options.dial_timeout = *value,
                (Field::CallTimeout, FieldValue::Seconds(value)) => options.call_timeout = *value,
                (Field::KeepaliveInterval, FieldValue::Seconds(value)) => {
                    options.keepalive_interval = *value
                }
                (Field::KeepaliveTimeout, FieldValue::Seconds(value)) => {
                    options.keepalive_timeout = *value
                }
                (Field::MaxLifetime, FieldValue::Seconds(value)) => options.max_lifetime = *value,
                (Field::IdleTimeout, FieldValue::Seconds(value)) => options.idle_timeout = *value,
                (Field::DrainTimeout, FieldValue::Seconds(value)) => options.drain_timeout = *value,
                (Field::OutagePatience, FieldValue::Seconds(value)) => {
                    options.outage_patience = *value
                }
                (Field::MinChannels, FieldValue::Count(value)) => options.min_channels = *value,
                (Field::MaxChannels, FieldValue::Count(value)) => options.max_channels = *value,
                (Field::MaxRequestBytes, FieldValue::Count(value)) => {
                    options.max_request_bytes = *value
                }
                (Field::MaxResponseBytes, FieldValue::Count(value)) => {
                    options.max_response_bytes = *value
                }
                (Field::Retry, FieldValue::Flag(value)) => options.retry = *value,
                _ => {}
            }
        }
        options
    }
}

/// The value that an option has in `options`; `None` for a field that is no option.
pub(crate) fn option_value(options: &ConnectionOptions, field: Field) -> Option<FieldValue> {
    Some(match field {
        Field::Timeout => FieldValue::Seconds(options.connect_timeout),
        Field::DialTimeout => FieldValue::Seconds(options.dial_timeout),
        Field::CallTimeout => FieldValue::Seconds(options.call_timeout),
        Field::KeepaliveInterval => FieldValue::Seconds(options.keepalive_interval),
        Field::KeepaliveTimeout => FieldValue::Seconds(options.keepalive_timeout),
        Field::MaxLifetime => FieldValue::Seconds(options.max_lifetime),
        Field::IdleTimeout => FieldValue::Seconds(options.idle_timeout),
        Field::DrainTimeout => FieldValue::Seconds(options.drain_timeout),
        Field::OutagePatience => FieldValue::Seconds(options.outage_patience),
        Field::MinChannels => FieldValue::Count(options.min_channels),
        Field::MaxChannels => FieldValue::Count(options.max_channels),
        Field::MaxRequestBytes => FieldValue::Count(options.max_request_bytes),
        Field::MaxResponseBytes => FieldValue::Count(options.max_response_bytes),
        Field::Retry => FieldValue::Flag(options.retry),
        _ => return None,
    })
}

fn concerns_tls(field: Field) -> bool {
    matches!(
        field,
        Field::CaPemPath
            | Field::ClientPemPath
            | Field::ClientKeyPath
            | Field::ServerPemPath
            | Field::ServerName
    )
}

#[cfg(test)]
mod tests;
