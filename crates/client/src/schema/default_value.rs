//! The value that stands in for one that a row does not give.
//!
//! Invariant: a default is written in the slot of the protocol that the field's type asks for, or
//! the schema is refused before it is sent.

/// The default of a field, used by the server for rows that leave the field out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DefaultValue {
    /// For [`Bool`](crate::schema::DataType::Bool) fields.
    Bool(bool),
    /// For integer fields of any width.
    Int(i64),
    /// For `Float` and `Double` fields.
    Float(f64),
    /// For `VarChar` and other text fields.
    String(String),
    /// For fields whose default is raw bytes.
    Bytes(Vec<u8>),
    /// Microseconds since the epoch, for `Timestamptz` fields.
    Timestamptz(i64),
}

impl From<bool> for DefaultValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for DefaultValue {
            fn from(value: $integer) -> Self {
                Self::Int(i64::from(value))
            }
        }
    )*};
}
from_integers!(i8, i16, i32, i64, u8, u16, u32);

impl From<f32> for DefaultValue {
    fn from(value: f32) -> Self {
        Self::Float(f64::from(value))
    }
}

impl From<f64> for DefaultValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for DefaultValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for DefaultValue {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}
