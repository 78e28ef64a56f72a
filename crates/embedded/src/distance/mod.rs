//! Distances between vectors, and the search for the nearest rows by looking at each.
//!
//! [`Queries`] holds query vectors in the form that kernels read; `scan` walks the allowed rows of a column once for all
//! queries and keeps the best in a [`TopK`] each. A scan of one query is bound by memory: rows are read in order, in the layout in
//! which they are stored, and a row that is not allowed is not read. Several queries share each block of rows while it is in the
//! cache.
//!
//! Kernels are plain loops that are compiled for AVX-512, for AVX2 and for any processor, and chosen once at run time. They may
//! differ in the last bits, because the order of additions differs; nothing else may.
//!
//! Scores are Milvus's: the squared distance for `L2`, the inner product for `IP`, the cosine for `COSINE` (0 for a vector of
//! length zero), the number of different bits for `HAMMING`, one minus the share of common bits for `JACCARD`.

mod kernel;
mod lists;
mod queries;
mod scan;
mod sparse;
#[cfg(test)]
mod tests;
mod top;

pub use lists::scan_lists;
pub use queries::{DistanceError, Queries};
pub use scan::{ScanOptions, scan, scan_bm25};
pub use sparse::{for_each_common, inner_product};
pub use top::{Hit, TopK, merge};

use crate::column::ColumnType;

/// How vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Squared Euclidean distance.
    L2,
    /// Inner product.
    InnerProduct,
    /// Cosine of the angle.
    Cosine,
    /// Number of different bits.
    Hamming,
    /// One minus common bits over set bits.
    Jaccard,
    /// Relevance of a text; computed by [`scan_bm25`].
    Bm25,
}

impl Metric {
    /// The metric with Milvus's name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "L2" => Self::L2,
            "IP" => Self::InnerProduct,
            "COSINE" => Self::Cosine,
            "HAMMING" => Self::Hamming,
            "JACCARD" => Self::Jaccard,
            "BM25" => Self::Bm25,
            _ => return None,
        })
    }

    /// Milvus's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "L2",
            Self::InnerProduct => "IP",
            Self::Cosine => "COSINE",
            Self::Hamming => "HAMMING",
            Self::Jaccard => "JACCARD",
            Self::Bm25 => "BM25",
        }
    }

    /// Whether a larger score is a better one.
    pub fn larger_is_better(self) -> bool {
        matches!(self, Self::InnerProduct | Self::Cosine | Self::Bm25)
    }

    /// Whether vectors of this type can be compared so.
    pub fn suits(self, kind: ColumnType) -> bool {
        match kind {
            ColumnType::BinaryVector { .. } => matches!(self, Self::Hamming | Self::Jaccard),
            ColumnType::SparseFloatVector => matches!(self, Self::InnerProduct | Self::Bm25),
            kind if kind.is_dense_vector() => {
                matches!(self, Self::L2 | Self::InnerProduct | Self::Cosine)
            }
            _ => false,
        }
    }

    /// Whether a score lies in the range of a range search: beyond `radius` (exclusive) it is too far, beyond `range_filter`
    /// (inclusive) too near.
    pub fn in_range(self, score: f32, radius: Option<f32>, range_filter: Option<f32>) -> bool {
        if self.larger_is_better() {
            radius.is_none_or(|radius| score > radius)
                && range_filter.is_none_or(|nearest| score <= nearest)
        } else {
            radius.is_none_or(|radius| score < radius)
                && range_filter.is_none_or(|nearest| score >= nearest)
        }
    }
}
