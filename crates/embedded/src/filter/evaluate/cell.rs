//! One value at a time: JSON, array elements, lengths and arithmetic, where whole-column comparison has no use.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::ast::{ArithmeticOp, CompareOp};
use super::super::constant::Constant;
use super::super::plan::{Access, Arithmetic, Bound, ConstantSet, Operand};
use super::scan;
use crate::column::json::{Node, find, unescape};
use crate::column::{Column, Value, Values};

/// What an operand finds in a row that is not null.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    /// No such array element.
    Absent,
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    Text(Cow<'a, [u8]>),
    /// Elements of an array field: the column of elements and which of them.
    List(&'a Column, usize, usize),
    /// A place in a JSON field, when there is one.
    Json(Option<Node<'a>>),
    /// The outcome of arithmetic on a JSON number.
    JsonInt(i64),
    JsonDouble(f64),
}

/// Reads an operand row by row.
pub(super) struct Reader<'a> {
    values: Values<'a>,
    operand: &'a Operand,
}

impl<'a> Reader<'a> {
    pub(super) fn new(column: &'a Column, operand: &'a Operand) -> Self {
        Self {
            values: column.values(),
            operand,
        }
    }

    /// Asks `test` for every active row.
    pub(super) fn scan(&self, active: &[u64], test: impl Fn(Cell<'a>) -> bool) -> Vec<u64> {
        scan(active, |row| test(self.read(row)))
    }

    pub(super) fn read(&self, row: usize) -> Cell<'a> {
        let cell = match (&self.operand.access, self.values) {
            (Access::Path(path), Values::Json(texts)) => Cell::Json(find(texts.get(row), path)),
            (Access::PathLength(path), Values::Json(texts)) => {
                // As in Milvus, what is no array has the length 0.
                let length = find(texts.get(row), path).map_or(0, |node| node.elements().count());
                Cell::Int(i64::try_from(length).unwrap_or(i64::MAX))
            }
            (Access::Length, Values::Array(lists)) => {
                Cell::Int(i64::try_from(lists.range(row).len()).unwrap_or(i64::MAX))
            }
            (Access::Element(index), Values::Array(lists)) => match lists.range(row).nth(*index) {
                Some(element) => Cell::of(lists.elements(), element),
                None => Cell::Absent,
            },
            (Access::Whole, Values::Array(lists)) => {
                let range = lists.range(row);
                Cell::List(lists.elements(), range.start, range.end)
            }
            (Access::Whole, Values::Varchar(texts)) => Cell::Text(Cow::Borrowed(texts.get(row))),
            (Access::Whole, values) => number(values, row),
            _ => Cell::Absent,
        };
        self.operand.arithmetic.iter().fold(cell, Cell::reckon)
    }
}

fn number(values: Values<'_>, row: usize) -> Cell<'_> {
    let found = match values {
        Values::Int8(values) => values.get(row).map(|value| Cell::Int((*value).into())),
        Values::Int16(values) => values.get(row).map(|value| Cell::Int((*value).into())),
        Values::Int32(values) => values.get(row).map(|value| Cell::Int((*value).into())),
        Values::Int64(values) => values.get(row).map(|value| Cell::Int(*value)),
        Values::Float(values) => values.get(row).map(|value| Cell::Float(*value)),
        Values::Double(values) => values.get(row).map(|value| Cell::Double(*value)),
        Values::Bool(values) => values.get(row).map(|value| Cell::Bool(*value != 0)),
        _ => None,
    };
    found.unwrap_or(Cell::Absent)
}

impl<'a> Cell<'a> {
    /// An element of an array; a null one is absent.
    pub(super) fn of(elements: &'a Column, element: usize) -> Self {
        match elements.value(element) {
            Value::Bool(flag) => Self::Bool(flag),
            Value::Int(number) | Value::Timestamptz(number) => Self::Int(number),
            Value::Float(number) => Self::Float(number),
            Value::Double(number) => Self::Double(number),
            Value::Varchar(text) => Self::Text(Cow::Borrowed(text.as_bytes())),
            _ => Self::Absent,
        }
    }

    fn reckon(self, step: &Arithmetic) -> Self {
        let json = matches!(self, Self::Json(_) | Self::JsonInt(_) | Self::JsonDouble(_));
        let ordered = |value: f64, other: f64| {
            if step.reversed {
                step.op.doubles(other, value)
            } else {
                step.op.doubles(value, other)
            }
        };
        let double = |value: f64| {
            if json {
                Self::JsonDouble(value)
            } else {
                Self::Double(value)
            }
        };
        match (self, &step.constant) {
            (
                Self::Int(value) | Self::JsonInt(value) | Self::Json(Some(Node::Int(value))),
                Constant::Int(other),
            ) => {
                let outcome = if step.reversed {
                    step.op.integers(*other, value)
                } else {
                    step.op.integers(value, *other)
                };
                if json {
                    Self::JsonInt(outcome)
                } else {
                    Self::Int(outcome)
                }
            }
            (
                Self::Int(value) | Self::JsonInt(value) | Self::Json(Some(Node::Int(value))),
                Constant::Double(other),
            ) => double(ordered(value as f64, *other)),
            (Self::Float(value), other) => {
                let other = other.as_f64().unwrap_or(f64::NAN) as f32;
                Self::Float(if step.reversed {
                    step.op.floats(other, value)
                } else {
                    step.op.floats(value, other)
                })
            }
            (
                Self::Double(value)
                | Self::JsonDouble(value)
                | Self::Json(Some(Node::Double(value))),
                other,
            ) => {
                // The remainder of a fraction is reckoned on its whole part.
                let (value, whole) = if step.op == ArithmeticOp::Modulo {
                    (value.trunc(), true)
                } else {
                    (value, false)
                };
                let other = other.as_f64().unwrap_or(f64::NAN);
                double(if whole {
                    ordered(value, other.trunc())
                } else {
                    ordered(value, other)
                })
            }
            _ if json => Self::Json(None),
            _ => Self::Absent,
        }
    }

    /// Whether a JSON place exists and is not null.
    pub(super) fn is_present(&self) -> bool {
        !matches!(self, Self::Absent | Self::Json(None | Some(Node::Null)))
    }

    /// The characters, when the cell is a string.
    pub(super) fn text(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Json(Some(Node::Str(raw))) => Some(characters(raw)),
            _ => None,
        }
    }

    /// `cell op value`. A JSON place that is absent, or of another type than the value, is unequal to it and in no order with it.
    pub(super) fn compare(&self, op: CompareOp, value: &Constant) -> bool {
        match (self, value) {
            (Self::Json(Some(node)), Constant::List(wanted)) => match node {
                Node::Array(_) => node_is_list(*node, wanted) == (op == CompareOp::Equal),
                _ => false,
            },
            (Self::Json(None), Constant::List(_)) | (Self::Absent, _) => false,
            (Self::List(elements, start, end), Constant::List(wanted)) => {
                let same = end - start == wanted.len()
                    && (*start..*end)
                        .zip(wanted)
                        .all(|(element, wanted)| Cell::of(elements, element).equals(wanted));
                same == (op == CompareOp::Equal)
            }
            _ => match self.order(value) {
                Some(ordering) => op.accepts(ordering),
                None => op == CompareOp::NotEqual,
            },
        }
    }

    pub(super) fn equals(&self, value: &Constant) -> bool {
        matches!(self.order(value), Some(Some(Ordering::Equal)))
    }

    pub(super) fn is_above(&self, bound: &Bound) -> bool {
        self.compare(
            if bound.inclusive {
                CompareOp::GreaterEqual
            } else {
                CompareOp::Greater
            },
            &bound.value,
        )
    }

    pub(super) fn is_below(&self, bound: &Bound) -> bool {
        self.compare(
            if bound.inclusive {
                CompareOp::LessEqual
            } else {
                CompareOp::Less
            },
            &bound.value,
        )
    }

    /// Order of cell and value: `None` when they are of different classes, `Some(None)` with NaN.
    fn order(&self, value: &Constant) -> Option<Option<Ordering>> {
        match (self, value) {
            (Self::Json(Some(node)), value) => node_order(*node, value),
            (Self::Bool(cell), Constant::Bool(value)) => Some(Some(cell.cmp(value))),
            (Self::Int(cell) | Self::JsonInt(cell), Constant::Int(value)) => {
                Some(Some(cell.cmp(value)))
            }
            (Self::Int(cell) | Self::JsonInt(cell), Constant::Double(value)) => {
                Some((*cell as f64).partial_cmp(value))
            }
            (Self::Float(cell), value) => Some(cell.partial_cmp(&(value.as_f64()? as f32))),
            (Self::Double(cell) | Self::JsonDouble(cell), value) => {
                Some(cell.partial_cmp(&value.as_f64()?))
            }
            (Self::Text(cell), Constant::Text(value)) => Some(Some((**cell).cmp(value.as_bytes()))),
            _ => None,
        }
    }

    pub(super) fn is_in(&self, set: &ConstantSet) -> bool {
        let whole = |number: f64| {
            let in_range = number.trunc() == number && number.abs() < 9.2e18;
            in_range && set.has_int(number as i64)
        };
        match self {
            Self::Bool(flag) | Self::Json(Some(Node::Bool(flag))) => set.bools[usize::from(*flag)],
            Self::Int(number) => set.has_int(*number),
            Self::Float(number) => set.doubles.iter().any(|wanted| *wanted as f32 == *number),
            Self::Double(number) => set.has_double(*number),
            Self::JsonInt(number) | Self::Json(Some(Node::Int(number))) => {
                set.has_int(*number) || set.has_double(*number as f64)
            }
            Self::JsonDouble(number) | Self::Json(Some(Node::Double(number))) => {
                set.has_double(*number) || whole(*number)
            }
            Self::Text(text) => set.texts.contains(&**text),
            Self::Json(Some(Node::Str(raw))) => set.texts.contains(&*characters(raw)),
            _ => false,
        }
    }
}

fn characters(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.contains(&b'\\') {
        Cow::Owned(unescape(raw).into_owned().into_bytes())
    } else {
        Cow::Borrowed(raw)
    }
}

fn node_order(node: Node<'_>, value: &Constant) -> Option<Option<Ordering>> {
    match (node, value) {
        (Node::Bool(node), Constant::Bool(value)) => Some(Some(node.cmp(value))),
        (Node::Int(node), Constant::Int(value)) => Some(Some(node.cmp(value))),
        (Node::Int(node), Constant::Double(value)) => Some((node as f64).partial_cmp(value)),
        (Node::Double(node), value) => Some(node.partial_cmp(&value.as_f64()?)),
        (Node::Str(raw), Constant::Text(value)) => {
            Some(Some((*characters(raw)).cmp(value.as_bytes())))
        }
        _ => None,
    }
}

/// Whether a JSON value equals a constant, lists element by element.
pub(super) fn node_equals(node: Node<'_>, value: &Constant) -> bool {
    match (node, value) {
        (Node::Array(_), Constant::List(wanted)) => node_is_list(node, wanted),
        _ => matches!(node_order(node, value), Some(Some(Ordering::Equal))),
    }
}

fn node_is_list(node: Node<'_>, wanted: &[Constant]) -> bool {
    let mut elements = node.elements();
    wanted.iter().all(|wanted| {
        elements
            .next()
            .is_some_and(|element| node_equals(element, wanted))
    }) && elements.next().is_none()
}
