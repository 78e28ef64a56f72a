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

mod json;
mod row;
mod scalar;
mod structs;
mod value;

use std::fmt;

use serde::Serialize;

use super::builder::{FieldBuilder, Slices, Values};
use super::dynamic::{DYNAMIC_FIELD, dynamic_column};
use super::field_column::header_bytes;
use super::{Batch, Write};
use crate::describe_collection::CollectionDescription;
use crate::error::{InvalidValue, Rule};
use json::write_json;
use row::RowSerializer;
pub(crate) use structs::structs_column;
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

/// Most rows of one piece, so that what is counted for each row beside its values is bounded, too.
const ROWS_AT_A_TIME: usize = 100_000;

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
    /// At most this many bytes on the wire for all columns as such.
    header_bytes: usize,
    /// At most this many bytes on the wire for a row, apart from values of varying size.
    fixed_bytes: usize,
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
            .chain(
                schema
                    .struct_array_fields
                    .iter()
                    .map(FieldBuilder::of_structs),
            )
            .collect();
        let dynamic_header = if schema.has_dynamic_fields {
            header_bytes(DYNAMIC_FIELD)
        } else {
            0
        };
        let headers = fields.iter().map(FieldBuilder::header_bytes);
        let fixed = fields.iter().map(FieldBuilder::fixed_bytes_per_row);
        Self {
            header_bytes: headers.sum::<usize>() + dynamic_header,
            fixed_bytes: fixed.fold(0, usize::saturating_add),
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

    /// A writer for a piece of at most so many rows, of about so many bytes.
    pub(crate) fn of_piece(
        collection: &'a CollectionDescription,
        write: Write,
        rows: usize,
        bytes: usize,
    ) -> Self {
        let fields = collection.schema.fields.iter();
        let fixed = fields.map(|field| FieldBuilder::new(field, 0).fixed_bytes_per_row());
        let fitting = bytes / fixed.fold(1, usize::saturating_add);
        Self::new(collection, write, rows.min(fitting))
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

    /// At most this many bytes on the wire (or in memory, for arrays that take more of that). Never less than
    /// [`split`](super::split) counts for the finished rows, so that rows up to a size are one request of that size.
    pub(crate) fn bytes(&self) -> usize {
        let fixed = self.rows.saturating_mul(self.fixed_bytes);
        let dynamic = self.dynamic.as_ref().map_or(0, Slices::bytes);
        let fields = self.fields.iter().map(FieldBuilder::varying_bytes);
        fields.fold(
            fixed.saturating_add(self.header_bytes + dynamic),
            usize::saturating_add,
        )
    }

    /// Writes rows until the next one might make them more than so many bytes, or there are no more; at least one, if
    /// there is one.
    pub(crate) fn fill<I>(&mut self, rows: &mut I, bytes: usize) -> Result<(), InvalidValue>
    where
        I: Iterator,
        I::Item: Serialize,
    {
        let mut written = self.bytes();
        let mut largest = 0;
        while self.rows == 0 || (self.rows < ROWS_AT_A_TIME && written + largest <= bytes) {
            let Some(row) = rows.next() else {
                break;
            };
            self.push(&row)?;
            let all = self.bytes();
            largest = largest.max(all.saturating_sub(written));
            written = all;
        }
        Ok(())
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
                let name = &builder.field.name;
                return Err(InvalidValue::new(name, None, Rule::uneven()));
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
