//! Full text: analyzers, text conditions, and BM25.
//!
//! An [`Analyzer`] turns a text into tokens. The same one runs when a row is written and when it is searched; the invariant is
//! that it is a pure function of its parameters, so that stored tokens and queries agree for as long as the parameters do.

mod analyzer;
pub mod bm25;
mod folding;
mod parameters;
mod query;
mod stop_words;
#[cfg(test)]
mod tests;

pub use analyzer::{Analyzer, Token};
pub use parameters::AnalyzerError;
pub use query::TextQuery;
