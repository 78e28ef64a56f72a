//! Functions of a schema: fields that are computed from others when rows are written.

use std::sync::Arc;

use crate::catalog::{CollectionRecord, FieldRecord, FunctionKind, FunctionRecord};
use crate::column::{Column, ColumnBuilder, ColumnType, Value};
use crate::error::MilvusError;
use crate::text::Analyzer;
use crate::text::bm25::term_counts;

/// Adds the outputs of the schema's functions to the columns of a batch.
pub(crate) fn compute(
    record: &CollectionRecord,
    columns: &mut Vec<(i64, Column)>,
) -> Result<(), MilvusError> {
    for function in &record.functions {
        let (Some(input), Some(output)) = (
            field_id(record, function.inputs.first()),
            field_id(record, function.outputs.first()),
        ) else {
            return Err(MilvusError::invalid(format!(
                "function {} has no input or output field",
                function.name
            )));
        };
        let Some((_, text)) = columns.iter().find(|(field, _)| *field == input) else {
            return Err(MilvusError::invalid(format!(
                "function {} has no input",
                function.name
            )));
        };
        let column = match function.kind {
            FunctionKind::Bm25 => counted_terms(record, function, text)?,
        };
        columns.push((output, column));
    }
    Ok(())
}

fn field_id(record: &CollectionRecord, name: Option<&String>) -> Option<i64> {
    Some(record.field(name?)?.id)
}

fn counted_terms(
    record: &CollectionRecord,
    function: &FunctionRecord,
    text: &Column,
) -> Result<Column, MilvusError> {
    let field = function.inputs.first().and_then(|name| record.field(name));
    let field = field
        .ok_or_else(|| MilvusError::invalid(format!("function {} has no input", function.name)))?;
    let analyzer = analyzer_of(field)?;
    let mut builder = ColumnBuilder::with_capacity(ColumnType::SparseFloatVector, text.len());
    for row in 0..text.len() {
        let (terms, counts) = match text.value(row) {
            Value::Varchar(text) => term_counts(&analyzer, text),
            _ => (Vec::new(), Vec::new()),
        };
        builder
            .push(Value::Sparse(&terms, &counts))
            .map_err(MilvusError::invalid)?;
    }
    Ok(builder.finish())
}

/// The analyzer of a text field, as its parameters describe it.
pub(crate) fn analyzer_of(field: &FieldRecord) -> Result<Arc<Analyzer>, MilvusError> {
    let parameters = field
        .type_params
        .get("analyzer_params")
        .map_or("", String::as_str);
    let analyzer = Analyzer::from_json(parameters)
        .map_err(|error| MilvusError::invalid(format!("field {}: {error}", field.name)))?;
    Ok(Arc::new(analyzer))
}
