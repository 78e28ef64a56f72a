//! Users, API keys, roles, grants and privilege groups. What they allow is decided in `privileges`.
//!
//! Invariant: no secret is kept as it is: passwords as Argon2 hashes, keys (256 random bits) as BLAKE2 digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::privileges::{ADMIN_ROLE, PUBLIC_ROLE};

/// A user. The password is kept as an Argon2 hash in PHC form only.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct UserRecord {
    pub(crate) name: String,
    /// Empty: no password was ever set, and none fits.
    #[serde(default)]
    pub(crate) password_hash: String,
    #[serde(default)]
    pub(crate) roles: BTreeSet<String>,
    #[serde(default)]
    pub(crate) created: u64,
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// An API key: whoever shows it calls as its user.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeyRecord {
    pub(crate) name: String,
    pub(crate) user: String,
    /// BLAKE2b-256 of the key, in hexadecimal digits. A key is random enough that its digest can't be searched for.
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) created: u64,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("name", &self.name)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// One privilege on one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct GrantRecord {
    pub(crate) object: String,
    pub(crate) object_name: String,
    pub(crate) database: String,
    pub(crate) privilege: String,
    #[serde(default)]
    pub(crate) grantor: String,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct RoleRecord {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) grants: BTreeSet<GrantRecord>,
}

/// A named set of privileges.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct PrivilegeGroupRecord {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) privileges: BTreeSet<String>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    pub(crate) users: BTreeMap<String, UserRecord>,
    pub(crate) roles: BTreeMap<String, RoleRecord>,
    pub(crate) groups: BTreeMap<String, PrivilegeGroupRecord>,
    /// By digest, as a call looks for them.
    pub(crate) keys: BTreeMap<String, KeyRecord>,
}

/// The roles that always exist.
pub(crate) const BUILT_IN_ROLES: [&str; 2] = [ADMIN_ROLE, PUBLIC_ROLE];
/// What Milvus grants to everybody: object type and privilege, on everything.
pub(crate) const PUBLIC_GRANTS: [(&str, &str); 3] = [
    ("Global", "DescribeCollection"),
    ("Global", "ListAliases"),
    ("Collection", "IndexDetail"),
];
/// The user that always exists.
pub(crate) const ROOT: &str = "root";

impl Access {
    /// Takes one row of the table in.
    pub(crate) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), serde_json::Error> {
        if key.starts_with(b"user/") {
            let record: UserRecord = serde_json::from_slice(value)?;
            self.users.insert(record.name.clone(), record);
        } else if key.starts_with(b"role/") {
            let record: RoleRecord = serde_json::from_slice(value)?;
            self.roles.insert(record.name.clone(), record);
        } else if key.starts_with(b"group/") {
            let record: PrivilegeGroupRecord = serde_json::from_slice(value)?;
            self.groups.insert(record.name.clone(), record);
        } else if key.starts_with(b"key/") {
            let record: KeyRecord = serde_json::from_slice(value)?;
            self.keys.insert(record.digest.clone(), record);
        }
        Ok(())
    }
}
