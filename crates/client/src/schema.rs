//! What a collection is made of: fields, their types and limits, and the functions that fill fields.
//!
//! Written once, used twice: to create a collection, and (as the server describes it) to check every
//! row, column and query vector before anything is sent.
//!
//! Invariant: a schema that was read from a server and written back is the same message: what this
//! crate does not model is kept in [`FieldSchema::parameters`], [`CollectionSchema::properties`] and
//! [`DataType::Other`].

mod check;
mod collection;
mod data_type;
mod default_value;
mod field;
mod function;
mod protocol;

pub use collection::CollectionSchema;
pub use data_type::DataType;
pub use default_value::DefaultValue;
pub use field::{FieldSchema, StructArraySchema};
pub use function::{FunctionSchema, FunctionType};
pub(crate) use protocol::{map as protocol_map, pairs as protocol_pairs};
