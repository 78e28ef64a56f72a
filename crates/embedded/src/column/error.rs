//! What can be wrong with the parts of a column, said so that a caller can name the file or the field.

use super::{BlockRole, ColumnType};

/// Why bytes or values do not make a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// A block that the type needs is absent.
    #[error("a {kind} column of {rows} rows needs a block of {role:?}, which is missing")]
    MissingBlock {
        /// Type of the column.
        kind: ColumnType,
        /// Rows that were declared.
        rows: usize,
        /// The absent block.
        role: BlockRole,
    },
    /// A block has not the size that type and row count ask for.
    #[error(
        "the {role:?} block of a {kind} column of {rows} rows has {actual} bytes, expected {expected}"
    )]
    BlockSize {
        /// Type of the column.
        kind: ColumnType,
        /// Rows that were declared.
        rows: usize,
        /// The block.
        role: BlockRole,
        /// Bytes that the block should have.
        expected: usize,
        /// Bytes that it has.
        actual: usize,
    },
    /// Offsets run backwards or end outside the values.
    #[error(
        "the offsets of a {kind} column are not ascending or pass the end of the values (at row {row})"
    )]
    Offsets {
        /// Type of the column.
        kind: ColumnType,
        /// First row whose range is wrong.
        row: usize,
    },
    /// A value of another type was given.
    #[error("a {kind} column can't take {found}")]
    TypeMismatch {
        /// Type of the column.
        kind: ColumnType,
        /// What was given.
        found: String,
    },
    /// The variable-length part would pass 4 GiB, the limit of a column's 32-bit offsets.
    #[error(
        "a {kind} column would hold more than 4 GiB in one batch; send the rows in smaller requests"
    )]
    TooLarge {
        /// Type of the column.
        kind: ColumnType,
    },
    /// A field of a request does not have one value for each row.
    #[error("field '{field}' has {actual} values for {expected} rows")]
    RowCount {
        /// Name of the field.
        field: String,
        /// Rows of the request.
        expected: usize,
        /// Values found.
        actual: usize,
    },
    /// Two columns of a batch have one name.
    #[error("field '{field}' is given twice")]
    Duplicate {
        /// Name of the field.
        field: String,
    },
    /// A value itself is malformed: not JSON, not a sparse vector, outside its integer type.
    #[error("field '{field}', row {row}: {reason}")]
    Malformed {
        /// Name of the field.
        field: String,
        /// Row of the request, from 0.
        row: usize,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// A field's data is of another type than its schema.
    #[error("field '{field}' is {expected} in the schema, but the request carries {found}")]
    FieldType {
        /// Name of the field.
        field: String,
        /// Type of the schema.
        expected: ColumnType,
        /// What the request carries.
        found: String,
    },
}
