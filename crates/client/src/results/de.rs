//! Reading a row of columns as any `serde::Deserialize` type.
//!
//! The row is a map from field names to values; the fields of `$meta` stand beside the others, as they
//! did when they were inserted.
//!
//! Invariant: reading copies nothing that can be borrowed from the received buffer.

mod members;
mod structs;
mod value;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, Visitor};

use super::column::ResultValues;
use super::{Id, ResultColumn};
use members::{Member, Members};
use value::ValueReader;

/// Why a row is not what the caller wants.
#[derive(Debug)]
pub(super) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl serde::de::Error for Unreadable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// One row.
pub(super) struct RowReader<'a> {
    columns: &'a [ResultColumn],
    row: usize,
    dynamic_fields: Option<&'a [String]>,
    id: Option<(&'a str, Id<'a>)>,
    score: Option<f32>,
}

impl<'a> RowReader<'a> {
    pub(super) fn new(
        columns: &'a [ResultColumn],
        row: usize,
        dynamic_fields: Option<&'a [String]>,
    ) -> Self {
        Self {
            columns,
            row,
            dynamic_fields,
            id: None,
            score: None,
        }
    }

    /// Adds the primary key, unless a column has it.
    pub(super) fn with_id(mut self, primary_field: &'a str, id: Id<'a>) -> Self {
        let name = if primary_field.is_empty() {
            "id"
        } else {
            primary_field
        };
        if !self.has(name) {
            self.id = Some((name, id));
        }
        self
    }

    /// Adds the score, unless a column has that name.
    pub(super) fn with_score(mut self, score: f32) -> Self {
        if !self.has("score") {
            self.score = Some(score);
        }
        self
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name() == name)
    }

    pub(super) fn read<T: Deserialize<'a>>(self) -> Result<T, Unreadable> {
        T::deserialize(self)
    }
}

impl<'a> serde::Deserializer<'a> for RowReader<'a> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_map(Entries {
            row: self,
            column: 0,
            value: None,
            dynamic: None,
        })
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A value whose key has been read.
enum Pending<'a> {
    Column(&'a ResultColumn),
    /// The text of a member of `$meta`.
    Dynamic(&'a [u8]),
    Id(Id<'a>),
    Score(f32),
}

struct Entries<'a> {
    row: RowReader<'a>,
    /// The next column.
    column: usize,
    value: Option<Pending<'a>>,
    /// What is left of the dynamic fields.
    dynamic: Option<Members<'a>>,
}

impl<'a> Entries<'a> {
    fn next_dynamic(&mut self) -> Result<Option<Member<'a>>, Unreadable> {
        let wanted = self.row.dynamic_fields;
        let columns = self.row.columns;
        let Some(members) = &mut self.dynamic else {
            return Ok(None);
        };
        while let Some((name, value)) = members.next()? {
            // A field of the schema hides a dynamic one of the same name.
            if wanted.is_none_or(|wanted| wanted.iter().any(|wanted| *wanted == name))
                && !columns.iter().any(|column| column.name() == name)
            {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    fn open_dynamic(&mut self, column: &'a ResultColumn) -> Result<(), Unreadable> {
        if let ResultValues::Json(objects) = column.raw()
            && let Some(object) = column
                .place(self.row.row)
                .and_then(|place| objects.get(place))
        {
            self.dynamic = Some(Members::of(object)?);
        }
        Ok(())
    }
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unreadable> {
        loop {
            if let Some((name, value)) = self.next_dynamic()? {
                self.value = Some(Pending::Dynamic(value));
                let name = match name {
                    Cow::Borrowed(name) => {
                        let name = BorrowedStrDeserializer::<Unreadable>::new(name);
                        return seed.deserialize(name).map(Some);
                    }
                    Cow::Owned(_) => CowStrDeserializer::<Unreadable>::new(name),
                };
                return seed.deserialize(name).map(Some);
            }
            self.dynamic = None;
            let Some(column) = self.row.columns.get(self.column) else {
                break;
            };
            self.column += 1;
            if column.is_dynamic() {
                self.open_dynamic(column)?;
                continue;
            }
            self.value = Some(Pending::Column(column));
            let name = BorrowedStrDeserializer::<Unreadable>::new(column.name());
            return seed.deserialize(name).map(Some);
        }
        let (name, value) = if let Some((name, id)) = self.row.id.take() {
            (name, Pending::Id(id))
        } else if let Some(score) = self.row.score.take() {
            ("score", Pending::Score(score))
        } else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(BorrowedStrDeserializer::<Unreadable>::new(name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        match self.value.take() {
            Some(Pending::Column(column)) => seed
                .deserialize(ValueReader::new(column, self.row.row))
                .map_err(|problem| Unreadable(format!("field `{}`: {problem}", column.name()))),
            Some(Pending::Dynamic(text)) => {
                let mut json = serde_json::Deserializer::from_slice(text);
                let value = seed.deserialize(&mut json)?;
                json.end()?;
                Ok(value)
            }
            Some(Pending::Id(Id::Int64(id))) => {
                seed.deserialize(IntoDeserializer::<Unreadable>::into_deserializer(id))
            }
            Some(Pending::Id(Id::VarChar(id))) => {
                seed.deserialize(BorrowedStrDeserializer::<Unreadable>::new(id))
            }
            Some(Pending::Score(score)) => {
                seed.deserialize(IntoDeserializer::<Unreadable>::into_deserializer(score))
            }
            None => Err(serde::de::Error::custom(
                "a value was asked for before its key",
            )),
        }
    }
}
