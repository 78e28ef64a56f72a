//! The vocabulary of a connection's configuration: one name for each thing that can be set, the same in Rust, in the
//! profile file, in `explain` and in Python.
//!
//! Invariant: every place that reads or shows a configuration goes through this table, so a field that is missing in one
//! of them is missing here.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use milvus_transport::{SecretString, parse_uri};
use secrecy::ExposeSecret;
use serde::{Serialize, Serializer};

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $kind:ident,)+) => {
        /// Something that can be set for a connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Field {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Field {
            /// All fields, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in the profile file and in Python.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What kind of value it takes.
            pub fn kind(self) -> FieldKind {
                match self { $(Self::$variant => FieldKind::$kind,)+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

fields! {
    /// The address, `host:port`; wins over all other forms.
    Address "address" Text,
    /// Several addresses of one Milvus, among which calls are balanced.
    Addresses "addresses" Texts,
    /// The URI: `http[s]://[user:password@]host[:port][/database]`, `unix:/path.sock`, a path that ends in `.db`, or `memory:`.
    Uri "uri" Uri,
    /// The host; `localhost` when only a port is given.
    Host "host" Text,
    /// The port; 19530 when only a host is given.
    Port "port" Port,
    /// The user, together with a password.
    User "user" Text,
    /// The user's password.
    Password "password" Secret,
    /// The environment variable that holds the user's password.
    PasswordEnv "password_env" Text,
    /// The file that holds the user's password.
    PasswordFile "password_file" Path,
    /// The command that prints the user's password.
    PasswordCommand "password_command" Text,
    /// An API key, or `user:password`.
    Token "token" Secret,
    /// The environment variable that holds the token.
    TokenEnv "token_env" Text,
    /// The file that holds the token.
    TokenFile "token_file" Path,
    /// The command that prints the token.
    TokenCommand "token_command" Text,
    /// The database.
    DbName "db_name" Text,
    /// Whether the connection is encrypted with TLS.
    Secure "secure" Flag,
    /// PEM file of the certificate authorities to trust instead of the system's.
    CaPemPath "ca_pem_path" Path,
    /// PEM file of the client's certificate chain, for mutual TLS.
    ClientPemPath "client_pem_path" Path,
    /// PEM file of the client's private key, for mutual TLS.
    ClientKeyPath "client_key_path" Path,
    /// PEM file of the server's own certificate, to be trusted as it is.
    ServerPemPath "server_pem_path" Path,
    /// The name that the server's certificate must be valid for; by default the host.
    ServerName "server_name" Text,
    /// Seconds that a connect may take.
    Timeout "timeout" Seconds,
    /// Seconds that TCP and TLS to one address may take.
    DialTimeout "dial_timeout" Seconds,
    /// Seconds that a call may take when it names no deadline.
    CallTimeout "call_timeout" Seconds,
    /// Seconds without a byte from the server after which it is pinged.
    KeepaliveInterval "keepalive_interval" Seconds,
    /// Seconds that the answer to a ping may take.
    KeepaliveTimeout "keepalive_timeout" Seconds,
    /// Channels that are kept also without calls.
    MinChannels "min_channels" Count,
    /// Channels at most.
    MaxChannels "max_channels" Count,
    /// Seconds after which a channel is replaced.
    MaxLifetime "max_lifetime" Seconds,
    /// Seconds without calls after which a channel beyond `min_channels` is closed.
    IdleTimeout "idle_timeout" Seconds,
    /// Seconds that calls in flight may go on when their connection closes.
    DrainTimeout "drain_timeout" Seconds,
    /// Seconds that calls wait for a channel after the last one was lost.
    OutagePatience "outage_patience" Seconds,
    /// Bytes of one request at most.
    MaxRequestBytes "max_request_bytes" Count,
    /// Bytes of one answer at most.
    MaxResponseBytes "max_response_bytes" Count,
    /// Whether failed attempts are made again where their outcome allows it.
    Retry "retry" Flag,
}

impl Field {
    /// The field of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// The field whose name is most like `name`, when one is like it at all.
    ///
    /// ```
    /// use milvus_connections::Field;
    ///
    /// assert_eq!(Field::nearest("adress"), Some(Field::Address));
    /// assert_eq!(Field::nearest("zzz"), None);
    /// ```
    pub fn nearest(name: &str) -> Option<Self> {
        nearest(name, Self::ALL.iter().map(|field| field.name())).and_then(Self::from_name)
    }
}

/// The candidate that is most like `name`, when one is alike enough to be what was meant.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Below this, Jaro-Winkler similarity is chance: `eu` and `secure` reach 0.78.
    const ALIKE: f64 = 0.8;
    let name = name.to_lowercase().replace('-', "_");
    candidates
        .map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What kind of value a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A string.
    Text,
    /// A list of strings.
    Texts,
    /// A URI, which may hold a password.
    Uri,
    /// A port as a number or a string.
    Port,
    /// A string that must never be shown.
    Secret,
    /// A file's path.
    Path,
    /// True or false.
    Flag,
    /// A duration in seconds, whole or not.
    Seconds,
    /// A whole number, zero or more.
    Count,
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text | Self::Secret | Self::Uri => "a string",
            Self::Texts => "a list of strings",
            Self::Port => "a whole number or a string",
            Self::Path => "a path (a string)",
            Self::Flag => "true or false",
            Self::Seconds => "a number of seconds above zero",
            Self::Count => "a whole number",
        })
    }
}

/// The value of a field. Its `Debug`, `Display` and serialised forms show `set` in place of a secret.
#[derive(Clone)]
#[non_exhaustive]
pub enum FieldValue {
    /// A string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
    /// A string that is never shown whole: a URI without its password, a secret not at all.
    Secret(SecretString),
    /// A file's path.
    Path(PathBuf),
    /// True or false.
    Flag(bool),
    /// A duration.
    Seconds(Duration),
    /// A whole number.
    Count(usize),
}

impl FieldValue {
    /// Whether it is an empty string, which means "not given" everywhere, as in PyMilvus.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Texts(texts) => texts.is_empty(),
            Self::Secret(secret) => secret.expose_secret().is_empty(),
            Self::Path(path) => path.as_os_str().is_empty(),
            Self::Flag(_) | Self::Seconds(_) | Self::Count(_) => false,
        }
    }

    /// The value as `field` may be shown.
    pub(crate) fn shown(&self, field: Field) -> ShownValue {
        match self {
            Self::Secret(secret) if field.kind() == FieldKind::Uri => ShownValue::Text(
                parse_uri(secret.expose_secret())
                    .map_or_else(|_| "set, but not a URI".to_owned(), |uri| uri.to_string()),
            ),
            Self::Secret(_) => ShownValue::Text("set".to_owned()),
            Self::Text(text) => ShownValue::Text(text.clone()),
            Self::Texts(texts) => ShownValue::Texts(texts.clone()),
            Self::Path(path) => ShownValue::Text(path.display().to_string()),
            Self::Flag(flag) => ShownValue::Flag(*flag),
            Self::Seconds(duration) => ShownValue::Seconds(duration.as_secs_f64()),
            Self::Count(count) => ShownValue::Count(*count),
        }
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("set"),
            Self::Text(text) => text.fmt(f),
            Self::Texts(texts) => texts.fmt(f),
            Self::Path(path) => path.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Seconds(duration) => duration.fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// A value as it may be shown: secrets are `set`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ShownValue {
    /// A string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
    /// True or false.
    Flag(bool),
    /// A duration in seconds.
    Seconds(f64),
    /// A whole number.
    Count(usize),
}

impl fmt::Display for ShownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
            Self::Flag(flag) => flag.fmt(f),
            Self::Seconds(seconds) => write!(f, "{seconds} s"),
            Self::Count(count) => count.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for field in Field::ALL {
            assert_eq!(Field::from_name(field.name()), Some(*field));
            assert_eq!(Field::nearest(field.name()), Some(*field));
            assert!(!field.meaning().is_empty());
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = FieldValue::Secret("canary".into());
        assert!(!format!("{secret:?} {}", secret.shown(Field::Token)).contains("canary"));
        let uri = FieldValue::Secret("http://u:canary@h:1".into());
        assert_eq!(uri.shown(Field::Uri).to_string(), "http://u:***@h:1");
        assert!(!format!("{uri:?}").contains("canary"));
        let broken = FieldValue::Secret("u:canary@h".into());
        assert!(!broken.shown(Field::Uri).to_string().contains("canary"));
    }
}
