//! What a filter needs to know of a collection.

use std::collections::HashMap;
use std::sync::Arc;

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

    /// Names of all fields, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(|name| &**name)
    }
}
