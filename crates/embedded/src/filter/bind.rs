//! Ties the names of a tree to fields, checks types, and folds what is constant.
//!
//! The invariant is that a bound plan can't fail: whatever depends on a row's data (a missing JSON key, a value of another
//! type) is decided as "does not match" by the evaluator, everything else is an error here.

use std::ops::Range;
use std::sync::Arc;

use super::ast::{ColumnRef, CompareOp, Expr, ExprKind, Sign, Subscript, UnaryOp};
use super::constant::Constant;
use super::error::Fault;
use super::plan::{Access, Bound, Operand, Predicate};
use super::schema::{Field, Schema, Templates};
use super::time::{Interval, parse_instant};
use crate::column::ColumnType;
use crate::column::json::Step;

pub(super) type Bind<T> = Result<T, Fault>;

/// What a subtree stands for.
pub(super) enum Meaning {
    Constant(Constant),
    Operand(Operand),
    Predicate(Predicate),
}

/// Types as far as comparisons tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Bool,
    Integer,
    Float,
    Double,
    Text,
    Json,
    Array,
    Instant,
    Other,
}

#[derive(Clone, Copy)]
pub(super) struct Binder<'a> {
    pub(super) schema: &'a Schema,
    pub(super) templates: &'a Templates,
    /// The array of structs whose structs the condition is about.
    pub(super) array: Option<&'a str>,
}

/// The predicate of a whole expression.
pub(super) fn bind(expr: &Expr, schema: &Schema, templates: &Templates) -> Bind<Predicate> {
    let binder = Binder {
        schema,
        templates,
        array: None,
    };
    binder.predicate(expr)
}

impl Operand {
    pub(super) fn class(&self) -> Class {
        let own = match (&self.access, self.field.kind) {
            (Access::Length | Access::PathLength(_), _) => Class::Integer,
            (Access::Element(_), ColumnType::Array(element)) => Class::of(element.column_type()),
            (_, kind) => Class::of(kind),
        };
        let double = self
            .arithmetic
            .iter()
            .any(|step| matches!(step.constant, Constant::Double(_)));
        if own == Class::Integer && double {
            Class::Double
        } else {
            own
        }
    }

    /// The name of the type in error texts.
    pub(super) fn type_name(&self) -> String {
        match (&self.access, self.field.kind) {
            (Access::Length | Access::PathLength(_), _) => "Int64".into(),
            (Access::Element(_), ColumnType::Array(element)) => element.column_type().to_string(),
            (_, kind) => kind.to_string(),
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.arithmetic.is_empty() && !matches!(self.access, Access::Length | Access::PathLength(_))
    }
}

impl Class {
    fn of(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Bool => Self::Bool,
            ColumnType::Int8 | ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => {
                Self::Integer
            }
            ColumnType::Float => Self::Float,
            ColumnType::Double => Self::Double,
            ColumnType::Varchar => Self::Text,
            ColumnType::Json => Self::Json,
            ColumnType::Array(_) => Self::Array,
            ColumnType::Timestamptz => Self::Instant,
            _ => Self::Other,
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float | Self::Double)
    }
}

/// The constant as a value of the operand's type.
pub(super) fn cast(operand: &Operand, value: Constant) -> Result<Constant, String> {
    let class = operand.class();
    match (class, value) {
        (Class::Json, value) => Ok(value),
        (Class::Float | Class::Double, Constant::Int(number)) => {
            Ok(Constant::Double(number as f64))
        }
        (Class::Bool, value @ Constant::Bool(_))
        | (Class::Integer, value @ Constant::Int(_))
        | (Class::Float | Class::Double, value @ Constant::Double(_))
        | (Class::Text, value @ Constant::Text(_))
        | (Class::Array, value @ Constant::List(_)) => Ok(value),
        (Class::Instant, _) => Err(format!(
            "'{}' is a Timestamptz; compare it as in {0} > ISO '2025-01-01T00:00:00Z'",
            operand.field.name
        )),
        (_, value) => Err(format!(
            "cannot cast value to {}, value: {value}",
            operand.type_name()
        )),
    }
}

impl Binder<'_> {
    pub(super) fn bind(&self, expr: &Expr) -> Bind<Meaning> {
        match &expr.kind {
            ExprKind::Bool(_)
            | ExprKind::Integer(_)
            | ExprKind::Float(_)
            | ExprKind::Text(_)
            | ExprKind::List(_)
            | ExprKind::Template(_) => self.literal(expr).map(Meaning::Constant),
            ExprKind::Column(column) => Ok(Meaning::Operand(self.column(column, expr)?)),
            ExprKind::Unary(op, operand) => self.unary(*op, operand, expr),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, expr),
            ExprKind::And(operands) => self.chain(operands, true),
            ExprKind::Or(operands) => self.chain(operands, false),
            ExprKind::In {
                value,
                list,
                negated,
            } => self.membership(value, list, *negated),
            ExprKind::Range {
                column,
                lower,
                lower_inclusive,
                upper,
                upper_inclusive,
            } => {
                let lower = Bound {
                    value: self.constant(lower, "a range")?,
                    inclusive: *lower_inclusive,
                };
                let upper = Bound {
                    value: self.constant(upper, "a range")?,
                    inclusive: *upper_inclusive,
                };
                self.range(column, lower, upper, expr)
            }
            ExprKind::Exists(column) => Ok(Meaning::Predicate(self.exists(column)?)),
            ExprKind::IsNull { column, negated } => self.null_test(column, *negated),
            ExprKind::Instant {
                column,
                interval,
                op,
                instant,
            } => self.instant(column, interval.as_ref(), *op, instant),
            ExprKind::Call {
                name,
                arguments,
                option,
            } => self.call(name, arguments, option.as_ref(), expr),
        }
    }

    /// `column ± interval op instant`.
    fn instant(
        &self,
        column: &Expr,
        interval: Option<&(Sign, String, Range<usize>)>,
        op: CompareOp,
        (text, span): &(String, Range<usize>),
    ) -> Bind<Meaning> {
        let field = self.instant_field(column)?;
        let shift = match interval {
            None => None,
            Some((sign, text, span)) => {
                let interval =
                    Interval::parse(text).map_err(|reason| Fault::new(span.clone(), reason))?;
                Some(if *sign == Sign::Minus {
                    interval.negated()
                } else {
                    interval
                })
            }
        };
        if text.is_empty() {
            let reason = "an interval is compared as in: created_at + INTERVAL 'P1D' > ISO '2025-01-01T00:00:00Z'";
            return Err(Fault::new(span.clone(), reason));
        }
        let micros = parse_instant(text).map_err(|reason| Fault::new(span.clone(), reason))?;
        Ok(Meaning::Predicate(Predicate::Instant {
            field,
            shift,
            op,
            micros,
        }))
    }

    fn literal(&self, expr: &Expr) -> Bind<Constant> {
        Ok(match &expr.kind {
            ExprKind::Bool(flag) => Constant::Bool(*flag),
            ExprKind::Float(number) => Constant::Double(*number),
            ExprKind::Text(text) => Constant::Text(text.clone()),
            ExprKind::Integer(number) => match i64::try_from(*number) {
                Ok(number) => Constant::Int(number),
                Err(_) => {
                    return Err(Fault::new(
                        expr.span.clone(),
                        format!("{number} does not fit a signed integer of 64 bits"),
                    ));
                }
            },
            ExprKind::Template(name) => match self.templates.get(name) {
                Some(value) => value.clone(),
                None => {
                    let reason = format!(
                        "the value of expression template variable name {{{name}}} is not found"
                    );
                    return Err(Fault::new(expr.span.clone(), reason));
                }
            },
            ExprKind::List(elements) => Constant::List(
                elements
                    .iter()
                    .map(|element| self.constant(element, "a list"))
                    .collect::<Bind<_>>()?,
            ),
            _ => return Err(Fault::new(expr.span.clone(), "expected a constant")),
        })
    }

    pub(super) fn predicate(&self, expr: &Expr) -> Bind<Predicate> {
        match self.bind(expr)? {
            Meaning::Predicate(predicate) => Ok(predicate),
            Meaning::Constant(Constant::Bool(flag)) => Ok(Predicate::Constant(flag)),
            Meaning::Constant(value) => {
                let reason = format!(
                    "predicate is not a boolean expression: {value}, data type: {}",
                    value.type_name()
                );
                Err(Fault::new(expr.span.clone(), reason))
            }
            Meaning::Operand(operand) => {
                let hint = if operand.class() == Class::Bool {
                    format!("; write {} == true", operand.field.name)
                } else {
                    String::new()
                };
                let reason = format!(
                    "predicate is not a boolean expression: {}, data type: {}{hint}",
                    operand.field.name,
                    operand.type_name()
                );
                Err(Fault::new(expr.span.clone(), reason))
            }
        }
    }

    pub(super) fn constant(&self, expr: &Expr, place: &str) -> Bind<Constant> {
        match self.bind(expr)? {
            Meaning::Constant(value) => Ok(value),
            _ => Err(Fault::new(
                expr.span.clone(),
                format!("{place} takes constants only"),
            )),
        }
    }

    /// The field, or the place in a JSON field, that a name stands for.
    pub(super) fn column(&self, column: &ColumnRef, expr: &Expr) -> Bind<Operand> {
        if let Some(member) = self.member_column(column, expr)? {
            return Ok(member);
        }
        let fault = |reason: String| Err(Fault::new(expr.span.clone(), reason));
        let key = |subscript: &Subscript| match subscript {
            Subscript::Key(key) => Step::new(key.as_str()),
            Subscript::Index(index) => Step::new(index.to_string()),
            Subscript::Member(member) => Step::new(member.as_str()),
        };
        let plain = |field: &Arc<Field>, access| {
            Ok(Operand {
                field: field.clone(),
                access,
                arithmetic: Vec::new(),
            })
        };
        let named = self.schema.field(&column.name).or_else(|| {
            self.schema
                .dynamic()
                .filter(|field| *field.name == *column.name)
        });
        let Some(field) = named else {
            let Some(dynamic) = self.schema.dynamic() else {
                let names = self.schema.names();
                return fault(format!(
                    "field {} not exist{}",
                    column.name,
                    did_you_mean(&column.name, names)
                ));
            };
            let steps = std::iter::once(Step::new(column.name.as_str()))
                .chain(column.path.iter().map(key))
                .collect();
            return plain(dynamic, Access::Path(steps));
        };
        match (field.kind, column.path.as_slice()) {
            (kind, _) if kind.is_vector() => fault(format!(
                "a filter can't use the vector field '{}'",
                field.name
            )),
            (ColumnType::Json, path) => plain(field, Access::Path(path.iter().map(key).collect())),
            (_, []) => plain(field, Access::Whole),
            (ColumnType::Array(_), [Subscript::Index(index)]) => plain(
                field,
                Access::Element(usize::try_from(*index).unwrap_or(usize::MAX)),
            ),
            (ColumnType::Array(_), [Subscript::Key(_) | Subscript::Member(_), ..]) => {
                fault("can only access array field with integer index".into())
            }
            (kind, _) => fault(format!("{kind} data type not supported accessed with []")),
        }
    }

    fn unary(&self, op: UnaryOp, operand: &Expr, expr: &Expr) -> Bind<Meaning> {
        let fault = |reason: &str| Err(Fault::new(expr.span.clone(), reason));
        if let (UnaryOp::Minus, ExprKind::Integer(9_223_372_036_854_775_808)) = (op, &operand.kind)
        {
            return Ok(Meaning::Constant(Constant::Int(i64::MIN)));
        }
        match (op, self.bind(operand)?) {
            (UnaryOp::BitNot, _) => fault("'~' is not supported"),
            (UnaryOp::Not, Meaning::Constant(Constant::Bool(flag))) => {
                Ok(Meaning::Constant(Constant::Bool(!flag)))
            }
            (UnaryOp::Not, Meaning::Predicate(Predicate::Sample(..))) => {
                fault("random sample expression cannot be used in unary expression")
            }
            (UnaryOp::Not, Meaning::Predicate(predicate)) if predicate.has_element_filter() => {
                fault("element_filter cannot be used in a unary expression; use match_any")
            }
            (UnaryOp::Not, Meaning::Predicate(predicate)) => {
                Ok(Meaning::Predicate(Predicate::Not(Box::new(predicate))))
            }
            (UnaryOp::Not, _) => {
                let reason = "not op can only be applied on boolean expression; 'not' binds tighter than a comparison: write not (…)";
                Err(Fault::new(operand.span.clone(), reason))
            }
            (UnaryOp::Minus, Meaning::Constant(Constant::Int(number))) => {
                Ok(Meaning::Constant(Constant::Int(number.wrapping_neg())))
            }
            (UnaryOp::Minus, Meaning::Constant(Constant::Double(number))) => {
                Ok(Meaning::Constant(Constant::Double(-number)))
            }
            (UnaryOp::Plus, Meaning::Constant(value)) if value.is_number() => {
                Ok(Meaning::Constant(value))
            }
            (UnaryOp::Plus, Meaning::Operand(operand)) => Ok(Meaning::Operand(operand)),
            (UnaryOp::Minus | UnaryOp::Plus, _) => {
                fault("a sign can only stand before a constant number")
            }
        }
    }

    fn chain(&self, operands: &[Expr], and: bool) -> Bind<Meaning> {
        let name = if and { "and" } else { "or" };
        let last = operands.len().saturating_sub(1);
        let (mut predicates, mut sample) = (Vec::with_capacity(operands.len()), None);
        for (index, operand) in operands.iter().enumerate() {
            match self.bind(operand)? {
                Meaning::Predicate(Predicate::Sample(share, _)) if and && index == last => {
                    sample = Some(share)
                }
                Meaning::Predicate(Predicate::Sample(..)) => {
                    let reason = if and {
                        "random sample expression can only be the last expression in the logical and expression"
                    } else {
                        "random sample expression cannot be used in logical or expression"
                    };
                    return Err(Fault::new(operand.span.clone(), reason));
                }
                Meaning::Predicate(predicate)
                    if predicate.has_element_filter() && !(and && index == last) =>
                {
                    let reason = if and {
                        "element_filter can only be the last expression in the logical and expression; match_any can stand anywhere"
                    } else {
                        "element_filter cannot be used in a logical or expression; use match_any"
                    };
                    return Err(Fault::new(operand.span.clone(), reason));
                }
                Meaning::Predicate(predicate) => predicates.push(predicate),
                Meaning::Constant(Constant::Bool(flag)) => {
                    predicates.push(Predicate::Constant(flag))
                }
                _ => {
                    let reason = format!("'{name}' can only be used between boolean expressions");
                    return Err(Fault::new(operand.span.clone(), reason));
                }
            }
        }
        let joined = join(predicates, and);
        Ok(match (sample, joined) {
            (Some(share), predicate) => {
                Meaning::Predicate(Predicate::Sample(share, Box::new(predicate)))
            }
            (None, Predicate::Constant(flag)) => Meaning::Constant(Constant::Bool(flag)),
            (None, predicate) => Meaning::Predicate(predicate),
        })
    }
}

/// Joins conditions, leaving out constants that decide nothing.
fn join(predicates: Vec<Predicate>, and: bool) -> Predicate {
    let mut kept = Vec::with_capacity(predicates.len());
    for predicate in predicates {
        match predicate {
            Predicate::Constant(flag) if flag == and => {}
            // False in an `and` and true in an `or` decide, also against null.
            Predicate::Constant(flag) => return Predicate::Constant(flag),
            other => kept.push(other),
        }
    }
    match kept.pop() {
        None => Predicate::Constant(and),
        Some(only) if kept.is_empty() => only,
        Some(last) => {
            kept.push(last);
            kept.sort_by_key(Predicate::cost);
            if and {
                Predicate::And(kept)
            } else {
                Predicate::Or(kept)
            }
        }
    }
}

/// A suggestion for a misspelt field name.
fn did_you_mean<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = names
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min();
    near.map_or(String::new(), |(_, candidate)| {
        format!("; did you mean '{candidate}'?")
    })
}
