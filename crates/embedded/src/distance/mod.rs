//! Distances between vectors, and the search for the nearest rows by looking at each.

mod sparse;

pub use sparse::{for_each_common, inner_product};
