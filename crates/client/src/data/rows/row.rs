//! The serializer of a whole row: a struct or a map, whose entries are fields.
//!
//! Invariant: every entry reaches [`RowWriter::field`] once, under its name.

use serde::Serialize;
use serde::ser::{Impossible, SerializeMap, SerializeStruct, Serializer};

use super::scalar::ScalarSerializer;
use super::{Refused, RowWriter};
use crate::data::builder::Scalar;
use crate::error::Rule;

pub(super) struct RowSerializer<'w, 'a> {
    pub(super) writer: &'w mut RowWriter<'a>,
}

impl RowSerializer<'_, '_> {
    fn refuse(self, found: Scalar<'_>) -> Result<(), Refused> {
        not_a_row(match found {
            Scalar::Null => "nothing",
            Scalar::Text(_) => "text",
            Scalar::Bytes(_) => "bytes",
            Scalar::Bool(_) => "a boolean",
            _ => "a number",
        })
    }
}

fn not_a_row<T>(found: &str) -> Result<T, Refused> {
    Err(Rule::Row(format!("a row is a struct or a map, this is {found}")).into())
}

type No = Impossible<(), Refused>;

impl<'w, 'a> Serializer for RowSerializer<'w, 'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = RowMap<'w, 'a>;
    type SerializeStruct = RowStruct<'w, 'a>;
    type SerializeStructVariant = No;

    scalars!(refuse);

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
        not_a_row("an enum with a value")
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<No, Refused> {
        not_a_row("a list")
    }

    fn serialize_tuple(self, _len: usize) -> Result<No, Refused> {
        not_a_row("a tuple")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<No, Refused> {
        not_a_row("a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<No, Refused> {
        not_a_row("an enum with values")
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<RowMap<'w, 'a>, Refused> {
        Ok(RowMap {
            writer: self.writer,
            key: String::new(),
        })
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<RowStruct<'w, 'a>, Refused> {
        Ok(RowStruct {
            writer: self.writer,
        })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<No, Refused> {
        not_a_row("an enum with values")
    }
}

pub(super) struct RowStruct<'w, 'a> {
    writer: &'w mut RowWriter<'a>,
}

impl SerializeStruct for RowStruct<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.writer.field(key, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

pub(super) struct RowMap<'w, 'a> {
    writer: &'w mut RowWriter<'a>,
    /// The last key; one buffer for all of them.
    key: String,
}

impl SerializeMap for RowMap<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        let buffer = &mut self.key;
        let take = |scalar: Scalar<'_>| match scalar {
            Scalar::Text(text) => {
                buffer.clear();
                buffer.push_str(text);
                Ok(())
            }
            _ => Err(Rule::Row("the name of a field must be text".to_owned())),
        };
        key.serialize(ScalarSerializer {
            take,
            expected: "the name of a field",
        })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.writer.field(&self.key, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}
