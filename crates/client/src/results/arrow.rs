//! Results as Arrow record batches.
//!
//! Invariant: packed values (floats, dense vectors) are buffers over the received bytes, unless they are not aligned
//! for their type or the server left the values of null rows out; then they are copied once. Whatever the server says
//! of their number and width, an array that cannot be made is an error.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListBuilder,
    StringBuilder,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType as ArrowType, Field, Schema};
use milvus_protocol::schema::{ScalarField, scalar_field::Data as Array};
use milvus_protocol::{PackedValue, packed_iter};

use super::column::ResultValues;
use super::packed::Packed;
use super::{Ids, ResultColumn, Rows, SearchResults};
use crate::error::{Error, Result};
use crate::schema::DataType;

impl Rows {
    /// The rows as a record batch: a column for each field; `$meta` and `JSON` fields as text, vectors of
    /// other types than `FloatVector` as bytes.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when a field has a type that is not read here.
    pub fn to_record_batch(&self) -> Result<RecordBatch> {
        record_batch(fields(self.columns())?, "the rows as a record batch")
    }
}

impl SearchResults {
    /// The hits of all queries as a record batch, query by query and best first: `query` (the query's number, from 0),
    /// the primary key, `score`, and a column for each field as [`Rows::to_record_batch`] makes them. Where a field is
    /// itself called `query` or `score`, its column stands alone.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when a field has a type that is not read here.
    pub fn to_record_batch(&self) -> Result<RecordBatch> {
        let hits = "the hits as a record batch";
        let queries = (0..self.len()).flat_map(|query| {
            let number = i64::try_from(query).unwrap_or(i64::MAX);
            self.range(query).map(move |_| number)
        });
        let key = match self.primary_field() {
            "" => "id",
            name => name,
        };
        let ids: ArrayRef = match self.ids() {
            Ids::Int64(ids) => Arc::new(Int64Array::from(ids.clone())),
            ids @ Ids::VarChar(_) => Arc::new(StringArray::from_iter_values(
                ids.iter().map(|id| id.to_string()),
            )),
        };
        let scores = Float32Array::from(self.scores().to_vec());
        let mut all: Vec<(&str, ArrayRef)> = vec![
            ("query", Arc::new(queries.collect::<Int64Array>())),
            (key, ids),
            ("score", Arc::new(scores)),
        ];
        all.retain(|(name, _)| !self.columns().iter().any(|column| column.name() == *name));
        all.extend(fields(self.columns())?);
        record_batch(all, hits)
    }
}

fn fields(columns: &[ResultColumn]) -> Result<Vec<(&str, ArrayRef)>> {
    columns
        .iter()
        .map(|column| Ok((column.name(), column.to_arrow()?)))
        .collect()
}

fn record_batch(columns: Vec<(&str, ArrayRef)>, what: &str) -> Result<RecordBatch> {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(schema), arrays)
        .map_err(|problem| Error::answer(what, problem.to_string()))
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
            ResultValues::Float(packed) => {
                Arc::new(Float32Array::new(self.numbers(packed)?, nulls))
            }
            ResultValues::Double(packed) => {
                Arc::new(Float64Array::new(self.numbers(packed)?, nulls))
            }
            ResultValues::Text(_) | ResultValues::Json(_) => {
                let texts: Result<Vec<_>> = (0..self.len()).map(|row| self.text(row)).collect();
                Arc::new(StringArray::from(texts?))
            }
            ResultValues::Array(arrays) => self.lists(arrays)?,
            ResultValues::FloatVector(_) => self.float_vectors(nulls)?,
            ResultValues::PackedVector(packed) => {
                let width = self.arrow_size(self.vector_width())?;
                let bytes = if self.is_complete(packed) {
                    Buffer::from(packed.clone())
                } else {
                    self.vectors::<u8>()?.into()
                };
                let array = FixedSizeBinaryArray::try_new(width, bytes, nulls);
                Arc::new(array.map_err(|problem| self.broken_arrow(&problem))?)
            }
            ResultValues::Sparse(contents) => {
                let vectors = (0..self.len())
                    .map(|row| self.place(row).and_then(|place| contents.get(place)))
                    .map(|bytes| bytes.map(AsRef::<[u8]>::as_ref));
                Arc::new(vectors.collect::<BinaryArray>())
            }
            ResultValues::Structs(_) | ResultValues::VectorLists(..) | ResultValues::Other(_) => {
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

    /// The numbers, one for each row.
    fn numbers<T: PackedValue + ArrowNativeType>(
        &self,
        packed: &Packed<T>,
    ) -> Result<ScalarBuffer<T>> {
        let bytes = packed.bytes();
        if packed.len() == self.len() && bytes.len().is_multiple_of(size_of::<T>()) {
            if is_aligned::<T>(bytes) {
                return Ok(Buffer::from(bytes.clone()).into());
            }
            let all = packed_iter::<T>(bytes).map_err(|problem| self.broken(&problem))?;
            return Ok(all.collect::<Vec<_>>().into());
        }
        let values = packed.values().map_err(|problem| self.broken(&problem))?;
        Ok((0..self.len()).map(|row| self.at(values, row)).collect())
    }

    fn float_vectors(&self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let elements: ScalarBuffer<f32> = match self.packed_vectors() {
            Some(packed) if self.is_complete(packed) && is_aligned::<f32>(packed) => {
                Buffer::from(packed.clone()).into()
            }
            _ => {
                let elements = self.vectors::<f32>()?.into_iter();
                elements.map(PackedValue::swapped_on_big_endian).collect()
            }
        };
        let field = Arc::new(Field::new("item", ArrowType::Float32, false));
        let size = self.arrow_size(Some(self.dimension()))?;
        let elements = Arc::new(Float32Array::new(elements, None));
        FixedSizeListArray::try_new(field, size, elements, nulls)
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(|problem| self.broken_arrow(&problem))
    }

    /// Whether every row has its vector among the packed ones, null rows too.
    fn is_complete(&self, packed: &[u8]) -> bool {
        let width = self.vector_width();
        width.and_then(|width| self.len().checked_mul(width)) == Some(packed.len())
    }

    /// The elements of a vector for each row, zeros for rows without.
    fn vectors<T: bytemuck::Pod>(&self) -> Result<Vec<T>> {
        let width = self.vector_width().unwrap_or(0);
        let too_many = || {
            self.problem(format!(
                "{} rows of {width} bytes each do not fit into memory",
                self.len()
            ))
        };
        let bytes = self.len().checked_mul(width).ok_or_else(too_many)?;
        let count = bytes / size_of::<T>();
        let mut all: Vec<T> = Vec::new();
        all.try_reserve_exact(count).map_err(|_| too_many())?;
        all.resize(count, T::zeroed());
        let rows = bytemuck::cast_slice_mut::<T, u8>(&mut all);
        for (row, place) in rows.chunks_exact_mut(width.max(1)).enumerate() {
            if self.is_null(row) {
                continue;
            }
            match self.vector(row) {
                Some(vector) => place.copy_from_slice(vector),
                None => {
                    return Err(self.problem(format!("the server sent no vector for row {row}")));
                }
            }
        }
        Ok(all)
    }

    fn arrow_size(&self, size: Option<usize>) -> Result<i32> {
        size.and_then(|size| i32::try_from(size).ok())
            .ok_or_else(|| self.problem("vectors that are too long for an Arrow array".to_owned()))
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

fn is_aligned<T>(bytes: &[u8]) -> bool {
    cfg!(target_endian = "little") && (bytes.as_ptr() as usize).is_multiple_of(align_of::<T>())
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;
    use milvus_protocol::milvus::QueryResults;
    use milvus_protocol::schema as wire;

    use super::*;
    use crate::data::{Column, Write, bind_columns};
    use crate::describe_collection::CollectionDescription;
    use crate::results::tests::{float_vectors, rows, scalars};
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
        })
        .expect("columns that can be read");
        assert_eq!(rows.to_record_batch().expect("a batch"), given);
    }

    #[test]
    fn packed_values_are_buffers_over_what_was_received() {
        let floats: bytes::Bytes = [1.0_f32, 2.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let doubles: bytes::Bytes = [1.0_f64, 2.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let float = wire::scalar_field::Data::FloatData(wire::FloatArray {
            data: floats.clone(),
        });
        let double = wire::scalar_field::Data::DoubleData(wire::DoubleArray {
            data: doubles.clone(),
        });
        // Null rows of scalars have values, too.
        let mut float = scalars("float", DataType::Float, float);
        float.valid_data = vec![true, false];
        let found = rows(vec![
            float,
            scalars("double", DataType::Double, double),
            float_vectors(1, &[0.5, 1.5]),
        ]);
        let found = found.expect("columns");
        let batch = found.to_record_batch().expect("a batch");
        for (column, received) in [(0, floats.as_ptr()), (1, doubles.as_ptr())] {
            let data = batch.column(column).to_data();
            let is_aligned = (received as usize).is_multiple_of(8);
            assert!(!is_aligned || data.buffers()[0].as_ptr() == received);
        }
        assert_eq!(batch.column(0).null_count(), 1);
        let vectors = found
            .column("v")
            .expect("there")
            .packed_vectors()
            .expect("packed");
        let list = batch.column(2).to_data();
        assert!(
            !is_aligned::<f32>(vectors)
                || list.child_data()[0].buffers()[0].as_ptr() == vectors.as_ptr()
        );
    }

    #[test]
    fn hits_are_a_record_batch_query_by_query() {
        let titles = ["a", "b", "c"].map(bytes::Bytes::from).to_vec();
        let titles = wire::scalar_field::Data::StringData(wire::StringArray { data: titles });
        let answer = milvus_protocol::milvus::SearchResults {
            results: Some(wire::SearchResultData {
                topks: vec![2, 1],
                ids: Some(Ids::Int64(vec![7, 8, 9]).into()),
                scores: [0.25_f32, 0.5, 0.75]
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
                primary_field_name: "key".to_owned(),
                fields_data: vec![scalars("title", DataType::VarChar, titles)],
                ..wire::SearchResultData::default()
            }),
            ..milvus_protocol::milvus::SearchResults::default()
        };
        let found = SearchResults::from_answer(answer).expect("hits");
        let expected = RecordBatch::try_from_iter_with_nullable([
            (
                "query",
                Arc::new(Int64Array::from(vec![0, 0, 1])) as ArrayRef,
                true,
            ),
            ("key", Arc::new(Int64Array::from(vec![7, 8, 9])), true),
            (
                "score",
                Arc::new(Float32Array::from(vec![0.25, 0.5, 0.75])),
                true,
            ),
            (
                "title",
                Arc::new(StringArray::from(vec!["a", "b", "c"])),
                true,
            ),
        ]);
        assert_eq!(
            found.to_record_batch().expect("a batch"),
            expected.expect("a batch")
        );
    }
}
