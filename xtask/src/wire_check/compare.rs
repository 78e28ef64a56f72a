//! Every difference between what we declare and the official descriptors, as sentences.
//!
//! Invariant: only the bytes substitutions of the field table may differ, and each of them must.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use super::view::{Field, Message, View};

/// Official services that are none of a client's business: talk between the parts of a cluster.
const INTERNAL_SERVICES: [&str; 1] = ["milvus.proto.milvus.ProxyService"];

/// The differences between `ours` and `official`; `substitutions` maps full field names to their official
/// declarations.
pub(super) fn differences(
    ours: &View,
    official: &View,
    substitutions: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut found = Vec::new();
    services(ours, official, &mut found);
    reachable(ours, official, &mut found);
    let mut used = BTreeSet::new();
    for (name, message) in &ours.messages {
        match official.messages.get(name) {
            None => found.push(format!("message {name} is not official")),
            Some(theirs) => messages(name, message, theirs, substitutions, &mut used, &mut found),
        }
    }
    for (name, values) in &ours.enums {
        match official.enums.get(name) {
            None => found.push(format!("enum {name} is not official")),
            Some(theirs) => maps(&format!("value of enum {name}"), values, theirs, &mut found),
        }
    }
    for field in substitutions
        .keys()
        .filter(|field| !used.contains(field.as_str()))
    {
        found.push(format!(
            "field-table.toml substitutes {field}, which is no field of ours"
        ));
    }
    found
}

fn services(ours: &View, official: &View, found: &mut Vec<String>) {
    for (name, methods) in &ours.services {
        match official.services.get(name) {
            None => found.push(format!("service {name} is not official")),
            Some(theirs) => maps(&format!("method of service {name}"), methods, theirs, found),
        }
    }
    for name in official.services.keys() {
        if !ours.services.contains_key(name) && !INTERNAL_SERVICES.contains(&name.as_str()) {
            found.push(format!("service {name} is official and not declared here"));
        }
    }
}

fn reachable(ours: &View, official: &View, found: &mut Vec<String>) {
    for name in official.reachable_from(ours.services.keys()) {
        if !ours.messages.contains_key(&name) && !ours.enums.contains_key(&name) {
            found.push(format!(
                "{name} is reachable from the services and not declared here"
            ));
        }
    }
}

fn messages(
    name: &str,
    ours: &Message,
    official: &Message,
    substitutions: &BTreeMap<String, String>,
    used: &mut BTreeSet<String>,
    found: &mut Vec<String>,
) {
    let numbers: BTreeSet<&i32> = ours.keys().chain(official.keys()).collect();
    for number in numbers {
        let field = format!("field {number} of {name}");
        match (ours.get(number), official.get(number)) {
            (Some(ours), Some(theirs)) => {
                let full_name = format!("{name}.{}", ours.name);
                let substitution = substitutions.get_key_value(&full_name);
                used.extend(substitution.map(|(key, _)| key.clone()));
                fields(
                    &field,
                    ours,
                    theirs,
                    substitution.map(|(_, declaration)| declaration),
                    found,
                );
            }
            (Some(ours), None) => found.push(format!("{field}, {}, is not official", ours.name)),
            (None, Some(theirs)) => found.push(format!(
                "{field}, {} {}, is official and not declared here",
                theirs.declaration, theirs.name
            )),
            (None, None) => {}
        }
    }
}

fn fields(
    field: &str,
    ours: &Field,
    official: &Field,
    substitution: Option<&String>,
    found: &mut Vec<String>,
) {
    if ours.name != official.name {
        found.push(format!(
            "{field} is named {} here and officially {}",
            ours.name, official.name
        ));
    }
    if ours.oneof != official.oneof {
        found.push(format!(
            "{field}, {}, is in oneof {} here and officially in {}",
            ours.name,
            ours.oneof.as_deref().unwrap_or("(none)"),
            official.oneof.as_deref().unwrap_or("(none)")
        ));
    }
    let expected = match substitution {
        None => official.declaration.as_str(),
        Some(declaration) if *declaration != official.declaration => {
            found.push(format!(
                "{field}, {}, is substituted as if it were {declaration}, and officially is {}",
                ours.name, official.declaration
            ));
            return;
        }
        Some(declaration) => match same_on_the_wire(declaration) {
            Some(substitute) => substitute,
            None => {
                found.push(format!(
                    "{field}, {}: no bytes are the same on the wire as {declaration}",
                    ours.name
                ));
                return;
            }
        },
    };
    if ours.declaration != expected {
        found.push(format!(
            "{field}, {}, is {} here and should be {expected}",
            ours.name, ours.declaration
        ));
    }
}

/// The declaration in bytes that has the same form on the wire as `declaration`: a packed array is one
/// length-delimited field, a text is one for each value.
fn same_on_the_wire(declaration: &str) -> Option<&'static str> {
    match declaration {
        "repeated float" | "repeated double" | "repeated fixed32" | "repeated fixed64"
        | "repeated sfixed32" | "repeated sfixed64" => Some("bytes"),
        "repeated string" => Some("repeated bytes"),
        _ => None,
    }
}

fn maps<T: PartialEq + Debug>(
    what: &str,
    ours: &BTreeMap<String, T>,
    official: &BTreeMap<String, T>,
    found: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = ours.keys().chain(official.keys()).collect();
    for name in names {
        match (ours.get(name), official.get(name)) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                found.push(format!(
                    "{what}: {name} is {ours:?} here and officially {theirs:?}"
                ));
            }
            (Some(_), None) => found.push(format!("{what}: {name} is not official")),
            (None, Some(_)) => {
                found.push(format!("{what}: {name} is official and not declared here"))
            }
            _ => {}
        }
    }
}
