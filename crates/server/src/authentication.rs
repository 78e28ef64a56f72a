//! Who may call.
//!
//! Invariants: no secret is kept as it is: what was accepted or refused is remembered by a digest with a key that this process made, and
//! only for as long as the user's password stays the same. A refusal says the same words as a Milvus proxy, since clients
//! match on them. A password is hashed for one call of a connection, and for one connection of an address, at a time, and they take turns:
//! who guesses passwords waits for himself, and never keeps a call waiting whose credentials are known.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use base64::Engine as _;
use http::{HeaderMap, HeaderValue};
use milvus_protocol::server::Caller;
use tokio::sync::Semaphore;

use crate::listener::Peer;

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

/// Accepted passwords that are remembered at most, and as many refused ones.
const MOST: usize = 10_000;
/// A longer name is no user's; it is not worth its memory.
const LONGEST_USER: usize = 256;

/// What a Milvus proxy says; the status is UNAUTHENTICATED.
pub(crate) const MISSING: &str = "missing authorization in header";
const MALFORMED: &str = "invalid token format";
const WRONG_PASSWORD: &str = "auth check failure, please check username and password are correct";
const WRONG_KEY: &str = "auth check failure, please check api key is correct";

type Digest = [u64; 2];

struct Accepted {
    caller: Caller,
    revision: u64,
}

struct Refused {
    user: String,
    /// Of the user's password when it was refused; `None` when there was no such user.
    revision: Option<u64>,
}

/// A verdict about credentials; `None` for a refusal.
type Verdict = Option<Caller>;

#[derive(Default)]
struct Memory {
    accepted: HashMap<Digest, Accepted>,
    refused: HashMap<Digest, Refused>,
}

pub(crate) struct Gate {
    authentication: Arc<dyn Authenticate>,
    keys: [RandomState; 2],
    memory: Arc<Mutex<Memory>>,
    /// Each password hash takes a core and much memory on purpose: all of them together may not take all cores.
    hashing: Arc<Semaphore>,
    /// The turns of the connections of an address (`None`: Unix sockets), for as long as one is open.
    addresses: Mutex<HashMap<Option<IpAddr>, Weak<Semaphore>>>,
}

/// Through which the calls of one connection come, one hash at a time.
pub(crate) struct Entrance {
    connection: Arc<Semaphore>,
    address: Arc<Semaphore>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    pub(crate) fn new(authentication: Arc<dyn Authenticate>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            authentication,
            keys: [RandomState::new(), RandomState::new()],
            memory: Arc::default(),
            hashing: Arc::new(Semaphore::new(cores.div_ceil(2))),
            addresses: Mutex::default(),
        }
    }

    /// For a new connection.
    pub(crate) fn entrance(&self, peer: Peer) -> Entrance {
        let source = match peer {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix => None,
        };
        let mut addresses = locked(&self.addresses);
        let known = addresses.get(&source).and_then(Weak::upgrade);
        let address = known.unwrap_or_else(|| {
            addresses.retain(|_, turns| turns.strong_count() > 0);
            let turns = Arc::new(Semaphore::new(1));
            addresses.insert(source, Arc::downgrade(&turns));
            turns
        });
        Entrance {
            connection: Arc::new(Semaphore::new(1)),
            address,
        }
    }

    /// Lets a call pass and says whose it is, or says why not.
    pub(crate) async fn admit(
        &self,
        entrance: &Entrance,
        headers: &HeaderMap,
    ) -> Result<Caller, &'static str> {
        let header = headers.get(http::header::AUTHORIZATION).ok_or(MISSING)?;
        let digest = self.digest(header);
        if let Some(verdict) = self.remembered(digest) {
            return verdict.ok_or(WRONG_PASSWORD);
        }
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(header.as_bytes())
            .map_err(|_| MALFORMED)?;
        let token = String::from_utf8(decoded).map_err(|_| MALFORMED)?;
        let Some((user, password)) = token.split_once(':') else {
            let user = self.authentication.verify_key(&token).ok_or(WRONG_KEY)?;
            return Ok(Caller::new(user));
        };
        let mut turns = Vec::with_capacity(3);
        for turn in [&entrance.connection, &entrance.address, &self.hashing] {
            let turn = Arc::clone(turn).acquire_owned().await;
            turns.push(turn.map_err(|_| WRONG_PASSWORD)?);
            // Many calls of a new client come at once; the first of them has answered for all.
            if let Some(verdict) = self.remembered(digest) {
                return verdict.ok_or(WRONG_PASSWORD);
            }
        }
        let (name, password) = (user.to_owned(), password.to_owned());
        let authentication = Arc::clone(&self.authentication);
        let memory = Arc::clone(&self.memory);
        let hashed = tokio::task::spawn_blocking(move || {
            // The turns end with the hash, also when the call has gone away meanwhile, and so does what was found out stay.
            let _turns = turns;
            let before = authentication.password_revision(&name);
            let revision = authentication.verify_password(&name, &password);
            locked(&memory).note(&*authentication, digest, name, before, revision)
        });
        // A panic of the verifier admits nobody.
        hashed.await.ok().flatten().ok_or(WRONG_PASSWORD)
    }

    fn digest(&self, header: &HeaderValue) -> Digest {
        [
            self.keys[0].hash_one(header.as_bytes()),
            self.keys[1].hash_one(header.as_bytes()),
        ]
    }

    /// What was found out about these credentials, if that still holds.
    fn remembered(&self, digest: Digest) -> Option<Verdict> {
        let mut memory = locked(&self.memory);
        if let Some(known) = memory.accepted.get(&digest) {
            if known.is_current(&*self.authentication) {
                return Some(Some(known.caller.clone()));
            }
            memory.accepted.remove(&digest);
        }
        let known = memory.refused.get(&digest)?;
        if self.authentication.password_revision(&known.user) == known.revision {
            return Some(None);
        }
        memory.refused.remove(&digest);
        None
    }
}

impl Accepted {
    fn is_current(&self, authentication: &dyn Authenticate) -> bool {
        authentication.password_revision(self.caller.user()) == Some(self.revision)
    }
}

impl Memory {
    /// Keeps the outcome of a hash: the `revision` of the password that was right, else none, and the user's one `before`.
    fn note(
        &mut self,
        authentication: &dyn Authenticate,
        digest: Digest,
        user: String,
        before: Option<u64>,
        revision: Option<u64>,
    ) -> Verdict {
        let Some(revision) = revision else {
            if user.len() <= LONGEST_USER {
                // Guesses are many and each comes once; to forget them all costs a hash for those that come again.
                if self.refused.len() >= MOST {
                    self.refused.clear();
                }
                let revision = before;
                self.refused.insert(digest, Refused { user, revision });
            }
            return None;
        };
        let caller = Caller::new(user);
        if self.accepted.len() >= MOST {
            self.accepted
                .retain(|_, known| known.is_current(authentication));
        }
        if self.accepted.len() < MOST {
            let caller = caller.clone();
            self.accepted.insert(digest, Accepted { caller, revision });
        }
        Some(caller)
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
        let caller = gate.admit(&gate.entrance(Peer::Unix), &headers).await?;
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
        let entrance = gate.entrance(Peer::Unix);
        assert_eq!(gate.admit(&entrance, &headers).await, Err(MALFORMED));
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
    #[tokio::test]
    async fn a_refused_password_is_hashed_once_until_the_users_one_changes() {
        let users = Arc::new(One::default());
        let gate = Gate::new(Arc::clone(&users) as Arc<dyn Authenticate>);
        for token in ["root:Milvus:1", "nobody:Milvus:1"] {
            for _ in 0..10 {
                assert_eq!(admit(&gate, Some(token)).await, Err(WRONG_PASSWORD));
            }
        }
        assert_eq!(users.hashed.load(Ordering::Relaxed), 2);
        users.revision.store(1, Ordering::Relaxed);
        assert!(admit(&gate, Some("root:Milvus:1")).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_remembered_of_guesses_is_bounded() {
        let mut memory = Memory::default();
        let users = One::default();
        for guess in 0..2 * MOST as u64 + 5 {
            memory.note(&users, [guess, 0], "root".into(), Some(0), None);
        }
        memory.note(&users, [0, 1], "x".repeat(LONGEST_USER + 1), None, None);
        assert!(memory.refused.len() <= MOST);
        assert!(!memory.refused.contains_key(&[0, 1]));
    }

    /// Says in which order passwords were hashed, and begins when it is told to.
    struct InOrder {
        begin: Mutex<std::sync::mpsc::Receiver<()>>,
        users: Mutex<Vec<String>>,
    }

    impl Authenticate for InOrder {
        fn verify_password(&self, user: &str, _: &str) -> Option<u64> {
            if locked(&self.users).is_empty() {
                locked(&self.begin).recv().unwrap();
            }
            locked(&self.users).push(user.to_owned());
            (user == "honest").then_some(1)
        }

        fn password_revision(&self, user: &str) -> Option<u64> {
            (user == "honest").then_some(1)
        }
    }

    #[tokio::test]
    async fn a_flood_of_wrong_passwords_waits_for_itself() {
        // Another connection of the address that floods, and another address than the one whose connections are many.
        for (connections, honest) in [(1, Peer::Unix), (50, Peer::Tcp(([127, 0, 0, 1], 7).into()))]
        {
            let (begin, begun) = std::sync::mpsc::channel();
            let users = Arc::new(InOrder {
                begin: Mutex::new(begun),
                users: Mutex::default(),
            });
            let mut gate = Gate::new(Arc::clone(&users) as Arc<dyn Authenticate>);
            gate.hashing = Arc::new(Semaphore::new(1));
            let gate = Arc::new(gate);
            let call = |entrance: &Arc<Entrance>, token: String| {
                let (gate, entrance) = (Arc::clone(&gate), Arc::clone(entrance));
                let mut headers = HeaderMap::new();
                let encoded = base64::engine::general_purpose::STANDARD.encode(token);
                headers.insert("authorization", encoded.parse().unwrap());
                tokio::spawn(async move { gate.admit(&entrance, &headers).await })
            };
            let flooding: Vec<_> = (0..connections)
                .map(|_| Arc::new(gate.entrance(Peer::Unix)))
                .collect();
            let guesses: Vec<_> = (0..50)
                .map(|guess| {
                    let entrance = &flooding[guess % flooding.len()];
                    call(entrance, format!("guess:{guess}"))
                })
                .collect();
            tokio::task::yield_now().await;
            let honest = call(&Arc::new(gate.entrance(honest)), "honest:secret".to_owned());
            tokio::task::yield_now().await;
            begin.send(()).unwrap();
            assert!(honest.await.unwrap().is_ok());
            for guess in guesses {
                assert_eq!(guess.await.unwrap(), Err(WRONG_PASSWORD));
            }
            let order = locked(&users.users);
            let place = order.iter().position(|user| user == "honest").unwrap();
            assert!(place <= 2, "after {place} of {}", order.len());
        }
    }

    #[tokio::test]
    async fn a_call_that_goes_away_keeps_its_turn_until_its_hash_is_done() {
        let (begin, begun) = std::sync::mpsc::channel();
        let users = Arc::new(InOrder {
            begin: Mutex::new(begun),
            users: Mutex::default(),
        });
        let gate = Arc::new(Gate::new(Arc::clone(&users) as Arc<dyn Authenticate>));
        let entrance = Arc::new(gate.entrance(Peer::Unix));
        let mut headers = HeaderMap::new();
        let encoded = base64::engine::general_purpose::STANDARD.encode("honest:secret");
        headers.insert("authorization", encoded.parse().unwrap());
        let call = tokio::spawn({
            let (gate, entrance, headers) =
                (Arc::clone(&gate), Arc::clone(&entrance), headers.clone());
            async move { gate.admit(&entrance, &headers).await }
        });
        tokio::task::yield_now().await;
        call.abort();
        assert!(call.await.is_err());
        assert_eq!(entrance.connection.available_permits(), 0);
        begin.send(()).unwrap();
        assert!(gate.admit(&entrance, &headers).await.is_ok());
        // The first hash has answered for the second call.
        assert_eq!(locked(&users.users).len(), 1);
    }
}
