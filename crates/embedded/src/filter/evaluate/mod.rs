//! Runs a plan over columns.
//!
//! Each condition yields [`Planes`]: the rows for which it is true, and those for which it is known (true or false). `active`
//! marks the rows whose answer still matters to the condition around it; for others a condition may answer anything, because the
//! words around it mask them out.

mod cell;
mod elements;
mod fixed;
mod list;

use std::borrow::Cow;

use super::constant::Constant;
use super::plan::{Operand, Predicate};
use super::schema::Field;
use crate::column::{Bitmap, Column, ColumnBuilder, Columns, Value, Values};
use cell::Reader;

/// The truth of a condition for each row, 64 rows to a word.
pub(super) struct Planes {
    /// Set where the condition is true; never set where it is not known.
    truth: Vec<u64>,
    /// Set where the condition is true or false; absent when it is so everywhere.
    known: Option<Vec<u64>>,
}

impl Planes {
    /// True and false as `truth` says for rows that are not null, unknown for the others.
    fn of_column(mut truth: Vec<u64>, column: &Column) -> Self {
        let known = column.validity().map(<[u64]>::to_vec);
        if let Some(known) = &known {
            truth
                .iter_mut()
                .zip(known)
                .for_each(|(word, known)| *word &= known);
        }
        Self { truth, known }
    }

    fn constant(flag: bool, words: usize) -> Self {
        Self {
            truth: vec![if flag { u64::MAX } else { 0 }; words],
            known: None,
        }
    }

    fn not(mut self) -> Self {
        match &self.known {
            None => self.truth.iter_mut().for_each(|word| *word = !*word),
            Some(known) => self
                .truth
                .iter_mut()
                .zip(known)
                .for_each(|(word, known)| *word = known & !*word),
        }
        self
    }

    /// Rows for which the condition is known to be false.
    fn falsehood(&self, word: usize) -> u64 {
        let known = self.known.as_ref().map_or(u64::MAX, |known| known[word]);
        known & !self.truth[word]
    }

    /// Joins two conditions: `and` is true where both are and false where either is; `or` the other way round.
    fn join(self, other: Self, and: bool) -> Self {
        let words = 0..self.truth.len();
        let falsehood = |word: usize| {
            let (left, right) = (self.falsehood(word), other.falsehood(word));
            if and { left | right } else { left & right }
        };
        let truth: Vec<u64> = words
            .clone()
            .map(|word| {
                let (left, right) = (self.truth[word], other.truth[word]);
                if and { left & right } else { left | right }
            })
            .collect();
        let known = match (&self.known, &other.known) {
            (None, None) => None,
            _ => Some(words.map(|word| truth[word] | falsehood(word)).collect()),
        };
        Self { truth, known }
    }
}

struct Evaluator<'a> {
    columns: &'a dyn Columns,
    rows: usize,
    seed: u64,
}

/// The rows for which the predicate is true.
pub(super) fn evaluate(predicate: &Predicate, columns: &dyn Columns, seed: u64) -> Bitmap {
    let rows = columns.rows();
    let evaluator = Evaluator {
        columns,
        rows,
        seed,
    };
    let all = Bitmap::full(rows);
    let planes = evaluator.run(predicate, all.words());
    Bitmap::from_words(planes.truth, rows)
}

impl Evaluator<'_> {
    fn run(&self, predicate: &Predicate, active: &[u64]) -> Planes {
        match predicate {
            Predicate::Constant(flag) => Planes::constant(*flag, active.len()),
            Predicate::Not(inner) => self.run(inner, active).not(),
            Predicate::And(parts) => self.chain(parts, active, true),
            Predicate::Or(parts) => self.chain(parts, active, false),
            Predicate::Sample(share, inner) => self.sample(*share, inner, active),
            Predicate::Elements(elements) => self.elements(elements, active),
            Predicate::IsNull(field) => {
                let column = self.column(field);
                let truth = match column.validity() {
                    None => vec![0; active.len()],
                    Some(words) => words.iter().map(|word| !word).collect(),
                };
                Planes { truth, known: None }
            }
            Predicate::Compare(..)
            | Predicate::Range(..)
            | Predicate::In(..)
            | Predicate::Like(..)
            | Predicate::Regex { .. }
            | Predicate::Contains(..) => self.test_operand(predicate, active),
            _ => self.test_field(predicate, active),
        }
    }

    /// Conditions on a value that is read from a row: a field, a place in it, or its length.
    fn test_operand(&self, predicate: &Predicate, active: &[u64]) -> Planes {
        match predicate {
            Predicate::Compare(operand, op, value) => {
                self.tested(operand, active, |column, reader| {
                    match fixed::compare(column, operand, *op, value) {
                        Some(truth) => truth,
                        None => reader.scan(active, |cell| cell.compare(*op, value)),
                    }
                })
            }
            Predicate::Range(operand, lower, upper) => {
                self.tested(operand, active, |column, reader| {
                    match fixed::range(column, operand, lower, upper) {
                        Some(truth) => truth,
                        None => {
                            reader.scan(active, |cell| cell.is_above(lower) && cell.is_below(upper))
                        }
                    }
                })
            }
            Predicate::In(operand, set) => self.tested(operand, active, |column, reader| {
                match fixed::membership(column, operand, set) {
                    Some(truth) => truth,
                    None => reader.scan(active, |cell| cell.is_in(set)),
                }
            }),
            Predicate::Like(operand, pattern) => self.tested(operand, active, |_, reader| {
                reader.scan(active, |cell| {
                    cell.text().is_some_and(|text| pattern.matches(&text))
                })
            }),
            Predicate::Regex {
                operand,
                pattern,
                negated,
            } => self.tested(operand, active, |_, reader| {
                reader.scan(active, |cell| {
                    cell.text().is_some_and(|text| pattern.is_match(&text)) != *negated
                })
            }),
            Predicate::Contains(operand, mode, values) => {
                self.tested(operand, active, |_, reader| {
                    reader.scan(active, |cell| list::contains(&cell, *mode, values))
                })
            }
            _ => Planes::constant(false, active.len()),
        }
    }

    /// Conditions on fields as such.
    fn test_field(&self, predicate: &Predicate, active: &[u64]) -> Planes {
        match predicate {
            Predicate::Exists(operand) => {
                let column = self.column(&operand.field);
                let reader = Reader::new(&column, operand);
                let truth = scan(active, |row| {
                    column.is_valid(row) && reader.read(row).is_present()
                });
                Planes { truth, known: None }
            }
            Predicate::CompareFields(left, op, right) => {
                let (left, right) = (self.column(left), self.column(right));
                let truth = fixed::compare_columns(&left, *op, &right, active);
                let left = Planes::of_column(truth, &left);
                Planes::of_column(left.truth, &right).with_known(left.known)
            }
            Predicate::Text(field, query) => {
                let column = self.column(field);
                let Values::Varchar(texts) = column.values() else {
                    return Planes::constant(false, active.len());
                };
                let truth = scan(active, |row| {
                    std::str::from_utf8(texts.get(row)).is_ok_and(|text| query.matches(text))
                });
                Planes::of_column(truth, &column)
            }
            Predicate::Spatial(field, spatial) => {
                let column = self.column(field);
                let Values::Geometry(texts) = column.values() else {
                    return Planes::constant(false, active.len());
                };
                let truth = scan(active, |row| {
                    column.is_valid(row) && spatial.matches(texts.get(row))
                });
                Planes::of_column(truth, &column)
            }
            Predicate::Instant {
                field,
                shift,
                op,
                micros,
            } => {
                let column = self.column(field);
                let Values::Timestamptz(instants) = column.values() else {
                    return Planes::constant(false, active.len());
                };
                let truth = match shift {
                    None => fixed::compare_values(instants, *op, *micros),
                    Some(shift) => scan(active, |row| {
                        let moved = instants
                            .get(row)
                            .and_then(|instant| shift.added_to(*instant));
                        moved.is_some_and(|moved| op.accepts(Some(moved.cmp(micros))))
                    }),
                };
                Planes::of_column(truth, &column)
            }
            _ => Planes::constant(false, active.len()),
        }
    }

    /// A condition on one operand.
    fn tested(
        &self,
        operand: &Operand,
        active: &[u64],
        test: impl FnOnce(&Column, &Reader<'_>) -> Vec<u64>,
    ) -> Planes {
        let column = self.column(&operand.field);
        let mut truth = test(&column, &Reader::new(&column, operand));
        truth.resize(active.len(), 0);
        Planes::of_column(truth, &column)
    }

    fn chain(&self, parts: &[Predicate], active: &[u64], and: bool) -> Planes {
        let mut open = active.to_vec();
        let mut joined: Option<Planes> = None;
        for part in parts {
            let planes = self.run(part, &open);
            let planes = match joined.take() {
                None => planes,
                Some(before) => before.join(planes, and),
            };
            for (word, open) in open.iter_mut().enumerate() {
                *open &= !if and {
                    planes.falsehood(word)
                } else {
                    planes.truth[word]
                };
            }
            let decided = open.iter().all(|word| *word == 0);
            joined = Some(planes);
            if decided {
                break;
            }
        }
        joined.unwrap_or_else(|| Planes::constant(and, active.len()))
    }

    /// Keeps a share of the rows that satisfy `inner`, each choice of that many rows being equally likely. A fractional number
    /// is rounded at random, so that small chunks add up to the share.
    fn sample(&self, share: f64, inner: &Predicate, active: &[u64]) -> Planes {
        let candidates = Bitmap::from_words(self.run(inner, active).truth, self.rows);
        let mut random = fastrand::Rng::with_seed(self.seed);
        let exact = candidates.count() as f64 * share;
        let mut wanted = exact.floor() as usize + usize::from(random.f64() < exact.fract());
        let mut left = candidates.count();
        let mut kept = Bitmap::new(self.rows);
        for row in candidates.ones() {
            if random.usize(..left.max(1)) < wanted {
                kept.set(row, true);
                wanted -= 1;
            }
            left -= 1;
        }
        Planes {
            truth: kept.words().to_vec(),
            known: None,
        }
    }

    /// The field's column; where rows are older than the field, a column of its default.
    fn column(&self, field: &Field) -> Cow<'_, Column> {
        if let Some(column) = self.columns.column(&field.name)
            && column.column_type() == field.kind
            && column.len() == self.rows
        {
            return Cow::Borrowed(column);
        }
        let default = match &field.default {
            Some(Constant::Bool(flag)) => Value::Bool(*flag),
            Some(Constant::Int(number)) if field.kind == crate::column::ColumnType::Timestamptz => {
                Value::Timestamptz(*number)
            }
            Some(Constant::Int(number)) => Value::Int(*number),
            Some(Constant::Double(number)) if field.kind == crate::column::ColumnType::Float => {
                Value::Float(*number as f32)
            }
            Some(Constant::Double(number)) => Value::Double(*number),
            Some(Constant::Text(text)) if field.kind == crate::column::ColumnType::Json => {
                Value::Json(text.as_bytes())
            }
            Some(Constant::Text(text)) if field.kind == crate::column::ColumnType::Geometry => {
                Value::Geometry(text.as_bytes())
            }
            Some(Constant::Text(text)) => Value::Varchar(text),
            Some(Constant::List(_)) | None => Value::Null,
        };
        let filled = Column::constant(field.kind, default, self.rows);
        Cow::Owned(filled.unwrap_or_else(|_| {
            let mut nulls = ColumnBuilder::new(field.kind);
            (0..self.rows).for_each(|_| nulls.push_null());
            nulls.finish()
        }))
    }
}

impl Planes {
    /// Takes out the rows that are unknown on another side too.
    fn with_known(mut self, other: Option<Vec<u64>>) -> Self {
        self.known = match (self.known, other) {
            (Some(mut known), Some(other)) => {
                known
                    .iter_mut()
                    .zip(&other)
                    .for_each(|(word, other)| *word &= other);
                Some(known)
            }
            (known, other) => known.or(other),
        };
        self
    }
}

/// Asks `test` for every active row.
fn scan(active: &[u64], mut test: impl FnMut(usize) -> bool) -> Vec<u64> {
    active
        .iter()
        .enumerate()
        .map(|(index, word)| {
            let (mut rest, mut found) = (*word, 0u64);
            while rest != 0 {
                let bit = rest.trailing_zeros();
                found |= u64::from(test(index * 64 + bit as usize)) << bit;
                rest &= rest - 1;
            }
            found
        })
        .collect()
}
