//! A filter that is bound to a collection's fields: what the evaluator runs.

use std::collections::HashSet;
use std::sync::Arc;

use super::ast::{ArithmeticOp, CompareOp};
use super::constant::Constant;
use super::elements::Elements;
use super::geometry::Spatial;
use super::like::LikePattern;
use super::schema::Field;
use super::time::Interval;
use crate::column::json::Step;
use crate::text::TextQuery;

/// A condition on a row; three-valued where a field may be null.
#[derive(Debug, Clone)]
pub(super) enum Predicate {
    Constant(bool),
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    IsNull(Arc<Field>),
    Compare(Operand, CompareOp, Constant),
    Range(Operand, Bound, Bound),
    In(Operand, ConstantSet),
    CompareFields(Arc<Field>, CompareOp, Arc<Field>),
    Like(Operand, LikePattern),
    Regex {
        operand: Operand,
        pattern: regex::bytes::Regex,
        negated: bool,
    },
    Exists(Operand),
    Contains(Operand, ContainsMode, Vec<Constant>),
    Text(Arc<Field>, TextQuery),
    Elements(Elements),
    /// Keeps this share of the rows that satisfy the condition.
    Sample(f64, Box<Predicate>),
    Spatial(Arc<Field>, Spatial),
    Instant {
        field: Arc<Field>,
        shift: Option<Interval>,
        op: CompareOp,
        micros: i64,
    },
}

/// One end of a range.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) value: Constant,
    pub(super) inclusive: bool,
}

/// Whether one, all or any of the values must be in the row's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContainsMode {
    All,
    Any,
}

/// Where a row's value comes from.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) field: Arc<Field>,
    pub(super) access: Access,
    /// Applied in order to the value found.
    pub(super) arithmetic: Vec<Arithmetic>,
}

#[derive(Debug, Clone)]
pub(super) enum Access {
    /// The field's own value.
    Whole,
    /// An element of an array field.
    Element(usize),
    /// A place inside a JSON field; may be empty for the field itself.
    Path(Box<[Step]>),
    /// Number of elements of an array field.
    Length,
    /// Number of elements of an array inside a JSON field.
    PathLength(Box<[Step]>),
}

/// `value op constant`, or `constant op value` when reversed.
#[derive(Debug, Clone)]
pub(super) struct Arithmetic {
    pub(super) op: ArithmeticOp,
    pub(super) constant: Constant,
    pub(super) reversed: bool,
}

/// The right side of `in`, split by type for lookup.
#[derive(Debug, Clone, Default)]
pub(super) struct ConstantSet {
    pub(super) integers: HashSet<i64>,
    pub(super) doubles: Vec<f64>,
    pub(super) texts: HashSet<Vec<u8>>,
    pub(super) bools: [bool; 2],
    /// As many as were written, equal ones each for itself.
    pub(super) written: usize,
}

impl ConstantSet {
    pub(super) fn new(values: &[Constant]) -> Self {
        let mut set = Self {
            written: values.len(),
            ..Self::default()
        };
        for value in values {
            match value {
                Constant::Bool(flag) => set.bools[usize::from(*flag)] = true,
                Constant::Int(number) => {
                    set.integers.insert(*number);
                }
                Constant::Double(number) => set.doubles.push(*number),
                Constant::Text(text) => {
                    set.texts.insert(text.as_bytes().to_vec());
                }
                Constant::List(_) => {}
            }
        }
        set.doubles.retain(|number| !number.is_nan());
        set.doubles.sort_by(f64::total_cmp);
        set.doubles.dedup();
        set
    }

    pub(super) fn has_double(&self, number: f64) -> bool {
        // Adding zero makes -0.0 find 0.0, as `==` does.
        let found = |number: f64| {
            self.doubles
                .binary_search_by(|probe| (probe + 0.0).total_cmp(&(number + 0.0)))
                .is_ok()
        };
        found(number)
    }

    pub(super) fn has_int(&self, number: i64) -> bool {
        self.integers.contains(&number)
    }
}

impl Predicate {
    /// Values outside of which the field makes the predicate untrue.
    pub(super) fn pinned(&self, field: &str) -> Option<Vec<Constant>> {
        let is_field = |operand: &Operand| {
            *operand.field.name == *field
                && matches!(operand.access, Access::Whole)
                && operand.arithmetic.is_empty()
        };
        match self {
            Self::Constant(false) => Some(Vec::new()),
            Self::Compare(operand, CompareOp::Equal, value) if is_field(operand) => {
                Some(vec![value.clone()])
            }
            Self::In(operand, set) if is_field(operand) => {
                let integers = set.integers.iter().map(|number| Constant::Int(*number));
                let texts = set
                    .texts
                    .iter()
                    .filter_map(|text| String::from_utf8(text.clone()).ok())
                    .map(Constant::Text);
                let bools = [false, true]
                    .into_iter()
                    .filter(|flag| set.bools[usize::from(*flag)])
                    .map(Constant::Bool);
                let doubles = set.doubles.iter().map(|number| Constant::Double(*number));
                Some(integers.chain(texts).chain(bools).chain(doubles).collect())
            }
            Self::And(parts) => parts.iter().find_map(|part| part.pinned(field)),
            Self::Sample(_, inner) => inner.pinned(field),
            _ => None,
        }
    }

    /// Relative cost of a row, to ask cheap conditions first.
    pub(super) fn cost(&self) -> u32 {
        let of = |operand: &Operand| match operand.access {
            Access::Whole if operand.arithmetic.is_empty() => {
                if operand.field.kind.row_width().is_some() {
                    1
                } else {
                    4
                }
            }
            Access::Path(_) | Access::PathLength(_) => 40,
            _ => 8,
        };
        match self {
            Self::Constant(_) => 0,
            Self::IsNull(_) => 1,
            Self::Compare(operand, ..) | Self::Range(operand, ..) => of(operand),
            Self::In(operand, _) => of(operand) + 2,
            Self::CompareFields(..) | Self::Instant { .. } => 3,
            Self::Like(operand, _) => of(operand) + 4,
            Self::Contains(operand, ..) => of(operand) + 10,
            Self::Exists(_) => 40,
            Self::Regex { operand, .. } => of(operand) + 60,
            Self::Text(..) => 200,
            Self::Spatial(..) => 400,
            // Rows have several structs.
            Self::Elements(elements) => 8 + elements.condition.cost().saturating_mul(8),
            Self::Not(inner) | Self::Sample(_, inner) => inner.cost(),
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::cost).sum(),
        }
    }
}
