"""PyMilvus's functions about collections, each for the alias ``using`` of ``connections``. ``MilvusClient`` can do more.

>>> from milvus_connections import connections, utility
>>> connections.connect("default", uri="memory:utility")
>>> utility.has_collection("docs"), utility.list_collections()
(False, [])
>>> connections.remove_connection("default")
"""

from __future__ import annotations

from typing import Any

from .client import MilvusClient
from .exceptions import ConnectionNotExistException
from .types import LoadState

__all__ = [
    "alter_alias",
    "create_alias",
    "create_user",
    "delete_user",
    "drop_alias",
    "drop_collection",
    "flush_all",
    "get_server_type",
    "get_server_version",
    "has_collection",
    "has_partition",
    "list_aliases",
    "list_collections",
    "list_indexes",
    "list_usernames",
    "load_state",
    "loading_progress",
    "rename_collection",
    "reset_password",
    "truncate_collection",
    "update_password",
    "wait_for_loading_complete",
]


def _client(using: str) -> MilvusClient:
    from .registry import connections

    if not connections.has_connection(using):
        raise ConnectionNotExistException(message="should create connection first.")
    return MilvusClient(alias=using)


def has_collection(collection_name: str, using: str = "default", timeout: float | None = None) -> bool:
    """Whether a collection is there."""
    return _client(using).has_collection(collection_name, timeout)


def has_partition(
    collection_name: str, partition_name: str, using: str = "default", timeout: float | None = None
) -> bool:
    """Whether a partition is there."""
    return _client(using).has_partition(collection_name, partition_name, timeout)


def list_collections(timeout: float | None = None, using: str = "default", **kwargs: Any) -> list[str]:
    """The names of all collections."""
    return _client(using).list_collections(timeout=timeout, **kwargs)


def drop_collection(collection_name: str, timeout: float | None = None, using: str = "default") -> None:
    """Removes a collection and its rows."""
    _client(using).drop_collection(collection_name, timeout)


def truncate_collection(collection_name: str, timeout: float | None = None, using: str = "default") -> None:
    """Removes all rows of a collection."""
    _client(using).truncate_collection(collection_name, timeout)


def rename_collection(
    old_collection_name: str,
    new_collection_name: str,
    new_db_name: str = "",
    timeout: float | None = None,
    using: str = "default",
) -> None:
    """Gives a collection another name."""
    _client(using).rename_collection(old_collection_name, new_collection_name, new_db_name, timeout)


def load_state(
    collection_name: str,
    partition_names: list[str] | None = None,
    using: str = "default",
    timeout: float | None = None,
) -> LoadState:
    """Whether a collection, or all of some partitions, can be searched."""
    client = _client(using)
    states = [client.get_load_state(collection_name, name, timeout)["state"] for name in partition_names or [""]]
    return next((state for state in states if state != LoadState.Loaded), LoadState.Loaded)


def loading_progress(
    collection_name: str,
    partition_names: list[str] | None = None,
    using: str = "default",
    timeout: float | None = None,
) -> dict[str, str]:
    """How far the load of a collection, or of some partitions, has come."""
    client, least = _client(using), 100
    for name in partition_names or [""]:
        found = client.get_load_state(collection_name, name, timeout)
        loaded = 100 if found["state"] == LoadState.Loaded else 0
        least = min(least, int(found.get("progress", loaded)))
    return {"loading_progress": f"{least}%"}


def wait_for_loading_complete(
    collection_name: str,
    partition_names: list[str] | None = None,
    timeout: float | None = None,
    using: str = "default",
) -> None:
    """Waits until a collection, or some partitions, can be searched."""
    client = _client(using)
    if partition_names:
        client.load_partitions(collection_name, partition_names, timeout)
    else:
        client.load_collection(collection_name, timeout)


def create_alias(collection_name: str, alias: str, timeout: float | None = None, using: str = "default") -> None:
    """Gives a collection one more name."""
    _client(using).create_alias(collection_name, alias, timeout)


def drop_alias(alias: str, timeout: float | None = None, using: str = "default") -> None:
    """Removes an alias."""
    _client(using).drop_alias(alias, timeout)


def alter_alias(collection_name: str, alias: str, timeout: float | None = None, using: str = "default") -> None:
    """Gives an alias to another collection."""
    _client(using).alter_alias(collection_name, alias, timeout)


def list_aliases(collection_name: str, timeout: float | None = None, using: str = "default") -> list[str]:
    """The aliases of a collection."""
    return _client(using).list_aliases(collection_name, timeout)["aliases"]


def list_indexes(
    collection_name: str, using: str = "default", timeout: float | None = None, field_name: str = ""
) -> list[str]:
    """The names of a collection's indexes."""
    return _client(using).list_indexes(collection_name, field_name, timeout=timeout)


def create_user(user: str, password: str, using: str = "default", timeout: float | None = None) -> None:
    """Creates a user."""
    _client(using).create_user(user, password, timeout)


def update_password(
    user: str, old_password: str, new_password: str, using: str = "default", timeout: float | None = None
) -> None:
    """Changes a password."""
    _client(using).update_password(user, old_password, new_password, timeout=timeout)


def reset_password(
    user: str, old_password: str, new_password: str, using: str = "default", timeout: float | None = None
) -> None:
    """Changes a password; the connection goes on with the new one."""
    _client(using).update_password(user, old_password, new_password, True, timeout)


def delete_user(user: str, using: str = "default", timeout: float | None = None) -> None:
    """Removes a user."""
    _client(using).drop_user(user, timeout)


def list_usernames(using: str = "default", timeout: float | None = None) -> list[str]:
    """The names of all users."""
    return _client(using).list_users(timeout)


def get_server_version(using: str = "default", timeout: float | None = None) -> str:
    """The server's version."""
    return str(_client(using).get_server_version(timeout))


def get_server_type(using: str = "default") -> str:
    """``"zilliz"`` for Zilliz Cloud, else ``"milvus"``."""
    return _client(using).get_server_type()


def flush_all(using: str = "default", timeout: float | None = None, **kwargs: Any) -> None:
    """Writes what all collections have in memory to storage, and waits for it."""
    _client(using).flush_all(timeout, **kwargs)
