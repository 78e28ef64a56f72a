//! The checks, one file for each noun.

pub(crate) mod access;
pub(crate) mod alias;
pub(crate) mod collection;
pub(crate) mod database;
pub(crate) mod index;
pub(crate) mod load;
pub(crate) mod partition;
pub(crate) mod resource_group;
pub(crate) mod server;
pub(crate) mod storage;
