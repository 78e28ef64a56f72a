//! How the similarity of two vectors is measured.
//!
//! Invariant: `MetricType::from_name(m.name()) == m` for every metric, known or not.

use std::fmt;

/// The measure of similarity of an index or a search.
///
/// ```
/// use milvus_client::MetricType;
///
/// assert_eq!(MetricType::Cosine.name(), "COSINE");
/// assert_eq!(MetricType::from_name("ip"), MetricType::InnerProduct);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricType {
    /// Euclidean distance (`L2`); smaller is nearer.
    L2,
    /// Inner product (`IP`); larger is nearer.
    InnerProduct,
    /// Cosine of the angle (`COSINE`); larger is nearer.
    Cosine,
    /// Number of differing bits (`HAMMING`), for binary vectors.
    Hamming,
    /// Jaccard distance of bit sets (`JACCARD`), for binary vectors.
    Jaccard,
    /// Whether one bit set contains the other (`SUBSTRUCTURE`), for binary vectors.
    Substructure,
    /// Whether one bit set is contained in the other (`SUPERSTRUCTURE`), for binary vectors.
    Superstructure,
    /// BM25 relevance of text (`BM25`), for sparse vectors that a BM25 function fills.
    Bm25,
    /// Jaccard similarity of MinHash signatures (`MHJACCARD`), for binary vectors.
    MinHashJaccard,
    /// A metric this crate does not know, by its name.
    Other(String),
}

impl MetricType {
    /// The name that servers use.
    pub fn name(&self) -> &str {
        match self {
            Self::L2 => "L2",
            Self::InnerProduct => "IP",
            Self::Cosine => "COSINE",
            Self::Hamming => "HAMMING",
            Self::Jaccard => "JACCARD",
            Self::Substructure => "SUBSTRUCTURE",
            Self::Superstructure => "SUPERSTRUCTURE",
            Self::Bm25 => "BM25",
            Self::MinHashJaccard => "MHJACCARD",
            Self::Other(name) => name,
        }
    }

    /// The metric of this name, in upper or lower case.
    pub fn from_name(name: &str) -> Self {
        const KNOWN: [MetricType; 9] = [
            MetricType::L2,
            MetricType::InnerProduct,
            MetricType::Cosine,
            MetricType::Hamming,
            MetricType::Jaccard,
            MetricType::Substructure,
            MetricType::Superstructure,
            MetricType::Bm25,
            MetricType::MinHashJaccard,
        ];
        KNOWN
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(name))
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::MetricType;

    #[test]
    fn names_survive_the_round_trip() {
        for name in [
            "L2",
            "IP",
            "COSINE",
            "HAMMING",
            "JACCARD",
            "BM25",
            "MHJACCARD",
            "NEW_ONE",
        ] {
            assert_eq!(MetricType::from_name(name).name(), name);
        }
    }
}
