//! Filter expressions: Milvus's language, from text to a bitmap of rows.
//!
//! ```text
//! text ─ token ─▶ parse ─▶ tree ─ bind(schema, templates) ─▶ plan ─ evaluate(columns) ─▶ Bitmap
//! ```
//!
//! [`compile`] does the first three; a [`Plan`] is immutable, knows no data, and may be cached by text and schema version. Its
//! evaluation walks whole columns, not rows: every condition yields two bit planes (true, and known), because a comparison with
//! null is neither true nor false; `and`, `or` and `not` work on words of 64 rows, and a condition that is dear to evaluate is
//! asked only for rows that cheaper ones have left open.
//!
//! Semantics follow Milvus: strings compare by bytes; `Float` fields compare in 32 bits; a JSON path that is absent or of
//! another type matches nothing but `!=`; JSON integers and floats compare across types. A condition on the structs of an array is
//! unknown where the array is null.

mod ast;
mod bind;
mod condition;
mod constant;
mod elements;
mod error;
mod evaluate;
mod function;
mod geometry;
mod like;
mod literal;
mod parse;
mod plan;
mod primary;
mod schema;
#[cfg(test)]
mod tests;
mod time;
mod token;

pub use constant::Constant;
pub use error::FilterError;
pub use geometry::check_wkt;
pub use schema::{DYNAMIC_FIELD, Field, Schema, Templates, template_constant};
pub use time::{format_instant, parse_instant};

use crate::column::{Bitmap, Columns};

/// A filter that is bound to a schema.
///
/// ```
/// use milvus_embedded::column::{Column, ColumnType, RowBatch};
/// use milvus_embedded::filter::{Field, Schema, Templates, compile};
///
/// let schema = Schema::new([Field::new("id", ColumnType::Int64)], false);
/// let plan = compile("id in [2, 3] or id > 40", &schema, &Templates::new())?;
/// let mut rows = RowBatch::new(3);
/// rows.push("id", Column::from_i64(vec![1, 2, 42]))?;
/// assert_eq!(plan.evaluate(&rows).ones().collect::<Vec<_>>(), [1, 2]);
///
/// let error = compile("id > 'x'", &schema, &Templates::new()).unwrap_err();
/// assert_eq!(error.reason(), r#"cannot cast value to Int64, value: "x""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    predicate: plan::Predicate,
}

/// Parses an expression and binds it to a schema. An expression of white space alone matches every row.
///
/// # Errors
/// When the expression is malformed, names unknown fields or template values, or mixes types; the error shows the place.
pub fn compile(
    expression: &str,
    schema: &Schema,
    templates: &Templates,
) -> Result<Plan, FilterError> {
    if expression.trim().is_empty() {
        return Ok(Plan {
            predicate: plan::Predicate::Constant(true),
        });
    }
    let predicate = parse::parse(expression)
        .and_then(|tree| bind::bind(&tree, schema, templates))
        .map_err(|fault| fault.in_expression(expression))?;
    Ok(Plan { predicate })
}

impl Plan {
    /// The rows that match. Deleted rows and other visibility are the caller's to take out.
    pub fn evaluate(&self, columns: &dyn Columns) -> Bitmap {
        self.evaluate_seeded(columns, fastrand::u64(..))
    }

    /// As [`Plan::evaluate`], with the choice of `random_sample` fixed by `seed`.
    pub fn evaluate_seeded(&self, columns: &dyn Columns, seed: u64) -> Bitmap {
        evaluate::evaluate(&self.predicate, columns, seed)
    }

    /// Whether the plan matches every row whatever it holds, so that evaluation can be left out.
    pub fn matches_all(&self) -> bool {
        matches!(self.predicate, plan::Predicate::Constant(true))
    }

    /// The values that the primary key must be one of, when the filter is `field == value` or `field in [...]` (or an `and` with
    /// such a part): lets the caller look rows up instead of scanning. `None` when the filter does not pin the field.
    pub fn pinned_values(&self, field: &str) -> Option<Vec<Constant>> {
        self.predicate.pinned(field)
    }

    /// How many values the filter lists for the field, equal ones each for itself, when it says nothing else: every row
    /// with one of them matches.
    pub fn listed_values(&self, field: &str) -> Option<usize> {
        use plan::Predicate::{Compare, In};
        let pinned = self.predicate.pinned(field)?;
        match &self.predicate {
            Compare(..) => Some(pinned.len()),
            In(_, set) => Some(set.written),
            _ => None,
        }
    }
}
