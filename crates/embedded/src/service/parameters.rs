//! Key-value parameters of requests.

use std::collections::BTreeMap;

use milvus_protocol::common::KeyValuePair;

use crate::error::{MilvusError, MilvusErrorKind};

/// Pairs as a map; the last of equal keys counts.
pub(super) fn to_map(pairs: &[KeyValuePair]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.clone()))
        .collect()
}

/// A map as pairs.
pub(super) fn to_pairs(map: &BTreeMap<String, String>) -> Vec<KeyValuePair> {
    map.iter()
        .map(|(key, value)| KeyValuePair {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

/// The value of a key.
pub(super) fn find<'a>(pairs: &'a [KeyValuePair], key: &str) -> Option<&'a str> {
    pairs
        .iter()
        .rev()
        .find(|pair| pair.key == key)
        .map(|pair| pair.value.as_str())
}

/// Whether a key says yes, in any spelling that SDKs use.
pub(super) fn flag(pairs: &[KeyValuePair], key: &str) -> bool {
    find(pairs, key).is_some_and(|value| value.trim_matches('"').eq_ignore_ascii_case("true"))
}

/// Puts new values in, takes deleted keys out.
pub(super) fn alter(
    properties: &mut BTreeMap<String, String>,
    set: &[KeyValuePair],
    delete: &[String],
) {
    properties.extend(to_map(set));
    delete.iter().for_each(|key| drop(properties.remove(key)));
}

/// Refuses what would make other times of the same rows: this engine knows no time zone but UTC, and can't take times apart.
pub(super) fn refuse_time_zones(pairs: &[KeyValuePair]) -> Result<(), MilvusError> {
    let zone = find(pairs, "timezone").unwrap_or_default();
    let fields = find(pairs, "time_fields").unwrap_or_default();
    let refused = match (zone, fields) {
        (zone, "") if zone.is_empty() || zone.eq_ignore_ascii_case("UTC") => return Ok(()),
        (zone, "") => format!("timezone {zone}"),
        (_, fields) => format!("time_fields {fields}"),
    };
    Err(MilvusError::new(
        MilvusErrorKind::Unimplemented,
        format!(
            "{refused} is not supported by the embedded engine, which gives times in UTC: insert times with their offset \
             (2025-01-31T10:00:00+01:00), and change what you read in your program"
        ),
    ))
}
