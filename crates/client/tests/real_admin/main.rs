//! Every administrative verb against real servers: what works, and what a server says that lacks it.
//!
//! Each check runs on each backend. A verb that a backend lacks is asserted to say so, with the backend's
//! version; nothing is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and a check reads from top to bottom"
)]

mod backend;
mod checks;

use backend::Backend;

/// A test for each check and backend.
macro_rules! on_each_backend {
    ($($noun:ident: $($check:ident),* $(,)?;)*) => {$(
        mod $noun {
            $(
                mod $check {
                    #[tokio::test]
                    async fn milvus() {
                        crate::checks::$noun::$check(crate::Backend::milvus().await).await;
                    }

                    #[tokio::test]
                    async fn lite() {
                        crate::checks::$noun::$check(crate::Backend::lite().await).await;
                    }
                }
            )*
        }
    )*};
}

on_each_backend! {
    server: says_what_it_is, measures_itself;
    database: lives_and_dies, has_properties;
    collection: lives_and_dies, in_one_line_is_ready, is_renamed, is_truncated, has_properties, grows_a_field,
        refuses_what_the_server_would_ignore, a_stale_schema_is_forgotten;
    alias: moves_between_collections;
    partition: lives_and_dies;
    index: is_built_and_described, failures_are_errors, has_properties;
    load: follows_progress, of_partitions, is_refreshed, has_replicas, waits_no_longer_than_told;
    storage: flushes, flushes_all, compacts, imports, lists_segments;
    access: users, passwords, roles, grants, grants_of_the_second_form, privilege_groups;
    resource_group: lives_and_dies;
}
