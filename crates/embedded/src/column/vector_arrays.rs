//! Lists of vectors from and to messages: the members of arrays of structs that are vectors.
//!
//! The invariant is that of [`wire`](super::wire): one list for each row, and each vector of it has the dimension of the schema.

use milvus_protocol::schema::vector_field::Data as Vector;
use milvus_protocol::schema::{VectorArray, VectorField};

use super::view::ListValues;
use super::wire::{Target, malformed, vector_name};
use super::{Column, ColumnBuilder, ColumnError, ColumnType, Value};

impl Target<'_> {
    /// The column of a member that is a list of vectors in each row.
    pub(super) fn vector_arrays(&self, lists: VectorArray) -> Result<Column, ColumnError> {
        let ColumnType::Array(element) = self.kind else {
            return Err(self.wrong_type("arrays of vectors"));
        };
        let kind = element.column_type();
        let mut cells: Vec<VectorField> = lists.data;
        self.each(cells.len(), |builder, at| {
            let cell = std::mem::take(&mut cells[at]);
            let elements = match cell.data {
                Some(data) if !is_empty(&data) => {
                    // SDKs give the dimension with each list, with all of them, or with none.
                    let expected = i64::from(kind.dim().unwrap_or(0));
                    let given = [cell.dim, lists.dim].into_iter().find(|dim| *dim != 0);
                    let dim = given.unwrap_or(expected);
                    if dim != expected {
                        return Err(malformed(format!(
                            "expected vectors of {kind}, found vectors of dimension {dim}"
                        )));
                    }
                    let rows = vectors_in(kind, &data)?;
                    let inner = Target {
                        field: self.field,
                        kind,
                        rows,
                        valid: &[],
                    };
                    inner.vectors(dim, data)?
                }
                _ => ColumnBuilder::new(kind).finish(),
            };
            builder.push(Value::Array(&elements, 0, elements.len()))
        })
    }
}

fn is_empty(data: &Vector) -> bool {
    match data {
        Vector::FloatVector(values) => values.data.is_empty(),
        Vector::BinaryVector(bytes)
        | Vector::Float16Vector(bytes)
        | Vector::Bfloat16Vector(bytes)
        | Vector::Int8Vector(bytes) => bytes.is_empty(),
        Vector::SparseFloatVector(_) | Vector::VectorArray(_) => false,
    }
}

/// How many vectors of a type the data holds.
fn vectors_in(kind: ColumnType, data: &Vector) -> Result<usize, ColumnError> {
    let bytes = match data {
        Vector::FloatVector(values) => values.data.len(),
        Vector::BinaryVector(bytes)
        | Vector::Float16Vector(bytes)
        | Vector::Bfloat16Vector(bytes)
        | Vector::Int8Vector(bytes) => bytes.len(),
        other => {
            let found = vector_name(other);
            return Err(malformed(format!(
                "expected vectors of {kind}, found {found}"
            )));
        }
    };
    let width = kind.row_width().filter(|width| *width > 0).unwrap_or(1);
    if !bytes.is_multiple_of(width) {
        return Err(malformed(format!(
            "{bytes} bytes are no whole number of vectors of {kind}, which have {width} bytes each"
        )));
    }
    Ok(bytes / width)
}

impl Column {
    /// The lists of a column of lists of vectors. A null row keeps its place with an empty list, as SDKs expect.
    pub(super) fn vector_arrays(&self, lists: ListValues<'_>) -> VectorField {
        let kind = lists.elements().column_type();
        let dim = kind.dim().map_or(0, i64::from);
        let all = lists.elements().all_vectors();
        let width = kind.row_width().unwrap_or(0);
        let data = (0..lists.len()).map(|row| {
            let range = lists.range(row);
            let bytes = range.start * width..range.end * width;
            VectorField {
                dim,
                data: all.data.as_ref().and_then(|data| slice(data, bytes)),
            }
        });
        VectorField {
            dim,
            data: Some(Vector::VectorArray(VectorArray {
                dim,
                data: data.collect(),
                element_type: kind.data_type().into(),
            })),
        }
    }
}

/// A part of the vectors, by reference count.
fn slice(data: &Vector, range: std::ops::Range<usize>) -> Option<Vector> {
    let cut = |bytes: &bytes::Bytes| {
        if range.end <= bytes.len() {
            bytes.slice(range.clone())
        } else {
            bytes::Bytes::new()
        }
    };
    Some(match data {
        Vector::FloatVector(values) => Vector::FloatVector(milvus_protocol::schema::FloatArray {
            data: cut(&values.data),
        }),
        Vector::BinaryVector(bytes) => Vector::BinaryVector(cut(bytes)),
        Vector::Float16Vector(bytes) => Vector::Float16Vector(cut(bytes)),
        Vector::Bfloat16Vector(bytes) => Vector::Bfloat16Vector(cut(bytes)),
        Vector::Int8Vector(bytes) => Vector::Int8Vector(cut(bytes)),
        Vector::SparseFloatVector(_) | Vector::VectorArray(_) => return None,
    })
}
