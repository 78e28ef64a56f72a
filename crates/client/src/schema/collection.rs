//! The whole schema of a collection.
//!
//! Invariant: field order is the order of creation; lookups by name never guess.

use std::collections::BTreeMap;

use super::{FieldSchema, FunctionSchema, StructArraySchema};

/// The schema of a collection.
///
/// ```
/// use milvus_client::schema::{CollectionSchema, FieldSchema};
///
/// let schema = CollectionSchema::new()
///     .field(FieldSchema::int64("id").primary_key())
///     .field(FieldSchema::varchar("title", 512))
///     .field(FieldSchema::float_vector("vector", 768))
///     .dynamic_fields();
/// schema.check()?;
///
/// // The same without a title, in one line:
/// let schema = CollectionSchema::ids_and_vectors(768);
/// # schema.check()?;
/// # Ok::<(), milvus_client::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CollectionSchema {
    /// The collection's name as the server describes it; empty in a schema that is being built.
    pub name: String,
    /// What the collection is for, in the user's words.
    pub description: String,
    /// The fields, in the order of creation.
    pub fields: Vec<FieldSchema>,
    /// Fields whose values are lists of structs.
    pub struct_array_fields: Vec<StructArraySchema>,
    /// Functions that fill fields.
    pub functions: Vec<FunctionSchema>,
    /// Whether rows may have fields that the schema does not name (kept in `$meta`).
    pub has_dynamic_fields: bool,
    /// Properties of the collection.
    pub properties: BTreeMap<String, String>,
    /// The server's version of the schema.
    pub version: i32,
}

impl CollectionSchema {
    /// A schema without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The common small schema: an `Int64` primary key `id`, a float vector field `vector` of
    /// `dimension` dimensions, and room for any further fields.
    pub fn ids_and_vectors(dimension: usize) -> Self {
        Self::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::float_vector("vector", dimension))
            .dynamic_fields()
    }

    /// Adds a field.
    pub fn field(mut self, field: FieldSchema) -> Self {
        self.fields.push(field);
        self
    }

    /// Adds a field whose values are lists of structs.
    pub fn struct_array_field(mut self, field: StructArraySchema) -> Self {
        self.struct_array_fields.push(field);
        self
    }

    /// Adds a function and marks the fields it fills.
    pub fn function(mut self, function: FunctionSchema) -> Self {
        for field in &mut self.fields {
            if function.output_fields.contains(&field.name) {
                field.is_function_output = true;
            }
        }
        self.functions.push(function);
        self
    }

    /// Lets rows have fields that the schema does not name.
    pub fn dynamic_fields(mut self) -> Self {
        self.has_dynamic_fields = true;
        self
    }

    /// Says what the collection is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets a property.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.insert(key.into(), value.to_string());
        self
    }

    /// The field named `name`.
    pub fn field_named(&self, name: &str) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.is_primary_key)
    }

    /// The vector fields, in the order of creation.
    pub fn vector_fields(&self) -> impl Iterator<Item = &FieldSchema> {
        self.fields
            .iter()
            .filter(|field| field.data_type.is_vector())
    }
}
