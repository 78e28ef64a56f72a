//! Schemas from Python's description of them, and a server's description for Python.
//!
//! Invariant: what a description says is given as the server said it; the names of the keys are PyMilvus's.

use std::collections::BTreeMap;

use milvus_client::schema::{
    CollectionSchema, DataType, DefaultValue, FieldSchema, StructArraySchema,
};
use milvus_protocol::common::KeyValuePair;
use milvus_protocol::milvus::DescribeCollectionResponse;
use milvus_protocol::schema as wire;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use super::parameters::pairs;
use super::read::{GivenFunction, function};
use super::value::class;
use crate::errors::Failure;

/// A field as Python describes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct GivenField<'py> {
    name: String,
    data_type: i32,
    element_type: Option<i32>,
    description: String,
    is_primary: bool,
    auto_id: bool,
    is_partition_key: bool,
    is_clustering_key: bool,
    is_dynamic: bool,
    nullable: bool,
    default_value: Option<Bound<'py, PyAny>>,
    params: Bound<'py, PyDict>,
}

/// A struct field as Python describes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct GivenStruct<'py> {
    name: String,
    description: String,
    nullable: bool,
    max_capacity: usize,
    params: Bound<'py, PyDict>,
    fields: Vec<GivenField<'py>>,
}

/// A schema as Python describes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct GivenSchema<'py> {
    description: String,
    enable_dynamic_field: bool,
    fields: Vec<GivenField<'py>>,
    struct_fields: Vec<GivenStruct<'py>>,
    functions: Vec<GivenFunction<'py>>,
}

impl GivenField<'_> {
    /// # Errors
    /// A limit that is no number; a default value of a type that no field has.
    pub(crate) fn read(self) -> Result<FieldSchema, Failure> {
        let mut field = FieldSchema::new(self.name, DataType::from_number(self.data_type));
        field.element_type = self.element_type.map(DataType::from_number);
        field.description = self.description;
        field.is_primary_key = self.is_primary;
        field.is_auto_id = self.auto_id;
        field.is_partition_key = self.is_partition_key;
        field.is_clustering_key = self.is_clustering_key;
        field.is_dynamic = self.is_dynamic;
        field.is_nullable = self.nullable;
        field.default_value = self.default_value.as_ref().map(default_value).transpose()?;
        for (key, value) in pairs(&self.params)? {
            let limit = match key.as_str() {
                "dim" => &mut field.dimension,
                "max_length" => &mut field.max_length,
                "max_capacity" => &mut field.max_capacity,
                _ => {
                    field.parameters.insert(parameter_name(key), flag(value));
                    continue;
                }
            };
            let number = value.parse().map_err(|_| {
                Failure::parameter(format!(
                    "`{key}` of the field `{}` must be a number, not {value:?}",
                    field.name
                ))
            })?;
            *limit = Some(number);
        }
        Ok(field)
    }
}

fn parameter_name(key: String) -> String {
    if key == "mmap_enabled" {
        "mmap.enabled".to_owned()
    } else {
        key
    }
}

/// A bool as servers want it.
fn flag(value: String) -> String {
    match value.as_str() {
        "True" => "true".to_owned(),
        "False" => "false".to_owned(),
        _ => value,
    }
}

fn default_value(value: &Bound<'_, PyAny>) -> Result<DefaultValue, Failure> {
    if value.is_instance_of::<PyBool>() {
        return Ok(DefaultValue::Bool(value.extract()?));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(DefaultValue::Int(value.extract()?));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(DefaultValue::Float(value.extract()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(DefaultValue::String(value.extract()?));
    }
    match value.getattr_opt("item")? {
        Some(item) => default_value(&item.call0()?),
        None => Err(Failure::parameter(format!(
            "Default value unsupported data type: {}",
            class(value)
        ))),
    }
}

impl GivenSchema<'_> {
    /// # Errors
    /// See [`GivenField::read`].
    pub(crate) fn read(self) -> Result<CollectionSchema, Failure> {
        let mut schema = CollectionSchema::new().description(self.description);
        if self.enable_dynamic_field {
            schema = schema.dynamic_fields();
        }
        for field in self.fields {
            schema = schema.field(field.read()?);
        }
        for given in self.struct_fields {
            let mut array = StructArraySchema::new(given.name, given.max_capacity);
            array.description = given.description;
            for field in given.fields {
                array = array.field(field.read()?);
            }
            if given.nullable {
                array = array.nullable();
            }
            for (key, value) in pairs(&given.params)? {
                array.parameters.insert(parameter_name(key), flag(value));
            }
            schema = schema.struct_array_field(array);
        }
        for given in self.functions {
            schema = schema.function(function(given)?);
        }
        Ok(schema)
    }
}

/// The texts of key-value pairs by key.
pub(crate) fn texts(pairs: Vec<KeyValuePair>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}

/// A field as the server describes it.
#[derive(IntoPyObject)]
pub(crate) struct Field {
    field_id: i64,
    name: String,
    description: String,
    r#type: i32,
    params: BTreeMap<String, String>,
    default_value: Option<Default>,
    element_type: i32,
    is_partition_key: bool,
    is_dynamic: bool,
    auto_id: bool,
    nullable: bool,
    is_primary: bool,
    is_clustering_key: bool,
    is_function_output: bool,
    external_field: String,
}

/// A default value.
#[derive(IntoPyObject)]
enum Default {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl From<wire::FieldSchema> for Field {
    fn from(field: wire::FieldSchema) -> Self {
        use wire::value_field::Data;
        let default_value = field
            .default_value
            .and_then(|value| value.data)
            .and_then(|data| match data {
                Data::BoolData(value) => Some(Default::Bool(value)),
                Data::IntData(value) | Data::DateData(value) => Some(Default::Int(value.into())),
                Data::LongData(value) | Data::TimestamptzData(value) | Data::TimeData(value) => {
                    Some(Default::Int(value))
                }
                Data::FloatData(value) => Some(Default::Float(value.into())),
                Data::DoubleData(value) => Some(Default::Float(value)),
                Data::StringData(value) => Some(Default::Text(value)),
                Data::BytesData(value) => String::from_utf8(value.to_vec()).ok().map(Default::Text),
            });
        Self {
            field_id: field.field_id,
            name: field.name,
            description: field.description,
            r#type: field.data_type,
            params: texts(field.type_params),
            default_value,
            element_type: field.element_type,
            is_partition_key: field.is_partition_key,
            is_dynamic: field.is_dynamic,
            auto_id: field.auto_id,
            nullable: field.nullable,
            is_primary: field.is_primary_key,
            is_clustering_key: field.is_clustering_key,
            is_function_output: field.is_function_output,
            external_field: field.external_field,
        }
    }
}

/// A struct field as the server describes it.
#[derive(IntoPyObject)]
struct Struct {
    field_id: i64,
    name: String,
    description: String,
    nullable: bool,
    fields: Vec<Field>,
}

/// A function as the server describes it.
#[derive(IntoPyObject)]
struct Function {
    name: String,
    id: i64,
    description: String,
    r#type: i32,
    params: BTreeMap<String, String>,
    input_field_names: Vec<String>,
    input_field_ids: Vec<i64>,
    output_field_names: Vec<String>,
    output_field_ids: Vec<i64>,
}

/// A collection as the server describes it; Python leaves out what PyMilvus leaves out.
#[derive(IntoPyObject)]
pub(crate) struct Collection {
    collection_name: String,
    num_shards: i32,
    description: String,
    fields: Vec<Field>,
    struct_array_fields: Vec<Struct>,
    functions: Vec<Function>,
    aliases: Vec<String>,
    collection_id: i64,
    consistency_level: i32,
    properties: BTreeMap<String, String>,
    num_partitions: i64,
    enable_dynamic_field: bool,
    enable_namespace: bool,
    external_source: String,
    external_spec: String,
    schema_version: i32,
    created_timestamp: u64,
    update_timestamp: u64,
}

impl From<DescribeCollectionResponse> for Collection {
    fn from(answer: DescribeCollectionResponse) -> Self {
        let schema = answer.schema.unwrap_or_default();
        let outputs: Vec<String> = schema
            .functions
            .iter()
            .flat_map(|one| one.output_field_names.clone())
            .collect();
        let mut fields: Vec<Field> = schema.fields.into_iter().map(Field::from).collect();
        for field in &mut fields {
            field.is_function_output |= outputs.contains(&field.name);
        }
        let structs = schema.struct_array_fields.into_iter().map(|given| Struct {
            field_id: given.field_id,
            name: given.name,
            description: given.description,
            nullable: given.nullable,
            fields: given.fields.into_iter().map(Field::from).collect(),
        });
        let functions = schema.functions.into_iter().map(|given| Function {
            name: given.name,
            id: given.id,
            description: given.description,
            r#type: given.r#type,
            params: texts(given.params),
            input_field_names: given.input_field_names,
            input_field_ids: given.input_field_ids,
            output_field_names: given.output_field_names,
            output_field_ids: given.output_field_ids,
        });
        Self {
            collection_name: schema.name,
            num_shards: answer.shards_num,
            description: schema.description,
            fields,
            struct_array_fields: structs.collect(),
            functions: functions.collect(),
            aliases: answer.aliases,
            collection_id: answer.collection_id,
            consistency_level: answer.consistency_level,
            properties: texts(answer.properties),
            num_partitions: answer.num_partitions,
            enable_dynamic_field: schema.enable_dynamic_field,
            enable_namespace: schema.enable_namespace,
            external_source: schema.external_source,
            external_spec: schema.external_spec,
            schema_version: schema.version,
            created_timestamp: answer.created_timestamp,
            update_timestamp: answer.update_timestamp,
        }
    }
}
