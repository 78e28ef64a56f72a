//! From results to answers: Milvus puts failures into the answer's own status.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;
use milvus_protocol::server::Caller;
use tonic::{Request, Response};

use crate::error::MilvusError;

/// An answer that can carry a failure.
pub(super) trait Answer: Default {
    fn with_status(self, status: Status) -> Self;
}

impl Answer for Status {
    fn with_status(self, status: Status) -> Self {
        status
    }
}

macro_rules! answers {
    ($($name:ident),* $(,)?) => {
        $(impl Answer for $name {
            fn with_status(mut self, status: Status) -> Self {
                self.status = Some(status);
                self
            }
        })*
    };
}

answers!(
    AllocTimestampResponse,
    BatchDescribeCollectionResponse,
    BoolResponse,
    CheckHealthResponse,
    ConnectResponse,
    DescribeAliasResponse,
    DescribeCollectionResponse,
    DescribeDatabaseResponse,
    DescribeIndexResponse,
    FlushAllResponse,
    FlushResponse,
    GetCollectionStatisticsResponse,
    GetCompactionPlansResponse,
    GetCompactionStateResponse,
    GetFlushAllStateResponse,
    GetFlushStateResponse,
    GetIndexBuildProgressResponse,
    GetIndexStateResponse,
    GetIndexStatisticsResponse,
    GetLoadStateResponse,
    GetLoadingProgressResponse,
    GetPartitionStatisticsResponse,
    GetPersistentSegmentInfoResponse,
    GetQuerySegmentInfoResponse,
    GetReplicasResponse,
    GetVersionResponse,
    ListAliasesResponse,
    ListCredUsersResponse,
    ListDatabasesResponse,
    ListPrivilegeGroupsResponse,
    ManualCompactionResponse,
    MutationResult,
    QueryResults,
    SearchResults,
    SelectGrantResponse,
    SelectRoleResponse,
    SelectUserResponse,
    ShowCollectionsResponse,
    ShowPartitionsResponse,
    TruncateCollectionResponse,
);

/// A failure as Milvus writes it.
pub(super) fn status(error: &MilvusError) -> Status {
    let mut status = Status {
        error_code: error.kind.legacy_code(),
        code: error.kind.code(),
        reason: error.message.clone(),
        detail: error.message.clone(),
        retriable: error.retriable,
        ..Status::default()
    };
    if error.kind.is_input_error() {
        status
            .extra_info
            .insert("is_input_error".to_owned(), "true".to_owned());
    }
    status
}

/// The gRPC answer to a call.
pub(super) fn respond<A: Answer>(
    outcome: Result<A, MilvusError>,
) -> Result<Response<A>, tonic::Status> {
    Ok(Response::new(match outcome {
        Ok(answer) => answer.with_status(Status::default()),
        Err(error) => A::default().with_status(status(&error)),
    }))
}

/// A request with the database that its metadata names, and who makes it.
pub(super) struct Call<M> {
    pub(super) message: M,
    /// `None` inside this process, where nobody asks.
    pub(super) caller: Option<Caller>,
    metadata_database: String,
}

impl<M> Call<M> {
    pub(super) fn from_request(request: Request<M>) -> Self {
        let metadata_database = request
            .metadata()
            .get("dbname")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Self {
            caller: request.extensions().get::<Caller>().cloned(),
            message: request.into_inner(),
            metadata_database,
        }
    }

    /// The database of the metadata, or the empty string.
    pub(super) fn metadata_database(&self) -> &str {
        &self.metadata_database
    }

    /// The database that the message names, else that of the metadata, else the default one.
    pub(super) fn database(&self, named: &str) -> String {
        let chosen = [named, &self.metadata_database]
            .into_iter()
            .find(|name| !name.is_empty());
        chosen
            .unwrap_or(crate::catalog::DEFAULT_DATABASE)
            .to_owned()
    }
}
