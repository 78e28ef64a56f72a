//! Results as Arrow record batches.
//!
//! Invariant: packed values (floats, dense vectors) are buffers over the received bytes, unless they are
//! not aligned for their type or nulls stand between them.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListBuilder,
    StringBuilder,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType as ArrowType, Field, Schema};
use milvus_protocol::packed_iter;
use milvus_protocol::schema::{ScalarField, scalar_field::Data as Array};

use super::column::ResultValues;
use super::{ResultColumn, Rows};
use crate::error::{Error, Result};
use crate::schema::DataType;

impl Rows {
    /// The rows as a record batch: a column for each field; `$meta` and `JSON` fields as text, vectors of
    /// other types than `FloatVector` as bytes.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when a field has a type that is not read here.
    pub fn to_record_batch(&self) -> Result<RecordBatch> {
        let columns = self.columns();
        let mut fields = Vec::with_capacity(columns.len());
        let mut arrays = Vec::with_capacity(columns.len());
        for column in columns {
            let array = column.to_arrow()?;
            fields.push(Field::new(column.name(), array.data_type().clone(), true));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|problem| Error::answer("the rows as a record batch", problem.to_string()))
    }
}

impl ResultColumn {
    /// The column as an Arrow array; see [`Rows::to_record_batch`].
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the field has a type that is not read here.
    pub fn to_arrow(&self) -> Result<ArrayRef> {
        let nulls = self.nulls();
        Ok(match self.raw() {
            ResultValues::Bool(values) => Arc::new(BooleanArray::new(
                BooleanBuffer::collect_bool(self.len(), |row| self.at(values, row)),
                nulls,
            )),
            ResultValues::Int(values) => self.integers(values, nulls),
            ResultValues::Long(values) => {
                let all = (0..self.len()).map(|row| self.at(values, row));
                Arc::new(Int64Array::new(all.collect(), nulls))
            }
            ResultValues::Float(_) => {
                let values = self.values::<f32>()?;
                let all = (0..self.len()).map(|row| self.at(values, row));
                Arc::new(Float32Array::new(all.collect(), nulls))
            }
            ResultValues::Double(_) => {
                let values = self.values::<f64>()?;
                let all = (0..self.len()).map(|row| self.at(values, row));
                Arc::new(Float64Array::new(all.collect(), nulls))
            }
            ResultValues::Text(_) | ResultValues::Json(_) => {
                let texts: Result<Vec<_>> = (0..self.len()).map(|row| self.text(row)).collect();
                Arc::new(StringArray::from(texts?))
            }
            ResultValues::Array(arrays) => self.lists(arrays)?,
            ResultValues::FloatVector(_) => self.float_vectors(nulls)?,
            ResultValues::PackedVector(_) => {
                let width = self.data_type().dense_vector_bytes(self.dimension());
                let width = i32::try_from(width.unwrap_or(0)).unwrap_or(0);
                let vectors = (0..self.len()).map(|row| self.vector_bytes(row));
                let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(vectors, width);
                Arc::new(array.map_err(|problem| self.broken_arrow(&problem))?)
            }
            ResultValues::Sparse(contents) => {
                let vectors = (0..self.len())
                    .map(|row| self.place(row).and_then(|place| contents.get(place)))
                    .map(|bytes| bytes.map(AsRef::<[u8]>::as_ref));
                Arc::new(vectors.collect::<BinaryArray>())
            }
            ResultValues::Other(_) => {
                return Err(self.unreadable());
            }
        })
    }

    fn nulls(&self) -> Option<NullBuffer> {
        let has_nulls = (0..self.len()).any(|row| self.is_null(row));
        has_nulls.then(|| (0..self.len()).map(|row| !self.is_null(row)).collect())
    }

    /// The value of a row, or any when it has none.
    fn at<T: Copy + Default>(&self, values: &[T], row: usize) -> T {
        let value = self.place(row).and_then(|place| values.get(place));
        value.copied().unwrap_or_default()
    }

    fn integers(&self, values: &[i32], nulls: Option<NullBuffer>) -> ArrayRef {
        let all = (0..self.len()).map(|row| self.at(values, row));
        match self.data_type() {
            DataType::Int8 => Arc::new(Int8Array::new(
                all.map(|value| value as i8).collect(),
                nulls,
            )),
            DataType::Int16 => Arc::new(Int16Array::new(
                all.map(|value| value as i16).collect(),
                nulls,
            )),
            _ => Arc::new(Int32Array::new(all.collect(), nulls)),
        }
    }

    fn float_vectors(&self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let dimension = self.dimension();
        let elements: ScalarBuffer<f32> = match (&nulls, self.packed_vectors()) {
            (None, Some(packed)) if is_aligned(packed) => Buffer::from(packed.clone()).into(),
            _ => {
                let mut all = Vec::with_capacity(self.len() * dimension);
                for row in 0..self.len() {
                    match self.float_vector(row)? {
                        Some(vector) => all.extend_from_slice(vector),
                        None => all.resize(all.len() + dimension, 0.0),
                    }
                }
                all.into()
            }
        };
        let field = Arc::new(Field::new("item", ArrowType::Float32, false));
        let size = i32::try_from(dimension).unwrap_or(0);
        let elements = Arc::new(Float32Array::new(elements, None));
        FixedSizeListArray::try_new(field, size, elements, nulls)
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(|problem| self.broken_arrow(&problem))
    }

    fn lists(&self, arrays: &[ScalarField]) -> Result<ArrayRef> {
        let rows: Vec<Option<&Array>> = (0..self.len())
            .map(|row| {
                let array = self.place(row).and_then(|place| arrays.get(place));
                array.and_then(|array| array.data.as_ref())
            })
            .collect();
        macro_rules! build {
            ($builder:ident, $variant:ident, $array:ident => $values:expr) => {{
                let mut lists = ListBuilder::new($builder::new());
                for (row, array) in rows.iter().enumerate() {
                    if let Some(Array::$variant($array)) = array {
                        for value in $values {
                            lists.values().append_value(value);
                        }
                    }
                    lists.append(!self.is_null(row));
                }
                Arc::new(lists.finish()) as ArrayRef
            }};
        }
        let problem = |problem: &dyn std::fmt::Display| {
            Error::answer(format!("column `{}`", self.name()), problem.to_string())
        };
        Ok(match rows.iter().flatten().next() {
            Some(Array::BoolData(_)) => {
                build!(BooleanBuilder, BoolData, array => array.data.iter().copied())
            }
            Some(Array::IntData(_)) => {
                build!(Int32Builder, IntData, array => array.data.iter().copied())
            }
            Some(Array::FloatData(_)) => build!(Float32Builder, FloatData, array =>
                packed_iter::<f32>(&array.data).map_err(|error| problem(&error))?),
            Some(Array::DoubleData(_)) => build!(Float64Builder, DoubleData, array =>
                packed_iter::<f64>(&array.data).map_err(|error| problem(&error))?),
            Some(Array::StringData(_)) => build!(StringBuilder, StringData, array => {
                let texts: Result<Vec<_>, _> =
                    array.data.iter().map(|text| std::str::from_utf8(text)).collect();
                texts.map_err(|error| problem(&error))?
            }),
            Some(Array::LongData(_)) | None => {
                build!(Int64Builder, LongData, array => array.data.iter().copied())
            }
            Some(_) => return Err(self.unreadable()),
        })
    }

    fn unreadable(&self) -> Error {
        Error::answer(
            format!("column `{}`", self.name()),
            format!("fields of type {} are not read here", self.data_type()),
        )
    }

    fn broken_arrow(&self, problem: &arrow_schema::ArrowError) -> Error {
        Error::answer(format!("column `{}`", self.name()), problem.to_string())
    }
}

fn is_aligned(bytes: &[u8]) -> bool {
    cfg!(target_endian = "little") && (bytes.as_ptr() as usize).is_multiple_of(align_of::<f32>())
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;
    use milvus_protocol::milvus::QueryResults;

    use super::*;
    use crate::data::{Column, Write, bind_columns};
    use crate::describe_collection::CollectionDescription;
    use crate::schema::{CollectionSchema, FieldSchema};

    /// From Arrow to the wire and back.
    #[test]
    fn record_batches_survive_the_wire() {
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::int16("small"))
            .field(FieldSchema::varchar("text", 10))
            .field(FieldSchema::float_vector("vector", 2));
        let vectors = FixedSizeListArray::try_new(
            Arc::new(Field::new("item", ArrowType::Float32, false)),
            2,
            Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0, 4.0])),
            None,
        )
        .expect("two vectors");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(vec![1, 2]))),
            ("small", Arc::new(Int16Array::from(vec![-7, 7]))),
            ("text", Arc::new(StringArray::from(vec!["a", "ä"]))),
            ("vector", Arc::new(vectors)),
        ];
        let nullable = columns
            .iter()
            .map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
        let given = RecordBatch::try_new(
            Arc::new(Schema::new(nullable.collect::<Vec<_>>())),
            columns.iter().map(|(_, array)| Arc::clone(array)).collect(),
        )
        .expect("a batch");
        let collection = CollectionDescription {
            schema,
            ..CollectionDescription::default()
        };
        let columns = Column::all_from(&given).expect("supported types");
        let batch = bind_columns(columns, Write::Insert, &collection).expect("valid columns");
        let messages = batch.columns.into_iter();
        let rows = Rows::from_answer(QueryResults {
            fields_data: messages
                .map(crate::data::FieldColumn::into_message)
                .collect(),
            ..QueryResults::default()
        });
        assert_eq!(rows.to_record_batch().expect("a batch"), given);
    }
}
