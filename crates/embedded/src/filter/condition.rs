//! Binds conditions: comparisons, ranges, membership, patterns, null tests, and the arithmetic inside them.

use std::ops::Range;
use std::sync::Arc;

use super::ast::{ArithmeticOp, BinaryOp, CompareOp, Expr};
use super::bind::{Bind, Binder, Class, Meaning, cast};
use super::constant::{self, Constant};
use super::error::Fault;
use super::like::LikePattern;
use super::plan::{Access, Arithmetic, Bound, ConstantSet, Operand, Predicate};
use super::schema::Field;

/// Size that a compiled regular expression may reach.
const REGEX_LIMIT: usize = 1 << 20;

impl Binder<'_> {
    pub(super) fn binary(
        &self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        expr: &Expr,
    ) -> Bind<Meaning> {
        let fault = |reason: String| Fault::new(expr.span.clone(), reason);
        match op {
            BinaryOp::Bitwise(sign) => Err(fault(format!("'{sign}' is not supported"))),
            BinaryOp::Like | BinaryOp::RegexMatch | BinaryOp::RegexNotMatch => {
                self.pattern(op, left, right)
            }
            BinaryOp::Power => match (self.bind(left)?, self.bind(right)?) {
                (Meaning::Constant(base), Meaning::Constant(exponent)) => {
                    constant::power(&base, &exponent)
                        .map(Meaning::Constant)
                        .map_err(fault)
                }
                _ => Err(fault("power can only apply on constants".into())),
            },
            BinaryOp::Arithmetic(op) => self
                .arithmetic(op, left, right)
                .map_err(|(span, reason)| Fault::new(span.unwrap_or(expr.span.clone()), reason)),
            BinaryOp::Compare(op) => self.compare(op, left, right, expr),
        }
    }

    fn arithmetic(
        &self,
        op: ArithmeticOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Meaning, (Option<Range<usize>>, String)> {
        let inner = |fault: Fault| (Some(fault.span), fault.reason);
        let (mut operand, constant, reversed) = match (
            self.bind(left).map_err(inner)?,
            self.bind(right).map_err(inner)?,
        ) {
            (Meaning::Constant(left), Meaning::Constant(right)) => {
                return constant::arithmetic(op, &left, &right)
                    .map(Meaning::Constant)
                    .map_err(|reason| (None, reason));
            }
            (Meaning::Operand(operand), Meaning::Constant(constant)) => (operand, constant, false),
            (Meaning::Constant(constant), Meaning::Operand(operand)) => (operand, constant, true),
            (Meaning::Operand(_), Meaning::Operand(_)) => {
                return Err((
                    None,
                    "not supported to do arithmetic operations between multiple fields".into(),
                ));
            }
            _ => {
                return Err((
                    None,
                    format!(
                        "'{}' can only be used between integer or floating expressions",
                        op.name()
                    ),
                ));
            }
        };
        let class = operand.class();
        if !(class.is_number() || class == Class::Json) || !constant.is_number() {
            let (kind, other) = (operand.type_name(), constant.type_name());
            return Err((
                None,
                format!(
                    "'{}' can only be used between integer or floating or json field expressions, not {kind} and {other}",
                    op.name()
                ),
            ));
        }
        if op == ArithmeticOp::Modulo
            && (matches!(class, Class::Float | Class::Double)
                || matches!(constant, Constant::Double(_)))
        {
            return Err((None, "modulo can only apply on integer types".into()));
        }
        if reversed {
            if matches!(op, ArithmeticOp::Divide | ArithmeticOp::Modulo) {
                return Err((
                    None,
                    format!("'{}' of a constant by a field is not supported", op.name()),
                ));
            }
        } else {
            constant::check_divisor(op, &constant).map_err(|reason| (None, reason))?;
        }
        operand.arithmetic.push(Arithmetic {
            op,
            constant,
            reversed,
        });
        Ok(Meaning::Operand(operand))
    }

    fn compare(&self, op: CompareOp, left: &Expr, right: &Expr, expr: &Expr) -> Bind<Meaning> {
        let fault = |reason: String| Fault::new(expr.span.clone(), reason);
        let (operand, op, value) = match (self.bind(left)?, self.bind(right)?) {
            (Meaning::Constant(left), Meaning::Constant(right)) => {
                let holds = constant::comparison(op, &left, &right).map_err(fault)?;
                return Ok(Meaning::Constant(Constant::Bool(holds)));
            }
            (Meaning::Operand(operand), Meaning::Constant(value)) => (operand, op, value),
            (Meaning::Constant(value), Meaning::Operand(operand)) => {
                (operand, op.mirrored(), value)
            }
            (Meaning::Operand(left), Meaning::Operand(right)) => {
                return compare_fields(left, op, right).map_err(fault);
            }
            _ => {
                return Err(fault(
                    "a comparison can only be applied to fields and constants".into(),
                ));
            }
        };
        let equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual);
        if operand.class() == Class::Array && !equality {
            return Err(fault("can not comparisons array fields directly".into()));
        }
        if !equality && matches!(value, Constant::Bool(_) | Constant::List(_)) {
            return Err(fault(format!(
                "{} values have no order: only == and != compare them",
                value.type_name()
            )));
        }
        let value = cast(&operand, value).map_err(fault)?;
        let mut operand = operand;
        if let (Class::Json, Constant::Double(_)) = (operand.class(), &value) {
            // As in Milvus, the type of the value that JSON is compared with decides how its numbers are reckoned.
            for step in &mut operand.arithmetic {
                step.constant = Constant::Double(step.constant.as_f64().unwrap_or(0.0));
            }
        }
        Ok(Meaning::Predicate(Predicate::Compare(operand, op, value)))
    }

    pub(super) fn range(
        &self,
        column: &Expr,
        lower: Bound,
        upper: Bound,
        expr: &Expr,
    ) -> Bind<Meaning> {
        let fault = |reason: String| Fault::new(expr.span.clone(), reason);
        let Meaning::Operand(operand) = self.bind(column)? else {
            return Err(Fault::new(
                column.span.clone(),
                "range operations are only supported on single fields now",
            ));
        };
        if operand.class() == Class::Array {
            return Err(fault("can not comparisons array fields directly".into()));
        }
        let ends = |bound: Bound| -> Bind<Bound> {
            if matches!(bound.value, Constant::Bool(_) | Constant::List(_)) {
                return Err(fault(
                    "invalid range operations: a range is between numbers or strings".into(),
                ));
            }
            Ok(Bound {
                value: cast(&operand, bound.value).map_err(fault)?,
                ..bound
            })
        };
        let (lower, upper) = (ends(lower)?, ends(upper)?);
        let in_order = match lower.value.compare(&upper.value) {
            Some(std::cmp::Ordering::Less) => true,
            Some(std::cmp::Ordering::Equal) => lower.inclusive && upper.inclusive,
            _ => false,
        };
        if !in_order {
            return Err(fault(
                "invalid range: lowerbound is greater than upperbound".into(),
            ));
        }
        Ok(Meaning::Predicate(Predicate::Range(operand, lower, upper)))
    }

    pub(super) fn membership(&self, value: &Expr, list: &Expr, negated: bool) -> Bind<Meaning> {
        let Meaning::Operand(operand) = self.bind(value)? else {
            return Err(Fault::new(
                value.span.clone(),
                "'term' can only be used on single field",
            ));
        };
        if operand.class() == Class::Array || !operand.is_plain() {
            return Err(Fault::new(
                value.span.clone(),
                "'term' can only be used on single field",
            ));
        }
        let elements = match self.constant(list, "the list of 'in'")? {
            Constant::List(elements) => elements,
            other => {
                let reason =
                    format!("the right-hand side of 'in' must be a list, but got: {other}");
                return Err(Fault::new(list.span.clone(), reason));
            }
        };
        let mut cast_elements = Vec::with_capacity(elements.len());
        for element in elements {
            let shown = element.to_string();
            // A list in the list has no meaning, not even for JSON.
            let fits = !matches!(element, Constant::List(_));
            let value = cast(&operand, element).ok().filter(|_| fits);
            cast_elements.push(value.ok_or_else(|| {
                let kind = operand.type_name();
                Fault::new(
                    list.span.clone(),
                    format!("value '{shown}' in list cannot be casted to {kind}"),
                )
            })?);
        }
        let predicate = Predicate::In(operand, ConstantSet::new(&cast_elements));
        Ok(Meaning::Predicate(if negated {
            Predicate::Not(Box::new(predicate))
        } else {
            predicate
        }))
    }

    fn pattern(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Bind<Meaning> {
        let name = if op == BinaryOp::Like {
            "like"
        } else {
            "regex match"
        };
        let Meaning::Operand(operand) = self.bind(left)? else {
            return Err(Fault::new(
                left.span.clone(),
                format!("the left operand of {name} must be a field"),
            ));
        };
        if !matches!(operand.class(), Class::Text | Class::Json) || !operand.is_plain() {
            let reason = format!("{name} operation on non-string or no-json field is unsupported");
            return Err(Fault::new(left.span.clone(), reason));
        }
        let Constant::Text(pattern) = self.constant(right, name)? else {
            return Err(Fault::new(
                right.span.clone(),
                format!("the pattern of {name} must be a string"),
            ));
        };
        Ok(Meaning::Predicate(match op {
            BinaryOp::Like => Predicate::Like(operand, LikePattern::new(&pattern)),
            _ => {
                let pattern = regex::bytes::RegexBuilder::new(&pattern)
                    .size_limit(REGEX_LIMIT)
                    .build()
                    .map_err(|error| {
                        Fault::new(
                            right.span.clone(),
                            format!("invalid regular expression: {error}"),
                        )
                    })?;
                Predicate::Regex {
                    operand,
                    pattern,
                    negated: op == BinaryOp::RegexNotMatch,
                }
            }
        }))
    }

    pub(super) fn exists(&self, column: &Expr) -> Bind<Predicate> {
        match self.bind(column)? {
            Meaning::Operand(operand) if operand.is_plain() => match &operand.access {
                Access::Path(path) if path.is_empty() => Err(Fault::new(
                    column.span.clone(),
                    "exists operations are only supportted on json key",
                )),
                Access::Path(_) => Ok(Predicate::Exists(operand)),
                _ => {
                    let reason = format!(
                        "exists operations are only supportted on json field, got:{}",
                        operand.type_name()
                    );
                    Err(Fault::new(column.span.clone(), reason))
                }
            },
            _ => Err(Fault::new(
                column.span.clone(),
                "exists operations are only supported on single fields now",
            )),
        }
    }

    pub(super) fn null_test(&self, column: &Expr, negated: bool) -> Bind<Meaning> {
        let not = |predicate, negate: bool| {
            if negate {
                Predicate::Not(Box::new(predicate))
            } else {
                predicate
            }
        };
        if let Some(member) = self.whole_array(column) {
            return Ok(Meaning::Predicate(not(Predicate::IsNull(member), negated)));
        }
        if let Some(array) = self.array {
            let reason = format!(
                "the members of a struct of '{array}' can't be null; ask for '{array} is null' outside of the condition"
            );
            return Err(Fault::new(column.span.clone(), reason));
        }
        let Meaning::Operand(operand) = self.bind(column)? else {
            return Err(Fault::new(
                column.span.clone(),
                "'is null' can only be used on a field",
            ));
        };
        Ok(Meaning::Predicate(match &operand.access {
            Access::Path(path) if !path.is_empty() && operand.is_plain() => {
                not(Predicate::Exists(operand), !negated)
            }
            Access::Path(_) | Access::Whole if operand.is_plain() => {
                not(Predicate::IsNull(operand.field), negated)
            }
            _ => {
                return Err(Fault::new(
                    column.span.clone(),
                    "'is null' can only be used on a field",
                ));
            }
        }))
    }

    pub(super) fn instant_field(&self, column: &Expr) -> Bind<Arc<Field>> {
        match self.bind(column)? {
            Meaning::Operand(operand)
                if operand.class() == Class::Instant
                    && operand.is_plain()
                    && matches!(operand.access, Access::Whole) =>
            {
                Ok(operand.field)
            }
            Meaning::Operand(operand) => {
                let reason = format!(
                    "ISO and INTERVAL need a Timestamptz field, '{}' is {}",
                    operand.field.name,
                    operand.type_name()
                );
                Err(Fault::new(column.span.clone(), reason))
            }
            _ => Err(Fault::new(
                column.span.clone(),
                "ISO and INTERVAL need a Timestamptz field",
            )),
        }
    }
}

/// `left op right` between two fields of one class.
fn compare_fields(left: Operand, op: CompareOp, right: Operand) -> Result<Meaning, String> {
    if !left.arithmetic.is_empty() || !right.arithmetic.is_empty() {
        return Err(
            "comparisons with arithmetic can only be between a field and a constant".into(),
        );
    }
    if !matches!(
        (&left.access, &right.access),
        (Access::Whole, Access::Whole)
    ) {
        return Err(
            "comparisons between two fields can't use JSON keys, array elements or lengths".into(),
        );
    }
    let (first, second) = (left.class(), right.class());
    let comparable = (first.is_number() && second.is_number())
        || (first == second && matches!(first, Class::Text | Class::Instant | Class::Bool));
    if !comparable {
        return Err(format!(
            "comparisons between {} and {} are not supported",
            left.type_name(),
            right.type_name()
        ));
    }
    if first == Class::Bool && !matches!(op, CompareOp::Equal | CompareOp::NotEqual) {
        return Err("Bool values have no order: only == and != compare them".into());
    }
    Ok(Meaning::Predicate(Predicate::CompareFields(
        left.field,
        op,
        right.field,
    )))
}
