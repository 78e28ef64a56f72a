//! The meaning of an expression for one row, written as directly as possible: it walks the tree as parsed, with no plan, no
//! columns and no bit planes. `None` is "unknown". It trusts that the expression is well typed.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::Value as Json;

use super::super::ast::{
    ArithmeticOp, BinaryOp, ColumnRef, CompareOp, Expr, ExprKind, Sign, Subscript, UnaryOp,
};
use super::super::time::{Interval, parse_instant};
use super::rows::Row;

#[derive(Debug, Clone, PartialEq)]
enum Val {
    /// A null field.
    Unknown,
    /// No such element of an array field.
    NoElement,
    Bool(bool),
    Int(i64),
    Single(f32),
    Double(f64),
    Text(String),
    List(Vec<Val>),
    /// A place in a JSON field, or its absence.
    Json(Option<Json>),
}

fn from_json(value: &Json) -> Val {
    match value {
        Json::Bool(flag) => Val::Bool(*flag),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| Val::Double(number.as_f64().unwrap()), Val::Int),
        Json::String(text) => Val::Text(text.clone()),
        Json::Array(list) => Val::List(list.iter().map(from_json).collect()),
        Json::Null | Json::Object(_) => Val::Json(None),
    }
}

pub(super) fn holds(expr: &Expr, row: &Row) -> Option<bool> {
    match &expr.kind {
        ExprKind::Bool(flag) => Some(*flag),
        ExprKind::Unary(UnaryOp::Not, operand) => holds(operand, row).map(|flag| !flag),
        ExprKind::And(operands) => {
            let all: Vec<_> = operands.iter().map(|operand| holds(operand, row)).collect();
            if all.contains(&Some(false)) {
                Some(false)
            } else if all.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        ExprKind::Or(operands) => {
            let all: Vec<_> = operands.iter().map(|operand| holds(operand, row)).collect();
            if all.contains(&Some(true)) {
                Some(true)
            } else if all.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        ExprKind::Binary(BinaryOp::Compare(op), left, right) => {
            let doubles =
                matches!(left.kind, ExprKind::Float(_)) || matches!(right.kind, ExprKind::Float(_));
            compare(value(left, row, doubles), *op, value(right, row, doubles))
        }
        ExprKind::Range { .. } | ExprKind::In { .. } | ExprKind::Binary(..) => is_among(expr, row),
        ExprKind::Exists(_) | ExprKind::IsNull { .. } => Some(is_present(expr, row)),
        ExprKind::Instant {
            column,
            interval,
            op,
            instant,
        } => {
            let Val::Int(micros) = value(column, row, false) else {
                return None;
            };
            let moved = match interval {
                None => micros,
                Some((sign, text, _)) => {
                    let interval = Interval::parse(text).unwrap();
                    (if *sign == Sign::Minus {
                        interval.negated()
                    } else {
                        interval
                    })
                    .added_to(micros)
                    .unwrap()
                }
            };
            Some(op.accepts(Some(moved.cmp(&parse_instant(&instant.0).unwrap()))))
        }
        ExprKind::Call {
            name,
            arguments,
            option,
        } if name.starts_with("match_") || name == "element_filter" => {
            let threshold = option.as_ref().map(|(_, number)| value(number, row, false));
            counts(name, &arguments[1], threshold, row)
        }
        ExprKind::Call {
            name, arguments, ..
        } => contains(name, &arguments[0], &arguments[1], row),
        other => panic!("not a condition: {other:?}"),
    }
}

/// Whether as many structs satisfy the condition as it takes.
fn counts(name: &str, condition: &Expr, threshold: Option<Val>, row: &Row) -> Option<bool> {
    let structs = row.k.clone()?;
    let all = structs.len() as i64;
    let satisfies = |element: &(i32, String)| {
        let row = Row {
            element: Some(element.clone()),
            ..row.clone()
        };
        holds(condition, &row) == Some(true)
    };
    let found = structs.iter().filter(|element| satisfies(element)).count() as i64;
    Some(match (name, threshold) {
        ("match_all", None) => found == all,
        ("match_any" | "element_filter", None) => found >= 1,
        ("match_least", Some(Val::Int(number))) => found >= number,
        ("match_most", Some(Val::Int(number))) => found <= number,
        ("match_exact", Some(Val::Int(number))) => found == number,
        other => panic!("no quantifier: {other:?}"),
    })
}

/// Ranges, membership and patterns.
fn is_among(expr: &Expr, row: &Row) -> Option<bool> {
    match &expr.kind {
        ExprKind::Range {
            column,
            lower,
            lower_inclusive,
            upper,
            upper_inclusive,
        } => {
            let (above, below) = (
                if *lower_inclusive {
                    CompareOp::GreaterEqual
                } else {
                    CompareOp::Greater
                },
                if *upper_inclusive {
                    CompareOp::LessEqual
                } else {
                    CompareOp::Less
                },
            );
            let lower = compare(value(column, row, false), above, value(lower, row, false))?;
            Some(compare(value(column, row, false), below, value(upper, row, false))? && lower)
        }
        ExprKind::In {
            value: operand,
            list,
            negated,
        } => {
            let Val::List(wanted) = value(list, row, false) else {
                panic!("no list")
            };
            let found = match value(operand, row, false) {
                Val::Unknown => return None,
                found => wanted
                    .into_iter()
                    .any(|wanted| compare(found.clone(), CompareOp::Equal, wanted) == Some(true)),
            };
            Some(found != *negated)
        }
        ExprKind::Binary(
            op @ (BinaryOp::Like | BinaryOp::RegexMatch | BinaryOp::RegexNotMatch),
            left,
            right,
        ) => {
            let Val::Text(pattern) = value(right, row, false) else {
                panic!("no pattern")
            };
            let pattern = if *op == BinaryOp::Like {
                like_as_regex(&pattern)
            } else {
                pattern
            };
            let matched = match value(left, row, false) {
                Val::Unknown => return None,
                Val::Text(text) | Val::Json(Some(Json::String(text))) => finds(&pattern, &text),
                _ => false,
            };
            Some(matched != (*op == BinaryOp::RegexNotMatch))
        }
        other => panic!("not a condition: {other:?}"),
    }
}

fn is_present(expr: &Expr, row: &Row) -> bool {
    match &expr.kind {
        ExprKind::Exists(column) => is_there(&value(column, row, false)),
        ExprKind::IsNull { column, negated } => {
            let found = value(column, row, false);
            let whole = !matches!(found, Val::Json(_))
                || matches!(&column.kind, ExprKind::Column(column) if column.name == "j" && column.path.is_empty());
            let present = if whole {
                found != Val::Unknown
            } else {
                is_there(&found)
            };
            // A path into a null JSON field is absent, not unknown.
            present == *negated
        }
        other => panic!("not a condition: {other:?}"),
    }
}

fn is_there(value: &Val) -> bool {
    matches!(value, Val::Json(Some(found)) if !found.is_null())
}

fn contains(name: &str, field: &Expr, values: &Expr, row: &Row) -> Option<bool> {
    let list = match value(field, row, false) {
        Val::Unknown => return None,
        Val::List(list) => list,
        Val::Json(Some(Json::Array(list))) => list.iter().map(from_json).collect(),
        _ => return Some(false),
    };
    let has = |wanted: &Val| list.iter().any(|element| equal(element, wanted));
    Some(match (name.rsplit('_').next(), value(values, row, false)) {
        (Some("all"), Val::List(wanted)) => wanted.iter().all(has),
        (Some("any"), Val::List(wanted)) => wanted.iter().any(has),
        (_, wanted) => has(&wanted),
    })
}

/// Compiled expressions are kept: compiling takes far longer than matching.
fn finds(pattern: &str, text: &str) -> bool {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, regex::Regex>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        let expression = compiled
            .entry(pattern.to_owned())
            .or_insert_with(|| regex::Regex::new(pattern).unwrap());
        expression.is_match(text)
    })
}

fn like_as_regex(pattern: &str) -> String {
    let mut expression = String::from("(?s)^");
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            '%' => expression.push_str(".*"),
            '_' => expression.push('.'),
            '\\' => expression.push_str(&regex::escape(
                &characters.next().unwrap_or('\\').to_string(),
            )),
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression + "$"
}

fn equal(left: &Val, right: &Val) -> bool {
    match (left, right) {
        (Val::List(left), Val::List(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| equal(left, right))
        }
        _ => order(left, right) == Some(Some(Ordering::Equal)),
    }
}

/// `None` for values that can't be compared, `Some(None)` with NaN.
fn order(left: &Val, right: &Val) -> Option<Option<Ordering>> {
    let double = |value: &Val| match value {
        Val::Int(number) => Some(*number as f64),
        Val::Single(number) => Some(f64::from(*number)),
        Val::Double(number) => Some(*number),
        _ => None,
    };
    match (left, right) {
        (Val::Bool(left), Val::Bool(right)) => Some(Some(left.cmp(right))),
        (Val::Text(left), Val::Text(right)) => Some(Some(left.cmp(right))),
        (Val::Int(left), Val::Int(right)) => Some(Some(left.cmp(right))),
        (left, right) => Some(double(left)?.partial_cmp(&double(right)?)),
    }
}

fn compare(left: Val, op: CompareOp, right: Val) -> Option<bool> {
    match (left, right) {
        (Val::Unknown, _) | (_, Val::Unknown) => None,
        (Val::NoElement, _) | (_, Val::NoElement) => Some(false),
        (
            left @ (Val::Bool(_) | Val::Int(_) | Val::Double(_) | Val::Text(_) | Val::List(_)),
            right @ Val::Json(_),
        ) => compare(right, op.mirrored(), left),
        (Val::Json(found), right) => match (found.as_ref().map(from_json), &right) {
            (Some(Val::List(list)), Val::List(_)) => {
                Some(equal(&Val::List(list), &right) == (op == CompareOp::Equal))
            }
            (_, Val::List(_)) => Some(false),
            (Some(found), _) => Some(
                order(&found, &right)
                    .map_or(op == CompareOp::NotEqual, |ordering| op.accepts(ordering)),
            ),
            (None, _) => Some(op == CompareOp::NotEqual),
        },
        (left @ Val::List(_), right) => Some(equal(&left, &right) == (op == CompareOp::Equal)),
        (left, right) => Some(op.accepts(order(&left, &right).unwrap())),
    }
}

/// The value of an operand. A `Float` field makes a constant beside it 32 bits wide, which [`Val::Single`] constants stand for.
fn value(expr: &Expr, row: &Row, doubles: bool) -> Val {
    match &expr.kind {
        ExprKind::Bool(flag) => Val::Bool(*flag),
        ExprKind::Integer(number) => Val::Int(*number as i64),
        ExprKind::Float(number) => Val::Double(*number),
        ExprKind::Text(text) => Val::Text(text.clone()),
        ExprKind::List(elements) => Val::List(
            elements
                .iter()
                .map(|element| value(element, row, doubles))
                .collect(),
        ),
        ExprKind::Unary(UnaryOp::Minus, operand) => match value(operand, row, doubles) {
            Val::Int(number) => Val::Int(-number),
            Val::Double(number) => Val::Double(-number),
            other => panic!("{other:?} has no sign"),
        },
        ExprKind::Column(column) => field(column, row),
        ExprKind::Call {
            name, arguments, ..
        } if name == "array_length" => match value(&arguments[0], row, doubles) {
            Val::Unknown => Val::Unknown,
            Val::List(list) => Val::Int(list.len() as i64),
            Val::Json(Some(Json::Array(list))) => Val::Int(list.len() as i64),
            _ => Val::Int(0),
        },
        ExprKind::Binary(BinaryOp::Arithmetic(op), left, right) => reckon(
            *op,
            value(left, row, doubles),
            value(right, row, doubles),
            doubles,
        ),
        other => panic!("not a value: {other:?}"),
    }
}

fn reckon(op: ArithmeticOp, left: Val, right: Val, doubles: bool) -> Val {
    let apply = |left: f64, right: f64| match op {
        ArithmeticOp::Add => left + right,
        ArithmeticOp::Subtract => left - right,
        ArithmeticOp::Multiply => left * right,
        ArithmeticOp::Divide => left / right,
        ArithmeticOp::Modulo => left.trunc() % right.trunc(),
    };
    let json = |value: &Val| match value {
        Val::Json(Some(found @ Json::Number(_))) => Some(from_json(found)),
        _ => None,
    };
    match (&left, &right) {
        (Val::Unknown, _) | (_, Val::Unknown) => Val::Unknown,
        (Val::NoElement, _) | (_, Val::NoElement) => Val::NoElement,
        (Val::Json(_), _) | (_, Val::Json(_)) => {
            let known = |value: &Val| {
                if matches!(value, Val::Json(_)) {
                    json(value)
                } else {
                    Some(value.clone())
                }
            };
            let (Some(left), Some(right)) = (known(&left), known(&right)) else {
                return Val::Json(None);
            };
            let widen = |value: Val| match value {
                Val::Int(number) if doubles => Val::Double(number as f64),
                other => other,
            };
            match reckon(op, widen(left), widen(right), doubles) {
                Val::Int(number) => Val::Json(Some(number.into())),
                Val::Double(number) => Val::Json(Some(number.into())),
                other => other,
            }
        }
        (Val::Int(left), Val::Int(right)) => Val::Int(match op {
            ArithmeticOp::Add => left + right,
            ArithmeticOp::Subtract => left - right,
            ArithmeticOp::Multiply => left * right,
            ArithmeticOp::Divide => left / right,
            ArithmeticOp::Modulo => left % right,
        }),
        (left, right) => {
            let double = |value: &Val| match value {
                Val::Int(number) => *number as f64,
                Val::Single(number) => f64::from(*number),
                Val::Double(number) => *number,
                other => panic!("{other:?} is no number"),
            };
            let result = apply(double(left), double(right));
            if matches!(left, Val::Single(_)) || matches!(right, Val::Single(_)) {
                Val::Single(result as f32)
            } else {
                Val::Double(result)
            }
        }
    }
}

fn member((number, text): &(i32, String), name: Option<&Subscript>) -> Val {
    match name {
        Some(Subscript::Member(name)) if name == "n" => Val::Int((*number).into()),
        Some(Subscript::Member(name)) if name == "t" => Val::Text(text.clone()),
        other => panic!("no member: {other:?}"),
    }
}

fn field(column: &ColumnRef, row: &Row) -> Val {
    let known = |value: Option<Val>| value.unwrap_or(Val::Unknown);
    let place = |json: &Json, first: Option<&str>| {
        let steps = column.path.iter().map(|step| match step {
            Subscript::Key(key) => key.clone(),
            Subscript::Index(index) => index.to_string(),
            Subscript::Member(member) => panic!("{member} is no place in JSON"),
        });
        let pointer: String = first
            .map(str::to_owned)
            .into_iter()
            .chain(steps)
            .map(|step| format!("/{step}"))
            .collect();
        Val::Json(json.pointer(&pointer).cloned())
    };
    let element = |list: Vec<Val>| match column.path.first() {
        None => Val::List(list),
        Some(Subscript::Index(index)) => {
            list.get(*index as usize).cloned().unwrap_or(Val::NoElement)
        }
        Some(_) => panic!("arrays have no keys"),
    };
    match column.name.as_str() {
        "i8" => known(row.i8.map(|number| Val::Int(number.into()))),
        "i64" => Val::Int(row.i64),
        "f" => known(row.f.map(Val::Single)),
        "d" => known(row.d.map(Val::Double)),
        "b" => known(row.b.map(Val::Bool)),
        "s" => known(row.s.clone().map(Val::Text)),
        "ts" => known(row.ts.map(Val::Int)),
        "ai" => known(row.ai.clone().map(|list| {
            element(
                list.into_iter()
                    .map(|number| Val::Int(number.into()))
                    .collect(),
            )
        })),
        "at" => known(
            row.at
                .clone()
                .map(|list| element(list.into_iter().map(Val::Text).collect())),
        ),
        "$" => known(
            row.element
                .as_ref()
                .map(|element| member(element, column.path.last())),
        ),
        "k" if column.path.is_empty() => known(row.k.as_ref().map(|_| Val::List(Vec::new()))),
        "k" => known(row.k.as_ref().map(|structs| {
            let all = |element: &(i32, String)| member(element, column.path.last());
            match column.path.first() {
                Some(Subscript::Index(index)) => {
                    structs.get(*index as usize).map_or(Val::NoElement, all)
                }
                _ => Val::List(structs.iter().map(all).collect()),
            }
        })),
        "j" => known(row.j.as_ref().map(|json| place(json, None))),
        "$meta" => place(&row.meta, None),
        key => place(&row.meta, Some(key)),
    }
}
