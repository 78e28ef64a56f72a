//! The rules for names.

use crate::error::MilvusError;

/// Checks a name of a database, collection, partition, alias, field, user or role: a letter or underscore, then letters, digits and underscores, at most 255 bytes.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), MilvusError> {
    let refuse = |reason: &str| {
        Err(MilvusError::invalid(format!(
            "Invalid {what} name: {name}. {reason}"
        )))
    };
    let Some(first) = name.chars().next() else {
        return refuse(&format!("the {what} name should not be empty"));
    };
    if name.len() > 255 {
        return refuse(&format!(
            "the length of a {what} name must be less than 255 characters"
        ));
    }
    if !(first == '_' || first.is_ascii_alphabetic()) {
        return refuse(&format!(
            "the first character of a {what} name must be an underscore or letter"
        ));
    }
    if !name.chars().all(|letter| {
        letter == '_' || letter.is_ascii_alphanumeric() || (letter == '$' && what != "field")
    }) {
        return refuse(&format!(
            "{what} name can only contain numbers, letters and underscores"
        ));
    }
    Ok(())
}
