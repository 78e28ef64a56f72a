"""Rows: insert, upsert, delete."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..exceptions import DataNotMatchException, DataTypeNotMatchException, MilvusException, ParamError
from ..field_ops import changes_of
from ..preparation import prepared
from ..requests import written
from ..types import DataType, OmitZeroDict
from .base import level_of, named, refuse
from .collections import Collections

__all__ = ["WritingRows"]

# The codes of a server that has another schema than the one the rows were made for.
_SCHEMA_CHANGED = 109, 62


class WritingRows(Collections):
    """Verbs that write rows."""

    def insert(
        self,
        collection_name: str,
        data: Any,
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Inserts rows: a dict, a list of dicts, a dict of columns, an Arrow table or a pandas frame.

        A dict of columns has lists or numpy arrays as values, a two-dimensional array for a vector field. Vectors in
        numpy arrays are copied once, whatever their number.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:insert")
        >>> client.create_collection("docs", dimension=2)
        >>> client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}, {"id": 2, "vector": [0.3, 0.4]}])["insert_count"]
        2
        >>> client.insert("docs", {"id": [3, 4], "vector": [[0.5, 0.6], [0.7, 0.8]]})["insert_count"]
        2

        Raises ``DataNotMatchException`` with the row, the field and the rule, before anything is sent.
        """
        named(collection_name=collection_name)
        if kwargs:
            refuse(kwargs)
        if is_empty(data):
            return {"insert_count": 0, "ids": []}
        connection, options = self._connection(), self._options(timeout, kwargs)
        for is_last in (False, True):
            rows = self._prepared(collection_name, data, None, timeout, kwargs)
            try:
                answer = native.insert(connection, options, collection_name, rows, partition_name or "")
            except MilvusException as error:
                if is_last or not is_of_old_schema(error):
                    raise
                native.schema(connection, options, collection_name, True)
            else:
                break
        return written(answer, "insert_count")

    def upsert(
        self,
        collection_name: str,
        data: Any,
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Inserts rows or replaces those with the same primary key. Takes rows as ``insert`` does.

        ``partial_update=True`` keeps the fields that a row does not give; ``field_ops`` says how fields change.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:upsert")
        >>> client.create_collection("docs", dimension=2)
        >>> client.upsert("docs", {"id": 1, "vector": [0.1, 0.2]})["upsert_count"]
        1
        """
        named(collection_name=collection_name)
        refuse(kwargs)
        if is_empty(data):
            return {"upsert_count": 0, "ids": []}
        changes = changes_of(kwargs.get("field_ops"))
        partial = bool(kwargs.get("partial_update", False) or changes)
        connection, options = self._connection(), self._options(timeout, kwargs)
        for is_last in (False, True):
            rows = self._prepared(collection_name, data, partial, timeout, kwargs)
            try:
                answer = native.upsert(
                    connection, options, collection_name, rows, partition_name or "", partial, changes
                )
            except MilvusException as error:
                if is_last or not is_of_old_schema(error):
                    raise
                native.schema(connection, options, collection_name, True)
            else:
                break
        return written(answer, "upsert_count")

    def _prepared(
        self, collection: str, data: Any, upsert: bool | None, timeout: Any, kwargs: Any
    ) -> Any:
        """Rows that were checked against the collection's schema; against the present one if they don't fit."""
        connection, options = self._connection(), self._options(timeout, kwargs)
        schema = native.schema(connection, options, collection, False)
        try:
            return prepared(schema, data, upsert)
        except DataNotMatchException:
            fresh = native.schema(connection, options, collection, True)
            if fresh == schema:
                raise
            return prepared(fresh, data, upsert)

    def delete(
        self,
        collection_name: str,
        ids: list[Any] | str | int | None = None,
        timeout: float | None = None,
        filter: str | None = None,
        partition_name: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Deletes rows by primary key or by filter. Gives their number; some old servers give a list of their primary keys.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:delete")
        >>> client.create_collection("docs", dimension=2)
        >>> _ = client.insert("docs", {"id": [1, 2], "vector": [[0.1, 0.2], [0.3, 0.4]]})
        >>> client.delete("docs", ids=[1])["delete_count"]
        1
        """
        named(collection_name=collection_name)
        refuse(kwargs)
        keys = keys_of(kwargs.pop("pks", []), ids)
        if filter and keys:
            raise ParamError(
                message="Ambiguous filter parameter, only one deletion condition can be specified."
            )
        if not keys and not isinstance(filter, str):
            raise DataTypeNotMatchException(
                message=f"The type of expr must be string ,but {type(filter)!r} is given."
            )
        connection, options = self._connection(), self._options(timeout, kwargs)
        are_text = False
        if keys:
            schema = native.schema(connection, options, collection_name, False)
            are_text = has_text_keys(schema)
        deleted = native.delete(
            connection,
            options,
            collection_name,
            keys or None,
            are_text,
            filter or "",
            kwargs.get("filter_params") or None,
            partition_name or "",
            level_of(kwargs),
        )
        # As PyMilvus: some servers answer with the keys themselves.
        return deleted["ids"] or OmitZeroDict(delete_count=deleted["rows"], cost=deleted["cost"])


def is_empty(data: Any) -> bool:
    """Whether there are no rows. Refuses what are no rows."""
    if isinstance(data, (list, dict)):
        return isinstance(data, list) and not data
    if columns_of_type(data):
        return len(data) == 0 if hasattr(data, "__len__") else False
    raise TypeError(f"wrong type of argument 'data',expected 'Dict' or list of 'Dict', got '{type(data).__name__}'")


def columns_of_type(data: Any) -> bool:
    """Whether data is a table of a library that is known here."""
    module = type(data).__module__.partition(".")[0]
    return module in ("pyarrow", "pandas") or hasattr(data, "__arrow_c_stream__")


def is_of_old_schema(error: MilvusException) -> bool:
    """Whether the server has another schema than the rows were made for, and nothing was written."""
    code, legacy = _SCHEMA_CHANGED
    return error.code == code or error.compatible_code == legacy


def keys_of(pks: Any, ids: Any) -> list[Any]:
    """Primary keys under both of their names."""
    keys: list[Any] = []
    for name, given in (("pks", pks), ("ids", ids)):
        items = [given] if isinstance(given, (int, str)) else given
        if items is None:
            continue
        if not isinstance(items, list) or not all(isinstance(item, (int, str)) for item in items):
            wrong = items if not isinstance(items, list) else next(i for i in items if not isinstance(i, (int, str)))
            raise TypeError(
                f"wrong type of argument {name}, expect list, int or str, got '{type(wrong).__name__}'"
            )
        keys.extend(items)
    return keys


def has_text_keys(schema: Any) -> bool:
    """Whether the primary key is text."""
    key = schema.primary_key
    return key is not None and key[1] == DataType.VARCHAR
