//! Aliases: other names of collections.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;

use super::Embedded;
use super::answer::Call;
use crate::catalog::{CollectionRecord, check_name};
use crate::engine::Draft;
use crate::error::{MilvusError, MilvusErrorKind};

fn not_found(database: &str, alias: &str) -> MilvusError {
    MilvusError::new(
        MilvusErrorKind::AliasNotFound,
        format!("alias not found[database={database}][alias={alias}]"),
    )
}

/// The collection that a name leads to, when the name is an alias.
fn aliased(draft: &Draft<'_>, database: &str, alias: &str) -> Option<CollectionRecord> {
    let record = draft.catalog().collection(database, alias).ok()?;
    record
        .aliases
        .iter()
        .any(|known| known == alias)
        .then(|| CollectionRecord::clone(record))
}

fn conflict(database: &str, alias: &str) -> MilvusError {
    let message = format!("alias and collection name conflict[database={database}][alias={alias}]");
    MilvusError::new(MilvusErrorKind::AliasCollectionNameConflict, message)
}

impl Embedded {
    pub(super) async fn on_create_alias(
        &self,
        call: Call<CreateAliasRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let CreateAliasRequest {
            collection_name,
            alias,
            ..
        } = call.message;
        check_name("collection alias", &alias)?;
        let change = move |draft: &mut Draft<'_>| {
            let mut record = draft.record_to_change(&database, &collection_name)?;
            match aliased(draft, &database, &alias) {
                Some(known) if known.id == record.id => return Ok(()),
                Some(known) => {
                    let message = format!(
                        "{alias} is alias to another collection: {}: alias already exist[database={database}][alias={alias}]",
                        known.name
                    );
                    return Err(MilvusError::new(
                        MilvusErrorKind::AliasAlreadyExists,
                        message,
                    ));
                }
                None if draft.catalog().collection(&database, &alias).is_ok() => {
                    return Err(conflict(&database, &alias));
                }
                None => record.aliases.push(alias),
            }
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_drop_alias(
        &self,
        call: Call<DropAliasRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let alias = call.message.alias;
        let change = move |draft: &mut Draft<'_>| match aliased(draft, &database, &alias) {
            // Milvus takes dropping what isn't there for done.
            None => Ok(()),
            Some(mut record) => {
                record.aliases.retain(|known| *known != alias);
                draft.put_collection(record)
            }
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_alter_alias(
        &self,
        call: Call<AlterAliasRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let AlterAliasRequest {
            collection_name,
            alias,
            ..
        } = call.message;
        let change = move |draft: &mut Draft<'_>| {
            let target = draft.catalog().collection(&database, &collection_name)?.id;
            let Some(mut previous) = aliased(draft, &database, &alias) else {
                let taken = draft.catalog().collection(&database, &alias).is_ok();
                return Err(if taken {
                    conflict(&database, &alias)
                } else {
                    not_found(&database, &alias)
                });
            };
            previous.aliases.retain(|known| *known != alias);
            draft.put_collection(previous)?;
            let mut record = draft.record_to_change(&database, &collection_name)?;
            debug_assert_eq!(record.id, target);
            record.aliases.push(alias);
            draft.put_collection(record)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_describe_alias(
        &self,
        call: Call<DescribeAliasRequest>,
    ) -> Result<DescribeAliasResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let alias = call.message.alias;
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &alias)
            .ok()
            .filter(|record| record.aliases.contains(&alias));
        let record = record.ok_or_else(|| not_found(&database, &alias))?;
        Ok(DescribeAliasResponse {
            db_name: database,
            collection: record.name.clone(),
            alias,
            ..DescribeAliasResponse::default()
        })
    }

    pub(super) async fn on_list_aliases(
        &self,
        call: Call<ListAliasesRequest>,
    ) -> Result<ListAliasesResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let aliases = if call.message.collection_name.is_empty() {
            let id = state.catalog.database(&database)?.id;
            state
                .catalog
                .collections_of(id)
                .iter()
                .flat_map(|record| record.aliases.clone())
                .collect()
        } else {
            state
                .catalog
                .collection(&database, &call.message.collection_name)?
                .aliases
                .clone()
        };
        Ok(ListAliasesResponse {
            db_name: database,
            collection_name: call.message.collection_name,
            aliases,
            ..ListAliasesResponse::default()
        })
    }
}
