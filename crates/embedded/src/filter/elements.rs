//! Binds conditions on the structs of an array: `element_filter`, the `match_…` family, and the members that they name.
//!
//! The invariant is that of Milvus: inside of such a condition only `$[member]` names a field, outside only `array[member]` does; the
//! conditions don't nest.

use std::sync::Arc;

use super::ast::{ColumnRef, Expr, ExprKind, Subscript};
use super::bind::{Bind, Binder};
use super::constant::Constant;
use super::error::Fault;
use super::plan::{Access, Operand, Predicate};
use super::schema::Field;
use crate::column::ColumnType;

/// How the parser calls the struct that a condition is about.
pub(super) const ELEMENT: &str = "$";

/// How many structs of a row have to satisfy a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
    Least(usize),
    Most(usize),
    Exact(usize),
}

impl Quantifier {
    /// Whether `matching` of `all` structs are as many as it takes.
    pub(super) fn accepts(self, matching: usize, all: usize) -> bool {
        match self {
            Self::Any => matching > 0,
            Self::All => matching == all,
            Self::Least(number) => matching >= number,
            Self::Most(number) => matching <= number,
            Self::Exact(number) => matching == number,
        }
    }
}

/// A condition on the structs of a row.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    /// A member of the array, for the places of the structs and for whether the row has any.
    pub(super) member: Arc<Field>,
    pub(super) quantifier: Quantifier,
    /// Its fields are the members, by their full names, with the types of their elements.
    pub(super) condition: Box<Predicate>,
    /// Whether it was written as `element_filter`, which has to be the last part of a filter.
    pub(super) last: bool,
}

impl Predicate {
    /// Whether an `element_filter` is a part of it.
    pub(super) fn has_element_filter(&self) -> bool {
        match self {
            Self::Elements(elements) => elements.last,
            Self::And(parts) => parts.iter().any(Self::has_element_filter),
            _ => false,
        }
    }
}

impl Binder<'_> {
    /// `element_filter(array, condition)`, `match_any(array, condition)`, …, `match_least(array, condition, threshold = n)`.
    pub(super) fn elements(
        &self,
        name: &str,
        array: &Expr,
        condition: &Expr,
        threshold: Option<&Expr>,
        expr: &Expr,
    ) -> Bind<Predicate> {
        if let Some(outer) = self.array {
            let reason = format!(
                "nested {name} is not supported, already inside a condition on the structs of field: {outer}"
            );
            return Err(Fault::new(expr.span.clone(), reason));
        }
        let ExprKind::Column(ColumnRef { name: owner, path }) = &array.kind else {
            return Err(Fault::new(
                array.span.clone(),
                format!("{name} needs the name of an array of structs"),
            ));
        };
        let Some(member) = self.schema.first_member(owner).filter(|_| path.is_empty()) else {
            return Err(Fault::new(
                array.span.clone(),
                format!("{name} works on arrays of structs, which '{owner}' is not"),
            ));
        };
        let quantifier = self.quantifier(name, threshold, expr)?;
        let inside = Binder {
            array: Some(owner),
            ..*self
        };
        Ok(Predicate::Elements(Elements {
            member: member.clone(),
            quantifier,
            condition: Box::new(inside.predicate(condition)?),
            last: name == "element_filter",
        }))
    }

    fn quantifier(&self, name: &str, threshold: Option<&Expr>, expr: &Expr) -> Bind<Quantifier> {
        match name {
            "element_filter" | "match_any" => return Ok(Quantifier::Any),
            "match_all" => return Ok(Quantifier::All),
            _ => {}
        }
        let Some(threshold) = threshold else {
            let reason = format!(
                "{name} needs a number of structs, as in: {name}(array, $[member] > 1, threshold=2)"
            );
            return Err(Fault::new(expr.span.clone(), reason));
        };
        let least = i64::from(name == "match_least");
        let number = match self.constant(threshold, "threshold")? {
            Constant::Int(number) if number >= least => usize::try_from(number).ok(),
            _ => None,
        };
        let Some(number) = number else {
            let rule = if least == 1 {
                "must be a positive integer"
            } else {
                "must be an integer that is not negative"
            };
            return Err(Fault::new(
                threshold.span.clone(),
                format!("the threshold of {name} {rule}"),
            ));
        };
        Ok(match name {
            "match_least" => Quantifier::Least(number),
            "match_most" => Quantifier::Most(number),
            _ => Quantifier::Exact(number),
        })
    }

    /// A column that is about arrays of structs: `$[member]`, `array[member]`, `array[0][member]`. `None` for others.
    pub(super) fn member_column(&self, column: &ColumnRef, expr: &Expr) -> Bind<Option<Operand>> {
        let fault = |reason: String| Err(Fault::new(expr.span.clone(), reason));
        let (array, member, access) = match (column.name.as_str(), self.array, &*column.path) {
            (ELEMENT, Some(array), [Subscript::Member(member)]) => (array, member, None),
            (ELEMENT, _, path) => {
                let member = match path {
                    [Subscript::Member(member)] => member,
                    _ => "member",
                };
                return fault(format!(
                    "$[{member}] can only be used inside element_filter or match_any, match_all, match_least, match_most, match_exact"
                ));
            }
            (name, Some(array), _) => {
                return fault(format!(
                    "a condition on the structs of '{array}' can only use their members, as in $[member]; write the one on '{name}' outside of it"
                ));
            }
            (name, None, [Subscript::Member(member)]) => (name, member, Some(Access::Whole)),
            (name, None, [Subscript::Index(index), Subscript::Member(member)]) => {
                let index = usize::try_from(*index).unwrap_or(usize::MAX);
                (name, member, Some(Access::Element(index)))
            }
            (name, None, path) => {
                let found = path.iter().find_map(|step| match step {
                    Subscript::Member(member) => Some(member),
                    _ => None,
                });
                return match found {
                    Some(member) => fault(unknown_member(member)),
                    None if path.is_empty() && self.schema.first_member(name).is_some() => {
                        fault(format!(
                            "'{name}' is an array of structs: use element_filter or match_any on it, or a member, as in {name}[member]"
                        ))
                    }
                    None => Ok(None),
                };
            }
        };
        let full = crate::catalog::member_name(array, member);
        let Some(field) = self.schema.field(&full) else {
            return fault(match self.schema.first_member(array) {
                Some(_) => format!("array of structs '{array}' has no member '{member}'"),
                None => unknown_member(member),
            });
        };
        let ColumnType::Array(element) = field.kind else {
            return fault(unknown_member(member));
        };
        if element.is_vector() {
            return fault(format!("a filter can't use the vector field '{full}'"));
        }
        let (field, access) = match access {
            Some(access) => (field.clone(), access),
            None => (
                Arc::new(Field::new(full, element.column_type())),
                Access::Whole,
            ),
        };
        Ok(Some(Operand {
            field,
            access,
            arithmetic: Vec::new(),
        }))
    }

    /// A member of the array of structs that a whole expression names, for asking whether a row has one.
    pub(super) fn whole_array(&self, expr: &Expr) -> Option<Arc<Field>> {
        match &expr.kind {
            ExprKind::Column(ColumnRef { name, path })
                if path.is_empty() && self.array.is_none() =>
            {
                self.schema.first_member(name).cloned()
            }
            _ => None,
        }
    }
}

fn unknown_member(member: &str) -> String {
    format!("expected a JSON key in quotes or the index of an element, found '{member}'")
}
