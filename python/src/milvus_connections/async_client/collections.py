# Made of `client` by tools/make_async.py; change that.
"""Collections: making, describing, changing, loading."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..client.collections import creation_counts, simple_schema
from ..exceptions import ParamError, PrimaryKeyException
from ..index import IndexParams
from ..schema import CollectionSchema
from ..shapes import collection_of, load_arguments, refreshes, statistics
from ..types import ConsistencyLevel, DataType, LoadState
from ..client.base import checked, level_of, named, texts_of
from .indexes import Indexes

__all__ = ["Collections"]


class Collections(Indexes):
    """Verbs on collections."""

    async def create_collection(
        self,
        collection_name: str,
        dimension: int | None = None,
        primary_field_name: str = "id",
        id_type: str | DataType = "int",
        vector_field_name: str = "vector",
        metric_type: str = "COSINE",
        auto_id: bool = False,
        timeout: float | None = None,
        schema: CollectionSchema | None = None,
        index_params: IndexParams | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates a collection: of ids and vectors of a ``dimension``, indexed and loaded; or of a ``schema``.

        With ``index_params`` a collection of a schema is indexed and loaded too.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:create_collection')
            await client.create_collection('docs', dimension=4)
            await client.has_collection('docs')
            # True

        ``consistency_level``, ``num_shards``, ``num_partitions`` and ``properties`` are keyword arguments.
        """
        if schema is None:
            checked("dimension", dimension, int)
            schema = simple_schema(
                dimension, primary_field_name, id_type, vector_field_name, auto_id, kwargs
            )
            index_params = IndexParams()
            index_params.add_index(vector_field_name, index_type="AUTOINDEX", metric_type=metric_type)
        named(collection_name=collection_name)
        schema.verify()
        kwargs.setdefault("consistency_level", ConsistencyLevel.Bounded)
        shards, partitions = creation_counts(kwargs)
        await native.create_collection(
            await self._connection(),
            self._options(timeout, kwargs),
            collection_name,
            schema._native(),
            level_of(kwargs),
            shards,
            partitions,
            kwargs.get("properties") or {},
        )
        if index_params:
            await self.create_index(collection_name, index_params, timeout=timeout)
            await self.load_collection(collection_name, timeout=timeout)

    async def has_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> bool:
        """Whether there is a collection (or an alias) of this name.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-has_collection')
            await client.create_collection('docs', dimension=2)
            (await client.has_collection('docs'), await client.has_collection('books'))
            # (True, False)
        """
        named(collection_name=collection_name)
        return await native.has_collection(await self._connection(), self._options(timeout, kwargs), collection_name)

    async def list_collections(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all collections of the database.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-list_collections')
            await client.create_collection('docs', dimension=2)
            await client.list_collections()
            # ['docs']
        """
        return await native.list_collections(await self._connection(), self._options(timeout, kwargs))

    async def describe_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """What a collection is made of.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:describe_collection')
            await client.create_collection('docs', dimension=4)
            [field['name'] for field in (await client.describe_collection('docs'))['fields']]
            # ['id', 'vector']
        """
        named(collection_name=collection_name)
        described = await native.describe_collection(
            await self._connection(), self._options(timeout, kwargs), collection_name
        )
        return collection_of(described)

    async def drop_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops a collection. One that is not there is no error.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-drop_collection')
            await client.create_collection('docs', dimension=2)
            await client.drop_collection('docs')
            await client.list_collections()
            # []
        """
        named(collection_name=collection_name)
        await native.drop_collection(await self._connection(), self._options(timeout, kwargs), collection_name)

    async def truncate_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops all rows of a collection and keeps everything else.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-truncate_collection')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', [{'id': 1, 'vector': [0.1, 0.2]}])
            await client.truncate_collection('docs')
            (await client.query('docs', filter='', output_fields=['count(*)'], consistency_level='Strong'))[0]
            # {'count(*)': 0}
        """
        named(collection_name=collection_name)
        await native.truncate_collection(await self._connection(), self._options(timeout, kwargs), collection_name)

    async def rename_collection(
        self,
        old_name: str,
        new_name: str,
        target_db: str | None = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Renames a collection, into the database ``target_db`` if it is given.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-rename_collection')
            await client.create_collection('docs', dimension=2)
            await client.rename_collection('docs', 'books')
            await client.list_collections()
            # ['books']
        """
        named(collection_name=new_name)
        named(collection_name=old_name)
        await native.rename_collection(
            await self._connection(), self._options(timeout, kwargs), old_name, new_name, target_db or None
        )

    async def get_collection_stats(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Statistics of a collection: ``row_count``, as the server counts it.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-get_collection_stats')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', [{'id': 1, 'vector': [0.1, 0.2]}])
            (await client.get_collection_stats('docs'))['row_count']
            # 1
        """
        named(collection_name=collection_name)
        found = await native.collection_statistics(await self._connection(), self._options(timeout, kwargs), collection_name)
        return statistics(found)

    async def alter_collection_properties(
        self, collection_name: str, properties: dict[str, Any], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Sets properties of a collection, such as ``collection.ttl.seconds``.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-alter_collection_properties')
            await client.create_collection('docs', dimension=2)
            await client.alter_collection_properties('docs', {'collection.ttl.seconds': 60})
            (await client.describe_collection('docs'))['properties']['collection.ttl.seconds']
            # '60'
        """
        await native.alter_collection_properties(
            await self._connection(), self._options(timeout, kwargs), collection_name, properties
        )

    async def drop_collection_properties(
        self, collection_name: str, property_keys: list[str], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Takes properties of a collection back to their defaults.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-drop_collection_properties')
            await client.create_collection('docs', dimension=2)
            await client.alter_collection_properties('docs', {'collection.ttl.seconds': 60})
            await client.drop_collection_properties('docs', ['collection.ttl.seconds'])
            'collection.ttl.seconds' in (await client.describe_collection('docs'))['properties']
            # False
        """
        keys = texts_of("property_keys", property_keys)
        await native.drop_collection_properties(
            await self._connection(), self._options(timeout, kwargs), collection_name, keys
        )

    async def alter_collection_field(
        self,
        collection_name: str,
        field_name: str,
        field_params: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Changes parameters of a field, such as ``max_length``."""
        await native.alter_collection_field(
            await self._connection(), self._options(timeout, kwargs), collection_name, field_name, field_params
        )

    async def add_collection_field(
        self,
        collection_name: str,
        field_name: str,
        data_type: DataType,
        desc: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Adds a nullable field to a collection that has rows.

        Example::

            from milvus_connections import DataType, AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-add_collection_field')
            await client.create_collection('docs', dimension=2)
            await client.add_collection_field('docs', 'title', DataType.VARCHAR, max_length=100, nullable=True)
            [field['name'] for field in (await client.describe_collection('docs'))['fields']]
            # ['id', 'vector', 'title']
        """
        field = self.create_field_schema(field_name, data_type, desc, **kwargs)
        await native.add_collection_field(
            await self._connection(), self._options(timeout, kwargs), collection_name, field._native()
        )

    async def load_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Loads a collection and waits until it can be searched.

        ``replica_number``, ``resource_groups``, ``load_fields``, ``skip_load_dynamic_field`` and ``priority`` are keyword
        arguments; ``refresh=True`` is ``refresh_load``.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-load_collection')
            await client.create_collection('docs', dimension=2)
            await client.release_collection('docs')
            await client.load_collection('docs')
            (await client.get_load_state('docs'))['state']
            # <LoadState: Loaded>
        """
        named(collection_name=collection_name)
        if refreshes(kwargs):
            await self.refresh_load(collection_name, timeout=timeout, **kwargs)
            return
        await native.load_collection(
            await self._connection(), self._options(timeout, kwargs), collection_name, load_arguments(kwargs)
        )

    async def refresh_load(
        self,
        collection_name: str,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Loads what has come to a loaded collection since, and waits for it.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-refresh_load')
            await client.create_collection('docs', dimension=2)
            await client.refresh_load('docs')
        """
        named(collection_name=collection_name)
        if partition_names:
            raise ParamError(message="the load of some partitions can't be refreshed; leave `partition_names` out")
        await native.refresh_load(
            await self._connection(), self._options(timeout, kwargs), collection_name, load_arguments(kwargs)
        )

    async def release_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Releases a collection from memory.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-release_collection')
            await client.create_collection('docs', dimension=2)
            await client.release_collection('docs')
            (await client.get_load_state('docs'))['state']
            # <LoadState: NotLoad>
        """
        named(collection_name=collection_name)
        await native.release_collection(await self._connection(), self._options(timeout, kwargs), collection_name)

    async def get_load_state(
        self,
        collection_name: str,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Whether a collection (or some of its partitions) is loaded; while it loads, also the ``progress`` in percent.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:get_load_state')
            await client.create_collection('docs', dimension=4)
            await client.get_load_state('docs')
            # {'state': <LoadState: Loaded>}
        """
        named(collection_name=collection_name)
        partitions = texts_of("partition_names", partition_names)
        connection, options = await self._connection(), self._options(timeout, kwargs)
        state = LoadState(await native.load_state(connection, options, collection_name, partitions))
        if state != LoadState.Loading:
            return {"state": state}
        progress = await native.loading_progress(connection, options, collection_name, partitions)
        return {"state": state, "progress": progress}
