//! Search: an exact scan of the visible rows, the best of each segment, merged by score and then by primary key.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::grouping::{Grouping, grouped};
use super::keys::{Key, Keys};
use super::read::{BoundFilter, Reader, RowAddress};
use super::{Cancellation, SegmentView};
use crate::catalog::FieldRecord;
use crate::column::{Bitmap, Column};
use crate::distance::{Hit as RowHit, Metric, Queries, ScanOptions, scan, scan_bm25, scan_lists};
use crate::error::MilvusError;
use crate::text::bm25::{Parameters, Scorer};

/// What rows are compared with.
#[derive(Clone, Debug)]
pub(crate) enum Targets {
    Vectors(Queries),
    /// Terms (ascending) of texts with their counts, scored by BM25.
    Texts(Vec<(Vec<u32>, Vec<f32>)>),
    /// Lists of vectors, each compared as a whole with the lists of the rows.
    Lists(Vec<Queries>),
}

impl Targets {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Vectors(queries) => queries.len(),
            Self::Texts(texts) => texts.len(),
            Self::Lists(lists) => lists.len(),
        }
    }
}

/// Bounds of a range search, by Milvus's rule: `radius` is the worse bound and excluded, `range_filter` the better one and included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScoreRange {
    pub(crate) radius: Option<f32>,
    pub(crate) range_filter: Option<f32>,
}

impl ScoreRange {
    /// Leaves only scores that are worse than `bound`.
    pub(crate) fn after(self, metric: Metric, bound: f32) -> Self {
        let range_filter = match (metric.larger_is_better(), self.range_filter) {
            (true, known) => bound.next_down().min(known.unwrap_or(f32::INFINITY)),
            (false, known) => bound.next_up().max(known.unwrap_or(f32::NEG_INFINITY)),
        };
        Self {
            range_filter: Some(range_filter),
            ..self
        }
    }
}

/// A search of one vector field.
#[derive(Clone, Debug)]
pub(crate) struct SearchRequest {
    pub(crate) field: FieldRecord,
    pub(crate) metric: Metric,
    pub(crate) targets: Targets,
    pub(crate) filter: Option<Arc<BoundFilter>>,
    /// Hits (with grouping: groups) to give, after the offset.
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) range: ScoreRange,
    pub(crate) grouping: Option<Grouping>,
    /// Also the hits that are as good as the last one, so that an iterator that goes on after its score misses none.
    pub(crate) with_ties: bool,
}

/// One hit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) address: RowAddress,
    pub(crate) key: Key,
    pub(crate) score: f32,
}

impl Hit {
    /// Whether this hit comes before another one: the better score, then the lower key.
    pub(super) fn rank(&self, other: &Self, metric: Metric) -> Ordering {
        let by_score = match metric.larger_is_better() {
            true => other.score.total_cmp(&self.score),
            false => self.score.total_cmp(&other.score),
        };
        by_score.then_with(|| self.key.cmp(&other.key))
    }
}

/// A segment made ready: its vectors, its keys, and the rows to look at.
pub(super) struct Prepared<'a> {
    pub(super) segment: u32,
    pub(super) view: &'a SegmentView,
    pub(super) vectors: Column,
    pub(super) keys: Column,
    pub(super) rows: Bitmap,
    /// Whether anybody still waits.
    pub(super) cancellation: &'a Cancellation,
}

impl Reader {
    /// Runs a search. Gives the hits of each target, best first.
    pub(crate) fn search(&self, request: &SearchRequest) -> Result<Vec<Vec<Hit>>, MilvusError> {
        let segments = self.segments();
        let mut prepared = Vec::with_capacity(segments.len());
        let primary = self.record().primary()?;
        for (index, view) in segments.iter().enumerate() {
            let rows = self.visible(view, request.filter.as_deref())?;
            if !rows.none() {
                let (vectors, keys) = (
                    view.segment.column(&request.field)?,
                    view.segment.column(primary)?,
                );
                prepared.push(Prepared {
                    segment: index as u32,
                    view,
                    vectors,
                    keys,
                    rows,
                    cancellation: &self.cancellation,
                });
            }
        }
        let scorers = self.scorers(request)?;
        let wanted = request.offset.saturating_add(request.limit);
        if let Some(grouping) = &request.grouping {
            return grouped(&prepared, request, grouping, &scorers);
        }
        // Rows inserted twice under one key count once; when that leaves too few, more are looked at.
        let mut depth = wanted;
        loop {
            let found = best(&prepared, request, &scorers, depth)?;
            let mut complete = true;
            let mut answer = Vec::with_capacity(found.len());
            for hits in found {
                let exhausted = hits.len() < depth;
                let hits = first_of_each_key(hits);
                complete &= exhausted || is_complete(&hits, wanted, request.with_ties);
                answer.push(cut(hits, request.offset, wanted, request.with_ties));
            }
            if complete {
                return Ok(answer);
            }
            depth = depth.saturating_mul(2).max(2);
        }
    }

    /// For texts: their terms weighted with the statistics of the whole collection.
    fn scorers(&self, request: &SearchRequest) -> Result<Vec<Scorer>, MilvusError> {
        let Targets::Texts(texts) = &request.targets else {
            return Ok(Vec::new());
        };
        let statistics = self.snapshot.statistics(&request.field, self.oldest())?;
        let index = self.record().index_on(&request.field.name);
        let parameter = |name: &str, default: f32| {
            index
                .and_then(|index| index.params.get(name)?.parse().ok())
                .unwrap_or(default)
        };
        let default = Parameters::default();
        let parameters = Parameters {
            k1: parameter("bm25_k1", default.k1),
            b: parameter("bm25_b", default.b),
        };
        Ok(texts
            .iter()
            .map(|(terms, counts)| Scorer::new(terms, counts, &statistics, parameters))
            .collect())
    }
}

impl Prepared<'_> {
    /// The best `depth` rows for each target, of all rows or of some.
    pub(super) fn scan(
        &self,
        request: &SearchRequest,
        scorers: &[Scorer],
        depth: usize,
        rows: Option<Range<usize>>,
    ) -> Result<Vec<Vec<RowHit>>, MilvusError> {
        // Rows are in the order of their keys, so ties inside of a segment need no look at the keys.
        let options = ScanOptions {
            limit: depth,
            allowed: Some(&self.rows),
            rows,
            radius: request.range.radius,
            range_filter: request.range.range_filter,
            cancelled: Some(self.cancellation.flag()),
            ..ScanOptions::default()
        };
        let found = match &request.targets {
            Targets::Vectors(queries) => scan(&self.vectors, queries, &options),
            Targets::Lists(lists) => lists
                .iter()
                .map(|list| scan_lists(&self.vectors, list, &options))
                .collect(),
            Targets::Texts(_) => {
                let scan_one = |scorer| scan_bm25(&self.vectors, scorer, &options);
                scorers.iter().map(scan_one).collect()
            }
        };
        self.cancellation.check()?;
        found.map_err(MilvusError::invalid)
    }
}

/// The best `depth` hits of all segments for each target, best first; equal scores by key.
fn best(
    prepared: &[Prepared<'_>],
    request: &SearchRequest,
    scorers: &[Scorer],
    depth: usize,
) -> Result<Vec<Vec<Hit>>, MilvusError> {
    let mut all: Vec<Vec<Hit>> = vec![Vec::new(); request.targets.len()];
    for part in prepared {
        let found = part.scan(request, scorers, depth, None)?;
        let keys = Keys::of(&part.keys)?;
        for (hits, found) in all.iter_mut().zip(found) {
            let address = |row: u32| RowAddress {
                segment: part.segment,
                row,
            };
            hits.extend(found.into_iter().map(|hit| Hit {
                address: address(hit.row),
                key: keys.get(hit.row as usize),
                score: hit.score,
            }));
        }
    }
    for hits in &mut all {
        hits.sort_by(|left, right| left.rank(right, request.metric));
        hits.truncate(depth);
    }
    Ok(all)
}

/// Whether no further hit could belong to the answer.
fn is_complete(hits: &[Hit], wanted: usize, with_ties: bool) -> bool {
    let Some(last_wanted) = wanted.checked_sub(1).and_then(|last| hits.get(last)) else {
        return wanted == 0;
    };
    // Whether the last wanted hit has more of its score is known only when a worse one was seen.
    !with_ties
        || hits
            .last()
            .is_some_and(|last| last.score != last_wanted.score)
}

fn cut(mut hits: Vec<Hit>, offset: usize, wanted: usize, with_ties: bool) -> Vec<Hit> {
    let last = wanted
        .checked_sub(1)
        .and_then(|last| hits.get(last))
        .map(|hit| hit.score)
        .filter(|_| with_ties);
    let ties = last.map_or(0, |score| {
        hits[wanted..]
            .iter()
            .take_while(|hit| hit.score == score)
            .count()
    });
    hits.truncate(wanted.saturating_add(ties));
    hits.drain(..offset.min(hits.len()));
    hits
}

pub(super) fn first_of_each_key(hits: Vec<Hit>) -> Vec<Hit> {
    let mut seen = HashSet::with_capacity(hits.len());
    hits.into_iter()
        .filter(|hit| seen.insert(hit.key.clone()))
        .collect()
}
