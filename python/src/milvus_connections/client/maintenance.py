"""Flush, compaction, replicas, resource groups, and the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from .. import _native as native
from ..exceptions import ParamError
from ..types import (
    CompactionState,
    NodeInfo,
    ReplicaInfo,
    ResourceGroupConfig,
    ResourceGroupInfo,
    Shard,
)
from .access import Access
from .base import checked, named

if TYPE_CHECKING:
    from ..segments import CompactionPlans, LoadedSegmentInfo, SegmentInfo

__all__ = ["Maintenance"]

_UNITS = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


class Maintenance(Access):
    """Verbs on what is stored, and on the server."""

    def flush(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Seals what was written to a collection and waits until it is on storage.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-flush")
        >>> client.create_collection("docs", dimension=2)
        >>> _ = client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}])
        >>> client.flush("docs")
        """
        checked("collection_name", collection_name, str)
        named(collection_name=collection_name)
        wait = not kwargs.get("_async", False)
        native.flush(self._connection(), self._options(timeout, kwargs), collection_name, wait)

    def flush_all(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Seals what was written to all collections and waits until it is on storage.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-flush_all")
        >>> client.flush_all()
        """
        native.flush_all(self._connection(), self._options(timeout, kwargs), kwargs.get("db") or None)

    def compact(
        self,
        collection_name: str,
        is_clustering: bool | None = False,
        is_l0: bool | None = False,
        target_size: int | None = None,
        target_size_unit: str = "mb",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> int:
        """Starts a compaction; gives its number, for ``get_compaction_state``.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-compact")
        >>> client.create_collection("docs", dimension=2)
        >>> _ = client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}])
        >>> isinstance(client.compact("docs"), int)
        True
        """
        named(collection_name=collection_name)
        size = None if target_size is None else bytes_of(target_size, target_size_unit)
        return native.compact(
            self._connection(),
            self._options(timeout, kwargs),
            collection_name,
            bool(is_clustering),
            bool(is_l0),
            size,
        )

    def get_compaction_state(self, job_id: int, timeout: float | None = None, **kwargs: Any) -> str:
        """``"Executing"``, ``"Completed"``, or ``"UndefiedState"``, which PyMilvus spells so.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-get_compaction_state")
        >>> client.create_collection("docs", dimension=2)
        >>> client.get_compaction_state(client.compact("docs")) in ("Executing", "Completed")
        True
        """
        state = native.compaction_state(self._connection(), self._options(timeout, kwargs), job_id)
        known = state in (CompactionState.Executing, CompactionState.Completed)
        return CompactionState(state if known else 0).name

    def get_compaction_plans(self, job_id: int, timeout: float | None = None, **kwargs: Any) -> CompactionPlans:
        """The merges that a compaction consists of: the segments that are merged, and those that come of it."""
        from ..segments import plans_of

        state, merges = native.compaction_plans(self._connection(), self._options(timeout, kwargs), job_id)
        return plans_of(job_id, state, merges)

    def list_persistent_segments(
        self,
        collection_name: str,
        timeout: float | None = None,
        states: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> list[SegmentInfo]:
        """A collection's segments on storage; only those in ``states`` of ``segments.SegmentState``, if they are given.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-list_persistent_segments")
        >>> client.create_collection("docs", dimension=2)
        >>> _ = client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}])
        >>> client.flush("docs")
        >>> [segment.num_rows for segment in client.list_persistent_segments("docs")]
        [1]
        """
        from ..segments import stored

        named(collection_name=collection_name)
        wanted = [int(state) for state in states or ()]
        found = native.list_persistent_segments(
            self._connection(), self._options(timeout, kwargs), collection_name, wanted
        )
        return stored(collection_name, found)

    def list_segments(
        self,
        collection_name: str,
        states: Sequence[int] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> list[SegmentInfo]:
        """A collection's segments that the server still knows, dropped ones too."""
        from ..segments import RETAINED

        wanted = RETAINED if states is None else states
        return self.list_persistent_segments(collection_name, timeout, wanted, **kwargs)

    def list_loaded_segments(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[LoadedSegmentInfo]:
        """A collection's segments in the memory of query nodes."""
        from ..segments import loaded

        named(collection_name=collection_name)
        found = native.list_loaded_segments(self._connection(), self._options(timeout, kwargs), collection_name)
        return loaded(collection_name, found)

    def get_server_version(
        self, timeout: float | None = None, detail: bool = False, **kwargs: Any
    ) -> str | dict[str, Any]:
        """The version of the server; with ``detail`` also how it was built.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-get_server_version")
        >>> client.get_server_version() != ""
        True
        """
        connection, options = self._connection(), self._options(timeout, kwargs)
        if not detail:
            version: str = native.server_version(connection, options)
            return version
        found = native.server_detail(connection, options)
        names = ("version", "build_time", "git_commit", "go_version", "deploy_mode")
        return dict(zip(names, found))

    def describe_replica(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[ReplicaInfo]:
        """The copies of a collection that are in memory.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-describe_replica")
        >>> client.create_collection("docs", dimension=2)
        >>> len(client.describe_replica("docs"))
        1
        """
        named(collection_name=collection_name)
        found = native.describe_replica(self._connection(), self._options(timeout, kwargs), collection_name)
        return [
            ReplicaInfo(
                copy["id"],
                [Shard(channel, set(nodes), leader) for channel, nodes, leader in copy["shards"]],
                tuple(copy["nodes"]),
                copy["resource_group"],
                copy["outbound_nodes"],
            )
            for copy in found
        ]

    def create_resource_group(self, name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Creates a resource group; ``config`` says what it should be."""
        config = kwargs.get("config")
        given = None if config is None else config_of(config)._native()
        native.create_resource_group(self._connection(), self._options(timeout, kwargs), name, given)

    def update_resource_groups(self, configs: dict[str, Any], timeout: float | None = None) -> None:
        """Changes what resource groups should be."""
        given = {name: config_of(config)._native() for name, config in configs.items()}
        native.update_resource_groups(self._connection(), self._options(timeout, {}), given)

    def drop_resource_group(self, name: str, timeout: float | None = None) -> None:
        """Drops a resource group."""
        native.drop_resource_group(self._connection(), self._options(timeout, {}), name)

    def list_resource_groups(self, timeout: float | None = None) -> list[str]:
        """The names of all resource groups."""
        return native.list_resource_groups(self._connection(), self._options(timeout, {}))

    def describe_resource_group(self, name: str, timeout: float | None = None) -> ResourceGroupInfo:
        """What a resource group is."""
        found = native.describe_resource_group(self._connection(), self._options(timeout, {}), name)
        config = found.pop("config")
        nodes = [NodeInfo(*node) for node in found.pop("nodes")]
        return ResourceGroupInfo(
            **found, config=None if config is None else ResourceGroupConfig(*config), nodes=nodes
        )

    def transfer_replica(
        self,
        source_group: str,
        target_group: str,
        collection_name: str,
        num_replicas: int,
        timeout: float | None = None,
    ) -> None:
        """Moves copies of a collection into another resource group."""
        native.transfer_replica(
            self._connection(),
            self._options(timeout, {}),
            source_group,
            target_group,
            collection_name,
            num_replicas,
        )


def bytes_of(size: int, unit: str) -> int:
    """A size in bytes."""
    if isinstance(size, bool) or not isinstance(size, int):
        raise ParamError(message=f"target_size must be an int, got {type(size).__name__}")
    if size <= 0:
        raise ParamError(message=f"target_size must be a positive integer, got {size}")
    if unit.lower() not in _UNITS:
        raise ParamError(message=f"target_size_unit must be one of {', '.join(_UNITS)}, got {unit}")
    return size * _UNITS[unit.lower()]


def config_of(given: Any) -> ResourceGroupConfig:
    """What a resource group should be, in whatever form it is given."""
    if isinstance(given, ResourceGroupConfig):
        return given
    if isinstance(given, dict):
        return ResourceGroupConfig(**given)
    return ResourceGroupConfig(given.requests, given.limits, list(given.transfer_from), list(given.transfer_to))
