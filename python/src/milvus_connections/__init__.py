"""Named connections to Milvus: PyMilvus's verbs on a Rust core.

>>> from milvus_connections import connections
>>> connections.add_connection(
...     default={"address": "localhost:19530"},
...     dev={"host": "localhost", "port": 19543},
... )
>>> connections.get_connection_addr("dev")
{'address': 'localhost:19543', 'user': ''}
>>> connections.has_connection("dev")
False

Nothing but the small native module is imported here: a name is imported from its own module when it is first used.
"""

from __future__ import annotations

import atexit as _atexit
from typing import TYPE_CHECKING, Any

from ._native import at_exit as _at_exit
from ._native import version as _version

if TYPE_CHECKING:
    from . import utility
    from .async_client import AsyncMilvusClient
    from .client import MilvusClient
    from .default_config import DefaultConfig
    from .exceptions import (
        ConnectionConfigException,
        ConnectionNotExistException,
        ExceptionsMessage,
        MilvusException,
        MilvusUnavailableException,
        ParamError,
    )
    from .field_ops import FieldOp
    from .functions import Function, FunctionScore
    from .index import IndexParams
    from .ranking import AnnSearchRequest, BaseRanker, RRFRanker, WeightedRanker
    from .registry import Connections, connections
    from .results import Hit, Hits, SearchResult
    from .schema import CollectionSchema, FieldSchema, StructFieldSchema
    from .segments import CompactionTaskState, CompactionType, SegmentState
    from .types import (
        ConsistencyLevel,
        DataType,
        FunctionType,
        Group,
        IndexType,
        LoadState,
        ResourceGroupConfig,
        ResourceGroupInfo,
        Shard,
    )
    from .utility import (
        create_user,
        delete_user,
        drop_collection,
        has_collection,
        has_partition,
        list_collections,
        list_usernames,
        loading_progress,
        reset_password,
        update_password,
        wait_for_loading_complete,
    )

__version__ = _version()

# No thread of ours asks for the GIL once the interpreter ends.
_atexit.register(_at_exit)

# Where each name lives. A name is looked up once: afterwards it is an ordinary attribute of this module.
_HOMES = {
    "AnnSearchRequest": "ranking",
    "AsyncMilvusClient": "async_client",
    "BaseRanker": "ranking",
    "CollectionSchema": "schema",
    "CompactionTaskState": "segments",
    "CompactionType": "segments",
    "ConnectionConfigException": "exceptions",
    "ConnectionNotExistException": "exceptions",
    "Connections": "registry",
    "ConsistencyLevel": "types",
    "DataType": "types",
    "DefaultConfig": "default_config",
    "ExceptionsMessage": "exceptions",
    "FieldOp": "field_ops",
    "FieldSchema": "schema",
    "Function": "functions",
    "FunctionScore": "functions",
    "FunctionType": "types",
    "Group": "types",
    "Hit": "results",
    "Hits": "results",
    "IndexParams": "index",
    "IndexType": "types",
    "LoadState": "types",
    "MilvusClient": "client",
    "MilvusException": "exceptions",
    "MilvusUnavailableException": "exceptions",
    "ParamError": "exceptions",
    "RRFRanker": "ranking",
    "ResourceGroupConfig": "types",
    "ResourceGroupInfo": "types",
    "SearchResult": "results",
    "SegmentState": "segments",
    "Shard": "types",
    "StructFieldSchema": "schema",
    "WeightedRanker": "ranking",
    "connections": "registry",
    "create_user": "utility",
    "delete_user": "utility",
    "drop_collection": "utility",
    "has_collection": "utility",
    "has_partition": "utility",
    "list_collections": "utility",
    "list_usernames": "utility",
    "loading_progress": "utility",
    "reset_password": "utility",
    "update_password": "utility",
    "utility": "utility",
    "wait_for_loading_complete": "utility",
}

__all__ = [
    "AnnSearchRequest",
    "AsyncMilvusClient",
    "BaseRanker",
    "CollectionSchema",
    "CompactionTaskState",
    "CompactionType",
    "ConnectionConfigException",
    "ConnectionNotExistException",
    "Connections",
    "ConsistencyLevel",
    "DataType",
    "DefaultConfig",
    "ExceptionsMessage",
    "FieldOp",
    "FieldSchema",
    "Function",
    "FunctionScore",
    "FunctionType",
    "Group",
    "Hit",
    "Hits",
    "IndexParams",
    "IndexType",
    "LoadState",
    "MilvusClient",
    "MilvusException",
    "MilvusUnavailableException",
    "ParamError",
    "RRFRanker",
    "ResourceGroupConfig",
    "ResourceGroupInfo",
    "SearchResult",
    "SegmentState",
    "Shard",
    "StructFieldSchema",
    "WeightedRanker",
    "connections",
    "create_user",
    "delete_user",
    "drop_collection",
    "has_collection",
    "has_partition",
    "list_collections",
    "list_usernames",
    "loading_progress",
    "reset_password",
    "update_password",
    "utility",
    "wait_for_loading_complete",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{home}")
    value = module if name == home == "utility" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
