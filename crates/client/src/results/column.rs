//! One column of an answer.
//!
//! Invariant: every row from 0 to `len()` can be asked for, whatever the server left out: values of null
//! rows are there for scalars and missing for vectors. Vectors are whole: their bytes are a multiple of the
//! width that the server says they have.

mod parts;
mod structs;

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use milvus_protocol::schema as wire;
use wire::field_data::Field;
use wire::scalar_field::Data as Scalar;
use wire::vector_field::Data as Vector;

use super::packed::Packed;
use crate::data::SparseVector;
use crate::error::{Error, Result};
use crate::schema::DataType;

/// The values of one field, row by row, as the server sent them.
#[derive(Clone, Debug)]
pub struct ResultColumn {
    name: String,
    data_type: DataType,
    dimension: usize,
    is_dynamic: bool,
    values: ResultValues,
    /// For each row, whether it has a value; empty when all have.
    valid: Vec<bool>,
    rows: usize,
    /// For each row the place of its value, when null rows have none. Made when first asked for.
    places: OnceLock<Vec<usize>>,
}

#[derive(Clone, Debug)]
pub(crate) enum ResultValues {
    Bool(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Packed<f32>),
    Double(Packed<f64>),
    Text(Vec<Bytes>),
    Json(Vec<Bytes>),
    Array(Vec<wire::ScalarField>),
    FloatVector(Packed<f32>),
    /// Vectors of other kinds, packed.
    PackedVector(Bytes),
    Sparse(Vec<Bytes>),
    /// The members, each a column of lists.
    Structs(Vec<ResultColumn>),
    /// Lists of dense vectors of one kind.
    VectorLists(Vec<wire::VectorField>, DataType),
    /// What this crate does not read: the message as it came.
    Other(Box<wire::FieldData>),
}

mod sealed {
    pub trait Sealed {}
}

/// A type whose columns are slices: `bool`, `i32` (all integers up to 32 bits), `i64`, `f32`, `f64`.
pub trait ColumnValue: sealed::Sealed + Sized {
    #[doc(hidden)]
    fn slice(column: &ResultColumn) -> Option<Result<&[Self]>>;
}

macro_rules! column_values {
    ($($value:ty: $column:ident => { $($arm:tt)* })*) => {$(
        impl sealed::Sealed for $value {}
        impl ColumnValue for $value {
            fn slice($column: &ResultColumn) -> Option<Result<&[Self]>> {
                match &$column.values {
                    $($arm)*
                    _ => None,
                }
            }
        }
    )*};
}
column_values! {
    bool: column => { ResultValues::Bool(values) => Some(Ok(values)), }
    i32: column => { ResultValues::Int(values) => Some(Ok(values)), }
    i64: column => { ResultValues::Long(values) => Some(Ok(values)), }
    f32: column => {
        ResultValues::Float(packed) | ResultValues::FloatVector(packed) => {
            Some(packed.values().map_err(|problem| column.broken(&problem)))
        }
    }
    f64: column => {
        ResultValues::Double(packed) => {
            Some(packed.values().map_err(|problem| column.broken(&problem)))
        }
    }
}

impl ResultColumn {
    /// Takes a message over. `rows` is the number of rows of the answer, when it is known.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the bytes of dense vectors are not vectors of the type and dimension that
    /// the message says.
    pub(crate) fn new(message: wire::FieldData, rows: Option<usize>) -> Result<Self> {
        let wire::FieldData {
            r#type,
            field_name,
            is_dynamic,
            valid_data,
            field,
            field_id,
        } = message;
        let data_type = DataType::from_number(r#type);
        let (values, dimension) = match field {
            Some(Field::Scalars(wire::ScalarField { data: Some(data) })) => {
                (scalars(data, data_type), 0)
            }
            Some(Field::Vectors(wire::VectorField {
                dim,
                data: Some(data),
            })) => {
                let dim = match &data {
                    Vector::VectorArray(lists) => dim.max(lists.dim),
                    _ => dim,
                };
                (vectors(data), usize::try_from(dim).unwrap_or(0))
            }
            Some(Field::StructArrays(structs)) => {
                return Self::of_structs(field_name, structs, rows);
            }
            field => (
                ResultValues::Other(Box::new(wire::FieldData {
                    r#type,
                    field_id,
                    field,
                    ..wire::FieldData::default()
                })),
                0,
            ),
        };
        let mut column = Self {
            name: field_name,
            data_type,
            dimension,
            is_dynamic,
            values,
            valid: valid_data,
            rows: 0,
            places: OnceLock::new(),
        };
        column.check_vectors()?;
        column.check_lists()?;
        column.rows = if column.valid.is_empty() {
            rows.unwrap_or_else(|| column.value_count())
        } else {
            column.valid.len()
        };
        Ok(column)
    }

    /// Everything that is computed from the dimension rests on this.
    fn check_vectors(&self) -> Result<()> {
        let Some(packed) = self.packed_vectors() else {
            return Ok(());
        };
        let is_float = matches!(self.values, ResultValues::FloatVector(_));
        let width = self.vector_width();
        if width.is_none() || is_float != (self.data_type == DataType::FloatVector) {
            let problem = format!("vectors of another type than {} came", self.data_type);
            return Err(self.problem(problem));
        }
        if packed.is_empty() || width.is_some_and(|width| width > 0 && packed.len() % width == 0) {
            return Ok(());
        }
        Err(self.problem(format!(
            "{} bytes are no vectors of type {} with {} dimensions",
            packed.len(),
            self.data_type,
            self.dimension
        )))
    }

    /// Bytes of a dense vector.
    pub(crate) fn vector_width(&self) -> Option<usize> {
        self.data_type.dense_vector_bytes(self.dimension)
    }

    /// The field's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field's type.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Number of dimensions of a dense vector field; 0 for other fields.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Whether this is the field that holds what the schema does not name (`$meta`).
    pub fn is_dynamic(&self) -> bool {
        self.is_dynamic
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether this row has no value. Rows beyond the end have none.
    pub fn is_null(&self, row: usize) -> bool {
        row >= self.rows || self.valid.get(row).is_some_and(|valid| !valid)
    }

    /// The values as a slice: one for each row, or for a `FloatVector` field all elements of all
    /// vectors.
    ///
    /// Null rows of scalar fields have some value in the slice; see [`is_null`](Self::is_null). Null
    /// rows of vector fields have none.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the field is of another type.
    pub fn values<T: ColumnValue>(&self) -> Result<&[T]> {
        T::slice(self).unwrap_or_else(|| {
            Err(self.problem(format!(
                "a field of type {} is not a slice of {}",
                self.data_type,
                std::any::type_name::<T>()
            )))
        })
    }

    /// The text of a `VarChar`, `Text`, `Geometry` or `JSON` field; `None` when the row has none.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the field is of another type or the server sent no valid UTF-8.
    pub fn text(&self, row: usize) -> Result<Option<&str>> {
        let (ResultValues::Text(slices) | ResultValues::Json(slices)) = &self.values else {
            return Err(self.problem(format!("a field of type {} is not text", self.data_type)));
        };
        let Some(bytes) = self.place(row).and_then(|place| slices.get(place)) else {
            return Ok(None);
        };
        std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|problem| self.problem(format!("row {row}: {problem}")))
    }

    /// The vector of a `FloatVector` field; `None` when the row has none.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the field is of another type.
    pub fn float_vector(&self, row: usize) -> Result<Option<&[f32]>> {
        let ResultValues::FloatVector(packed) = &self.values else {
            return Err(self.problem(format!(
                "a field of type {} holds no FloatVector",
                self.data_type
            )));
        };
        let values = packed.values().map_err(|problem| self.broken(&problem))?;
        Ok(self
            .vector_range(row)
            .and_then(|bytes| values.get(bytes.start / 4..bytes.end / 4)))
    }

    /// The bytes of a dense vector of any kind, as on the wire (little-endian); `None` when the row has
    /// none or the field is of another type.
    pub fn vector_bytes(&self, row: usize) -> Option<Bytes> {
        let packed = self.packed_vectors()?;
        let range = self.vector_range(row)?;
        (range.end <= packed.len()).then(|| packed.slice(range))
    }

    /// The bytes of a dense vector of any kind, borrowed.
    pub(crate) fn vector(&self, row: usize) -> Option<&[u8]> {
        self.packed_vectors()?.get(self.vector_range(row)?)
    }

    /// Where a row's vector stands among the packed ones. It may be beyond their end.
    pub(crate) fn vector_range(&self, row: usize) -> Option<Range<usize>> {
        let width = self.vector_width()?;
        let start = self.place(row)?.checked_mul(width)?;
        Some(start..start.checked_add(width)?)
    }

    /// All vectors of a dense vector field, one after the other, as on the wire (little-endian).
    pub fn packed_vectors(&self) -> Option<&Bytes> {
        match &self.values {
            ResultValues::FloatVector(packed) => Some(packed.bytes()),
            ResultValues::PackedVector(packed) => Some(packed),
            _ => None,
        }
    }

    /// The vector of a `SparseFloatVector` field; `None` when the row has none.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the field is of another type or the bytes are no sparse vector.
    pub fn sparse_vector(&self, row: usize) -> Result<Option<SparseVector>> {
        let ResultValues::Sparse(contents) = &self.values else {
            return Err(self.problem(format!(
                "a field of type {} holds no SparseFloatVector",
                self.data_type
            )));
        };
        let Some(bytes) = self.place(row).and_then(|place| contents.get(place)) else {
            return Ok(None);
        };
        SparseVector::from_wire(bytes)
            .map(Some)
            .ok_or_else(|| self.problem(format!("row {row}: {} bytes", bytes.len())))
    }

    /// The elements of an `Array` field, in the message's form; `None` when the row has none.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the field is of another type.
    pub fn array(&self, row: usize) -> Result<Option<&wire::ScalarField>> {
        let ResultValues::Array(arrays) = &self.values else {
            return Err(self.problem(format!("a field of type {} is no array", self.data_type)));
        };
        Ok(self.place(row).and_then(|place| arrays.get(place)))
    }

    /// The message of a column of a type that this crate does not read.
    pub fn message(&self) -> Option<&wire::FieldData> {
        match &self.values {
            ResultValues::Other(message) => Some(message),
            _ => None,
        }
    }

    pub(crate) fn raw(&self) -> &ResultValues {
        &self.values
    }

    /// Where this row's value stands among the values; `None` when it has none.
    pub(crate) fn place(&self, row: usize) -> Option<usize> {
        if self.is_null(row) {
            return None;
        }
        if self.valid.is_empty() || self.value_count() == self.rows {
            return Some(row);
        }
        let places = self.places.get_or_init(|| {
            let mut next = 0;
            let place = |valid: &bool| {
                let place = next;
                next += usize::from(*valid);
                place
            };
            self.valid.iter().map(place).collect()
        });
        places.get(row).copied()
    }

    fn value_count(&self) -> usize {
        let vectors = |bytes: usize| bytes / self.vector_width().unwrap_or(0).max(1);
        match &self.values {
            ResultValues::Bool(values) => values.len(),
            ResultValues::Int(values) => values.len(),
            ResultValues::Long(values) => values.len(),
            ResultValues::Float(packed) => packed.len(),
            ResultValues::Double(packed) => packed.len(),
            ResultValues::Text(slices)
            | ResultValues::Json(slices)
            | ResultValues::Sparse(slices) => slices.len(),
            ResultValues::Array(arrays) => arrays.len(),
            ResultValues::FloatVector(packed) => vectors(packed.bytes().len()),
            ResultValues::PackedVector(packed) => vectors(packed.len()),
            ResultValues::VectorLists(lists, _) => lists.len(),
            ResultValues::Structs(members) => members.first().map_or(0, Self::len),
            ResultValues::Other(_) => 0,
        }
    }

    pub(super) fn problem(&self, problem: String) -> Error {
        Error::answer(format!("column `{}`", self.name), problem)
    }

    pub(super) fn broken(&self, problem: &milvus_protocol::PackedLengthError) -> Error {
        self.problem(problem.to_string())
    }
}

fn scalars(data: Scalar, data_type: DataType) -> ResultValues {
    match data {
        Scalar::BoolData(array) => ResultValues::Bool(array.data),
        Scalar::IntData(array) => ResultValues::Int(array.data),
        Scalar::LongData(array) => ResultValues::Long(array.data),
        Scalar::FloatData(array) => ResultValues::Float(Packed::new(array.data)),
        Scalar::DoubleData(array) => ResultValues::Double(Packed::new(array.data)),
        Scalar::StringData(array) => ResultValues::Text(array.data),
        Scalar::JsonData(array) => ResultValues::Json(array.data),
        Scalar::ArrayData(array) => ResultValues::Array(array.data),
        Scalar::TimestamptzData(array) => ResultValues::Long(array.data),
        Scalar::TimeData(array) => ResultValues::Long(array.data),
        Scalar::DateData(array) => ResultValues::Int(array.data),
        Scalar::GeometryWktData(array) => {
            ResultValues::Text(array.data.into_iter().map(Bytes::from).collect())
        }
        Scalar::MolSmilesData(array) => {
            ResultValues::Text(array.data.into_iter().map(Bytes::from).collect())
        }
        other => ResultValues::Other(Box::new(wire::FieldData {
            r#type: data_type.number(),
            field: Some(Field::Scalars(wire::ScalarField { data: Some(other) })),
            ..wire::FieldData::default()
        })),
    }
}

fn vectors(data: Vector) -> ResultValues {
    match data {
        Vector::FloatVector(array) => ResultValues::FloatVector(Packed::new(array.data)),
        Vector::BinaryVector(packed)
        | Vector::Float16Vector(packed)
        | Vector::Bfloat16Vector(packed)
        | Vector::Int8Vector(packed) => ResultValues::PackedVector(packed),
        Vector::SparseFloatVector(array) => ResultValues::Sparse(array.contents),
        Vector::VectorArray(lists) => {
            ResultValues::VectorLists(lists.data, DataType::from_number(lists.element_type))
        }
    }
}
