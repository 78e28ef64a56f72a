"""What servers say, in the dicts that PyMilvus gives."""

from __future__ import annotations

import json
from typing import Any, Mapping

from .types import ConsistencyLevel, DataType, FunctionType, IndexState, data_type

__all__ = ["collection_of", "index_of", "load_arguments", "refreshes", "statistics"]

# Left out of the description of a field when they are not set.
_FIELD_MARKS = (
    "is_partition_key",
    "is_dynamic",
    "auto_id",
    "nullable",
    "is_primary",
    "is_clustering_key",
    "is_function_output",
    "external_field",
)
_NUMBERS = ("dim", "max_length", "max_capacity")


def collection_of(described: dict[str, Any]) -> dict[str, Any]:
    """The description of a collection."""
    fields = [field_of(field) for field in described["fields"]]
    marked = [field for field in fields if "auto_id" in field]
    level = described["consistency_level"]
    collection: dict[str, Any] = {
        "collection_name": described["collection_name"],
        "auto_id": bool(marked and marked[0]["auto_id"]),
        "num_shards": described["num_shards"],
        "description": described["description"],
        "fields": fields + [struct_of(field) for field in described["struct_array_fields"]],
        "functions": [
            {**function, "type": FunctionType(function["type"]) if function["type"] in _FUNCTIONS else function["type"]}
            for function in described["functions"]
        ],
        "aliases": described["aliases"],
        "collection_id": described["collection_id"],
        "consistency_level": level,
        "consistency_level_name": ConsistencyLevel(level).name if level in _LEVELS else str(level),
        "properties": described["properties"],
        "num_partitions": described["num_partitions"],
        "enable_dynamic_field": described["enable_dynamic_field"],
        "enable_namespace": described["enable_namespace"],
        "schema_version": described["schema_version"],
    }
    for name in ("external_source", "external_spec", "created_timestamp", "update_timestamp"):
        if described[name]:
            collection[name] = described[name]
    return collection


_FUNCTIONS = frozenset(int(member) for member in FunctionType)
_LEVELS = frozenset(int(member) for member in ConsistencyLevel)


def field_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a field."""
    field: dict[str, Any] = {
        "field_id": described["field_id"],
        "name": described["name"],
        "description": described["description"],
        "type": data_type(described["type"]),
        "params": {},
    }
    for key, value in described["params"].items():
        if key == "params":
            field["params"][key] = json.loads(value)
        elif key == "mmap.enabled":
            field["params"]["mmap_enabled"] = value.lower() != "false"
        else:
            field["params"][key] = int(value) if key in _NUMBERS and value.isdigit() else value
    if described["default_value"] is not None:
        field["default_value"] = described["default_value"]
    if described["element_type"]:
        field["element_type"] = data_type(described["element_type"])
    field.update({mark: described[mark] for mark in _FIELD_MARKS if described[mark]})
    return field


def struct_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a field whose values are lists of structs, as users write it."""
    fields = [field_of(field) for field in described["fields"]]
    capacity = next((field["params"]["max_capacity"] for field in fields if "max_capacity" in field["params"]), None)
    struct: dict[str, Any] = {
        "field_id": described["field_id"],
        "name": described["name"],
        "description": described["description"],
        "type": DataType.ARRAY,
        "element_type": DataType.STRUCT,
        "params": {} if capacity is None else {"max_capacity": capacity},
    }
    if described["nullable"]:
        struct["nullable"] = True
    prefix = f"{described['name']}["
    inner = []
    for field in fields:
        name = field["name"]
        inner.append(
            {
                "field_id": field["field_id"],
                "name": name[len(prefix) : -1] if name.startswith(prefix) else name,
                "type": field.get("element_type"),
                "description": field["description"],
            }
        )
        params = {key: value for key, value in field["params"].items() if key != "max_capacity"}
        if params:
            inner[-1]["params"] = params
    return {**struct, "struct_fields": inner}


def index_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """The description of an index."""
    index: dict[str, Any] = dict(described["params"])
    if index.get("params"):
        index["params"] = json.loads(index["params"])
    index.update({name: described[name] for name in ("field_name", "index_name")})
    index.update({name: described[name] for name in ("total_rows", "indexed_rows", "pending_index_rows")})
    state = described["state"]
    known = state in IndexState._value2member_map_
    index["state"] = IndexState(state).name if known else str(state)
    return index


def statistics(found: Mapping[str, str]) -> dict[str, Any]:
    """Statistics, with the number of rows as a number."""
    values: dict[str, Any] = dict(found)
    if "row_count" in values:
        values["row_count"] = int(values["row_count"])
    return values


def refreshes(kwargs: Mapping[str, Any]) -> bool:
    """Whether a load is asked to bring in what has come to a loaded collection since."""
    return bool(kwargs.get("refresh", kwargs.get("_refresh", False)))


def load_arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a load, with or without PyMilvus's underscores."""

    def given(name: str, default: Any = None) -> Any:
        return kwargs.get(name, kwargs.get(f"_{name}", default))

    return {
        "replicas": given("replica_number") or None,
        "resource_groups": given("resource_groups"),
        "fields": given("load_fields"),
        "skip_dynamic_field": bool(given("skip_load_dynamic_field", False)),
        "priority": given("priority"),
        "wait": not kwargs.get("_async", False),
    }
