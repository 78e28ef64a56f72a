//! Numpy's arrays, read where they are.
//!
//! Numpy is looked for only among the modules that the program has imported already: without it no value is an array.
//!
//! Invariants: an array is read with the GIL held, so that no Python code changes it meanwhile; a contiguous row is
//! taken as one slice of bytes.

use std::borrow::Cow;
use std::ops::Range;

use milvus_client::schema::DataType;
use milvus_client::{f32_of_bf16, f32_of_f16};
use numpy::ndarray::{ArrayViewD, Axis};
use numpy::{
    Element, PyArrayDescrMethods as _, PyArrayDyn, PyArrayMethods as _, PyReadonlyArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods as _,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::{Serialize, Serializer};

/// Whether the program has numpy; only then arrays are looked for.
pub(crate) fn numpy_is_imported(py: Python<'_>) -> PyResult<bool> {
    let modules = py
        .import(pyo3::intern!(py, "sys"))?
        .getattr(pyo3::intern!(py, "modules"))?;
    modules
        .cast::<PyDict>()?
        .contains(pyo3::intern!(py, "numpy"))
}

/// The elements of an array, as a vector field may hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elements {
    F32,
    F64,
    /// `float16`.
    Half,
    /// `bfloat16` of `ml_dtypes`.
    Bfloat,
    I8,
    U8,
    /// Anything else: read value by value, as Python's own.
    Other,
}

impl Elements {
    pub(crate) fn of(array: &Bound<'_, PyUntypedArray>) -> Self {
        let dtype = array.dtype();
        if dtype.is_native_byteorder() == Some(false) {
            return Self::Other;
        }
        match (dtype.kind(), dtype.itemsize()) {
            (b'f', 4) => Self::F32,
            (b'f', 8) => Self::F64,
            (b'f', 2) => Self::Half,
            (b'i', 1) => Self::I8,
            (b'u', 1) => Self::U8,
            (b'V', 2) => match dtype.str() {
                Ok(name) if name == "bfloat16" => Self::Bfloat,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }

    /// The vectors that have these elements as they are.
    pub(crate) fn vector_type(self) -> Option<DataType> {
        match self {
            Self::F32 | Self::F64 => Some(DataType::FloatVector),
            Self::Half => Some(DataType::Float16Vector),
            Self::Bfloat => Some(DataType::BFloat16Vector),
            Self::I8 => Some(DataType::Int8Vector),
            Self::U8 => Some(DataType::BinaryVector),
            Self::Other => None,
        }
    }

    /// Whether the bytes of such elements are the bytes of a vector of this type.
    fn are_those_of(self, field: DataType) -> bool {
        self != Self::F64 && self.vector_type() == Some(field) && cfg!(target_endian = "little")
    }
}

/// An array of one or two dimensions whose elements are what vectors hold.
pub(crate) struct Array<'py> {
    typed: Typed<'py>,
    elements: Elements,
}

enum Typed<'py> {
    F32(PyReadonlyArrayDyn<'py, f32>),
    F64(PyReadonlyArrayDyn<'py, f64>),
    /// The bits of half-precision numbers.
    U16(PyReadonlyArrayDyn<'py, u16>),
    I8(PyReadonlyArrayDyn<'py, i8>),
    U8(PyReadonlyArrayDyn<'py, u8>),
}

fn readonly<'py, T: Element>(array: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    Ok(array.cast::<PyArrayDyn<T>>()?.try_readonly()?)
}

/// A row of a matrix; the whole of a vector.
fn row_of<'a, T: Element>(array: &'a PyReadonlyArrayDyn<'_, T>, row: usize) -> ArrayViewD<'a, T> {
    let view = array.as_array();
    if view.ndim() > 1 {
        view.index_axis_move(Axis(0), row)
    } else {
        view
    }
}

impl<'py> Array<'py> {
    /// The array, when it holds what vectors hold; `None` for others.
    ///
    /// # Errors
    /// An array that native code is writing to.
    pub(crate) fn new(array: &Bound<'py, PyUntypedArray>) -> PyResult<Option<Self>> {
        let elements = Elements::of(array);
        let typed = match elements {
            Elements::F32 => Typed::F32(readonly(array)?),
            Elements::F64 => Typed::F64(readonly(array)?),
            Elements::Half | Elements::Bfloat => {
                let bits = array.call_method1(pyo3::intern!(array.py(), "view"), ("uint16",))?;
                Typed::U16(readonly(&bits)?)
            }
            Elements::I8 => Typed::I8(readonly(array)?),
            Elements::U8 => Typed::U8(readonly(array)?),
            Elements::Other => return Ok(None),
        };
        Ok(Some(Self { typed, elements }))
    }

    /// The vectors that have these elements.
    pub(crate) fn vector_type(&self) -> Option<DataType> {
        self.elements.vector_type()
    }

    /// A row of a matrix, or the only one of a vector, for a field of this type.
    pub(crate) fn row(&self, row: usize, field: DataType) -> Row<'_, 'py> {
        Row {
            array: self,
            row,
            field,
        }
    }

    /// The bytes of a row as a query vector has them; `float64` becomes `float32`.
    pub(crate) fn row_bytes(&self, row: usize) -> Vec<u8> {
        macro_rules! bytes {
            ($array:expr, $convert:expr) => {
                row_of($array, row)
                    .iter()
                    .flat_map(|value| ($convert)(*value).to_le_bytes())
                    .collect()
            };
        }
        match &self.typed {
            Typed::F32(array) => {
                let view = row_of(array, row);
                match view.as_slice() {
                    Some(slice) if cfg!(target_endian = "little") => {
                        bytemuck::cast_slice(slice).to_vec()
                    }
                    _ => bytes!(array, |value: f32| value),
                }
            }
            Typed::F64(array) => bytes!(array, |value: f64| value as f32),
            Typed::U16(array) => bytes!(array, |bits: u16| bits),
            Typed::I8(array) => bytes!(array, |value: i8| value),
            Typed::U8(array) => bytes!(array, |value: u8| value),
        }
    }
}

/// One row of an array, as the value of a vector field.
pub(crate) struct Row<'a, 'py> {
    array: &'a Array<'py>,
    row: usize,
    field: DataType,
}

impl Serialize for Row<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        macro_rules! vector {
            ($kind:ident, $array:expr) => {{
                let view = row_of($array, self.row);
                let numbers = match view.as_slice() {
                    Some(slice) => Numbers::$kind(Cow::Borrowed(slice)),
                    None => Numbers::$kind(view.iter().copied().collect()),
                };
                Vector {
                    numbers: &numbers,
                    range: 0..view.len(),
                    elements: self.array.elements,
                    field: self.field,
                }
                .serialize(serializer)
            }};
        }
        match &self.array.typed {
            Typed::F32(array) => vector!(F32, array),
            Typed::F64(array) => vector!(F64, array),
            Typed::U16(array) => vector!(U16, array),
            Typed::I8(array) => vector!(I8, array),
            Typed::U8(array) => vector!(U8, array),
        }
    }
}

/// Elements of vectors, one after the other.
enum Numbers<'a> {
    F32(Cow<'a, [f32]>),
    F64(Cow<'a, [f64]>),
    /// The bits of half-precision numbers.
    U16(Cow<'a, [u16]>),
    I8(Cow<'a, [i8]>),
    U8(Cow<'a, [u8]>),
}

/// Rows of an array, copied.
pub(crate) struct Copied {
    numbers: Numbers<'static>,
    width: usize,
    elements: Elements,
}

impl Copied {
    /// A row, as the value of a field of this type.
    pub(crate) fn row(&self, row: usize, field: DataType) -> impl Serialize + '_ {
        Vector {
            numbers: &self.numbers,
            range: row * self.width..(row + 1) * self.width,
            elements: self.elements,
            field,
        }
    }
}

impl Array<'_> {
    /// A copy of some rows of a matrix; fewer when it has fewer.
    pub(crate) fn copied(&self, rows: Range<usize>) -> Copied {
        macro_rules! copy {
            ($kind:ident, $array:expr) => {{
                let view = $array.as_array();
                let end = rows.end.min(view.len_of(Axis(0)));
                let part = view.slice_axis(Axis(0), (rows.start.min(end)..end).into());
                let numbers = match part.as_slice() {
                    Some(slice) => slice.to_vec(),
                    None => part.iter().copied().collect(),
                };
                (Numbers::$kind(Cow::Owned(numbers)), view.len_of(Axis(1)))
            }};
        }
        let (numbers, width) = match &self.typed {
            Typed::F32(array) => copy!(F32, array),
            Typed::F64(array) => copy!(F64, array),
            Typed::U16(array) => copy!(U16, array),
            Typed::I8(array) => copy!(I8, array),
            Typed::U8(array) => copy!(U8, array),
        };
        Copied {
            numbers,
            width,
            elements: self.elements,
        }
    }
}

/// One vector among numbers, as the value of a field.
struct Vector<'a> {
    numbers: &'a Numbers<'a>,
    range: Range<usize>,
    elements: Elements,
    field: DataType,
}

impl Serialize for Vector<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_packed = self.elements.are_those_of(self.field);
        macro_rules! values {
            ($numbers:expr, $values:ident => $plain:expr) => {{
                let $values = $numbers.get(self.range.clone()).unwrap_or_default();
                if is_packed {
                    serializer.serialize_bytes(bytemuck::cast_slice($values))
                } else {
                    serializer.collect_seq($plain)
                }
            }};
        }
        match self.numbers {
            Numbers::F32(numbers) => values!(numbers, values => values),
            Numbers::F64(numbers) => values!(numbers, values => values),
            Numbers::I8(numbers) => values!(numbers, values => values),
            Numbers::U8(numbers) => values!(numbers, values => values),
            Numbers::U16(numbers) => {
                let wide = if self.elements == Elements::Bfloat {
                    f32_of_bf16
                } else {
                    f32_of_f16
                };
                values!(numbers, values => values.iter().map(|bits| wide(*bits)))
            }
        }
    }
}
