//! What a program says about a connection, before it is merged with what others say.
//!
//! Invariant: nothing given is dropped or checked here; [`crate::Connections::add_connection`] and `connect` check it, and say
//! which field of which alias is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use milvus_transport::SecretString;

use crate::field::{Field, FieldValue};

/// The parameters of a connection, all of them optional. An empty string means "not given".
///
/// Of the forms of an address, `address` wins over `addresses`, `uri`, and `host` with `port`, in this order.
///
/// ```
/// use milvus_connections::ConnectionParams;
///
/// let local = ConnectionParams::address("localhost:19530");
/// let dev = ConnectionParams::host("localhost").port(19543).user("root").password("Milvus");
/// let cloud = ConnectionParams::uri("https://in01-0123.api.example.com").token_env("CLOUD_TOKEN");
/// assert!(!format!("{dev:?}").contains("Milvus"));
/// ```
#[derive(Clone, Default)]
#[must_use = "parameters do nothing until they are given to a registry"]
pub struct ConnectionParams {
    values: BTreeMap<Field, FieldValue>,
}

macro_rules! setters {
    ($($(#[$doc:meta])+ $method:ident($argument:ty) $field:ident $make:expr;)+) => {
        $($(#[$doc])+ pub fn $method(self, value: $argument) -> Self {
            self.with(Field::$field, $make(value))
        })+
    };
}

impl ConnectionParams {
    /// Nothing given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An address, such as `localhost:19530` or `[::1]:19530`.
    pub fn address(address: impl Into<String>) -> Self {
        Self::new().with(Field::Address, FieldValue::Text(address.into()))
    }

    /// Several addresses of one Milvus, among which calls are balanced.
    pub fn addresses<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Self {
        let addresses = addresses.into_iter().map(Into::into).collect();
        Self::new().with(Field::Addresses, FieldValue::Texts(addresses))
    }

    /// A URI; see [`milvus_transport::parse_uri`] for the forms. A password in it is kept as a secret.
    pub fn uri(uri: impl Into<SecretString>) -> Self {
        Self::new().with(Field::Uri, FieldValue::Secret(uri.into()))
    }

    /// A host, on port 19530 unless [`port`](Self::port) says otherwise.
    pub fn host(host: impl Into<String>) -> Self {
        Self::new().with(Field::Host, FieldValue::Text(host.into()))
    }

    /// A port as a number or a string; on `localhost` unless a host is given.
    pub fn port(self, port: impl Into<Port>) -> Self {
        self.with(Field::Port, FieldValue::Text(port.into().0))
    }

    /// A user name; goes with a password.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(Field::User, FieldValue::Text(user.into()))
    }

    /// The user's password.
    pub fn password(self, password: impl Into<SecretString>) -> Self {
        self.with(Field::Password, FieldValue::Secret(password.into()))
    }

    /// The name of the environment variable that holds the user's password; read again for new attempts.
    pub fn password_env(self, variable: impl Into<String>) -> Self {
        self.with(Field::PasswordEnv, FieldValue::Text(variable.into()))
    }

    /// The file that holds the user's password; read again when it changes.
    pub fn password_file(self, path: impl Into<PathBuf>) -> Self {
        self.with(Field::PasswordFile, FieldValue::Path(path.into()))
    }

    /// The command that prints the user's password, run by `sh -c`.
    pub fn password_command(self, command: impl Into<String>) -> Self {
        self.with(Field::PasswordCommand, FieldValue::Text(command.into()))
    }

    /// An API key, or `user:password`.
    pub fn token(self, token: impl Into<SecretString>) -> Self {
        self.with(Field::Token, FieldValue::Secret(token.into()))
    }

    /// The name of the environment variable that holds the token; read again for new attempts.
    pub fn token_env(self, variable: impl Into<String>) -> Self {
        self.with(Field::TokenEnv, FieldValue::Text(variable.into()))
    }

    /// The file that holds the token; read again when it changes.
    pub fn token_file(self, path: impl Into<PathBuf>) -> Self {
        self.with(Field::TokenFile, FieldValue::Path(path.into()))
    }

    /// The command that prints the token, run by `sh -c`.
    pub fn token_command(self, command: impl Into<String>) -> Self {
        self.with(Field::TokenCommand, FieldValue::Text(command.into()))
    }

    /// The database.
    pub fn db_name(self, database: impl Into<String>) -> Self {
        self.with(Field::DbName, FieldValue::Text(database.into()))
    }

    /// PEM file of the certificate authorities to trust instead of the system's.
    pub fn ca_pem_path(self, path: impl Into<PathBuf>) -> Self {
        self.with(Field::CaPemPath, FieldValue::Path(path.into()))
    }

    /// PEM files of the client's certificate chain and of its private key, for mutual TLS.
    pub fn client_certificate(
        self,
        pem_path: impl Into<PathBuf>,
        key_path: impl Into<PathBuf>,
    ) -> Self {
        self.with(Field::ClientPemPath, FieldValue::Path(pem_path.into()))
            .with(Field::ClientKeyPath, FieldValue::Path(key_path.into()))
    }

    /// PEM file of the server's own certificate, to be trusted as it is.
    pub fn server_pem_path(self, path: impl Into<PathBuf>) -> Self {
        self.with(Field::ServerPemPath, FieldValue::Path(path.into()))
    }

    /// The name that the server's certificate must be valid for; by default the host.
    pub fn server_name(self, name: impl Into<String>) -> Self {
        self.with(Field::ServerName, FieldValue::Text(name.into()))
    }

    setters! {
        /// Whether the connection is encrypted with TLS; an `https` URI says so by itself.
        secure(bool) Secure FieldValue::Flag;
        /// How long a connect may take, everything included. Default 10 s.
        timeout(Duration) Timeout FieldValue::Seconds;
        /// How long TCP and TLS to one address may take. Default 5 s.
        dial_timeout(Duration) DialTimeout FieldValue::Seconds;
        /// How long a call may take when it names no deadline. Default 60 s.
        call_timeout(Duration) CallTimeout FieldValue::Seconds;
        /// A ping after this long without a byte from the server. Default 25 s.
        keepalive_interval(Duration) KeepaliveInterval FieldValue::Seconds;
        /// How long the answer to a ping may take. Default 10 s.
        keepalive_timeout(Duration) KeepaliveTimeout FieldValue::Seconds;
        /// Channels that are kept also without calls. Default 1.
        min_channels(usize) MinChannels FieldValue::Count;
        /// Channels at most. Default 4.
        max_channels(usize) MaxChannels FieldValue::Count;
        /// The age at which a channel is replaced. Default 30 min.
        max_lifetime(Duration) MaxLifetime FieldValue::Seconds;
        /// How long a channel beyond `min_channels` may be without calls. Default 5 min.
        idle_timeout(Duration) IdleTimeout FieldValue::Seconds;
        /// How long calls in flight may go on when their connection closes. Default 10 s.
        drain_timeout(Duration) DrainTimeout FieldValue::Seconds;
        /// How long calls wait for a channel after the last one was lost. Default 30 s.
        outage_patience(Duration) OutagePatience FieldValue::Seconds;
        /// Bytes of one request at most. Default 64 MiB.
        max_request_bytes(usize) MaxRequestBytes FieldValue::Count;
        /// Bytes of one answer at most.
        max_response_bytes(usize) MaxResponseBytes FieldValue::Count;
        /// Whether failed attempts are made again where their outcome allows it. Default true.
        retry(bool) Retry FieldValue::Flag;
    }

    /// Sets any field, as a file or another language does. An empty string takes the field back.
    pub fn with(mut self, field: Field, value: FieldValue) -> Self {
        if value.is_empty() {
            self.values.remove(&field);
        } else {
            self.values.insert(field, value);
        }
        self
    }

    /// The value of a field, if it was given.
    pub fn get(&self, field: Field) -> Option<&FieldValue> {
        self.values.get(&field)
    }

    /// What was given, in the order of [`Field::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Field, &FieldValue)> {
        self.values.iter().map(|(field, value)| (*field, value))
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Shows secrets as `set`, and a URI without its password.
impl fmt::Debug for ConnectionParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(field, value)| (field.name(), value.shown(field).to_string())),
            )
            .finish()
    }
}

/// A port, given as a number or as a string. Whether it is in Milvus's range is checked when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port(String);

macro_rules! port_from_number {
    ($($number:ty),+) => {
        $(impl From<$number> for Port {
            fn from(port: $number) -> Self {
                Self(port.to_string())
            }
        })+
    };
}

port_from_number!(u16, i32, u32, i64);

impl From<&str> for Port {
    fn from(port: &str) -> Self {
        Self(port.to_owned())
    }
}

impl From<String> for Port {
    fn from(port: String) -> Self {
        Self(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_string_is_not_given() {
        let params = ConnectionParams::address("")
            .user("")
            .password("")
            .db_name("");
        assert!(params.is_empty());
        let taken_back =
            ConnectionParams::address("a:1").with(Field::Address, FieldValue::Text(String::new()));
        assert!(taken_back.is_empty());
    }

    #[test]
    fn debug_shows_no_secret() {
        let params = ConnectionParams::uri("http://root:canary@h:1")
            .password("canary")
            .token("canary");
        insta::assert_snapshot!(format!("{params:?}"), @r#"{"uri": "http://root:***@h:1", "password": "set", "token": "set"}"#);
    }
}
