//! Debug for messages with fields that must not be printed: every other field is shown as usual.
//!
//! Invariant: a field of the table that is not found in the generated struct is an error, so a rename
//! cannot bring a secret back into the output.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use heck::{ToSnakeCase as _, ToUpperCamelCase as _};
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;

use super::messages::{self, Generated};
use crate::tables::{FieldTable, Shown};

/// Generates the Debug implementations.
pub(super) fn generate(
    set: &FileDescriptorSet,
    generated: &Generated,
    table: &FieldTable,
) -> anyhow::Result<String> {
    every_suspicious_field_is_decided(set, table)?;
    let mut by_message: BTreeMap<&str, BTreeMap<String, Shown>> = BTreeMap::new();
    for (field, shown) in table.redacted() {
        let (message, field) = field
            .rsplit_once('.')
            .with_context(|| format!("{field} in field-table.toml is not a full field name"))?;
        by_message
            .entry(message)
            .or_default()
            .insert(field.to_snake_case(), shown);
    }
    let mut code = String::new();
    for (message, special) in by_message {
        implement(&mut code, generated, message, special)?;
    }
    Ok(code)
}

/// Words that make a text or bytes field look like a secret.
const SUSPICIOUS: [&str; 6] = [
    "password",
    "secret",
    "token",
    "credential",
    "external_spec",
    "uri",
];

/// A field that sounds like a secret stands in the table, be it to say that it is none.
fn every_suspicious_field_is_decided(
    set: &FileDescriptorSet,
    table: &FieldTable,
) -> anyhow::Result<()> {
    for file in &set.file {
        for message in &file.message_type {
            for field in &message.field {
                let name = field.name().to_snake_case();
                let is_text = matches!(field.r#type(), Type::String | Type::Bytes);
                let full_name = format!("{}.{}.{}", file.package(), message.name(), field.name());
                if is_text
                    && SUSPICIOUS.iter().any(|word| name.contains(word))
                    && !table.debug.contains_key(&full_name)
                {
                    bail!(
                        "{full_name} sounds like a secret; say in field-table.toml what Debug shows of it"
                    );
                }
            }
        }
    }
    Ok(())
}

fn implement(
    code: &mut String,
    generated: &Generated,
    message: &str,
    mut special: BTreeMap<String, Shown>,
) -> anyhow::Result<()> {
    let (package, name) = message
        .rsplit_once('.')
        .context("a message stands in a package")?;
    let module = messages::module_of(package)?;
    let name = name.to_upper_camel_case();
    let source = generated
        .modules
        .get(module)
        .context("every package has a module")?;
    let fields =
        fields_of(source, &name).with_context(|| format!("{message} of field-table.toml"))?;
    write!(
        code,
        "impl ::core::fmt::Debug for crate::generated::{module}::{name} {{
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{
                f.debug_struct(\"{name}\")"
    )?;
    for field in fields {
        let value = match special.remove(&field) {
            None | Some(Shown::Plain) => format!("&self.{field}"),
            Some(Shown::Secret) => format!("&crate::redaction::Secret(&self.{field})"),
            Some(Shown::Length) => format!("&crate::redaction::Length(&self.{field})"),
            Some(Shown::Address) => format!("&crate::redaction::Address(&self.{field})"),
            Some(Shown::ByKey) => format!("&crate::redaction::ByKey(&self.{field})"),
        };
        write!(code, ".field(\"{field}\", {value})")?;
    }
    code.push_str(".finish() } }\n");
    if let Some(unknown) = special.keys().next() {
        bail!("field-table.toml names {message}.{unknown}, which does not exist");
    }
    Ok(())
}

/// The field names of struct `name` in `source`.
fn fields_of(source: &str, name: &str) -> anyhow::Result<Vec<String>> {
    for item in syn::parse_file(source)?.items {
        match item {
            syn::Item::Struct(item) if item.ident == name => {
                return Ok(item
                    .fields
                    .iter()
                    .filter_map(|field| field.ident.as_ref())
                    .map(ToString::to_string)
                    .collect());
            }
            _ => {}
        }
    }
    bail!("there is no message {name}")
}
