//! Binds calls: text match, containment, length, sampling and geometry.

use std::sync::Arc;

use super::ast::{Expr, ExprKind};
use super::bind::{Bind, Binder, Class, Meaning, cast};
use super::constant::Constant;
use super::error::Fault;
use super::geometry::{Relation, Spatial};
use super::plan::{Access, ContainsMode, Operand, Predicate};
use super::schema::Field;
use crate::column::ColumnType;
use crate::text::TextQuery;

/// Names that a misspelt call is compared with.
const FUNCTIONS: [&str; 25] = [
    "text_match",
    "phrase_match",
    "random_sample",
    "json_contains",
    "json_contains_all",
    "json_contains_any",
    "array_contains",
    "array_contains_all",
    "array_contains_any",
    "array_length",
    "st_equals",
    "st_touches",
    "st_overlaps",
    "st_crosses",
    "st_contains",
    "st_intersects",
    "st_within",
    "st_dwithin",
    "st_isvalid",
    "element_filter",
    "match_all",
    "match_any",
    "match_least",
    "match_most",
    "match_exact",
];

type Argument<'a> = Option<&'a (String, Box<Expr>)>;

impl Binder<'_> {
    pub(super) fn call(
        &self,
        name: &str,
        arguments: &[Expr],
        option: Argument<'_>,
        expr: &Expr,
    ) -> Bind<Meaning> {
        let fault = |reason: String| Fault::new(expr.span.clone(), reason);
        check_option(name, option)?;
        let count = |wanted: std::ops::RangeInclusive<usize>| {
            if wanted.contains(&arguments.len()) {
                return Ok(());
            }
            let (least, most) = (wanted.start(), wanted.end());
            let wanted = if least == most {
                least.to_string()
            } else {
                format!("{least} to {most}")
            };
            Err(fault(format!(
                "{name} takes {wanted} arguments, found {}",
                arguments.len()
            )))
        };
        let predicate = match name {
            "text_match" => {
                count(2..=2)?;
                self.text_match(&arguments[0], &arguments[1], option)?
            }
            "phrase_match" => {
                count(2..=3)?;
                self.phrase_match(&arguments[0], &arguments[1], arguments.get(2))?
            }
            "random_sample" if self.array.is_some() => {
                return Err(fault(
                    "random_sample can't choose among the structs of an array".into(),
                ));
            }
            "random_sample" => {
                count(1..=1)?;
                self.random_sample(&arguments[0])?
            }
            "json_contains" | "array_contains" => {
                count(2..=2)?;
                self.contains(&arguments[0], &arguments[1], None)?
            }
            "json_contains_all" | "array_contains_all" => {
                count(2..=2)?;
                self.contains(&arguments[0], &arguments[1], Some(ContainsMode::All))?
            }
            "json_contains_any" | "array_contains_any" => {
                count(2..=2)?;
                self.contains(&arguments[0], &arguments[1], Some(ContainsMode::Any))?
            }
            "array_length" => {
                count(1..=1)?;
                return self.array_length(&arguments[0]);
            }
            "st_dwithin" => {
                count(3..=3)?;
                self.within_distance(arguments)?
            }
            "st_isvalid" => {
                count(1..=1)?;
                Predicate::Spatial(self.geometry_field(&arguments[0])?, Spatial::IsValid)
            }
            "element_filter" | "match_all" | "match_any" | "match_least" | "match_most"
            | "match_exact" => {
                count(2..=2)?;
                let threshold = option.map(|(_, value)| &**value);
                self.elements(name, &arguments[0], &arguments[1], threshold, expr)?
            }
            other => match relation(other) {
                Some(relation) => {
                    count(2..=2)?;
                    self.spatial(relation, &arguments[0], &arguments[1])?
                }
                None => return Err(fault(unknown(other))),
            },
        };
        Ok(Meaning::Predicate(predicate))
    }

    fn text_field(
        &self,
        argument: &Expr,
        what: &str,
    ) -> Bind<(Arc<Field>, Arc<crate::text::Analyzer>)> {
        let fault = |reason: String| Fault::new(argument.span.clone(), reason);
        let Meaning::Operand(operand) = self.bind(argument)? else {
            return Err(fault(format!("{what} operation needs a field")));
        };
        if operand.field.kind != ColumnType::Varchar || !operand.arithmetic.is_empty() {
            return Err(fault(format!(
                "{what} operation on non-string is unsupported"
            )));
        }
        match &operand.field.analyzer {
            Some(analyzer) => Ok((operand.field.clone(), analyzer.clone())),
            None => Err(fault(format!(
                "field \"{}\" does not enable match",
                operand.field.name
            ))),
        }
    }

    fn text(&self, argument: &Expr, what: &str) -> Bind<String> {
        match self.constant(argument, what)? {
            Constant::Text(text) => Ok(text),
            other => Err(Fault::new(
                argument.span.clone(),
                format!("{what} needs a string, found {other}"),
            )),
        }
    }

    fn text_match(&self, field: &Expr, query: &Expr, option: Argument<'_>) -> Bind<Predicate> {
        let (field, analyzer) = self.text_field(field, "text match")?;
        let minimum = match option {
            None => 1,
            Some((_, value)) => match self.constant(value, "minimum_should_match")? {
                Constant::Int(minimum @ 1..=1000) => usize::try_from(minimum).unwrap_or(1),
                other => {
                    let reason =
                        format!("minimum_should_match should be >= 1 and <= 1000, got {other}");
                    return Err(Fault::new(value.span.clone(), reason));
                }
            },
        };
        let query = TextQuery::any_of(analyzer, &self.text(query, "text match")?, minimum);
        Ok(Predicate::Text(field, query))
    }

    fn phrase_match(&self, field: &Expr, query: &Expr, slop: Option<&Expr>) -> Bind<Predicate> {
        let (field, analyzer) = self.text_field(field, "phrase match")?;
        let slop = match slop {
            None => 0,
            Some(argument) => match self.constant(argument, "slop")? {
                Constant::Int(slop) if u32::try_from(slop).is_ok() => slop.unsigned_abs(),
                other => {
                    let reason = format!(
                        "\"slop\" should be a const integer expression with \"uint32\" value. \"slop\" expression passed: {other}"
                    );
                    return Err(Fault::new(argument.span.clone(), reason));
                }
            },
        };
        let query = TextQuery::phrase(analyzer, &self.text(query, "phrase match")?, slop);
        Ok(Predicate::Text(field, query))
    }

    fn random_sample(&self, argument: &Expr) -> Bind<Predicate> {
        const NEAREST: f64 = 1e-10;
        match self.constant(argument, "random_sample")? {
            Constant::Double(share) if share > NEAREST && share < 1.0 - NEAREST => Ok(
                Predicate::Sample(share, Box::new(Predicate::Constant(true))),
            ),
            other => {
                let reason = format!(
                    "the sample factor should be between 0 and 1 and not too close to 0 or 1(the difference should be larger than 1e-10), but got {other}"
                );
                Err(Fault::new(argument.span.clone(), reason))
            }
        }
    }

    /// `mode` is absent for the forms that take one value instead of a list.
    fn contains(&self, field: &Expr, values: &Expr, mode: Option<ContainsMode>) -> Bind<Predicate> {
        let fault = |reason: &str| Fault::new(field.span.clone(), reason);
        let operand = match self.bind(field)? {
            Meaning::Operand(operand) if operand.arithmetic.is_empty() => operand,
            _ => {
                return Err(fault(
                    "contains operation are only supported on json or array fields now",
                ));
            }
        };
        let whole_array = matches!(
            (&operand.access, operand.field.kind),
            (Access::Whole, ColumnType::Array(_))
        );
        if !whole_array && !matches!(operand.access, Access::Path(_)) {
            return Err(fault(
                "contains operation are only supported on json or array fields now",
            ));
        }
        let value = self.constant(values, "contains operation")?;
        let values_list = match (mode, value) {
            (None, value) => vec![value],
            (Some(_), Constant::List(list)) => list,
            (Some(_), other) => {
                let reason =
                    format!("contains_all and contains_any operations need a list, found {other}");
                return Err(Fault::new(values.span.clone(), reason));
            }
        };
        let values_list = match operand.field.kind {
            ColumnType::Array(_) if whole_array => {
                let element = Operand {
                    access: Access::Element(0),
                    ..operand.clone()
                };
                let cast_all = values_list
                    .into_iter()
                    .map(|value| cast(&element, value))
                    .collect::<Result<_, _>>();
                cast_all.map_err(|reason| Fault::new(values.span.clone(), reason))?
            }
            _ => values_list,
        };
        Ok(Predicate::Contains(
            operand,
            mode.unwrap_or(ContainsMode::Any),
            values_list,
        ))
    }

    fn array_length(&self, argument: &Expr) -> Bind<Meaning> {
        let wrong = || {
            Err(Fault::new(
                argument.span.clone(),
                "array_length operation are only supported on json or array fields now",
            ))
        };
        let Meaning::Operand(operand) = self.bind(argument)? else {
            return wrong();
        };
        if !operand.arithmetic.is_empty() {
            return wrong();
        }
        let access = match (operand.access, operand.field.kind) {
            (Access::Path(path), _) => Access::PathLength(path),
            (Access::Whole, ColumnType::Array(_)) => Access::Length,
            _ => return wrong(),
        };
        Ok(Meaning::Operand(Operand {
            field: operand.field,
            access,
            arithmetic: Vec::new(),
        }))
    }

    fn geometry_field(&self, argument: &Expr) -> Bind<Arc<Field>> {
        match (&argument.kind, self.bind(argument)?) {
            (ExprKind::Column(_), Meaning::Operand(operand))
                if operand.class() == Class::Other
                    && operand.field.kind == ColumnType::Geometry =>
            {
                Ok(operand.field)
            }
            _ => Err(Fault::new(
                argument.span.clone(),
                "spatial functions are only supported on geometry fields",
            )),
        }
    }

    fn spatial(&self, relation: Relation, field: &Expr, wkt: &Expr) -> Bind<Predicate> {
        let field = self.geometry_field(field)?;
        let text = self.text(wkt, "a spatial function")?;
        let spatial = Spatial::relation(relation, &text)
            .map_err(|reason| Fault::new(wkt.span.clone(), reason))?;
        Ok(Predicate::Spatial(field, spatial))
    }

    fn within_distance(&self, arguments: &[Expr]) -> Bind<Predicate> {
        let field = self.geometry_field(&arguments[0])?;
        let text = self.text(&arguments[1], "st_dwithin")?;
        let metres = self.constant(&arguments[2], "st_dwithin")?;
        let Some(metres) = metres.as_f64().filter(|metres| *metres >= 0.0) else {
            let reason = format!(
                "the distance of st_dwithin is in metres and can't be negative, found {metres}"
            );
            return Err(Fault::new(arguments[2].span.clone(), reason));
        };
        let spatial = Spatial::within_distance(&text, metres)
            .map_err(|reason| Fault::new(arguments[1].span.clone(), reason))?;
        Ok(Predicate::Spatial(field, spatial))
    }
}

fn check_option(name: &str, option: Argument<'_>) -> Bind<()> {
    let Some((key, value)) = option else {
        return Ok(());
    };
    let known = match name {
        "text_match" => key == "minimum_should_match",
        "match_least" | "match_most" | "match_exact" => key == "threshold",
        _ => false,
    };
    if known {
        return Ok(());
    }
    Err(Fault::new(
        value.span.clone(),
        format!("{name} has no option '{key}'"),
    ))
}

fn relation(name: &str) -> Option<Relation> {
    Some(match name {
        "st_equals" => Relation::Equals,
        "st_touches" => Relation::Touches,
        "st_overlaps" => Relation::Overlaps,
        "st_crosses" => Relation::Crosses,
        "st_contains" => Relation::Contains,
        "st_intersects" => Relation::Intersects,
        "st_within" => Relation::Within,
        _ => return None,
    })
}

fn unknown(name: &str) -> String {
    let nearest = FUNCTIONS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .min();
    match nearest {
        Some((distance, known)) if distance <= 3 => {
            format!("function {name} not found; did you mean '{known}'?")
        }
        _ => format!("function {name} not found"),
    }
}
