//! Insert and upsert.

use milvus_protocol::milvus::*;
use milvus_protocol::schema::FieldData;

use super::Embedded;
use super::answer::Call;
use super::field_data::{read_column, write_ids};
use crate::catalog::{CollectionRecord, DYNAMIC_FIELD};
use crate::column::Column;
use crate::engine::{Draft, PreparedRows, complete_partial_rows};
use crate::error::{MilvusError, MilvusErrorKind};

/// More rows than any request within the message limit can hold.
const MAX_ROWS: u32 = 10_000_000;

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
    let mut columns: Vec<(String, Column)> = Vec::with_capacity(fields.len());
    for data in fields {
        let name = if data.is_dynamic {
            DYNAMIC_FIELD
        } else {
            data.field_name.as_str()
        };
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
            .blocking(move |engine| {
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
        self.wait_when_crowded(prepared.record.id).await;
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
        if request.partial_update {
            return self.partial_upsert(database, request).await;
        }
        let prepared = self
            .blocking(move |engine| {
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
        self.wait_when_crowded(prepared.record.id).await;
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

    /// Waits, two seconds at most, when far more rows were written than are flushed.
    async fn wait_when_crowded(&self, collection: u64) {
        if self.engine.is_crowded(collection) {
            let engine = std::sync::Arc::clone(&self.engine);
            // Whether it waited or not, the write goes on.
            let _ = tokio::task::spawn_blocking(move || engine.wait_for_flush(collection)).await;
        }
    }

    /// The rows as they are decide what the request leaves out, so all of it happens in the writer, after everything before it.
    async fn partial_upsert(
        &self,
        database: String,
        request: UpsertRequest,
    ) -> Result<MutationResult, MilvusError> {
        let change = move |draft: &mut Draft<'_>| {
            let record = draft
                .catalog()
                .collection(&database, &request.collection_name)?
                .clone();
            check_schema_timestamp(&record, request.schema_timestamp)?;
            let rows = request.num_rows as usize;
            let given = read_columns(&record, request.num_rows, &request.fields_data)?;
            let columns = complete_partial_rows(&*draft.snapshot(record.id)?, rows, given)?;
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
