//! Errors as Milvus gives them: a number that clients branch on, the older number that older clients branch on, and a text.
//!
//! The numbers and the leading words of the texts are Milvus's own, because programs match on them.

use crate::storage::StorageError;

/// Kinds of failure with the numbers of Milvus 2.3 and later ([`MilvusErrorKind::code`]) and of the enumeration before it ([`MilvusErrorKind::legacy_code`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MilvusErrorKind {
    /// The engine can't take this now (closed, read-only, a full disk).
    ServiceUnavailable,
    /// A fault of the engine itself, or of its files.
    Internal,
    /// Nothing has this name.
    CollectionNotFound,
    /// Search and query need a loaded collection.
    CollectionNotLoaded,
    /// The schema contradicts the request.
    IllegalSchema,
    /// The request was made for an older schema.
    SchemaMismatch,
    /// Nothing has this name.
    PartitionNotFound,
    /// Nothing has this name.
    IndexNotFound,
    /// There is another index of this name or on this field.
    IndexDuplicate,
    /// Nothing has this name.
    DatabaseNotFound,
    /// The name breaks the rules for names.
    DatabaseInvalidName,
    /// A value of the request is wrong.
    ParameterInvalid,
    /// A value of the request is absent.
    ParameterMissing,
    /// A value of the request is too large.
    ParameterTooLarge,
    /// Nothing has this name.
    AliasNotFound,
    /// A collection has this name.
    AliasCollectionNameConflict,
    /// Another collection has this alias.
    AliasAlreadyExists,
    /// Nothing has this name.
    FieldNotFound,
    /// User name or password are wrong, or a role or user is unknown.
    NotAuthenticated,
    /// What the embedded engine doesn't do.
    Unimplemented,
    /// Anything that Milvus gives no number of its own.
    Unexpected,
}

impl MilvusErrorKind {
    /// Milvus's number.
    pub fn code(self) -> i32 {
        match self {
            Self::ServiceUnavailable => 2,
            Self::Internal => 5,
            Self::Unimplemented => 10,
            Self::CollectionNotFound => 100,
            Self::CollectionNotLoaded => 101,
            Self::IllegalSchema => 105,
            Self::SchemaMismatch => 109,
            Self::PartitionNotFound => 200,
            Self::IndexNotFound => 700,
            Self::IndexDuplicate => 702,
            Self::DatabaseNotFound => 800,
            Self::DatabaseInvalidName => 802,
            Self::ParameterInvalid => 1100,
            Self::ParameterMissing => 1101,
            Self::ParameterTooLarge => 1102,
            Self::NotAuthenticated => 1400,
            Self::AliasNotFound => 1600,
            Self::AliasCollectionNameConflict => 1601,
            Self::AliasAlreadyExists => 1602,
            Self::FieldNotFound => 1700,
            Self::Unexpected => 65535,
        }
    }

    /// The number of the enumeration that Milvus used up to 2.2.
    pub fn legacy_code(self) -> i32 {
        match self {
            Self::CollectionNotFound => 4,
            Self::ParameterInvalid
            | Self::ParameterMissing
            | Self::ParameterTooLarge
            | Self::IllegalSchema => 5,
            Self::IndexNotFound => 25,
            _ => 1,
        }
    }

    /// Whether the request is at fault, not the engine.
    pub fn is_input_error(self) -> bool {
        !matches!(
            self,
            Self::ServiceUnavailable | Self::Internal | Self::Unexpected
        )
    }
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MilvusError {
    /// What kind of failure.
    pub kind: MilvusErrorKind,
    /// Says it in words.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retriable: bool,
}

impl MilvusError {
    pub(crate) fn new(kind: MilvusErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retriable: false,
        }
    }

    /// "invalid parameter", as Milvus begins such texts.
    pub(crate) fn invalid(message: impl std::fmt::Display) -> Self {
        Self::new(
            MilvusErrorKind::ParameterInvalid,
            format!("{message}: invalid parameter"),
        )
    }

    /// The form `invalid parameter[expected=A][actual=B]`, which programs match on.
    pub(crate) fn expected(
        expected: impl std::fmt::Display,
        actual: impl std::fmt::Display,
        about: &str,
    ) -> Self {
        Self::new(
            MilvusErrorKind::ParameterInvalid,
            format!("{about}: invalid parameter[expected={expected}][actual={actual}]"),
        )
    }

    pub(crate) fn collection_not_found(database: &str, collection: &str) -> Self {
        let place = format!("[database={database}][collection={collection}]");
        Self::new(
            MilvusErrorKind::CollectionNotFound,
            format!("can't find collection{place}: collection not found{place}"),
        )
    }

    pub(crate) fn partition_not_found(partition: &str) -> Self {
        Self::new(
            MilvusErrorKind::PartitionNotFound,
            format!("partition not found[partition={partition}]"),
        )
    }

    pub(crate) fn database_not_found(database: &str) -> Self {
        Self::new(
            MilvusErrorKind::DatabaseNotFound,
            format!("database not found[database={database}]"),
        )
    }

    pub(crate) fn field_not_found(field: &str) -> Self {
        Self::new(
            MilvusErrorKind::FieldNotFound,
            format!("field not found[field={field}]"),
        )
    }

    pub(crate) fn closed() -> Self {
        Self::new(
            MilvusErrorKind::ServiceUnavailable,
            "the embedded database is closed",
        )
    }
}

impl From<StorageError> for MilvusError {
    fn from(error: StorageError) -> Self {
        Self::from(&error)
    }
}

impl From<&StorageError> for MilvusError {
    fn from(error: &StorageError) -> Self {
        let kind = match error {
            StorageError::NotApplied { .. }
            | StorageError::ReadOnly { .. }
            | StorageError::Unknown { .. } => MilvusErrorKind::ServiceUnavailable,
            _ => MilvusErrorKind::Internal,
        };
        let retriable = matches!(error, StorageError::NotApplied { .. });
        Self {
            kind,
            message: error.to_string(),
            retriable,
        }
    }
}
