//! Any Python object as the value of a field, as `serde` wants to see it.
//!
//! Invariant: a value is written as its field wants it (a vector as its bytes, a JSON field's text as the JSON it
//! contains), or refused with its type and place; nothing is guessed.

use milvus_client::schema::DataType;
use numpy::{PyUntypedArray, PyUntypedArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple,
};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::array::Array;

/// What a value is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A field of this type.
    Field(DataType),
    /// A dynamic field, or a value inside JSON.
    Json,
}

/// A Python object on its way into a column or into JSON.
pub(crate) struct Value<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    purpose: Purpose,
    /// Whether arrays may be among the objects.
    has_numpy: bool,
    depth: usize,
}

/// Deeper values would overflow the stack; `json.dumps` and servers refuse them too.
const DEEPEST: usize = 200;

impl<'a, 'py> Value<'a, 'py> {
    /// For a field of this type.
    pub(crate) fn of_field(
        object: &'a Bound<'py, PyAny>,
        field: DataType,
        has_numpy: bool,
    ) -> Self {
        Self {
            object,
            purpose: Purpose::Field(field),
            has_numpy,
            depth: 0,
        }
    }

    /// For a dynamic field.
    pub(crate) fn dynamic(object: &'a Bound<'py, PyAny>, has_numpy: bool) -> Self {
        Self {
            object,
            purpose: Purpose::Json,
            has_numpy,
            depth: 0,
        }
    }

    /// Inside JSON.
    pub(crate) fn json(object: &'a Bound<'py, PyAny>) -> Self {
        let has_numpy = super::array::numpy_is_imported(object.py()).unwrap_or(false);
        Self::dynamic(object, has_numpy)
    }

    fn inside<'b>(&self, object: &'b Bound<'py, PyAny>) -> Value<'b, 'py> {
        let purpose = match self.purpose {
            Purpose::Field(DataType::Json) => Purpose::Json,
            other => other,
        };
        Value {
            object,
            purpose,
            has_numpy: self.has_numpy,
            depth: self.depth + 1,
        }
    }

    fn is_json(&self) -> bool {
        matches!(self.purpose, Purpose::Json | Purpose::Field(DataType::Json))
    }

    fn text<S: Serializer>(
        &self,
        text: &Bound<'py, PyString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = text.to_cow().map_err(S::Error::custom)?;
        if self.purpose != Purpose::Field(DataType::Json) {
            return serializer.serialize_str(&text);
        }
        // The text of a JSON field is JSON already.
        match serde_json::from_str::<&RawValue>(&text) {
            Ok(raw) => raw.serialize(serializer),
            Err(error) => Err(S::Error::custom(format!(
                "the text is no valid JSON: {error}"
            ))),
        }
    }

    fn array<S: Serializer>(
        &self,
        array: &Bound<'py, PyUntypedArray>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if let Purpose::Field(field) = self.purpose
            && field.is_dense_vector()
            && array.ndim() == 1
            && let Some(array) = Array::new(array).map_err(S::Error::custom)?
        {
            return array.row(0, field).serialize(serializer);
        }
        let plain = array
            .call_method0(pyo3::intern!(array.py(), "tolist"))
            .map_err(S::Error::custom)?;
        self.inside(&plain).serialize(serializer)
    }

    fn list<S: Serializer>(
        &self,
        length: usize,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(length))?;
        for item in items {
            list.serialize_element(&self.inside(&item))?;
        }
        list.end()
    }

    fn map<S: Serializer>(
        &self,
        dict: &Bound<'py, PyDict>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(dict.len()))?;
        for (key, value) in dict.iter() {
            if let Ok(text) = key.cast::<PyString>() {
                map.serialize_key(&*text.to_cow().map_err(S::Error::custom)?)?;
            } else if self.is_json() {
                return Err(S::Error::custom(format!(
                    "JSON key must be str, and one is of type {}",
                    class(&key)
                )));
            } else {
                map.serialize_key(&self.inside(&key))?;
            }
            map.serialize_value(&self.inside(&value))?;
        }
        map.end()
    }

    /// A row of a scipy matrix: the pairs of a sparse vector.
    fn sparse<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = sparse_pairs(self.object).map_err(S::Error::custom)?;
        serializer.collect_map(pairs)
    }

    /// What is none of Python's own types: a mapping, a scalar of numpy's, something with `tolist`.
    fn other<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = self.object;
        if self.purpose == Purpose::Field(DataType::SparseFloatVector) && is_scipy(object) {
            return self.sparse(serializer);
        }
        if let Ok(mapping) = object.cast::<PyMapping>() {
            let dict = PyDict::new(object.py());
            dict.update(mapping).map_err(S::Error::custom)?;
            return self.map(&dict, serializer);
        }
        for method in ["item", "tolist"] {
            let Ok(Some(method)) = object.getattr_opt(method) else {
                continue;
            };
            let Ok(plain) = method.call0() else { continue };
            if !plain.get_type().is(object.get_type()) {
                return self.inside(&plain).serialize(serializer);
            }
        }
        Err(S::Error::custom(format!(
            "a value of type {} can't be stored",
            class(object)
        )))
    }
}

impl Serialize for Value<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = self.object;
        if self.depth > DEEPEST {
            return Err(S::Error::custom(
                "the value is nested too deeply, or contains itself",
            ));
        }
        if let Ok(number) = object.cast_exact::<PyFloat>() {
            return serializer.serialize_f64(number.value());
        }
        if let Ok(text) = object.cast::<PyString>() {
            return self.text(text, serializer);
        }
        if let Ok(flag) = object.cast::<PyBool>() {
            return serializer.serialize_bool(flag.is_true());
        }
        if object.is_instance_of::<PyInt>() {
            return match object.extract::<i64>() {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => match object.extract::<u64>() {
                    Ok(number) => serializer.serialize_u64(number),
                    Err(_) => Err(S::Error::custom("the integer does not fit into 64 bits")),
                },
            };
        }
        if let Ok(number) = object.cast::<PyFloat>() {
            return serializer.serialize_f64(number.value());
        }
        if object.is_none() {
            return serializer.serialize_none();
        }
        if self.has_numpy
            && let Ok(array) = object.cast::<PyUntypedArray>()
        {
            return self.array(array, serializer);
        }
        if let Ok(list) = object.cast::<PyList>() {
            return self.list(list.len(), list.iter(), serializer);
        }
        if let Ok(dict) = object.cast::<PyDict>() {
            return self.map(dict, serializer);
        }
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return self.list(tuple.len(), tuple.iter(), serializer);
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return match self.is_json() {
                // As PyMilvus: bytes of a JSON field are its text.
                true => match std::str::from_utf8(bytes.as_bytes()) {
                    Ok(text) => serializer.serialize_str(text),
                    Err(error) => Err(S::Error::custom(format!("the bytes are no text: {error}"))),
                },
                false => serializer.serialize_bytes(bytes.as_bytes()),
            };
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            return serializer.serialize_bytes(&bytes.to_vec());
        }
        self.other(serializer)
    }
}

/// The name of an object's type, for errors.
pub(crate) fn class(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

/// Whether an object is a sparse matrix of scipy's; scipy itself is not imported for that.
pub(crate) fn is_scipy(object: &Bound<'_, PyAny>) -> bool {
    let module = object.get_type().module();
    module.is_ok_and(|module| {
        module
            .to_cow()
            .is_ok_and(|name| name.starts_with("scipy.sparse"))
    })
}

/// The pairs of a scipy matrix with one row.
///
/// # Errors
/// What scipy raises; a matrix of another number of rows.
pub(crate) fn sparse_pairs(matrix: &Bound<'_, PyAny>) -> PyResult<Vec<(u32, f32)>> {
    let coordinates = matrix.call_method0("tocoo")?;
    let shape: Vec<usize> = coordinates.getattr("shape")?.extract()?;
    if shape.len() > 1 && shape.first() != Some(&1) {
        return Err(pyo3::exceptions::PyValueError::new_err(format!(
            "the sparse vector of a row is a matrix with one row, and one of the shape {shape:?} is given"
        )));
    }
    let indices: Vec<u32> = coordinates
        .getattr("col")?
        .call_method0("tolist")?
        .extract()?;
    let values: Vec<f32> = coordinates
        .getattr("data")?
        .call_method0("tolist")?
        .extract()?;
    Ok(indices.into_iter().zip(values).collect())
}
