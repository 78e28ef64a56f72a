//! Load and release. Rows are always at hand here; what is kept is the state that SDKs ask for and search depends on, as in Milvus.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;

use super::Embedded;
use super::answer::Call;
use crate::catalog::{CollectionRecord, LoadState};
use crate::engine::Draft;
use crate::error::{MilvusError, MilvusErrorKind};

fn require_indexes(record: &CollectionRecord) -> Result<(), MilvusError> {
    let missing = record
        .fields
        .iter()
        .find(|field| field.data_type.is_vector() && record.index_on(&field.name).is_none());
    match missing {
        None => Ok(()),
        Some(field) => {
            let message = format!(
                "there is no vector index on field: [{}], please create index firstly: index not found[collection={}]",
                field.name, record.name
            );
            Err(MilvusError::new(MilvusErrorKind::IndexNotFound, message))
        }
    }
}

/// The number of replicas to load; 0 asks for the usual one. There is one node here, and Milvus refuses more replicas than it has nodes.
fn replicas(asked: i32) -> Result<i32, MilvusError> {
    if asked <= 1 {
        return Ok(1);
    }
    Err(MilvusError::new(
        MilvusErrorKind::Unexpected,
        format!(
            "nodes not enough: {asked} replicas were asked for, and the embedded engine is one node; load with replica_number 1"
        ),
    ))
}

impl Embedded {
    async fn change_load(
        &self,
        database: String,
        collection: String,
        change: impl FnOnce(&mut CollectionRecord) -> Result<(), MilvusError> + Send + 'static,
    ) -> Result<Status, MilvusError> {
        let job = move |draft: &mut Draft<'_>| {
            let existing = draft.catalog().collection(&database, &collection)?;
            let mut record = CollectionRecord::clone(existing);
            change(&mut record)?;
            if record == **existing {
                Ok(())
            } else {
                draft.put_collection(record)
            }
        };
        self.engine.write(job).await.map(|()| Status::default())
    }

    pub(super) async fn on_load_collection(
        &self,
        call: Call<LoadCollectionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let change = move |record: &mut CollectionRecord| {
            require_indexes(record)?;
            record.replicas = replicas(request.replica_number)?;
            record.load = LoadState::Loaded;
            record
                .partitions
                .iter_mut()
                .for_each(|partition| partition.loaded = true);
            Ok(())
        };
        self.change_load(database, request.collection_name, change)
            .await
    }

    pub(super) async fn on_release_collection(
        &self,
        call: Call<ReleaseCollectionRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let change = |record: &mut CollectionRecord| {
            record.load = LoadState::Released;
            record.replicas = 0;
            record
                .partitions
                .iter_mut()
                .for_each(|partition| partition.loaded = false);
            Ok(())
        };
        self.change_load(database, call.message.collection_name, change)
            .await
    }

    pub(super) async fn on_load_partitions(
        &self,
        call: Call<LoadPartitionsRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let change = move |record: &mut CollectionRecord| {
            require_indexes(record)?;
            let replicas = replicas(request.replica_number)?;
            for name in &request.partition_names {
                record.partition(name)?;
            }
            for partition in record
                .partitions
                .iter_mut()
                .filter(|partition| request.partition_names.contains(&partition.name))
            {
                partition.loaded = true;
            }
            if record.load == LoadState::Released {
                record.load = LoadState::PartitionsLoaded;
                record.replicas = replicas;
            }
            Ok(())
        };
        self.change_load(database, request.collection_name, change)
            .await
    }

    pub(super) async fn on_release_partitions(
        &self,
        call: Call<ReleasePartitionsRequest>,
    ) -> Result<Status, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        let change = move |record: &mut CollectionRecord| {
            for name in &request.partition_names {
                record.partition(name)?;
            }
            if record.load == LoadState::Loaded {
                record
                    .partitions
                    .iter_mut()
                    .for_each(|partition| partition.loaded = true);
            }
            for partition in record
                .partitions
                .iter_mut()
                .filter(|partition| request.partition_names.contains(&partition.name))
            {
                partition.loaded = false;
            }
            let any = record.load != LoadState::Released
                && record.partitions.iter().any(|partition| partition.loaded);
            record.load = if any {
                LoadState::PartitionsLoaded
            } else {
                record.replicas = 0;
                LoadState::Released
            };
            Ok(())
        };
        self.change_load(database, request.collection_name, change)
            .await
    }

    pub(super) async fn on_get_loading_progress(
        &self,
        call: Call<GetLoadingProgressRequest>,
    ) -> Result<GetLoadingProgressResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let state = self.engine.state();
        let record = state
            .catalog
            .collection(&database, &call.message.collection_name)?;
        if !is_loaded(record, &call.message.partition_names)? {
            let message = format!("collection not loaded[collection={}]", record.name);
            return Err(MilvusError::new(
                MilvusErrorKind::CollectionNotLoaded,
                message,
            ));
        }
        Ok(GetLoadingProgressResponse {
            progress: 100,
            refresh_progress: 100,
            ..GetLoadingProgressResponse::default()
        })
    }

    pub(super) async fn on_get_load_state(
        &self,
        call: Call<GetLoadStateRequest>,
    ) -> Result<GetLoadStateResponse, MilvusError> {
        let database = call.database(&call.message.db_name);
        let catalog = self.engine.state();
        let state = match catalog
            .catalog
            .collection(&database, &call.message.collection_name)
        {
            Err(error) if error.kind == MilvusErrorKind::CollectionNotFound => {
                milvus_protocol::common::LoadState::NotExist
            }
            Err(error) => return Err(error),
            Ok(record) if is_loaded(record, &call.message.partition_names)? => {
                milvus_protocol::common::LoadState::Loaded
            }
            Ok(_) => milvus_protocol::common::LoadState::NotLoad,
        };
        Ok(GetLoadStateResponse {
            state: state as i32,
            ..GetLoadStateResponse::default()
        })
    }
}

/// Whether all the named partitions, or when none is named any partition, may be searched.
fn is_loaded(record: &CollectionRecord, partitions: &[String]) -> Result<bool, MilvusError> {
    for name in partitions {
        if !record.is_loaded(record.partition(name)?) {
            return Ok(false);
        }
    }
    Ok(record.load != LoadState::Released)
}
