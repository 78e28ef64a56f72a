//! Users and their passwords.
//!
//! Passwords arrive as base64 and are kept as Argon2 hashes only; no message and no log line ever shows one.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::rand_core::{OsRng, RngCore as _};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine as _;
use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;

use super::Embedded;
use super::answer::Call;
use crate::catalog::{ROOT, UserRecord, check_name};
use crate::engine::Draft;
use crate::error::{MilvusError, MilvusErrorKind};

pub(super) fn refuse(message: String) -> MilvusError {
    MilvusError::new(MilvusErrorKind::Unexpected, message)
}

fn decode_password(encoded: &str) -> Result<String, MilvusError> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded);
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| MilvusError::invalid("the password is not base64 of UTF-8 text"))
}

fn check_password(password: &str) -> Result<(), MilvusError> {
    if (6..=72).contains(&password.len()) {
        return Ok(());
    }
    Err(MilvusError::invalid(
        "the length of a password must be great than 6 and less than 72 characters",
    ))
}

fn hash(password: &str) -> Result<String, MilvusError> {
    let salt = SaltString::generate(&mut OsRng);
    let hashed = Argon2::default().hash_password(password.as_bytes(), &salt);
    hashed
        .map(|hash| hash.to_string())
        .map_err(|error| MilvusError::new(MilvusErrorKind::Internal, error.to_string()))
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// The hash of a password that nobody has.
static UNKNOWN_USER: LazyLock<String> = LazyLock::new(|| {
    let mut password = [0; 16];
    OsRng.fill_bytes(&mut password);
    hash(&format!("{password:?}")).unwrap_or_default()
});

/// The salt is new with each password, and with it the number.
fn revision(record: &UserRecord) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.password_hash.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn user<'a>(draft: &'a Draft<'_>, name: &str) -> Result<&'a UserRecord, MilvusError> {
    draft
        .catalog()
        .access
        .users
        .get(name)
        .ok_or_else(|| refuse(format!("user not found: {name}")))
}

impl Embedded {
    /// The revision of the user's password when it is this one, `None` when it isn't. Takes tens of milliseconds, by design
    /// of the hash, for unknown users as well: remember successes for as long as [`Embedded::password_revision`] stays
    /// the same, and call it off the async threads.
    pub fn verify_password(&self, user: &str, password: &str) -> Option<u64> {
        let state = self.engine.state();
        let Some(record) = state.catalog.access.users.get(user) else {
            // As long as for a user that exists, so that the time doesn't tell who does.
            verify(password, &UNKNOWN_USER);
            return None;
        };
        verify(password, &record.password_hash).then(|| revision(record))
    }

    /// A number that is another one after each change of the user's password; `None` when there is no such user, or no
    /// password. Cheap.
    pub fn password_revision(&self, user: &str) -> Option<u64> {
        let state = self.engine.state();
        let record = state.catalog.access.users.get(user)?;
        (!record.password_hash.is_empty()).then(|| revision(record))
    }

    /// Whether the user has a password at all; a new database's `root` has none until [`Embedded::set_password`].
    pub fn has_password(&self, user: &str) -> bool {
        self.password_revision(user).is_some()
    }

    /// Sets a user's password without asking for the old one: for the first start of a server.
    ///
    /// # Errors
    /// When the user doesn't exist, the password is too short or too long, or the file can't be written.
    pub async fn set_password(&self, user: &str, password: &str) -> Result<(), MilvusError> {
        check_password(password)?;
        let password = password.to_owned();
        let password_hash = self.preparing(move |_| hash(&password)).await?;
        let name = user.to_owned();
        let change = move |draft: &mut Draft<'_>| {
            let record = UserRecord {
                password_hash,
                ..self::user(draft, &name)?.clone()
            };
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_user(record, writes)
        };
        self.engine.write(change).await
    }

    pub(super) async fn on_create_credential(
        &self,
        call: Call<CreateCredentialRequest>,
    ) -> Result<Status, MilvusError> {
        let name = call.message.username;
        check_name("user", &name)?;
        let password = decode_password(&call.message.password)?;
        check_password(&password)?;
        let password_hash = self.preparing(move |_| hash(&password)).await?;
        let change = move |draft: &mut Draft<'_>| {
            if draft.catalog().access.users.contains_key(&name) {
                return Err(refuse(format!("user already exists:{name}")));
            }
            let created = draft.clock.next();
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_user(
                UserRecord {
                    name,
                    password_hash,
                    roles: Default::default(),
                    created,
                },
                writes,
            )
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_update_credential(
        &self,
        call: Call<UpdateCredentialRequest>,
    ) -> Result<Status, MilvusError> {
        let name = call.message.username;
        let (old, new) = (
            decode_password(&call.message.old_password)?,
            decode_password(&call.message.new_password)?,
        );
        check_password(&new)?;
        let known = self
            .engine
            .state()
            .catalog
            .access
            .users
            .get(&name)
            .map(|record| record.password_hash.clone());
        let known = known.ok_or_else(|| refuse(format!("user not found: {name}")))?;
        let (checked, whose) = (known.clone(), name.clone());
        let password_hash = self
            .preparing(move |_| {
                // A user without a password (a fresh root) takes the first one from whoever holds the files.
                if !checked.is_empty() && !verify(&old, &checked) {
                    return Err(MilvusError::new(
                        MilvusErrorKind::NotAuthenticated,
                        format!("old password not correct for {whose}"),
                    ));
                }
                hash(&new)
            })
            .await?;
        let change = move |draft: &mut Draft<'_>| {
            let record = user(draft, &name)?.clone();
            if record.password_hash != known {
                return Err(refuse(format!(
                    "the password of {name} was changed meanwhile"
                )));
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_user(
                UserRecord {
                    password_hash,
                    ..record
                },
                writes,
            )
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_delete_credential(
        &self,
        call: Call<DeleteCredentialRequest>,
    ) -> Result<Status, MilvusError> {
        let name = call.message.username;
        let change = move |draft: &mut Draft<'_>| {
            if name == ROOT {
                return Err(refuse("user root cannot be deleted".to_owned()));
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.remove_user(&name, writes);
            Ok(())
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_list_cred_users(
        &self,
        _call: Call<ListCredUsersRequest>,
    ) -> Result<ListCredUsersResponse, MilvusError> {
        let usernames = self
            .engine
            .state()
            .catalog
            .access
            .users
            .keys()
            .cloned()
            .collect();
        Ok(ListCredUsersResponse {
            usernames,
            ..ListCredUsersResponse::default()
        })
    }
}
