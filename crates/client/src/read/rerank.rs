//! How the hits of several searches become one list.
//!
//! Invariant: a strategy is written in the words of the server, with all its parameters.

use milvus_protocol::common::KeyValuePair;
use milvus_protocol::schema as wire;
use serde_json::json;

use super::target::parameter;
use crate::schema::FunctionSchema;

/// How the hits of several searches become one list.
///
/// ```
/// use milvus_client::Rerank;
/// use milvus_client::schema::{FunctionSchema, FunctionType};
///
/// let by_rank = Rerank::rrf();
/// let mostly_the_second = Rerank::weighted([0.3, 0.7]);
/// let newer_first = Rerank::Function(
///     FunctionSchema::new("newer_first", FunctionType::Rerank)
///         .input("year")
///         .parameter("reranker", "decay")
///         .parameter("function", "gauss")
///         .parameter("origin", 2025)
///         .parameter("scale", 10),
/// );
/// # let _ = (by_rank, mostly_the_second, newer_first);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rerank {
    /// Reciprocal rank fusion: a hit counts `1 / (k + rank)` in each search.
    Rrf {
        /// How much the first ranks stand out; 60 by default.
        k: u32,
    },
    /// The weighted sum of scores.
    Weighted {
        /// A weight for each search, in their order.
        weights: Vec<f64>,
        /// Whether scores are brought to 0…1 before they are added; true by default.
        normalize: bool,
    },
    /// A function that the server runs.
    Function(FunctionSchema),
}

impl Default for Rerank {
    fn default() -> Self {
        Self::rrf()
    }
}

impl Rerank {
    /// Reciprocal rank fusion with `k` = 60.
    pub const fn rrf() -> Self {
        Self::Rrf { k: 60 }
    }

    /// The weighted sum of normalized scores.
    pub fn weighted<I>(weights: I) -> Self
    where
        I: IntoIterator<Item: Into<f64>>,
    {
        Self::Weighted {
            weights: weights.into_iter().map(Into::into).collect(),
            normalize: true,
        }
    }

    pub(super) fn parameters(&self) -> Vec<KeyValuePair> {
        let (strategy, parameters) = match self {
            Self::Rrf { k } => ("rrf", json!({"k": k})),
            Self::Weighted { weights, normalize } => (
                "weighted",
                json!({"weights": weights, "norm_score": normalize}),
            ),
            Self::Function(_) => return Vec::new(),
        };
        vec![
            parameter("strategy", strategy),
            parameter("params", parameters),
        ]
    }

    pub(super) fn function_score(&self) -> Option<wire::FunctionScore> {
        match self {
            Self::Function(function) => Some(function_score(std::slice::from_ref(function))),
            _ => None,
        }
    }
}

/// Functions as the server takes them with a search.
pub(super) fn function_score(functions: &[FunctionSchema]) -> wire::FunctionScore {
    wire::FunctionScore {
        functions: functions.iter().map(Into::into).collect(),
        ..wire::FunctionScore::default()
    }
}
