"""What PyMilvus's clients have and these have not: each says so, and what to use."""

from __future__ import annotations

from typing import Any

from .exceptions import MilvusException

__all__ = ["Missing"]

_MISSING = {
    "add_collection_function": "define functions when the collection is created",
    "add_collection_struct_field": "define struct fields when the collection is created",
    "add_file_resource": "use the server's own tools",
    "add_function_field": "define functions when the collection is created",
    "alter_collection_function": "create a collection with the new function",
    "create_snapshot": "use the server's own backup tools",
    "describe_snapshot": "use the server's own backup tools",
    "drop_collection_field": "create a collection without the field",
    "drop_collection_function": "create a collection without the function",
    "drop_function_field": "create a collection without the field",
    "drop_snapshot": "use the server's own backup tools",
    "dump_messages": "use the server's own tools",
    "get_flush_all_state": "flush_all waits until it is done",
    "get_refresh_external_collection_progress": "use a collection of Milvus's own",
    "get_replicate_configuration": "use the server's own tools",
    "get_replicate_info": "use the server's own tools",
    "get_restore_snapshot_state": "use the server's own backup tools",
    "list_compaction_tasks": "use get_compaction_state",
    "list_file_resources": "use the server's own tools",
    "list_refresh_external_collection_jobs": "use a collection of Milvus's own",
    "list_restore_snapshot_jobs": "use the server's own backup tools",
    "list_snapshots": "use the server's own backup tools",
    "optimize": "use compact and refresh_load",
    "pin_snapshot_data": "use the server's own backup tools",
    "refresh_external_collection": "use a collection of Milvus's own",
    "remove_file_resource": "use the server's own tools",
    "restore_snapshot": "use the server's own backup tools",
    "run_analyzer": "use the analyzer through a field with enable_analyzer",
    "session": "use a client for each cluster",
    "unpin_snapshot_data": "use the server's own backup tools",
    "update_replicate_configuration": "use the server's own tools",
    "update_user": "create the user anew",
}


class Missing:
    """Answers for verbs that are not there.

    >>> from milvus_connections import MilvusClient
    >>> try:
    ...     MilvusClient("memory:missing").optimize("docs")
    ... except MilvusException as error:
    ...     print(error.message)
    optimize is not part of milvus_connections; use compact and refresh_load
    """

    def __getattr__(self, name: str) -> Any:
        instead = _MISSING.get(name)
        if instead is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def missing(*_arguments: Any, **_named: Any) -> Any:
            raise MilvusException(message=f"{name} is not part of milvus_connections; {instead}")

        return missing
