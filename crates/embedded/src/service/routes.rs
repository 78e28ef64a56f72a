//! Which call is answered by which function. What isn't here is answered with UNIMPLEMENTED by the protocol crate.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;
use milvus_protocol::server::MilvusService;
use tonic::{Request, Response};

use super::Embedded;
use super::answer::{Call, respond};

macro_rules! routes {
    ($($name:ident, $function:ident, $request:ident, $answer:ident;)*) => {
        impl MilvusService for Embedded {
            $(async fn $name(&self, request: Request<$request>) -> Result<Response<$answer>, tonic::Status> {
                respond(self.$function(Call::from_request(request)).await)
            })*
        }
    };
}

routes! {
    create_collection, on_create_collection, CreateCollectionRequest, Status;
    drop_collection, on_drop_collection, DropCollectionRequest, Status;
    has_collection, on_has_collection, HasCollectionRequest, BoolResponse;
    load_collection, on_load_collection, LoadCollectionRequest, Status;
    release_collection, on_release_collection, ReleaseCollectionRequest, Status;
    describe_collection, on_describe_collection, DescribeCollectionRequest, DescribeCollectionResponse;
    batch_describe_collection, on_batch_describe_collection, BatchDescribeCollectionRequest, BatchDescribeCollectionResponse;
    get_collection_statistics, on_get_collection_statistics, GetCollectionStatisticsRequest, GetCollectionStatisticsResponse;
    show_collections, on_show_collections, ShowCollectionsRequest, ShowCollectionsResponse;
    rename_collection, on_rename_collection, RenameCollectionRequest, Status;
    alter_collection, on_alter_collection, AlterCollectionRequest, Status;
    alter_collection_field, on_alter_collection_field, AlterCollectionFieldRequest, Status;
    add_collection_field, on_add_collection_field, AddCollectionFieldRequest, Status;
    truncate_collection, on_truncate_collection, TruncateCollectionRequest, TruncateCollectionResponse;
    get_loading_progress, on_get_loading_progress, GetLoadingProgressRequest, GetLoadingProgressResponse;
    get_load_state, on_get_load_state, GetLoadStateRequest, GetLoadStateResponse;
    create_alias, on_create_alias, CreateAliasRequest, Status;
    drop_alias, on_drop_alias, DropAliasRequest, Status;
    alter_alias, on_alter_alias, AlterAliasRequest, Status;
    describe_alias, on_describe_alias, DescribeAliasRequest, DescribeAliasResponse;
    list_aliases, on_list_aliases, ListAliasesRequest, ListAliasesResponse;
    create_partition, on_create_partition, CreatePartitionRequest, Status;
    drop_partition, on_drop_partition, DropPartitionRequest, Status;
    has_partition, on_has_partition, HasPartitionRequest, BoolResponse;
    load_partitions, on_load_partitions, LoadPartitionsRequest, Status;
    release_partitions, on_release_partitions, ReleasePartitionsRequest, Status;
    get_partition_statistics, on_get_partition_statistics, GetPartitionStatisticsRequest, GetPartitionStatisticsResponse;
    show_partitions, on_show_partitions, ShowPartitionsRequest, ShowPartitionsResponse;
    create_database, on_create_database, CreateDatabaseRequest, Status;
    drop_database, on_drop_database, DropDatabaseRequest, Status;
    list_databases, on_list_databases, ListDatabasesRequest, ListDatabasesResponse;
    alter_database, on_alter_database, AlterDatabaseRequest, Status;
    describe_database, on_describe_database, DescribeDatabaseRequest, DescribeDatabaseResponse;
    create_index, on_create_index, CreateIndexRequest, Status;
    alter_index, on_alter_index, AlterIndexRequest, Status;
    describe_index, on_describe_index, DescribeIndexRequest, DescribeIndexResponse;
    get_index_statistics, on_get_index_statistics, GetIndexStatisticsRequest, GetIndexStatisticsResponse;
    get_index_state, on_get_index_state, GetIndexStateRequest, GetIndexStateResponse;
    get_index_build_progress, on_get_index_build_progress, GetIndexBuildProgressRequest, GetIndexBuildProgressResponse;
    drop_index, on_drop_index, DropIndexRequest, Status;
    insert, on_insert, InsertRequest, MutationResult;
    upsert, on_upsert, UpsertRequest, MutationResult;
    delete, on_delete, DeleteRequest, MutationResult;
    flush, on_flush, FlushRequest, FlushResponse;
    flush_all, on_flush_all, FlushAllRequest, FlushAllResponse;
    get_flush_state, on_get_flush_state, GetFlushStateRequest, GetFlushStateResponse;
    get_flush_all_state, on_get_flush_all_state, GetFlushAllStateRequest, GetFlushAllStateResponse;
    search, on_search, SearchRequest, SearchResults;
    hybrid_search, on_hybrid_search, HybridSearchRequest, SearchResults;
    query, on_query, QueryRequest, QueryResults;
    get_persistent_segment_info, on_get_persistent_segment_info, GetPersistentSegmentInfoRequest, GetPersistentSegmentInfoResponse;
    get_query_segment_info, on_get_query_segment_info, GetQuerySegmentInfoRequest, GetQuerySegmentInfoResponse;
    get_replicas, on_get_replicas, GetReplicasRequest, GetReplicasResponse;
    manual_compaction, on_manual_compaction, ManualCompactionRequest, ManualCompactionResponse;
    get_compaction_state, on_get_compaction_state, GetCompactionStateRequest, GetCompactionStateResponse;
    get_compaction_state_with_plans, on_get_compaction_state_with_plans, GetCompactionPlansRequest, GetCompactionPlansResponse;
    create_credential, on_create_credential, CreateCredentialRequest, Status;
    update_credential, on_update_credential, UpdateCredentialRequest, Status;
    delete_credential, on_delete_credential, DeleteCredentialRequest, Status;
    list_cred_users, on_list_cred_users, ListCredUsersRequest, ListCredUsersResponse;
    create_role, on_create_role, CreateRoleRequest, Status;
    drop_role, on_drop_role, DropRoleRequest, Status;
    operate_user_role, on_operate_user_role, OperateUserRoleRequest, Status;
    select_role, on_select_role, SelectRoleRequest, SelectRoleResponse;
    select_user, on_select_user, SelectUserRequest, SelectUserResponse;
    operate_privilege, on_operate_privilege, OperatePrivilegeRequest, Status;
    operate_privilege_v2, on_operate_privilege_v2, OperatePrivilegeV2Request, Status;
    select_grant, on_select_grant, SelectGrantRequest, SelectGrantResponse;
    create_privilege_group, on_create_privilege_group, CreatePrivilegeGroupRequest, Status;
    drop_privilege_group, on_drop_privilege_group, DropPrivilegeGroupRequest, Status;
    list_privilege_groups, on_list_privilege_groups, ListPrivilegeGroupsRequest, ListPrivilegeGroupsResponse;
    operate_privilege_group, on_operate_privilege_group, OperatePrivilegeGroupRequest, Status;
    connect, on_connect, ConnectRequest, ConnectResponse;
    get_version, on_get_version, GetVersionRequest, GetVersionResponse;
    check_health, on_check_health, CheckHealthRequest, CheckHealthResponse;
    alloc_timestamp, on_alloc_timestamp, AllocTimestampRequest, AllocTimestampResponse;
}
