# Made of `client` by tools/make_async.py; change that.
"""``AsyncMilvusClient``: the verbs of ``MilvusClient``, awaited."""

from __future__ import annotations

from ..missing import Missing
from .maintenance import Maintenance

__all__ = ["AsyncMilvusClient"]


class AsyncMilvusClient(Maintenance, Missing):
    """As ``MilvusClient``, for asyncio. It connects with its first call; cancelling a task cancels its call.

    >>> import asyncio
    >>> async def nearest():
    ...     async with AsyncMilvusClient("memory:asynchronous") as client:
    ...         await client.create_collection("docs", dimension=2)
    ...         await client.insert("docs", [{"id": 1, "vector": [1.0, 0.0]}, {"id": 2, "vector": [0.0, 1.0]}])
    ...         found = await client.search("docs", [[0.9, 0.1]], limit=2)
    ...         return [hit["id"] for hit in found[0]]
    >>> asyncio.run(nearest())
    [1, 2]
    """

    async def __aenter__(self) -> AsyncMilvusClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
