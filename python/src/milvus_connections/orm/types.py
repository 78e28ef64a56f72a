"""What type of field a value of Python's would need, as programs written for PyMilvus ask.

>>> infer_dtype_bydata([0.1, 0.2]), infer_dtype_bydata("a"), infer_dtype_bydata({"a": 1})
(<DataType.FLOAT_VECTOR: 101>, <DataType.VARCHAR: 21>, <DataType.JSON: 23>)
"""

from __future__ import annotations

from typing import Any

from ..types import DataType

__all__ = ["infer_dtype_by_scalar_data", "infer_dtype_bydata"]

# By numpy's name of a scalar's type.
_SCALARS = {
    "bool": DataType.BOOL,
    "bool_": DataType.BOOL,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "int64": DataType.INT64,
    "float16": DataType.DOUBLE,
    "float32": DataType.FLOAT,
    "float64": DataType.DOUBLE,
    "str_": DataType.VARCHAR,
    "bytes_": DataType.BINARY_VECTOR,
}


def infer_dtype_by_scalar_data(data: Any, dtype: DataType | None = None) -> DataType:
    """The type of field that holds one value."""
    if isinstance(data, list):
        return DataType.ARRAY
    if type(data).__module__ == "numpy":
        return _SCALARS.get(type(data).__name__, DataType.UNKNOWN)
    if isinstance(data, float):
        return DataType.FLOAT if dtype == DataType.FLOAT else DataType.DOUBLE
    if isinstance(data, bool):
        return DataType.BOOL
    if isinstance(data, int):
        return DataType.INT64
    if isinstance(data, str):
        return DataType.VARCHAR
    if isinstance(data, bytes):
        return DataType.BINARY_VECTOR
    return DataType.UNKNOWN


def infer_dtype_bydata(data: Any) -> DataType:
    """The type of field that holds a value: numbers are a vector, texts or truth values an array."""
    if isinstance(data, dict):
        return DataType.JSON
    if isinstance(data, (str, bytes)) or not hasattr(data, "__len__"):
        return infer_dtype_by_scalar_data(data)
    items = data.ravel().tolist() if hasattr(data, "ravel") else list(data)
    kinds = {type(item.item() if hasattr(item, "item") else item) for item in items if item is not None}
    if kinds and kinds <= {int, float}:
        return DataType.FLOAT_VECTOR
    return DataType.ARRAY if kinds in ({str}, {bool}) else DataType.UNKNOWN
