//! The in-memory columnar model: what requests become, what segments map to, and what filters, analyzers and distance
//! kernels read.
//!
//! A [`Column`] is a type, a number of rows, and a few [`Block`]s of bytes. A block is reference-counted and knows nothing of
//! its origin: it may be a part of a memory-mapped segment file, a received message, or a vector that a [`ColumnBuilder`] made.
//! So a column is cheap to clone, has no lifetime, and the same code evaluates a filter over a file and over a request.
//!
//! # Layout
//!
//! All numbers are little-endian (the crate does not compile for big-endian targets). Each type is made of these blocks:
//!
//! | type | blocks |
//! |---|---|
//! | `Bool` | [`Values`](BlockRole::Values): one byte a row, 0 or 1 |
//! | `Int8` … `Int64`, `Float`, `Double` | `Values`: 1, 2, 4 or 8 bytes a row |
//! | `Timestamptz` | `Values`: `i64` microseconds since 1970-01-01T00:00:00Z |
//! | `Varchar` | [`Offsets`](BlockRole::Offsets): `u32`, one more than rows; `Values`: UTF-8 |
//! | `Json` | the same; `Values`: JSON text as it was sent |
//! | `Geometry` | the same; `Values`: WKT |
//! | `Array`, also of vectors | `Offsets` in elements; [`ElementValues`](BlockRole::ElementValues), [`ElementOffsets`](BlockRole::ElementOffsets) (strings), [`ElementValidity`](BlockRole::ElementValidity) |
//! | dense vectors | `Values`: row-major, `dim` × `f32`, `f16`, `bf16`, `i8`, or `dim` / 8 bytes of bits |
//! | `SparseFloatVector` | `Offsets` in entries; [`Indices`](BlockRole::Indices): `u32` ascending in a row; `Values`: `f32` |
//!
//! Each may have a [`Validity`](BlockRole::Validity) block: a bitmap of `u64` words, bit *r* % 64 of word *r* / 64 set when
//! row *r* holds a value. Without the block no row is null. A null row still has its place in the other blocks (zero, or empty).
//!
//! JSON stays text because it must be given back as it came, and because a scanner that walks to one path without building a
//! tree ([`json`]) is fast enough to make a second, parsed copy not worth its memory.
//!
//! # Invariants
//!
//! [`Column::from_blocks`] checks every size, and every reader checks ranges, so that a corrupt file can give wrong data but
//! never a panic or a read outside its block.

mod batch;
mod bitmap;
mod block;
mod builder;
mod error;
pub mod json;
mod results;
mod storage;
#[cfg(test)]
mod tests;
mod types;
mod vector_arrays;
mod view;
mod wire;

pub use batch::{Columns, RowBatch};
pub use bitmap::Bitmap;
pub use block::Block;
pub use builder::ColumnBuilder;
pub use error::ColumnError;
pub use results::sparse_to_bytes;
pub use storage::{BlockRole, Column};
pub use types::{ColumnType, ElementType};
pub use view::{BytesValues, DenseValues, ListValues, SparseValues, Value, Values};
pub use wire::sparse_from_bytes;

#[cfg(target_endian = "big")]
compile_error!(
    "columns are little-endian in memory, in files and on the wire; big-endian targets are not supported"
);
