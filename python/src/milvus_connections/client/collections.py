"""Collections: making, describing, changing, loading."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..exceptions import ParamError, PrimaryKeyException
from ..index import IndexParams
from ..schema import CollectionSchema
from ..shapes import collection_of, load_arguments, refreshes, statistics
from ..types import ConsistencyLevel, DataType, LoadState
from .base import checked, level_of, named, texts_of
from .indexes import Indexes

__all__ = ["Collections"]


class Collections(Indexes):
    """Verbs on collections."""

    def create_collection(
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

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:create_collection")
        >>> client.create_collection("docs", dimension=4)
        >>> client.has_collection("docs")
        True

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
        native.create_collection(
            self._connection(),
            self._options(timeout, kwargs),
            collection_name,
            schema._native(),
            level_of(kwargs),
            shards,
            partitions,
            kwargs.get("properties") or {},
        )
        if index_params:
            self.create_index(collection_name, index_params, timeout=timeout)
            self.load_collection(collection_name, timeout=timeout)

    def has_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> bool:
        """Whether there is a collection (or an alias) of this name.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-has_collection")
        >>> client.create_collection("docs", dimension=2)
        >>> client.has_collection("docs"), client.has_collection("books")
        (True, False)
        """
        named(collection_name=collection_name)
        return native.has_collection(self._connection(), self._options(timeout, kwargs), collection_name)

    def list_collections(self, **kwargs: Any) -> list[str]:
        """The names of all collections of the database.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-list_collections")
        >>> client.create_collection("docs", dimension=2)
        >>> client.list_collections()
        ['docs']
        """
        return native.list_collections(self._connection(), self._options(kwargs.pop("timeout", None), kwargs))

    def describe_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """What a collection is made of.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:describe_collection")
        >>> client.create_collection("docs", dimension=4)
        >>> [field["name"] for field in client.describe_collection("docs")["fields"]]
        ['id', 'vector']
        """
        named(collection_name=collection_name)
        described = native.describe_collection(
            self._connection(), self._options(timeout, kwargs), collection_name
        )
        return collection_of(described)

    def drop_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops a collection. One that is not there is no error.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-drop_collection")
        >>> client.create_collection("docs", dimension=2)
        >>> client.drop_collection("docs")
        >>> client.list_collections()
        []
        """
        named(collection_name=collection_name)
        native.drop_collection(self._connection(), self._options(timeout, kwargs), collection_name)

    def truncate_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops all rows of a collection and keeps everything else.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-truncate_collection")
        >>> client.create_collection("docs", dimension=2)
        >>> _ = client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}])
        >>> client.truncate_collection("docs")
        >>> client.query("docs", filter="", output_fields=["count(*)"], consistency_level="Strong")[0]
        {'count(*)': 0}
        """
        named(collection_name=collection_name)
        native.truncate_collection(self._connection(), self._options(timeout, kwargs), collection_name)

    def rename_collection(
        self,
        old_name: str,
        new_name: str,
        target_db: str | None = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Renames a collection, into the database ``target_db`` if it is given.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-rename_collection")
        >>> client.create_collection("docs", dimension=2)
        >>> client.rename_collection("docs", "books")
        >>> client.list_collections()
        ['books']
        """
        named(collection_name=new_name)
        named(collection_name=old_name)
        native.rename_collection(
            self._connection(), self._options(timeout, kwargs), old_name, new_name, target_db or None
        )

    def get_collection_stats(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Statistics of a collection: ``row_count``, as the server counts it.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-get_collection_stats")
        >>> client.create_collection("docs", dimension=2)
        >>> _ = client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}])
        >>> client.get_collection_stats("docs")["row_count"]
        1
        """
        named(collection_name=collection_name)
        found = native.collection_statistics(self._connection(), self._options(timeout, kwargs), collection_name)
        return statistics(found)

    def alter_collection_properties(
        self, collection_name: str, properties: dict[str, Any], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Sets properties of a collection, such as ``collection.ttl.seconds``.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-alter_collection_properties")
        >>> client.create_collection("docs", dimension=2)
        >>> client.alter_collection_properties("docs", {"collection.ttl.seconds": 60})
        >>> client.describe_collection("docs")["properties"]["collection.ttl.seconds"]
        '60'
        """
        native.alter_collection_properties(
            self._connection(), self._options(timeout, kwargs), collection_name, properties
        )

    def drop_collection_properties(
        self, collection_name: str, property_keys: list[str], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Takes properties of a collection back to their defaults.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-drop_collection_properties")
        >>> client.create_collection("docs", dimension=2)
        >>> client.alter_collection_properties("docs", {"collection.ttl.seconds": 60})
        >>> client.drop_collection_properties("docs", ["collection.ttl.seconds"])
        >>> "collection.ttl.seconds" in client.describe_collection("docs")["properties"]
        False
        """
        keys = texts_of("property_keys", property_keys)
        native.drop_collection_properties(
            self._connection(), self._options(timeout, kwargs), collection_name, keys
        )

    def alter_collection_field(
        self,
        collection_name: str,
        field_name: str,
        field_params: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Changes parameters of a field, such as ``max_length``."""
        native.alter_collection_field(
            self._connection(), self._options(timeout, kwargs), collection_name, field_name, field_params
        )

    def add_collection_field(
        self,
        collection_name: str,
        field_name: str,
        data_type: DataType,
        desc: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Adds a nullable field to a collection that has rows.

        >>> from milvus_connections import DataType, MilvusClient
        >>> client = MilvusClient("memory:example-add_collection_field")
        >>> client.create_collection("docs", dimension=2)
        >>> client.add_collection_field("docs", "title", DataType.VARCHAR, max_length=100, nullable=True)
        >>> [field["name"] for field in client.describe_collection("docs")["fields"]]
        ['id', 'vector', 'title']
        """
        field = self.create_field_schema(field_name, data_type, desc, **kwargs)
        native.add_collection_field(
            self._connection(), self._options(timeout, kwargs), collection_name, field._native()
        )

    def load_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Loads a collection and waits until it can be searched.

        ``replica_number``, ``resource_groups``, ``load_fields``, ``skip_load_dynamic_field`` and ``priority`` are keyword
        arguments; ``refresh=True`` is ``refresh_load``.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-load_collection")
        >>> client.create_collection("docs", dimension=2)
        >>> client.release_collection("docs")
        >>> client.load_collection("docs")
        >>> client.get_load_state("docs")["state"]
        <LoadState: Loaded>
        """
        named(collection_name=collection_name)
        if refreshes(kwargs):
            self.refresh_load(collection_name, timeout=timeout, **kwargs)
            return
        native.load_collection(
            self._connection(), self._options(timeout, kwargs), collection_name, load_arguments(kwargs)
        )

    def refresh_load(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Loads what has come to a loaded collection since, and waits for it.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-refresh_load")
        >>> client.create_collection("docs", dimension=2)
        >>> client.refresh_load("docs")
        """
        named(collection_name=collection_name)
        native.refresh_load(
            self._connection(), self._options(timeout, kwargs), collection_name, load_arguments(kwargs)
        )

    def release_collection(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Releases a collection from memory.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-release_collection")
        >>> client.create_collection("docs", dimension=2)
        >>> client.release_collection("docs")
        >>> client.get_load_state("docs")["state"]
        <LoadState: NotLoad>
        """
        named(collection_name=collection_name)
        native.release_collection(self._connection(), self._options(timeout, kwargs), collection_name)

    def get_load_state(
        self,
        collection_name: str,
        partition_name: str | None = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Whether a collection (or a partition) is loaded; while it loads, also the ``progress`` in percent.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:get_load_state")
        >>> client.create_collection("docs", dimension=4)
        >>> client.get_load_state("docs")
        {'state': <LoadState: Loaded>}
        """
        named(collection_name=collection_name)
        partitions = texts_of("partition_name", partition_name or None)
        connection, options = self._connection(), self._options(timeout, kwargs)
        state = LoadState(native.load_state(connection, options, collection_name, partitions))
        if state != LoadState.Loading:
            return {"state": state}
        progress = native.loading_progress(connection, options, collection_name, partitions)
        return {"state": state, "progress": progress}


def simple_schema(
    dimension: int | None,
    primary_field_name: str,
    id_type: str | DataType,
    vector_field_name: str,
    auto_id: bool,
    kwargs: dict[str, Any],
) -> CollectionSchema:
    """A schema of ids and vectors, which takes dynamic fields."""
    if id_type in ("int", DataType.INT64):
        key_type = DataType.INT64
    elif id_type in ("string", "str", DataType.VARCHAR):
        key_type = DataType.VARCHAR
    else:
        raise PrimaryKeyException(message="Param primary_field must be int or str type.")
    dynamic = kwargs.get("enable_dynamic_field", True)
    schema = CollectionSchema(
        [],
        kwargs.get("description", ""),
        auto_id=auto_id,
        enable_dynamic_field=dynamic,
        check_fields=False,
    )
    has_length = key_type == DataType.VARCHAR and "max_length" in kwargs
    length = {"max_length": kwargs["max_length"]} if has_length else {}
    schema.add_field(primary_field_name, key_type, is_primary=True, **length)
    return schema.add_field(vector_field_name, DataType.FLOAT_VECTOR, dim=dimension)


def creation_counts(kwargs: dict[str, Any]) -> tuple[int | None, int | None]:
    """The numbers of shards and of partitions among keyword arguments."""
    given = [name for name in ("num_shards", "shards_num") if name in kwargs]
    if len(given) > 1:
        raise ParamError(message="got both num_shards and shards_num in kwargs, expected only one of them")
    shards = kwargs[given[0]] if given else None
    if shards is not None and not isinstance(shards, int):
        raise ParamError(message=f"invalid num_shards type, got {type(shards)}, expected int")
    partitions = kwargs.get("num_partitions")
    if partitions is not None and (isinstance(partitions, bool) or not isinstance(partitions, int)):
        raise ParamError(message=f"invalid num_partitions type, got {type(partitions)}, expected int")
    if partitions is not None and partitions < 1:
        raise ParamError(
            message=f"The specified num_partitions should be greater than or equal to 1, got {partitions}"
        )
    return shards, partitions
