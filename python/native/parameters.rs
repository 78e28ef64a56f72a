//! What Python gives for a connection, as the registry's parameters.
//!
//! Invariants: a value of a wrong type is told before anything is changed, with PyMilvus's text where it has one; a name
//! that the registry does not know is left aside, as existing code expects; no value of a secret is told.

use std::path::PathBuf;
use std::time::Duration;

use milvus_connections::{ConnectionParams, Field, FieldKind, FieldValue, pymilvus};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::errors::Failure;

/// Where parameters are given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// An entry of `add_connection`, where `None` is no address.
    Entry,
    /// The arguments of `connect`, where `None` is an argument that is not given.
    Arguments,
}

/// The alias, when it is one.
///
/// # Errors
/// With PyMilvus's text when it is no string.
pub(crate) fn alias(given: &Bound<'_, PyAny>) -> Result<String, Failure> {
    match given.cast::<PyString>() {
        Ok(text) => Ok(text.extract()?),
        Err(_) => {
            let class = given.get_type().repr()?;
            Err(Failure::configuration(pymilvus::alias_type(
                &class.extract::<String>()?,
            )))
        }
    }
}

/// The parameters in `given`.
///
/// # Errors
/// A value of the wrong type, with the alias and the field.
pub(crate) fn parameters(
    alias: &str,
    given: &Bound<'_, PyDict>,
    place: Place,
) -> Result<ConnectionParams, Failure> {
    let mut params = ConnectionParams::new();
    for (name, value) in given {
        let name: String = name.extract()?;
        let Some(field) = Field::from_name(&name) else {
            continue;
        };
        match read(field, &value, place) {
            Ok(Some(value)) => params = params.with(field, value),
            Ok(None) => {}
            Err(Failure::Exception {
                class,
                code,
                message,
            }) => {
                let message = format!(
                    "the configuration of the alias {alias:?} can't be used: `{field}`: {message}"
                );
                return Err(Failure::Exception {
                    class,
                    code,
                    message,
                });
            }
            Err(other) => return Err(other),
        }
    }
    Ok(params)
}

/// The value of a field; `None` when it means that the field is not given.
fn read(
    field: Field,
    value: &Bound<'_, PyAny>,
    place: Place,
) -> Result<Option<FieldValue>, Failure> {
    let may_be_none = place == Place::Arguments
        || !matches!(
            field,
            Field::Address | Field::Uri | Field::Host | Field::Port
        );
    if value.is_none() && may_be_none {
        return Ok(None);
    }
    let wrong = || wrong_type(field, value);
    Ok(Some(match (field, field.kind()) {
        (Field::User, _) => FieldValue::Text(value.str()?.extract()?),
        (_, FieldKind::Secret) => FieldValue::Secret(value.str()?.extract::<String>()?.into()),
        (_, FieldKind::Text) => FieldValue::Text(text(value).ok_or_else(wrong)?),
        (_, FieldKind::Uri) => FieldValue::Secret(path(value)?.ok_or_else(wrong)?.into()),
        (_, FieldKind::Port) => FieldValue::Text(port(value)?.ok_or_else(wrong)?),
        (_, FieldKind::Path) => FieldValue::Path(PathBuf::from(path(value)?.ok_or_else(wrong)?)),
        (_, FieldKind::Flag) => FieldValue::Flag(value.is_truthy()?),
        (_, FieldKind::Seconds) => match seconds(value) {
            Some(duration) => FieldValue::Seconds(duration),
            // PyMilvus takes its default for a timeout that is no number.
            None if field == Field::Timeout && !is_number(value) => return Ok(None),
            None => return Err(wrong()),
        },
        (_, FieldKind::Count) => FieldValue::Count(value.extract().map_err(|_| wrong())?),
        (_, FieldKind::Texts) => FieldValue::Texts(texts(value).ok_or_else(wrong)?),
        _ => return Ok(None),
    }))
}

fn wrong_type(field: Field, value: &Bound<'_, PyAny>) -> Failure {
    let shown = || {
        value
            .str()
            .map_or_else(|_| "?".to_owned(), |text| text.to_string())
    };
    Failure::configuration(match field {
        Field::Host => pymilvus::HOST_TYPE.to_owned(),
        Field::Port => pymilvus::PORT_TYPE.to_owned(),
        Field::Address => format!(
            "Illegal address: {}, should be in form 'localhost:19530'",
            shown()
        ),
        Field::Uri => {
            format!(
                "Illegal uri: [{}], expected form 'http[s]://[user:password@]example.com[:12345]'",
                shown()
            )
        }
        _ => {
            let class = value
                .get_type()
                .name()
                .map_or_else(|_| "?".to_owned(), |name| name.to_string());
            format!(
                "it must be {}, and a value of type {class} is given",
                field.kind()
            )
        }
    })
}

fn text(value: &Bound<'_, PyAny>) -> Option<String> {
    value.cast::<PyString>().ok()?.extract().ok()
}

/// A string, or anything that `os.fspath` takes.
fn path(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_instance_of::<PyString>() {
        return Ok(text(value));
    }
    match value.getattr_opt(pyo3::intern!(value.py(), "__fspath__"))? {
        Some(path) => Ok(text(&path.call0()?)),
        None => Ok(None),
    }
}

fn port(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        return value.str()?.extract().map(Some);
    }
    Ok(text(value))
}

fn is_number(value: &Bound<'_, PyAny>) -> bool {
    (value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>())
        && !value.is_instance_of::<PyBool>()
}

fn seconds(value: &Bound<'_, PyAny>) -> Option<Duration> {
    if !is_number(value) {
        return None;
    }
    Duration::try_from_secs_f64(value.extract().ok()?).ok()
}

fn texts(value: &Bound<'_, PyAny>) -> Option<Vec<String>> {
    if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
        return None;
    }
    value
        .try_iter()
        .ok()?
        .map(|entry| text(&entry.ok()?))
        .collect()
}
