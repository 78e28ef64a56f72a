//! Rows of several columns: one request, one chunk of a growing segment, or one sealed segment.
//!
//! The invariant is that all columns have the batch's number of rows and no name occurs twice.

use std::sync::Arc;

use super::{Column, ColumnError};

/// What a filter or a search reads: something with rows and named columns. A segment implements it over its mapped file.
pub trait Columns {
    /// Number of rows, deleted ones included.
    fn rows(&self) -> usize;

    /// The column of this field, or `None` when these rows were written before the field existed. Readers then take the
    /// field's default, or null.
    fn column(&self, field: &str) -> Option<&Column>;
}

/// Columns of equal length, in a fixed order.
#[derive(Debug, Clone, Default)]
pub struct RowBatch {
    rows: usize,
    columns: Vec<(Arc<str>, Column)>,
}

impl RowBatch {
    /// A batch of `rows` rows that has no columns yet.
    pub fn new(rows: usize) -> Self {
        Self {
            rows,
            columns: Vec::new(),
        }
    }

    /// Adds a column.
    ///
    /// # Errors
    /// When it has another number of rows, or the name is taken.
    pub fn push(&mut self, name: impl Into<Arc<str>>, column: Column) -> Result<(), ColumnError> {
        let name = name.into();
        if column.len() != self.rows {
            let field = name.to_string();
            return Err(ColumnError::RowCount {
                field,
                expected: self.rows,
                actual: column.len(),
            });
        }
        if self.column(&name).is_some() {
            return Err(ColumnError::Duplicate {
                field: name.to_string(),
            });
        }
        self.columns.push((name, column));
        Ok(())
    }

    /// Names and columns in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (&**name, column))
    }

    /// Chosen rows of all columns.
    ///
    /// # Errors
    /// When a column would pass 4 GiB.
    pub fn select(&self, rows: &[usize]) -> Result<Self, ColumnError> {
        let mut selected = Self::new(rows.len());
        for (name, column) in &self.columns {
            selected
                .columns
                .push((name.clone(), column.select(rows.iter().copied())?));
        }
        Ok(selected)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

impl Columns for RowBatch {
    fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, field: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|(name, _)| &**name == field)
            .map(|(_, column)| column)
    }
}
