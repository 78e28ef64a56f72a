//! A Milvus in this process: storage, search, filters and full text behind the Milvus service.

#[doc(hidden)]
pub mod column;
