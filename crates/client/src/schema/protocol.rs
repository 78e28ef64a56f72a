//! Schemas to and from the messages of the wire.
//!
//! Sizes travel as text in `type_params`; here they become numbers and back.
//!
//! Invariant: reading a message and writing it again gives the same message, as far as a client may
//! write it.

use std::collections::BTreeMap;

use milvus_protocol::common::KeyValuePair;
use milvus_protocol::schema as wire;

use super::{
    CollectionSchema, DataType, DefaultValue, FieldSchema, FunctionSchema, FunctionType,
    StructArraySchema,
};

const DIMENSION: &str = "dim";
const MAX_LENGTH: &str = "max_length";
const MAX_CAPACITY: &str = "max_capacity";

/// Key-value pairs as the wire wants them.
pub(crate) fn pairs(map: &BTreeMap<String, String>) -> Vec<KeyValuePair> {
    map.iter()
        .map(|(key, value)| KeyValuePair {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

/// Key-value pairs as a map. The last of two equal keys wins, as it does on the server.
pub(crate) fn map(pairs: Vec<KeyValuePair>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}

impl From<&CollectionSchema> for wire::CollectionSchema {
    fn from(schema: &CollectionSchema) -> Self {
        Self {
            name: schema.name.clone(),
            description: schema.description.clone(),
            auto_id: schema.primary_key().is_some_and(|field| field.is_auto_id),
            fields: schema.fields.iter().map(Into::into).collect(),
            enable_dynamic_field: schema.has_dynamic_fields,
            properties: pairs(&schema.properties),
            functions: schema.functions.iter().map(Into::into).collect(),
            struct_array_fields: schema.struct_array_fields.iter().map(Into::into).collect(),
            version: schema.version,
            ..Self::default()
        }
    }
}

impl From<wire::CollectionSchema> for CollectionSchema {
    fn from(message: wire::CollectionSchema) -> Self {
        let auto_id = message.auto_id;
        let mut fields: Vec<FieldSchema> = message.fields.into_iter().map(Into::into).collect();
        for field in &mut fields {
            // Old servers say it on the collection only.
            field.is_auto_id |= auto_id && field.is_primary_key;
        }
        Self {
            name: message.name,
            description: message.description,
            fields,
            struct_array_fields: message
                .struct_array_fields
                .into_iter()
                .map(Into::into)
                .collect(),
            functions: message.functions.into_iter().map(Into::into).collect(),
            has_dynamic_fields: message.enable_dynamic_field,
            properties: map(message.properties),
            version: message.version,
        }
    }
}

fn limit(parameters: &mut BTreeMap<String, String>, key: &str) -> Option<usize> {
    let number = parameters.get(key)?.trim_matches('"').parse().ok()?;
    parameters.remove(key);
    Some(number)
}

fn with_limits(
    parameters: &BTreeMap<String, String>,
    limits: [(&str, Option<usize>); 3],
) -> Vec<KeyValuePair> {
    let mut all = pairs(parameters);
    for (key, value) in limits {
        if let Some(value) = value {
            all.push(KeyValuePair {
                key: key.to_owned(),
                value: value.to_string(),
            });
        }
    }
    all
}

impl From<&FieldSchema> for wire::FieldSchema {
    fn from(field: &FieldSchema) -> Self {
        Self {
            field_id: field.id,
            name: field.name.clone(),
            is_primary_key: field.is_primary_key,
            description: field.description.clone(),
            data_type: field.data_type.number(),
            type_params: with_limits(
                &field.parameters,
                [
                    (DIMENSION, field.dimension),
                    (MAX_LENGTH, field.max_length),
                    (MAX_CAPACITY, field.max_capacity),
                ],
            ),
            index_params: pairs(&field.index_parameters),
            auto_id: field.is_auto_id,
            element_type: field.element_type.map_or(0, DataType::number),
            default_value: field
                .default_value
                .as_ref()
                .map(|value| default_to_wire(value, field.data_type)),
            is_dynamic: field.is_dynamic,
            is_partition_key: field.is_partition_key,
            is_clustering_key: field.is_clustering_key,
            nullable: field.is_nullable,
            is_function_output: field.is_function_output,
            ..Self::default()
        }
    }
}

impl From<wire::FieldSchema> for FieldSchema {
    fn from(message: wire::FieldSchema) -> Self {
        let mut parameters = map(message.type_params);
        let dimension = limit(&mut parameters, DIMENSION);
        let max_length = limit(&mut parameters, MAX_LENGTH);
        let max_capacity = limit(&mut parameters, MAX_CAPACITY);
        let mut field = Self::new(message.name, DataType::from_number(message.data_type));
        field.id = message.field_id;
        field.element_type = match message.element_type {
            0 => None,
            number => Some(DataType::from_number(number)),
        };
        field.description = message.description;
        field.dimension = dimension;
        field.max_length = max_length;
        field.max_capacity = max_capacity;
        field.is_primary_key = message.is_primary_key;
        field.is_auto_id = message.auto_id;
        field.is_partition_key = message.is_partition_key;
        field.is_clustering_key = message.is_clustering_key;
        field.is_nullable = message.nullable;
        field.is_dynamic = message.is_dynamic;
        field.is_function_output = message.is_function_output;
        field.default_value = message.default_value.and_then(default_from_wire);
        field.parameters = parameters;
        field.index_parameters = map(message.index_params);
        field
    }
}

fn default_to_wire(value: &DefaultValue, data_type: DataType) -> wire::ValueField {
    use wire::value_field::Data;
    let data = match value {
        DefaultValue::Bool(value) => Data::BoolData(*value),
        DefaultValue::Int(value) => match (data_type, i32::try_from(*value)) {
            (DataType::Int8 | DataType::Int16 | DataType::Int32, Ok(value)) => Data::IntData(value),
            (DataType::Float, _) => Data::FloatData(*value as f32),
            (DataType::Double, _) => Data::DoubleData(*value as f64),
            _ => Data::LongData(*value),
        },
        DefaultValue::Float(value) => match data_type {
            DataType::Float => Data::FloatData(*value as f32),
            _ => Data::DoubleData(*value),
        },
        DefaultValue::String(value) => Data::StringData(value.clone()),
        DefaultValue::Bytes(value) => Data::BytesData(value.clone().into()),
        DefaultValue::Timestamptz(value) => Data::TimestamptzData(*value),
    };
    wire::ValueField { data: Some(data) }
}

fn default_from_wire(message: wire::ValueField) -> Option<DefaultValue> {
    use wire::value_field::Data;
    Some(match message.data? {
        Data::BoolData(value) => DefaultValue::Bool(value),
        Data::IntData(value) => DefaultValue::Int(i64::from(value)),
        Data::LongData(value) => DefaultValue::Int(value),
        Data::FloatData(value) => DefaultValue::Float(f64::from(value)),
        Data::DoubleData(value) => DefaultValue::Float(value),
        Data::StringData(value) => DefaultValue::String(value),
        Data::BytesData(value) => DefaultValue::Bytes(value.to_vec()),
        Data::TimestamptzData(value) => DefaultValue::Timestamptz(value),
        _ => return None,
    })
}

impl From<&FunctionSchema> for wire::FunctionSchema {
    fn from(function: &FunctionSchema) -> Self {
        Self {
            name: function.name.clone(),
            id: function.id,
            description: function.description.clone(),
            r#type: function.function_type.number(),
            input_field_names: function.input_fields.clone(),
            output_field_names: function.output_fields.clone(),
            params: pairs(&function.parameters),
            ..Self::default()
        }
    }
}

impl From<wire::FunctionSchema> for FunctionSchema {
    fn from(message: wire::FunctionSchema) -> Self {
        let mut function = Self::new(message.name, FunctionType::from_number(message.r#type));
        function.id = message.id;
        function.description = message.description;
        function.input_fields = message.input_field_names;
        function.output_fields = message.output_field_names;
        function.parameters = map(message.params);
        function
    }
}

impl From<&StructArraySchema> for wire::StructArrayFieldSchema {
    fn from(field: &StructArraySchema) -> Self {
        Self {
            field_id: field.id,
            name: field.name.clone(),
            description: field.description.clone(),
            fields: field.fields.iter().map(Into::into).collect(),
            type_params: with_limits(
                &field.parameters,
                [
                    (DIMENSION, None),
                    (MAX_LENGTH, None),
                    (MAX_CAPACITY, field.max_capacity),
                ],
            ),
            nullable: field.is_nullable,
        }
    }
}

impl From<wire::StructArrayFieldSchema> for StructArraySchema {
    fn from(message: wire::StructArrayFieldSchema) -> Self {
        let mut parameters = map(message.type_params);
        let member = |message: wire::FieldSchema| {
            let mut member = FieldSchema::from(message);
            member.name = crate::data::member_name(&member.name).to_owned();
            member
        };
        let fields: Vec<FieldSchema> = message.fields.into_iter().map(member).collect();
        let max_capacity = limit(&mut parameters, MAX_CAPACITY)
            .or_else(|| fields.first().and_then(|field| field.max_capacity));
        Self {
            name: message.name,
            id: message.field_id,
            description: message.description,
            fields,
            max_capacity,
            is_nullable: message.nullable,
            parameters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_survives_the_wire() {
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key().auto_id())
            .field(
                FieldSchema::varchar("text", 100).analyzer(&serde_json::json!({"type": "english"})),
            )
            .field(
                FieldSchema::array("tags", DataType::VarChar, 4)
                    .max_length(9)
                    .nullable(),
            )
            .field(FieldSchema::int16("rank").default_value(7))
            .field(FieldSchema::float("weight").default_value(0.5f32))
            .field(FieldSchema::float_vector("vector", 8).parameter("mmap.enabled", true))
            .field(FieldSchema::sparse_float_vector("terms"))
            .function(FunctionSchema::bm25("terms_of_text", "text", "terms"))
            .struct_array_field(
                StructArraySchema::new("parts", 3).field(FieldSchema::float_vector("part", 4)),
            )
            .property("collection.ttl.seconds", 60)
            .description("everything")
            .dynamic_fields();
        let message = wire::CollectionSchema::from(&schema);
        assert_eq!(CollectionSchema::from(message.clone()), schema);
        assert_eq!(
            wire::CollectionSchema::from(&CollectionSchema::from(message.clone())),
            message
        );
    }
}
