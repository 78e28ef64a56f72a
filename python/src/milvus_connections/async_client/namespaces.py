# Made of `client` by tools/make_async.py; change that.
"""Partitions, aliases, databases."""

from __future__ import annotations

import warnings
from typing import Any

from .. import _native as native
from ..exceptions import ParamError
from ..shapes import load_arguments, refreshes, statistics
from ..client.base import named, texts_of
from .reads import ReadingRows

__all__ = ["Namespaces"]


class Namespaces(ReadingRows):
    """Verbs on partitions, aliases and databases."""

    async def create_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Creates a partition.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-create_partition')
            await client.create_collection('docs', dimension=2)
            await client.create_partition('docs', 'old')
            await client.list_partitions('docs')
            # ['_default', 'old']
        """
        named(collection_name=collection_name, partition_name=partition_name)
        await native.create_partition(
            await self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )

    async def drop_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drops a partition with its rows; it must be released before.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-drop_partition')
            await client.create_collection('docs', dimension=2)
            await client.create_partition('docs', 'old')
            await client.release_partitions('docs', ['old'])
            await client.drop_partition('docs', 'old')
            await client.list_partitions('docs')
            # ['_default']
        """
        named(collection_name=collection_name, partition_name=partition_name)
        await native.drop_partition(
            await self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )

    async def has_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> bool:
        """Whether a collection has a partition of this name.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-has_partition')
            await client.create_collection('docs', dimension=2)
            (await client.has_partition('docs', '_default'), await client.has_partition('docs', 'old'))
            # (True, False)
        """
        named(collection_name=collection_name, partition_name=partition_name)
        return await native.has_partition(
            await self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )

    async def list_partitions(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[str]:
        """The names of the partitions of a collection.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:list_partitions')
            await client.create_collection('docs', dimension=2)
            await client.create_partition('docs', 'old')
            await client.list_partitions('docs')
            # ['_default', 'old']
        """
        named(collection_name=collection_name)
        return await native.list_partitions(await self._connection(), self._options(timeout, kwargs), collection_name)

    async def load_partitions(
        self,
        collection_name: str,
        partition_names: str | list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Loads partitions and waits until they can be searched.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-load_partitions')
            await client.create_collection('docs', dimension=2)
            await client.create_partition('docs', 'old')
            await client.load_partitions('docs', ['old'])
            (await client.get_load_state('docs', 'old'))['state']
            # <LoadState: Loaded>
        """
        partitions = texts_of("partition_names", partition_names)
        if refreshes(kwargs):
            raise ParamError(message="the load of some partitions can't be refreshed; use refresh_load")
        await native.load_partitions(
            await self._connection(), self._options(timeout, kwargs), collection_name, partitions, load_arguments(kwargs)
        )

    async def release_partitions(
        self,
        collection_name: str,
        partition_names: str | list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Releases partitions from memory.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-release_partitions')
            await client.create_collection('docs', dimension=2)
            await client.create_partition('docs', 'old')
            await client.release_partitions('docs', ['old'])
        """
        partitions = texts_of("partition_names", partition_names)
        await native.release_partitions(
            await self._connection(), self._options(timeout, kwargs), collection_name, partitions
        )

    async def get_partition_stats(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Statistics of a partition: ``row_count``.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-get_partition_stats')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', [{'id': 1, 'vector': [0.1, 0.2]}])
            (await client.get_partition_stats('docs', '_default'))['row_count']
            # 1
        """
        if not isinstance(partition_name, str):
            raise TypeError(
                f"wrong type of argument 'partition_name', str expected, got '{type(partition_name).__name__}'"
            )
        found = await native.partition_statistics(
            await self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )
        return statistics(found)

    async def create_alias(
        self, collection_name: str, alias: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Gives a collection another name.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-create_alias')
            await client.create_collection('docs', dimension=2)
            await client.create_alias('docs', 'current')
            await client.has_collection('current')
            # True
        """
        named(collection_name=collection_name, alias=alias)
        await native.create_alias(await self._connection(), self._options(timeout, kwargs), collection_name, alias)

    async def alter_alias(
        self, collection_name: str, alias: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Gives an alias to another collection.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-alter_alias')
            await client.create_collection('docs', dimension=2)
            await client.create_collection('newer', dimension=2)
            await client.create_alias('docs', 'current')
            await client.alter_alias('newer', 'current')
            (await client.describe_alias('current'))['collection_name']
            # 'newer'
        """
        named(collection_name=collection_name, alias=alias)
        await native.alter_alias(await self._connection(), self._options(timeout, kwargs), collection_name, alias)

    async def drop_alias(self, alias: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops an alias; the collection stays.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-drop_alias')
            await client.create_collection('docs', dimension=2)
            await client.create_alias('docs', 'current')
            await client.drop_alias('current')
            (await client.list_aliases('docs'))['aliases']
            # []
        """
        named(alias=alias)
        await native.drop_alias(await self._connection(), self._options(timeout, kwargs), alias)

    async def describe_alias(self, alias: str, timeout: float | None = None, **kwargs: Any) -> dict[str, Any]:
        """The collection and the database of an alias.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-describe_alias')
            await client.create_collection('docs', dimension=2)
            await client.create_alias('docs', 'current')
            (await client.describe_alias('current'))['collection_name']
            # 'docs'
        """
        named(alias=alias)
        collection, database = await native.describe_alias(
            await self._connection(), self._options(timeout, kwargs), alias
        )
        described = {"alias": alias, "collection_name": collection, "db_name": database}
        return {key: value for key, value in described.items() if value}

    async def list_aliases(
        self, collection_name: str = "", timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """The aliases of a collection, or of all.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:list_aliases')
            await client.create_collection('docs', dimension=2)
            await client.create_alias('docs', 'current')
            (await client.list_aliases('docs'))['aliases']
            # ['current']
        """
        aliases = await native.list_aliases(
            await self._connection(), self._options(timeout, kwargs), collection_name or None
        )
        listed: dict[str, Any] = {"aliases": aliases}
        if collection_name:
            listed["collection_name"] = collection_name
        return {**listed, "db_name": self.database}

    async def use_database(self, db_name: str, **kwargs: Any) -> None:
        """Works in another database from now on; raises when there is none of this name.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:use_database')
            await client.create_database('archive')
            await client.use_database('archive')
            client.database
            # 'archive'
        """
        await self.describe_database(db_name, **kwargs)
        connection = await self._connection()
        self._database = db_name
        self._native = connection.using_database(db_name)

    async def using_database(self, db_name: str, **kwargs: Any) -> None:
        """The old name of ``use_database``."""
        warnings.warn(
            "using_database is deprecated; call use_database instead", DeprecationWarning, stacklevel=2
        )
        await self.use_database(db_name, **kwargs)

    async def create_database(
        self,
        db_name: str,
        properties: dict[str, Any] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates a database.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-create_database')
            await client.create_database('archive')
            sorted(await client.list_databases())
            # ['archive', 'default']
        """
        await native.create_database(
            await self._connection(), self._options(timeout, kwargs), db_name, properties or {}
        )

    async def drop_database(self, db_name: str, **kwargs: Any) -> None:
        """Drops a database, which must be empty.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-drop_database')
            await client.create_database('archive')
            await client.drop_database('archive')
            await client.list_databases()
            # ['default']
        """
        await native.drop_database(
            await self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name
        )

    async def list_databases(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all databases.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-list_databases')
            await client.list_databases()
            # ['default']
        """
        return await native.list_databases(await self._connection(), self._options(timeout, kwargs))

    async def describe_database(self, db_name: str, **kwargs: Any) -> dict[str, Any]:
        """Name and properties of a database.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-describe_database')
            (await client.describe_database('default'))['name']
            # 'default'
        """
        name, properties = await native.describe_database(
            await self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name
        )
        return {"name": name, **properties}

    async def alter_database_properties(self, db_name: str, properties: dict[str, Any], **kwargs: Any) -> None:
        """Sets properties of a database, such as ``database.replica.number``."""
        await native.alter_database_properties(
            await self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name, properties
        )

    async def drop_database_properties(self, db_name: str, property_keys: list[str], **kwargs: Any) -> None:
        """Takes properties of a database back to their defaults."""
        keys = texts_of("property_keys", property_keys)
        await native.drop_database_properties(
            await self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name, keys
        )
