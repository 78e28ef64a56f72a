"""Indexes."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..exceptions import AmbiguousIndexName, ParamError
from ..index import IndexParams
from ..shapes import index_of
from .base import checked, named, texts_of
from .handle import Handle

__all__ = ["Indexes"]


class Indexes(Handle):
    """Verbs on indexes."""

    def create_index(
        self, collection_name: str, index_params: IndexParams, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Creates indexes and, unless ``sync=False`` is given, waits until they are built.

        >>> from milvus_connections import DataType, MilvusClient
        >>> client = MilvusClient("memory:example-create_index")
        >>> schema = client.create_schema()
        >>> _ = schema.add_field("id", DataType.INT64, is_primary=True).add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        >>> client.create_collection("docs", schema=schema)
        >>> client.create_index("docs", client.prepare_index_params("vector", index_type="HNSW", metric_type="COSINE"))
        >>> client.list_indexes("docs")
        ['vector']
        """
        checked("collection_name", collection_name, str)
        checked("index_params", index_params, IndexParams)
        if not index_params:
            raise ParamError(message="IndexParams is empty, no index can be created")
        for index in index_params:
            parameters = {key: value for key, value in index.get_index_configs().items() if value is not None}
            native.create_index(
                self._connection(),
                self._options(timeout, kwargs),
                collection_name,
                index.field_name,
                index.index_name or "",
                parameters,
                bool(kwargs.get("sync", True)),
            )

    def list_indexes(self, collection_name: str, field_name: str | None = "", **kwargs: Any) -> list[str]:
        """The names of the indexes of a collection, or of those on one field.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-list_indexes")
        >>> client.create_collection("docs", dimension=2)
        >>> client.list_indexes("docs")
        ['vector']
        """
        named(collection_name=collection_name)
        found = native.list_indexes(
            self._connection(), self._options(kwargs.pop("timeout", None), kwargs), collection_name
        )
        return [name for name, field in found if not field_name or field == field_name]

    def describe_index(
        self, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any] | None:
        """Type, metric, parameters and state of an index; ``None`` when there is none.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:describe_index")
        >>> client.create_collection("docs", dimension=4)
        >>> client.describe_index("docs", "vector")["metric_type"]
        'COSINE'
        """
        named(collection_name=collection_name)
        found = native.describe_index(
            self._connection(), self._options(timeout, kwargs), collection_name, index_name or ""
        )
        if not found:
            return None
        if len(found) > 1:
            raise AmbiguousIndexName(message="There are multiple indexes, please specify the index_name.")
        return index_of(found[0])

    def drop_index(
        self, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drops an index; the collection must be released before.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-drop_index")
        >>> client.create_collection("docs", dimension=2)
        >>> client.release_collection("docs")
        >>> client.drop_index("docs", "vector")
        >>> client.list_indexes("docs")
        []
        """
        named(collection_name=collection_name)
        native.drop_index(self._connection(), self._options(timeout, kwargs), collection_name, index_name)

    def alter_index_properties(
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
        native.alter_index_properties(
            self._connection(), self._options(timeout, kwargs), collection_name, index_name, properties
        )

    def drop_index_properties(
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
        native.drop_index_properties(
            self._connection(), self._options(timeout, kwargs), collection_name, index_name, keys
        )
