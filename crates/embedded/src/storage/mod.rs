//! What lies on disk: the catalog and log in one redb database, and immutable segment files beside it.
//!
//! The layer above decides what keys and rows mean; this one knows tables, bytes and files, and keeps one invariant: **what a commit
//! acknowledged is there after any crash, whole, and what it did not acknowledge is there whole or not at all.**
//! `docs/embedded-format.md` describes every byte.

mod aligned;
mod backend;
mod error;
#[cfg(test)]
pub(crate) mod faults;
mod filesystem;
mod image;
mod lock;
mod memory;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use aligned::{AlignedBuffer, aligned_copy};
pub use error::StorageError;
pub(crate) use filesystem::{DiskFileSystem, FileSystem};
pub(crate) use image::{
    EncodedImage, ImageColumn, ImageReader, element_from_code, encode_columns, encode_image,
    vector_element,
};
pub use lock::LockHolder;
pub(crate) use memory::MemoryFileSystem;
pub(crate) use record::{LogPart, cut_record, decode_record, encode_record, record_key};
pub(crate) use store::{Health, Store, Table, Write};

/// How much a reply to a write promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The reply means that the write has been fsynced. Concurrent writers share one fsync.
    #[default]
    Full,
    /// The write is fsynced at most 50 ms after the reply; a crash may lose those 50 ms.
    Normal,
    /// The write is fsynced at the next flush and when the database is closed.
    Off,
}
