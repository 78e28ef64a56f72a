//! Rows ready to be sent: one checked column for each field.
//!
//! Invariant: all columns have the same number of rows, and every field that must be given is there.

use super::FieldColumn;
use crate::describe_collection::CollectionDescription;
use crate::schema::FieldSchema;

/// What is done with the rows; decides which fields must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Insert,
    Upsert {
        /// Fields that are left out keep their values.
        partial: bool,
    },
}

impl Write {
    /// Whether rows must give this field.
    pub(crate) fn requires(self, field: &FieldSchema) -> bool {
        match self {
            Self::Insert => !field.is_optional(),
            Self::Upsert { partial: true } => field.is_primary_key,
            Self::Upsert { partial: false } => field.is_primary_key || !field.is_optional(),
        }
    }

    /// Whether rows may give this field.
    pub(crate) fn accepts(self, field: &FieldSchema, collection: &CollectionDescription) -> bool {
        if field.is_function_output {
            return false;
        }
        let made_up = field.is_primary_key && field.is_auto_id;
        let may_insert = collection
            .properties
            .get("allow_insert_auto_id")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        !made_up || self != Self::Insert || may_insert
    }

    /// Whether a nullable field that no row gives is sent as null; a partial upsert leaves it alone.
    pub(crate) fn fills_absent(self) -> bool {
        self != Self::Upsert { partial: true }
    }
}

/// Checked rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) columns: Vec<FieldColumn>,
    pub(crate) rows: usize,
}

impl Batch {
    /// At most this many bytes on the wire.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.columns.iter();
        columns.fold(0, |sum, column| sum.saturating_add(column.bytes(self.rows)))
    }
}
