//! Query, and the output fields that search shares with it.

use std::collections::BTreeSet;

use milvus_protocol::milvus::*;
use milvus_protocol::schema::{
    DataType as WireType, FieldData, LongArray, ScalarField, field_data::Field, scalar_field,
};

use super::Embedded;
use super::answer::Call;
use super::filters::read_filter;
use super::parameters::{find, refuse_time_zones};
use super::struct_arrays::{named_struct, public_name, write_columns};
use super::{Moment, reader};
use crate::catalog::{CollectionRecord, DYNAMIC_FIELD, FieldRecord};
use crate::engine::QueryRequest as EngineQuery;
use crate::error::MilvusError;

/// Most rows that one query or search gives, offset included.
pub(super) const MAX_WINDOW: i64 = 16_384;

/// The fields that an answer has, and the names as they were asked for (keys of the dynamic field by their own names).
pub(super) struct OutputFields {
    pub(super) fields: Vec<FieldRecord>,
    pub(super) names: Vec<String>,
}

/// Resolves names, `*` and keys of the dynamic field. The primary key is always there when `with_key`.
pub(super) fn output_fields(
    record: &CollectionRecord,
    wanted: &[String],
    with_key: bool,
) -> Result<OutputFields, MilvusError> {
    let mut ids = BTreeSet::new();
    let mut names = Vec::new();
    let mut dynamic = false;
    for name in wanted.iter().map(|name| name.trim()) {
        if name == "*" {
            for field in &record.fields {
                // What a BM25 function computes is for the index alone, and Milvus doesn't give it back.
                if !field.function_output {
                    ids.insert(field.id);
                    names.push(public_name(field).to_owned());
                }
            }
            continue;
        }
        if let Some(array) = named_struct(record, name, &mut ids)? {
            names.push(array);
            continue;
        }
        let root = name.split_once('[').map_or(name, |(root, _)| root);
        match record.field(root) {
            Some(field) if field.function_output => {
                return Err(MilvusError::invalid(format!(
                    "not allowed to retrieve raw data of field {name}"
                )));
            }
            Some(field) => drop(ids.insert(field.id)),
            None if record.enable_dynamic_field => dynamic = true,
            None => return Err(MilvusError::invalid(format!("field {name} not exist"))),
        }
        names.push(name.to_owned());
    }
    if dynamic {
        ids.extend(record.dynamic_field().map(|field| field.id));
    }
    let primary = record.primary()?;
    if with_key {
        ids.insert(primary.id);
        if !names.contains(&primary.name) {
            names.push(primary.name.clone());
        }
    }
    let mut unique = Vec::with_capacity(names.len());
    for name in names.into_iter().filter(|name| {
        name != DYNAMIC_FIELD
            || wanted
                .iter()
                .any(|wanted| wanted == DYNAMIC_FIELD || wanted == "*")
    }) {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    let fields = record
        .fields
        .iter()
        .filter(|field| ids.contains(&field.id))
        .cloned()
        .collect();
    Ok(OutputFields {
        fields,
        names: unique,
    })
}

/// A number among the parameters.
pub(super) fn number(
    pairs: &[milvus_protocol::common::KeyValuePair],
    key: &str,
) -> Result<Option<i64>, MilvusError> {
    match find(pairs, key)
        .filter(|text| !text.is_empty())
        .map(|text| (text, text.parse::<i64>()))
    {
        None => Ok(None),
        Some((_, Ok(value))) => Ok(Some(value)),
        Some((text, Err(_))) => Err(MilvusError::invalid(format!("{key} [{text}] is invalid"))),
    }
}

/// Offset and limit of a query. -1, or no limit, is all rows.
fn window(request: &QueryRequest) -> Result<(usize, Option<usize>), MilvusError> {
    let limit = number(&request.query_params, "limit")?.filter(|limit| *limit != -1);
    let offset = number(&request.query_params, "offset")?.unwrap_or(0);
    if !(0..=MAX_WINDOW).contains(&offset) {
        return Err(MilvusError::invalid(format!(
            "invalid max query result window, offset [{offset}] is invalid, it should be in range [0, {MAX_WINDOW}]"
        )));
    }
    match limit {
        None => Ok((offset as usize, None)),
        Some(limit) if limit <= 0 => Err(MilvusError::invalid(format!(
            "invalid max query result window, limit [{limit}] is invalid, it should be in range [1, {MAX_WINDOW}]"
        ))),
        Some(limit) if limit.saturating_add(offset) > MAX_WINDOW => {
            Err(MilvusError::invalid(format!(
                "invalid max query result window, (offset+limit) should be in range [1, {MAX_WINDOW}], but got {}",
                limit.saturating_add(offset)
            )))
        }
        Some(limit) => Ok((offset as usize, Some(limit as usize))),
    }
}

fn count_answer(count: usize, collection: String, session_ts: u64) -> QueryResults {
    let scalars = ScalarField {
        data: Some(scalar_field::Data::LongData(LongArray {
            data: vec![count as i64],
        })),
    };
    let column = FieldData {
        r#type: WireType::Int64 as i32,
        field_name: "count(*)".to_owned(),
        field: Some(Field::Scalars(scalars)),
        ..FieldData::default()
    };
    QueryResults {
        fields_data: vec![column],
        collection_name: collection,
        output_fields: vec!["count(*)".to_owned()],
        session_ts,
        ..QueryResults::default()
    }
}

/// The fields of `order_by_fields` ("price:desc,id") with whether they descend.
fn ordering(
    record: &CollectionRecord,
    request: &QueryRequest,
) -> Result<Vec<(FieldRecord, bool)>, MilvusError> {
    let Some(text) = find(&request.query_params, "order_by_fields").filter(|text| !text.is_empty())
    else {
        return Ok(Vec::new());
    };
    let mut order = Vec::new();
    for part in text.split(',') {
        let (name, direction) = part.split_once(':').unwrap_or((part, "asc"));
        let field = record
            .field(name.trim())
            .ok_or_else(|| MilvusError::field_not_found(name.trim()))?;
        if field.data_type.is_vector()
            || matches!(
                field.data_type,
                crate::catalog::DataType::Json | crate::catalog::DataType::Array
            )
        {
            return Err(MilvusError::invalid(format!(
                "field {name} of type {} can't be ordered by",
                field.column_type()
            )));
        }
        let descending = match direction.trim().to_ascii_lowercase().as_str() {
            "asc" | "" => false,
            "desc" => true,
            other => {
                return Err(MilvusError::invalid(format!(
                    "the order of {name} is asc or desc, not {other}"
                )));
            }
        };
        order.push((field.clone(), descending));
    }
    Ok(order)
}

impl Embedded {
    pub(super) async fn on_query(
        &self,
        call: Call<QueryRequest>,
    ) -> Result<QueryResults, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        self.blocking(move |engine| {
            let state = engine.state();
            refuse_time_zones(&request.query_params)?;
            let moment = Moment::new(&request.query_params, request.guarantee_timestamp);
            let (reader, session_ts) = reader(engine, &state, &database, &request.collection_name, &request.partition_names, moment)?;
            let record = reader.record();
            let filter = read_filter(record, &request.expr, &request.expr_template_values)?;
            if find(&request.query_params, "group_by_fields").is_some_and(|text| !text.is_empty()) {
                return Err(MilvusError::invalid("query with group_by_fields is not supported by the embedded engine; group the rows in your program"));
            }
            if request.output_fields.iter().any(|name| name.replace(' ', "").eq_ignore_ascii_case("count(*)")) {
                if request.output_fields.len() > 1 || number(&request.query_params, "limit")?.is_some_and(|limit| limit != -1) {
                    return Err(MilvusError::invalid("count entities with pagination or with other fields is not allowed"));
                }
                let count = reader.count(filter.as_deref())?;
                return Ok(count_answer(count, request.collection_name, session_ts));
            }
            let (offset, limit) = window(&request)?;
            if filter.is_none() && limit.is_none() && request.expr.trim().is_empty() {
                return Err(MilvusError::invalid("empty expression should be used with limit"));
            }
            let output = output_fields(record, &request.output_fields, true)?;
            let order = ordering(record, &request)?;
            let mut query = EngineQuery { filter, offset, limit, fields: output.fields.clone() };
            let answer = if order.is_empty() {
                reader.query(&query)?
            } else {
                (query.offset, query.limit) = (0, None);
                reader.query_ordered(&query, &order, offset, limit.unwrap_or(usize::MAX))?
            };
            let fields_data = write_columns(record, &output.fields, &answer.columns);
            Ok(QueryResults {
                fields_data,
                collection_name: request.collection_name,
                output_fields: output.names,
                session_ts,
                primary_field_name: record.primary()?.name.clone(),
                ..QueryResults::default()
            })
        })
        .await
    }
}
