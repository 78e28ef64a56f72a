//! The native module of the Python package: it names what Python sees, and nothing else.
//!
//! Invariants of all files here: while a call waits for the network, and while its messages are encoded and decoded, the GIL
//! is released; what is Python's is read with it, and other threads get their turn in between (`data/rows.rs`). A lock is
//! taken only with the GIL held and given back before it is released, so that no child of a `fork` finds it taken.

mod awaitable;
mod blocking;
mod connection;
mod connections;
mod data;
mod errors;
mod events;
mod parameters;
mod run;
mod runtime;

/// The native module; its Python face is `milvus_connections`.
#[pyo3::pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::awaitable::Abort;
    #[pymodule_export]
    use crate::connection::Connection;
    #[pymodule_export]
    use crate::connections::Registry;
    #[pymodule_export]
    use crate::data::access::{
        add_privileges_to_group, alter_role, create_privilege_group, create_role, create_user,
        describe_role, describe_user, drop_privilege_group, drop_role, drop_user, grant_privilege,
        grant_privilege_v2, grant_role, list_grants, list_privilege_groups, list_roles, list_users,
        remove_privileges_from_group, revoke_privilege, revoke_privilege_v2, revoke_role,
        update_password,
    };
    #[pymodule_export]
    use crate::data::administration::{
        alter_alias, alter_database_properties, create_alias, create_database, create_partition,
        describe_alias, describe_database, drop_alias, drop_database, drop_database_properties,
        drop_partition, has_partition, list_aliases, list_databases, list_partitions,
        partition_statistics,
    };
    #[pymodule_export]
    use crate::data::collection::{
        add_collection_field, alter_collection_field, alter_collection_properties,
        collection_statistics, create_collection, describe_collection, drop_collection,
        drop_collection_properties, has_collection, list_collections, load_collection,
        load_partitions, load_state, loading_progress, refresh_load, release_collection,
        release_partitions, rename_collection, truncate_collection,
    };
    #[pymodule_export]
    use crate::data::index::{
        alter_index_properties, create_index, describe_index, drop_index, drop_index_properties,
        list_indexes,
    };
    #[pymodule_export]
    use crate::data::maintenance::{
        compact, compaction_state, create_resource_group, describe_replica,
        describe_resource_group, drop_resource_group, flush, flush_all, list_resource_groups,
        server_detail, server_version, transfer_replica, update_resource_groups,
    };
    #[pymodule_export]
    use crate::data::memory::Memory;
    #[pymodule_export]
    use crate::data::pages::{QueryPages, SearchPages, query_pages, search_pages};
    #[pymodule_export]
    use crate::data::read::{get, hybrid_search, query, search};
    #[pymodule_export]
    use crate::data::results::{QueryAnswer, SearchAnswer};
    #[pymodule_export]
    use crate::data::rows::{Prepared, Schema, schema};
    #[pymodule_export]
    use crate::data::segments::{compaction_plans, list_loaded_segments, list_persistent_segments};
    #[pymodule_export]
    use crate::data::write::{delete, insert, upsert};
    #[pymodule_export]
    use crate::events::Events;
    #[pymodule_export]
    use crate::runtime::{at_exit, version};
}
