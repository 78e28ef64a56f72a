//! Small things that Python gives: JSON, key-value pairs, placeholders of filters, primary keys, consistency levels.
//!
//! Invariant: what can't be used is told with its name before anything is sent.

use bytes::Bytes;
use milvus_client::{ConsistencyLevel, FilterValue, Ids};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::value::Value;
use crate::errors::Failure;

/// A Python value as JSON.
///
/// # Errors
/// A value that JSON does not have.
pub(crate) fn json(name: &str, value: &Bound<'_, PyAny>) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(Value::json(value))
        .map_err(|error| Failure::parameter(format!("`{name}` can't be sent as JSON: {error}")))
}

/// The texts of a dict, as servers want the values of properties: JSON for dicts and lists, else what `str` says.
///
/// # Errors
/// What `str` raises.
pub(crate) fn pairs(given: &Bound<'_, PyDict>) -> Result<Vec<(String, String)>, Failure> {
    let pair = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let key: String = key.str()?.extract()?;
        let value = match value.is_instance_of::<PyDict>() || value.is_instance_of::<PyList>() {
            true => json(&key, &value)?.to_string(),
            false => value.str()?.extract()?,
        };
        Ok((key, value))
    };
    given.iter().map(pair).collect()
}

/// The values of a filter's placeholders.
///
/// # Errors
/// A value of a type that no placeholder has.
pub(crate) fn filter_values(
    given: Option<&Bound<'_, PyDict>>,
) -> Result<Vec<(String, FilterValue)>, Failure> {
    let Some(given) = given else {
        return Ok(Vec::new());
    };
    let value = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let name: String = name.extract()?;
        let found = filter_value(&value)?.ok_or_else(|| {
            let class = value.get_type().name().map_or_else(|_| String::new(), |class| class.to_string());
            Failure::parameter(format!(
                "the filter parameter {name:?} is of type {class}: it can be a bool, an int, a float, a str, or a list of one of them"
            ))
        })?;
        Ok((name, found))
    };
    given.iter().map(value).collect()
}

fn filter_value(value: &Bound<'_, PyAny>) -> PyResult<Option<FilterValue>> {
    if let Ok(item) = value.cast::<PyList>() {
        return filter_list(&item.iter().collect::<Vec<_>>());
    }
    if let Ok(items) = value.cast::<PyTuple>() {
        return filter_list(&items.iter().collect::<Vec<_>>());
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(Some(FilterValue::Bool(value.extract()?)));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(Some(FilterValue::Int64(value.extract()?)));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Some(FilterValue::Double(value.extract()?)));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(Some(FilterValue::String(value.extract()?)));
    }
    // A scalar of numpy's says what it is as Python's own.
    match value.getattr_opt(pyo3::intern!(value.py(), "tolist"))? {
        Some(method) => {
            let plain = method.call0()?;
            if plain.get_type().is(value.get_type()) {
                Ok(None)
            } else {
                filter_value(&plain)
            }
        }
        None => Ok(None),
    }
}

fn filter_list(items: &[Bound<'_, PyAny>]) -> PyResult<Option<FilterValue>> {
    let all: Option<Vec<FilterValue>> = items.iter().map(filter_value).collect::<PyResult<_>>()?;
    let Some(all) = all else { return Ok(None) };
    macro_rules! list {
        ($one:ident, $list:ident) => {
            all.into_iter()
                .map(|item| match item {
                    FilterValue::$one(value) => Some(value),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()
                .map(FilterValue::$list)
        };
    }
    Ok(match all.first() {
        None => Some(FilterValue::Int64List(Vec::new())),
        Some(FilterValue::Bool(_)) => list!(Bool, BoolList),
        Some(FilterValue::String(_)) => list!(String, StringList),
        Some(FilterValue::Int64(_))
            if !all
                .iter()
                .any(|item| matches!(item, FilterValue::Double(_))) =>
        {
            list!(Int64, Int64List)
        }
        Some(FilterValue::Int64(_) | FilterValue::Double(_)) => all
            .into_iter()
            .map(|item| match item {
                FilterValue::Double(value) => Some(value),
                FilterValue::Int64(value) => Some(value as f64),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(FilterValue::DoubleList),
        Some(_) => None,
    })
}

/// Primary keys, all of one type; `as_text` for the keys of a `VarChar` field, which PyMilvus takes as numbers too.
///
/// # Errors
/// A key that is neither a number nor text.
pub(crate) fn ids(given: &Bound<'_, PyAny>, as_text: bool) -> Result<Ids, Failure> {
    let mut numbers = Vec::new();
    let mut texts = Vec::new();
    for (place, id) in given.try_iter()?.enumerate() {
        let id = id?;
        if let Ok(text) = id.cast::<PyString>() {
            texts.push(Bytes::copy_from_slice(text.to_cow()?.as_bytes()));
        } else if let (Ok(number), false) = (id.extract::<i64>(), id.is_instance_of::<PyBool>()) {
            if as_text {
                texts.push(number.to_string().into());
            } else {
                numbers.push(number);
            }
        } else {
            let class = id.get_type().name()?;
            return Err(Failure::parameter(format!(
                "the id at place {place} is of type {class}: it must be an int or a str"
            )));
        }
    }
    match (numbers.is_empty(), texts.is_empty()) {
        (false, false) => Err(Failure::parameter(
            "the ids are not all of one type: give ints or strs",
        )),
        (_, true) => Ok(Ids::Int64(numbers)),
        (true, false) => Ok(Ids::VarChar(texts)),
    }
}

/// A consistency level: its number, and the timestamp of a customized one.
pub(crate) type Consistency = Option<(i32, u64)>;

/// # Errors
/// A number that is no level.
pub(crate) fn consistency(given: Consistency) -> Result<Option<ConsistencyLevel>, Failure> {
    match given {
        None => Ok(None),
        Some((4, timestamp)) => Ok(Some(ConsistencyLevel::Timestamp(timestamp))),
        Some((number, _)) => match ConsistencyLevel::from_number(number) {
            Some(level) => Ok(Some(level)),
            None => Err(Failure::parameter(format!(
                "invalid consistency level: {number}"
            ))),
        },
    }
}
