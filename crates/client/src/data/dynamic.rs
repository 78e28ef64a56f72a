//! Columns that the schema does not name: they travel inside `$meta`, a JSON object for each row.
//!
//! Invariant: a row's object is valid JSON with each key once; rows without dynamic fields have `{}`.

use bytes::Bytes;
use serde_json::Value;

use super::bind::row_of;
use super::column::{Column, Values};
use super::{FieldColumn, Payload, first_not_finite};
use crate::error::{InvalidValue, Rule};
use crate::schema::DataType;

/// The name of the field that holds what the schema does not name.
pub(crate) const DYNAMIC_FIELD: &str = "$meta";

/// Dynamic columns, collected.
#[derive(Debug, Default)]
pub(crate) struct DynamicRows {
    columns: Vec<(String, Vec<Value>)>,
}

impl DynamicRows {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(other, _)| other == name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Takes a column over; returns its number of rows.
    pub(crate) fn add(&mut self, name: String, column: Column) -> Result<usize, InvalidValue> {
        let fault = |row: Option<u64>, rule| InvalidValue::new(&name, row, rule);
        if name == DYNAMIC_FIELD {
            return Err(fault(
                None,
                Rule::Row("give dynamic fields as columns of their own".to_owned()),
            ));
        }
        let Column { values, valid } = column;
        let mut values = json_values(values)
            .map_err(|(place, rule)| {
                let row = place.and_then(|place| row_of(valid.as_deref(), place));
                fault(row, rule)
            })?
            .into_iter();
        let values: Vec<Value> = match valid {
            None => values.collect(),
            Some(valid) => valid
                .into_iter()
                .map(|is_there| {
                    if is_there {
                        values.next().unwrap_or_default()
                    } else {
                        Value::Null
                    }
                })
                .collect(),
        };
        let rows = values.len();
        self.columns.push((name, values));
        Ok(rows)
    }

    /// The column of `$meta`.
    pub(crate) fn into_column(mut self, rows: usize) -> FieldColumn {
        let object = |row: usize| {
            let object: serde_json::Map<String, Value> = self
                .columns
                .iter_mut()
                .filter_map(|(name, values)| Some((name.clone(), values.get_mut(row)?.take())))
                .collect();
            Bytes::from(Value::Object(object).to_string())
        };
        dynamic_column((0..rows).map(object).collect())
    }
}

/// The column of `$meta` with these objects.
pub(crate) fn dynamic_column(objects: Vec<Bytes>) -> FieldColumn {
    FieldColumn {
        name: DYNAMIC_FIELD.to_owned(),
        data_type: DataType::Json,
        element_type: None,
        dimension: 0,
        is_dynamic: true,
        payload: Payload::Slices(objects),
        valid: None,
    }
}

/// The values as JSON; else the place of the one that is none, and why. JSON has no NaN and no infinity.
fn json_values(values: Values) -> Result<Vec<Value>, (Option<usize>, Rule)> {
    fn all<T: Into<Value>>(values: Vec<T>) -> Vec<Value> {
        values.into_iter().map(Into::into).collect()
    }
    let finite = |data_type, packed: &[u8]| match first_not_finite(data_type, packed) {
        Some(place) => Err((Some(place), Rule::Finite { element: None })),
        None => Ok(()),
    };
    Ok(match values {
        Values::Bool(values) => all(values),
        Values::Int8(values) => all(values),
        Values::Int16(values) => all(values),
        Values::Int32(values) => all(values),
        Values::Int64(values) => all(values),
        Values::Float(packed) => {
            finite(DataType::Float, &packed)?;
            let (values, _) = packed.as_chunks::<4>();
            let float = |value: &[u8; 4]| f32::from_le_bytes(*value).into();
            values.iter().map(float).collect()
        }
        Values::Double(packed) => {
            finite(DataType::Double, &packed)?;
            let (values, _) = packed.as_chunks::<8>();
            let double = |value: &[u8; 8]| f64::from_le_bytes(*value).into();
            values.iter().map(double).collect()
        }
        Values::Text(values) => values
            .iter()
            .map(|text| String::from_utf8_lossy(text).into_owned().into())
            .collect(),
        Values::Json(values) => {
            let json = |(place, text): (usize, &Bytes)| {
                serde_json::from_slice(text)
                    .map_err(|error| (Some(place), Rule::Json(error.to_string())))
            };
            values
                .iter()
                .enumerate()
                .map(json)
                .collect::<Result<_, _>>()?
        }
        Values::BoolLists(lists) => all(lists),
        Values::IntLists(lists) => all(lists),
        Values::DoubleLists(lists) => {
            for (place, list) in lists.iter().enumerate() {
                if let Some(element) = list.iter().position(|value| !value.is_finite()) {
                    let element = Some(element);
                    return Err((Some(place), Rule::Finite { element }));
                }
            }
            all(lists)
        }
        Values::TextLists(lists) => all(lists),
        other => {
            let rule = Rule::Type {
                expected: DataType::Json,
                found: other.describe().to_owned(),
            };
            return Err((None, rule));
        }
    })
}
