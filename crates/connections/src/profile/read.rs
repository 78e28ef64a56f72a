//! From TOML to the parameters of each alias.
//!
//! Invariant: a fault is told with its line, and without the value when the value may be a secret.

use std::ops::Range;
use std::path::Path;

use milvus_transport::{SecretString, parse_uri};
use toml_edit::{Document, Item, TableLike, Value};

use super::permissions::Access;
use crate::environment::duration;
use crate::error::ProfileError;
use crate::field::{Field, FieldKind, FieldValue};
use crate::params::ConnectionParams;

/// What reading one file needs to know everywhere.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    access: Access,
}

pub(super) fn aliases(
    path: &Path,
    text: &str,
    access: Access,
) -> Result<Vec<(String, ConnectionParams)>, ProfileError> {
    let reader = Reader { path, text, access };
    let document = Document::parse(text).map_err(|error| {
        // TomlError's own Display quotes the line, which may hold a secret.
        reader.fault(
            error.span(),
            format!("it is not valid TOML: {}", error.message()),
        )
    })?;
    document
        .as_table()
        .iter()
        .map(|(alias, item)| {
            let place = document
                .as_table()
                .key(alias)
                .and_then(toml_edit::Key::span)
                .or_else(|| item.span());
            reader
                .alias(alias, item, place)
                .map(|params| (alias.to_owned(), params))
        })
        .collect()
}

impl Reader<'_> {
    fn fault(&self, place: Option<Range<usize>>, message: impl Into<String>) -> ProfileError {
        let line = place
            .and_then(|place| self.text.get(..place.start))
            .map(|before| before.matches('\n').count() + 1);
        ProfileError::new(self.path, line, message)
    }

    fn alias(
        &self,
        alias: &str,
        item: &Item,
        place: Option<Range<usize>>,
    ) -> Result<ConnectionParams, ProfileError> {
        let Some(table) = item.as_table_like() else {
            let hint = match Field::from_name(alias) {
                Some(field) => format!("`{field}` stands outside a table"),
                None => format!("`{alias}` is not a table"),
            };
            return Err(self.fault(
                place,
                format!("{hint}; write one table for each alias, such as [dev]"),
            ));
        };
        if alias.is_empty() {
            return Err(self.fault(place, "an alias can't be empty"));
        }
        let mut params = ConnectionParams::new();
        for (key, item) in table.iter() {
            let place = table
                .key(key)
                .and_then(toml_edit::Key::span)
                .or_else(|| item.span());
            let field = self.field(alias, key, table, place.clone())?;
            let value = self.value(alias, field, item, place)?;
            params = params.with(field, value);
        }
        Ok(params)
    }

    fn field(
        &self,
        alias: &str,
        key: &str,
        table: &dyn TableLike,
        place: Option<Range<usize>>,
    ) -> Result<Field, ProfileError> {
        if let Some(field) = Field::from_name(key) {
            return Ok(field);
        }
        let nested = table.get(key).is_some_and(Item::is_table_like);
        let hint = match Field::nearest(key) {
            _ if nested => {
                format!("quote an alias that has a dot in its name: [\"{alias}.{key}\"]")
            }
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => {
                let names: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
                format!("the keys are {}", names.join(", "))
            }
        };
        Err(self.fault(
            place,
            format!("[{alias}] has an unknown key `{key}`; {hint}"),
        ))
    }

    fn value(
        &self,
        alias: &str,
        field: Field,
        item: &Item,
        place: Option<Range<usize>>,
    ) -> Result<FieldValue, ProfileError> {
        let value = item
            .as_value()
            .and_then(|value| read_value(field.kind(), value));
        let Some(value) = value else {
            return Err(self.fault(
                place,
                format!("[{alias}] `{field}` must be {}", field.kind()),
            ));
        };
        self.guard(alias, field, &value, place)?;
        Ok(match value {
            // Certificates and secrets are named from where the profile stands, so that both can be moved together.
            FieldValue::Path(path) => FieldValue::Path(match self.path.parent() {
                Some(folder) => folder.join(path),
                None => path,
            }),
            other => other,
        })
    }

    /// Secrets in a file that others can read, and commands in one that others can write, are refused.
    fn guard(
        &self,
        alias: &str,
        field: Field,
        value: &FieldValue,
        place: Option<Range<usize>>,
    ) -> Result<(), ProfileError> {
        let path = self.path.display();
        if self.access.others_read && holds_secret(field, value) {
            let instead = match field {
                Field::Token => "`token_env`, `token_file` or `token_command`",
                _ => "`password_env`, `password_file` or `password_command`",
            };
            return Err(self.fault(
                place,
                format!("[{alias}] `{field}` holds a secret, and others can read this file. Run `chmod 600 {path}`, or use {instead}."),
            ));
        }
        if self.access.others_write && matches!(field, Field::TokenCommand | Field::PasswordCommand)
        {
            return Err(self.fault(
                place,
                format!("[{alias}] `{field}` is a command, and others can write this file. Run `chmod go-w {path}`."),
            ));
        }
        Ok(())
    }
}

fn holds_secret(field: Field, value: &FieldValue) -> bool {
    use secrecy::ExposeSecret as _;
    match (field.kind(), value) {
        (FieldKind::Secret, value) => !value.is_empty(),
        // A URI that can't be read may hold anything.
        (FieldKind::Uri, FieldValue::Secret(uri)) => {
            parse_uri(uri.expose_secret()).map_or(true, |uri| uri.password.is_some())
        }
        _ => false,
    }
}

fn read_value(kind: FieldKind, value: &Value) -> Option<FieldValue> {
    let text = || value.as_str().map(str::to_owned);
    match kind {
        FieldKind::Text => text().map(FieldValue::Text),
        FieldKind::Port => text()
            .or_else(|| value.as_integer().map(|port| port.to_string()))
            .map(FieldValue::Text),
        FieldKind::Uri | FieldKind::Secret => {
            text().map(|text| FieldValue::Secret(SecretString::from(text)))
        }
        FieldKind::Path => text().map(|text| FieldValue::Path(text.into())),
        FieldKind::Flag => value.as_bool().map(FieldValue::Flag),
        FieldKind::Count => value
            .as_integer()
            .and_then(|count| count.try_into().ok())
            .map(FieldValue::Count),
        FieldKind::Seconds => value
            .as_float()
            .or_else(|| value.as_integer().map(|seconds| seconds as f64))
            .and_then(duration)
            .map(FieldValue::Seconds),
        FieldKind::Texts => {
            let texts = value
                .as_array()?
                .iter()
                .map(|text| text.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(FieldValue::Texts)
        }
    }
}
