"""Types under the name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..types import (
    ConsistencyLevel,
    DataType,
    FunctionType,
    IndexState,
    IndexType,
    LoadState,
    MetricType,
    ReplicaInfo,
    ResourceGroupConfig,
    ResourceGroupInfo,
)

__all__ = [
    "ConsistencyLevel",
    "DataType",
    "FunctionType",
    "IndexState",
    "IndexType",
    "LoadState",
    "MetricType",
    "ReplicaInfo",
    "ResourceGroupConfig",
    "ResourceGroupInfo",
]
