//! Why a connection is configured as it is: every value with its source.
//!
//! Invariant: an explanation can be shown, logged and serialised as it is; secrets are `set` in it.

use std::fmt;

use milvus_transport::ConnectionConfig;
use serde::Serialize;

use crate::field::{Field, ShownValue};
use crate::settings::{DEFAULT_DATABASE, Settings, option_value};
use crate::source::{Source, Sourced};

/// Every value of an alias's configuration, with its source.
///
/// ```
/// use milvus_connections::{ConnectionParams, Connections};
///
/// let connections = Connections::isolated();
/// connections.add_connection([("cloud", ConnectionParams::uri("https://cloud.example.com").token("hidden"))])?;
/// let explanation = connections.explain("cloud")?;
/// let token = explanation.setting("token").unwrap();
/// assert_eq!((token.value.to_string(), token.source.to_string()), ("set".into(), "entry, `token`".into()));
/// assert_eq!(explanation.setting("secure").unwrap().source.to_string(), "entry, `uri`");
/// assert_eq!(explanation.setting("timeout").unwrap().source.to_string(), "default");
/// # Ok::<(), milvus_connections::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The alias.
    pub alias: String,
    /// Every value that applies.
    pub settings: Vec<Setting>,
    /// What was given and does not apply.
    pub unused: Vec<Unused>,
}

/// A value that applies.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// Its name: a field's name.
    pub name: &'static str,
    /// Its value; `set` for a secret.
    pub value: ShownValue,
    /// Where it came from.
    pub source: Source,
}

/// Something that was given and does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unused {
    /// Where it was given.
    pub source: Source,
    /// Why it does not apply.
    pub reason: String,
}

impl Explanation {
    pub(crate) fn new(alias: &str, settings: &Settings, config: &ConnectionConfig) -> Self {
        Self {
            alias: alias.to_owned(),
            settings: all(settings, config),
            unused: settings.unused.clone(),
        }
    }

    /// The setting of that name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

fn all(settings: &Settings, config: &ConnectionConfig) -> Vec<Setting> {
    let text = |text: &str| ShownValue::Text(text.to_owned());
    let mut shown = Vec::new();
    let mut push = |field: Field, value: ShownValue, source: Option<&Source>| {
        shown.push(Setting {
            name: field.name(),
            value,
            source: source.cloned().unwrap_or_else(Source::default_value),
        });
    };
    push(
        Field::Address,
        text(&config.target.address()),
        settings.target.as_ref().map(source),
    );
    push(
        Field::Secure,
        ShownValue::Flag(config.target.secure()),
        settings.secure.as_ref().map(source),
    );
    push(
        Field::User,
        text(
            settings
                .user
                .as_ref()
                .map(|user| user.value.as_str())
                .unwrap_or_default(),
        ),
        settings.user.as_ref().map(source),
    );
    if let Some(secret) = &settings.secret {
        let kept = secret.source.field.filter(|field| *field != Field::Uri);
        let field = kept.unwrap_or(if secret.value.is_token {
            Field::Token
        } else {
            Field::Password
        });
        push(field, text(&secret.value.shown()), Some(&secret.source));
    }
    let database = settings.database.as_ref();
    push(
        Field::DbName,
        text(database.map_or(DEFAULT_DATABASE, |database| database.value.as_str())),
        database.map(source),
    );
    for field in Field::ALL.iter().copied() {
        let given = settings.others.get(&field);
        let value = given
            .map(|given| given.value.clone())
            .or_else(|| option_value(&config.options, field));
        if let Some(value) = value {
            push(field, value.shown(field), given.map(source));
        }
    }
    shown
}

fn source<T>(sourced: &Sourced<T>) -> &Source {
    &sourced.source
}

/// A table for people.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "alias {:?}", self.alias)?;
        let shown: Vec<_> = self
            .settings
            .iter()
            .map(|s| (s.name, s.value.to_string(), &s.source))
            .collect();
        let names = shown.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let values = shown
            .iter()
            .map(|(_, value, _)| value.chars().count())
            .max()
            .unwrap_or(0);
        for (name, value, source) in shown {
            writeln!(f, "  {name:names$}  {value:values$}  {source}")?;
        }
        for unused in &self.unused {
            writeln!(f, "  not used: {}: {}", unused.source, unused.reason)?;
        }
        Ok(())
    }
}
