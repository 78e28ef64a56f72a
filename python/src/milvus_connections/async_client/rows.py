# Made of `client` by tools/make_async.py; change that.
"""Rows: insert, upsert, delete."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..client.rows import columns_of_type, has_text_keys, is_empty, is_of_old_schema, keys_of
from ..exceptions import DataNotMatchException, DataTypeNotMatchException, MilvusException, ParamError
from ..field_ops import changes_of
from ..preparation import prepared_beside
from ..requests import written
from ..types import DataType, OmitZeroDict
from ..client.base import level_of, named, refuse
from .collections import Collections

__all__ = ["WritingRows"]


class WritingRows(Collections):
    """Verbs that write rows."""

    async def insert(
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

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:insert')
            await client.create_collection('docs', dimension=2)
            (await client.insert('docs', [{'id': 1, 'vector': [0.1, 0.2]}, {'id': 2, 'vector': [0.3, 0.4]}]))['insert_count']
            # 2
            (await client.insert('docs', {'id': [3, 4], 'vector': [[0.5, 0.6], [0.7, 0.8]]}))['insert_count']
            # 2

        Raises ``DataNotMatchException`` with the row, the field and the rule, before anything is sent.
        """
        named(collection_name=collection_name)
        if kwargs:
            refuse(kwargs)
        if is_empty(data):
            return {"insert_count": 0, "ids": []}
        connection, options = await self._connection(), self._options(timeout, kwargs)
        for is_last in (False, True):
            rows = await self._prepared(collection_name, data, None, timeout, kwargs)
            try:
                answer = await native.insert(connection, options, collection_name, rows, partition_name or "")
            except MilvusException as error:
                if is_last or not is_of_old_schema(error):
                    raise
                await native.schema(connection, options, collection_name, True)
            else:
                break
        return written(answer, "insert_count")

    async def upsert(
        self,
        collection_name: str,
        data: Any,
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Inserts rows or replaces those with the same primary key. Takes rows as ``insert`` does.

        ``partial_update=True`` keeps the fields that a row does not give; ``field_ops`` says how fields change.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:upsert')
            await client.create_collection('docs', dimension=2)
            (await client.upsert('docs', {'id': 1, 'vector': [0.1, 0.2]}))['upsert_count']
            # 1
        """
        named(collection_name=collection_name)
        refuse(kwargs)
        if is_empty(data):
            return {"upsert_count": 0, "ids": []}
        changes = changes_of(kwargs.get("field_ops"))
        partial = bool(kwargs.get("partial_update", False) or changes)
        connection, options = await self._connection(), self._options(timeout, kwargs)
        for is_last in (False, True):
            rows = await self._prepared(collection_name, data, partial, timeout, kwargs)
            try:
                answer = await native.upsert(
                    connection, options, collection_name, rows, partition_name or "", partial, changes
                )
            except MilvusException as error:
                if is_last or not is_of_old_schema(error):
                    raise
                await native.schema(connection, options, collection_name, True)
            else:
                break
        return written(answer, "upsert_count")

    async def _prepared(
        self, collection: str, data: Any, upsert: bool | None, timeout: Any, kwargs: Any
    ) -> Any:
        """Rows that were checked against the collection's schema; against the present one if they don't fit."""
        connection, options = await self._connection(), self._options(timeout, kwargs)
        schema = await native.schema(connection, options, collection, False)
        try:
            return await prepared_beside(schema, data, upsert)
        except DataNotMatchException:
            fresh = await native.schema(connection, options, collection, True)
            if fresh == schema:
                raise
            return await prepared_beside(fresh, data, upsert)

    async def delete(
        self,
        collection_name: str,
        ids: list[Any] | str | int | None = None,
        timeout: float | None = None,
        filter: str | None = None,
        partition_name: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Deletes rows by primary key or by filter. Gives their number; some old servers give a list of their primary keys.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:delete')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', {'id': [1, 2], 'vector': [[0.1, 0.2], [0.3, 0.4]]})
            (await client.delete('docs', ids=[1]))['delete_count']
            # 1
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
        connection, options = await self._connection(), self._options(timeout, kwargs)
        are_text = False
        if keys:
            schema = await native.schema(connection, options, collection_name, False)
            are_text = has_text_keys(schema)
        deleted = await native.delete(
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
