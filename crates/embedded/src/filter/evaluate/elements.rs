//! Conditions on the structs of arrays: asked of all structs at once, as if each were a row, and counted row by row.

use super::super::elements::Elements;
use super::{Evaluator, Planes, scan};
use crate::column::{Column, Columns, ListValues, Values};

/// The structs of all rows, one after the other, by the columns of their members' elements.
struct Structs<'a> {
    columns: &'a dyn Columns,
    count: usize,
}

impl Columns for Structs<'_> {
    fn rows(&self) -> usize {
        self.count
    }

    fn column(&self, field: &str) -> Option<&Column> {
        match self.columns.column(field)?.values() {
            Values::Array(lists) => Some(lists.elements()),
            _ => None,
        }
    }
}

impl Evaluator<'_> {
    /// True where as many structs satisfy the condition as it takes; unknown where there is no list.
    pub(super) fn elements(&self, elements: &Elements, active: &[u64]) -> Planes {
        let column = self.column(&elements.member);
        let Values::Array(lists) = column.values() else {
            return Planes::constant(false, active.len());
        };
        let structs = Structs {
            columns: self.columns,
            count: lists.elements().len(),
        };
        let inner = Evaluator {
            columns: &structs,
            rows: structs.count,
            seed: self.seed,
        };
        let matching = inner
            .run(&elements.condition, &structs_of(&lists, active))
            .truth;
        let truth = scan(active, |row| {
            let range = lists.range(row);
            let all = range.len();
            let found = range.filter(|place| is_set(&matching, *place)).count();
            elements.quantifier.accepts(found, all)
        });
        Planes::of_column(truth, &column)
    }
}

/// The structs of the rows whose answer matters.
fn structs_of(lists: &ListValues<'_>, active: &[u64]) -> Vec<u64> {
    let mut places = vec![0u64; lists.elements().len().div_ceil(64)];
    for row in (0..lists.len()).filter(|row| is_set(active, *row)) {
        for place in lists.range(row) {
            if let Some(word) = places.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
    }
    places
}

fn is_set(words: &[u64], place: usize) -> bool {
    words
        .get(place / 64)
        .is_some_and(|word| word >> (place % 64) & 1 == 1)
}
