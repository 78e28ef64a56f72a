//! Looks at every allowed row.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Metric;
use super::kernel::{
    Brain, CosineOf, Decode, Dot, Half, HammingDistance, IntegerDot, IntegerSquaredDistance,
    IntegerSquaredNorm, JaccardDistance, Kernel, Level, Single, SquaredDistance, SquaredNorm,
    distances,
};
use super::queries::{DistanceError, Queries, QueryData};
use super::sparse::inner_product;
use super::top::{Hit, TopK};
use crate::column::{Bitmap, Column, DenseValues, Values};
use crate::text::bm25::Scorer;

/// Bytes of rows that are compared with all queries before the next are read: a share of the first-level cache.
const BLOCK_BYTES: usize = 24 * 1024;
/// Rows of a block at most, but for those of its last word of candidates.
const BLOCK_ROWS: usize = 256;
/// Room for the scores of a block.
const BLOCK_ROOM: usize = BLOCK_ROWS + 64;

/// What a scan keeps.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions<'a> {
    /// Hits to keep for each query.
    pub limit: usize,
    /// Rows that may be hits; all when absent.
    pub allowed: Option<&'a Bitmap>,
    /// Rows to look at; all when absent. Threads share a column by ranges.
    pub rows: Option<Range<usize>>,
    /// Primary keys, which order hits of equal score.
    pub keys: Option<&'a Column>,
    /// Outer bound of a range search; see [`Metric::in_range`].
    pub radius: Option<f32>,
    /// Inner bound of a range search; see [`Metric::in_range`].
    pub range_filter: Option<f32>,
    /// Once true, the scan ends where it is; what it gives then is worth nothing.
    pub cancelled: Option<&'a AtomicBool>,
}

impl ScanOptions<'_> {
    /// The rows to look at that hold a vector, in ascending order: 64 at a time, each with the number of the first.
    fn candidate_words<'c>(
        &'c self,
        column: &'c Column,
    ) -> impl Iterator<Item = (usize, u64)> + 'c {
        let range = self.rows.clone().unwrap_or(0..column.len());
        let (start, end) = (range.start, range.end.min(column.len()));
        let validity = column.validity();
        let goes_on = || {
            !self
                .cancelled
                .is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
        };
        let words = (start / 64..end.div_ceil(64)).take_while(move |_| goes_on());
        words.map(move |index| {
            let mut word = self.allowed.map_or(u64::MAX, |allowed| {
                allowed.words().get(index).copied().unwrap_or(0)
            });
            word &= validity.map_or(u64::MAX, |words| words.get(index).copied().unwrap_or(0));
            let base = index * 64;
            if base < start {
                word &= u64::MAX << (start - base);
            }
            if end < base + 64 {
                word &= (1u64 << (end - base)) - 1;
            }
            (base, word)
        })
    }

    /// As [`ScanOptions::candidate_words`], one by one.
    pub(super) fn candidates<'c>(&'c self, column: &'c Column) -> impl Iterator<Item = u32> + 'c {
        let words = self.candidate_words(column);
        words.flat_map(|(base, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                word &= word.wrapping_sub(1);
                (bit < 64).then_some((base + bit as usize) as u32)
            })
        })
    }

    pub(super) fn offer(&self, metric: Metric, top: &mut TopK<'_>, score: f32, row: u32) {
        if (self.radius.is_none() && self.range_filter.is_none())
            || metric.in_range(score, self.radius, self.range_filter)
        {
            top.push(score, row);
        }
    }

    fn tops(&self, queries: &Queries) -> Vec<TopK<'_>> {
        (0..queries.count)
            .map(|_| TopK::new(self.limit, queries.metric, self.keys))
            .collect()
    }
}

/// The best rows for each query, by comparing with each allowed row that is not null.
///
/// # Errors
/// When the column has another type than the queries were made for.
pub fn scan(
    column: &Column,
    queries: &Queries,
    options: &ScanOptions<'_>,
) -> Result<Vec<Vec<Hit>>, DistanceError> {
    if column.column_type() != queries.kind {
        return Err(DistanceError::Column {
            queries: queries.kind,
            column: column.column_type(),
        });
    }
    let mut tops = options.tops(queries);
    match (column.values(), &queries.data) {
        (Values::FloatVector(rows), QueryData::Floats(floats)) => {
            scan_floats::<Single>(column, rows, floats, queries.metric, options, &mut tops)
        }
        (Values::Float16Vector(rows), QueryData::Floats(floats)) => {
            scan_floats::<Half>(column, rows, floats, queries.metric, options, &mut tops)
        }
        (Values::BFloat16Vector(rows), QueryData::Floats(floats)) => {
            scan_floats::<Brain>(column, rows, floats, queries.metric, options, &mut tops)
        }
        (Values::Int8Vector(rows), QueryData::Integers(integers, norms)) => {
            let blocks = Blocks {
                column,
                rows,
                queries: integers,
                metric: queries.metric,
                options,
            };
            match queries.metric {
                Metric::L2 => blocks.run::<IntegerSquaredDistance>(&mut tops),
                Metric::Cosine => blocks.cosine::<IntegerDot, IntegerSquaredNorm>(norms, &mut tops),
                _ => blocks.run::<IntegerDot>(&mut tops),
            }
        }
        (Values::BinaryVector(rows), QueryData::Bits(bits)) => {
            let blocks = Blocks {
                column,
                rows,
                queries: bits,
                metric: queries.metric,
                options,
            };
            match queries.metric {
                Metric::Jaccard => blocks.run::<JaccardDistance>(&mut tops),
                _ => blocks.run::<HammingDistance>(&mut tops),
            }
        }
        (Values::SparseFloatVector(rows), QueryData::Sparse(sparse)) => {
            for row in options.candidates(column) {
                let vector = rows.get(row as usize);
                for (top, (dimensions, weights)) in tops.iter_mut().zip(sparse) {
                    // As in Milvus, a row that shares no dimension with the query is no hit.
                    if let Some(score) = inner_product((dimensions, weights), vector) {
                        options.offer(queries.metric, top, score, row);
                    }
                }
            }
        }
        _ => {}
    }
    Ok(tops.into_iter().map(TopK::into_hits).collect())
}

fn scan_floats<D: Decode>(
    column: &Column,
    rows: DenseValues<'_, D::Stored>,
    queries: &[f32],
    metric: Metric,
    options: &ScanOptions<'_>,
    tops: &mut [TopK<'_>],
) {
    let blocks = Blocks {
        column,
        rows,
        queries,
        metric,
        options,
    };
    match metric {
        Metric::L2 => blocks.run::<SquaredDistance<D>>(tops),
        // The queries have length one already, or zero.
        Metric::Cosine if tops.len() == 1 => blocks.run::<CosineOf<D>>(tops),
        Metric::Cosine => blocks.cosine::<Dot<D>, SquaredNorm<D>>(&vec![1.0; tops.len()], tops),
        _ => blocks.run::<Dot<D>>(tops),
    }
}

/// The best rows for a text query, by BM25.
///
/// # Errors
/// When the column is not one of sparse vectors.
pub fn scan_bm25(
    column: &Column,
    scorer: &Scorer,
    options: &ScanOptions<'_>,
) -> Result<Vec<Hit>, DistanceError> {
    let Values::SparseFloatVector(rows) = column.values() else {
        let queries = crate::column::ColumnType::SparseFloatVector;
        return Err(DistanceError::Column {
            queries,
            column: column.column_type(),
        });
    };
    let mut top = TopK::new(options.limit, Metric::Bm25, options.keys);
    for row in options.candidates(column) {
        let (dimensions, counts) = rows.get(row as usize);
        if let Some(score) = scorer.score(dimensions, counts) {
            options.offer(Metric::Bm25, &mut top, score, row);
        }
    }
    Ok(top.into_hits())
}

/// Dense rows, walked in blocks.
struct Blocks<'a, Q, R> {
    column: &'a Column,
    rows: DenseValues<'a, R>,
    /// Row-major, of the rows' width.
    queries: &'a [Q],
    metric: Metric,
    options: &'a ScanOptions<'a>,
}

impl<Q, R> Blocks<'_, Q, R> {
    /// Calls `each` with the candidates of each block.
    fn each(&self, mut each: impl FnMut(&[u32])) {
        let row_bytes = (self.rows.width * size_of::<R>()).max(1);
        // A single query reads every row once, so nothing is gained by keeping rows near.
        let block = match self.queries.len() > self.rows.width {
            true => (BLOCK_BYTES / row_bytes).clamp(8, BLOCK_ROWS),
            false => BLOCK_ROWS,
        };
        let mut ids = Vec::with_capacity(BLOCK_ROOM);
        for (base, mut word) in self.options.candidate_words(self.column) {
            if word == u64::MAX {
                ids.extend(base as u32..base as u32 + 64);
            }
            while word != 0 && word != u64::MAX {
                ids.push(base as u32 + word.trailing_zeros());
                word &= word - 1;
            }
            if ids.len() >= block {
                each(&ids);
                ids.clear();
            }
        }
        if !ids.is_empty() {
            each(&ids);
        }
    }

    fn run<K: Kernel<Query = Q, Row = R>>(&self, tops: &mut [TopK<'_>]) {
        let (level, width) = (Level::best(), self.rows.width.max(1));
        let mut out = [0.0f32; BLOCK_ROOM];
        self.each(|ids| {
            for (query, top) in self.queries.chunks_exact(width).zip(tops.iter_mut()) {
                distances::<K>(level, query, self.rows.data, width, ids, &mut out);
                for (id, score) in ids.iter().zip(out) {
                    self.options.offer(self.metric, top, score, *id);
                }
            }
        });
    }

    /// Inner products divided by the lengths. The lengths of a block's rows are reckoned once for all queries.
    fn cosine<K, N>(&self, query_norms: &[f32], tops: &mut [TopK<'_>])
    where
        K: Kernel<Query = Q, Row = R>,
        N: Kernel<Query = Q, Row = R>,
    {
        let (level, width) = (Level::best(), self.rows.width.max(1));
        let (mut out, mut norms) = ([0.0f32; BLOCK_ROOM], [0.0f32; BLOCK_ROOM]);
        self.each(|ids| {
            let Some(any) = self.queries.get(..width) else {
                return;
            };
            distances::<N>(level, any, self.rows.data, width, ids, &mut norms);
            norms.iter_mut().for_each(|norm| *norm = norm.sqrt());
            for ((query, query_norm), top) in self
                .queries
                .chunks_exact(width)
                .zip(query_norms)
                .zip(tops.iter_mut())
            {
                distances::<K>(level, query, self.rows.data, width, ids, &mut out);
                for ((id, dot), norm) in ids.iter().zip(out).zip(norms) {
                    let length = query_norm * norm;
                    let score = if length > 0.0 { dot / length } else { 0.0 };
                    self.options.offer(self.metric, top, score, *id);
                }
            }
        });
    }
}
