# Made of `client` by tools/make_async.py; change that.
"""Flush, compaction, replicas, resource groups, and the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from .. import _native as native
from ..client.maintenance import bytes_of, config_of
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
from ..client.base import checked, named

if TYPE_CHECKING:
    from ..segments import CompactionPlans, LoadedSegmentInfo, SegmentInfo

__all__ = ["Maintenance"]


class Maintenance(Access):
    """Verbs on what is stored, and on the server."""

    async def flush(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Seals what was written to a collection and waits until it is on storage.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-flush')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', [{'id': 1, 'vector': [0.1, 0.2]}])
            await client.flush('docs')
        """
        checked("collection_name", collection_name, str)
        named(collection_name=collection_name)
        wait = not kwargs.get("_async", False)
        await native.flush(await self._connection(), self._options(timeout, kwargs), collection_name, wait)

    async def flush_all(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Seals what was written to all collections and waits until it is on storage.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-flush_all')
            await client.flush_all()
        """
        await native.flush_all(await self._connection(), self._options(timeout, kwargs), kwargs.get("db") or None)

    async def compact(
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

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-compact')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', [{'id': 1, 'vector': [0.1, 0.2]}])
            isinstance(await client.compact('docs'), int)
            # True
        """
        named(collection_name=collection_name)
        size = None if target_size is None else bytes_of(target_size, target_size_unit)
        return await native.compact(
            await self._connection(),
            self._options(timeout, kwargs),
            collection_name,
            bool(is_clustering),
            bool(is_l0),
            size,
        )

    async def get_compaction_state(self, job_id: int, timeout: float | None = None, **kwargs: Any) -> str:
        """``"Executing"``, ``"Completed"``, or ``"UndefiedState"``, which PyMilvus spells so.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-get_compaction_state')
            await client.create_collection('docs', dimension=2)
            await client.get_compaction_state(await client.compact('docs')) in ('Executing', 'Completed')
            # True
        """
        state = await native.compaction_state(await self._connection(), self._options(timeout, kwargs), job_id)
        known = state in (CompactionState.Executing, CompactionState.Completed)
        return CompactionState(state if known else 0).name

    async def get_compaction_plans(self, job_id: int, timeout: float | None = None, **kwargs: Any) -> CompactionPlans:
        """The merges that a compaction consists of: the segments that are merged, and those that come of it."""
        from ..segments import plans_of

        state, merges = await native.compaction_plans(await self._connection(), self._options(timeout, kwargs), job_id)
        return plans_of(job_id, state, merges)

    async def list_persistent_segments(
        self,
        collection_name: str,
        timeout: float | None = None,
        states: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> list[SegmentInfo]:
        """A collection's segments on storage; only those in ``states`` of ``segments.SegmentState``, if they are given.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-list_persistent_segments')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', [{'id': 1, 'vector': [0.1, 0.2]}])
            await client.flush('docs')
            [segment.num_rows for segment in await client.list_persistent_segments('docs')]
            # [1]
        """
        from ..segments import stored

        named(collection_name=collection_name)
        wanted = [int(state) for state in states or ()]
        found = await native.list_persistent_segments(
            await self._connection(), self._options(timeout, kwargs), collection_name, wanted
        )
        return stored(collection_name, found)

    async def list_segments(
        self,
        collection_name: str,
        states: Sequence[int] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> list[SegmentInfo]:
        """A collection's segments that the server still knows, dropped ones too."""
        from ..segments import RETAINED

        wanted = RETAINED if states is None else states
        return await self.list_persistent_segments(collection_name, timeout, wanted, **kwargs)

    async def list_loaded_segments(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[LoadedSegmentInfo]:
        """A collection's segments in the memory of query nodes."""
        from ..segments import loaded

        named(collection_name=collection_name)
        found = await native.list_loaded_segments(await self._connection(), self._options(timeout, kwargs), collection_name)
        return loaded(collection_name, found)

    async def get_server_version(
        self, timeout: float | None = None, detail: bool = False, **kwargs: Any
    ) -> str | dict[str, Any]:
        """The version of the server; with ``detail`` also how it was built.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-get_server_version')
            await client.get_server_version() != ''
            # True
        """
        connection, options = await self._connection(), self._options(timeout, kwargs)
        if not detail:
            version: str = await native.server_version(connection, options)
            return version
        found = await native.server_detail(connection, options)
        names = ("version", "build_time", "git_commit", "go_version", "deploy_mode")
        return dict(zip(names, found))

    async def describe_replica(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[ReplicaInfo]:
        """The copies of a collection that are in memory.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-describe_replica')
            await client.create_collection('docs', dimension=2)
            len(await client.describe_replica('docs'))
            # 1
        """
        named(collection_name=collection_name)
        found = await native.describe_replica(await self._connection(), self._options(timeout, kwargs), collection_name)
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

    async def create_resource_group(self, name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Creates a resource group; ``config`` says what it should be."""
        config = kwargs.get("config")
        given = None if config is None else config_of(config)._native()
        await native.create_resource_group(await self._connection(), self._options(timeout, kwargs), name, given)

    async def update_resource_groups(self, configs: dict[str, Any], timeout: float | None = None, **kwargs: Any) -> None:
        """Changes what resource groups should be."""
        given = {name: config_of(config)._native() for name, config in configs.items()}
        await native.update_resource_groups(await self._connection(), self._options(timeout, kwargs), given)

    async def drop_resource_group(self, name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops a resource group."""
        await native.drop_resource_group(await self._connection(), self._options(timeout, kwargs), name)

    async def list_resource_groups(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all resource groups."""
        return await native.list_resource_groups(await self._connection(), self._options(timeout, kwargs))

    async def describe_resource_group(self, name: str, timeout: float | None = None, **kwargs: Any) -> ResourceGroupInfo:
        """What a resource group is."""
        found = await native.describe_resource_group(await self._connection(), self._options(timeout, kwargs), name)
        config = found.pop("config")
        nodes = [NodeInfo(*node) for node in found.pop("nodes")]
        return ResourceGroupInfo(
            **found, config=None if config is None else ResourceGroupConfig(*config), nodes=nodes
        )

    async def transfer_replica(
        self,
        source: str,
        target: str,
        collection_name: str,
        num_replica: int,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Moves copies of a collection into another resource group."""
        await native.transfer_replica(
            await self._connection(),
            self._options(timeout, kwargs),
            source,
            target,
            collection_name,
            num_replica,
        )
