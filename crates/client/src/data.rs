//! Rows on their way in: from columns or rows of the caller's to the columns of the wire.
//!
//! Two ways lead to the same place. [`Column`]s are checked against the schema and taken over (a dense
//! vector column that is already bytes is never copied); rows are written by a `serde` serializer
//! straight into columns typed by the schema. Both end as a `Batch`, which is cut into requests.
//!
//! Invariant: a `Batch` holds only what the schema allows; whatever breaks a rule was reported with its
//! row, field and rule before anything was sent.

#[cfg(feature = "arrow")]
mod arrow;
mod batch;
mod bind;
mod builder;
mod column;
mod dynamic;
mod field_column;
mod finite;
mod half;
mod rows;
mod split;
mod structs;
#[cfg(test)]
mod tests;

pub(crate) use batch::{Batch, Write};
pub(crate) use bind::bind_columns;
pub use column::{Column, ColumnItem, SparseVector};
pub(crate) use field_column::{FieldColumn, Payload};
pub(crate) use finite::first_not_finite;
pub use half::{bf16_bits, f16_bits, f32_of_bf16, f32_of_f16};
pub(crate) use rows::{RowWriter, structs_column};
pub(crate) use split::{Part, RowTooLarge, split};
pub(crate) use structs::{Structs, member_name};
