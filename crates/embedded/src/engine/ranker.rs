//! Rankers: how the hits of several searches become one list.

use std::collections::HashMap;
use std::f32::consts::PI;

use super::keys::Key;
use super::search::Hit;
use crate::distance::Metric;

/// A way to fuse.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ranker {
    /// Reciprocal rank fusion: Σ 1 / (k + rank), ranks from 1.
    ReciprocalRank { k: f32 },
    /// Σ weight · score, the scores brought to a common scale first when `normalize`.
    Weighted { weights: Vec<f32>, normalize: bool },
}

/// Fuses the hits of one query in several searches, best first; equal scores by key.
pub(crate) fn fuse(ranker: &Ranker, searches: &[(Metric, Vec<Hit>)]) -> Vec<Hit> {
    let mut fused: HashMap<Key, Hit> = HashMap::new();
    for (index, (metric, hits)) in searches.iter().enumerate() {
        for (rank, hit) in hits.iter().enumerate() {
            let share = match ranker {
                Ranker::ReciprocalRank { k } => 1.0 / (k + rank as f32 + 1.0),
                Ranker::Weighted { weights, normalize } => {
                    weights.get(index).copied().unwrap_or(0.0)
                        * common_scale(*metric, hit.score, *normalize)
                }
            };
            fused
                .entry(hit.key.clone())
                .and_modify(|known| known.score += share)
                .or_insert_with(|| Hit {
                    score: share,
                    ..hit.clone()
                });
        }
    }
    let mut hits: Vec<Hit> = fused.into_values().collect();
    hits.sort_by(|left, right| {
        right
            .score
            .total_cmp(&left.score)
            .then_with(|| left.key.cmp(&right.key))
    });
    hits
}

/// A score where larger is better. Distances are always turned around; with `normalize` everything is brought to 0 … 1 by Milvus's functions.
fn common_scale(metric: Metric, score: f32, normalize: bool) -> f32 {
    match metric {
        Metric::Cosine if normalize => (1.0 + score) * 0.5,
        Metric::InnerProduct if normalize => 0.5 + score.atan() / PI,
        Metric::Bm25 if normalize => 2.0 * score.atan() / PI,
        _ if metric.larger_is_better() => score,
        _ => 1.0 - 2.0 * score.atan() / PI,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::read::RowAddress;

    fn hit(key: i64, score: f32) -> Hit {
        Hit {
            address: RowAddress {
                segment: 0,
                row: key as u32,
            },
            key: Key::Int(key),
            score,
        }
    }

    #[test]
    fn reciprocal_rank_adds_over_searches_and_breaks_ties_by_key() {
        let first = vec![hit(1, 0.9), hit(2, 0.8)];
        let second = vec![hit(2, 3.0), hit(1, 4.0), hit(3, 5.0)];
        let fused = fuse(
            &Ranker::ReciprocalRank { k: 60.0 },
            &[(Metric::Cosine, first), (Metric::L2, second)],
        );
        let keys: Vec<_> = fused.iter().map(|hit| hit.key.clone()).collect();
        assert_eq!(keys, [Key::Int(1), Key::Int(2), Key::Int(3)]);
        assert!((fused[0].score - (1.0 / 61.0 + 1.0 / 62.0)).abs() < 1e-7);
    }

    #[test]
    fn weights_apply_to_normalized_scores() {
        let ranker = Ranker::Weighted {
            weights: vec![0.7, 0.3],
            normalize: true,
        };
        let fused = fuse(
            &ranker,
            &[
                (Metric::Cosine, vec![hit(1, 1.0)]),
                (Metric::L2, vec![hit(1, 0.0), hit(2, 0.0)]),
            ],
        );
        assert!((fused[0].score - 1.0).abs() < 1e-6);
        assert!((fused[1].score - 0.3).abs() < 1e-6);
    }
}
