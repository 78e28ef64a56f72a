//! The data plane as Python calls it: one function for each operation, whose arguments Python has put into shape.
//!
//! Invariants: rows and vectors are read with the GIL held; after that a call needs nothing of Python's until its answer is
//! there. What an answer holds stays where it was received; Python reads it there.

#[macro_use]
mod verb;
pub(crate) mod access;
pub(crate) mod administration;
mod array;
mod cells;
pub(crate) mod collection;
mod detached;
pub(crate) mod index;
mod json;
pub(crate) mod maintenance;
pub(crate) mod memory;
pub(crate) mod pages;
mod parameters;
pub(crate) mod read;
pub(crate) mod results;
mod row;
pub(crate) mod rows;
mod schema;
pub(crate) mod segments;
mod structs;
mod value;
mod vectors;
pub(crate) mod write;
