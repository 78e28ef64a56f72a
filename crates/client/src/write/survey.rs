//! What is known about all rows of a write before the first is sent.
//!
//! Invariant: what holds for each piece of the rows but not for all of them together is found here.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

use super::source::{Checked, Plan};
use crate::data::{Batch, FieldColumn, Payload, RowTooLarge, Write, split};
use crate::error::{InvalidValue, Rule};

/// What is known about all rows.
#[derive(Debug, Default)]
pub(super) struct Survey {
    rows: usize,
    bytes: usize,
    /// Of each field that all rows of a piece must give or none, how many rows gave it.
    given: Vec<(String, usize)>,
    keys: Keys,
    /// The first row that is too large for a request.
    too_large: Option<RowTooLarge>,
}

/// The primary keys so far, as hashes: two keys that are taken for one cost an upsert its concurrency and nothing else.
#[derive(Debug, Default)]
struct Keys {
    hasher: RandomState,
    seen: HashSet<u64>,
    are_repeated: bool,
}

impl Survey {
    pub(super) fn of(batch: &Batch, plan: &Plan<'_>) -> Self {
        let mut survey = Self::default();
        survey.add(batch, plan);
        survey
    }

    /// Adds a piece; returns its size in bytes, which it may have at most on the wire.
    pub(super) fn add(&mut self, batch: &Batch, plan: &Plan<'_>) -> usize {
        let bytes = batch.bytes();
        if bytes > plan.limit
            && self.too_large.is_none()
            && let Err(mut problem) = split(batch, plan.limit, plan.limit)
        {
            problem.row += self.rows;
            self.too_large = Some(problem);
        }
        self.rows += batch.rows;
        self.bytes = self.bytes.saturating_add(bytes);
        let is_partial = !plan.write.fills_absent();
        for column in &batch.columns {
            // A field that may be absent has its nulls in the column.
            if !column.is_dynamic && (is_partial || column.valid.is_none()) {
                match self.given.iter_mut().find(|(name, _)| *name == column.name) {
                    Some((_, rows)) => *rows += batch.rows,
                    None => self.given.push((column.name.clone(), batch.rows)),
                }
            }
        }
        if let (Write::Upsert { .. }, Some(key)) =
            (plan.write, plan.collection.schema.primary_key())
        {
            let column = batch.columns.iter().find(|column| column.name == key.name);
            column.into_iter().for_each(|column| self.keys.add(column));
        }
        bytes
    }

    /// Checks what concerns all rows together.
    pub(super) fn finish(&self) -> Checked<()> {
        let uneven = self.given.iter().find(|(_, rows)| *rows < self.rows);
        match uneven {
            Some((name, _)) => Err(InvalidValue::new(name, None, Rule::uneven())),
            None => Ok(()),
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows as u64
    }

    /// The bytes that make about so many requests of equal size of the rows.
    pub(super) fn share(&self, requests: usize) -> usize {
        // Each request has names and tags of its own and ends before the row that does not fit: without room for these,
        // what is left over of all makes one more.
        let row = self.bytes / self.rows.max(1);
        self.bytes
            .div_ceil(requests.max(1))
            .saturating_add(self.bytes / 256)
            .saturating_add(row.saturating_mul(2))
    }

    pub(super) fn too_large(&self) -> Option<RowTooLarge> {
        self.too_large
    }

    pub(super) fn has_repeated_keys(&self) -> bool {
        self.keys.are_repeated
    }
}

impl Keys {
    fn add(&mut self, column: &FieldColumn) {
        match &column.payload {
            Payload::Long(keys) => keys.iter().for_each(|key| self.add_key(key)),
            Payload::Slices(keys) => keys.iter().for_each(|key| self.add_key(key)),
            _ => {}
        }
    }

    fn add_key(&mut self, key: impl Hash) {
        let is_new = self.seen.insert(self.hasher.hash_one(key));
        self.are_repeated |= !is_new;
    }
}
