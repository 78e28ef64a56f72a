//! Reading a list of structs: a sequence of maps, put together from the lists of the members.
//!
//! Invariant: lists of different lengths are an error, never structs that lack a member.

use milvus_protocol::packed_iter;
use milvus_protocol::schema::scalar_field::Data as Array;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::Unreadable;
use super::value::vector;
use crate::results::ResultColumn;
use crate::results::column::ResultValues;

/// The structs of a row; of a single list of vectors, its vectors.
pub(super) struct StructList<'a> {
    members: &'a [ResultColumn],
    row: usize,
    next: usize,
    count: usize,
    is_plain: bool,
}

impl<'a> StructList<'a> {
    pub(super) fn new(members: &'a [ResultColumn], row: usize) -> Result<Self, Unreadable> {
        let count = members.first().map_or(0, |member| member.list_len(row));
        if let Some(other) = members.iter().find(|member| member.list_len(row) != count) {
            return Err(Unreadable::custom(format!(
                "the server sent {count} structs, but {} values of their member `{}`",
                other.list_len(row),
                other.name()
            )));
        }
        Ok(Self {
            members,
            row,
            next: 0,
            count,
            is_plain: false,
        })
    }

    pub(super) fn of_one(column: &'a ResultColumn, row: usize) -> Self {
        Self {
            members: std::slice::from_ref(column),
            row,
            next: 0,
            count: column.list_len(row),
            is_plain: true,
        }
    }
}

impl<'a> SeqAccess<'a> for StructList<'a> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unreadable> {
        if self.next == self.count {
            return Ok(None);
        }
        let at = self.next;
        self.next += 1;
        match (self.is_plain, self.members) {
            (true, [member]) => seed.deserialize(Element::new(member, self.row, at)),
            _ => seed.deserialize(Struct {
                members: self.members,
                row: self.row,
                at,
            }),
        }
        .map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count - self.next)
    }
}

/// One struct.
struct Struct<'a> {
    members: &'a [ResultColumn],
    row: usize,
    at: usize,
}

impl<'a> Deserializer<'a> for Struct<'a> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_map(Members {
            given: self,
            next: 0,
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

struct Members<'a> {
    given: Struct<'a>,
    /// The member whose key comes next.
    next: usize,
}

impl<'a> MapAccess<'a> for Members<'a> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unreadable> {
        let Some(member) = self.given.members.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let name = BorrowedStrDeserializer::<Unreadable>::new(member.name());
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        let Some(member) = self
            .next
            .checked_sub(1)
            .and_then(|last| self.given.members.get(last))
        else {
            return Err(Unreadable::custom("a value was asked for before its key"));
        };
        seed.deserialize(Element::new(member, self.given.row, self.given.at))
            .map_err(|problem| Unreadable(format!("member `{}`: {problem}", member.name())))
    }
}

/// One value of a member.
struct Element<'a> {
    member: &'a ResultColumn,
    row: usize,
    at: usize,
}

impl<'a> Element<'a> {
    fn new(member: &'a ResultColumn, row: usize, at: usize) -> Self {
        Self { member, row, at }
    }
}

impl<'a> Deserializer<'a> for Element<'a> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let missing = || Unreadable::custom("the server sent no value for this struct");
        if let ResultValues::VectorLists(_, element) = self.member.raw() {
            let bytes = self
                .member
                .listed_vector(self.row, self.at)
                .ok_or_else(missing)?;
            return vector(*element, bytes, visitor);
        }
        let ResultValues::Array(lists) = self.member.raw() else {
            return Err(Unreadable::custom(
                "a member is neither scalars nor vectors",
            ));
        };
        let list = self
            .member
            .place(self.row)
            .and_then(|place| lists.get(place));
        let at = self.at;
        match list.and_then(|list| list.data.as_ref()) {
            Some(Array::BoolData(list)) => {
                visitor.visit_bool(*list.data.get(at).ok_or_else(missing)?)
            }
            Some(Array::IntData(list)) => {
                visitor.visit_i32(*list.data.get(at).ok_or_else(missing)?)
            }
            Some(Array::LongData(list)) => {
                visitor.visit_i64(*list.data.get(at).ok_or_else(missing)?)
            }
            Some(Array::FloatData(list)) => {
                let mut values = packed_iter::<f32>(&list.data).map_err(Unreadable::custom)?;
                visitor.visit_f32(values.nth(at).ok_or_else(missing)?)
            }
            Some(Array::DoubleData(list)) => {
                let mut values = packed_iter::<f64>(&list.data).map_err(Unreadable::custom)?;
                visitor.visit_f64(values.nth(at).ok_or_else(missing)?)
            }
            Some(Array::StringData(list)) => {
                let text = list.data.get(at).ok_or_else(missing)?;
                visitor.visit_borrowed_str(std::str::from_utf8(text).map_err(Unreadable::custom)?)
            }
            Some(_) => Err(Unreadable::custom(
                "a member of a type that is not read here",
            )),
            None => Err(missing()),
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_some(self)
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.member.listed_vector(self.row, self.at) {
            Some(bytes) => visitor.visit_borrowed_bytes(bytes),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let text: String = serde::Deserialize::deserialize(self)?;
        visitor.visit_enum(serde::de::IntoDeserializer::<Unreadable>::into_deserializer(text))
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}
