//! Between the schema messages of the wire and the records of the catalog.

use milvus_protocol::milvus::DescribeCollectionResponse;
use milvus_protocol::schema::{
    CollectionSchema, FieldSchema, FunctionSchema, FunctionType, ValueField, value_field,
};
use prost::Message as _;

use super::parameters::{to_map, to_pairs};
use super::struct_arrays::{read_structs, write_structs};
use crate::catalog::{
    CollectionRecord, DYNAMIC_FIELD, DataType, DefaultValue, FIRST_FIELD, FieldRecord,
    FunctionKind, FunctionRecord, StructRecord, check_name, split_member,
};
use crate::engine::analyzer_of;
use crate::error::MilvusError;
use crate::filter::parse_instant;

/// The fields and functions of a new collection, with ids and the dynamic field.
pub(super) struct NewSchema {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) fields: Vec<FieldRecord>,
    pub(super) structs: Vec<StructRecord>,
    pub(super) functions: Vec<FunctionRecord>,
    pub(super) enable_dynamic_field: bool,
    pub(super) properties: Vec<milvus_protocol::common::KeyValuePair>,
}

/// Reads the schema of a create request.
pub(super) fn read_schema(bytes: &[u8]) -> Result<NewSchema, MilvusError> {
    let schema = CollectionSchema::decode(bytes)
        .map_err(|error| MilvusError::invalid(format!("the schema can't be decoded: {error}")))?;
    let mut functions = Vec::with_capacity(schema.functions.len());
    for (index, function) in schema.functions.iter().enumerate() {
        functions.push(read_function(function, FIRST_FIELD + index as i64)?);
    }
    let mut fields = Vec::with_capacity(schema.fields.len() + 1);
    for (index, field) in schema.fields.iter().enumerate() {
        let mut record = read_field(field, FIRST_FIELD + index as i64)?;
        record.auto_id |= schema.auto_id && record.primary;
        record.function_output |= functions
            .iter()
            .any(|function| function.outputs.contains(&record.name));
        fields.push(record);
    }
    if schema.enable_dynamic_field && !fields.iter().any(|field| field.dynamic) {
        fields.push(dynamic_field(FIRST_FIELD + fields.len() as i64));
    }
    let structs = read_structs(&schema.struct_array_fields, &mut fields)?;
    Ok(NewSchema {
        name: schema.name,
        description: schema.description,
        fields,
        structs,
        functions,
        enable_dynamic_field: schema.enable_dynamic_field,
        properties: schema.properties,
    })
}

/// The hidden field for keys outside of the schema.
pub(super) fn dynamic_field(id: i64) -> FieldRecord {
    FieldRecord {
        id,
        name: DYNAMIC_FIELD.to_owned(),
        description: "dynamic schema".to_owned(),
        data_type: DataType::Json,
        element_type: 0,
        primary: false,
        auto_id: false,
        partition_key: false,
        clustering_key: false,
        nullable: false,
        dynamic: true,
        function_output: false,
        default: None,
        type_params: Default::default(),
        index_params: Default::default(),
    }
}

/// Reads one field.
pub(super) fn read_field(field: &FieldSchema, id: i64) -> Result<FieldRecord, MilvusError> {
    if split_member(&field.name).is_some() {
        // Such names are those of members; the check refuses the bracket.
        check_name("field", &field.name)?;
    }
    let data_type = DataType::try_from(field.data_type)
        .map_err(|error| MilvusError::invalid(format!("field {}: {error}", field.name)))?;
    let default = match &field.default_value {
        None => None,
        Some(value) => read_default(&field.name, data_type, value)?,
    };
    let record = FieldRecord {
        id,
        name: field.name.clone(),
        description: field.description.clone(),
        data_type,
        element_type: field.element_type,
        primary: field.is_primary_key,
        auto_id: field.auto_id,
        partition_key: field.is_partition_key,
        clustering_key: field.is_clustering_key,
        nullable: field.nullable,
        dynamic: field.is_dynamic,
        function_output: field.is_function_output,
        default,
        type_params: to_map(&field.type_params),
        index_params: to_map(&field.index_params),
    };
    // An analyzer that the engine lacks is refused now, not at the first row.
    analyzer_of(&record)?;
    if record.type_params.contains_key("multi_analyzer_params") {
        return Err(MilvusError::invalid(format!(
            "field {}: an analyzer for each language (multi_analyzer_params) is not part of this engine: use a Milvus server, or a \
             field for each language",
            record.name
        )));
    }
    Ok(record)
}

fn read_default(
    name: &str,
    kind: DataType,
    value: &ValueField,
) -> Result<Option<DefaultValue>, MilvusError> {
    use value_field::Data;
    let Some(data) = &value.data else {
        return Ok(None);
    };
    let default = match (kind, data) {
        (DataType::Bool, Data::BoolData(value)) => DefaultValue::Bool(*value),
        (DataType::Int8 | DataType::Int16 | DataType::Int32, Data::IntData(value)) => {
            DefaultValue::Int(i64::from(*value))
        }
        (DataType::Int64, Data::LongData(value)) => DefaultValue::Int(*value),
        (DataType::Float, Data::FloatData(value)) => DefaultValue::Float(*value),
        (DataType::Double, Data::DoubleData(value)) => DefaultValue::Double(*value),
        (DataType::VarChar, Data::StringData(value)) => DefaultValue::String(value.clone()),
        (DataType::Timestamptz, Data::TimestamptzData(value)) => DefaultValue::Int(*value),
        (DataType::Timestamptz, Data::StringData(text)) => {
            DefaultValue::Int(parse_instant(text).map_err(|error| {
                MilvusError::invalid(format!("default value of field {name}: {error}"))
            })?)
        }
        (DataType::Geometry, Data::StringData(value)) => DefaultValue::String(value.clone()),
        (DataType::Json, Data::BytesData(value)) => DefaultValue::Bytes(value.to_vec()),
        _ => {
            return Err(MilvusError::invalid(format!(
                "type of default value of field {name} doesn't fit its data type {kind:?}"
            )));
        }
    };
    Ok(Some(default))
}

fn write_default(kind: DataType, default: &DefaultValue) -> ValueField {
    use value_field::Data;
    let data = match default {
        DefaultValue::Bool(value) => Data::BoolData(*value),
        DefaultValue::Int(value) if kind == DataType::Int64 => Data::LongData(*value),
        DefaultValue::Int(value) if kind == DataType::Timestamptz => Data::TimestamptzData(*value),
        DefaultValue::Int(value) => Data::IntData(*value as i32),
        DefaultValue::Float(value) => Data::FloatData(*value),
        DefaultValue::Double(value) => Data::DoubleData(*value),
        DefaultValue::String(value) => Data::StringData(value.clone()),
        DefaultValue::Bytes(value) => Data::BytesData(value.clone().into()),
    };
    ValueField { data: Some(data) }
}

fn read_function(function: &FunctionSchema, id: i64) -> Result<FunctionRecord, MilvusError> {
    if function.r#type != FunctionType::Bm25 as i32 {
        let message = format!(
            "function {}: only BM25 functions are supported by the embedded engine; embed texts before you write them",
            function.name
        );
        return Err(MilvusError::invalid(message));
    }
    Ok(FunctionRecord {
        id,
        name: function.name.clone(),
        description: function.description.clone(),
        kind: FunctionKind::Bm25,
        inputs: function.input_field_names.clone(),
        outputs: function.output_field_names.clone(),
        params: to_map(&function.params),
    })
}

pub(super) fn write_field(field: &FieldRecord) -> FieldSchema {
    FieldSchema {
        field_id: field.id,
        name: field.name.clone(),
        description: field.description.clone(),
        data_type: field.data_type as i32,
        element_type: field.element_type,
        is_primary_key: field.primary,
        auto_id: field.auto_id,
        is_partition_key: field.partition_key,
        is_clustering_key: field.clustering_key,
        nullable: field.nullable,
        is_dynamic: field.dynamic,
        is_function_output: field.function_output,
        default_value: field
            .default
            .as_ref()
            .map(|default| write_default(field.data_type, default)),
        type_params: to_pairs(&field.type_params),
        index_params: to_pairs(&field.index_params),
        ..FieldSchema::default()
    }
}

fn write_function(record: &CollectionRecord, function: &FunctionRecord) -> FunctionSchema {
    let ids = |names: &[String]| {
        names
            .iter()
            .filter_map(|name| Some(record.field(name)?.id))
            .collect()
    };
    FunctionSchema {
        name: function.name.clone(),
        id: function.id,
        description: function.description.clone(),
        r#type: FunctionType::Bm25 as i32,
        input_field_ids: ids(&function.inputs),
        output_field_ids: ids(&function.outputs),
        input_field_names: function.inputs.clone(),
        output_field_names: function.outputs.clone(),
        params: to_pairs(&function.params),
    }
}

/// The description of a collection. The dynamic field is not listed, as Milvus does it.
pub(super) fn describe(
    record: &CollectionRecord,
    database: &str,
    database_id: u64,
) -> DescribeCollectionResponse {
    let schema = CollectionSchema {
        name: record.name.clone(),
        description: record.description.clone(),
        fields: record
            .fields
            .iter()
            .filter(|field| !field.dynamic && field.member().is_none())
            .map(write_field)
            .collect(),
        struct_array_fields: write_structs(record),
        enable_dynamic_field: record.enable_dynamic_field,
        functions: record
            .functions
            .iter()
            .map(|function| write_function(record, function))
            .collect(),
        properties: to_pairs(&record.properties),
        db_name: database.to_owned(),
        version: record.schema_version,
        ..CollectionSchema::default()
    };
    DescribeCollectionResponse {
        schema: Some(schema),
        collection_id: record.id as i64,
        created_timestamp: record.created,
        created_utc_timestamp: crate::engine::physical_milliseconds(record.created),
        shards_num: record.shards,
        aliases: record.aliases.clone(),
        consistency_level: record.consistency_level,
        collection_name: record.name.clone(),
        properties: to_pairs(&record.properties),
        db_name: database.to_owned(),
        db_id: database_id as i64,
        num_partitions: record.partitions.len() as i64,
        update_timestamp: record.updated,
        update_timestamp_str: record.updated.to_string(),
        ..DescribeCollectionResponse::default()
    }
}
