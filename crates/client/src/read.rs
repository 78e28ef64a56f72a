//! Reading: query, get, search, hybrid search, and streams of the first and the last two.
//!
//! Invariant: a read never changes what it does because of what is remembered; the remembered schema is
//! only used to refuse what the server would refuse, and to name the vector field when there is one.

#[macro_use]
mod target;
mod ann;
mod get;
mod hybrid;
mod query;
mod query_pages;
mod rerank;
mod search;
mod search_pages;
mod vector;

pub use ann::AnnSearch;
pub use get::Get;
pub use hybrid::HybridSearch;
pub use query::{Count, Order, Query};
pub use rerank::Rerank;
pub use search::Search;
pub use vector::QueryVector;
