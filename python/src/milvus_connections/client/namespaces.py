"""Partitions, aliases, databases."""

from __future__ import annotations

import warnings
from typing import Any

from .. import _native as native
from ..exceptions import ParamError
from ..shapes import load_arguments, refreshes, statistics
from .base import named, texts_of
from .reads import ReadingRows

__all__ = ["Namespaces"]


class Namespaces(ReadingRows):
    """Verbs on partitions, aliases and databases."""

    def create_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Creates a partition.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-create_partition")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_partition("docs", "old")
        >>> client.list_partitions("docs")
        ['_default', 'old']
        """
        named(collection_name=collection_name, partition_name=partition_name)
        native.create_partition(
            self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )

    def drop_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drops a partition with its rows; it must be released before.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-drop_partition")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_partition("docs", "old")
        >>> client.release_partitions("docs", ["old"])
        >>> client.drop_partition("docs", "old")
        >>> client.list_partitions("docs")
        ['_default']
        """
        named(collection_name=collection_name, partition_name=partition_name)
        native.drop_partition(
            self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )

    def has_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> bool:
        """Whether a collection has a partition of this name.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-has_partition")
        >>> client.create_collection("docs", dimension=2)
        >>> client.has_partition("docs", "_default"), client.has_partition("docs", "old")
        (True, False)
        """
        named(collection_name=collection_name, partition_name=partition_name)
        return native.has_partition(
            self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )

    def list_partitions(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[str]:
        """The names of the partitions of a collection.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:list_partitions")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_partition("docs", "old")
        >>> client.list_partitions("docs")
        ['_default', 'old']
        """
        named(collection_name=collection_name)
        return native.list_partitions(self._connection(), self._options(timeout, kwargs), collection_name)

    def load_partitions(
        self,
        collection_name: str,
        partition_names: str | list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Loads partitions and waits until they can be searched.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-load_partitions")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_partition("docs", "old")
        >>> client.load_partitions("docs", ["old"])
        >>> client.get_load_state("docs", "old")["state"]
        <LoadState: Loaded>
        """
        partitions = texts_of("partition_names", partition_names)
        if refreshes(kwargs):
            raise ParamError(message="the load of some partitions can't be refreshed; use refresh_load")
        native.load_partitions(
            self._connection(), self._options(timeout, kwargs), collection_name, partitions, load_arguments(kwargs)
        )

    def release_partitions(
        self,
        collection_name: str,
        partition_names: str | list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Releases partitions from memory.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-release_partitions")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_partition("docs", "old")
        >>> client.release_partitions("docs", ["old"])
        """
        partitions = texts_of("partition_names", partition_names)
        native.release_partitions(
            self._connection(), self._options(timeout, kwargs), collection_name, partitions
        )

    def get_partition_stats(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Statistics of a partition: ``row_count``.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-get_partition_stats")
        >>> client.create_collection("docs", dimension=2)
        >>> _ = client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}])
        >>> client.get_partition_stats("docs", "_default")["row_count"]
        1
        """
        if not isinstance(partition_name, str):
            raise TypeError(
                f"wrong type of argument 'partition_name', str expected, got '{type(partition_name).__name__}'"
            )
        found = native.partition_statistics(
            self._connection(), self._options(timeout, kwargs), collection_name, partition_name
        )
        return statistics(found)

    def create_alias(
        self, collection_name: str, alias: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Gives a collection another name.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-create_alias")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_alias("docs", "current")
        >>> client.has_collection("current")
        True
        """
        named(collection_name=collection_name, alias=alias)
        native.create_alias(self._connection(), self._options(timeout, kwargs), collection_name, alias)

    def alter_alias(
        self, collection_name: str, alias: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Gives an alias to another collection.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-alter_alias")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_collection("newer", dimension=2)
        >>> client.create_alias("docs", "current")
        >>> client.alter_alias("newer", "current")
        >>> client.describe_alias("current")["collection_name"]
        'newer'
        """
        named(collection_name=collection_name, alias=alias)
        native.alter_alias(self._connection(), self._options(timeout, kwargs), collection_name, alias)

    def drop_alias(self, alias: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops an alias; the collection stays.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-drop_alias")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_alias("docs", "current")
        >>> client.drop_alias("current")
        >>> client.list_aliases("docs")["aliases"]
        []
        """
        named(alias=alias)
        native.drop_alias(self._connection(), self._options(timeout, kwargs), alias)

    def describe_alias(self, alias: str, timeout: float | None = None, **kwargs: Any) -> dict[str, Any]:
        """The collection and the database of an alias.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-describe_alias")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_alias("docs", "current")
        >>> client.describe_alias("current")["collection_name"]
        'docs'
        """
        named(alias=alias)
        collection, database = native.describe_alias(
            self._connection(), self._options(timeout, kwargs), alias
        )
        described = {"alias": alias, "collection_name": collection, "db_name": database}
        return {key: value for key, value in described.items() if value}

    def list_aliases(
        self, collection_name: str = "", timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """The aliases of a collection, or of all.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:list_aliases")
        >>> client.create_collection("docs", dimension=2)
        >>> client.create_alias("docs", "current")
        >>> client.list_aliases("docs")["aliases"]
        ['current']
        """
        aliases = native.list_aliases(
            self._connection(), self._options(timeout, kwargs), collection_name or None
        )
        listed: dict[str, Any] = {"aliases": aliases}
        if collection_name:
            listed["collection_name"] = collection_name
        return {**listed, "db_name": self.database}

    def use_database(self, db_name: str, **kwargs: Any) -> None:
        """Works in another database from now on; raises when there is none of this name.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:use_database")
        >>> client.create_database("archive")
        >>> client.use_database("archive")
        >>> client.database
        'archive'
        """
        self.describe_database(db_name, **kwargs)
        connection = self._connection()
        self._database = db_name
        self._native = connection.using_database(db_name)

    def using_database(self, db_name: str, **kwargs: Any) -> None:
        """The old name of ``use_database``."""
        warnings.warn(
            "using_database is deprecated; call use_database instead", DeprecationWarning, stacklevel=2
        )
        self.use_database(db_name, **kwargs)

    def create_database(
        self,
        db_name: str,
        properties: dict[str, Any] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates a database.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-create_database")
        >>> client.create_database("archive")
        >>> sorted(client.list_databases())
        ['archive', 'default']
        """
        native.create_database(
            self._connection(), self._options(timeout, kwargs), db_name, properties or {}
        )

    def drop_database(self, db_name: str, **kwargs: Any) -> None:
        """Drops a database, which must be empty.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-drop_database")
        >>> client.create_database("archive")
        >>> client.drop_database("archive")
        >>> client.list_databases()
        ['default']
        """
        native.drop_database(
            self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name
        )

    def list_databases(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all databases.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-list_databases")
        >>> client.list_databases()
        ['default']
        """
        return native.list_databases(self._connection(), self._options(timeout, kwargs))

    def describe_database(self, db_name: str, **kwargs: Any) -> dict[str, Any]:
        """Name and properties of a database.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-describe_database")
        >>> client.describe_database("default")["name"]
        'default'
        """
        name, properties = native.describe_database(
            self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name
        )
        return {"name": name, **properties}

    def alter_database_properties(self, db_name: str, properties: dict[str, Any], **kwargs: Any) -> None:
        """Sets properties of a database, such as ``database.replica.number``."""
        native.alter_database_properties(
            self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name, properties
        )

    def drop_database_properties(self, db_name: str, property_keys: list[str], **kwargs: Any) -> None:
        """Takes properties of a database back to their defaults."""
        keys = texts_of("property_keys", property_keys)
        native.drop_database_properties(
            self._connection(), self._options(kwargs.pop("timeout", None), kwargs), db_name, keys
        )
