//! Results as views over the received buffer.
//!
//! An answer is decoded into one [`ResultColumn`] for each field; fixed-width values and vectors are
//! slices of the received bytes, texts and JSON are one slice each into it. Rows are read from there by
//! `serde` when somebody asks for them.
//!
//! Invariant: decoding an answer allocates for each column, never for each row.

#[cfg(feature = "arrow")]
mod arrow;
mod column;
mod de;
mod hits;
mod join;
mod packed;
mod rows;

pub use column::{ColumnValue, ResultColumn};
pub use hits::{Hit, Hits, Id, Ids, SearchResults};
pub use rows::Rows;
