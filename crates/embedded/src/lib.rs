//! A Milvus in this process: storage, search, filters and full text behind the Milvus service.

#[doc(hidden)]
pub mod column;
#[doc(hidden)]
pub mod distance;
#[doc(hidden)]
pub mod filter;
#[doc(hidden)]
pub mod text;
