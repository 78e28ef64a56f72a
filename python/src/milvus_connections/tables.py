"""Arrow tables and pandas frames as columns. Neither library is imported here: what is given has been imported."""

from __future__ import annotations

from typing import Any

__all__ = ["columns_of"]


def columns_of(data: Any) -> dict[str, Any] | None:
    """The columns of a table or frame by name; ``None`` for anything else."""
    module = type(data).__module__.partition(".")[0]
    if module == "pyarrow" and hasattr(data, "column_names"):
        return {name: _arrow_column(data.column(name)) for name in data.column_names}
    if module == "pyarrow" and hasattr(data, "schema") and hasattr(data, "column"):
        return {name: _arrow_column(data.column(place)) for place, name in enumerate(data.schema.names)}
    if module == "pandas" and hasattr(data, "columns"):
        return {str(name): _pandas_column(data[name]) for name in data.columns}
    if hasattr(data, "__arrow_c_stream__"):
        # Any other library's table, through Arrow's C interface.
        import pyarrow

        return columns_of(pyarrow.table(data))
    return None


def _arrow_column(column: Any) -> Any:
    import pyarrow

    array = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if isinstance(array, pyarrow.ChunkedArray):
        array = pyarrow.concat_arrays(array.chunks)
    kind = array.type
    if array.null_count == 0 and pyarrow.types.is_fixed_size_list(kind) and pyarrow.types.is_primitive(kind.value_type):
        flat = array.flatten()
        if flat.null_count == 0:
            return flat.to_numpy(zero_copy_only=False).reshape(len(array), kind.list_size)
    if array.null_count == 0 and pyarrow.types.is_list(kind) and pyarrow.types.is_floating(kind.value_type):
        lengths = {end - start for start, end in zip(array.offsets[:-1].to_pylist(), array.offsets[1:].to_pylist())}
        if len(lengths) == 1 and array.flatten().null_count == 0:
            return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), lengths.pop())
    return array.to_pylist()


def _pandas_column(column: Any) -> Any:
    missing = column.isna()
    values = column.tolist()
    if not missing.any():
        return values
    return [None if is_missing else value for value, is_missing in zip(values, missing.tolist())]
