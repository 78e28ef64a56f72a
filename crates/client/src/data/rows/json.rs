//! Values as JSON: of `JSON` fields and of dynamic fields.
//!
//! `serde_json` writes NaN and infinities as `null`, which would silently be another value. A value in which a `null`
//! was written is walked once more, to see whether the caller's own value is one.
//!
//! Invariant: what is written is the value that was given, or the value is refused.

use std::io;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::ser::Formatter;

use super::Refused;
use crate::data::builder::{Scalar, Slices};
use crate::error::Rule;

/// Writes a value at the end of the slice that is being written.
pub(super) fn write_json<T: Serialize + ?Sized>(
    slices: &mut Slices,
    value: &T,
) -> Result<(), Refused> {
    let mut nulls = Nulls { are_written: false };
    let mut serializer = serde_json::Serializer::with_formatter(slices.buffer(), &mut nulls);
    value
        .serialize(&mut serializer)
        .map_err(|error| Rule::Json(error.to_string()))?;
    if nulls.are_written {
        value.serialize(Finite)?;
    }
    Ok(())
}

/// Compact JSON that remembers whether a `null` is in it.
struct Nulls {
    are_written: bool,
}

impl Formatter for &mut Nulls {
    fn write_null<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.are_written = true;
        writer.write_all(b"null")
    }
}

/// Walks a value and refuses numbers that JSON does not have.
#[derive(Clone, Copy)]
struct Finite;

impl Finite {
    fn scalar(self, scalar: Scalar<'_>) -> Result<(), Refused> {
        let is_finite = match scalar {
            Scalar::Float(value) => value.is_finite(),
            Scalar::Double(value) => value.is_finite(),
            _ => true,
        };
        if is_finite {
            Ok(())
        } else {
            Err(Rule::Finite { element: None }.into())
        }
    }
}

impl Serializer for Finite {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalars!(scalar);

    // What has no shorter way into a scalar is a number that is finite.
    fn serialize_i128(self, _value: i128) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_u128(self, _value: u128) -> Result<(), Refused> {
        Ok(())
    }

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
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self, Refused> {
        Ok(self)
    }
}

macro_rules! compounds {
    ($($kind:ident: $method:ident($($key:ident)?),)*) => {$(
        impl $kind for Finite {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), Refused> {
                value.serialize(*self)
            }

            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        }
    )*};
}
compounds! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(_key),
    SerializeStructVariant: serialize_field(_key),
}

impl SerializeMap for Finite {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _key: &T) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(*self)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}
