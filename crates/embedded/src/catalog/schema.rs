//! Fields and functions of a collection: the record that is stored, and the rules that a new schema must keep.

use std::collections::BTreeMap;

use crate::column::{ColumnType, ElementType};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::{element_from_code, vector_element};

/// Milvus's types of fields, by their numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "i32", try_from = "i32")]
#[allow(missing_docs)]
pub(crate) enum DataType {
    Bool = 1,
    Int8 = 2,
    Int16 = 3,
    Int32 = 4,
    Int64 = 5,
    Float = 10,
    Double = 11,
    VarChar = 21,
    Array = 22,
    Json = 23,
    Geometry = 24,
    Timestamptz = 26,
    BinaryVector = 100,
    FloatVector = 101,
    Float16Vector = 102,
    BFloat16Vector = 103,
    SparseFloatVector = 104,
    Int8Vector = 105,
    /// Lists of vectors, only as members of arrays of structs.
    ArrayOfVector = 106,
}

impl From<DataType> for i32 {
    fn from(value: DataType) -> Self {
        value as Self
    }
}

impl TryFrom<i32> for DataType {
    type Error = String;

    fn try_from(number: i32) -> Result<Self, String> {
        const ALL: [DataType; 19] = [
            DataType::Bool,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float,
            DataType::Double,
            DataType::VarChar,
            DataType::Array,
            DataType::Json,
            DataType::Geometry,
            DataType::Timestamptz,
            DataType::BinaryVector,
            DataType::FloatVector,
            DataType::Float16Vector,
            DataType::BFloat16Vector,
            DataType::SparseFloatVector,
            DataType::Int8Vector,
            DataType::ArrayOfVector,
        ];
        ALL.into_iter()
            .find(|kind| *kind as i32 == number)
            .ok_or_else(|| format!("data type {number} is not supported"))
    }
}

impl DataType {
    /// Whether values are vectors or lists of them.
    pub(crate) fn is_vector(self) -> bool {
        self as i32 >= Self::BinaryVector as i32
    }
}

/// The value of a field that a row leaves out.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub(crate) enum DefaultValue {
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

/// One field.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FieldRecord {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) data_type: DataType,
    /// Milvus's number of the type of an array's elements, else 0.
    #[serde(default)]
    pub(crate) element_type: i32,
    #[serde(default)]
    pub(crate) primary: bool,
    #[serde(default)]
    pub(crate) auto_id: bool,
    #[serde(default)]
    pub(crate) partition_key: bool,
    #[serde(default)]
    pub(crate) clustering_key: bool,
    #[serde(default)]
    pub(crate) nullable: bool,
    #[serde(default)]
    pub(crate) dynamic: bool,
    #[serde(default)]
    pub(crate) function_output: bool,
    #[serde(default)]
    pub(crate) default: Option<DefaultValue>,
    /// `dim`, `max_length`, `max_capacity`, `enable_analyzer`, `analyzer_params`, …, as they came.
    #[serde(default)]
    pub(crate) type_params: BTreeMap<String, String>,
    /// Index parameters given with the schema, as they came.
    #[serde(default)]
    pub(crate) index_params: BTreeMap<String, String>,
}

/// What a function computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FunctionKind {
    /// Text to term counts.
    Bm25,
}

/// A function whose output is computed when rows are written.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FunctionRecord {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) kind: FunctionKind,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
}

impl FieldRecord {
    /// A type parameter that is a number.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.type_params.get(key)?.parse().ok()
    }

    /// Dimension of a dense vector, 0 for anything else.
    pub(crate) fn dim(&self) -> u32 {
        self.number("dim")
            .and_then(|dim| u32::try_from(dim).ok())
            .unwrap_or(0)
    }

    /// The type of an array's elements.
    pub(crate) fn element(&self) -> Option<ElementType> {
        let number = u32::try_from(self.element_type).ok()?;
        match self.data_type {
            DataType::ArrayOfVector => vector_element(number, self.dim()),
            _ => element_from_code(number),
        }
    }

    /// The type of the vectors of a vector field, also of one that holds lists of them.
    pub(crate) fn vector_type(&self) -> DataType {
        match self.data_type {
            DataType::ArrayOfVector => {
                DataType::try_from(self.element_type).unwrap_or(DataType::ArrayOfVector)
            }
            own => own,
        }
    }

    /// The layout of the field's column.
    pub(crate) fn column_type(&self) -> ColumnType {
        let dim = self.dim();
        match self.data_type {
            DataType::Bool => ColumnType::Bool,
            DataType::Int8 => ColumnType::Int8,
            DataType::Int16 => ColumnType::Int16,
            DataType::Int32 => ColumnType::Int32,
            DataType::Int64 => ColumnType::Int64,
            DataType::Float => ColumnType::Float,
            DataType::Double => ColumnType::Double,
            DataType::VarChar => ColumnType::Varchar,
            DataType::Array => ColumnType::Array(self.element().unwrap_or(ElementType::Int64)),
            DataType::ArrayOfVector => {
                ColumnType::Array(self.element().unwrap_or(ElementType::FloatVector { dim }))
            }
            DataType::Json => ColumnType::Json,
            DataType::Geometry => ColumnType::Geometry,
            DataType::Timestamptz => ColumnType::Timestamptz,
            DataType::BinaryVector => ColumnType::BinaryVector { dim },
            DataType::FloatVector => ColumnType::FloatVector { dim },
            DataType::Float16Vector => ColumnType::Float16Vector { dim },
            DataType::BFloat16Vector => ColumnType::BFloat16Vector { dim },
            DataType::SparseFloatVector => ColumnType::SparseFloatVector,
            DataType::Int8Vector => ColumnType::Int8Vector { dim },
        }
    }

    /// Whether full text functions work on this field.
    pub(crate) fn analyzed(&self) -> bool {
        self.type_params
            .get("enable_analyzer")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Checks what concerns this field alone.
    pub(crate) fn check(&self) -> Result<(), MilvusError> {
        let name = &self.name;
        let refuse = |text: String| Err(MilvusError::invalid(text));
        match self.data_type {
            DataType::VarChar => self.check_length("max_length", 65_535)?,
            DataType::Array => {
                self.check_length("max_capacity", 4096)?;
                if self.element().is_none() {
                    return refuse(format!(
                        "element type of array field {name} is not supported"
                    ));
                }
                if self.element() == Some(ElementType::Varchar) {
                    self.check_length("max_length", 65_535)?;
                }
            }
            DataType::ArrayOfVector => {
                self.check_length("max_capacity", 4096)?;
                if self.element().is_none() {
                    return refuse(format!(
                        "element type of array of vector field {name} is not supported"
                    ));
                }
                if self.member().is_none() {
                    return refuse(format!(
                        "array of vector can only be in the struct array field, field name: {name}"
                    ));
                }
                self.check_dimension()?
            }
            kind if kind.is_vector() && kind != DataType::SparseFloatVector => {
                self.check_dimension()?
            }
            DataType::SparseFloatVector if self.type_params.contains_key("dim") => {
                return refuse(format!(
                    "dim should not be specified for sparse vector field {name}({})",
                    self.id
                ));
            }
            _ => {}
        }
        if self.primary && !matches!(self.data_type, DataType::Int64 | DataType::VarChar) {
            return refuse(format!(
                "the data type of primary key should be Int64 or VarChar, but field {name} is not"
            ));
        }
        if self.primary && (self.nullable || self.default.is_some()) {
            return refuse(format!(
                "primary field {name} can't be nullable and has no default value"
            ));
        }
        if self.partition_key
            && (self.primary || !matches!(self.data_type, DataType::Int64 | DataType::VarChar))
        {
            return refuse(format!(
                "the data type of partition key should be Int64 or VarChar, and it can't be the primary key: field {name}"
            ));
        }
        if self.data_type.is_vector() && self.default.is_some() {
            return refuse(format!("type not support default_value, name: {name}"));
        }
        if self.auto_id && !self.primary {
            return refuse(format!(
                "only primary field can speficy AutoID with true, field name = {name}"
            ));
        }
        Ok(())
    }

    fn check_length(&self, key: &str, limit: i64) -> Result<(), MilvusError> {
        let name = &self.name;
        match self
            .type_params
            .get(key)
            .map(|text| (text, text.parse::<i64>()))
        {
            None => Err(MilvusError::invalid(format!(
                "type param({key}) should be specified for the field({name}) of collection"
            ))),
            Some((_, Ok(value))) if (1..=limit).contains(&value) => Ok(()),
            Some((text, _)) => Err(MilvusError::invalid(format!(
                "the maximum {} specified for the field({name}) should be in (0, {limit}], but got {text} instead",
                if key == "max_capacity" {
                    "capacity"
                } else {
                    "length"
                }
            ))),
        }
    }

    fn check_dimension(&self) -> Result<(), MilvusError> {
        let name = &self.name;
        let Some(text) = self.type_params.get("dim") else {
            return Err(MilvusError::invalid(format!(
                "dimension is not defined in field type params of field {name}, check type param `dim` for vector field"
            )));
        };
        let binary = self.vector_type() == DataType::BinaryVector;
        let limit: i64 = if binary { 32_768 * 8 } else { 32_768 };
        match text.parse::<i64>() {
            Ok(dim) if !(2..=limit).contains(&dim) => Err(MilvusError::invalid(format!(
                "invalid dimension: {dim} of field {name}. dimension should be in range 2 ~ {limit}"
            ))),
            Ok(dim) if binary && dim % 8 != 0 => Err(MilvusError::invalid(format!(
                "invalid dimension: {dim} of field {name}. binary vector dimension should be multiple of 8"
            ))),
            Ok(_) => Ok(()),
            Err(_) => Err(MilvusError::invalid(format!(
                "invalid dimension: {text} of field {name}. dimension should be a number"
            ))),
        }
    }
}

/// Checks the fields and functions of a new collection together.
pub(crate) fn check_schema(
    fields: &[FieldRecord],
    functions: &[FunctionRecord],
) -> Result<(), MilvusError> {
    let refuse = |text: String| Err(MilvusError::invalid(text));
    let mut names = std::collections::HashSet::new();
    for field in fields {
        // Names of members are checked with their arrays of structs.
        if !field.dynamic && field.member().is_none() {
            super::check_name("field", &field.name)?;
        }
        if !names.insert(field.name.as_str()) {
            return refuse(format!("duplicated field name {}", field.name));
        }
        field.check()?;
    }
    match fields.iter().filter(|field| field.primary).count() {
        0 => return refuse("there is no primary key in the schema".to_owned()),
        1 => {}
        _ => return refuse("there are more than one primary key in the schema".to_owned()),
    }
    for (what, count) in [
        (
            "partition key",
            fields.iter().filter(|field| field.partition_key).count(),
        ),
        (
            "clustering key",
            fields.iter().filter(|field| field.clustering_key).count(),
        ),
    ] {
        if count > 1 {
            return refuse(format!("there are more than one {what} in the schema"));
        }
    }
    if !fields.iter().any(|field| field.data_type.is_vector()) {
        return Err(MilvusError::new(
            MilvusErrorKind::IllegalSchema,
            "schema does not contain vector field: invalid parameter",
        ));
    }
    if fields.len() > 65 {
        return refuse(format!(
            "maximum field's number should be limited to 64, but got {}",
            fields.len()
        ));
    }
    functions
        .iter()
        .try_for_each(|function| check_function(fields, function))
}

fn check_function(fields: &[FieldRecord], function: &FunctionRecord) -> Result<(), MilvusError> {
    let name = &function.name;
    let find = |wanted: &str| {
        fields
            .iter()
            .find(|field| field.name == wanted)
            .ok_or_else(|| {
                MilvusError::invalid(format!("function {name}: field not found: {wanted}"))
            })
    };
    let ([input], [output]) = (function.inputs.as_slice(), function.outputs.as_slice()) else {
        return Err(MilvusError::invalid(format!(
            "BM25 function {name} should have exactly one input and one output field"
        )));
    };
    let (input, output) = (find(input)?, find(output)?);
    if input.data_type != DataType::VarChar {
        return Err(MilvusError::invalid(format!(
            "BM25 function input field must be a VARCHAR field, got {}",
            input.column_type()
        )));
    }
    if !input.analyzed() {
        return Err(MilvusError::invalid(format!(
            "BM25 function input field {} must set enable_analyzer to true",
            input.name
        )));
    }
    if output.data_type != DataType::SparseFloatVector {
        return Err(MilvusError::invalid(format!(
            "BM25 function output field {} must be a SparseFloatVector field",
            output.name
        )));
    }
    Ok(())
}
