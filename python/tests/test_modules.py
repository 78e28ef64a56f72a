"""Modules of PyMilvus's that programs import names from are there, and give the same things as the package itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from uuid import uuid4

import numpy as np
import pymilvus.orm.types
import pytest

import milvus_connections
from milvus_connections import MilvusClient, connections, utility
from milvus_connections.exceptions import ConnectionNotExistException
from milvus_connections.orm.types import infer_dtype_bydata
from milvus_connections.types import LoadState

# What LangChain, LlamaIndex, Haystack and others import, module by module.
IMPORTED = {
    "client.abstract": ["AnnSearchRequest", "BaseRanker", "Hit", "Hits", "RRFRanker", "SearchResult", "WeightedRanker"],
    "client.constants": ["DEFAULT_CONSISTENCY_LEVEL", "UNLIMITED", "MAX_BATCH_SIZE"],
    "client.search_result": ["Hit", "Hits", "SearchResult"],
    "client.types": ["ConsistencyLevel", "DataType", "FunctionType", "IndexType", "LoadState", "MetricType", "ResourceGroupConfig"],
    "exceptions": ["MilvusException", "ParamError", "ConnectionConfigException", "MilvusUnavailableException"],
    "milvus_client": ["AsyncMilvusClient", "IndexParams", "MilvusClient"],
    "milvus_client.async_milvus_client": ["AsyncMilvusClient"],
    "milvus_client.index": ["IndexParam", "IndexParams"],
    "milvus_client.milvus_client": ["MilvusClient"],
    "orm.connections": ["Connections", "connections"],
    "orm.schema": ["CollectionSchema", "FieldSchema", "Function", "FunctionScore", "StructFieldSchema"],
    "orm.types": ["infer_dtype_bydata", "infer_dtype_by_scalar_data"],
    "orm.utility": ["has_collection", "list_collections", "drop_collection", "loading_progress", "wait_for_loading_complete"],
}


@pytest.mark.parametrize("module", IMPORTED)
def test_what_programs_import_is_there(module: str) -> None:
    theirs, ours = import_module(f"pymilvus.{module}"), import_module(f"milvus_connections.{module}")
    for name in IMPORTED[module]:
        assert hasattr(theirs, name), f"PyMilvus has no {module}.{name}"
        found = getattr(ours, name)
        # The same thing under both names: `isinstance` and `except` mean the same.
        if name in milvus_connections.__all__:
            assert found is getattr(milvus_connections, name), name


@pytest.mark.parametrize(
    "value",
    [
        1, 1.5, True, "a", b"a", {"a": 1}, [1, 2], [1.5, 2.5], [1, 2.5], ["a"], [True], [], [{"a": 1}], [[1.0]], None,
        np.float32(1), np.float64(1), np.int8(1), np.int16(1), np.int32(1), np.int64(1),
        np.zeros(3), np.zeros(3, dtype=np.float32), np.arange(3), np.zeros((2, 2)),
    ],
    ids=str,
)  # fmt: skip
def test_types_are_inferred_as_pymilvus_infers_them(value: Any) -> None:
    assert int(infer_dtype_bydata(value)) == int(pymilvus.orm.types.infer_dtype_bydata(value))


def test_utility_works_on_an_alias() -> None:
    alias = "utility-test"
    with pytest.raises(ConnectionNotExistException, match="should create connection first"):
        utility.has_collection("docs", using=alias)
    connections.connect(alias, uri=f"memory:{uuid4().hex}")
    try:
        MilvusClient(alias=alias).create_collection("docs", dimension=2)
        assert utility.has_collection("docs", using=alias) and not utility.has_collection("no", alias)
        assert utility.list_collections(using=alias) == ["docs"]
        assert utility.has_partition("docs", "_default", alias)
        assert utility.load_state("docs", using=alias) == LoadState.Loaded
        assert utility.loading_progress("docs", using=alias) == {"loading_progress": "100%"}
        utility.wait_for_loading_complete("docs", using=alias)
        utility.wait_for_loading_complete("docs", ["_default"], using=alias)
        utility.create_alias("docs", "now", using=alias)
        assert utility.list_aliases("docs", using=alias) == ["now"]
        utility.alter_alias("docs", "now", using=alias)
        utility.drop_alias("now", using=alias)
        assert utility.list_indexes("docs", using=alias) == ["vector"]
        utility.rename_collection("docs", "books", using=alias)
        utility.truncate_collection("books", using=alias)
        utility.flush_all(using=alias)
        assert utility.get_server_version(using=alias) and utility.get_server_type(alias) == "milvus"
        utility.drop_collection("books", using=alias)
        assert utility.list_collections(using=alias) == []
    finally:
        connections.remove_connection(alias)
