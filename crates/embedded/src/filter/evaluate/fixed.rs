//! Comparisons of whole columns of numbers and strings: the fast path.
//!
//! Numbers are compared without branches, 64 to a word. Every function answers for all rows, null ones included; the caller
//! masks those.

use std::cmp::Ordering;

use super::super::ast::CompareOp;
use super::super::constant::Constant;
use super::super::plan::{Access, Bound, ConstantSet, Operand};
use super::scan;
use crate::column::{BytesValues, Column, Values};

/// Packs the answers for 64 values into a word. The answers are gathered as bytes first, which compilers turn into vector
/// instructions; a multiplication then collects the low bits of eight bytes.
fn pack<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> Vec<u64> {
    const COLLECT: u64 = 0x0102_0408_1020_4080;
    let (chunks, rest) = values.as_chunks::<64>();
    let mut words = Vec::with_capacity(values.len().div_ceil(64));
    for chunk in chunks {
        let mut flags = [0u8; 64];
        for (flag, value) in flags.iter_mut().zip(chunk) {
            *flag = u8::from(test(*value));
        }
        let word =
            flags
                .as_chunks::<8>()
                .0
                .iter()
                .enumerate()
                .fold(0u64, |word, (index, eight)| {
                    word | (u64::from_le_bytes(*eight).wrapping_mul(COLLECT) >> 56) << (index * 8)
                });
        words.push(word);
    }
    if !rest.is_empty() {
        words.push(rest.iter().enumerate().fold(0, |word, (bit, value)| {
            word | u64::from(test(*value)) << bit
        }));
    }
    words
}

/// Compares every value with a constant of its type.
pub(super) fn compare_values<T: Copy + PartialOrd>(
    values: &[T],
    op: CompareOp,
    constant: T,
) -> Vec<u64> {
    match op {
        CompareOp::Less => pack(values, |value| value < constant),
        CompareOp::LessEqual => pack(values, |value| value <= constant),
        CompareOp::Greater => pack(values, |value| value > constant),
        CompareOp::GreaterEqual => pack(values, |value| value >= constant),
        CompareOp::Equal => pack(values, |value| value == constant),
        CompareOp::NotEqual => pack(values, |value| value != constant),
    }
}

/// Compares integers of less than 64 bits. A constant outside the type's range decides for every row alike.
fn compare_narrow<T: Copy + PartialOrd + TryFrom<i64>>(
    values: &[T],
    op: CompareOp,
    constant: i64,
) -> Vec<u64> {
    match T::try_from(constant) {
        Ok(constant) => compare_values(values, op, constant),
        Err(_) => {
            // Every value lies on the same side of the constant.
            let ordering = if constant > 0 {
                Ordering::Less
            } else {
                Ordering::Greater
            };
            let word = if op.accepts(Some(ordering)) {
                u64::MAX
            } else {
                0
            };
            vec![word; values.len().div_ceil(64)]
        }
    }
}

fn compare_texts(texts: BytesValues<'_>, test: impl Fn(&[u8]) -> bool) -> Vec<u64> {
    let mut words = Vec::with_capacity(texts.len().div_ceil(64));
    let mut rows = texts.iter();
    for start in (0..texts.len()).step_by(64) {
        let bits = (texts.len() - start).min(64);
        words.push(
            rows.by_ref()
                .take(bits)
                .enumerate()
                .fold(0u64, |word, (bit, text)| {
                    word | u64::from(test(text)) << bit
                }),
        );
    }
    words
}

fn is_whole(operand: &Operand) -> bool {
    matches!(operand.access, Access::Whole) && operand.arithmetic.is_empty()
}

/// `column op value` for plain columns; `None` where the general way must be taken.
pub(super) fn compare(
    column: &Column,
    operand: &Operand,
    op: CompareOp,
    value: &Constant,
) -> Option<Vec<u64>> {
    if !is_whole(operand) {
        return None;
    }
    Some(match (column.values(), value) {
        (Values::Bool(values), Constant::Bool(flag)) => {
            pack(values, |value| op.accepts(Some((value != 0).cmp(flag))))
        }
        (Values::Int8(values), Constant::Int(number)) => compare_narrow(values, op, *number),
        (Values::Int16(values), Constant::Int(number)) => compare_narrow(values, op, *number),
        (Values::Int32(values), Constant::Int(number)) => compare_narrow(values, op, *number),
        (Values::Int64(values), Constant::Int(number)) => compare_values(values, op, *number),
        (Values::Float(values), Constant::Double(number)) => {
            compare_values(values, op, *number as f32)
        }
        (Values::Double(values), Constant::Double(number)) => compare_values(values, op, *number),
        (Values::Varchar(texts), Constant::Text(text)) => match op {
            CompareOp::Equal => compare_texts(texts, |value| value == text.as_bytes()),
            CompareOp::NotEqual => compare_texts(texts, |value| value != text.as_bytes()),
            _ => compare_texts(texts, |value| op.accepts(Some(value.cmp(text.as_bytes())))),
        },
        _ => return None,
    })
}

/// `lower < column < upper` for plain columns.
pub(super) fn range(
    column: &Column,
    operand: &Operand,
    lower: &Bound,
    upper: &Bound,
) -> Option<Vec<u64>> {
    let above = if lower.inclusive {
        CompareOp::GreaterEqual
    } else {
        CompareOp::Greater
    };
    let below = if upper.inclusive {
        CompareOp::LessEqual
    } else {
        CompareOp::Less
    };
    let mut truth = compare(column, operand, above, &lower.value)?;
    let other = compare(column, operand, below, &upper.value)?;
    truth
        .iter_mut()
        .zip(other)
        .for_each(|(word, other)| *word &= other);
    Some(truth)
}

/// `column in set` for plain columns.
pub(super) fn membership(
    column: &Column,
    operand: &Operand,
    set: &ConstantSet,
) -> Option<Vec<u64>> {
    if !is_whole(operand) {
        return None;
    }
    let integers = IntegerSet::new(set.integers.iter().copied());
    Some(match column.values() {
        Values::Bool(values) => pack(values, |value| set.bools[usize::from(value != 0)]),
        Values::Int8(values) => pack(values, |value| integers.has(value.into())),
        Values::Int16(values) => pack(values, |value| integers.has(value.into())),
        Values::Int32(values) => pack(values, |value| integers.has(value.into())),
        Values::Int64(values) => pack(values, |value| integers.has(value)),
        Values::Float(values) => {
            let floats: Vec<f32> = set.doubles.iter().map(|number| *number as f32).collect();
            pack(values, |value| floats.contains(&value))
        }
        Values::Double(values) => pack(values, |value| set.has_double(value)),
        Values::Varchar(texts) => compare_texts(texts, |value| set.texts.contains(value)),
        _ => return None,
    })
}

/// Integers for lookup: a bitmap when they lie close together, else an open hash table at most half full.
enum IntegerSet {
    Dense { first: i64, words: Vec<u64> },
    Sparse { slots: Vec<Option<i64>>, shift: u32 },
}

impl IntegerSet {
    fn new(values: impl ExactSizeIterator<Item = i64> + Clone) -> Self {
        let first = values.clone().min().unwrap_or(0);
        let span = values.clone().max().unwrap_or(0).wrapping_sub(first) as u64;
        if span / 64 < 1024.max(values.len() as u64) {
            let mut words = vec![0u64; (span / 64 + 1) as usize];
            for value in values {
                let at = value.wrapping_sub(first) as u64;
                words[(at / 64) as usize] |= 1 << (at % 64);
            }
            return Self::Dense { first, words };
        }
        let bits = (values.len() * 2)
            .next_power_of_two()
            .trailing_zeros()
            .max(1);
        let mut set = Self::Sparse {
            slots: vec![None; 1 << bits],
            shift: 64 - bits,
        };
        for value in values {
            set.insert(value);
        }
        set
    }

    fn start(value: i64, shift: u32) -> usize {
        ((value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
    }

    fn insert(&mut self, value: i64) {
        let Self::Sparse { slots, shift } = self else {
            return;
        };
        let mut at = Self::start(value, *shift);
        while slots[at].is_some_and(|held| held != value) {
            at = (at + 1) % slots.len();
        }
        slots[at] = Some(value);
    }

    fn has(&self, value: i64) -> bool {
        match self {
            Self::Dense { first, words } => {
                let at = value.wrapping_sub(*first) as u64;
                words
                    .get((at / 64) as usize)
                    .is_some_and(|word| word >> (at % 64) & 1 == 1)
                    && value >= *first
            }
            Self::Sparse { slots, shift } => {
                let mut at = Self::start(value, *shift);
                loop {
                    match slots[at] {
                        None => return false,
                        Some(held) if held == value => return true,
                        Some(_) => at = (at + 1) % slots.len(),
                    }
                }
            }
        }
    }
}

/// A number of either kind, for comparisons between columns.
enum Numbers<'a> {
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
}

impl<'a> Numbers<'a> {
    fn of(column: &'a Column) -> Option<Self> {
        Some(match column.values() {
            Values::Int8(values) => Self::Int8(values),
            Values::Int16(values) => Self::Int16(values),
            Values::Int32(values) => Self::Int32(values),
            Values::Int64(values) | Values::Timestamptz(values) => Self::Int64(values),
            Values::Float(values) => Self::Float(values),
            Values::Double(values) => Self::Double(values),
            _ => return None,
        })
    }

    fn integer(&self, row: usize) -> Option<i64> {
        match self {
            Self::Int8(values) => values.get(row).map(|value| i64::from(*value)),
            Self::Int16(values) => values.get(row).map(|value| i64::from(*value)),
            Self::Int32(values) => values.get(row).map(|value| i64::from(*value)),
            Self::Int64(values) => values.get(row).copied(),
            Self::Float(_) | Self::Double(_) => None,
        }
    }

    fn double(&self, row: usize) -> Option<f64> {
        match self {
            Self::Float(values) => values.get(row).map(|value| f64::from(*value)),
            Self::Double(values) => values.get(row).copied(),
            _ => self.integer(row).map(|value| value as f64),
        }
    }
}

/// `left op right` row by row.
pub(super) fn compare_columns(
    left: &Column,
    op: CompareOp,
    right: &Column,
    active: &[u64],
) -> Vec<u64> {
    if let (Some(left), Some(right)) = (Numbers::of(left), Numbers::of(right)) {
        return scan(active, |row| {
            match (left.integer(row), right.integer(row)) {
                (Some(left), Some(right)) => op.accepts(Some(left.cmp(&right))),
                _ => match (left.double(row), right.double(row)) {
                    (Some(left), Some(right)) => op.accepts(left.partial_cmp(&right)),
                    _ => false,
                },
            }
        });
    }
    match (left.values(), right.values()) {
        (Values::Varchar(left), Values::Varchar(right)) => scan(active, |row| {
            op.accepts(Some(left.get(row).cmp(right.get(row))))
        }),
        (Values::Bool(left), Values::Bool(right)) => scan(active, |row| {
            op.accepts(left.get(row).partial_cmp(&right.get(row)))
        }),
        _ => vec![0; active.len()],
    }
}
