//! The serializer of one field's value: a scalar, a list, a vector in any of its forms.
//!
//! Invariant: a value that is accepted adds exactly one row to its column.

use serde::Serialize;
use serde::ser::{
    Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct,
    Serializer,
};

use super::Refused;
use super::scalar::ScalarSerializer;
use super::structs::StructSerializer;
use crate::data::builder::{ArrayBuilder, FieldBuilder, FloatsBuilder, Scalar, Values};
use crate::data::column::SparseVector;
use crate::error::Rule;
use crate::schema::DataType;

pub(super) struct ValueSerializer<'b> {
    pub(super) builder: &'b mut FieldBuilder,
}

impl<'b> ValueSerializer<'b> {
    fn scalar(self, scalar: Scalar<'_>) -> Result<(), Refused> {
        Ok(self.builder.push_scalar(scalar)?)
    }

    fn wrong<T>(&self, found: &str) -> Result<T, Refused> {
        Err(Rule::Type {
            expected: self.builder.field.data_type,
            found: found.to_owned(),
        }
        .into())
    }

    fn list(self, len: Option<usize>) -> Result<List<'b>, Refused> {
        let data_type = self.builder.field.data_type;
        let kind = if let Some(floats) = self.builder.take_floats(len) {
            ListKind::Floats(floats)
        } else if data_type.is_dense_vector() {
            ListKind::Vector(0)
        } else if data_type == DataType::SparseFloatVector {
            ListKind::Sparse(Vec::new())
        } else if data_type == DataType::Array {
            ListKind::Array(ArrayBuilder::new(&self.builder.field)?)
        } else if data_type == DataType::ArrayOfStruct {
            ListKind::Structs
        } else {
            return self.wrong("a list");
        };
        Ok(List {
            builder: self.builder,
            kind,
        })
    }

    fn sparse(self, found: &str) -> Result<Sparse<'b>, Refused> {
        if self.builder.field.data_type != DataType::SparseFloatVector {
            return self.wrong(found);
        }
        Ok(Sparse {
            builder: self.builder,
            index: 0,
            indices: Vec::new(),
            values: Vec::new(),
        })
    }
}

impl<'b> Serializer for ValueSerializer<'b> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = List<'b>;
    type SerializeTuple = List<'b>;
    type SerializeTupleStruct = List<'b>;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeMap = Sparse<'b>;
    type SerializeStruct = Sparse<'b>;
    type SerializeStructVariant = Impossible<(), Refused>;

    scalars!(scalar);

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Refused> {
        self.wrong("an enum with a value")
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List<'b>, Refused> {
        self.list(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<List<'b>, Refused> {
        self.list(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<List<'b>, Refused> {
        self.list(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Refused> {
        self.wrong("an enum with values")
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Sparse<'b>, Refused> {
        self.sparse("a map")
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Sparse<'b>, Refused> {
        self.sparse("a struct")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Refused> {
        self.wrong("an enum with values")
    }
}

/// A value given as a list: a dense vector, an array, structs, or a sparse vector as (index, value) pairs.
pub(super) struct List<'b> {
    builder: &'b mut FieldBuilder,
    kind: ListKind,
}

enum ListKind {
    /// A float vector that has as many elements as it should.
    Floats(FloatsBuilder),
    /// Elements so far.
    Vector(usize),
    Array(ArrayBuilder),
    Structs,
    Sparse(Vec<(u32, f32)>),
}

impl List<'_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        match &mut self.kind {
            ListKind::Floats(floats) => {
                let take = |scalar: Scalar<'_>| floats.push(scalar);
                value.serialize(ScalarSerializer {
                    take,
                    expected: "a number of a vector",
                })
            }
            ListKind::Vector(elements) => {
                let place = *elements;
                *elements += 1;
                let take = |scalar: Scalar<'_>| self.builder.push_element(place, scalar);
                value.serialize(ScalarSerializer {
                    take,
                    expected: "a number of a vector",
                })
            }
            ListKind::Array(array) => {
                let take = |scalar: Scalar<'_>| array.push(scalar);
                value.serialize(ScalarSerializer {
                    take,
                    expected: "an element of an array",
                })
            }
            ListKind::Structs => match &mut self.builder.values {
                Values::Structs(structs) => value.serialize(StructSerializer { structs }),
                _ => Err(Rule::Unknown.into()),
            },
            ListKind::Sparse(pairs) => {
                // A pair is a small list itself; `serde_json::Value` reads it in any form.
                let pair = serde_json::to_value(value)
                    .and_then(serde_json::from_value::<(u32, f32)>)
                    .map_err(|error| {
                        Rule::Row(format!("expected an (index, value) pair: {error}"))
                    })?;
                pairs.push(pair);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), Refused> {
        match self.kind {
            ListKind::Floats(floats) => self.builder.push_floats(floats)?,
            ListKind::Vector(elements) => self.builder.end_vector(elements)?,
            ListKind::Array(array) => self.builder.push_array(array.finish())?,
            ListKind::Structs => self.builder.end_structs()?,
            ListKind::Sparse(pairs) => self.builder.push_sparse(&SparseVector::from(pairs))?,
        }
        Ok(())
    }
}

macro_rules! list {
    ($($kind:ident::$method:ident),*) => {$(
        impl $kind for List<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.element(value)
            }

            fn end(self) -> Result<(), Refused> {
                self.finish()
            }
        }
    )*};
}
list!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);

/// A sparse vector given as a map from index to value, or as a struct of `indices` and `values`.
pub(super) struct Sparse<'b> {
    builder: &'b mut FieldBuilder,
    index: u32,
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl Sparse<'_> {
    fn finish(self) -> Result<(), Refused> {
        if self.indices.len() != self.values.len() {
            return Err(Rule::Row(format!(
                "a sparse vector with {} indices and {} values",
                self.indices.len(),
                self.values.len()
            ))
            .into());
        }
        let pairs: SparseVector = self.indices.into_iter().zip(self.values).collect();
        Ok(self.builder.push_sparse(&pairs)?)
    }
}

fn sparse_index(scalar: Scalar<'_>) -> Result<u32, Rule> {
    let index = match scalar {
        Scalar::Int(index) => u64::try_from(index).ok(),
        Scalar::Large(index) => Some(index),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    };
    let index = index.ok_or_else(|| Rule::Row("a sparse index must be a number".to_owned()))?;
    u32::try_from(index).map_err(|_| Rule::SparseIndex { index })
}

impl SerializeMap for Sparse<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        let index = &mut self.index;
        let take = |scalar: Scalar<'_>| {
            *index = sparse_index(scalar)?;
            Ok(())
        };
        key.serialize(ScalarSerializer {
            take,
            expected: "a sparse index",
        })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let values = &mut self.values;
        let take = |scalar: Scalar<'_>| {
            values.push(match scalar {
                Scalar::Float(value) => value,
                Scalar::Double(value) => value as f32,
                Scalar::Int(value) => value as f32,
                _ => return Err(Rule::Row("a sparse value must be a number".to_owned())),
            });
            Ok(())
        };
        value.serialize(ScalarSerializer {
            take,
            expected: "a sparse value",
        })?;
        self.indices.push(self.index);
        Ok(())
    }

    fn end(self) -> Result<(), Refused> {
        self.finish()
    }
}

impl SerializeStruct for Sparse<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        let json = |error: serde_json::Error| Rule::Row(format!("`{key}`: {error}"));
        match key {
            "indices" => {
                self.indices = serde_json::to_value(value)
                    .and_then(serde_json::from_value)
                    .map_err(json)?;
            }
            "values" => {
                self.values = serde_json::to_value(value)
                    .and_then(serde_json::from_value)
                    .map_err(json)?;
            }
            _ => {
                let problem = "a sparse vector is a map, or a struct of `indices` and `values`";
                return Err(Rule::Row(problem.to_owned()).into());
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), Refused> {
        self.finish()
    }
}
