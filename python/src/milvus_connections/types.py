"""Numbers with names: types of fields, functions, levels of consistency, states.

>>> DataType.FLOAT_VECTOR
<DataType.FLOAT_VECTOR: 101>
>>> LoadState.Loaded
<LoadState: Loaded>
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from .exceptions import InvalidConsistencyLevel

__all__ = [
    "ConsistencyLevel",
    "DataType",
    "FunctionType",
    "GrantItem",
    "Group",
    "IndexState",
    "IndexType",
    "LoadState",
    "MetricType",
    "OmitZeroDict",
    "ReplicaInfo",
    "ResourceGroupConfig",
    "ResourceGroupInfo",
    "Shard",
]


class DataType(IntEnum):
    """The type of a field."""

    NONE = 0
    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    STRING = 20
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    GEOMETRY = 24
    TEXT = 25
    TIMESTAMPTZ = 26
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105
    _ARRAY_OF_VECTOR = 106
    _ARRAY_OF_STRUCT = 200
    STRUCT = 201
    UNKNOWN = 999

    def __str__(self) -> str:
        return str(self.value)


VECTOR_TYPES = frozenset(range(DataType.BINARY_VECTOR, DataType.INT8_VECTOR + 1))


def data_type(number: int) -> DataType | int:
    """The type of a number; the number itself for one that only newer servers know."""
    try:
        return DataType(number)
    except ValueError:
        return number


class FunctionType(IntEnum):
    """What a function of a collection or of a search does."""

    UNKNOWN = 0
    BM25 = 1
    TEXTEMBEDDING = 2
    RERANK = 3
    MINHASH = 4


class IndexType(IntEnum):
    """Kinds of indexes, by the numbers that PyMilvus gives them."""

    INVALID = 0
    FLAT = 1
    IVFLAT = 2
    IVF_SQ8 = 3
    RNSG = 4
    IVF_SQ8H = 5
    IVF_PQ = 6
    HNSW = 11
    ANNOY = 12

    IVF_FLAT = IVFLAT


class MetricType(IntEnum):
    """Measures of similarity, by the numbers that PyMilvus gives them."""

    INVALID = 0
    L2 = 1
    IP = 2
    HAMMING = 3
    JACCARD = 4
    TANIMOTO = 5
    SUBSTRUCTURE = 6
    SUPERSTRUCTURE = 7


class _Named(IntEnum):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._name_}>"

    def __str__(self) -> str:
        return self._name_


class IndexState(IntEnum):
    """Whether an index is built."""

    IndexStateNone = 0
    Unissued = 1
    InProgress = 2
    Finished = 3
    Failed = 4
    Retry = 5


class LoadState(_Named):
    """Whether a collection is in memory."""

    NotExist = 0
    NotLoad = 1
    Loading = 2
    Loaded = 3


class CompactionState(_Named):
    """How far a compaction has come; the first name is spelled as PyMilvus spells it."""

    UndefiedState = 0
    Executing = 1
    Completed = 2


class ConsistencyLevel(_Named):
    """How fresh the data of a read must be."""

    Strong = 0
    Session = 1
    Bounded = 2
    Eventually = 3
    Customized = 4


def consistency_level(level: int | str) -> int:
    """The number of a level that is given by name or number.

    >>> consistency_level("Strong"), consistency_level(2)
    (0, 2)
    """
    if isinstance(level, int) and level in ConsistencyLevel._value2member_map_:
        return int(level)
    if isinstance(level, str) and level in ConsistencyLevel.__members__:
        return int(ConsistencyLevel[level])
    raise InvalidConsistencyLevel(message=f"invalid consistency level: {level}")


class OmitZeroDict(dict[str, Any]):
    """A dict that leaves out what is zero or empty when it is printed by ``str``."""

    def __str__(self) -> str:
        return str({key: value for key, value in self.items() if value})

    def __repr__(self) -> str:
        return dict.__repr__(self)


class Shard(NamedTuple):
    """One shard of a copy in memory."""

    channel_name: str
    shard_nodes: set[int]
    shard_leader: int


class ReplicaInfo(NamedTuple):
    """A copy of a collection in memory."""

    id: int
    shards: list[Shard]
    group_nodes: tuple[int, ...]
    resource_group: str
    num_outbound_node: dict[str, int]


Group = ReplicaInfo


class NodeInfo(NamedTuple):
    """A node of a resource group."""

    node_id: int
    address: str
    hostname: str


class ResourceGroupConfig:
    """What a resource group should be; the arguments are those of PyMilvus's class.

    >>> ResourceGroupConfig(requests={"node_num": 1}, limits={"node_num": 5})
    ResourceGroupConfig(requests=1, limits=5, transfer_from=[], transfer_to=[])
    """

    def __init__(
        self,
        requests: Any = None,
        limits: Any = None,
        transfer_from: list[Any] | None = None,
        transfer_to: list[Any] | None = None,
    ) -> None:
        self.requests = _of(requests, "node_num", 0)
        self.limits = _of(limits, "node_num", 0)
        self.transfer_from = [_of(group, "resource_group", "") for group in transfer_from or []]
        self.transfer_to = [_of(group, "resource_group", "") for group in transfer_to or []]

    def __repr__(self) -> str:
        return (
            f"ResourceGroupConfig(requests={self.requests}, limits={self.limits}, "
            f"transfer_from={self.transfer_from}, transfer_to={self.transfer_to})"
        )

    def _native(self) -> tuple[int, int, list[str], list[str]]:
        return self.requests, self.limits, self.transfer_from, self.transfer_to


def _of(given: Any, name: str, default: Any) -> Any:
    if given is None:
        return default
    if isinstance(given, dict):
        return given.get(name, default)
    return getattr(given, name, given)


class ResourceGroupInfo(NamedTuple):
    """What a resource group is."""

    name: str
    capacity: int
    num_available_node: int
    num_loaded_replica: dict[str, int]
    num_outgoing_node: dict[str, int]
    num_incoming_node: dict[str, int]
    config: ResourceGroupConfig | None
    nodes: list[NodeInfo]


class GrantItem(NamedTuple):
    """One privilege of a role."""

    object: str
    object_name: str
    db_name: str
    role_name: str
    grantor_name: str
    privilege: str

    def to_dict(self) -> dict[str, str]:
        """As ``describe_role`` gives it: without what the server did not say."""
        item = {"object_type": self.object, "object_name": self.object_name}
        if self.db_name:
            item["db_name"] = self.db_name
        item.update(role_name=self.role_name, privilege=self.privilege)
        if self.grantor_name:
            item["grantor_name"] = self.grantor_name
        return item
