//! Who we are to a Milvus, and where that knowledge comes from.
//!
//! Invariant: a secret is never printed. `Debug` is written by hand for everything here that holds one,
//! and the `authorization` header value is marked sensitive, so that HTTP/2 never indexes it either.

use std::fmt;

use base64::Engine as _;
use http::HeaderValue;
use secrecy::ExposeSecret;
pub use secrecy::SecretString;

mod cache;
mod source;

pub(crate) use cache::{Authorization, AuthorizationCache};
pub use source::{CredentialError, CredentialSource};

/// Proof of identity, sent with every call as the `authorization` metadata.
///
/// Milvus expects base64 of `user:password`, or base64 of a token as it was given.
///
/// ```
/// use milvus_transport::Credentials;
///
/// let credentials = Credentials::password("root", "Milvus");
/// assert_eq!(credentials.user(), Some("root"));
/// assert!(!format!("{credentials:?}").contains("Milvus"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// No `authorization` metadata at all.
    #[default]
    Anonymous,
    /// A user and its password.
    Password {
        /// The user's name.
        user: String,
        /// The user's password.
        password: SecretString,
    },
    /// An API key, or `user:password` in one string.
    Token(SecretString),
}

impl Credentials {
    /// A user and its password.
    pub fn password(user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self::Password {
            user: user.into(),
            password: password.into(),
        }
    }

    /// An API key, or `user:password` in one string.
    pub fn token(token: impl Into<SecretString>) -> Self {
        Self::Token(token.into())
    }

    /// The user's name: also of a token in the form `user:password`; `None` for an API key or without credentials.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Password { user, .. } => Some(user),
            Self::Token(token) => token.expose_secret().split_once(':').map(|(user, _)| user),
        }
    }

    /// True when calls are sent without `authorization`.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// True when both prove the same identity in the same words.
    pub fn same_as(&self, other: &Self) -> bool {
        self.plain() == other.plain()
    }

    fn plain(&self) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Password { user, password } => {
                Some(format!("{user}:{}", password.expose_secret()))
            }
            Self::Token(token) => Some(token.expose_secret().to_owned()),
        }
    }

    /// The value of the `authorization` metadata; `None` when anonymous.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let encoded = base64::engine::general_purpose::STANDARD.encode(self.plain()?);
        let mut value = HeaderValue::try_from(encoded).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The value of the `Authorization` header of Zilliz Cloud's REST interface; `None` when anonymous.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.plain()?)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Feeds the secret into a hasher that keys pools; see [`crate::Fingerprint`].
    pub(crate) fn hash_into(&self, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        self.plain().hash(hasher);
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { user, .. } => f
                .debug_struct("Password")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::Token(_) => match self.user() {
                Some(user) => f
                    .debug_struct("Token")
                    .field("user", &user)
                    .finish_non_exhaustive(),
                None => f.write_str("Token(..)"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_is_base64_of_user_and_password() {
        let value = Credentials::password("root", "Milvus")
            .authorization()
            .unwrap();
        assert_eq!(value.to_str().unwrap(), "cm9vdDpNaWx2dXM=");
        assert!(value.is_sensitive());
    }

    #[test]
    fn a_token_of_user_and_password_is_the_same_as_the_pair() {
        let pair = Credentials::password("root", "p:w");
        let token = Credentials::token("root:p:w");
        assert!(pair.same_as(&token));
        assert_eq!(token.user(), Some("root"));
        assert_eq!(Credentials::token("an-api-key").user(), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        for credentials in [
            Credentials::password("u", "canary-7f3a"),
            Credentials::token("canary-7f3a"),
            Credentials::token("u:canary-7f3a"),
        ] {
            assert!(
                !format!("{credentials:?}").contains("canary"),
                "{credentials:?}"
            );
        }
    }
}
