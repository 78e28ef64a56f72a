# Made of `client` by tools/make_async.py; change that.
"""Indexes."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..exceptions import AmbiguousIndexName, ParamError
from ..index import IndexParams
from ..shapes import index_of
from ..client.base import checked, named, texts_of
from .handle import Handle

__all__ = ["Indexes"]


class Indexes(Handle):
    """Verbs on indexes."""

    async def create_index(
        self, collection_name: str, index_params: IndexParams, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Creates indexes and, unless ``sync=False`` is given, waits until they are built.

        Example::

            from milvus_connections import DataType, AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-create_index')
            schema = client.create_schema()
            _ = schema.add_field('id', DataType.INT64, is_primary=True).add_field('vector', DataType.FLOAT_VECTOR, dim=2)
            await client.create_collection('docs', schema=schema)
            await client.create_index('docs', client.prepare_index_params('vector', index_type='HNSW', metric_type='COSINE'))
            await client.list_indexes('docs')
            # ['vector']
        """
        checked("collection_name", collection_name, str)
        checked("index_params", index_params, IndexParams)
        if not index_params:
            raise ParamError(message="IndexParams is empty, no index can be created")
        for index in index_params:
            parameters = {key: value for key, value in index.get_index_configs().items() if value is not None}
            await native.create_index(
                await self._connection(),
                self._options(timeout, kwargs),
                collection_name,
                index.field_name,
                index.index_name or "",
                parameters,
                bool(kwargs.get("sync", True)),
            )

    async def list_indexes(self, collection_name: str, field_name: str | None = "", **kwargs: Any) -> list[str]:
        """The names of the indexes of a collection, or of those on one field.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-list_indexes')
            await client.create_collection('docs', dimension=2)
            await client.list_indexes('docs')
            # ['vector']
        """
        named(collection_name=collection_name)
        found = await native.list_indexes(
            await self._connection(), self._options(kwargs.pop("timeout", None), kwargs), collection_name
        )
        return [name for name, field in found if not field_name or field == field_name]

    async def describe_index(
        self, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any] | None:
        """Type, metric, parameters and state of an index; ``None`` when there is none.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:describe_index')
            await client.create_collection('docs', dimension=4)
            (await client.describe_index('docs', 'vector'))['metric_type']
            # 'COSINE'
        """
        named(collection_name=collection_name)
        found = await native.describe_index(
            await self._connection(), self._options(timeout, kwargs), collection_name, index_name or ""
        )
        if not found:
            return None
        if len(found) > 1:
            raise AmbiguousIndexName(message="There are multiple indexes, please specify the index_name.")
        return index_of(found[0])

    async def drop_index(
        self, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drops an index; the collection must be released before.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-drop_index')
            await client.create_collection('docs', dimension=2)
            await client.release_collection('docs')
            await client.drop_index('docs', 'vector')
            await client.list_indexes('docs')
            # []
        """
        named(collection_name=collection_name)
        await native.drop_index(await self._connection(), self._options(timeout, kwargs), collection_name, index_name)

    async def alter_index_properties(
        self,
        collection_name: str,
        index_name: str,
        properties: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Sets properties of an index, such as ``mmap.enabled``."""
        named(collection_name=collection_name, index_name=index_name)
        if properties is None:
            raise ParamError(message="properties should not be None")
        await native.alter_index_properties(
            await self._connection(), self._options(timeout, kwargs), collection_name, index_name, properties
        )

    async def drop_index_properties(
        self,
        collection_name: str,
        index_name: str,
        property_keys: list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Takes properties of an index back to their defaults."""
        named(collection_name=collection_name, index_name=index_name)
        keys = texts_of("property_keys", property_keys)
        await native.drop_index_properties(
            await self._connection(), self._options(timeout, kwargs), collection_name, index_name, keys
        )
