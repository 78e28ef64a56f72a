//! The serializer of one struct of an array of structs: a struct or a map, whose entries are members.
//!
//! Invariant: a struct that is accepted adds exactly one value to each member.

use serde::Serialize;
use serde::ser::{Impossible, SerializeMap, SerializeStruct, Serializer};

use super::Refused;
use super::scalar::ScalarSerializer;
use super::value::ValueSerializer;
use crate::data::FieldColumn;
use crate::data::builder::{FieldBuilder, Scalar};
use crate::data::column::{Column, Values};
use crate::data::structs::StructsBuilder;
use crate::error::{InvalidValue, Rule};
use crate::schema::StructArraySchema;

pub(super) struct StructSerializer<'b> {
    pub(super) structs: &'b mut StructsBuilder,
}

impl<'b> StructSerializer<'b> {
    fn refuse(self, _found: Scalar<'_>) -> Result<(), Refused> {
        not_a_struct()
    }

    fn begin(self) -> Struct<'b> {
        self.structs.begin();
        Struct {
            structs: self.structs,
            name: String::new(),
        }
    }
}

fn not_a_struct<T>() -> Result<T, Refused> {
    let problem = "an element of an array of structs is a struct or a map";
    Err(Rule::Row(problem.to_owned()).into())
}

type No = Impossible<(), Refused>;

impl<'b> Serializer for StructSerializer<'b> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = Struct<'b>;
    type SerializeStruct = Struct<'b>;
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
        not_a_struct()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<No, Refused> {
        not_a_struct()
    }

    fn serialize_tuple(self, _len: usize) -> Result<No, Refused> {
        not_a_struct()
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<No, Refused> {
        not_a_struct()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<No, Refused> {
        not_a_struct()
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Struct<'b>, Refused> {
        Ok(self.begin())
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Struct<'b>, Refused> {
        Ok(self.begin())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<No, Refused> {
        not_a_struct()
    }
}

/// A struct whose members come one after the other.
pub(super) struct Struct<'b> {
    structs: &'b mut StructsBuilder,
    /// The key of a map whose value comes next.
    name: String,
}

impl Struct<'_> {
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        let builder = self.structs.member(name)?;
        let written = value.serialize(ValueSerializer { builder });
        written.map_err(|refused| {
            Rule::Row(format!("member `{name}` of a struct: {}", refused.rule)).into()
        })
    }
}

impl SerializeMap for Struct<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        let name = &mut self.name;
        let take = |scalar: Scalar<'_>| match scalar {
            Scalar::Text(key) => {
                key.clone_into(name);
                Ok(())
            }
            _ => Err(Rule::Row("the keys of a struct are text".to_owned())),
        };
        key.serialize(ScalarSerializer {
            take,
            expected: "a key of a struct",
        })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let name = std::mem::take(&mut self.name);
        self.member(&name, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(self.structs.end()?)
    }
}

impl SerializeStruct for Struct<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.member(key, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(self.structs.end()?)
    }
}

/// The column of an array of structs from JSON: a list of objects in each row. Gives its number of rows, too.
pub(crate) fn structs_column(
    schema: &StructArraySchema,
    column: Column,
) -> Result<(FieldColumn, usize), InvalidValue> {
    let fault = |row: Option<usize>, rule: Rule| {
        InvalidValue::new(&schema.name, row.map(|row| row as u64), rule)
    };
    let (Values::Json(texts) | Values::Text(texts)) = column.values else {
        let found = column.values.describe();
        let advice = format!(
            "a column of structs is made of JSON, a list of objects for each row, not of {found}"
        );
        return Err(fault(None, Rule::Row(advice)));
    };
    let mut texts = texts.into_iter();
    let rows = column.valid.as_ref().map_or(texts.len(), Vec::len);
    let mut builder = FieldBuilder::of_structs(schema);
    for row in 0..rows {
        let is_there = column
            .valid
            .as_ref()
            .is_none_or(|valid| valid.get(row).copied().unwrap_or(false));
        let value = match is_there.then(|| texts.next()).flatten() {
            None => serde_json::Value::Null,
            Some(text) => serde_json::from_slice(&text)
                .map_err(|error| fault(Some(row), Rule::Json(error.to_string())))?,
        };
        let serializer = ValueSerializer {
            builder: &mut builder,
        };
        value
            .serialize(serializer)
            .map_err(|refused| fault(Some(row), refused.rule))?;
    }
    Ok((builder.finish(), rows))
}
