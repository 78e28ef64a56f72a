//! What an administrator does: databases, collections, partitions, aliases, indexes, loading, flushing,
//! compaction, import, users and roles, resource groups, and the server itself.
//!
//! The verbs are methods of [`Client`](crate::Client), as all others; this module holds their requests
//! and results, one file for each noun:
//!
//! | noun | verbs |
//! |---|---|
//! | server | `version`, `check_health`, `metrics`, `component_states`, `server_info` |
//! | database | `create_database`, `drop_database`, `list_databases`, `describe_database`, `alter_database_properties`, `drop_database_properties` |
//! | collection | `create_collection`, `drop_collection`, `has_collection`, `list_collections`, `rename_collection`, `truncate_collection`, `alter_collection_properties`, `drop_collection_properties`, `alter_collection_field`, `add_collection_field`, `collection_statistics`, `describe_replicas` |
//! | load | `load_collection`, `load_partitions`, `refresh_load`, `release_collection`, `release_partitions`, `load_state`, `loading_progress` |
//! | partition | `create_partition`, `drop_partition`, `has_partition`, `list_partitions`, `partition_statistics` |
//! | alias | `create_alias`, `alter_alias`, `drop_alias`, `describe_alias`, `list_aliases` |
//! | index | `create_index`, `drop_index`, `describe_index`, `list_indexes`, `wait_for_index`, `alter_index_properties`, `drop_index_properties` |
//! | data on disk | `flush`, `flush_all`, `flush_state`, `compact`, `compaction_state`, `compaction_plans`, `wait_for_compaction`, `import_files`, `import_state`, `list_imports`, `wait_for_import`, `list_persistent_segments`, `list_loaded_segments` |
//! | user, role | `create_user`, `update_password`, `drop_user`, `list_users`, `describe_user`, `create_role`, `alter_role`, `drop_role`, `list_roles`, `describe_role`, `grant_role`, `revoke_role` |
//! | privilege | `grant_privilege`, `revoke_privilege`, `grant_privilege_v2`, `revoke_privilege_v2`, `list_grants`, `create_privilege_group`, `drop_privilege_group`, `list_privilege_groups`, `add_privileges_to_group`, `remove_privileges_from_group` |
//! | resource group | `create_resource_group`, `update_resource_groups`, `drop_resource_group`, `list_resource_groups`, `describe_resource_group`, `transfer_node`, `transfer_replica` |
//!
//! # What takes long
//!
//! Loading, building an index and flushing go on after the server has accepted them. `.await` returns
//! when they are **done**; `no_wait()` returns when they are **accepted**; `progress()` gives a
//! [`ProgressStream`] instead, which ends when they are done. A compaction and an import are jobs with a
//! number: their verb returns the number, and `wait_for_compaction` and `wait_for_import` wait for it.
//! Waiting is limited by `timeout` and by nothing else.
//!
//! Invariant: what a server does not have is [`Error::MissingFeature`](crate::Error::MissingFeature),
//! never a parameter that is silently left out.

#[macro_use]
mod request;
mod alias;
mod collection;
mod collection_properties;
mod compaction;
mod create_collection;
mod database;
mod flush;
mod grant;
mod import;
mod index;
mod index_type;
mod load;
mod partition;
mod privilege;
mod privilege_group;
mod progress;
mod resource_group;
mod role;
mod segment;
mod server;
mod statistics;
mod user;

pub use alias::{AliasDescription, AlterAlias, CreateAlias, DescribeAlias, DropAlias, ListAliases};
pub use collection::{
    DropCollection, HasCollection, ListCollections, RenameCollection, TruncateCollection,
};
pub use collection_properties::{
    AddCollectionField, AlterCollectionField, AlterCollectionProperties, DropCollectionProperties,
};
pub use compaction::{
    Compact, Compaction, CompactionPlan, CompactionPlans, CompactionProgress, CompactionState,
    GetCompactionPlans, GetCompactionState, WaitForCompaction,
};
pub use create_collection::CreateCollection;
pub use database::{
    AlterDatabaseProperties, CreateDatabase, DatabaseDescription, DescribeDatabase, DropDatabase,
    DropDatabaseProperties, ListDatabases,
};
pub use flush::{Flush, FlushAll, FlushedCollection, GetFlushState};
pub use grant::{
    Grant, GrantPrivilege, GrantPrivilegeV2, ListGrants, RevokePrivilege, RevokePrivilegeV2,
};
pub use import::{
    GetImportState, ImportFiles, ImportState, ImportTask, ListImports, WaitForImport,
};
pub use index::{
    AlterIndexProperties, CreateIndex, DescribeIndex, DropIndex, DropIndexProperties,
    IndexDescription, IndexState, ListIndexes, WaitForIndex,
};
pub use index_type::{Index, IndexType};
pub use load::{
    GetLoadState, GetLoadingProgress, Load, LoadPriority, LoadState, LoadingProgress,
    ReleaseCollection, ReleasePartitions,
};
pub use partition::{CreatePartition, DropPartition, HasPartition, ListPartitions};
pub use privilege::{ObjectType, Privilege};
pub use privilege_group::{
    AddPrivilegesToGroup, CreatePrivilegeGroup, DropPrivilegeGroup, ListPrivilegeGroups,
    PrivilegeGroup, RemovePrivilegesFromGroup,
};
pub use progress::{Progress, ProgressStream};
pub use resource_group::{
    CreateResourceGroup, DescribeResourceGroup, DropResourceGroup, ListResourceGroups, Node,
    ResourceGroupConfig, ResourceGroupDescription, TransferNode, TransferReplica,
    UpdateResourceGroups,
};
pub use role::{
    AlterRole, CreateRole, DescribeRole, DropRole, GrantRole, ListRoles, RevokeRole,
    RoleDescription,
};
pub use segment::{
    ListLoadedSegments, ListPersistentSegments, LoadedSegment, PersistentSegment, SegmentLevel,
    SegmentState,
};
pub use server::{
    CheckHealth, ComponentState, GetComponentStates, GetMetrics, GetVersion, Health, QuotaState,
    StateCode,
};
pub use statistics::{
    CollectionStatistics, DescribeReplicas, PartitionStatistics, Replica, ShardReplica, Statistics,
};
pub use user::{CreateUser, DescribeUser, DropUser, ListUsers, UpdatePassword, UserDescription};
