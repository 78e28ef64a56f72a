//! Indexes: accepted, kept and described as they were asked for. Search is an exact scan whatever the index type, and `describe` says so.

use std::collections::BTreeMap;

use super::{DataType, FieldRecord};
use crate::error::{MilvusError, MilvusErrorKind};

/// An index.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct IndexRecord {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) field: String,
    #[serde(default)]
    pub(crate) created: u64,
    /// `index_type`, `metric_type`, `params`, `mmap.enabled`, … as they came, with the defaults filled in.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
}

impl IndexRecord {
    /// The metric, for an index on vectors.
    pub(crate) fn metric(&self) -> Option<&str> {
        self.params.get("metric_type").map(String::as_str)
    }
}

const FLOAT_INDEXES: &[&str] = &[
    "FLAT",
    "IVF_FLAT",
    "IVF_SQ8",
    "IVF_PQ",
    "IVF_RABITQ",
    "HNSW",
    "HNSW_SQ",
    "HNSW_PQ",
    "HNSW_PRQ",
    "SCANN",
    "DISKANN",
    "GPU_BRUTE_FORCE",
    "GPU_IVF_FLAT",
    "GPU_IVF_PQ",
    "GPU_CAGRA",
    "AUTOINDEX",
    "FLAT_SVS",
];
const BINARY_INDEXES: &[&str] = &["BIN_FLAT", "BIN_IVF_FLAT", "MINHASH_LSH", "AUTOINDEX"];
const SPARSE_INDEXES: &[&str] = &["SPARSE_INVERTED_INDEX", "SPARSE_WAND", "AUTOINDEX"];
const SCALAR_INDEXES: &[&str] = &[
    "INVERTED",
    "BITMAP",
    "STL_SORT",
    "Trie",
    "TRIE",
    "MARISA-TRIE",
    "NGRAM",
    "RTREE",
    "HYBRID",
    "AUTOINDEX",
    "",
];

/// The metrics of a field of vectors; the first is the default. Lists of vectors are compared as a whole (`MAX_SIM…`) or by their
/// elements.
fn metrics(field: &FieldRecord, bm25: bool) -> &'static [&'static str] {
    match (field.data_type, field.vector_type()) {
        (DataType::ArrayOfVector, DataType::BinaryVector) => {
            &["MAX_SIM_HAMMING", "MAX_SIM_JACCARD", "HAMMING", "JACCARD"]
        }
        (DataType::ArrayOfVector, _) => &[
            "MAX_SIM_COSINE",
            "MAX_SIM",
            "MAX_SIM_L2",
            "MAX_SIM_IP",
            "COSINE",
            "L2",
            "IP",
        ],
        (_, DataType::BinaryVector) => &["HAMMING", "JACCARD"],
        (_, DataType::SparseFloatVector) if bm25 => &["BM25"],
        (_, DataType::SparseFloatVector) => &["IP"],
        _ => &["COSINE", "L2", "IP"],
    }
}

/// The metric of an index that names none.
pub(crate) fn default_metric(field: &FieldRecord, bm25: bool) -> &'static str {
    metrics(field, bm25)[0]
}

/// Whether vectors of this field can be compared by this metric (in upper case).
pub(crate) fn metric_supports(field: &FieldRecord, bm25: bool, metric: &str) -> bool {
    metrics(field, bm25).contains(&metric)
}

/// Checks the parameters of a new index and fills in the defaults.
pub(crate) fn check_index(
    field: &FieldRecord,
    bm25: bool,
    params: &mut BTreeMap<String, String>,
) -> Result<(), MilvusError> {
    let kind = params
        .entry("index_type".to_owned())
        .or_insert_with(|| "AUTOINDEX".to_owned())
        .clone();
    let allowed = match field.vector_type() {
        DataType::BinaryVector => BINARY_INDEXES,
        DataType::SparseFloatVector => SPARSE_INDEXES,
        other if other.is_vector() => FLOAT_INDEXES,
        _ => SCALAR_INDEXES,
    };
    if !allowed
        .iter()
        .any(|known| known.eq_ignore_ascii_case(&kind))
    {
        let message = format!(
            "invalid index type {kind} for field {} of type {}",
            field.name,
            field.column_type()
        );
        return Err(MilvusError::invalid(message));
    }
    if !field.data_type.is_vector() {
        return Ok(());
    }
    let metric = params
        .get("metric_type")
        .filter(|metric| !metric.is_empty())
        .map(|metric| metric.to_ascii_uppercase());
    let metric = metric.unwrap_or_else(|| default_metric(field, bm25).to_owned());
    if !metric_supports(field, bm25, &metric) {
        let message = format!(
            "metric type {metric} not found or not supported, supported: {:?} for field {} of type {}",
            metrics(field, bm25),
            field.name,
            field.column_type()
        );
        return Err(MilvusError::new(
            MilvusErrorKind::ParameterInvalid,
            format!("{message}: invalid parameter"),
        ));
    }
    params.insert("metric_type".to_owned(), metric);
    Ok(())
}
