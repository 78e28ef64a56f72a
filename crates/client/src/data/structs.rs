//! Arrays of structs on their way in: the structs of all rows as one column for each member, and how many of them each row has.
//!
//! A member's values are checked and stored as those of a field of their own type, one for each struct; only the message cuts them
//! into the lists of the rows.
//!
//! Invariant: every member has a value for every struct, so that the lists of a row are of one length.

use std::ops::Range;

use bytes::Bytes;
use milvus_protocol::schema as wire;
use wire::field_data::Field;
use wire::scalar_field::Data as Scalar;
use wire::vector_field::Data as Vector;

use super::FieldColumn;
use super::builder::{FieldBuilder, Values};
use crate::error::Rule;
use crate::schema::{CollectionSchema, DataType, FieldSchema, StructArraySchema};

/// Bytes that a member costs in each row beside its values: the tags and lengths of nested messages, and a vector's dimension.
const LIST_OVERHEAD: usize = 32;
/// The same, or what its message takes in memory if that is more.
const LIST_BYTES: usize = {
    let (message, wire) = (size_of::<wire::VectorField>(), LIST_OVERHEAD);
    if message > wire { message } else { wire }
};

/// The structs of the rows that have a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Structs {
    members: Vec<FieldColumn>,
    /// For each list the number of structs up to its end.
    ends: Vec<usize>,
}

impl Structs {
    fn places(&self, lists: Range<usize>) -> Range<usize> {
        let end = |list: usize| match list.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
        };
        end(lists.start)..end(lists.end)
    }

    /// Number of lists.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// At most this many bytes on the wire for the members' columns as such.
    pub(crate) fn header_bytes(&self) -> usize {
        self.members.iter().map(FieldColumn::header_bytes).sum()
    }

    /// At most this many bytes on the wire for each row, apart from its list.
    pub(crate) fn fixed_bytes_per_row(&self, has_validity: bool) -> usize {
        usize::from(has_validity) * self.members.len()
    }

    /// At most this many bytes on the wire for a list.
    pub(crate) fn value_bytes(&self, list: usize) -> usize {
        let places = self.places(list..list + 1);
        let of_member = |member: &FieldColumn| {
            let fixed = places.len().saturating_mul(member.fixed_bytes_per_row());
            let varying = places.clone().map(|place| member.value_bytes(place));
            varying.fold(fixed.saturating_add(LIST_OVERHEAD), usize::saturating_add)
        };
        let members = self.members.iter().map(of_member);
        members.fold(0, usize::saturating_add)
    }

    /// The members' messages for some of the lists; `valid` says which rows have one.
    pub(crate) fn messages(
        &self,
        lists: Range<usize>,
        valid: Option<&[bool]>,
    ) -> Vec<wire::FieldData> {
        let message = |member: &FieldColumn| {
            let cells = lists.clone().map(|list| {
                let places = self.places(list..list + 1);
                member.part(places.clone(), places).field
            });
            wire::FieldData {
                r#type: list_type(member.data_type).number(),
                field_name: member.name.clone(),
                valid_data: valid.map(<[bool]>::to_vec).unwrap_or_default(),
                field: Some(lists_of(member, cells)),
                ..wire::FieldData::default()
            }
        };
        self.members.iter().map(message).collect()
    }
}

/// The type of a list of such values.
fn list_type(element: DataType) -> DataType {
    if element.is_vector() {
        DataType::ArrayOfVector
    } else {
        DataType::Array
    }
}

/// The lists of a member, given as one message each.
fn lists_of(member: &FieldColumn, cells: impl Iterator<Item = Option<Field>>) -> Field {
    let element_type = member.data_type.number();
    if !member.data_type.is_vector() {
        let data = cells.map(|cell| match cell {
            Some(Field::Scalars(cell)) => cell,
            _ => wire::ScalarField::default(),
        });
        let lists = wire::ArrayArray {
            data: data.collect(),
            element_type,
        };
        return Field::Scalars(wire::ScalarField {
            data: Some(Scalar::ArrayData(lists)),
        });
    }
    let dim = member.dimension as i64;
    let data = cells.map(|cell| match cell {
        Some(Field::Vectors(cell)) => cell,
        _ => wire::VectorField::default(),
    });
    let lists = wire::VectorArray {
        dim,
        data: data.collect(),
        element_type,
    };
    Field::Vectors(wire::VectorField {
        dim,
        data: Some(Vector::VectorArray(lists)),
    })
}

/// Structs that are being written.
#[derive(Debug)]
pub(crate) struct StructsBuilder {
    members: Vec<FieldBuilder>,
    /// For each member, the number (from 1) of the last struct that gave it.
    last_given: Vec<usize>,
    ends: Vec<usize>,
    /// Structs begun.
    count: usize,
    max_capacity: Option<usize>,
}

impl StructsBuilder {
    pub(crate) fn new(schema: &StructArraySchema) -> Self {
        let members: Vec<_> = schema
            .members()
            .map(|member| FieldBuilder::new(&member, 0))
            .collect();
        Self {
            last_given: vec![0; members.len()],
            members,
            ends: Vec::new(),
            count: 0,
            max_capacity: schema.max_capacity,
        }
    }

    /// Begins a struct.
    pub(crate) fn begin(&mut self) {
        self.count += 1;
    }

    /// The column that takes the struct's value of a member.
    pub(crate) fn member(&mut self, name: &str) -> Result<&mut FieldBuilder, Rule> {
        let found = self
            .members
            .iter_mut()
            .zip(&mut self.last_given)
            .find(|(member, _)| member.field.name == name);
        let Some((member, last_given)) = found else {
            return Err(Rule::Row(format!("a struct has no member `{name}`")));
        };
        if *last_given == self.count {
            return Err(Rule::Row(format!("a struct gives `{name}` twice")));
        }
        *last_given = self.count;
        Ok(member)
    }

    /// Completes a struct.
    pub(crate) fn end(&mut self) -> Result<(), Rule> {
        let mut given = self.members.iter().zip(&self.last_given);
        match given.find(|(_, last_given)| **last_given != self.count) {
            None => Ok(()),
            Some((member, _)) => {
                let name = &member.field.name;
                Err(Rule::Row(format!("a struct lacks its member `{name}`")))
            }
        }
    }

    /// Completes the list of a row.
    pub(crate) fn end_list(&mut self) -> Result<(), Rule> {
        let found = self.count - self.ends.last().copied().unwrap_or(0);
        if let Some(limit) = self.max_capacity.filter(|limit| found > *limit) {
            return Err(Rule::MaxCapacity { limit, found });
        }
        self.ends.push(self.count);
        Ok(())
    }

    /// At most this many bytes on the wire for the members' columns as such.
    pub(crate) fn header_bytes(&self) -> usize {
        self.members.iter().map(FieldBuilder::header_bytes).sum()
    }

    /// At most this many bytes on the wire for each row, apart from its list.
    pub(crate) fn fixed_bytes_per_row(&self, has_validity: bool) -> usize {
        usize::from(has_validity) * self.members.len()
    }

    /// At most this many bytes on the wire for the lists so far, or in memory: there, each list is a message of its own and each
    /// text a slice.
    pub(crate) fn varying_bytes(&self) -> usize {
        let lists = self.ends.len().saturating_mul(LIST_BYTES);
        let of_member = |member: &FieldBuilder| {
            let slice = match &member.values {
                Values::Slices(_) => size_of::<Bytes>(),
                _ => 0,
            };
            let fixed = member.fixed_bytes_per_row().saturating_add(slice);
            lists
                .saturating_add(self.count.saturating_mul(fixed))
                .saturating_add(member.varying_bytes())
        };
        let members = self.members.iter().map(of_member);
        members.fold(0, usize::saturating_add)
    }

    pub(crate) fn finish(self) -> Structs {
        Structs {
            members: self.members.into_iter().map(FieldBuilder::finish).collect(),
            ends: self.ends,
        }
    }
}

impl StructArraySchema {
    /// The array as one field, for what it has in common with others.
    pub(crate) fn as_field(&self) -> FieldSchema {
        let mut field = FieldSchema::new(&self.name, DataType::ArrayOfStruct);
        field.is_nullable = self.is_nullable;
        field.max_capacity = self.max_capacity;
        field
    }

    /// The members as fields of one struct.
    pub(crate) fn members(&self) -> impl Iterator<Item = FieldSchema> {
        self.fields.iter().map(|list| {
            let mut member = list.clone();
            member.name = member_name(&list.name).to_owned();
            if let Some(element) = member.element_type.take() {
                member.data_type = element;
            }
            // There is no struct without it: the array says what is null.
            member.is_nullable = false;
            member.default_value = None;
            member.max_capacity = None;
            member
        })
    }
}

impl CollectionSchema {
    /// The list that a member of an array of structs is, by its name `array[member]`.
    pub(crate) fn member_named(&self, name: &str) -> Option<&FieldSchema> {
        let (array, member) = name.strip_suffix(']')?.split_once('[')?;
        let array = self
            .struct_array_fields
            .iter()
            .find(|known| known.name == array)?;
        array.fields.iter().find(|known| known.name == member)
    }
}

/// What a member is called in its struct; some servers say `array[member]`.
pub(crate) fn member_name(name: &str) -> &str {
    name.strip_suffix(']')
        .and_then(|name| name.split_once('['))
        .map_or(name, |(_, member)| member)
}
