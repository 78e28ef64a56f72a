//! A serializer that takes scalars only and hands them to a closure: elements of lists, keys of maps.
//!
//! Invariant: whatever is not a scalar is refused, naming what was expected.

use serde::Serialize;
use serde::ser::{Impossible, Serializer};

use super::Refused;
use crate::data::builder::Scalar;
use crate::error::Rule;

/// Hands the scalar that is serialized to `take`.
pub(super) struct ScalarSerializer<F> {
    pub(super) take: F,
    /// What is expected, for the refusal of anything else.
    pub(super) expected: &'static str,
}

impl<F: FnOnce(Scalar<'_>) -> Result<(), Rule>> ScalarSerializer<F> {
    #[inline]
    fn scalar(self, scalar: Scalar<'_>) -> Result<(), Refused> {
        Ok((self.take)(scalar)?)
    }

    fn compound<T>(&self, found: &str) -> Result<T, Refused> {
        Err(Rule::Row(format!("expected {}, found {found}", self.expected)).into())
    }
}

type No = Impossible<(), Refused>;

impl<F: FnOnce(Scalar<'_>) -> Result<(), Rule>> Serializer for ScalarSerializer<F> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    scalars!(scalar);

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Refused> {
        self.compound("an enum with a value")
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<No, Refused> {
        self.compound("a list")
    }

    fn serialize_tuple(self, _len: usize) -> Result<No, Refused> {
        self.compound("a tuple")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<No, Refused> {
        self.compound("a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<No, Refused> {
        self.compound("an enum with values")
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<No, Refused> {
        self.compound("a map")
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<No, Refused> {
        self.compound("a struct")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<No, Refused> {
        self.compound("an enum with values")
    }
}
