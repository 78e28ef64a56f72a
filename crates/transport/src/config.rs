//! Everything that makes one connection: where to, as whom, how secured, how patient.
//!
//! Invariant: two configurations with equal fingerprints may share one pool, and unequal ones never do. The database is
//! not part of it: it is a property of the handle.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::OnceLock;

use crate::credentials::CredentialSource;
use crate::options::ConnectionOptions;
use crate::target::Target;
use crate::tls::TlsOptions;

/// The configuration of one connection.
///
/// ```
/// use milvus_transport::{parse_uri, ConnectionConfig, Credentials};
///
/// let uri = parse_uri("https://db.example.com")?;
/// let config = ConnectionConfig::new(uri.target).credentials(Credentials::password("root", "Milvus"));
/// assert_eq!(config.target.address(), "db.example.com:443");
/// assert!(!format!("{config:?}").contains("Milvus\""));
/// # Ok::<(), milvus_transport::TargetError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// Where the Milvus is.
    pub target: Target,
    /// Where the credentials come from.
    pub credentials: CredentialSource,
    /// How TLS is done, for targets that use it.
    pub tls: TlsOptions,
    /// The database of calls that name none; empty for the server's default one.
    pub database: String,
    /// Timeouts, pool size and limits.
    pub options: ConnectionOptions,
}

impl ConnectionConfig {
    /// A connection without credentials, with the default options.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            credentials: CredentialSource::default(),
            tls: TlsOptions::default(),
            database: String::new(),
            options: ConnectionOptions::default(),
        }
    }

    /// Replaces the credentials.
    #[must_use]
    pub fn credentials(mut self, credentials: impl Into<CredentialSource>) -> Self {
        self.credentials = credentials.into();
        self
    }

    /// Replaces the TLS options.
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Replaces the database.
    #[must_use]
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = database.into();
        self
    }

    /// Replaces the options.
    #[must_use]
    pub fn options(mut self, options: ConnectionOptions) -> Self {
        self.options = options;
        self
    }

    /// What tells pools apart: target, credentials, TLS and options, without the database.
    pub fn fingerprint(&self) -> Fingerprint {
        // Two digests with keys made at process start: no secret can be found from them, and a clash of both is out of reach.
        static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
        let keys = KEYS.get_or_init(|| [RandomState::new(), RandomState::new()]);
        Fingerprint([self.digest(&keys[0]), self.digest(&keys[1])])
    }

    fn digest(&self, key: &RandomState) -> u64 {
        let mut hasher = key.build_hasher();
        self.target.hash(&mut hasher);
        self.credentials.hash_into(&mut hasher);
        self.tls.hash(&mut hasher);
        self.options.hash(&mut hasher);
        hasher.finish()
    }
}

/// What tells pools apart; see [`ConnectionConfig::fingerprint`]. Means nothing outside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u64; 2]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Credentials;
    use crate::target::parse_uri;

    fn config(uri: &str) -> ConnectionConfig {
        ConnectionConfig::new(parse_uri(uri).unwrap().target)
    }

    #[test]
    fn the_fingerprint_tells_target_credentials_tls_and_options_but_not_the_database() {
        let base = config("http://localhost:19530");
        assert_eq!(
            base.fingerprint(),
            base.clone().database("other").fingerprint()
        );
        assert_ne!(
            base.fingerprint(),
            config("https://localhost:19530").fingerprint()
        );
        assert_ne!(
            base.fingerprint(),
            config("http://localhost:19531").fingerprint()
        );
        assert_ne!(
            base.fingerprint(),
            base.clone()
                .credentials(Credentials::password("a", "b"))
                .fingerprint()
        );
        let with = |password: &str| {
            base.clone()
                .credentials(Credentials::password("a", password))
                .fingerprint()
        };
        assert_eq!(with("x"), with("x"));
        assert_ne!(with("x"), with("y"));
        let mut tls = base.clone();
        tls.tls.server_name = Some("milvus".into());
        assert_ne!(base.fingerprint(), tls.fingerprint());
        let mut options = base.clone();
        options.options.max_channels = 9;
        assert_ne!(base.fingerprint(), options.fingerprint());
    }
}
