//! Values that are known before any row is read, and arithmetic on them.

use std::cmp::Ordering;
use std::fmt;

use super::ast::{ArithmeticOp, CompareOp};

/// A literal, a folded expression, a template's value, or a field's default.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with fraction or exponent.
    Double(f64),
    /// A string.
    Text(String),
    /// A list; elements may differ in type.
    List(Vec<Constant>),
}

impl Constant {
    /// Name of the type for error texts.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "Bool",
            Self::Int(_) => "Int64",
            Self::Double(_) => "Double",
            Self::Text(_) => "VarChar",
            Self::List(_) => "Array",
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Double(_))
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether the constant is a zero of either number type.
    pub(super) fn is_zero(&self) -> bool {
        self.as_f64() == Some(0.0)
    }

    /// Order of two constants of one class; `None` when their classes differ or one is NaN.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (a, b) if a.is_number() && b.is_number() => a.as_f64()?.partial_cmp(&b.as_f64()?),
            _ => None,
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
        }
    }
}

impl ArithmeticOp {
    /// Milvus's name of the operation in error texts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Subtract => "subtract",
            Self::Multiply => "multiply",
            Self::Divide => "divide",
            Self::Modulo => "modulo",
        }
    }

    /// On integers, wrapping; division truncates. The caller excludes a zero divisor, which gives zero here.
    pub(super) fn integers(self, left: i64, right: i64) -> i64 {
        match self {
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::Multiply => left.wrapping_mul(right),
            Self::Divide => {
                if right == 0 {
                    0
                } else {
                    left.wrapping_div(right)
                }
            }
            Self::Modulo => {
                if right == 0 {
                    0
                } else {
                    left.wrapping_rem(right)
                }
            }
        }
    }

    pub(super) fn doubles(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Modulo => left % right,
        }
    }

    pub(super) fn floats(self, left: f32, right: f32) -> f32 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Modulo => left % right,
        }
    }
}

/// Folds an operation on two constants.
pub(super) fn arithmetic(
    op: ArithmeticOp,
    left: &Constant,
    right: &Constant,
) -> Result<Constant, String> {
    if !left.is_number() || !right.is_number() {
        let (left, right) = (left.type_name(), right.type_name());
        return Err(format!(
            "'{}' can only be used between integer or floating expressions, not {left} and {right}",
            op.name()
        ));
    }
    if op == ArithmeticOp::Modulo && !matches!((left, right), (Constant::Int(_), Constant::Int(_)))
    {
        return Err("modulo can only apply on integer types".into());
    }
    check_divisor(op, right)?;
    match (left, right) {
        (Constant::Int(left), Constant::Int(right)) => {
            Ok(Constant::Int(op.integers(*left, *right)))
        }
        _ => Ok(Constant::Double(op.doubles(
            left.as_f64().unwrap_or(0.0),
            right.as_f64().unwrap_or(0.0),
        ))),
    }
}

/// Rejects division and remainder by a constant zero.
pub(super) fn check_divisor(op: ArithmeticOp, divisor: &Constant) -> Result<(), String> {
    match op {
        ArithmeticOp::Divide if divisor.is_zero() => Err("cannot divide by zero".into()),
        ArithmeticOp::Modulo if divisor.is_zero() => Err("cannot modulo by zero".into()),
        _ => Ok(()),
    }
}

/// Folds `left ** right`; always a double, as in Milvus.
pub(super) fn power(left: &Constant, right: &Constant) -> Result<Constant, String> {
    match (left.as_f64(), right.as_f64()) {
        (Some(base), Some(exponent)) => Ok(Constant::Double(base.powf(exponent))),
        _ => Err("power can only apply on numbers".into()),
    }
}

/// Folds a comparison of two constants.
pub(super) fn comparison(op: CompareOp, left: &Constant, right: &Constant) -> Result<bool, String> {
    let comparable = match (left, right) {
        (Constant::Bool(_), Constant::Bool(_)) | (Constant::List(_), Constant::List(_)) => {
            matches!(op, CompareOp::Equal | CompareOp::NotEqual)
        }
        (Constant::Text(_), Constant::Text(_)) => true,
        (left, right) => left.is_number() && right.is_number(),
    };
    if !comparable {
        let (left, right) = (left.type_name(), right.type_name());
        return Err(format!(
            "comparison operations cannot be applied to two incompatible operands: {left} and {right}"
        ));
    }
    Ok(match (left, right) {
        (Constant::List(_), Constant::List(_)) => (left == right) == (op == CompareOp::Equal),
        _ => op.accepts(left.compare(right)),
    })
}
