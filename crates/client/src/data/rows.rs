//! Rows of any `serde::Serialize` type, written straight into columns typed by the schema.
//!
//! There is no JSON in between: the serializer of a row finds the column of each field and hands it the
//! value. Only `JSON` fields and dynamic fields become JSON, as they are on the wire.
//!
//! Invariant: a row is either complete in all columns or the writer is abandoned with the error.

/// The methods of a serializer for scalars, each handing its value to a method of the serializer's.
macro_rules! scalars {
    ($take:ident) => {
        scalars! { @numbers $take
            serialize_i8 i8 Int i64,
            serialize_i16 i16 Int i64,
            serialize_i32 i32 Int i64,
            serialize_i64 i64 Int i64,
            serialize_u8 u8 Int i64,
            serialize_u16 u16 Int i64,
            serialize_u32 u32 Int i64,
            serialize_f32 f32 Float f32,
            serialize_f64 f64 Double f64,
        }

        fn serialize_bool(self, value: bool) -> Result<(), Refused> {
            self.$take(Scalar::Bool(value))
        }

        fn serialize_u64(self, value: u64) -> Result<(), Refused> {
            self.$take(i64::try_from(value).map_or(Scalar::Large(value), Scalar::Int))
        }

        fn serialize_char(self, value: char) -> Result<(), Refused> {
            self.$take(Scalar::Text(value.encode_utf8(&mut [0; 4])))
        }

        fn serialize_str(self, value: &str) -> Result<(), Refused> {
            self.$take(Scalar::Text(value))
        }

        fn serialize_bytes(self, value: &[u8]) -> Result<(), Refused> {
            self.$take(Scalar::Bytes(value))
        }

        fn serialize_none(self) -> Result<(), Refused> {
            self.$take(Scalar::Null)
        }

        fn serialize_unit(self) -> Result<(), Refused> {
            self.$take(Scalar::Null)
        }

        fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Refused> {
            self.$take(Scalar::Null)
        }

        fn serialize_unit_variant(
            self,
            _name: &'static str,
            _index: u32,
            variant: &'static str,
        ) -> Result<(), Refused> {
            self.$take(Scalar::Text(variant))
        }
    };
    (@numbers $take:ident $($method:ident $number:ident $variant:ident $wide:ident,)*) => {$(
        #[inline]
        fn $method(self, value: $number) -> Result<(), Refused> {
            self.$take(Scalar::$variant($wide::from(value)))
        }
    )*};
}

mod row;
mod scalar;
mod value;

use std::fmt;

use serde::Serialize;

use super::builder::{FieldBuilder, Slices, Values};
use super::dynamic::{DYNAMIC_FIELD, dynamic_column};
use super::{Batch, Write};
use crate::describe_collection::CollectionDescription;
use crate::error::{InvalidValue, Rule};
use row::RowSerializer;
use value::ValueSerializer;

/// Why a value cannot be written. `serde` wants it to be an error of its own.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The field, once it is known.
    field: Option<String>,
    rule: Rule,
}

impl From<Rule> for Refused {
    fn from(rule: Rule) -> Self {
        Self { field: None, rule }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(formatter)
    }
}

impl std::error::Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Rule::Row(message.to_string()).into()
    }
}

/// Writes rows into columns.
pub(crate) struct RowWriter<'a> {
    collection: &'a CollectionDescription,
    write: Write,
    fields: Vec<FieldBuilder>,
    /// For each field, the number (from 1) of the last row that gave it.
    last_given: Vec<usize>,
    dynamic: Option<Slices>,
    dynamic_is_used: bool,
    rows: usize,
    /// The field after the one that was found last: rows mostly keep one order.
    next: usize,
}

impl<'a> RowWriter<'a> {
    /// A writer for about this many rows.
    pub(crate) fn new(
        collection: &'a CollectionDescription,
        write: Write,
        expected_rows: usize,
    ) -> Self {
        let schema = &collection.schema;
        let fields: Vec<_> = schema
            .fields
            .iter()
            .filter(|field| !field.is_dynamic)
            .map(|field| FieldBuilder::new(field, expected_rows))
            .collect();
        Self {
            collection,
            write,
            last_given: vec![0; fields.len()],
            fields,
            dynamic: schema.has_dynamic_fields.then(Slices::default),
            dynamic_is_used: false,
            rows: 0,
            next: 0,
        }
    }

    /// Writes one row.
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), InvalidValue> {
        let number = self.rows as u64;
        self.write_row(row).map_err(|refused| {
            InvalidValue::new(
                refused.field.unwrap_or_default(),
                Some(number),
                refused.rule,
            )
        })
    }

    /// Rows written.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes the rows have.
    pub(crate) fn bytes(&self) -> usize {
        let dynamic = self.dynamic.as_ref().map_or(0, Slices::bytes);
        dynamic + self.fields.iter().map(FieldBuilder::bytes).sum::<usize>()
    }

    fn write_row<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), Refused> {
        self.rows += 1;
        self.next = 0;
        if let Some(dynamic) = &mut self.dynamic {
            dynamic.buffer().push(b'{');
        }
        row.serialize(RowSerializer { writer: self })?;
        if let Some(dynamic) = &mut self.dynamic {
            dynamic.buffer().push(b'}');
            dynamic.end();
        }
        for (field, last_given) in self.fields.iter_mut().zip(&self.last_given) {
            if *last_given == self.rows {
                continue;
            }
            if self.write.requires(&field.field) {
                return Err(Refused {
                    field: Some(field.field.name.clone()),
                    rule: Rule::Required,
                });
            }
            field.push_absent();
        }
        Ok(())
    }

    /// Writes one field of the row.
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        let result = match self.find(name) {
            Some(place) => self.known_field(place, value),
            None => self.dynamic_field(name, value),
        };
        result.map_err(|mut refused| {
            refused.field.get_or_insert_with(|| name.to_owned());
            refused
        })
    }

    fn find(&mut self, name: &str) -> Option<usize> {
        let is_at = |place: usize| {
            self.fields
                .get(place)
                .is_some_and(|field| field.field.name == name)
        };
        let place = if is_at(self.next) {
            self.next
        } else {
            self.fields
                .iter()
                .position(|field| field.field.name == name)?
        };
        self.next = place + 1;
        Some(place)
    }

    fn known_field<T: Serialize + ?Sized>(
        &mut self,
        place: usize,
        value: &T,
    ) -> Result<(), Refused> {
        let (Some(builder), Some(last_given)) =
            (self.fields.get_mut(place), self.last_given.get_mut(place))
        else {
            return Err(Rule::Unknown.into());
        };
        if *last_given == self.rows {
            return Err(Rule::GivenOnce.into());
        }
        if !self.write.accepts(&builder.field, self.collection) {
            return Err(Rule::FilledByServer.into());
        }
        *last_given = self.rows;
        if builder.field.data_type == crate::schema::DataType::Json {
            return json_value(builder, value);
        }
        value.serialize(ValueSerializer { builder })
    }

    fn dynamic_field<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), Refused> {
        let Some(dynamic) = &mut self.dynamic else {
            return Err(Rule::Unknown.into());
        };
        if name == DYNAMIC_FIELD {
            let advice = "give dynamic fields as fields of the row";
            return Err(Rule::Row(advice.to_owned()).into());
        }
        self.dynamic_is_used = true;
        if dynamic.pending().len() > 1 {
            dynamic.buffer().push(b',');
        }
        write_json(dynamic, name)?;
        dynamic.buffer().push(b':');
        write_json(dynamic, value)
    }

    /// The columns. Fields that no row gave are left out, unless the server must be told of nulls.
    pub(crate) fn finish(self) -> Result<Batch, InvalidValue> {
        let mut columns = Vec::with_capacity(self.fields.len() + 1);
        for builder in self.fields {
            let (given, may_be_absent) = (builder.given(), builder.may_be_absent());
            let is_partial = !self.write.fills_absent();
            if given == 0 {
                if may_be_absent && !is_partial && !builder.field.is_function_output {
                    columns.push(builder.finish());
                }
            } else if given < self.rows && (is_partial || !may_be_absent) {
                let rule = Rule::Row(format!(
                    "{given} of {} rows give this field; either all of them must or none",
                    self.rows
                ));
                return Err(InvalidValue::new(&builder.field.name, None, rule));
            } else {
                columns.push(builder.finish());
            }
        }
        if let Some(dynamic) = self.dynamic
            && (self.write.fills_absent() || self.dynamic_is_used)
        {
            columns.push(dynamic_column(dynamic.finish()));
        }
        Ok(Batch {
            columns,
            rows: self.rows,
        })
    }
}

fn write_json<T: Serialize + ?Sized>(slices: &mut Slices, value: &T) -> Result<(), Refused> {
    serde_json::to_writer(slices.buffer(), value)
        .map_err(|error| Rule::Json(error.to_string()).into())
}

fn json_value<T: Serialize + ?Sized>(builder: &mut FieldBuilder, value: &T) -> Result<(), Refused> {
    let may_be_absent = builder.may_be_absent();
    let Values::Slices(slices) = &mut builder.values else {
        return Err(Rule::Unknown.into());
    };
    write_json(slices, value)?;
    if may_be_absent && slices.pending() == b"null" {
        slices.discard();
        return Ok(builder.push_null()?);
    }
    slices.end();
    builder.end_value();
    Ok(())
}
