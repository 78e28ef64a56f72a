//! Debug output of messages that carry secrets or bulk data.
//!
//! Invariant: nothing of a secret is shown, not even its length. Which fields are secret is written in
//! `field-table.toml`; [`KeyValuePair`](crate::common::KeyValuePair) is decided by its key, here.

use std::collections::HashMap;
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

/// Shows a URI without what may be a credential: its user information and its query. A text without
/// `://` is shown as it is.
pub(crate) struct Address<'a>(pub(crate) &'a String);

impl fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return self.0.fmt(f);
        };
        let (before_query, query) = match rest.split_once(['?', '#']) {
            Some((before, _)) => (before, "?<redacted>"),
            None => (rest, ""),
        };
        // The last `@` counts wherever it stands: a password with a slash in it would otherwise be shown.
        let (user, place) = match before_query.rsplit_once('@') {
            Some((_, place)) => ("<redacted>@", place),
            None => ("", before_query),
        };
        write!(
            f,
            "{:?}",
            format_args!("{scheme}://{user}{place}{query}").to_string()
        )
    }
}

/// Shows a map in the order of its keys, without the values whose keys name a secret.
pub(crate) struct ByKey<'a, V>(pub(crate) &'a HashMap<String, V>);

impl<V: fmt::Debug> fmt::Debug for ByKey<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys: Vec<(&String, &V)> = self.0.iter().collect();
        keys.sort_by_key(|(key, _)| *key);
        let mut map = f.debug_map();
        for (key, value) in keys {
            if names_a_secret(key) {
                map.entry(key, &format_args!("<redacted>"));
            } else {
                map.entry(key, value);
            }
        }
        map.finish()
    }
}

/// Parts of key names whose values are not shown: properties and parameters of this kind carry the
/// credentials of object stores, model providers and key management.
const SECRET_KEY_PARTS: [&str; 14] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "access_key",
    "account_key",
    "private_key",
    "cipher_key",
    "authorization",
    "signature",
    // Holds a whole specification of a store, with whatever credentials stand in it.
    "external_spec",
];

fn names_a_secret(key: &str) -> bool {
    // A tokenizer is no token.
    let key = key
        .to_ascii_lowercase()
        .replace(['-', '.'], "_")
        .replace("tokenizer", "");
    SECRET_KEY_PARTS.iter().any(|part| key.contains(part))
}

impl fmt::Debug for KeyValuePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pair = f.debug_struct("KeyValuePair");
        pair.field("key", &self.key);
        if names_a_secret(&self.key) {
            pair.field("value", &Secret(&self.value));
        } else {
            pair.field("value", &Address(&self.value));
        }
        pair.finish()
    }
}
