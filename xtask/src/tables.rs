//! The two tables beside the `.proto` files that people write and review: a row per call, and the
//! fields that are special.
//!
//! Invariant: a key that these types do not know is an error, so that a typing mistake cannot drop a
//! decision silently.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// `rpc-table.toml`: for each service by its full name, a row for each call by its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RpcTable {
    pub(crate) service: BTreeMap<String, BTreeMap<String, RpcRow>>,
}

/// What a person decided about one call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RpcRow {
    pub(crate) class: OperationClass,
    pub(crate) why: Option<String>,
    #[serde(default)]
    pub(crate) database: DatabaseField,
    pub(crate) refine: Option<String>,
}

/// The operation classes by the names that the table uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OperationClass {
    Read,
    IdempotentWrite,
    KeyedWrite,
    NonIdempotentWrite,
    Admin,
    LongPoll,
}

impl OperationClass {
    /// The name of the class in the generated Rust code.
    pub(crate) fn rust_name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::IdempotentWrite => "IdempotentWrite",
            Self::KeyedWrite => "KeyedWrite",
            Self::NonIdempotentWrite => "NonIdempotentWrite",
            Self::Admin => "Admin",
            Self::LongPoll => "LongPoll",
        }
    }
}

/// What the request's `db_name` says, when there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DatabaseField {
    /// Where the call happens: a client fills in the database of its handle.
    #[default]
    Context,
    /// What the call works on, or a scope: the caller alone says it.
    Operand,
}

/// `field-table.toml`: bytes substitutions and fields that Debug must not print.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldTable {
    /// Full field name → its official declaration (`repeated float`).
    pub(crate) bytes_substitutions: BTreeMap<String, String>,
    /// Full field name → what Debug shows of it.
    pub(crate) debug: BTreeMap<String, Shown>,
}

impl FieldTable {
    /// The fields that Debug does not show as they are, and what it shows of them.
    pub(crate) fn redacted(&self) -> impl Iterator<Item = (&str, Shown)> {
        self.debug
            .iter()
            .filter(|(_, shown)| **shown != Shown::Plain)
            .map(|(field, shown)| (field.as_str(), *shown))
    }
}

/// What Debug shows of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shown {
    /// Only whether there is something.
    Secret,
    /// Only the number of bytes.
    Length,
    /// An address without user information and query.
    Address,
    /// A map without the values whose keys name a secret.
    ByKey,
    /// As it is, although its name sounds like a secret.
    Plain,
}

/// Reads `rpc-table.toml` of the protocol crate in `folder`.
pub(crate) fn read_rpc_table(folder: &Path) -> anyhow::Result<RpcTable> {
    read(&folder.join("rpc-table.toml"))
}

/// Reads `field-table.toml` of the protocol crate in `folder`.
pub(crate) fn read_field_table(folder: &Path) -> anyhow::Result<FieldTable> {
    read(&folder.join("field-table.toml"))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
}
