//! Which index, measured how, with which parameters.
//!
//! Invariant: a constructor asks for what its index type cannot be built without; the server alone judges
//! the values.

use std::collections::BTreeMap;

use milvus_protocol::common::KeyValuePair;
use serde_json::Value;

use crate::metric_type::MetricType;

const INDEX_TYPE: &str = "index_type";
const METRIC_TYPE: &str = "metric_type";
const PARAMETERS: &str = "params";

named! {
    /// The type of an index.
    IndexType {
        /// The server chooses.
        AutoIndex = "AUTOINDEX",
        /// No index: every vector is compared.
        Flat = "FLAT",
        /// Vectors in `nlist` clusters, `nprobe` of which are searched.
        IvfFlat = "IVF_FLAT",
        /// As `IvfFlat`, a byte for each dimension.
        IvfSq8 = "IVF_SQ8",
        /// As `IvfFlat`, vectors as product codes.
        IvfPq = "IVF_PQ",
        /// As `IvfFlat`, a bit for each dimension.
        IvfRabitq = "IVF_RABITQ",
        /// IVF with product codes that are fast to scan.
        Scann = "SCANN",
        /// A graph in memory.
        Hnsw = "HNSW",
        /// As `Hnsw`, scalars quantised.
        HnswSq = "HNSW_SQ",
        /// As `Hnsw`, vectors as product codes.
        HnswPq = "HNSW_PQ",
        /// As `Hnsw`, vectors as product residual codes.
        HnswPrq = "HNSW_PRQ",
        /// A graph on disk.
        DiskAnn = "DISKANN",
        /// A graph on a GPU.
        GpuCagra = "GPU_CAGRA",
        /// As `IvfFlat`, on a GPU.
        GpuIvfFlat = "GPU_IVF_FLAT",
        /// As `IvfPq`, on a GPU.
        GpuIvfPq = "GPU_IVF_PQ",
        /// Every vector compared, on a GPU.
        GpuBruteForce = "GPU_BRUTE_FORCE",
        /// Every binary vector compared.
        BinFlat = "BIN_FLAT",
        /// Binary vectors in clusters.
        BinIvfFlat = "BIN_IVF_FLAT",
        /// MinHash signatures in buckets.
        MinHashLsh = "MINHASH_LSH",
        /// Dimensions of sparse vectors, inverted.
        SparseInvertedIndex = "SPARSE_INVERTED_INDEX",
        /// As `SparseInvertedIndex`, with weak-AND pruning.
        SparseWand = "SPARSE_WAND",
        /// Values of a scalar field, inverted.
        Inverted = "INVERTED",
        /// A bitmap for each value of a scalar field.
        Bitmap = "BITMAP",
        /// Prefixes of texts.
        Trie = "Trie",
        /// Sorted numbers.
        StlSort = "STL_SORT",
        /// Parts of texts, for `LIKE`.
        Ngram = "NGRAM",
        /// Rectangles around geometries.
        RTree = "RTREE",
    }
}

/// An index: its type, its metric (for vectors) and its parameters.
///
/// ```
/// use milvus_client::MetricType;
/// use milvus_client::admin::{Index, IndexType};
///
/// let graph = Index::hnsw(MetricType::Cosine, 16, 200);
/// assert_eq!(graph.parameters["M"], 16);
/// let terms = Index::new(IndexType::SparseInvertedIndex)
///     .metric_type(MetricType::Bm25)
///     .parameter("inverted_index_algo", "DAAT_MAXSCORE");
/// # let _ = terms;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Index {
    /// Its type.
    pub index_type: IndexType,
    /// How similarity is measured; `None` for scalar fields.
    pub metric_type: Option<MetricType>,
    /// Parameters, by Milvus's names (`M`, `efConstruction`, `nlist`, …).
    pub parameters: BTreeMap<String, Value>,
}

impl Index {
    /// An index of any type. The named constructors below ask for what the common types need.
    pub fn new(index_type: IndexType) -> Self {
        Self {
            index_type,
            metric_type: None,
            parameters: BTreeMap::new(),
        }
    }

    /// The server chooses the index.
    pub fn auto(metric_type: MetricType) -> Self {
        Self::new(IndexType::AutoIndex).metric_type(metric_type)
    }

    /// Every vector is compared: exact, and slow for many.
    pub fn flat(metric_type: MetricType) -> Self {
        Self::new(IndexType::Flat).metric_type(metric_type)
    }

    /// Vectors in `nlist` clusters.
    pub fn ivf_flat(metric_type: MetricType, nlist: u32) -> Self {
        Self::new(IndexType::IvfFlat)
            .metric_type(metric_type)
            .parameter("nlist", nlist)
    }

    /// Vectors in `nlist` clusters, a byte for each dimension.
    pub fn ivf_sq8(metric_type: MetricType, nlist: u32) -> Self {
        Self::new(IndexType::IvfSq8)
            .metric_type(metric_type)
            .parameter("nlist", nlist)
    }

    /// Vectors in `nlist` clusters, as product codes of `m` parts (a divisor of the dimension) of `nbits`
    /// bits.
    pub fn ivf_pq(metric_type: MetricType, nlist: u32, m: u32, nbits: u32) -> Self {
        Self::new(IndexType::IvfPq)
            .metric_type(metric_type)
            .parameter("nlist", nlist)
            .parameter("m", m)
            .parameter("nbits", nbits)
    }

    /// A graph with `m` edges at a node, built by looking at `ef_construction` candidates.
    pub fn hnsw(metric_type: MetricType, m: u32, ef_construction: u32) -> Self {
        Self::new(IndexType::Hnsw)
            .metric_type(metric_type)
            .parameter("M", m)
            .parameter("efConstruction", ef_construction)
    }

    /// A graph on disk.
    pub fn diskann(metric_type: MetricType) -> Self {
        Self::new(IndexType::DiskAnn).metric_type(metric_type)
    }

    /// Dimensions of sparse vectors, inverted; the metric is the inner product or BM25.
    pub fn sparse_inverted(metric_type: MetricType) -> Self {
        Self::new(IndexType::SparseInvertedIndex).metric_type(metric_type)
    }

    /// Values of a scalar field, inverted.
    pub fn inverted() -> Self {
        Self::new(IndexType::Inverted)
    }

    /// A bitmap for each value of a scalar field with few values.
    pub fn bitmap() -> Self {
        Self::new(IndexType::Bitmap)
    }

    /// Sets the metric.
    pub fn metric_type(mut self, metric_type: MetricType) -> Self {
        self.metric_type = Some(metric_type);
        self
    }

    /// Sets a parameter, by Milvus's name.
    pub fn parameter(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// As `CreateIndex` wants it: parameters as JSON in one pair.
    pub(super) fn to_pairs(&self) -> Vec<KeyValuePair> {
        let mut pairs = vec![pair(INDEX_TYPE, self.index_type.name().to_owned())];
        if let Some(metric_type) = &self.metric_type {
            pairs.push(pair(METRIC_TYPE, metric_type.name().to_owned()));
        }
        if !self.parameters.is_empty() {
            let parameters: serde_json::Map<_, _> = self.parameters.clone().into_iter().collect();
            pairs.push(pair(PARAMETERS, Value::Object(parameters).to_string()));
        }
        pairs
    }

    /// As `DescribeIndex` tells it: parameters in one pair as JSON, or as pairs of their own.
    pub(super) fn from_pairs(pairs: Vec<KeyValuePair>) -> Self {
        let mut index = Self::new(IndexType::Other(String::new()));
        for KeyValuePair { key, value } in pairs {
            match key.as_str() {
                INDEX_TYPE => index.index_type = IndexType::from_name(&value),
                METRIC_TYPE => index.metric_type = Some(MetricType::from_name(&value)),
                PARAMETERS => match serde_json::from_str(&value) {
                    Ok(Value::Object(parameters)) => index.parameters.extend(parameters),
                    _ => {
                        index.parameters.insert(key, Value::String(value));
                    }
                },
                _ => {
                    index.parameters.insert(key, Value::String(value));
                }
            }
        }
        index
    }
}

pub(super) fn pair(key: &str, value: String) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_survives_the_wire() {
        for index in [
            Index::hnsw(MetricType::Cosine, 16, 200),
            Index::inverted(),
            Index::new(IndexType::Other("NEW".to_owned())).parameter("a", "b"),
        ] {
            assert_eq!(Index::from_pairs(index.to_pairs()), index);
        }
    }

    #[test]
    fn parameters_are_read_in_both_forms() {
        let pairs = vec![
            pair("index_type", "IVF_FLAT".to_owned()),
            pair("metric_type", "L2".to_owned()),
            pair("nlist", "128".to_owned()),
            pair("params", "{\"m\": 4}".to_owned()),
            pair("mmap.enabled", "true".to_owned()),
        ];
        let index = Index::from_pairs(pairs);
        assert_eq!(index.index_type, IndexType::IvfFlat);
        assert_eq!(index.metric_type, Some(MetricType::L2));
        assert_eq!(index.parameters["nlist"], "128");
        assert_eq!(index.parameters["m"], 4);
        assert_eq!(index.parameters["mmap.enabled"], "true");
    }
}
