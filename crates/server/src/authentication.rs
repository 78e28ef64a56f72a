//! Who may call.
//!
//! Invariant: no secret is kept as it is: what was accepted is remembered by a digest with a key that this process made, and
//! only for as long as the user's password stays the same. A refusal says the same words as a Milvus proxy, since clients
//! match on them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use http::{HeaderMap, HeaderValue};
use milvus_protocol::server::Caller;
use tokio::sync::Semaphore;

/// Knows users and API keys.
pub trait Authenticate: Send + Sync {
    /// The revision of the user's password when it is this one, `None` when it isn't. May block for as long as a password
    /// hash takes; an accepted one is not asked for again before the revision changes.
    fn verify_password(&self, user: &str, password: &str) -> Option<u64>;

    /// A number that is another one after each change of the user's password; `None` without such a user. Asked with each
    /// call, so it must be cheap.
    fn password_revision(&self, user: &str) -> Option<u64>;

    /// The user whom an API key stands for. Asked with each call, so it must be cheap. None is one, by default.
    fn verify_key(&self, _key: &str) -> Option<String> {
        None
    }
}

/// Accepted passwords that are remembered at most.
const MOST: usize = 10_000;

/// What a Milvus proxy says; the status is UNAUTHENTICATED.
pub(crate) const MISSING: &str = "missing authorization in header";
const MALFORMED: &str = "invalid token format";
const WRONG_PASSWORD: &str = "auth check failure, please check username and password are correct";
const WRONG_KEY: &str = "auth check failure, please check api key is correct";

struct Accepted {
    caller: Caller,
    revision: u64,
}

pub(crate) struct Gate {
    authentication: Arc<dyn Authenticate>,
    keys: [RandomState; 2],
    accepted: Mutex<HashMap<[u64; 2], Accepted>>,
    /// Each password hash takes a core and much memory on purpose: who guesses passwords may not take all of them.
    hashing: Semaphore,
}

impl Gate {
    pub(crate) fn new(authentication: Arc<dyn Authenticate>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            authentication,
            keys: [RandomState::new(), RandomState::new()],
            accepted: Mutex::default(),
            hashing: Semaphore::new(cores.div_ceil(2)),
        }
    }

    /// Lets a call pass and says whose it is, or says why not.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Caller, &'static str> {
        let header = headers.get(http::header::AUTHORIZATION).ok_or(MISSING)?;
        let digest = self.digest(header);
        if let Some(caller) = self.remembered(digest) {
            return Ok(caller);
        }
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(header.as_bytes())
            .map_err(|_| MALFORMED)?;
        let token = String::from_utf8(decoded).map_err(|_| MALFORMED)?;
        let Some((user, password)) = token.split_once(':') else {
            let user = self.authentication.verify_key(&token).ok_or(WRONG_KEY)?;
            return Ok(Caller::new(user));
        };
        let _turn = self.hashing.acquire().await.map_err(|_| WRONG_PASSWORD)?;
        // Many calls of a new client come at once; the first of them has answered for all.
        if let Some(caller) = self.remembered(digest) {
            return Ok(caller);
        }
        let (name, password) = (user.to_owned(), password.to_owned());
        let authentication = Arc::clone(&self.authentication);
        let verified =
            tokio::task::spawn_blocking(move || authentication.verify_password(&name, &password));
        // A panic of the verifier admits nobody.
        let revision = verified.await.ok().flatten().ok_or(WRONG_PASSWORD)?;
        let caller = Caller::new(user);
        self.remember(digest, caller.clone(), revision);
        Ok(caller)
    }

    fn digest(&self, header: &HeaderValue) -> [u64; 2] {
        [
            self.keys[0].hash_one(header.as_bytes()),
            self.keys[1].hash_one(header.as_bytes()),
        ]
    }

    fn is_current(&self, accepted: &Accepted) -> bool {
        self.authentication
            .password_revision(accepted.caller.user())
            == Some(accepted.revision)
    }

    fn remembered(&self, digest: [u64; 2]) -> Option<Caller> {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = accepted.get(&digest)?;
        if self.is_current(known) {
            return Some(known.caller.clone());
        }
        accepted.remove(&digest);
        None
    }

    fn remember(&self, digest: [u64; 2], caller: Caller, revision: u64) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.len() >= MOST {
            accepted.retain(|_, known| self.is_current(known));
        }
        if accepted.len() < MOST {
            accepted.insert(digest, Accepted { caller, revision });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// One user, whose password is `Milvus:` and the revision.
    #[derive(Default)]
    struct One {
        revision: AtomicU64,
        hashed: AtomicU64,
    }

    impl Authenticate for One {
        fn verify_password(&self, user: &str, password: &str) -> Option<u64> {
            self.hashed.fetch_add(1, Ordering::Relaxed);
            let revision = self.password_revision(user)?;
            (password == format!("Milvus:{revision}")).then_some(revision)
        }

        fn password_revision(&self, user: &str) -> Option<u64> {
            let revision = self.revision.load(Ordering::Relaxed);
            (user == "root" && revision < 9).then_some(revision)
        }

        fn verify_key(&self, key: &str) -> Option<String> {
            (key == "a-key").then(|| "bob".to_owned())
        }
    }

    async fn admit(gate: &Gate, token: Option<&str>) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let encoded = base64::engine::general_purpose::STANDARD.encode(token);
            headers.insert("authorization", encoded.parse().unwrap());
        }
        let caller = gate.admit(&headers).await?;
        Ok(caller.user().to_owned())
    }

    #[tokio::test]
    async fn refusals_use_milvus_words() {
        let gate = Gate::new(Arc::new(One::default()));
        assert_eq!(admit(&gate, None).await, Err(MISSING));
        assert_eq!(admit(&gate, Some("root:wrong")).await, Err(WRONG_PASSWORD));
        assert_eq!(admit(&gate, Some("other-key")).await, Err(WRONG_KEY));
        assert_eq!(
            admit(&gate, Some("root:Milvus:0")).await.as_deref(),
            Ok("root")
        );
        assert_eq!(admit(&gate, Some("a-key")).await.as_deref(), Ok("bob"));
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "%%%".parse().unwrap());
        assert_eq!(gate.admit(&headers).await, Err(MALFORMED));
    }

    #[tokio::test]
    async fn an_accepted_password_is_hashed_once_until_it_changes() {
        let users = Arc::new(One::default());
        let gate = Gate::new(Arc::clone(&users) as Arc<dyn Authenticate>);
        let hashed = || users.hashed.load(Ordering::Relaxed);
        for _ in 0..10 {
            assert!(admit(&gate, Some("root:Milvus:0")).await.is_ok());
        }
        assert_eq!(hashed(), 1);
        users.revision.store(1, Ordering::Relaxed);
        assert_eq!(
            admit(&gate, Some("root:Milvus:0")).await,
            Err(WRONG_PASSWORD)
        );
        assert!(admit(&gate, Some("root:Milvus:1")).await.is_ok());
        // The user is dropped.
        users.revision.store(9, Ordering::Relaxed);
        assert_eq!(
            admit(&gate, Some("root:Milvus:1")).await,
            Err(WRONG_PASSWORD)
        );
    }
}
