//! Grouped search: the best hits of each value of a field.
//!
//! The invariant: what is held while rows are looked at is bounded by the groups asked for, not by the rows. Groups that can't be among
//! the best any more are let go of; when that happened, the hits of the best ones are gathered by a second look at the rows. Only a
//! search for full groups has one number for each group that is full.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::keys::Keys;
use super::read::RowAddress;
use super::search::{Hit, Prepared, SearchRequest, first_of_each_key};
use crate::catalog::FieldRecord;
use crate::column::{Column, Value};
use crate::distance::{Hit as RowHit, Metric};
use crate::error::MilvusError;
use crate::text::bm25::Scorer;

/// Hits of all targets that a look at some rows may give.
const HITS_AT_ONCE: usize = 1 << 20;
/// Groups held beyond those asked for before the worst are let go of.
const SLACK: usize = 1024;

/// At most `size` hits of each value of a field.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    pub(crate) field: FieldRecord,
    pub(crate) size: usize,
    /// Groups with fewer than `size` hits are left out.
    pub(crate) strict: bool,
}

/// A value to group by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum GroupValue {
    Null,
    Number(i64),
    Text(String),
}

impl GroupValue {
    fn of(column: &Column, row: usize) -> Self {
        match column.value(row) {
            Value::Int(number) | Value::Timestamptz(number) => Self::Number(number),
            Value::Bool(flag) => Self::Number(i64::from(flag)),
            Value::Varchar(text) => Self::Text(text.to_owned()),
            _ => Self::Null,
        }
    }
}

/// The best groups for one target.
struct Groups {
    metric: Metric,
    /// How many groups are asked for.
    wanted: usize,
    size: usize,
    lists: HashMap<GroupValue, Vec<Hit>>,
    /// The score of the last group that was kept when others were let go of.
    bar: Option<f32>,
    /// Only hits of groups that are there are taken.
    closed: bool,
}

impl Groups {
    fn new(metric: Metric, wanted: usize, size: usize) -> Self {
        Self {
            metric,
            wanted,
            size,
            lists: HashMap::new(),
            bar: None,
            closed: false,
        }
    }

    /// Whether a hit of this score is of no use to any group, whichever it belongs to.
    fn is_hopeless(&self, score: f32) -> bool {
        self.bar
            .is_some_and(|bar| match self.metric.larger_is_better() {
                true => score < bar,
                false => score > bar,
            })
    }

    fn offer(&mut self, value: GroupValue, hit: Hit) {
        let (metric, size) = (self.metric, self.size);
        let list = match self.lists.entry(value) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if self.closed => return,
            Entry::Vacant(entry) => entry.insert(Vec::new()),
        };
        // Rows inserted twice under one key count once.
        if let Some(place) = list.iter().position(|known| known.key == hit.key) {
            if list[place].rank(&hit, metric).is_le() {
                return;
            }
            list.remove(place);
        }
        let place = list.partition_point(|known| known.rank(&hit, metric).is_lt());
        if place < size {
            list.insert(place, hit);
            list.truncate(size);
        }
        if !self.closed && self.lists.len() > self.wanted.saturating_mul(2).saturating_add(SLACK) {
            self.keep_best();
        }
    }

    fn keep_best(&mut self) {
        let mut all: Vec<(GroupValue, Vec<Hit>)> = self.lists.drain().collect();
        let metric = self.metric;
        all.sort_by(
            |(_, left), (_, right)| match (left.first(), right.first()) {
                (Some(left), Some(right)) => left.rank(right, metric),
                (left, right) => right.is_some().cmp(&left.is_some()),
            },
        );
        all.truncate(self.wanted);
        self.bar = all
            .last()
            .and_then(|(_, hits)| hits.first())
            .map(|hit| hit.score);
        self.lists.extend(all);
    }

    /// Prepares a second look at the rows, for the groups that the first one found; `false` when nothing was lost in it.
    fn begin_again(&mut self) -> bool {
        if self.bar.is_none() || self.size == 1 {
            return false;
        }
        self.keep_best();
        self.lists.values_mut().for_each(Vec::clear);
        self.bar = None;
        self.closed = true;
        true
    }
}

/// What looks at the rows of a grouped search.
struct Pass<'a> {
    prepared: &'a [Prepared<'a>],
    /// The values to group by, for each of `prepared`.
    columns: Vec<Column>,
    request: &'a SearchRequest,
    scorers: &'a [Scorer],
    /// Groups that may be given; all when absent.
    full: Option<HashSet<GroupValue>>,
}

impl Pass<'_> {
    /// Offers all hits to the groups that take part.
    fn run(&self, groups: &mut [Groups], takes_part: &[bool]) -> Result<(), MilvusError> {
        let step = (HITS_AT_ONCE / groups.len().max(1)).max(64);
        for (part, values) in self.prepared.iter().zip(&self.columns) {
            let keys = Keys::of(&part.keys)?;
            for start in (0..part.rows.len()).step_by(step) {
                let rows = start..part.rows.len().min(start + step);
                let found = part.scan(self.request, self.scorers, usize::MAX, Some(rows))?;
                for ((groups, _), hits) in groups
                    .iter_mut()
                    .zip(takes_part)
                    .zip(found)
                    .filter(|((_, takes), _)| **takes)
                {
                    for RowHit { score, row } in hits {
                        if groups.is_hopeless(score) {
                            // The others of these rows are worse.
                            break;
                        }
                        let value = GroupValue::of(values, row as usize);
                        if self
                            .full
                            .as_ref()
                            .is_some_and(|full| !full.contains(&value))
                        {
                            continue;
                        }
                        let address = RowAddress {
                            segment: part.segment,
                            row,
                        };
                        let key = keys.get(row as usize);
                        groups.offer(
                            value,
                            Hit {
                                address,
                                key,
                                score,
                            },
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// The groups that have as many rows as a full one.
    fn count(&mut self, size: usize) {
        let mut counts: HashMap<GroupValue, usize> = HashMap::new();
        for (part, values) in self.prepared.iter().zip(&self.columns) {
            for row in part.rows.ones().filter(|row| part.vectors.is_valid(*row)) {
                *counts.entry(GroupValue::of(values, row)).or_default() += 1;
            }
        }
        counts.retain(|_, count| *count >= size);
        self.full = Some(counts.into_keys().collect());
    }
}

/// The hits of each target, those of a group together, the groups in the order of their best hits.
pub(super) fn grouped(
    prepared: &[Prepared<'_>],
    request: &SearchRequest,
    grouping: &Grouping,
    scorers: &[Scorer],
) -> Result<Vec<Vec<Hit>>, MilvusError> {
    let columns = prepared
        .iter()
        .map(|part| part.view.segment.column(&grouping.field))
        .collect::<Result<_, _>>()?;
    let mut pass = Pass {
        prepared,
        columns,
        request,
        scorers,
        full: None,
    };
    if grouping.strict && grouping.size > 1 {
        pass.count(grouping.size);
    }
    let wanted = request.offset.saturating_add(request.limit);
    let make = || Groups::new(request.metric, wanted, grouping.size);
    let mut groups: Vec<Groups> = (0..request.targets.len()).map(|_| make()).collect();
    pass.run(&mut groups, &vec![true; request.targets.len()])?;
    let again: Vec<bool> = groups.iter_mut().map(Groups::begin_again).collect();
    if again.contains(&true) {
        pass.run(&mut groups, &again)?;
    }
    Ok(groups
        .into_iter()
        .map(|groups| pick(groups, grouping, request))
        .collect())
}

/// The groups asked for, one after the other.
fn pick(groups: Groups, grouping: &Grouping, request: &SearchRequest) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut of_key = HashMap::new();
    for (group, list) in groups.lists.into_values().enumerate() {
        for hit in list {
            of_key.insert(hit.address, group);
            hits.push(hit);
        }
    }
    hits.sort_by(|left, right| left.rank(right, request.metric));
    let mut order: Vec<Vec<Hit>> = Vec::new();
    let mut places: HashMap<usize, usize> = HashMap::new();
    for hit in first_of_each_key(hits) {
        let Some(group) = of_key.get(&hit.address) else {
            continue;
        };
        let next = order.len();
        let place = *places.entry(*group).or_insert(next);
        match order.get_mut(place) {
            Some(group) => group.push(hit),
            None => order.push(vec![hit]),
        }
    }
    order
        .into_iter()
        .filter(|group| !grouping.strict || group.len() >= grouping.size)
        .skip(request.offset)
        .take(request.limit)
        .flatten()
        .collect()
}
