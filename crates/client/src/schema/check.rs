//! The rules a schema must keep before it is sent.
//!
//! Only rules that every server has are here; a newer server's further freedoms are its own to grant.
//!
//! Invariant: a refused schema names the field and the rule, and nothing is sent.

use std::collections::HashSet;

use super::{CollectionSchema, DataType, DefaultValue, FieldSchema, StructArraySchema};
use crate::error::{Error, Result};

impl CollectionSchema {
    /// Checks the schema against the rules every server has.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] that names the field and the rule.
    pub fn check(&self) -> Result<()> {
        let mut names = HashSet::new();
        for field in &self.fields {
            if !names.insert(field.name.as_str()) {
                return Err(refused(&field.name, "is the name of two fields"));
            }
            field.check()?;
        }
        for field in &self.struct_array_fields {
            if !names.insert(field.name.as_str()) {
                return Err(refused(&field.name, "is the name of two fields"));
            }
            field.check()?;
        }
        self.check_roles()?;
        self.check_functions()
    }

    fn check_roles(&self) -> Result<()> {
        let primary_keys: Vec<_> = self.fields.iter().filter(|f| f.is_primary_key).collect();
        match primary_keys.as_slice() {
            [] => {
                return Err(refused(
                    "primary key",
                    "is missing: mark one Int64 or VarChar field with `primary_key()`",
                ));
            }
            [_] => {}
            [_, second, ..] => {
                return Err(refused(
                    &second.name,
                    "is a second primary key; a collection has one",
                ));
            }
        }
        let mut partition_keys = self.fields.iter().filter(|f| f.is_partition_key);
        if let (Some(_), Some(second)) = (partition_keys.next(), partition_keys.next()) {
            return Err(refused(
                &second.name,
                "is a second partition key; a collection has at most one",
            ));
        }
        Ok(())
    }

    fn check_functions(&self) -> Result<()> {
        for function in &self.functions {
            for name in function.input_fields.iter().chain(&function.output_fields) {
                if self.field_named(name).is_none() {
                    return Err(refused(
                        name,
                        format!(
                            "is used by function `{}` but is not a field of the schema",
                            function.name
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

impl StructArraySchema {
    fn check(&self) -> Result<()> {
        if self.fields.is_empty() {
            return Err(refused(&self.name, "is a struct array without members"));
        }
        if self.max_capacity.is_none_or(|limit| limit == 0) {
            return Err(refused(
                &self.name,
                "is a struct array without a max_capacity",
            ));
        }
        let mut names = HashSet::new();
        for member in self.members() {
            let name = format!("{}[{}]", self.name, member.name);
            if !names.insert(member.name.clone()) {
                return Err(refused(&name, "is the name of two members"));
            }
            let fits = matches!(
                member.data_type,
                DataType::Bool
                    | DataType::Int8
                    | DataType::Int16
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::Float
                    | DataType::Double
                    | DataType::VarChar
                    | DataType::Other(_)
            );
            if !fits && !member.data_type.is_dense_vector() {
                let rule = format!(
                    "is a member of type {}; members are numbers, booleans, VarChar or dense vectors",
                    member.data_type
                );
                return Err(refused(&name, rule));
            }
            if member.is_primary_key || member.is_partition_key || member.is_clustering_key {
                return Err(refused(&name, "is a member, which cannot be a key"));
            }
            let is_nullable = self.fields.iter().any(|list| list.is_nullable);
            if member.default_value.is_some() || (is_nullable && !self.is_nullable) {
                let rule = "is a member, which cannot have a default or be nullable on its own; make the struct array nullable";
                return Err(refused(&name, rule));
            }
            FieldSchema { name, ..member }.check()?;
        }
        Ok(())
    }
}

impl FieldSchema {
    pub(crate) fn check(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(refused("field name", "is empty"));
        }
        self.check_limits()?;
        if self.is_primary_key {
            if !self.data_type.can_be_primary_key() {
                return Err(refused(
                    &self.name,
                    format!(
                        "is a primary key of type {}; use Int64 or VarChar",
                        self.data_type
                    ),
                ));
            }
            if self.is_nullable || self.default_value.is_some() {
                return Err(refused(
                    &self.name,
                    "is the primary key; it cannot be nullable or have a default",
                ));
            }
        }
        if self.is_auto_id && !self.is_primary_key {
            return Err(refused(
                &self.name,
                "is auto_id but not the primary key; only the primary key can be made up",
            ));
        }
        if self.is_partition_key && (self.is_primary_key || !self.data_type.can_be_primary_key()) {
            return Err(refused(
                &self.name,
                "is the partition key; that must be an Int64 or VarChar field other than the primary key",
            ));
        }
        self.check_default()
    }

    fn check_limits(&self) -> Result<()> {
        if self.data_type.is_dense_vector() {
            match self.dimension {
                None | Some(0) => {
                    return Err(refused(&self.name, "is a vector field without a dimension"));
                }
                Some(bits) if self.data_type == DataType::BinaryVector && bits % 8 != 0 => {
                    return Err(refused(
                        &self.name,
                        format!("has {bits} dimensions; a binary vector's are a multiple of 8"),
                    ));
                }
                Some(_) => {}
            }
        }
        let holds_varchar = self.data_type.has_max_length()
            || (self.data_type == DataType::Array && self.element_type == Some(DataType::VarChar));
        if holds_varchar && self.max_length.is_none_or(|limit| limit == 0) {
            return Err(refused(
                &self.name,
                "holds VarChar without a max_length (in bytes, up to 65535)",
            ));
        }
        if self.data_type == DataType::Array
            && (self.element_type.is_none() || self.max_capacity.is_none_or(|limit| limit == 0))
        {
            return Err(refused(
                &self.name,
                "is an array without an element type or max_capacity",
            ));
        }
        Ok(())
    }

    fn check_default(&self) -> Result<()> {
        let Some(default) = &self.default_value else {
            return Ok(());
        };
        let fits = match (self.data_type, default) {
            (DataType::Bool, DefaultValue::Bool(_))
            | (DataType::Int64, DefaultValue::Int(_))
            | (DataType::Double, DefaultValue::Float(_) | DefaultValue::Int(_))
            | (DataType::Float, DefaultValue::Int(_))
            | (DataType::Json, DefaultValue::Bytes(_))
            | (DataType::Timestamptz, DefaultValue::Timestamptz(_) | DefaultValue::String(_)) => {
                true
            }
            (DataType::Int8, DefaultValue::Int(value)) => i8::try_from(*value).is_ok(),
            (DataType::Int16, DefaultValue::Int(value)) => i16::try_from(*value).is_ok(),
            (DataType::Int32, DefaultValue::Int(value)) => i32::try_from(*value).is_ok(),
            (DataType::Float, DefaultValue::Float(value)) => value.abs() <= f64::from(f32::MAX),
            (DataType::VarChar, DefaultValue::String(value)) => {
                self.max_length.is_none_or(|limit| value.len() <= limit)
            }
            (DataType::Text | DataType::Geometry, DefaultValue::String(_)) => true,
            (DataType::Other(_), _) => true,
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(refused(
                &self.name,
                format!(
                    "has the default {default:?}, which is no valid {}",
                    self.data_type
                ),
            ))
        }
    }
}

fn refused(field: &str, rule: impl Into<String>) -> Error {
    Error::request("collection schema", field, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(schema: &CollectionSchema) -> String {
        schema
            .check()
            .expect_err("the schema breaks a rule")
            .to_string()
    }

    #[test]
    fn a_plain_schema_passes() {
        CollectionSchema::ids_and_vectors(8).check().expect("valid");
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        let base = || CollectionSchema::new().field(FieldSchema::int64("id").primary_key());
        let cases = [
            CollectionSchema::new().field(FieldSchema::float_vector("v", 4)),
            base().field(FieldSchema::int64("id")),
            base().field(FieldSchema::varchar("other", 4).primary_key()),
            base().field(FieldSchema::float_vector("v", 0)),
            base().field(FieldSchema::binary_vector("v", 12)),
            base().field(FieldSchema::array("tags", DataType::VarChar, 4)),
            base().field(FieldSchema::int8("small").default_value(1000)),
            base().field(FieldSchema::float("f").partition_key()),
            CollectionSchema::new().field(FieldSchema::double("id").primary_key()),
        ];
        let problems: Vec<_> = cases.iter().map(problem).collect();
        insta::assert_snapshot!(problems.join("\n"), @r"
        collection schema: `primary key` is missing: mark one Int64 or VarChar field with `primary_key()`; nothing was sent
        collection schema: `id` is the name of two fields; nothing was sent
        collection schema: `other` is a second primary key; a collection has one; nothing was sent
        collection schema: `v` is a vector field without a dimension; nothing was sent
        collection schema: `v` has 12 dimensions; a binary vector's are a multiple of 8; nothing was sent
        collection schema: `tags` holds VarChar without a max_length (in bytes, up to 65535); nothing was sent
        collection schema: `small` has the default Int(1000), which is no valid Int8; nothing was sent
        collection schema: `f` is the partition key; that must be an Int64 or VarChar field other than the primary key; nothing was sent
        collection schema: `id` is a primary key of type Double; use Int64 or VarChar; nothing was sent
        ");
    }

    #[test]
    fn members_of_struct_arrays_are_checked_by_their_full_names() {
        let with = |array: StructArraySchema| {
            CollectionSchema::ids_and_vectors(8).struct_array_field(array)
        };
        let array = || StructArraySchema::new("clips", 8);
        with(array().field(FieldSchema::float_vector("emb", 4)))
            .check()
            .expect("valid");
        let cases = [
            (array(), "`clips` is a struct array without members"),
            (
                StructArraySchema::new("clips", 0).field(FieldSchema::bool("a")),
                "`clips` is a struct array without a max_capacity",
            ),
            (
                array()
                    .field(FieldSchema::bool("a"))
                    .field(FieldSchema::int8("a")),
                "`clips[a]` is the name of two members",
            ),
            (
                array().field(FieldSchema::float_vector("emb", 0)),
                "`clips[emb]` is a vector field without a dimension",
            ),
            (
                array().field(FieldSchema::json("a")),
                "`clips[a]` is a member of type JSON",
            ),
            (
                array().field(FieldSchema::sparse_float_vector("a")),
                "`clips[a]` is a member of type SparseFloatVector",
            ),
            (
                array().field(FieldSchema::int64("a").primary_key()),
                "`clips[a]` is a member, which cannot be a key",
            ),
            (
                array().field(FieldSchema::int64("a").nullable()),
                "make the struct array nullable",
            ),
        ];
        for (array, words) in cases {
            let problem = problem(&with(array));
            assert!(problem.contains(words), "{words}: {problem}");
        }
    }
}
