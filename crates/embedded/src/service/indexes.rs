//! Indexes: kept and described as asked for; `describe_index` says that search is exact until the structure exists.

use std::collections::BTreeMap;

use milvus_protocol::common::{IndexState, KeyValuePair, Status};
use milvus_protocol::milvus::*;

use super::Embedded;
use super::answer::Call;
use super::parameters::{alter, to_map, to_pairs};
use crate::catalog::{CollectionRecord, IndexRecord, LoadState, check_index};
use crate::engine::{Draft, State};
use crate::error::{MilvusError, MilvusErrorKind};

fn not_found(collection: &str, index: &str) -> MilvusError {
    MilvusError::new(
        MilvusErrorKind::IndexNotFound,
        format!("index not found[collection={collection}][indexName={index}]"),
    )
}

/// The indexes that a name, a field or nothing stands for.
fn select<'a>(
    record: &'a CollectionRecord,
    index: &str,
    field: &str,
) -> Result<Vec<&'a IndexRecord>, MilvusError> {
    if !field.is_empty() && record.field(field).is_none() {
        return Err(MilvusError::field_not_found(field));
    }
    let chosen = record.indexes.iter().filter(|known| {
        (index.is_empty() || known.name == index) && (field.is_empty() || known.field == field)
    });
    let chosen: Vec<_> = chosen.collect();
    if chosen.is_empty() {
        Err(not_found(&record.name, index))
    } else {
        Ok(chosen)
    }
}

fn rows(state: &State, record: &CollectionRecord) -> i64 {
    let snapshot = state.collections.get(&record.id);
    snapshot.map_or(0, |snapshot| {
        snapshot.segments().map(|view| view.alive()).sum::<usize>()
    }) as i64
}

fn describe(state: &State, record: &CollectionRecord, index: &IndexRecord) -> IndexDescription {
    let mut params = to_pairs(&index.params);
    let vector = record
        .field(&index.field)
        .is_some_and(|field| field.data_type.is_vector());
    if vector {
        params.push(KeyValuePair {
            key: "embedded.search".to_owned(),
            value: "exact".to_owned(),
        });
    }
    let total = rows(state, record);
    IndexDescription {
        index_name: index.name.clone(),
        index_id: index.id as i64,
        params,
        field_name: index.field.clone(),
        indexed_rows: total,
        total_rows: total,
        state: IndexState::Finished as i32,
        ..IndexDescription::default()
    }
}

/// Puts the parameters of a request, of which `params` may be a JSON object, into one flat map, as Milvus shows them.
fn flatten(pairs: &[KeyValuePair]) -> BTreeMap<String, String> {
    let mut map = to_map(pairs);
    if let Some(text) = map.get("params")
        && let Ok(serde_json::Value::Object(inner)) = serde_json::from_str(text)
    {
        for (key, value) in inner {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            map.entry(key).or_insert(value);
        }
        map.remove("params");
    }
    map
}

impl Embedded {
    pub(super) async fn on_create_index(
        &self,
        call: Call<CreateIndexRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &request.collection_name)?;
            let Some(field) = record.field(&request.field_name) else {
                return Err(MilvusError::invalid(format!(
                    "cannot create index on non-exist field: {}",
                    request.field_name
                )));
            };
            let bm25 = record.bm25_for_output(&field.name).is_some();
            let mut params = flatten(&request.extra_params);
            check_index(field, bm25, &mut params)?;
            let name = if request.index_name.is_empty() {
                field.name.clone()
            } else {
                crate::catalog::check_name("index", &request.index_name)?;
                request.index_name
            };
            if let Some(known) = record
                .indexes
                .iter()
                .find(|index| index.name == name || index.field == field.name)
            {
                if known.name == name && known.field == field.name && known.params == params {
                    return Ok(());
                }
                let message = match known.field == field.name {
                    true if known.name == name => format!(
                        "at most one distinct index is allowed per field: index {name} exists with other parameters"
                    ),
                    true => format!(
                        "CreateIndex failed: at most one distinct index is allowed per field: {}",
                        field.name
                    ),
                    false => format!(
                        "CreateIndex failed: index name {name} is used by field {}",
                        known.field
                    ),
                };
                return Err(MilvusError::new(
                    MilvusErrorKind::IndexDuplicate,
                    format!("{message}: invalid parameter"),
                ));
            }
            let field = field.name.clone();
            let created = draft.clock.next();
            let (catalog, writes) = draft.catalog_mut();
            let id = catalog.next_identifier(writes);
            record.indexes.push(IndexRecord {
                id,
                name,
                field,
                created,
                params,
            });
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_alter_index(
        &self,
        call: Call<AlterIndexRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &request.collection_name)?;
            let collection = record.name.clone();
            let index = record
                .indexes
                .iter_mut()
                .find(|index| index.name == request.index_name);
            let index = index.ok_or_else(|| not_found(&collection, &request.index_name))?;
            let fixed = |key: &str| key == "index_type" || key == "metric_type";
            if let Some(pair) = request.extra_params.iter().find(|pair| fixed(&pair.key)) {
                return Err(MilvusError::invalid(format!(
                    "{} is not a configable index property",
                    pair.key
                )));
            }
            alter(
                &mut index.params,
                &request.extra_params,
                &request.delete_keys,
            );
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_describe_index(
        &self,
        call: Call<DescribeIndexRequest>,
    ) -> Result<DescribeIndexResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        let chosen = select(record, &call.message.index_name, &call.message.field_name)?;
        let index_descriptions = chosen
            .into_iter()
            .map(|index| describe(&state, record, index))
            .collect();
        Ok(DescribeIndexResponse {
            index_descriptions,
            ..DescribeIndexResponse::default()
        })
    }

    pub(super) async fn on_get_index_statistics(
        &self,
        call: Call<GetIndexStatisticsRequest>,
    ) -> Result<GetIndexStatisticsResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        let chosen = select(record, &call.message.index_name, "")?;
        let index_descriptions = chosen
            .into_iter()
            .map(|index| describe(&state, record, index))
            .collect();
        Ok(GetIndexStatisticsResponse {
            index_descriptions,
            ..GetIndexStatisticsResponse::default()
        })
    }

    pub(super) async fn on_get_index_state(
        &self,
        call: Call<GetIndexStateRequest>,
    ) -> Result<GetIndexStateResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        select(record, &call.message.index_name, &call.message.field_name)?;
        Ok(GetIndexStateResponse {
            state: IndexState::Finished as i32,
            ..GetIndexStateResponse::default()
        })
    }

    pub(super) async fn on_get_index_build_progress(
        &self,
        call: Call<GetIndexBuildProgressRequest>,
    ) -> Result<GetIndexBuildProgressResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        select(record, &call.message.index_name, &call.message.field_name)?;
        let total = rows(&state, record);
        Ok(GetIndexBuildProgressResponse {
            indexed_rows: total,
            total_rows: total,
            ..GetIndexBuildProgressResponse::default()
        })
    }

    pub(super) async fn on_drop_index(
        &self,
        call: Call<DropIndexRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &request.collection_name)?;
            // Milvus takes dropping what isn't there for done.
            let Ok(chosen) = select(&record, &request.index_name, &request.field_name) else {
                return Ok(());
            };
            let vector = |index: &IndexRecord| {
                record
                    .field(&index.field)
                    .is_some_and(|field| field.data_type.is_vector())
            };
            if record.load != LoadState::Released && chosen.iter().any(|index| vector(index)) {
                let message = format!(
                    "vector index cannot be dropped on loaded collection: {}, please release collection first",
                    record.name
                );
                return Err(MilvusError::invalid(message));
            }
            let ids: Vec<u64> = chosen.iter().map(|index| index.id).collect();
            record.indexes.retain(|index| !ids.contains(&index.id));
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }
}
