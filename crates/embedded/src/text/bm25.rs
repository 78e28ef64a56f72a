//! BM25 as Milvus computes it: sparse vectors of term counts, weighted with statistics of the whole collection.
//!
//! A row's text becomes a sparse vector with the dimension [`term_id`] and the count of each term. The score of a row is the sum
//! over the query's terms of
//!
//! ```text
//! w = tf·(k1 + 1) / (tf + k1·(1 − b + b·dl/avgdl))        q = qtf·ln(1 + (N − n + 0.5) / (n + 0.5))
//! ```
//!
//! where `tf` is the count in the row, `dl` the row's number of tokens, `qtf` the count in the query, `N` the number of rows,
//! `n` the number of rows with the term and `avgdl` the mean of `dl`. The invariant is that `N`, `n` and `avgdl` cover all
//! visible rows of the collection, so that scores do not depend on how rows lie in segments.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Analyzer;

/// Parameters of the formula; the defaults are Milvus's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// How soon further occurrences of a term stop counting.
    pub k1: f32,
    /// How much long rows are marked down.
    pub b: f32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// The dimension of a term: CRC-32 (IEEE) of its first 100 bytes, modulo 2³² − 1.
pub fn term_id(term: &str) -> u32 {
    const HASHED_BYTES: usize = 100;
    let bytes = term.as_bytes();
    crc32fast::hash(&bytes[..bytes.len().min(HASHED_BYTES)]) % u32::MAX
}

/// The sparse vector of a text: ascending dimensions, and counts. Empty for a text without tokens.
pub fn term_counts(analyzer: &Analyzer, text: &str) -> (Vec<u32>, Vec<f32>) {
    let mut ids = Vec::new();
    analyzer.for_each_token(text, |term, _| ids.push(term_id(term)));
    ids.sort_unstable();
    let (mut dimensions, mut counts): (Vec<u32>, Vec<f32>) = (Vec::new(), Vec::new());
    for id in ids {
        match counts.last_mut() {
            Some(count) if dimensions.last() == Some(&id) => *count += 1.0,
            _ => {
                dimensions.push(id);
                counts.push(1.0);
            }
        }
    }
    (dimensions, counts)
}

/// Statistics of a set of rows. Sets of one collection are added up, and rows that are deleted are taken out again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    rows: u64,
    tokens: u64,
    rows_with: HashMap<u32, u32>,
}

impl Statistics {
    /// Adds a row by its sparse vector.
    pub fn add(&mut self, dimensions: &[u32], counts: &[f32]) {
        self.rows += 1;
        self.tokens += tokens(counts);
        for dimension in dimensions {
            *self.rows_with.entry(*dimension).or_default() += 1;
        }
    }

    /// Takes out a row that was added.
    pub fn remove(&mut self, dimensions: &[u32], counts: &[f32]) {
        self.rows = self.rows.saturating_sub(1);
        self.tokens = self.tokens.saturating_sub(tokens(counts));
        for dimension in dimensions {
            if let Entry::Occupied(mut rows) = self.rows_with.entry(*dimension) {
                *rows.get_mut() -= 1;
                if *rows.get() == 0 {
                    rows.remove();
                }
            }
        }
    }

    /// Adds the rows of another set.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.tokens += other.tokens;
        for (dimension, rows) in &other.rows_with {
            *self.rows_with.entry(*dimension).or_default() += rows;
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Mean number of tokens of a row; 1 where there are none, which keeps the formula finite.
    pub fn average_length(&self) -> f32 {
        if self.tokens == 0 {
            1.0
        } else {
            (self.tokens as f64 / self.rows.max(1) as f64) as f32
        }
    }

    /// `ln(1 + (N − n + 0.5) / (n + 0.5))` of a term.
    pub fn inverse_frequency(&self, dimension: u32) -> f32 {
        let with = f64::from(self.rows_with.get(&dimension).copied().unwrap_or(0));
        (1.0 + (self.rows as f64 - with + 0.5) / (with + 0.5)).ln() as f32
    }
}

fn tokens(counts: &[f32]) -> u64 {
    counts.iter().map(|count| *count as u64).sum()
}

/// A query's terms with their weights, ready to score rows.
#[derive(Debug, Clone)]
pub struct Scorer {
    dimensions: Vec<u32>,
    weights: Vec<f32>,
    parameters: Parameters,
    average_length: f32,
}

impl Scorer {
    /// Weighs the terms of a query (its sparse vector from [`term_counts`]) by the collection's statistics.
    pub fn new(
        dimensions: &[u32],
        counts: &[f32],
        statistics: &Statistics,
        parameters: Parameters,
    ) -> Self {
        let weights = dimensions
            .iter()
            .zip(counts)
            .map(|(dimension, count)| count * statistics.inverse_frequency(*dimension))
            .collect();
        Self {
            dimensions: dimensions.to_vec(),
            weights,
            parameters,
            average_length: statistics.average_length(),
        }
    }

    /// Score of a row by its sparse vector, or `None` when it has none of the terms: such rows are no hits.
    pub fn score(&self, dimensions: &[u32], counts: &[f32]) -> Option<f32> {
        let Parameters { k1, b } = self.parameters;
        let mut norm = None;
        let mut score = None;
        crate::distance::for_each_common(&self.dimensions, dimensions, |query, row| {
            let norm = *norm.get_or_insert_with(|| {
                k1 * (1.0 - b + b * counts.iter().sum::<f32>() / self.average_length)
            });
            let (weight, count) = (self.weights[query], counts[row]);
            *score.get_or_insert(0.0) += weight * count * (k1 + 1.0) / (count + norm);
        });
        score
    }
}
