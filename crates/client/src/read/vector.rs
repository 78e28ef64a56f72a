//! What is searched for: a vector of any kind, or a text.
//!
//! Invariant: a query vector is bytes as on the wire from the moment it is made.

use bytes::Bytes;
use milvus_protocol::common::{PlaceholderGroup, PlaceholderType, PlaceholderValue};
use milvus_protocol::packed_bytes;
use prost::Message as _;

use crate::data::{SparseVector, bf16_bits, f16_bits, first_not_finite};
use crate::error::Rule;
use crate::schema::{DataType, FieldSchema};

/// What is searched for.
///
/// ```
/// use milvus_client::{QueryVector, SparseVector};
///
/// let dense = QueryVector::from([0.1, 0.2, 0.3]);
/// let text = QueryVector::from("to be or not to be");
/// let sparse = QueryVector::from(SparseVector::from([(7, 0.5)]));
/// let bits = QueryVector::packed(milvus_client::schema::DataType::BinaryVector, vec![0b1010_0000]);
/// let list = QueryVector::list([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]);
/// # let _ = (dense, text, sparse, bits, list);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryVector {
    kind: Kind,
    bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Vector(DataType),
    /// Vectors that are one query together.
    List(DataType),
    Text,
}

/// From the number of a type of vectors to that of lists of them.
const LIST_OFFSET: i32 =
    PlaceholderType::EmbListFloatVector as i32 - PlaceholderType::FloatVector as i32;

impl QueryVector {
    /// A vector of any type, as on the wire (little-endian).
    pub fn packed(data_type: DataType, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::Vector(data_type),
            bytes: bytes.into(),
        }
    }

    /// Several vectors that are one query together, for a vector member of an array of structs (`clips[emb]`) with one of the
    /// `MAX_SIM` metrics.
    pub fn list<V: AsRef<[f32]>>(vectors: impl IntoIterator<Item = V>) -> Self {
        let values: Vec<f32> = vectors
            .into_iter()
            .flat_map(|vector| vector.as_ref().to_vec())
            .collect();
        Self::packed_list(DataType::FloatVector, packed_bytes::<f32, _>(values))
    }

    /// As [`list`](Self::list), of vectors of any dense type, one after the other as on the wire (little-endian).
    pub fn packed_list(data_type: DataType, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::List(data_type),
            bytes: bytes.into(),
        }
    }

    fn placeholder_type(&self) -> i32 {
        match self.kind {
            // Vector types have the same numbers as types of fields.
            Kind::Vector(data_type) => data_type.number(),
            // And those of lists of them a number of their own, always as far away.
            Kind::List(data_type) => data_type.number() + LIST_OFFSET,
            Kind::Text => PlaceholderType::VarChar as i32,
        }
    }

    /// Checks the vector against its field, and turns `f32`s into what the field holds.
    fn fit(self, field: &FieldSchema) -> Result<Self, Rule> {
        let (given, is_list) = match self.kind {
            Kind::Vector(given) => (given, false),
            Kind::List(given) => (given, true),
            Kind::Text => return Ok(self),
        };
        let (expected, holds_lists) = match (field.data_type, field.element_type) {
            (DataType::ArrayOfVector, Some(element)) => (element, true),
            (own, _) => (own, false),
        };
        // A member may also be searched by single vectors; the server says whether its index is made for that.
        if is_list && !holds_lists {
            return Err(Rule::Type {
                expected,
                found: format!("a list of {given}"),
            });
        }
        let element = FieldSchema {
            data_type: expected,
            element_type: None,
            ..field.clone()
        };
        self.fit_elements(given, &element, is_list)
    }

    /// As [`fit`](Self::fit), for one vector or several of the type of `field`.
    fn fit_elements(
        self,
        given: DataType,
        field: &FieldSchema,
        is_list: bool,
    ) -> Result<Self, Rule> {
        let kind = self.kind;
        let made = |data_type: DataType, bytes: Bytes| Self {
            kind: match kind {
                Kind::List(_) => Kind::List(data_type),
                _ => Kind::Vector(data_type),
            },
            bytes,
        };
        let halves = |bits: fn(f32) -> u16| {
            let (values, _) = self.bytes.as_chunks::<4>();
            let halves = values.iter().map(|value| bits(f32::from_le_bytes(*value)));
            Bytes::from_iter(halves.flat_map(u16::to_le_bytes))
        };
        let vector = match (given, field.data_type) {
            (DataType::FloatVector, DataType::Float16Vector) => {
                made(field.data_type, halves(f16_bits))
            }
            (DataType::FloatVector, DataType::BFloat16Vector) => {
                made(field.data_type, halves(bf16_bits))
            }
            _ if given == field.data_type => self,
            _ => {
                return Err(Rule::Type {
                    expected: field.data_type,
                    found: given.to_string(),
                });
            }
        };
        if let (Some(width), Some(dimension)) = (field.vector_bytes(), field.dimension)
            && vector.bytes.len() != width
            && !(is_list && !vector.bytes.is_empty() && vector.bytes.len().is_multiple_of(width))
        {
            return Err(Rule::Dimension {
                expected: dimension,
                found: field.data_type.dimensions_of(vector.bytes.len()),
            });
        }
        match first_not_finite(field.data_type, &vector.bytes) {
            Some(element) => Err(Rule::Finite {
                element: Some(element),
            }),
            None => Ok(vector),
        }
    }
}

/// Checks all vectors against their field.
pub(super) fn fit_all(
    vectors: Vec<QueryVector>,
    field: &FieldSchema,
) -> Result<Vec<QueryVector>, (usize, Rule)> {
    let fit =
        |(place, vector): (usize, QueryVector)| vector.fit(field).map_err(|rule| (place, rule));
    vectors.into_iter().enumerate().map(fit).collect()
}

/// The message part that carries the vectors; `None` when they are not all of one kind.
pub(super) fn placeholder_group(vectors: Vec<QueryVector>) -> Option<Bytes> {
    let kind = vectors.first().map_or(0, QueryVector::placeholder_type);
    if vectors
        .iter()
        .any(|vector| vector.placeholder_type() != kind)
    {
        return None;
    }
    let group = PlaceholderGroup {
        placeholders: vec![PlaceholderValue {
            tag: "$0".to_owned(),
            r#type: kind,
            values: vectors.into_iter().map(|vector| vector.bytes).collect(),
            ..PlaceholderValue::default()
        }],
    };
    Some(group.encode_to_vec().into())
}

impl From<Vec<f32>> for QueryVector {
    fn from(values: Vec<f32>) -> Self {
        Self::packed(DataType::FloatVector, packed_bytes::<f32, _>(values))
    }
}

impl From<&[f32]> for QueryVector {
    fn from(values: &[f32]) -> Self {
        values.to_vec().into()
    }
}

impl From<&Vec<f32>> for QueryVector {
    fn from(values: &Vec<f32>) -> Self {
        values.as_slice().into()
    }
}

impl<const N: usize> From<[f32; N]> for QueryVector {
    fn from(values: [f32; N]) -> Self {
        values.as_slice().into()
    }
}

impl<const N: usize> From<&[f32; N]> for QueryVector {
    fn from(values: &[f32; N]) -> Self {
        values.as_slice().into()
    }
}

impl From<SparseVector> for QueryVector {
    fn from(vector: SparseVector) -> Self {
        Self::packed(DataType::SparseFloatVector, vector.to_wire())
    }
}

impl From<&SparseVector> for QueryVector {
    fn from(vector: &SparseVector) -> Self {
        Self::packed(DataType::SparseFloatVector, vector.to_wire())
    }
}

impl From<String> for QueryVector {
    fn from(text: String) -> Self {
        Self {
            kind: Kind::Text,
            bytes: text.into(),
        }
    }
}

impl From<&str> for QueryVector {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_what_the_field_holds() {
        let field = FieldSchema::float16_vector("v", 2);
        let fitted = QueryVector::from([1.0, -2.0]).fit(&field).expect("fits");
        assert_eq!(fitted.placeholder_type(), 102);
        assert_eq!(fitted.bytes.as_ref(), [0x00, 0x3C, 0x00, 0xC0]);
    }

    #[test]
    fn lists_are_checked_against_the_vectors_of_their_member() {
        let clips = crate::schema::StructArraySchema::new("clips", 8)
            .field(FieldSchema::float16_vector("emb", 2));
        let field = &clips.fields[0];
        let fitted = QueryVector::list([[1.0, -2.0], [0.0, 1.0]]).fit(field);
        let fitted = fitted.expect("fits");
        assert_eq!(fitted.placeholder_type(), 302);
        assert_eq!(fitted.bytes.len(), 8);
        let uneven = QueryVector::list([vec![1.0, 2.0], vec![3.0]]).fit(field);
        assert!(matches!(uneven, Err(Rule::Dimension { .. })));
        let none = QueryVector::list(Vec::<Vec<f32>>::new()).fit(field);
        assert!(matches!(none, Err(Rule::Dimension { .. })));
    }

    #[test]
    fn wrong_dimensions_and_kinds_are_refused() {
        let field = FieldSchema::float_vector("v", 2);
        assert_eq!(
            QueryVector::from([1.0]).fit(&field),
            Err(Rule::Dimension {
                expected: 2,
                found: 1
            })
        );
        assert_eq!(
            QueryVector::from([1.0, f32::NAN]).fit(&field),
            Err(Rule::Finite { element: Some(1) })
        );
        let sparse = QueryVector::from(SparseVector::from([(1, 1.0)]));
        assert!(matches!(sparse.fit(&field), Err(Rule::Type { .. })));
        let lists = QueryVector::list([[1.0, 2.0]]);
        assert!(matches!(lists.fit(&field), Err(Rule::Type { .. })));
        let mixed = vec![QueryVector::from("a"), QueryVector::from([1.0])];
        assert_eq!(placeholder_group(mixed), None);
    }
}
