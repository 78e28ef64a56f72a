//! What a filter needs to know of a collection.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_protocol::schema::template_array_value::Data;
use milvus_protocol::schema::template_value::Val;
use milvus_protocol::schema::{TemplateArrayValue, TemplateValue};

use super::constant::Constant;
use crate::column::ColumnType;
use crate::text::Analyzer;

/// Name of the column that holds the dynamic field's JSON.
pub const DYNAMIC_FIELD: &str = "$meta";

/// Values for the `{name}`s of an expression.
pub type Templates = HashMap<String, Constant>;

/// A field as a filter sees it.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name of the field, and of its column.
    pub name: Arc<str>,
    /// Type of its column.
    pub kind: ColumnType,
    /// Value of rows that were written before the field existed; null when absent.
    pub default: Option<Constant>,
    /// Analyzer of `text_match` and `phrase_match`, for a VarChar field that enables them.
    pub analyzer: Option<Arc<Analyzer>>,
}

impl Field {
    /// A field without default and without text match.
    pub fn new(name: impl Into<Arc<str>>, kind: ColumnType) -> Self {
        Self {
            name: name.into(),
            kind,
            default: None,
            analyzer: None,
        }
    }
}

/// The fields of a collection.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    fields: HashMap<Arc<str>, Arc<Field>>,
    dynamic: Option<Arc<Field>>,
}

impl Schema {
    /// Fields of a collection. With `dynamic`, names that are no field are keys of the JSON column [`DYNAMIC_FIELD`].
    pub fn new(fields: impl IntoIterator<Item = Field>, dynamic: bool) -> Self {
        let fields = fields
            .into_iter()
            .map(|field| (field.name.clone(), Arc::new(field)))
            .collect();
        let dynamic = dynamic.then(|| Arc::new(Field::new(DYNAMIC_FIELD, ColumnType::Json)));
        Self { fields, dynamic }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Arc<Field>> {
        self.fields.get(name)
    }

    pub(super) fn dynamic(&self) -> Option<&Arc<Field>> {
        self.dynamic.as_ref()
    }

    /// A member of the array of structs of this name, one whose values are read fast.
    pub(super) fn first_member(&self, array: &str) -> Option<&Arc<Field>> {
        let members = self.fields.values().filter(|field| {
            crate::catalog::split_member(&field.name).is_some_and(|(owner, _)| owner == array)
        });
        members.min_by_key(|field| {
            let width = match field.kind {
                ColumnType::Array(element) => element.column_type().row_width(),
                _ => None,
            };
            (width.unwrap_or(64), field.name.clone())
        })
    }

    /// Names of all fields, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(|name| &**name)
    }
}

/// The value of a template in a request.
///
/// # Errors
/// When it is absent, or holds bytes, which no filter can use.
pub fn template_constant(value: &TemplateValue) -> Result<Constant, String> {
    match &value.val {
        Some(Val::BoolVal(flag)) => Ok(Constant::Bool(*flag)),
        Some(Val::Int64Val(number)) => Ok(Constant::Int(*number)),
        Some(Val::FloatVal(number)) => Ok(Constant::Double(*number)),
        Some(Val::StringVal(text)) => Ok(Constant::Text(text.clone())),
        Some(Val::ArrayVal(list)) => template_list(list, 0),
        Some(Val::BytesVal(_)) => Err("a template value can't be bytes".into()),
        None => Err("a template value is empty".into()),
    }
}

fn template_list(list: &TemplateArrayValue, depth: usize) -> Result<Constant, String> {
    const DEEPEST: usize = 16;
    if depth > DEEPEST {
        return Err(format!(
            "a template list can be nested at most {DEEPEST} levels deep"
        ));
    }
    let text = |bytes: &bytes::Bytes| {
        String::from_utf8(bytes.to_vec()).map_err(|_| "a template string is not UTF-8".to_owned())
    };
    let elements: Result<Vec<Constant>, String> = match &list.data {
        None => Ok(Vec::new()),
        Some(Data::BoolData(values)) => Ok(values
            .data
            .iter()
            .map(|value| Constant::Bool(*value))
            .collect()),
        Some(Data::LongData(values)) => Ok(values
            .data
            .iter()
            .map(|value| Constant::Int(*value))
            .collect()),
        Some(Data::DoubleData(values)) => Ok(values
            .data
            .as_chunks::<8>()
            .0
            .iter()
            .map(|value| Constant::Double(f64::from_le_bytes(*value)))
            .collect()),
        Some(Data::StringData(values)) => values
            .data
            .iter()
            .map(|value| text(value).map(Constant::Text))
            .collect(),
        Some(Data::ArrayData(values)) => values
            .data
            .iter()
            .map(|value| template_list(value, depth + 1))
            .collect(),
        Some(Data::JsonData(values)) => values
            .data
            .iter()
            .map(|value| json_constant(value))
            .collect(),
    };
    elements.map(Constant::List)
}

/// A scalar in JSON, the form that lists of mixed types have in a request.
fn json_constant(text: &[u8]) -> Result<Constant, String> {
    fn convert(value: serde_json::Value) -> Result<Constant, String> {
        use serde_json::Value;
        match value {
            Value::Bool(flag) => Ok(Constant::Bool(flag)),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Ok(Constant::Int(integer)),
                (None, Some(double)) => Ok(Constant::Double(double)),
                (None, None) => Err(format!("{number} is not a number of 64 bits")),
            },
            Value::String(text) => Ok(Constant::Text(text)),
            Value::Array(list) => list
                .into_iter()
                .map(convert)
                .collect::<Result<_, _>>()
                .map(Constant::List),
            Value::Null | Value::Object(_) => {
                Err("a template list holds numbers, strings, bools and lists".into())
            }
        }
    }
    convert(
        serde_json::from_slice(text)
            .map_err(|error| format!("a template value is not JSON: {error}"))?,
    )
}
