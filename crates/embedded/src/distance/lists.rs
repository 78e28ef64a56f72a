//! Lists of vectors compared with lists of vectors: each vector of the query with the one of the row that is nearest to it.
//!
//! The score is the sum of these nearest, as in Milvus: the larger the better for similarities, the smaller for distances. A row
//! without vectors has no score.

use super::{DistanceError, Hit, Queries, ScanOptions, TopK, scan};
use crate::column::{Column, Values};

/// The best rows for one list of vectors, by comparing with the list of each allowed row.
///
/// # Errors
/// When the lists of the column are of other vectors than the queries were made for.
pub fn scan_lists(
    column: &Column,
    query: &Queries,
    options: &ScanOptions<'_>,
) -> Result<Vec<Hit>, DistanceError> {
    let Values::Array(lists) = column.values() else {
        return Err(DistanceError::Column {
            queries: query.kind,
            column: column.column_type(),
        });
    };
    let mut top = TopK::new(options.limit, query.metric, options.keys);
    for row in options.candidates(column) {
        let places = lists.range(row as usize);
        if places.is_empty() {
            continue;
        }
        let nearest = ScanOptions {
            limit: 1,
            rows: Some(places),
            ..ScanOptions::default()
        };
        let found = scan(lists.elements(), query, &nearest)?;
        let score = found.iter().flatten().map(|hit| hit.score).sum();
        options.offer(query.metric, &mut top, score, row);
    }
    Ok(top.into_hits())
}
