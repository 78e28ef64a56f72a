//! Arrays of structs in answers, for those who read columns and not rows.
//!
//! Invariants: a list of vectors is a slice of the received bytes, and holds whole vectors.

use std::sync::OnceLock;

use bytes::Bytes;
use milvus_protocol::schema as wire;
use wire::vector_field::Data as Vector;

use super::{ResultColumn, ResultValues};
use crate::error::Result;
use crate::schema::DataType;

impl ResultColumn {
    /// The column of an array of structs.
    pub(super) fn of_structs(
        name: String,
        structs: wire::StructArrayField,
        rows: Option<usize>,
    ) -> Result<Self> {
        let member = |message: wire::FieldData| {
            let name = crate::data::member_name(&message.field_name).to_owned();
            let mut member = Self::new(message, rows)?;
            member.name = name;
            Ok(member)
        };
        let members = structs.fields.into_iter().map(member);
        let members = members.collect::<Result<Vec<Self>>>()?;
        // A row has a list in all members or in none.
        let valid = members.first().map(|member| member.valid.clone());
        Ok(Self {
            name,
            data_type: DataType::ArrayOfStruct,
            dimension: 0,
            is_dynamic: false,
            rows: members.first().map_or(rows.unwrap_or(0), Self::len),
            values: ResultValues::Structs(members),
            valid: valid.unwrap_or_default(),
            places: OnceLock::new(),
        })
    }

    /// How many vectors a list has, and where each stands in it, rests on this.
    pub(super) fn check_lists(&self) -> Result<()> {
        let ResultValues::VectorLists(lists, element) = &self.values else {
            return Ok(());
        };
        let width = element.dense_vector_bytes(self.dimension).unwrap_or(0);
        let is_whole = |list: &wire::VectorField| match (&list.data, packed(list)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(data), Some(bytes)) => {
                let is_float = matches!(data, Vector::FloatVector(_));
                bytes.is_empty()
                    || (is_float == (*element == DataType::FloatVector)
                        && width > 0
                        && bytes.len().is_multiple_of(width))
            }
        };
        match lists.iter().all(is_whole) {
            true => Ok(()),
            false => Err(self.problem(format!(
                "lists that are not of vectors of type {element} with {} dimensions came",
                self.dimension
            ))),
        }
    }

    /// The members of an array of structs, each a column of lists: [`array`](Self::array) has those of scalars,
    /// [`vector_list`](Self::vector_list) those of vectors. Empty for fields of other types.
    pub fn members(&self) -> &[Self] {
        match self.raw() {
            ResultValues::Structs(members) => members,
            _ => &[],
        }
    }

    /// The type of the vectors of a member that holds lists of them.
    pub fn vector_list_type(&self) -> Option<DataType> {
        match self.raw() {
            ResultValues::VectorLists(_, element) => Some(*element),
            _ => None,
        }
    }

    /// A row's list of vectors, one after the other, as on the wire (little-endian), of a member of an array of structs; `None` when
    /// the row has none or the field is of another type.
    pub fn vector_list(&self, row: usize) -> Option<Bytes> {
        let ResultValues::VectorLists(lists, _) = self.raw() else {
            return None;
        };
        let list = lists.get(self.place(row)?)?;
        packed(list).cloned().or_else(|| Some(Bytes::new()))
    }

    /// The vector of a row's list at a place.
    pub(in crate::results) fn listed_vector(&self, row: usize, at: usize) -> Option<&[u8]> {
        let ResultValues::VectorLists(lists, element) = self.raw() else {
            return None;
        };
        let width = element.dense_vector_bytes(self.dimension())?;
        packed(lists.get(self.place(row)?)?)?.get(at * width..(at + 1) * width)
    }

    /// How many elements a row's list has, of a member of an array of structs.
    pub(in crate::results) fn list_len(&self, row: usize) -> usize {
        use wire::scalar_field::Data as Scalar;
        let Some(place) = self.place(row) else {
            return 0;
        };
        match self.raw() {
            ResultValues::Array(lists) => {
                match lists.get(place).and_then(|list| list.data.as_ref()) {
                    Some(Scalar::BoolData(list)) => list.data.len(),
                    Some(Scalar::IntData(list)) => list.data.len(),
                    Some(Scalar::LongData(list)) => list.data.len(),
                    Some(Scalar::FloatData(list)) => list.data.len() / 4,
                    Some(Scalar::DoubleData(list)) => list.data.len() / 8,
                    Some(Scalar::StringData(list)) => list.data.len(),
                    _ => 0,
                }
            }
            ResultValues::VectorLists(lists, element) => {
                let width = element.dense_vector_bytes(self.dimension()).unwrap_or(0);
                let bytes = lists.get(place).and_then(packed).map_or(0, Bytes::len);
                bytes.checked_div(width).unwrap_or(0)
            }
            _ => 0,
        }
    }
}

fn packed(list: &wire::VectorField) -> Option<&Bytes> {
    match list.data.as_ref()? {
        Vector::FloatVector(list) => Some(&list.data),
        Vector::BinaryVector(list)
        | Vector::Float16Vector(list)
        | Vector::Bfloat16Vector(list)
        | Vector::Int8Vector(list) => Some(list),
        Vector::SparseFloatVector(_) | Vector::VectorArray(_) => None,
    }
}
