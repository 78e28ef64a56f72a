//! Query vectors in the form that kernels read.

use super::Metric;
use super::kernel::{Brain, Decode, Half};
use crate::column::{ColumnType, sparse_from_bytes};

/// Why vectors can't be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DistanceError {
    /// The metric is not defined for the type.
    #[error("metric type {metric} can't compare {kind}; {hint}")]
    Metric {
        /// Name of the metric.
        metric: &'static str,
        /// Type of the field.
        kind: ColumnType,
        /// Metrics that can.
        hint: &'static str,
    },
    /// A query vector has not the field's size.
    #[error("query vector {index} has {actual} bytes, but a vector of {kind} has {expected}")]
    Size {
        /// Which query, from 0.
        index: usize,
        /// Type of the field.
        kind: ColumnType,
        /// Bytes of a vector of the field.
        expected: usize,
        /// Bytes of the query vector.
        actual: usize,
    },
    /// A query vector has an infinite component or one that is not a number, or is a malformed sparse vector.
    #[error("query vector {index}: {reason}")]
    Malformed {
        /// Which query, from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// The column that was to be scanned has another type than the queries.
    #[error("queries for {queries} can't search a column of {column}")]
    Column {
        /// Type that the queries were made for.
        queries: ColumnType,
        /// Type of the column.
        column: ColumnType,
    },
}

/// Query vectors for fields of one type, to be compared by one metric.
#[derive(Debug, Clone)]
pub struct Queries {
    pub(super) kind: ColumnType,
    pub(super) metric: Metric,
    pub(super) count: usize,
    pub(super) data: QueryData,
}

#[derive(Debug, Clone)]
pub(super) enum QueryData {
    /// Row-major; of length one for the cosine.
    Floats(Vec<f32>),
    /// Row-major, and the length of each.
    Integers(Vec<i8>, Vec<f32>),
    /// Row-major.
    Bits(Vec<u8>),
    Sparse(Vec<(Vec<u32>, Vec<f32>)>),
}

impl Queries {
    /// Takes query vectors as a request has them: each the bytes of a vector of the field's type.
    ///
    /// # Errors
    /// When the metric does not suit the type, or a vector has another size, or components that are not finite.
    pub fn new<B: AsRef<[u8]>>(
        kind: ColumnType,
        metric: Metric,
        vectors: &[B],
    ) -> Result<Self, DistanceError> {
        if !metric.suits(kind) {
            let hint = match kind {
                ColumnType::BinaryVector { .. } => "use HAMMING or JACCARD",
                ColumnType::SparseFloatVector => "use IP or BM25",
                kind if kind.is_vector() => "use L2, IP or COSINE",
                _ => "it is not a vector field",
            };
            return Err(DistanceError::Metric {
                metric: metric.name(),
                kind,
                hint,
            });
        }
        if let Some(expected) = kind.row_width()
            && let Some((index, actual)) = vectors
                .iter()
                .map(|vector| vector.as_ref().len())
                .enumerate()
                .find(|(_, size)| *size != expected)
        {
            return Err(DistanceError::Size {
                index,
                kind,
                expected,
                actual,
            });
        }
        let bytes = || vectors.iter().flat_map(|vector| vector.as_ref()).copied();
        let data = match kind {
            ColumnType::SparseFloatVector => {
                let parse = |(index, vector): (usize, &B)| {
                    sparse_from_bytes(vector.as_ref())
                        .map_err(|reason| DistanceError::Malformed { index, reason })
                };
                QueryData::Sparse(
                    vectors
                        .iter()
                        .enumerate()
                        .map(parse)
                        .collect::<Result<_, _>>()?,
                )
            }
            ColumnType::BinaryVector { .. } => QueryData::Bits(bytes().collect()),
            ColumnType::Int8Vector { dim } => {
                let all: Vec<i8> = bytes().map(u8::cast_signed).collect();
                let norm = |vector: &[i8]| {
                    vector
                        .iter()
                        .map(|component| f32::from(*component).powi(2))
                        .sum::<f32>()
                        .sqrt()
                };
                let norms = all.chunks_exact((dim as usize).max(1)).map(norm).collect();
                QueryData::Integers(all, norms)
            }
            _ => QueryData::Floats(floats(kind, metric, vectors)?),
        };
        Ok(Self {
            kind,
            metric,
            count: vectors.len(),
            data,
        })
    }

    /// Number of query vectors.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How the vectors are compared.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Dimensions and weights of a sparse query.
    pub fn sparse(&self, index: usize) -> Option<(&[u32], &[f32])> {
        match &self.data {
            QueryData::Sparse(vectors) => vectors
                .get(index)
                .map(|(dimensions, weights)| (&dimensions[..], &weights[..])),
            _ => None,
        }
    }
}

fn floats<B: AsRef<[u8]>>(
    kind: ColumnType,
    metric: Metric,
    vectors: &[B],
) -> Result<Vec<f32>, DistanceError> {
    let mut all = Vec::new();
    for (index, vector) in vectors.iter().enumerate() {
        let start = all.len();
        let bytes = vector.as_ref();
        match kind {
            ColumnType::FloatVector { .. } => all.extend(
                bytes
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|four| f32::from_le_bytes(*four)),
            ),
            ColumnType::Float16Vector { .. } => all.extend(
                bytes
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|two| Half::decode(u16::from_le_bytes(*two))),
            ),
            _ => all.extend(
                bytes
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|two| Brain::decode(u16::from_le_bytes(*two))),
            ),
        }
        let components = &mut all[start..];
        if let Some(at) = components
            .iter()
            .position(|component| !component.is_finite())
        {
            let reason = format!(
                "component {at} is {}, vectors must be finite",
                components[at]
            );
            return Err(DistanceError::Malformed { index, reason });
        }
        if metric == Metric::Cosine {
            let norm = components
                .iter()
                .map(|component| f64::from(*component).powi(2))
                .sum::<f64>()
                .sqrt();
            if norm > 0.0 {
                components
                    .iter_mut()
                    .for_each(|component| *component = (f64::from(*component) / norm) as f32);
            }
        }
    }
    Ok(all)
}
