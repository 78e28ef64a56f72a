//! The hits of a search: for each query its ids, scores and fields, best first.
//!
//! Invariant: the hits of the queries follow one another in every column; `offsets` says where each
//! query's begin and end.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use milvus_protocol::milvus;
use milvus_protocol::schema::{IDs, i_ds::IdField};
use serde::Deserialize;

use super::ResultColumn;
use super::de::RowReader;
use super::packed::Packed;
use super::rows::{column_named, dynamic_fields};
use crate::error::{Error, Result};
use crate::write::cost;

/// A primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id<'a> {
    /// Of an `Int64` field.
    Int64(i64),
    /// Of a `VarChar` field.
    VarChar(&'a str),
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int64(id) => id.fmt(formatter),
            Self::VarChar(id) => id.fmt(formatter),
        }
    }
}

/// Primary keys, all of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ids {
    /// Of an `Int64` field.
    Int64(Vec<i64>),
    /// Of a `VarChar` field; each is valid UTF-8.
    VarChar(Vec<Bytes>),
}

impl Default for Ids {
    fn default() -> Self {
        Self::Int64(Vec::new())
    }
}

impl Ids {
    /// Number of ids.
    pub fn len(&self) -> usize {
        match self {
            Self::Int64(ids) => ids.len(),
            Self::VarChar(ids) => ids.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at a place.
    pub fn get(&self, place: usize) -> Option<Id<'_>> {
        match self {
            Self::Int64(ids) => ids.get(place).copied().map(Id::Int64),
            Self::VarChar(ids) => ids
                .get(place)
                .and_then(|id| std::str::from_utf8(id).ok())
                .map(Id::VarChar),
        }
    }

    /// The ids of an `Int64` field; empty for those of a `VarChar` field.
    pub fn as_int64(&self) -> &[i64] {
        match self {
            Self::Int64(ids) => ids,
            Self::VarChar(_) => &[],
        }
    }

    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = Id<'_>> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    pub(crate) fn from_wire(message: Option<IDs>) -> Result<Self> {
        Ok(match message.and_then(|message| message.id_field) {
            None => Self::default(),
            Some(IdField::IntId(array)) => Self::Int64(array.data),
            Some(IdField::StrId(array)) => {
                if let Some(id) = array
                    .data
                    .iter()
                    .find(|id| std::str::from_utf8(id).is_err())
                {
                    return Err(Error::answer(
                        "the ids",
                        format!("{id:?} is not valid UTF-8"),
                    ));
                }
                Self::VarChar(array.data)
            }
        })
    }

    fn split_off(&mut self, place: usize) -> Self {
        match self {
            Self::Int64(ids) => Self::Int64(ids.split_off(place.min(ids.len()))),
            Self::VarChar(ids) => Self::VarChar(ids.split_off(place.min(ids.len()))),
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::Int64(all), Self::Int64(more)) => all.extend(more),
            (Self::VarChar(all), Self::VarChar(more)) => all.extend(more),
            (all, more) => {
                if all.is_empty() {
                    *all = more;
                }
            }
        }
    }
}

/// Where an iteration over a search stands, from servers that keep it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cursor {
    pub(crate) token: String,
    pub(crate) last_bound: f32,
}

/// The hits of all queries of a search.
///
/// ```no_run
/// # #[derive(serde::Deserialize)]
/// # struct Document<'a> { title: &'a str }
/// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
/// let found = client
///     .search("docs")
///     .vectors([vec![0.1, 0.2], vec![0.3, 0.4]])
///     .output_fields(["title"])
///     .await?;
/// for hits in found.queries() {
///     for hit in hits {
///         println!("{} {} {}", hit.id(), hit.score(), hit.fields::<Document>()?.title);
///     }
/// }
/// let scores: &[f32] = found.query(0).scores();
/// # let _ = scores;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SearchResults {
    ids: Ids,
    scores: Packed<f32>,
    /// Where each query's hits begin; one more than there are queries.
    offsets: Vec<usize>,
    columns: Vec<ResultColumn>,
    dynamic_fields: Option<Vec<String>>,
    primary_field: String,
    group_by: Option<ResultColumn>,
    recalls: Packed<f32>,
    pub(crate) session_timestamp: u64,
    pub(crate) cursor: Option<Cursor>,
    cost: u64,
}

impl SearchResults {
    /// Number of queries.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no hits at all.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The hits of one query, best first; empty for a query beyond the last.
    pub fn query(&self, query: usize) -> Hits<'_> {
        Hits {
            results: self,
            range: self.range(query),
        }
    }

    /// The hits of each query.
    pub fn queries(&self) -> impl ExactSizeIterator<Item = Hits<'_>> {
        (0..self.len()).map(|query| self.query(query))
    }

    /// The ids of all queries' hits.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The fields of all queries' hits.
    pub fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    /// The scores of all queries' hits.
    pub fn scores(&self) -> &[f32] {
        self.scores.values().unwrap_or_default()
    }

    /// Where the hits of a query begin and end among those of all queries.
    pub fn range(&self, query: usize) -> Range<usize> {
        let bound = |place: usize| self.offsets.get(place).copied();
        match (bound(query), bound(query + 1)) {
            (Some(start), Some(end)) => start..end,
            _ => 0..0,
        }
    }

    /// The name of the primary key; empty from servers that do not say.
    pub fn primary_field(&self) -> &str {
        &self.primary_field
    }

    /// The dynamic fields that were asked for by name; `None` when all were, or none.
    pub fn dynamic_fields(&self) -> Option<&[String]> {
        self.dynamic_fields.as_deref()
    }

    /// What the search cost, from services that count it (in their own unit); else 0.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// The (hybrid) timestamp of the data that was searched, from servers that say it; else 0.
    pub fn session_timestamp(&self) -> u64 {
        self.session_timestamp
    }

    /// The values of the field by which the search was grouped, one for each hit.
    pub fn group_by(&self) -> Option<&ResultColumn> {
        self.group_by.as_ref()
    }

    /// The estimated recall of each query, from servers that were asked for it.
    pub fn recalls(&self) -> &[f32] {
        self.recalls.values().unwrap_or_default()
    }

    /// Takes the hits from a place on out of the results of a single query; `None` when there are no
    /// more, or when they hold a column that cannot be parted.
    pub(crate) fn split_off(&mut self, hits: usize) -> Option<Self> {
        let total = self.ids.len();
        if total <= hits || self.len() != 1 {
            return None;
        }
        let part = |columns: &mut [ResultColumn]| -> Option<Vec<ResultColumn>> {
            columns
                .iter_mut()
                .map(|column| column.split_off(hits))
                .collect()
        };
        let mut kept = self.clone();
        let columns = part(&mut kept.columns)?;
        let group_by = match &mut kept.group_by {
            Some(column) => Some(column.split_off(hits)?),
            None => None,
        };
        let rest = Self {
            ids: kept.ids.split_off(hits),
            scores: kept.scores.split_off(hits),
            offsets: vec![0, total - hits],
            columns,
            group_by,
            ..self.clone()
        };
        kept.offsets = vec![0, hits];
        *self = kept;
        Some(rest)
    }

    /// Takes an answer over.
    pub(crate) fn from_answer(answer: milvus::SearchResults) -> Result<Self> {
        let data = answer.results.unwrap_or_default();
        let ids = Ids::from_wire(data.ids)?;
        let mut offsets = Vec::with_capacity(data.topks.len() + 1);
        let mut end = 0_usize;
        offsets.push(end);
        for hits in &data.topks {
            // More than can be counted is more than came.
            end = end.saturating_add(usize::try_from(*hits).unwrap_or(0));
            offsets.push(end);
        }
        let scores = Packed::<f32>::new(data.scores);
        if end != ids.len() || end != scores.len() {
            return Err(Error::answer(
                "the hits of a search",
                format!(
                    "{end} hits are announced, {} ids and {} scores came",
                    ids.len(),
                    scores.len()
                ),
            ));
        }
        scores
            .values()
            .map_err(|problem| Error::answer("the scores", problem.to_string()))?;
        let column = |message| ResultColumn::new(message, Some(end));
        let columns = data.fields_data.into_iter().map(column);
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            ids,
            scores,
            offsets,
            dynamic_fields: dynamic_fields(&columns, data.output_fields),
            columns,
            primary_field: data.primary_field_name,
            group_by: data.group_by_field_value.map(column).transpose()?,
            recalls: Packed::new(data.recalls),
            session_timestamp: answer.session_ts,
            cost: answer.status.as_ref().map_or(0, cost),
            cursor: data.search_iterator_v2_results.map(|state| Cursor {
                token: state.token,
                last_bound: state.last_bound,
            }),
        })
    }
}

/// The hits of one query, best first.
#[derive(Clone, Debug)]
pub struct Hits<'a> {
    results: &'a SearchResults,
    range: Range<usize>,
}

impl<'a> Hits<'a> {
    /// Number of hits.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are no hits.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The scores.
    pub fn scores(&self) -> &'a [f32] {
        self.results
            .scores
            .values()
            .ok()
            .and_then(|scores| scores.get(self.range.clone()))
            .unwrap_or_default()
    }

    /// The ids of an `Int64` primary key; empty for a `VarChar` one.
    pub fn int64_ids(&self) -> &'a [i64] {
        self.results
            .ids
            .as_int64()
            .get(self.range.clone())
            .unwrap_or_default()
    }

    /// The ids.
    pub fn ids(&self) -> impl Iterator<Item = Id<'a>> + 'a {
        let ids = &self.results.ids;
        self.range.clone().filter_map(move |place| ids.get(place))
    }

    /// The hit at a place.
    pub fn get(&self, place: usize) -> Option<Hit<'a>> {
        let place = self.range.start.checked_add(place)?;
        let id = self.results.ids.get(place)?;
        self.range.contains(&place).then_some(Hit {
            results: self.results,
            place,
            id,
        })
    }

    /// The column of a field for the hits of *all* queries, and the rows in it that are these hits.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the answer has no such column.
    pub fn column(&self, name: &str) -> Result<(&'a ResultColumn, Range<usize>)> {
        Ok((
            column_named(&self.results.columns, name)?,
            self.range.clone(),
        ))
    }
}

impl<'a> IntoIterator for Hits<'a> {
    type Item = Hit<'a>;
    type IntoIter = HitsIterator<'a>;

    fn into_iter(self) -> HitsIterator<'a> {
        HitsIterator {
            hits: self,
            next: 0,
        }
    }
}

/// The hits of one query, one by one.
#[derive(Clone, Debug)]
pub struct HitsIterator<'a> {
    hits: Hits<'a>,
    next: usize,
}

impl<'a> Iterator for HitsIterator<'a> {
    type Item = Hit<'a>;

    fn next(&mut self) -> Option<Hit<'a>> {
        let hit = self.hits.get(self.next)?;
        self.next += 1;
        Some(hit)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.hits.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for HitsIterator<'_> {}

/// One hit.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    results: &'a SearchResults,
    place: usize,
    id: Id<'a>,
}

impl<'a> Hit<'a> {
    /// The primary key.
    pub fn id(&self) -> Id<'a> {
        self.id
    }

    /// How near the hit is, in the metric of the search.
    pub fn score(&self) -> f32 {
        let scores = self.results.scores.values().unwrap_or_default();
        scores.get(self.place).copied().unwrap_or(f32::NAN)
    }

    /// The hit's fields, read as a `T`. The primary key is among them, and `score` too unless a field
    /// has that name.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the hit is no `T`.
    pub fn fields<T: Deserialize<'a>>(&self) -> Result<T> {
        let results = self.results;
        let dynamic_fields = results.dynamic_fields.as_deref();
        RowReader::new(&results.columns, self.place, dynamic_fields)
            .with_id(&results.primary_field, self.id)
            .with_score(self.score())
            .read()
            .map_err(|problem| Error::answer(format!("hit {}", self.id), problem.to_string()))
    }
}
