//! Insert and upsert.
//!
//! The invariant: a request takes memory by what it carries. The number of rows is only a claim until a column is there that has them.

use std::collections::HashMap;

use milvus_protocol::milvus::*;
use milvus_protocol::schema::field_partial_update_op::OpType;
use milvus_protocol::schema::{FieldData, FieldPartialUpdateOp};
use prost::Message as _;

use super::Embedded;
use super::answer::Call;
use super::field_data::{read_column, write_ids};
use super::struct_arrays::read_struct_array;
use crate::catalog::{CollectionRecord, DYNAMIC_FIELD, DefaultValue, FieldRecord, split_member};
use crate::column::{Column, ColumnType};
use crate::engine::{ArrayChange, Draft, PartialRows, PreparedRows, Reader, replaced_partitions};
use crate::error::{MilvusError, MilvusErrorKind};

/// More rows than any request within the message limit can hold.
const MAX_ROWS: u32 = 10_000_000;
/// How many bytes the rows of a request may be larger than the request, by nulls, defaults and automatic keys.
const MAX_FILLED: usize = 512 << 20;

/// Bytes that a row takes for a field that the request gives no value.
fn filled_width(field: &FieldRecord) -> usize {
    let default = match &field.default {
        Some(DefaultValue::String(text)) => text.len(),
        Some(DefaultValue::Bytes(bytes)) => bytes.len(),
        _ => 0,
    };
    let kind = field.column_type();
    // Rows of variable length have an offset each.
    kind.row_width().unwrap_or(size_of::<u32>() + default)
}

/// Refuses rows that would be far larger than the request that claims them.
fn check_size(
    record: &CollectionRecord,
    rows: u32,
    fields: &[FieldData],
) -> Result<(), MilvusError> {
    let width: usize = record.fields.iter().map(filled_width).sum();
    let carried: usize = fields.iter().map(FieldData::encoded_len).sum();
    let size = width.saturating_mul(rows as usize);
    if size <= MAX_FILLED.saturating_add(carried) {
        return Ok(());
    }
    Err(MilvusError::new(
        MilvusErrorKind::ParameterTooLarge,
        format!(
            "{rows} rows of {width} bytes each are claimed by a request of {carried} bytes, which may be filled up by at most \
             {MAX_FILLED} bytes; send fewer rows in one request"
        ),
    ))
}

/// The changes of arrays that a partial upsert asks for, by field.
fn array_changes(
    record: &CollectionRecord,
    asked: &[FieldPartialUpdateOp],
    given: &[(String, Column)],
) -> Result<HashMap<String, ArrayChange>, MilvusError> {
    let mut names = Vec::with_capacity(asked.len());
    let mut changes = HashMap::new();
    for operation in asked {
        let name = operation.field_name.as_str();
        if names.contains(&name) {
            return Err(MilvusError::invalid(format!(
                "field {name} has more than one partial update operation"
            )));
        }
        names.push(name);
        let is_struct = record.struct_array(name).is_some();
        if is_struct && operation.op == OpType::Replace as i32 {
            continue;
        }
        if is_struct || split_member(name).is_some() {
            return Err(MilvusError::invalid(format!(
                "ARRAY_APPEND and ARRAY_REMOVE can't change field {name}: an array of structs is replaced as a whole"
            )));
        }
        let field = record
            .field(name)
            .ok_or_else(|| MilvusError::field_not_found(name))?;
        let change = match OpType::try_from(operation.op) {
            Ok(OpType::Replace) => continue,
            Ok(OpType::ArrayAppend) => ArrayChange::Append,
            Ok(OpType::ArrayRemove) => ArrayChange::Remove,
            Err(_) => {
                return Err(MilvusError::invalid(format!(
                    "partial update operation {} of field {name} is not known: use REPLACE, ARRAY_APPEND or ARRAY_REMOVE",
                    operation.op
                )));
            }
        };
        if !matches!(field.column_type(), ColumnType::Array(_)) {
            return Err(MilvusError::invalid(format!(
                "ARRAY_APPEND and ARRAY_REMOVE change arrays, but field {name} is of type {}",
                field.column_type()
            )));
        }
        if !given.iter().any(|(known, _)| known == name) {
            return Err(MilvusError::invalid(format!(
                "a partial update operation names field {name}, for which the request has no values"
            )));
        }
        changes.insert(name.to_owned(), change);
    }
    Ok(changes)
}

/// Whether rows keep what the request leaves out. To change an array is to keep its row.
fn is_partial(request: &UpsertRequest) -> bool {
    let replaces = |operation: &FieldPartialUpdateOp| operation.op == OpType::Replace as i32;
    request.partial_update || !request.field_ops.iter().all(replaces)
}

/// The columns of a request by the names of their fields.
fn read_columns(
    record: &CollectionRecord,
    rows: u32,
    fields: &[FieldData],
) -> Result<Vec<(String, Column)>, MilvusError> {
    if rows == 0 || rows > MAX_ROWS {
        return Err(MilvusError::expected(
            format!("(0, {MAX_ROWS}]"),
            rows,
            "the number of rows is out of range",
        ));
    }
    check_size(record, rows, fields)?;
    let mut columns: Vec<(String, Column)> = Vec::with_capacity(fields.len());
    for data in fields {
        let name = if data.is_dynamic {
            DYNAMIC_FIELD
        } else {
            data.field_name.as_str()
        };
        if let Some(array) = record.struct_array(name) {
            if columns
                .iter()
                .any(|(known, _)| split_member(known).is_some_and(|(owner, _)| owner == name))
            {
                return Err(MilvusError::invalid(format!("field {name} is given twice")));
            }
            columns.extend(read_struct_array(record, array, data, rows as usize)?);
            continue;
        }
        if let Some((array, _)) = split_member(name) {
            return Err(MilvusError::invalid(format!(
                "field {name} can't be written alone: write the whole struct array field {array}"
            )));
        }
        let Some(field) = record.field(name) else {
            let message = match name {
                DYNAMIC_FIELD => format!(
                    "collection {} doesn't enable the dynamic field",
                    record.name
                ),
                _ => format!("field {name} does not exist in collection {}", record.name),
            };
            return Err(MilvusError::invalid(message));
        };
        if columns.iter().any(|(known, _)| known == name) {
            return Err(MilvusError::invalid(format!("field {name} is given twice")));
        }
        columns.push((name.to_owned(), read_column(field, data, rows as usize)?));
    }
    Ok(columns)
}

/// Refuses a request that was made for an older schema, so that the SDK reads the new one.
fn check_schema_timestamp(record: &CollectionRecord, timestamp: u64) -> Result<(), MilvusError> {
    if timestamp == 0 || timestamp >= record.updated {
        return Ok(());
    }
    let message = format!("collection schema mismatch[collection={}]", record.name);
    Err(MilvusError::new(MilvusErrorKind::SchemaMismatch, message))
}

fn mutation(keys: &Column, timestamp: u64) -> MutationResult {
    MutationResult {
        i_ds: Some(write_ids(keys)),
        succ_index: (0..keys.len() as u32).collect(),
        acknowledged: true,
        timestamp,
        ..MutationResult::default()
    }
}

impl Embedded {
    pub(super) async fn on_insert(
        &self,
        call: Call<InsertRequest>,
    ) -> Result<MutationResult, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let prepared = self
            .preparing(move |engine| {
                let state = engine.state();
                let record = state
                    .catalog
                    .collection(&database, &request.collection_name)?;
                check_schema_timestamp(record, request.schema_timestamp)?;
                let columns = read_columns(record, request.num_rows, &request.fields_data)?;
                PreparedRows::new(
                    record.clone(),
                    request.num_rows as usize,
                    columns,
                    &request.partition_name,
                    engine.clock(),
                )
            })
            .await?;
        self.engine.wait_for_room(prepared.record.id).await?;
        let keys = prepared.keys.clone();
        let timestamp = self
            .engine
            .write(move |draft: &mut Draft<'_>| draft.insert(prepared))
            .await?;
        Ok(MutationResult {
            insert_cnt: keys.len() as i64,
            ..mutation(&keys, timestamp)
        })
    }

    pub(super) async fn on_upsert(
        &self,
        call: Call<UpsertRequest>,
    ) -> Result<MutationResult, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        if is_partial(&request) {
            return self.partial_upsert(database, request).await;
        }
        let prepared = self
            .preparing(move |engine| {
                let state = engine.state();
                let record = state
                    .catalog
                    .collection(&database, &request.collection_name)?;
                check_schema_timestamp(record, request.schema_timestamp)?;
                let columns = read_columns(record, request.num_rows, &request.fields_data)?;
                PreparedRows::for_upsert(
                    record.clone(),
                    request.num_rows as usize,
                    columns,
                    &request.partition_name,
                    engine.clock(),
                )
            })
            .await?;
        self.engine.wait_for_room(prepared.record.id).await?;
        let keys = prepared.keys.clone();
        let timestamp = self
            .engine
            .write(move |draft: &mut Draft<'_>| draft.upsert(prepared))
            .await?;
        Ok(MutationResult {
            upsert_cnt: keys.len() as i64,
            ..mutation(&keys, timestamp)
        })
    }

    /// The rows as they are decide what the request leaves out, so all of it happens in the writer, after everything before it.
    async fn partial_upsert(
        &self,
        database: String,
        request: UpsertRequest,
    ) -> Result<MutationResult, MilvusError> {
        self.wait_for_room_in(&database, &request.collection_name)
            .await?;
        let change = move |draft: &mut Draft<'_>| {
            let record = draft
                .catalog()
                .collection(&database, &request.collection_name)?
                .clone();
            check_schema_timestamp(&record, request.schema_timestamp)?;
            let rows = request.num_rows as usize;
            let given = read_columns(&record, request.num_rows, &request.fields_data)?;
            let changes = array_changes(&record, &request.field_ops, &given)?;
            let partitions = replaced_partitions(&record, &request.partition_name)?;
            let now = draft.clock.now();
            let reader = Reader::new(draft.snapshot(record.id)?, partitions, now);
            let columns = PartialRows { given, changes }.complete(&reader)?;
            let prepared = PreparedRows::for_upsert(
                record,
                rows,
                columns,
                &request.partition_name,
                draft.clock,
            )?;
            let keys = prepared.keys.clone();
            let timestamp = draft.upsert(prepared)?;
            Ok((keys, timestamp))
        };
        let (keys, timestamp) = self.engine.write(change).await?;
        Ok(MutationResult {
            upsert_cnt: keys.len() as i64,
            ..mutation(&keys, timestamp)
        })
    }
}
