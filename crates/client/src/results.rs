//! Results as views over the received buffer.
//!
//! An answer is decoded into one [`ResultColumn`] for each field; fixed-width values and vectors are
//! slices of the received bytes, texts and JSON are one slice each into it. Rows are read from there by
//! `serde` when somebody asks for them.
//!
//! Invariant: decoding an answer allocates for each column, not for each row, but for `Array` and `Geometry` fields,
//! whose messages are one for each row. Reading rows allocates what the caller's type does; the members of `$meta` are
//! looked up in its text, and only what is read of them is parsed.

#[cfg(feature = "arrow")]
mod arrow;
mod column;
mod de;
mod hits;
mod join;
mod packed;
mod rows;
#[cfg(test)]
mod tests;

pub use column::{ColumnValue, ResultColumn};
pub use hits::{Hit, Hits, Id, Ids, SearchResults};
pub use rows::Rows;
