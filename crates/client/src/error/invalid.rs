//! A value that breaks a rule of the schema: which row, which field, which rule.
//!
//! Invariant: a rule is stated with the numbers that were compared, so that nobody has to look up the
//! schema to understand the message.

use std::fmt;

use crate::schema::DataType;

/// A value that the collection's schema does not allow. Nothing was sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InvalidValue {
    /// The collection; empty when a schema is checked on its own.
    pub collection: String,
    /// The row, counted from 0 in the caller's input; `None` when the whole column is at fault.
    pub row: Option<u64>,
    /// The field; empty when the row as a whole is at fault.
    pub field: String,
    /// The rule it breaks.
    pub rule: Rule,
}

/// A rule that a value can break.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// The field must be given.
    Required,
    /// The field must not be null.
    NotNull,
    /// The schema has no such field, and the collection has no dynamic fields.
    Unknown,
    /// The server fills the field itself; it must not be given.
    FilledByServer,
    /// The field is given twice.
    GivenOnce,
    /// The value has the wrong type.
    Type {
        /// What the field holds.
        expected: DataType,
        /// What was given.
        found: String,
    },
    /// The vector has the wrong number of dimensions.
    Dimension {
        /// The field's number of dimensions.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// A packed vector column is not a whole number of vectors.
    WholeVectors {
        /// Bytes of one vector.
        vector_bytes: usize,
        /// Bytes given.
        found: usize,
    },
    /// The value must be a finite number.
    Finite {
        /// The place in the vector or array, when it is one.
        element: Option<usize>,
    },
    /// The text is too long.
    MaxLength {
        /// The limit, in bytes of UTF-8.
        limit: usize,
        /// The text's length, in bytes of UTF-8.
        found: usize,
    },
    /// The array has too many elements.
    MaxCapacity {
        /// The limit.
        limit: usize,
        /// The array's length.
        found: usize,
    },
    /// The number does not fit.
    Range {
        /// What the field holds.
        expected: DataType,
        /// The number.
        found: String,
    },
    /// The columns must have the same number of rows.
    RowCount {
        /// Rows of the columns before.
        expected: usize,
        /// Rows of this one.
        found: usize,
    },
    /// A column with nulls must have one value for each of its other rows: vectors are given as
    /// `Option<Vec<f32>>`, not number by number.
    ValueCount {
        /// Rows that are not null.
        expected: usize,
        /// Values given, of the field's type.
        found: usize,
    },
    /// A sparse vector's indices are below 2³²−1, each given once (in its packed form: in ascending order).
    SparseIndex {
        /// The index at fault.
        index: u64,
    },
    /// The value must be valid JSON.
    Json(String),
    /// The row cannot be read: its `Serialize` implementation refused, or it is not a map or struct.
    Row(String),
}

impl Rule {
    /// Of rows that must all give a field or none, some gave it.
    pub(crate) fn uneven() -> Self {
        let problem =
            "some rows give this field and others do not; either all of them must or none";
        Self::Row(problem.to_owned())
    }
}

impl InvalidValue {
    pub(crate) fn new(field: impl Into<String>, row: Option<u64>, rule: Rule) -> Self {
        Self {
            collection: String::new(),
            row,
            field: field.into(),
            rule,
        }
    }

    pub(crate) fn in_collection(mut self, collection: &str) -> Self {
        collection.clone_into(&mut self.collection);
        self
    }

    /// Moves the row number from a part's counting to the whole input's.
    pub(crate) fn after_rows(mut self, rows: u64) -> Self {
        self.row = self.row.map(|row| row + rows);
        self
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if !self.collection.is_empty() {
            write!(formatter, "collection `{}`", self.collection)?;
            separator = ", ";
        }
        if let Some(row) = self.row {
            write!(formatter, "{separator}row {row}")?;
            separator = ", ";
        }
        if !self.field.is_empty() {
            write!(formatter, "{separator}field `{}`", self.field)?;
            separator = ", ";
        }
        if !separator.is_empty() {
            formatter.write_str(": ")?;
        }
        write!(formatter, "{}; nothing was sent", self.rule)
    }
}

impl std::error::Error for InvalidValue {}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => formatter
                .write_str("a value is required (the field is not nullable and has no default)"),
            Self::NotNull => formatter
                .write_str("null is not allowed (the field is not nullable and has no default)"),
            Self::Unknown => formatter.write_str(
                "the schema has no such field, and the collection does not take dynamic fields",
            ),
            Self::FilledByServer => {
                formatter.write_str("the server fills this field itself; leave it out")
            }
            Self::GivenOnce => formatter.write_str("the field is given twice"),
            Self::Type { expected, found } => {
                write!(formatter, "expected {expected}, found {found}")
            }
            Self::Dimension { expected, found } => write!(
                formatter,
                "the vector has {found} dimensions, the field has {expected}"
            ),
            Self::WholeVectors {
                vector_bytes,
                found,
            } => write!(
                formatter,
                "{found} bytes are not a whole number of vectors of {vector_bytes} bytes"
            ),
            Self::Finite { element: None } => {
                formatter.write_str("the number is NaN or infinite; it must be finite")
            }
            Self::Finite {
                element: Some(element),
            } => write!(
                formatter,
                "element {element} is NaN or infinite; it must be finite"
            ),
            Self::MaxLength { limit, found } => write!(
                formatter,
                "the text is {found} bytes long, max_length is {limit} bytes"
            ),
            Self::MaxCapacity { limit, found } => write!(
                formatter,
                "the array has {found} elements, max_capacity is {limit}"
            ),
            Self::Range { expected, found } => {
                write!(formatter, "{found} is out of the range of {expected}")
            }
            Self::RowCount { expected, found } => write!(
                formatter,
                "the column has {found} rows, the columns before it have {expected}"
            ),
            Self::ValueCount { expected, found } => write!(
                formatter,
                "the column has {found} values of the field's type for {expected} rows that are not null"
            ),
            Self::SparseIndex { index } => write!(
                formatter,
                "sparse index {index} is given twice, out of order, or not below 4294967295"
            ),
            Self::Json(problem) => write!(formatter, "not valid JSON: {problem}"),
            Self::Row(problem) => write!(formatter, "the row cannot be read: {problem}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_row_field_and_rule() {
        let invalid = InvalidValue::new(
            "title",
            Some(3),
            Rule::MaxLength {
                limit: 5,
                found: 11,
            },
        )
        .in_collection("docs");
        insta::assert_snapshot!(invalid, @"collection `docs`, row 3, field `title`: the text is 11 bytes long, max_length is 5 bytes; nothing was sent");
    }
}
