//! Debug output of messages that carry secrets or bulk data.
//!
//! Invariant: nothing of a secret is shown, not even its length. Which fields are secret is written in
//! `field-table.toml`; [`KeyValuePair`](crate::common::KeyValuePair) is decided by its key, here.

use std::fmt;

use bytes::Bytes;

use crate::common::KeyValuePair;

/// Shows whether there is something, and nothing of it.
pub(crate) struct Secret<'a>(pub(crate) &'a String);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "\"\""
        } else {
            "<redacted>"
        })
    }
}

/// Shows the number of bytes.
pub(crate) struct Length<'a, T>(pub(crate) &'a T);

impl fmt::Debug for Length<'_, Bytes> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

impl fmt::Debug for Length<'_, Vec<Bytes>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Length)).finish()
    }
}

/// Parts of key names whose values are not shown: properties and parameters of this kind carry the
/// credentials of object stores, model providers and key management.
const SECRET_KEY_PARTS: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "api_key",
    "apikey",
    "access_key",
];

/// Keys that hold a whole specification, with whatever secrets stand in it.
const SECRET_KEYS: [&str; 3] = ["cipher.key", "external_spec", "authorization"];

fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['-', '.'], "_");
    SECRET_KEY_PARTS.iter().any(|part| key.contains(part))
        || SECRET_KEYS
            .iter()
            .any(|secret| key.ends_with(&secret.replace('.', "_")))
}

impl fmt::Debug for KeyValuePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pair = f.debug_struct("KeyValuePair");
        pair.field("key", &self.key);
        if names_a_secret(&self.key) {
            pair.field("value", &Secret(&self.value));
        } else {
            pair.field("value", &self.value);
        }
        pair.finish()
    }
}
