//! Databases.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;
use milvus_protocol::server::Caller;

use super::Embedded;
use super::answer::Call;
use super::parameters::{alter, refuse_time_zones, to_map, to_pairs};
use crate::catalog::{Catalog, DatabaseRecord, check_name};
use crate::error::MilvusError;

impl Embedded {
    pub(super) async fn on_create_database(
        &self,
        call: Call<CreateDatabaseRequest>,
    ) -> Result<Status, MilvusError> {
        let request = call.message;
        check_name("database", &request.db_name)?;
        refuse_time_zones(&request.properties)?;
        let change = move |draft: &mut crate::engine::Draft<'_>| {
            let created = draft.clock.next();
            let (catalog, writes) = draft.catalog_mut();
            if catalog.database(&request.db_name).is_ok() {
                return Err(MilvusError::invalid(format!(
                    "database already exist: {}",
                    request.db_name
                )));
            }
            let id = catalog.next_identifier(writes);
            let record = DatabaseRecord {
                id,
                name: request.db_name,
                created,
                properties: to_map(&request.properties),
            };
            catalog.put_database(record, writes)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_drop_database(
        &self,
        call: Call<DropDatabaseRequest>,
    ) -> Result<Status, MilvusError> {
        let name = call.message.db_name;
        let change = move |draft: &mut crate::engine::Draft<'_>| {
            let (catalog, writes) = draft.catalog_mut();
            catalog.remove_database(&name, writes)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_list_databases(
        &self,
        call: Call<ListDatabasesRequest>,
    ) -> Result<ListDatabasesResponse, MilvusError> {
        let state = self.engine.state();
        let mut answer = ListDatabasesResponse::default();
        for record in state.catalog.databases() {
            if !is_visible(&state.catalog, call.caller.as_ref(), &record.name) {
                continue;
            }
            answer.db_names.push(record.name.clone());
            answer.created_timestamp.push(record.created);
            answer.db_ids.push(record.id as i64);
        }
        Ok(answer)
    }

    pub(super) async fn on_alter_database(
        &self,
        call: Call<AlterDatabaseRequest>,
    ) -> Result<Status, MilvusError> {
        let request = call.message;
        refuse_time_zones(&request.properties)?;
        let change = move |draft: &mut crate::engine::Draft<'_>| {
            let (catalog, writes) = draft.catalog_mut();
            let mut record = DatabaseRecord::clone(catalog.database(&request.db_name)?);
            alter(
                &mut record.properties,
                &request.properties,
                &request.delete_keys,
            );
            catalog.put_database(record, writes)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_describe_database(
        &self,
        call: Call<DescribeDatabaseRequest>,
    ) -> Result<DescribeDatabaseResponse, MilvusError> {
        let state = self.engine.state();
        let record = state.catalog.database(&call.message.db_name)?;
        Ok(DescribeDatabaseResponse {
            db_name: record.name.clone(),
            db_id: record.id as i64,
            created_timestamp: record.created,
            properties: to_pairs(&record.properties),
            ..DescribeDatabaseResponse::default()
        })
    }
}

/// Milvus shows a caller the databases in which something is granted to them.
fn is_visible(catalog: &Catalog, caller: Option<&Caller>, database: &str) -> bool {
    caller.is_none_or(|caller| {
        catalog.access.is_administrator(caller.user())
            || catalog
                .access
                .own_grants_of(caller.user())
                .any(|grant| grant.database == "*" || grant.database == database)
    })
}
