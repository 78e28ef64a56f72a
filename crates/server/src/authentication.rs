//! Who may call.
//!
//! Invariant: no secret is kept as it is: what was accepted a moment ago is remembered by a digest with a key that this
//! process made. A refusal says the same words as a Milvus proxy, since clients match on them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use http::HeaderMap;

/// Knows users and API keys.
pub trait Authenticate: Send + Sync {
    /// Whether the password is the user's. May block for as long as a password hash takes.
    fn verify_password(&self, user: &str, password: &str) -> bool;

    /// Whether this is an API key that may call. None is, by default.
    fn verify_key(&self, _key: &str) -> bool {
        false
    }
}

/// How long an accepted password is not hashed again. A changed password is refused no later than this.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Accepted credentials that are remembered at most.
const MOST: usize = 10_000;

/// What a Milvus proxy says; the status is UNAUTHENTICATED.
pub(crate) const MISSING: &str = "missing authorization in header";
const MALFORMED: &str = "invalid token format";
const WRONG_PASSWORD: &str = "auth check failure, please check username and password are correct";
const WRONG_KEY: &str = "auth check failure, please check api key is correct";

pub(crate) struct Gate {
    authentication: Arc<dyn Authenticate>,
    keys: [RandomState; 2],
    accepted: Mutex<HashMap<[u64; 2], Instant>>,
}

impl Gate {
    pub(crate) fn new(authentication: Arc<dyn Authenticate>) -> Self {
        Self {
            authentication,
            keys: [RandomState::new(), RandomState::new()],
            accepted: Mutex::default(),
        }
    }

    /// Lets a call pass, or says why not.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let header = headers.get(http::header::AUTHORIZATION).ok_or(MISSING)?;
        let digest = [
            self.keys[0].hash_one(header.as_bytes()),
            self.keys[1].hash_one(header.as_bytes()),
        ];
        if self.is_remembered(digest) {
            return Ok(());
        }
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(header.as_bytes())
            .map_err(|_| MALFORMED)?;
        let token = String::from_utf8(decoded).map_err(|_| MALFORMED)?;
        let authentication = Arc::clone(&self.authentication);
        let verified = tokio::task::spawn_blocking(move || match token.split_once(':') {
            Some((user, password)) if authentication.verify_password(user, password) => Ok(()),
            Some(_) => Err(WRONG_PASSWORD),
            None if authentication.verify_key(&token) => Ok(()),
            None => Err(WRONG_KEY),
        });
        // A panic of the verifier admits nobody.
        verified.await.unwrap_or(Err(WRONG_PASSWORD))?;
        self.remember(digest);
        Ok(())
    }

    fn is_remembered(&self, digest: [u64; 2]) -> bool {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted
            .get(&digest)
            .is_some_and(|at| at.elapsed() < REMEMBERED)
    }

    fn remember(&self, digest: [u64; 2]) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.len() >= MOST {
            accepted.retain(|_, at| at.elapsed() < REMEMBERED);
        }
        if accepted.len() < MOST {
            accepted.insert(digest, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Authenticate for One {
        fn verify_password(&self, user: &str, password: &str) -> bool {
            (user, password) == ("root", "Milvus:1")
        }

        fn verify_key(&self, key: &str) -> bool {
            key == "a-key"
        }
    }

    async fn admit(gate: &Gate, token: Option<&str>) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let encoded = base64::engine::general_purpose::STANDARD.encode(token);
            headers.insert("authorization", encoded.parse().unwrap());
        }
        gate.admit(&headers).await
    }

    #[tokio::test]
    async fn refusals_use_milvus_words() {
        let gate = Gate::new(Arc::new(One));
        assert_eq!(admit(&gate, None).await, Err(MISSING));
        assert_eq!(admit(&gate, Some("root:wrong")).await, Err(WRONG_PASSWORD));
        assert_eq!(admit(&gate, Some("other-key")).await, Err(WRONG_KEY));
        for _ in 0..2 {
            assert_eq!(admit(&gate, Some("root:Milvus:1")).await, Ok(()));
            assert_eq!(admit(&gate, Some("a-key")).await, Ok(()));
        }
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "%%%".parse().unwrap());
        assert_eq!(gate.admit(&headers).await, Err(MALFORMED));
    }
}
