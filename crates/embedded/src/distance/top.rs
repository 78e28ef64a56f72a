//! The best of many hits.

use std::cmp::Ordering;

use super::Metric;
use crate::column::{Column, Values};

/// A row and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Score by the metric.
    pub score: f32,
    /// Row of the scanned column.
    pub row: u32,
}

/// Keeps the `k` best hits. Equal scores are ordered by primary key, or by row where no keys are given.
///
/// Hits gather in a buffer of more than `k`; when it is full, a selection drops all but the best `k` and raises the bar for
/// those to come. So a hit costs a comparison, and those that pass the bar a constant time on average.
#[derive(Debug)]
pub struct TopK<'a> {
    limit: usize,
    metric: Metric,
    keys: Option<&'a Column>,
    /// Scores with the sign that makes smaller ones better.
    held: Vec<Hit>,
    /// No hit with a larger signed score can be among the best.
    bar: f32,
}

/// Hits that the buffer takes beyond `k`.
const SLACK: usize = 64;

impl<'a> TopK<'a> {
    /// Keeps `limit` hits. `keys` is the primary key column of the rows that will be offered.
    pub fn new(limit: usize, metric: Metric, keys: Option<&'a Column>) -> Self {
        // Memory is taken as hits come: a large limit may meet few rows.
        Self {
            limit,
            metric,
            keys,
            held: Vec::new(),
            bar: f32::INFINITY,
        }
    }

    fn signed(&self, score: f32) -> f32 {
        // Adding zero makes one zero of both.
        (if self.metric.larger_is_better() {
            -score
        } else {
            score
        }) + 0.0
    }

    /// Offers a hit. One whose score is not a number is no hit.
    #[inline]
    pub fn push(&mut self, score: f32, row: u32) {
        let signed = self.signed(score);
        if signed <= self.bar {
            self.hold(signed, row);
        }
    }

    fn hold(&mut self, signed: f32, row: u32) {
        self.held.push(Hit { score: signed, row });
        if self.held.len() >= self.limit.saturating_mul(2).saturating_add(SLACK) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.limit == 0 {
            self.held.clear();
            self.bar = f32::NEG_INFINITY;
            return;
        }
        if self.held.len() <= self.limit {
            return;
        }
        let keys = self.keys;
        let (_, last, _) = self
            .held
            .select_nth_unstable_by(self.limit - 1, |left, right| order(keys, left, right));
        self.bar = last.score;
        self.held.truncate(self.limit);
    }

    /// The hits, best first.
    pub fn into_hits(mut self) -> Vec<Hit> {
        self.shrink();
        let keys = self.keys;
        self.held
            .sort_unstable_by(|left, right| order(keys, left, right));
        let larger = self.metric.larger_is_better();
        for hit in &mut self.held {
            hit.score = if larger { -hit.score + 0.0 } else { hit.score };
        }
        self.held
    }
}

fn order(keys: Option<&Column>, left: &Hit, right: &Hit) -> Ordering {
    left.score.total_cmp(&right.score).then_with(|| {
        let (first, second) = (left.row as usize, right.row as usize);
        let by_key = match keys.map(Column::values) {
            Some(Values::Int64(keys)) => keys.get(first).cmp(&keys.get(second)),
            Some(Values::Varchar(keys)) => keys.get(first).cmp(keys.get(second)),
            _ => Ordering::Equal,
        };
        by_key.then(first.cmp(&second))
    })
}

/// Joins lists of scores and keys (each best first or not) and keeps the `limit` best, equal scores by ascending key.
pub fn merge<K: Ord>(
    metric: Metric,
    limit: usize,
    lists: impl IntoIterator<Item = Vec<(f32, K)>>,
) -> Vec<(f32, K)> {
    let mut all: Vec<(f32, K)> = lists.into_iter().flatten().collect();
    let order = |left: &(f32, K), right: &(f32, K)| {
        let (first, second) = (left.0 + 0.0, right.0 + 0.0);
        let by_score = if metric.larger_is_better() {
            second.total_cmp(&first)
        } else {
            first.total_cmp(&second)
        };
        by_score.then_with(|| left.1.cmp(&right.1))
    };
    if limit == 0 {
        return Vec::new();
    }
    if all.len() > limit {
        all.select_nth_unstable_by(limit - 1, order);
        all.truncate(limit);
    }
    all.sort_unstable_by(order);
    all
}
