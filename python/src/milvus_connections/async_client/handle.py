# Made of `client` by tools/make_async.py; change that.
"""Opening and closing a client's connection."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..client.base import ClientBase

__all__ = ["Handle"]


class Handle(ClientBase):
    """The connection that the verbs use."""

    _asynchronous = True

    async def _connection(self) -> native.Connection:
        self._check_open()
        if self._native is not None:
            return self._native
        if self._alias is None:
            return self._opened(await native.Connection.open("AsyncMilvusClient", self._given, self._asynchronous))
        from ..registry import connections

        given = self._alias_arguments()
        if given or not connections.has_connection(self._alias):
            # An alias that is connected elsewhere is refused; one that is connected there stays as it is.
            await connections.async_connect(self._alias, **given)
        return self._opened(self._in_database(connections._registry.get(self._alias)))

    async def close(self) -> None:
        """Closes the client's connection after its calls in flight. An alias's connection stays, it is the registry's.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-close')
            await client.close()
        """
        connection, self._native = self._native, None
        self._closed = True
        if connection is not None and self._alias is None:
            await connection.close(self._asynchronous)
