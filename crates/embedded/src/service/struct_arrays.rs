//! Arrays of structs between the wire, where a struct is a field of fields, and the engine, where each member is a field of its own.
//!
//! The invariant of [`crate::catalog`]'s structs is established here: rows are let in only when the members of each struct have lists
//! of one length, or are all null.

use std::collections::BTreeSet;

use milvus_protocol::schema::{
    DataType as WireType, FieldData, FieldSchema, StructArrayField, StructArrayFieldSchema,
    field_data::Field,
};

use super::field_data::{read_column, write_column};
use super::parameters::{to_map, to_pairs};
use super::schema::{read_field, write_field};
use crate::catalog::{
    CollectionRecord, FIRST_FIELD, FieldRecord, StructRecord, member_name, split_member,
};
use crate::column::{Column, Values};
use crate::error::MilvusError;

/// Reads the arrays of structs of a new collection, and puts their members behind the other fields.
pub(super) fn read_structs(
    schemas: &[StructArrayFieldSchema],
    fields: &mut Vec<FieldRecord>,
) -> Result<Vec<StructRecord>, MilvusError> {
    let mut next = FIRST_FIELD + fields.len() as i64;
    let mut structs = Vec::with_capacity(schemas.len());
    for schema in schemas {
        structs.push(StructRecord {
            id: next,
            name: schema.name.clone(),
            description: schema.description.clone(),
            nullable: schema.nullable,
            type_params: to_map(&schema.type_params),
        });
        for member in &schema.fields {
            next += 1;
            let own = read_field(member, next)?;
            fields.push(FieldRecord {
                name: member_name(&schema.name, &member.name),
                nullable: own.nullable || schema.nullable,
                ..own
            });
        }
        next += 1;
    }
    Ok(structs)
}

/// The arrays of structs of a description, their members called as in the struct.
pub(super) fn write_structs(record: &CollectionRecord) -> Vec<StructArrayFieldSchema> {
    let write_member = |field: &FieldRecord| FieldSchema {
        name: own_name(&field.name).to_owned(),
        ..write_field(field)
    };
    let arrays = record.structs.iter().map(|array| StructArrayFieldSchema {
        field_id: array.id,
        name: array.name.clone(),
        description: array.description.clone(),
        fields: record.members(&array.name).map(write_member).collect(),
        type_params: to_pairs(&array.type_params),
        nullable: array.nullable,
    });
    arrays.collect()
}

/// The name of a member in its struct.
fn own_name(name: &str) -> &str {
    split_member(name).map_or(name, |(_, member)| member)
}

/// The name of the field that an answer shows for a field: for a member that of its array of structs.
pub(super) fn public_name(field: &FieldRecord) -> &str {
    field.member().map_or(&field.name, |(array, _)| array)
}

/// When an output field is an array of structs, or one member of it: its name, with the ids of the members put into `ids`.
pub(super) fn named_struct(
    record: &CollectionRecord,
    name: &str,
    ids: &mut BTreeSet<i64>,
) -> Result<Option<String>, MilvusError> {
    if record.struct_array(name).is_some() {
        ids.extend(record.members(name).map(|field| field.id));
        return Ok(Some(name.to_owned()));
    }
    let Some((array, member)) = split_member(name) else {
        return Ok(None);
    };
    if record.struct_array(array).is_none() {
        return Ok(None);
    }
    match record.field(name) {
        Some(field) => {
            ids.insert(field.id);
            Ok(Some(array.to_owned()))
        }
        None => Err(MilvusError::invalid(format!(
            "field {name} not exist: struct array field {array} has no member {member}"
        ))),
    }
}

/// The columns of the members of an array of structs, from what a request sent for it.
pub(super) fn read_struct_array(
    record: &CollectionRecord,
    array: &StructRecord,
    data: &FieldData,
    rows: usize,
) -> Result<Vec<(String, Column)>, MilvusError> {
    let name = &array.name;
    let Some(Field::StructArrays(given)) = &data.field else {
        return Err(MilvusError::invalid(format!(
            "field {name} is an array of structs, but the request carries other data for it"
        )));
    };
    let mut columns: Vec<(String, Column)> = Vec::new();
    for member in record.members(name) {
        let own = own_name(&member.name);
        let mut found = given
            .fields
            .iter()
            .filter(|field| field.field_name == own || field.field_name == member.name);
        let (Some(data), None) = (found.next(), found.next()) else {
            return Err(MilvusError::invalid(format!(
                "sub-field '{own}' of struct '{name}' has to be given, and once"
            )));
        };
        columns.push((member.name.clone(), read_column(member, data, rows)?));
    }
    if given.fields.len() != columns.len() {
        let known = |field: &&FieldData| {
            let full = member_name(name, own_name(&field.field_name));
            !columns.iter().any(|(column, _)| *column == full)
        };
        let unknown = given.fields.iter().find(known);
        return Err(MilvusError::invalid(format!(
            "sub-field '{}' not found in struct schema '{name}'",
            unknown.map_or("", |field| field.field_name.as_str())
        )));
    }
    check_lengths(name, &columns)?;
    columns
        .iter()
        .try_for_each(|(member, column)| check_vectors(member, column))?;
    Ok(columns)
}

/// That in each row all members are null, or have lists of one length.
fn check_lengths(array: &str, columns: &[(String, Column)]) -> Result<(), MilvusError> {
    let Some(((first_name, first), others)) = columns.split_first() else {
        return Ok(());
    };
    let length = |column: &Column, row: usize| match column.values() {
        Values::Array(lists) => lists.range(row).len(),
        _ => 0,
    };
    for (name, column) in others {
        let (first_name, name) = (own_name(first_name), own_name(name));
        for row in 0..first.len() {
            if first.is_valid(row) != column.is_valid(row) {
                return Err(MilvusError::invalid(format!(
                    "sub-field ValidData mismatch in struct '{array}' at row {row}: one of '{first_name}' and '{name}' is null"
                )));
            }
            let (expected, actual) = (length(first, row), length(column, row));
            if expected != actual {
                return Err(MilvusError::invalid(format!(
                    "inconsistent struct element count in struct '{array}' at row {row}: '{first_name}' has {expected}, '{name}' has {actual}"
                )));
            }
        }
    }
    Ok(())
}

/// That vectors consist of numbers, which the check of ordinary fields sees only outside of lists.
fn check_vectors(member: &str, column: &Column) -> Result<(), MilvusError> {
    let Values::Array(lists) = column.values() else {
        return Ok(());
    };
    let finite = match lists.elements().values() {
        Values::FloatVector(rows) => rows.data.iter().all(|value| value.is_finite()),
        Values::Float16Vector(rows) => rows.data.iter().all(|bits| bits & 0x7c00 != 0x7c00),
        Values::BFloat16Vector(rows) => rows.data.iter().all(|bits| bits & 0x7f80 != 0x7f80),
        _ => true,
    };
    if finite {
        return Ok(());
    }
    Err(MilvusError::invalid(format!(
        "value of field {member} is not a number or infinity"
    )))
}

/// The field data that an answer carries for columns of fields, with the members of each struct in one field.
pub(super) fn write_columns(
    record: &CollectionRecord,
    fields: &[FieldRecord],
    columns: &[Column],
) -> Vec<FieldData> {
    let mut answer: Vec<FieldData> = Vec::with_capacity(fields.len());
    for (field, column) in fields.iter().zip(columns) {
        let data = write_column(field, column);
        let Some((array, member)) = field.member() else {
            answer.push(data);
            continue;
        };
        let data = FieldData {
            field_name: member.to_owned(),
            ..data
        };
        let place = answer.iter_mut().find_map(|known| match &mut known.field {
            Some(Field::StructArrays(members)) if known.field_name == array => Some(members),
            _ => None,
        });
        match place {
            Some(members) => members.fields.push(data),
            None => answer.push(FieldData {
                r#type: WireType::ArrayOfStruct as i32,
                field_name: array.to_owned(),
                field_id: record.struct_array(array).map_or(0, |array| array.id),
                field: Some(Field::StructArrays(StructArrayField { fields: vec![data] })),
                ..FieldData::default()
            }),
        }
    }
    answer
}
