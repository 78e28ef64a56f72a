//! The checks of everything around the rows: databases, collections, partitions, aliases, indexes, loading, users,
//! storage, the server itself.
//!
//! Invariant: a check asks for one feature, so that a backend which lacks it shows it in the first answer.

mod access;
mod collections;
mod databases;
mod indexes;
mod loading;
mod names;
mod server;
mod storage;
mod verbs;

use super::{Check, PATIENCE};

pub(super) fn checks() -> Vec<Check> {
    [
        server::checks(),
        databases::checks(),
        collections::checks(),
        names::checks(),
        indexes::checks(),
        loading::checks(),
        storage::checks(),
        access::checks(),
        verbs::checks(),
    ]
    .concat()
}
