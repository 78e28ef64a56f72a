//! One field: its type, its limits, its roles.
//!
//! Invariant: the limits that rows are checked against (`dimension`, `max_length`, `max_capacity`)
//! live here and nowhere else.

use std::collections::BTreeMap;

use super::{DataType, DefaultValue};

/// A field of a collection.
///
/// Each type has a constructor that asks for what the type needs; the rest follows by method:
///
/// ```
/// use milvus_client::schema::{DataType, FieldSchema};
///
/// let id = FieldSchema::int64("id").primary_key().auto_id();
/// let title = FieldSchema::varchar("title", 512).nullable();
/// let tags = FieldSchema::array("tags", DataType::VarChar, 16).max_length(64);
/// let vector = FieldSchema::float_vector("vector", 768);
/// assert_eq!(vector.dimension, Some(768));
/// # let _ = (id, title, tags);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FieldSchema {
    /// The field's name.
    pub name: String,
    /// The server's number for the field; 0 before the collection is created.
    pub id: i64,
    /// The field's type.
    pub data_type: DataType,
    /// The type of the elements of an [`Array`](DataType::Array) or
    /// [`ArrayOfVector`](DataType::ArrayOfVector).
    pub element_type: Option<DataType>,
    /// What the field is for, in the user's words.
    pub description: String,
    /// Number of dimensions of a dense vector (bits, for a binary one).
    pub dimension: Option<usize>,
    /// Limit of a `VarChar` (or of the elements of an array of them), in bytes of UTF-8.
    pub max_length: Option<usize>,
    /// Limit of the number of elements of an array.
    pub max_capacity: Option<usize>,
    /// Whether the field is the primary key.
    pub is_primary_key: bool,
    /// Whether the server makes up the primary key.
    pub is_auto_id: bool,
    /// Whether rows are spread over partitions by this field.
    pub is_partition_key: bool,
    /// Whether segments are clustered by this field.
    pub is_clustering_key: bool,
    /// Whether rows may have no value here.
    pub is_nullable: bool,
    /// Whether this is the collection's dynamic field (`$meta`).
    pub is_dynamic: bool,
    /// Whether a function fills the field; rows must not give it.
    pub is_function_output: bool,
    /// Used by the server for rows that leave the field out.
    pub default_value: Option<DefaultValue>,
    /// Further type parameters (`mmap.enabled`, `enable_analyzer`, …), as the server documents them.
    pub parameters: BTreeMap<String, String>,
    /// Parameters of the field's index, when the server describes them with the field.
    pub index_parameters: BTreeMap<String, String>,
}

impl FieldSchema {
    /// A field of any type. The named constructors below say what each type needs.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            id: 0,
            data_type,
            element_type: None,
            description: String::new(),
            dimension: None,
            max_length: None,
            max_capacity: None,
            is_primary_key: false,
            is_auto_id: false,
            is_partition_key: false,
            is_clustering_key: false,
            is_nullable: false,
            is_dynamic: false,
            is_function_output: false,
            default_value: None,
            parameters: BTreeMap::new(),
            index_parameters: BTreeMap::new(),
        }
    }

    /// A field of `true` and `false`.
    pub fn bool(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Bool)
    }

    /// A field of 8-bit integers.
    pub fn int8(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Int8)
    }

    /// A field of 16-bit integers.
    pub fn int16(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Int16)
    }

    /// A field of 32-bit integers.
    pub fn int32(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Int32)
    }

    /// A field of 64-bit integers.
    pub fn int64(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Int64)
    }

    /// A field of 32-bit floats.
    pub fn float(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Float)
    }

    /// A field of 64-bit floats.
    pub fn double(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Double)
    }

    /// A text field of at most `max_length` bytes of UTF-8 (servers allow up to 65,535).
    pub fn varchar(name: impl Into<String>, max_length: usize) -> Self {
        Self::new(name, DataType::VarChar).max_length(max_length)
    }

    /// A field of JSON values.
    pub fn json(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Json)
    }

    /// A field of geometries, given as well-known text.
    pub fn geometry(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Geometry)
    }

    /// A field of moments with time zones, given as ISO 8601.
    pub fn timestamptz(name: impl Into<String>) -> Self {
        Self::new(name, DataType::Timestamptz)
    }

    /// A field of lists of at most `max_capacity` scalars of type `element_type`.
    ///
    /// Lists of `VarChar` need [`max_length`](Self::max_length) too.
    pub fn array(name: impl Into<String>, element_type: DataType, max_capacity: usize) -> Self {
        let mut field = Self::new(name, DataType::Array);
        field.element_type = Some(element_type);
        field.max_capacity = Some(max_capacity);
        field
    }

    /// A field of `f32` vectors.
    pub fn float_vector(name: impl Into<String>, dimension: usize) -> Self {
        Self::dense_vector(name, DataType::FloatVector, dimension)
    }

    /// A field of half-precision vectors.
    pub fn float16_vector(name: impl Into<String>, dimension: usize) -> Self {
        Self::dense_vector(name, DataType::Float16Vector, dimension)
    }

    /// A field of bfloat16 vectors.
    pub fn bfloat16_vector(name: impl Into<String>, dimension: usize) -> Self {
        Self::dense_vector(name, DataType::BFloat16Vector, dimension)
    }

    /// A field of `i8` vectors.
    pub fn int8_vector(name: impl Into<String>, dimension: usize) -> Self {
        Self::dense_vector(name, DataType::Int8Vector, dimension)
    }

    /// A field of bit vectors; `dimension` counts bits and is a multiple of 8.
    pub fn binary_vector(name: impl Into<String>, dimension: usize) -> Self {
        Self::dense_vector(name, DataType::BinaryVector, dimension)
    }

    /// A field of sparse vectors.
    pub fn sparse_float_vector(name: impl Into<String>) -> Self {
        Self::new(name, DataType::SparseFloatVector)
    }

    fn dense_vector(name: impl Into<String>, data_type: DataType, dimension: usize) -> Self {
        let mut field = Self::new(name, data_type);
        field.dimension = Some(dimension);
        field
    }

    /// Makes the field the primary key.
    pub fn primary_key(mut self) -> Self {
        self.is_primary_key = true;
        self
    }

    /// Lets the server make up the primary key.
    pub fn auto_id(mut self) -> Self {
        self.is_auto_id = true;
        self
    }

    /// Spreads rows over partitions by this field.
    pub fn partition_key(mut self) -> Self {
        self.is_partition_key = true;
        self
    }

    /// Clusters segments by this field.
    pub fn clustering_key(mut self) -> Self {
        self.is_clustering_key = true;
        self
    }

    /// Lets rows have no value here.
    pub fn nullable(mut self) -> Self {
        self.is_nullable = true;
        self
    }

    /// Sets the value the server uses for rows that leave the field out.
    pub fn default_value(mut self, value: impl Into<DefaultValue>) -> Self {
        self.default_value = Some(value.into());
        self
    }

    /// Limits text (also the elements of an array of text) to `bytes` bytes of UTF-8.
    pub fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = Some(bytes);
        self
    }

    /// Has the server cut the text into terms, which BM25 and text match need.
    ///
    /// `parameters` is the analyzer's JSON, such as `{"type": "english"}`.
    pub fn analyzer(mut self, parameters: &serde_json::Value) -> Self {
        self.parameters
            .insert("enable_analyzer".to_owned(), "true".to_owned());
        if !parameters.is_null() {
            self.parameters
                .insert("analyzer_params".to_owned(), parameters.to_string());
        }
        self
    }

    /// Sets a further type parameter, such as `mmap.enabled`.
    pub fn parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.parameters.insert(key.into(), value.to_string());
        self
    }

    /// Says what the field is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Bytes of one value of this dense vector field; `None` for other fields.
    pub fn vector_bytes(&self) -> Option<usize> {
        self.data_type.dense_vector_bytes(self.dimension?)
    }

    /// Whether a row may leave the field out of an insert.
    pub fn is_optional(&self) -> bool {
        self.is_nullable
            || self.default_value.is_some()
            || self.is_function_output
            || self.is_dynamic
            || (self.is_primary_key && self.is_auto_id)
    }
}

/// A field whose values are lists of structs, stored as one array for each member.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StructArraySchema {
    /// The field's name.
    pub name: String,
    /// The server's number for the field; 0 before the collection is created.
    pub id: i64,
    /// What the field is for, in the user's words.
    pub description: String,
    /// The members. Their types are arrays of the types of the structs' fields.
    pub fields: Vec<FieldSchema>,
    /// Limit of the number of structs in one value.
    pub max_capacity: Option<usize>,
    /// Whether rows may have no value here.
    pub is_nullable: bool,
    /// Further type parameters.
    pub parameters: BTreeMap<String, String>,
}

impl StructArraySchema {
    /// A list of at most `max_capacity` structs.
    pub fn new(name: impl Into<String>, max_capacity: usize) -> Self {
        Self {
            name: name.into(),
            id: 0,
            description: String::new(),
            fields: Vec::new(),
            max_capacity: Some(max_capacity),
            is_nullable: false,
            parameters: BTreeMap::new(),
        }
    }

    /// Adds a member, given as the field of *one* struct (a scalar or a dense vector).
    pub fn field(mut self, mut field: FieldSchema) -> Self {
        field.element_type = Some(field.data_type);
        field.data_type = if field.data_type.is_vector() {
            DataType::ArrayOfVector
        } else {
            DataType::Array
        };
        field.max_capacity = self.max_capacity;
        self.fields.push(field);
        self
    }

    /// Lets rows have no value here.
    pub fn nullable(mut self) -> Self {
        self.is_nullable = true;
        self
    }
}
