//! Arrays of structs: fields whose values are lists of structs, stored as one list for each member.
//!
//! A member is a field like others, named `struct[member]`, which no other field can be called. So rows are stored, flushed, merged and
//! filtered without a word of structs. The invariant is that of the rows: in every row all members of a struct have lists of one
//! length, or are all null.

use std::collections::BTreeMap;

use super::{CollectionRecord, DataType, FieldRecord, check_name};
use crate::error::MilvusError;

/// A field whose values are lists of structs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct StructRecord {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) nullable: bool,
    #[serde(default)]
    pub(crate) type_params: BTreeMap<String, String>,
}

/// The name that a member has as a field.
pub(crate) fn member_name(array: &str, member: &str) -> String {
    format!("{array}[{member}]")
}

/// Array and member of a field's name, when it is a member.
pub(crate) fn split_member(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(']')?.split_once('[')
}

impl FieldRecord {
    /// The array of structs that the field is a member of, and what it is called there.
    pub(crate) fn member(&self) -> Option<(&str, &str)> {
        split_member(&self.name)
    }
}

impl CollectionRecord {
    /// The array of structs of this name.
    pub(crate) fn struct_array(&self, name: &str) -> Option<&StructRecord> {
        self.structs.iter().find(|array| array.name == name)
    }

    /// The members of an array of structs, in the order of the schema.
    pub(crate) fn members<'a>(&'a self, array: &'a str) -> impl Iterator<Item = &'a FieldRecord> {
        self.fields
            .iter()
            .filter(move |field| field.member().is_some_and(|(owner, _)| owner == array))
    }
}

/// Checks the arrays of structs of a new collection, whose members are among the fields.
pub(crate) fn check_structs(
    arrays: &[StructRecord],
    fields: &[FieldRecord],
) -> Result<(), MilvusError> {
    for (index, array) in arrays.iter().enumerate() {
        let name = &array.name;
        check_name("field", name)?;
        let others = &arrays[..index];
        if fields.iter().any(|field| field.name == *name)
            || others.iter().any(|other| other.name == *name)
        {
            return Err(MilvusError::invalid(format!(
                "duplicated field name {name}"
            )));
        }
        let mut capacity = None;
        for field in fields {
            let Some((_, member)) = field.member().filter(|(owner, _)| owner == name) else {
                continue;
            };
            check_member(array, field, member)?;
            let own = field.number("max_capacity");
            if *capacity.get_or_insert(own) != own {
                return Err(MilvusError::invalid(format!(
                    "all sub-fields in struct array field must have the same max_capacity: structName={name}, subFieldName={member}"
                )));
            }
        }
        if capacity.is_none() {
            return Err(MilvusError::invalid(format!(
                "struct array field {name} has no sub-fields"
            )));
        }
    }
    Ok(())
}

fn check_member(
    array: &StructRecord,
    field: &FieldRecord,
    member: &str,
) -> Result<(), MilvusError> {
    let name = &array.name;
    let refuse = |reason: &str| {
        Err(MilvusError::invalid(format!(
            "field {member} in struct {name} {reason}"
        )))
    };
    check_name("field", member)?;
    if !matches!(field.data_type, DataType::Array | DataType::ArrayOfVector) {
        return refuse(&format!(
            "can only be an array or an array of vectors, but is {}",
            field.column_type()
        ));
    }
    if field.primary || field.partition_key || field.clustering_key || field.dynamic {
        return refuse("can't be a primary, partition or clustering key, or the dynamic field");
    }
    if field.auto_id || field.default.is_some() {
        return refuse("can't have auto_id or a default value");
    }
    if field.function_output {
        return refuse("can't be the output of a function");
    }
    if field.nullable != array.nullable {
        return refuse("cannot be nullable individually, set nullable on the struct instead");
    }
    Ok(())
}
