//! Conditions on the tokens of a text: `text_match` and `phrase_match`.

use std::sync::Arc;

use super::Analyzer;

/// A query text, analyzed, and what it asks of a row's text.
#[derive(Debug, Clone)]
pub struct TextQuery {
    analyzer: Arc<Analyzer>,
    /// Distinct tokens.
    tokens: Vec<String>,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum Condition {
    /// At least so many of the tokens occur.
    AnyOf(usize),
    /// The tokens (by index, with their offsets) occur in order with at most `slop` moves.
    Phrase { terms: Vec<(usize, i64)>, slop: u64 },
}

impl TextQuery {
    /// At least `minimum` of the query's distinct tokens occur in the text. A query without tokens matches nothing; a
    /// `minimum` above the number of tokens asks for all of them.
    pub fn any_of(analyzer: Arc<Analyzer>, query: &str, minimum: usize) -> Self {
        let tokens = distinct(analyzer.tokens(query).into_iter().map(|token| token.text));
        let minimum = minimum.clamp(1, tokens.len().max(1));
        Self {
            analyzer,
            tokens,
            condition: Condition::AnyOf(minimum),
        }
    }

    /// The query's tokens occur in this order, at the same distances; together they may be out of place by `slop` positions.
    /// A query without tokens matches nothing.
    pub fn phrase(analyzer: Arc<Analyzer>, query: &str, slop: u64) -> Self {
        let sequence = analyzer.tokens(query);
        let tokens = distinct(sequence.iter().map(|token| token.text.clone()));
        let terms = sequence
            .iter()
            .filter_map(|token| {
                Some((
                    tokens.iter().position(|known| *known == token.text)?,
                    i64::from(token.position),
                ))
            })
            .collect();
        Self {
            analyzer,
            tokens,
            condition: Condition::Phrase { terms, slop },
        }
    }

    /// Whether a text satisfies the condition.
    pub fn matches(&self, text: &str) -> bool {
        if self.tokens.is_empty() {
            return false;
        }
        match &self.condition {
            Condition::AnyOf(minimum) => {
                let mut found = vec![false; self.tokens.len()];
                self.analyzer.for_each_token(text, |text, _| {
                    if let Some(index) = self.tokens.iter().position(|token| token == text) {
                        found[index] = true;
                    }
                });
                found.iter().filter(|found| **found).count() >= *minimum
            }
            Condition::Phrase { terms, slop } => {
                let mut positions = vec![Vec::new(); self.tokens.len()];
                self.analyzer.for_each_token(text, |text, position| {
                    if let Some(index) = self.tokens.iter().position(|token| token == text) {
                        positions[index].push(i64::from(position));
                    }
                });
                phrase_cost(terms, &positions).is_some_and(|cost| cost <= *slop)
            }
        }
    }
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// The least sum of shifts between neighbouring terms over all choices of an occurrence for each term. A shift is by how much
/// the distance of two occurrences differs from the distance in the query.
fn phrase_cost(terms: &[(usize, i64)], positions: &[Vec<i64>]) -> Option<u64> {
    // Cost of the best choice that ends in each occurrence of the current term, at the place where the phrase would start.
    let mut best: Vec<(i64, u64)> = Vec::new();
    for (index, (term, offset)) in terms.iter().enumerate() {
        let starts = positions
            .get(*term)?
            .iter()
            .map(|position| position - offset);
        best = if index == 0 {
            starts.map(|start| (start, 0)).collect()
        } else {
            starts
                .filter_map(|start| {
                    let cost = best
                        .iter()
                        .map(|(from, cost)| cost + from.abs_diff(start))
                        .min()?;
                    Some((start, cost))
                })
                .collect()
        };
    }
    best.iter().map(|(_, cost)| *cost).min()
}
