//! API keys: a random secret that stands for a user, for programs that shall not know a password.
//!
//! Invariant: a key is shown once, when it is made; only its digest is kept. A key stops working in the moment in which it,
//! or its user, is removed.

use std::fmt;

use argon2::password_hash::rand_core::{OsRng, RngCore as _};
use base64::Engine as _;
use blake2::Digest as _;

use super::Embedded;
use super::users::{refuse, user};
use crate::catalog::{KeyRecord, check_name};
use crate::engine::{Draft, physical_milliseconds};
use crate::error::MilvusError;

/// What a key begins with, so that people and scanners for leaked secrets know it.
const PREFIX: &str = "mvk_";
const RANDOM_BYTES: usize = 32;

/// A new API key.
pub struct ApiKey {
    secret: String,
}

impl ApiKey {
    /// The key itself: what a client gives as its token. It can't be asked for again.
    pub fn expose(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").finish_non_exhaustive()
    }
}

/// What is known of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDescription {
    /// The name it was made under.
    pub name: String,
    /// As whom its bearer calls.
    pub user: String,
    /// When it was made, in milliseconds since 1970.
    pub created_milliseconds: u64,
}

/// A secret of 256 random bits, of letters, digits, `-` and `_`.
fn random_secret() -> String {
    let mut random = [0; RANDOM_BYTES];
    OsRng.fill_bytes(&mut random);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random)
}

/// A password that nobody can guess, of 43 letters, digits, `-` and `_`.
pub fn generate_password() -> String {
    random_secret()
}

fn digest(key: &str) -> String {
    let digest = blake2::Blake2b::<blake2::digest::consts::U32>::digest(key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Embedded {
    /// Makes an API key for a user.
    ///
    /// # Errors
    /// When there is no such user, a key has the name, or the file can't be written.
    pub async fn create_key(&self, name: &str, user: &str) -> Result<ApiKey, MilvusError> {
        check_name("API key", name)?;
        let secret = format!("{PREFIX}{}", random_secret());
        let (name, user, digest) = (name.to_owned(), user.to_owned(), digest(&secret));
        let change = move |draft: &mut Draft<'_>| {
            self::user(draft, &user)?;
            let mut keys = draft.catalog().access.keys.values();
            if keys.any(|key| key.name == name) {
                return Err(refuse(format!("API key already exists: {name}")));
            }
            let created = draft.clock.next();
            let (catalog, writes) = draft.catalog_mut();
            let record = KeyRecord {
                name,
                user,
                digest,
                created,
            };
            catalog.put_key(record, writes)
        };
        self.engine.write(change).await?;
        Ok(ApiKey { secret })
    }

    /// The user whom an API key stands for. Cheap.
    pub fn verify_key(&self, key: &str) -> Option<String> {
        let state = self.engine.state();
        let record = state.catalog.access.keys.get(&digest(key))?;
        Some(record.user.clone())
    }

    /// All API keys, by name.
    pub fn keys(&self) -> Vec<KeyDescription> {
        let state = self.engine.state();
        let keys = state.catalog.access.keys.values();
        let mut found: Vec<_> = keys
            .map(|record| KeyDescription {
                name: record.name.clone(),
                user: record.user.clone(),
                created_milliseconds: physical_milliseconds(record.created),
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Takes an API key back; whether there was one of this name.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn remove_key(&self, name: &str) -> Result<bool, MilvusError> {
        let name = name.to_owned();
        let change = move |draft: &mut Draft<'_>| {
            let mut keys = draft.catalog().access.keys.values();
            let is_there = keys.any(|key| key.name == name);
            let (catalog, writes) = draft.catalog_mut();
            catalog.remove_keys(|key| key.name == name, writes);
            Ok(is_there)
        };
        self.engine.write(change).await
    }
}
