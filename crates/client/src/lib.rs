//! What you do with a connection to Milvus: the typed data plane, without copies.
//!
//! [`Client`] is a [`Connection`] with verbs. It is cheap to clone, and the same for every
//! backend: a server, a cluster, a file in this process.
//!
//! ```no_run
//! # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
//! let nearest = client
//!     .search("docs")
//!     .vector([0.1, 0.2, 0.3])
//!     .filter("year > 2000")
//!     .output_fields(["title"])
//!     .limit(10)
//!     .await?;
//! for hit in nearest.query(0) {
//!     println!("{} {}", hit.id(), hit.score());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How requests read
//!
//! - A verb of [`Client`] takes what no call can do without (the collection, the alias, the user) and
//!   returns a **request**; methods of the request set what may be left out; `.await` sends it.
//!   Nothing is sent before `.await`, and dropping the future cancels the call.
//! - There is one way to say each thing. A method is named after the parameter of Milvus it sets;
//!   a method that takes several values takes anything iterable (`output_fields(["a", "b"])`).
//! - Closed sets are enums with an escape for what only newer servers know
//!   ([`schema::DataType::Other`]); public structs are `#[non_exhaustive]`.
//! - Every request has `timeout` (the whole request, however many calls it takes) and `request_id`.
//! - A request checks what it can before anything is sent ([`Error::InvalidRequest`],
//!   [`Error::InvalidValue`]). What the server lacks is [`Error::MissingFeature`], with the server's
//!   version; nothing is silently left out.
//! - Everything else Milvus has is one typed call away:
//!   `client.connection().call(&milvus_protocol::rpc::X, message)`.
//!
//! # Style of a request in this crate
//!
//! One file per verb. It holds, in this order: the method of [`Client`] with an example, the request
//! struct (fields private; `client`, names, options, `settings: CallSettings`), its setters, a
//! `fn message(&self) -> Result<XRequest>` that is pure and tested, an `async fn send(self)` of a few
//! lines, `request!(X => Output)` for `timeout`, `request_id` and `.await`, the result type, tests.
//! [`DescribeCollection`] is the pattern. A verb that changes what a collection is calls
//! `Client::forget_collection` before *and* after its call, so that no cached schema outlives it.

#[macro_use]
mod call;
pub mod admin;
mod cache;
mod client;
mod consistency;
mod data;
mod describe_collection;
mod error;
mod feature;
mod filter;
mod ids;
mod metric_type;
mod read;
mod results;
pub mod schema;
mod write;

pub use client::Client;
pub use consistency::ConsistencyLevel;
pub use data::{Column, ColumnItem, SparseVector, bf16_bits, f16_bits, f32_of_bf16, f32_of_f16};
pub use describe_collection::{CollectionDescription, DescribeCollection};
pub use error::{
    Error, IncompleteWrite, InvalidRequest, InvalidValue, MissingFeature, Result, Rule, TaskFailed,
    UnexpectedAnswer,
};
pub use filter::FilterValue;
pub use metric_type::MetricType;
pub use milvus_transport::Connection;
pub use read::{AnnSearch, Count, Get, HybridSearch, Order, Query, QueryVector, Rerank, Search};
pub use results::{ColumnValue, Hit, Hits, Id, Ids, ResultColumn, Rows, SearchResults};
pub use write::{
    Delete, DeleteResult, FieldChange, Insert, PreparedRows, Upsert, WriteProgress, WriteResult,
};
