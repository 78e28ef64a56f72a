//! The filter language against an interpreter that knows nothing of columns, and its texts of errors.

mod errors;
mod examples;
mod interpreter;
mod random;
mod rows;
