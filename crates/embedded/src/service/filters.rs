//! Filters of requests: the collection's schema as the filter language sees it, template values, and the compiled filter.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_protocol::schema::TemplateValue;

use crate::catalog::{CollectionRecord, DataType, DefaultValue, FieldRecord};
use crate::engine::{BoundFilter, analyzer_of};
use crate::error::MilvusError;
use crate::filter::{Constant, Field, Schema, Templates, compile, template_constant};

/// Compiles the filter of a request; `None` when it has none.
pub(super) fn read_filter(
    record: &CollectionRecord,
    text: &str,
    values: &HashMap<String, TemplateValue>,
) -> Result<Option<Arc<BoundFilter>>, MilvusError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut templates = Templates::new();
    for (name, value) in values {
        let constant = template_constant(value).map_err(|error| {
            MilvusError::invalid(format!("template variable {{{name}}}: {error}"))
        })?;
        templates.insert(name.clone(), constant);
    }
    let plan = compile(text, &schema(record)?, &templates)
        .map_err(|error| MilvusError::invalid(format!("failed to create query plan: {error}")))?;
    if plan.matches_all() {
        return Ok(None);
    }
    BoundFilter::new(record, plan).map(|filter| Some(Arc::new(filter)))
}

fn schema(record: &CollectionRecord) -> Result<Schema, MilvusError> {
    let mut fields = Vec::with_capacity(record.fields.len());
    for field in record.fields.iter().filter(|field| !field.dynamic) {
        let mut known = Field::new(field.name.as_str(), field.column_type());
        known.default = field
            .default
            .as_ref()
            .and_then(|default| read_default(field, default));
        if field.data_type == DataType::VarChar && field.analyzed() && enables_match(field) {
            known.analyzer = Some(analyzer_of(field)?);
        }
        fields.push(known);
    }
    Ok(Schema::new(fields, record.enable_dynamic_field))
}

fn enables_match(field: &FieldRecord) -> bool {
    field
        .type_params
        .get("enable_match")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn read_default(field: &FieldRecord, default: &DefaultValue) -> Option<Constant> {
    Some(match default {
        DefaultValue::Bool(value) => Constant::Bool(*value),
        DefaultValue::Int(value) => Constant::Int(*value),
        DefaultValue::Float(value) => Constant::Double(f64::from(*value)),
        DefaultValue::Double(value) => Constant::Double(*value),
        DefaultValue::String(value) if field.data_type == DataType::VarChar => {
            Constant::Text(value.clone())
        }
        _ => return None,
    })
}
