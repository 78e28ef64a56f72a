"""Segments, the pieces that a collection is stored and searched in, and how they are merged.

>>> from milvus_connections.segments import SegmentInfo, SegmentState
>>> SegmentInfo(1, 7, "docs", 100, True, SegmentState.Flushed, 1, 0).state_name
'Flushed'
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .types import CompactionState, _Named

__all__ = [
    "CompactionPlans",
    "CompactionTaskState",
    "CompactionType",
    "LoadedSegmentInfo",
    "Plan",
    "SegmentInfo",
    "SegmentLevel",
    "SegmentState",
]


class _Numbered(_Named):
    @classmethod
    def _missing_(cls, value: object) -> Any:
        # As PyMilvus: what only newer servers know.
        return cls(0) if isinstance(value, int) and value != 0 else None


class SegmentState(_Numbered):
    """What may happen to a segment."""

    SegmentStateNone = 0
    NotExist = 1
    Growing = 2
    Sealed = 3
    Flushed = 4
    Flushing = 5
    Dropped = 6
    Importing = 7


# What `list_segments` lists, if nothing else is asked for.
RETAINED = (
    SegmentState.Growing,
    SegmentState.Sealed,
    SegmentState.Flushing,
    SegmentState.Flushed,
    SegmentState.Importing,
    SegmentState.Dropped,
)


class SegmentLevel(_Numbered):
    """How often the rows of a segment have been put in order."""

    Legacy = 0
    L0 = 1
    L1 = 2
    L2 = 3


class CompactionType(_Numbered):
    """What a merge is for."""

    UndefinedCompaction = 0
    MergeCompaction = 2
    MixCompaction = 3
    SingleCompaction = 4
    MinorCompaction = 5
    MajorCompaction = 6
    Level0DeleteCompaction = 7
    ClusteringCompaction = 8
    SortCompaction = 9
    PartitionKeySortCompaction = 10
    ClusteringPartitionKeySortCompaction = 11
    BumpSchemaVersionCompaction = 12


class CompactionTaskState(_Numbered):
    """How far a merge has come."""

    Unknown = 0
    Executing = 1
    Pipelining = 2
    Completed = 3
    Failed = 4
    Timeout = 5
    Analyzing = 6
    Indexing = 7
    Cleaned = 8
    MetaSaved = 9
    Statistic = 10


class SegmentInfo(NamedTuple):
    """A segment on storage."""

    segment_id: int
    collection_id: int
    collection_name: str
    num_rows: int
    is_sorted: bool
    state: SegmentState
    level: int
    storage_version: int
    partition_id: int = 0
    insert_channel: str = ""
    compaction_from: tuple[int, ...] | list[int] = ()

    @property
    def state_name(self) -> str:
        """The state in a word."""
        return SegmentState(self.state).name

    @property
    def level_name(self) -> str:
        """The level in a word."""
        return SegmentLevel(self.level).name


class LoadedSegmentInfo(NamedTuple):
    """A segment in the memory of query nodes."""

    segment_id: int
    collection_id: int
    collection_name: str
    num_rows: int
    is_sorted: bool
    state: SegmentState
    level: int
    storage_version: int
    partition_id: int
    index_name: str
    index_id: int
    node_ids: list[int]
    mem_size: int

    @property
    def state_name(self) -> str:
        """The state in a word."""
        return SegmentState(self.state).name

    @property
    def level_name(self) -> str:
        """The level in a word."""
        return SegmentLevel(self.level).name


class Plan(NamedTuple):
    """One merge of a compaction: the segments that are merged, and those that come of it."""

    sources: list[int]
    target: int
    plan_id: int = 0
    trigger_id: int = 0
    collection_id: int = 0
    partition_id: int = 0
    channel: str = ""
    compaction_type: CompactionType = CompactionType.UndefinedCompaction
    state: CompactionTaskState = CompactionTaskState.Unknown
    failure_reason: str = ""
    targets: list[int] | tuple[int, ...] = ()

    @property
    def task_id(self) -> int:
        """The same as ``plan_id``."""
        return self.plan_id


class CompactionPlans(NamedTuple):
    """The merges that a compaction consists of."""

    compaction_id: int
    state: CompactionState
    plans: list[Plan]
    collection_name: str = ""


def stored(collection: str, found: list[dict[str, Any]]) -> list[SegmentInfo]:
    """Segments on storage."""
    return [
        SegmentInfo(**{**info, "collection_name": collection, "state": SegmentState(info["state"])}) for info in found
    ]


def loaded(collection: str, found: list[dict[str, Any]]) -> list[LoadedSegmentInfo]:
    """Segments in memory."""
    return [
        LoadedSegmentInfo(**{**info, "collection_name": collection, "state": SegmentState(info["state"])})
        for info in found
    ]


def plans_of(job: int, state: int, merges: list[dict[str, Any]]) -> CompactionPlans:
    """The merges of a compaction."""
    known = state in (CompactionState.Executing, CompactionState.Completed)
    plans = [
        Plan(
            **{
                **merge,
                "compaction_type": CompactionType(merge["compaction_type"]),
                "state": CompactionTaskState(merge["state"]),
            }
        )
        for merge in merges
    ]
    return CompactionPlans(job, CompactionState(state if known else 0), plans)
