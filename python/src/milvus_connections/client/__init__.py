"""``MilvusClient``: PyMilvus's verbs on a connection of one's own, or on an alias of the registry."""

from __future__ import annotations

from typing import Any

from ..missing import Missing
from ..types import DataType
from .base import _DEFAULT_URI
from .maintenance import Maintenance

__all__ = ["DataType", "MilvusClient"]


class MilvusClient(Maintenance, Missing):
    """A Milvus: a server, Zilliz Cloud, a database in a file (``"docs.db"``) or in memory (``"memory:"``).

    ``alias="prod"`` uses the connection of an alias of ``connections``, and connects it if need be. All other keyword
    arguments are those of ``connections.connect``.

    >>> with MilvusClient("memory:example") as client:
    ...     client.create_collection("docs", dimension=2)
    ...     _ = client.insert("docs", [{"id": 1, "vector": [1.0, 0.0]}, {"id": 2, "vector": [0.0, 1.0]}])
    ...     [hit["id"] for hit in client.search("docs", [[0.9, 0.1]], limit=2)[0]]
    [1, 2]

    Raises ``MilvusException`` when no connection can be made: its message says why.
    """

    def __init__(
        self,
        uri: str = _DEFAULT_URI,
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(uri, user, password, db_name, token, timeout, **kwargs)
        self._connection()

    def __enter__(self) -> MilvusClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
