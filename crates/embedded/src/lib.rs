//! A Milvus in this process: storage, search, filters and full text behind the Milvus service.

mod catalog;
#[doc(hidden)]
pub mod column;
#[doc(hidden)]
pub mod distance;
mod engine;
mod error;
#[doc(hidden)]
pub mod filter;
mod service;
mod storage;
#[doc(hidden)]
pub mod text;

pub use engine::{Location, OpenError, Options};
pub use error::{MilvusError, MilvusErrorKind};
pub use service::{ApiKey, Embedded, EmbeddedService, KeyDescription, generate_password, open};
pub use storage::{Durability, LockHolder, StorageError};
