"""Types under the name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..segments import CompactionTaskState, CompactionType, SegmentState
from ..types import (
    ConsistencyLevel,
    DataType,
    FunctionType,
    Group,
    IndexState,
    IndexType,
    LoadState,
    MetricType,
    OmitZeroDict,
    ReplicaInfo,
    ResourceGroupConfig,
    ResourceGroupInfo,
    Shard,
)

__all__ = [
    "CompactionTaskState",
    "CompactionType",
    "ConsistencyLevel",
    "DataType",
    "FunctionType",
    "Group",
    "IndexState",
    "IndexType",
    "LoadState",
    "MetricType",
    "OmitZeroDict",
    "ReplicaInfo",
    "ResourceGroupConfig",
    "ResourceGroupInfo",
    "SegmentState",
    "Shard",
]
