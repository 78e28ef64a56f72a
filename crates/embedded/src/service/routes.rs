//! Which call is answered by which function, and which privilege it needs when it comes from outside of this process. The
//! privileges are those of Milvus's own protocol (`privilege_ext_obj`); a call without one is for everybody.
//! What isn't here is answered with UNIMPLEMENTED and what to use instead.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;
use milvus_protocol::server::MilvusService;
use tonic::{Request, Response};

use super::answer::{Call, respond};
use super::authorization::{Names as _, Need};
use super::{Embedded, alternatives};

macro_rules! need {
    ($message:ident) => {{
        let _ = $message;
        None
    }};
    ($message:ident Cluster $privilege:literal) => {{
        let _ = $message;
        Some(Need::Cluster($privilege))
    }};
    ($message:ident Database $privilege:literal $database:ident) => {
        Some(Need::Database($privilege, &$message.$database))
    };
    ($message:ident Collection $privilege:literal $names:ident) => {
        Some(Need::Collection(
            $privilege,
            $message.$names.names(),
            &$message.db_name,
        ))
    };
    ($message:ident $kind:ident $privilege:literal $name:ident) => {
        Some(Need::$kind($privilege, $message.$name.name()))
    };
}

macro_rules! routes {
    ($($name:ident, $function:ident, $request:ident, $answer:ident $(, $kind:ident $privilege:literal $($field:ident)?)?;)*) => {
        impl MilvusService for Embedded {
            fn not_offered(&self, call: &str) -> tonic::Status {
                alternatives::not_offered(call)
            }

            $(async fn $name(&self, request: Request<$request>) -> Result<Response<$answer>, tonic::Status> {
                let call = Call::from_request(request);
                {
                    let message = &call.message;
                    let need: Option<Need<'_>> = need!(message $($kind $privilege $($field)?)?);
                    self.authorize(call.caller.as_ref(), call.metadata_database(), need)?;
                }
                respond(self.$function(call).await)
            })*
        }

        /// The functions of the calls that are answered, for tests.
        #[cfg(test)]
        pub(super) const ANSWERED: &[&str] = &[$(stringify!($name)),*];
    };
}

routes! {
    create_collection, on_create_collection, CreateCollectionRequest, Status, Database "CreateCollection" db_name;
    drop_collection, on_drop_collection, DropCollectionRequest, Status, Database "DropCollection" db_name;
    has_collection, on_has_collection, HasCollectionRequest, BoolResponse;
    load_collection, on_load_collection, LoadCollectionRequest, Status, Collection "Load" collection_name;
    release_collection, on_release_collection, ReleaseCollectionRequest, Status, Collection "Release" collection_name;
    describe_collection, on_describe_collection, DescribeCollectionRequest, DescribeCollectionResponse, Database "DescribeCollection" db_name;
    batch_describe_collection, on_batch_describe_collection, BatchDescribeCollectionRequest, BatchDescribeCollectionResponse, Database "DescribeCollection" db_name;
    get_collection_statistics, on_get_collection_statistics, GetCollectionStatisticsRequest, GetCollectionStatisticsResponse, Collection "GetStatistics" collection_name;
    show_collections, on_show_collections, ShowCollectionsRequest, ShowCollectionsResponse;
    rename_collection, on_rename_collection, RenameCollectionRequest, Status, Database "RenameCollection" db_name;
    alter_collection, on_alter_collection, AlterCollectionRequest, Status, Database "CreateCollection" db_name;
    alter_collection_field, on_alter_collection_field, AlterCollectionFieldRequest, Status, Database "CreateCollection" db_name;
    add_collection_field, on_add_collection_field, AddCollectionFieldRequest, Status, Collection "AddCollectionField" collection_name;
    truncate_collection, on_truncate_collection, TruncateCollectionRequest, TruncateCollectionResponse, Database "DropCollection" db_name;
    get_loading_progress, on_get_loading_progress, GetLoadingProgressRequest, GetLoadingProgressResponse, Collection "GetLoadState" collection_name;
    get_load_state, on_get_load_state, GetLoadStateRequest, GetLoadStateResponse, Collection "GetLoadState" collection_name;
    create_alias, on_create_alias, CreateAliasRequest, Status, Database "CreateAlias" db_name;
    drop_alias, on_drop_alias, DropAliasRequest, Status, Database "DropAlias" db_name;
    alter_alias, on_alter_alias, AlterAliasRequest, Status, Database "CreateAlias" db_name;
    describe_alias, on_describe_alias, DescribeAliasRequest, DescribeAliasResponse, Database "DescribeAlias" db_name;
    list_aliases, on_list_aliases, ListAliasesRequest, ListAliasesResponse, Database "ListAliases" db_name;
    create_partition, on_create_partition, CreatePartitionRequest, Status, Collection "CreatePartition" collection_name;
    drop_partition, on_drop_partition, DropPartitionRequest, Status, Collection "DropPartition" collection_name;
    has_partition, on_has_partition, HasPartitionRequest, BoolResponse, Collection "HasPartition" collection_name;
    load_partitions, on_load_partitions, LoadPartitionsRequest, Status, Collection "Load" collection_name;
    release_partitions, on_release_partitions, ReleasePartitionsRequest, Status, Collection "Release" collection_name;
    get_partition_statistics, on_get_partition_statistics, GetPartitionStatisticsRequest, GetPartitionStatisticsResponse, Collection "GetStatistics" collection_name;
    show_partitions, on_show_partitions, ShowPartitionsRequest, ShowPartitionsResponse, Collection "ShowPartitions" collection_name;
    create_database, on_create_database, CreateDatabaseRequest, Status, Cluster "CreateDatabase";
    drop_database, on_drop_database, DropDatabaseRequest, Status, Cluster "DropDatabase";
    list_databases, on_list_databases, ListDatabasesRequest, ListDatabasesResponse;
    alter_database, on_alter_database, AlterDatabaseRequest, Status, Database "AlterDatabase" db_name;
    describe_database, on_describe_database, DescribeDatabaseRequest, DescribeDatabaseResponse, Database "DescribeDatabase" db_name;
    create_index, on_create_index, CreateIndexRequest, Status, Collection "CreateIndex" collection_name;
    alter_index, on_alter_index, AlterIndexRequest, Status, Collection "CreateIndex" collection_name;
    describe_index, on_describe_index, DescribeIndexRequest, DescribeIndexResponse, Collection "IndexDetail" collection_name;
    get_index_statistics, on_get_index_statistics, GetIndexStatisticsRequest, GetIndexStatisticsResponse, Collection "IndexDetail" collection_name;
    get_index_state, on_get_index_state, GetIndexStateRequest, GetIndexStateResponse, Collection "IndexDetail" collection_name;
    get_index_build_progress, on_get_index_build_progress, GetIndexBuildProgressRequest, GetIndexBuildProgressResponse, Collection "IndexDetail" collection_name;
    drop_index, on_drop_index, DropIndexRequest, Status, Collection "DropIndex" collection_name;
    insert, on_insert, InsertRequest, MutationResult, Collection "Insert" collection_name;
    upsert, on_upsert, UpsertRequest, MutationResult, Collection "Upsert" collection_name;
    delete, on_delete, DeleteRequest, MutationResult, Collection "Delete" collection_name;
    flush, on_flush, FlushRequest, FlushResponse, Collection "Flush" collection_names;
    flush_all, on_flush_all, FlushAllRequest, FlushAllResponse, Database "FlushAll" db_name;
    get_flush_state, on_get_flush_state, GetFlushStateRequest, GetFlushStateResponse, Collection "GetFlushState" collection_name;
    get_flush_all_state, on_get_flush_all_state, GetFlushAllStateRequest, GetFlushAllStateResponse;
    search, on_search, SearchRequest, SearchResults, Collection "Search" collection_name;
    hybrid_search, on_hybrid_search, HybridSearchRequest, SearchResults, Collection "Search" collection_name;
    query, on_query, QueryRequest, QueryResults, Collection "Query" collection_name;
    get_persistent_segment_info, on_get_persistent_segment_info, GetPersistentSegmentInfoRequest, GetPersistentSegmentInfoResponse;
    get_query_segment_info, on_get_query_segment_info, GetQuerySegmentInfoRequest, GetQuerySegmentInfoResponse;
    get_replicas, on_get_replicas, GetReplicasRequest, GetReplicasResponse;
    manual_compaction, on_manual_compaction, ManualCompactionRequest, ManualCompactionResponse, Collection "Compaction" collection_name;
    get_compaction_state, on_get_compaction_state, GetCompactionStateRequest, GetCompactionStateResponse;
    get_compaction_state_with_plans, on_get_compaction_state_with_plans, GetCompactionPlansRequest, GetCompactionPlansResponse;
    create_credential, on_create_credential, CreateCredentialRequest, Status, Cluster "CreateOwnership";
    update_credential, on_update_credential, UpdateCredentialRequest, Status, User "UpdateUser" username;
    delete_credential, on_delete_credential, DeleteCredentialRequest, Status, Cluster "DropOwnership";
    list_cred_users, on_list_cred_users, ListCredUsersRequest, ListCredUsersResponse, Cluster "SelectOwnership";
    create_role, on_create_role, CreateRoleRequest, Status, Cluster "CreateOwnership";
    drop_role, on_drop_role, DropRoleRequest, Status, Cluster "DropOwnership";
    operate_user_role, on_operate_user_role, OperateUserRoleRequest, Status, Cluster "ManageOwnership";
    select_role, on_select_role, SelectRoleRequest, SelectRoleResponse, Cluster "SelectOwnership";
    select_user, on_select_user, SelectUserRequest, SelectUserResponse, User "SelectUser" user;
    operate_privilege, on_operate_privilege, OperatePrivilegeRequest, Status, Cluster "ManageOwnership";
    operate_privilege_v2, on_operate_privilege_v2, OperatePrivilegeV2Request, Status, Cluster "ManageOwnership";
    select_grant, on_select_grant, SelectGrantRequest, SelectGrantResponse, Role "SelectOwnership" entity;
    create_privilege_group, on_create_privilege_group, CreatePrivilegeGroupRequest, Status, Cluster "CreatePrivilegeGroup";
    drop_privilege_group, on_drop_privilege_group, DropPrivilegeGroupRequest, Status, Cluster "DropPrivilegeGroup";
    list_privilege_groups, on_list_privilege_groups, ListPrivilegeGroupsRequest, ListPrivilegeGroupsResponse, Cluster "ListPrivilegeGroups";
    operate_privilege_group, on_operate_privilege_group, OperatePrivilegeGroupRequest, Status, Cluster "OperatePrivilegeGroup";
    connect, on_connect, ConnectRequest, ConnectResponse;
    get_version, on_get_version, GetVersionRequest, GetVersionResponse;
    check_health, on_check_health, CheckHealthRequest, CheckHealthResponse;
    alloc_timestamp, on_alloc_timestamp, AllocTimestampRequest, AllocTimestampResponse;
}
