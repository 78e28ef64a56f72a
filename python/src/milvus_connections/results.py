"""What searches and queries give: lists of dicts, as plain as any, that also know their numbers as arrays and tables.

A ``SearchResult`` is a list with the ``Hits`` of each query; ``Hits`` is a list of ``Hit``; a ``Hit`` is a dict. A query
gives ``Rows``, a list of dicts. All of them know what was received as numpy arrays, Arrow tables and pandas frames, without
going through rows.

Invariant: what is a list holds real dicts from the beginning, for code that reads a list's memory without asking it: encoders
of JSON, validators, list concatenation. What makes its rows when they are looked at (``lazy=True``) is no list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Iterator, TypeVar

from .types import DataType, OmitZeroDict

if TYPE_CHECKING:
    import numpy
    import pandas
    import pyarrow

    from . import _native

__all__ = ["Hit", "Hits", "LazyHits", "LazyRows", "Rows", "SearchResult", "found", "read"]

_Row = TypeVar("_Row")

# More are not printed.
_SHOWN = 10
# So many rows are made at a time when all are looked at one after the other.
_AT_A_TIME = 256


class _Lazy(Sequence[_Row]):
    """Rows that are made when they are looked at, each time anew."""

    def _make(self, start: int, end: int) -> list[_Row]:
        raise NotImplementedError

    def materialize(self) -> list[_Row]:
        """All rows, in a list."""
        return self._make(0, len(self))

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            start, end, step = place.indices(len(self))
            return self._make(start, end) if step == 1 else [self[one] for one in range(start, end, step)]
        index = place.__index__()
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError("list index out of range")
        return self._make(index, index + 1)[0]

    def __iter__(self) -> Iterator[_Row]:
        for start in range(0, len(self), _AT_A_TIME):
            yield from self._make(start, min(start + _AT_A_TIME, len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, _Lazy)):
            return len(self) == len(other) and all(own == one for own, one in zip(self, other))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]


class Hit(dict[str, Any]):
    """One hit: the primary key under its field's name, ``distance``, and the fields in ``entity``.

    >>> hit = Hit({"id": 1, "distance": 0.25, "entity": {"title": "a"}}, pk_name="id")
    >>> hit["entity"]["title"], hit["title"], hit.id, hit.distance
    ('a', 'a', 1, 0.25)
    """

    # A place for the name: an attribute of a dict's own would cost each hit a second dict.
    __slots__ = ("__dict__", "_pk_name")

    def __init__(self, *args: Any, pk_name: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pk_name = pk_name

    def __missing__(self, key: str) -> Any:
        if key == "entity":
            raise KeyError(key)
        return self["entity"][key]

    def __getattr__(self, name: str) -> Any:
        if name == "entity":
            return self
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def to_dict(self) -> dict[str, Any]:
        """The hit."""
        return self

    @property
    def id(self) -> Any:
        """The primary key."""
        return self.get(self._pk_name)

    @property
    def pk(self) -> Any:
        """The primary key."""
        return self.id

    @property
    def distance(self) -> float:
        """How near the hit is, in the metric of the search."""
        return self.get("distance")

    @property
    def score(self) -> float:
        """The same as ``distance``."""
        return self.distance

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that were asked for."""
        return self.get("entity")

    def __reduce__(self) -> Any:
        return _hit, (dict(self), self._pk_name)


def _hit(values: dict[str, Any], pk_name: str) -> Hit:
    return Hit(values, pk_name=pk_name)


def _shown(items: Any) -> str:
    more = f" ... and {len(items) - _SHOWN} entities remaining" if len(items) > _SHOWN else ""
    return f"{list(items[:_SHOWN])}{more}"


class _QueryHits:
    """What the hits of one query know beyond the hits themselves."""

    _answer: _native.SearchAnswer
    _query: int
    _round: int

    def _rounded(self, score: float) -> float:
        return round(score, self._round) if self._round > 0 else score

    @property
    def ids(self) -> list[Any]:
        """The primary keys."""
        return self._answer.ids(self._query)

    @property
    def distances(self) -> list[float]:
        """The scores."""
        return [self._rounded(score) for score in self._answer.scores(self._query)]

    def to_numpy(self, field: str = "distance") -> numpy.ndarray[Any, Any]:
        """The values of a field, of the primary key, or (``"distance"``) the scores; numbers and vectors without a copy.

        The array is read-only. A field of another kind, or with rows that have no value, is an array of objects.
        """
        import numpy

        answer, query = self._answer, self._query
        if field == "distance":
            return numpy.asarray(answer.scores_memory(query))
        if field == answer.primary_field:
            memory = answer.ids_memory(query)
            return numpy.asarray(memory) if memory is not None else _objects(answer.ids(query))
        return _array(field, answer.memory(query, field), answer.values(query, field))

    def to_arrow(self) -> pyarrow.Table:
        """Primary key, score and fields as a table."""
        import pyarrow

        answer = self._answer
        fields = {name: _arrow(name, kind, self) for name, kind in self._columns().items()}
        key = pyarrow.array(self.ids, pyarrow.string()) if answer.has_text_keys else pyarrow.array(self.to_numpy(answer.primary_field))
        score = pyarrow.array(self.to_numpy())
        return pyarrow.table({answer.primary_field: key, "distance": score, **fields})

    def to_pandas(self) -> pandas.DataFrame:
        """Primary key, score and fields as a frame; a vector is an array in its cell."""
        import pandas

        key = {self._answer.primary_field: self.to_numpy(self._answer.primary_field), "distance": self.to_numpy()}
        return pandas.DataFrame({**key, **{name: _cells(self.to_numpy(name)) for name in self._columns()}})

    def _columns(self) -> dict[str, _Kind]:
        return _described(self._answer.columns(), self._answer.primary_field)

    def _values(self, name: str) -> list[Any]:
        return self._answer.values(self._query, name) or []


class Hits(_QueryHits, list[Hit]):
    """The hits of one query, best first."""

    def __init__(self, made: list[Hit], answer: _native.SearchAnswer, query: int, round_decimal: int = -1) -> None:
        list.__init__(self, made)
        self._answer = answer
        self._query = query
        self._round = round_decimal

    def materialize(self) -> Hits:
        """The hits; they are all there."""
        return self

    __str__ = _shown
    __repr__ = _shown

    def __reduce__(self) -> Any:
        # What is sent to another process is plain: a list of dicts.
        return list, (list(self),)


class LazyHits(_QueryHits, _Lazy[Hit]):
    """The hits of one query, best first: no list, its hits are made when they are looked at."""

    def __init__(self, answer: _native.SearchAnswer, query: int, round_decimal: int = -1) -> None:
        self._answer = answer
        self._query = query
        self._round = round_decimal

    def __len__(self) -> int:
        return self._answer.count(self._query)

    def _make(self, start: int, end: int) -> list[Hit]:
        return self._answer.hits(Hit, self._query, start, end, self._round)

    __str__ = _shown
    __repr__ = _shown

    def __reduce__(self) -> Any:
        return list, (list(self),)


class SearchResult(list[Hits]):
    """The hits of each query of a search; ``LazyHits`` for a lazy one."""

    def __init__(self, answer: _native.SearchAnswer, round_decimal: int = -1, lazy: bool = False) -> None:
        if lazy:
            lazily: list[Any] = [LazyHits(answer, query, round_decimal) for query in range(len(answer))]
            list.__init__(self, lazily)
        else:
            made = answer.all_hits(Hit, round_decimal)
            list.__init__(self, [Hits(hits, answer, query, round_decimal) for query, hits in enumerate(made)])
        self._answer = answer
        self.recalls: list[float] | None = answer.recalls or None
        self.extra: dict[str, Any] = {"cost": answer.cost} if answer.cost else {}

    def materialize(self) -> None:
        """Makes all hits of a result that is not lazy; they are all there."""

    def get_session_ts(self) -> int:
        """The timestamp of the data that was searched; 0 from servers that do not say."""
        return self._answer.session_timestamp

    def to_numpy(self, field: str = "distance") -> list[numpy.ndarray[Any, Any]]:
        """``Hits.to_numpy`` of each query."""
        return [hits.to_numpy(field) for hits in self]

    def to_arrow(self) -> pyarrow.Table:
        """``Hits.to_arrow`` of all queries, with the number of the query in the column ``query``."""
        import pyarrow

        def numbered(number: int, hits: Hits) -> pyarrow.Table:
            return hits.to_arrow().add_column(0, "query", pyarrow.array([number] * len(hits.ids), pyarrow.int32()))

        return pyarrow.concat_tables([numbered(number, hits) for number, hits in enumerate(self)])

    def to_pandas(self) -> pandas.DataFrame:
        """``Hits.to_pandas`` of all queries, with the number of the query in the column ``query``."""
        import pandas

        frames = [hits.to_pandas() for hits in self]
        for number, frame in enumerate(frames):
            frame.insert(0, "query", number)
        # A query without hits has no say about types.
        return pandas.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)

    def __str__(self) -> str:
        recalls = f",recalls: {self.recalls[:_SHOWN]}" if self.recalls else ""
        more = f" ... and {len(self) - _SHOWN} results remaining" if len(self) > _SHOWN else ""
        return f"data: {list(self)[:_SHOWN]}{recalls}{more}{f',{self.extra}' if self.extra else ''}"

    __repr__ = __str__

    def __reduce__(self) -> Any:
        return list, ([list(hits) for hits in self],)


class _QueryRows:
    """What the rows of a query know beyond the rows themselves."""

    # None: nothing was asked for.
    _answer: _native.QueryAnswer | None

    def _of(self, answer: _native.QueryAnswer | None) -> None:
        self._answer = answer
        self.extra = OmitZeroDict()
        if answer is not None:
            self.extra.update(cost=answer.cost, iterator_session_ts=answer.session_timestamp)

    def to_numpy(self, field: str) -> numpy.ndarray[Any, Any]:
        """The values of a field; numbers and vectors without a copy, read-only.

        A field of another kind, or with rows that have no value, is an array of objects.
        """
        answer = self._answer
        return _array(field, answer and answer.memory(field), answer.values(field) if answer is not None else None)

    def _columns(self) -> dict[str, _Kind]:
        return {} if self._answer is None else _described(self._answer.columns(), "")

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a table; dynamic fields as JSON in ``$meta``."""
        import pyarrow

        return pyarrow.table({name: _arrow(name, kind, self) for name, kind in self._columns().items()})

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a frame; a vector is an array in its cell."""
        import pandas

        return pandas.DataFrame({name: _cells(self.to_numpy(name)) for name in self._columns()})

    def _values(self, name: str) -> list[Any]:
        return (self._answer is not None and self._answer.values(name)) or []

    def __str__(self) -> str:
        rows: Any = self
        more = " ..." if len(rows) > _SHOWN else ""
        return f"data: {[str(row) for row in rows[:_SHOWN]]}{more}, extra_info: {self.extra}"


class Rows(_QueryRows, list[dict[str, Any]]):
    """The rows of a query."""

    def __init__(self, answer: _native.QueryAnswer | None) -> None:
        list.__init__(self, [] if answer is None else answer.rows(0, len(answer)))
        self._of(answer)

    def materialize(self) -> Rows:
        """The rows; they are all there."""
        return self

    __repr__ = _QueryRows.__str__

    def __reduce__(self) -> Any:
        # What is sent to another process is plain: a list of dicts.
        return list, (list(self),)


class LazyRows(_QueryRows, _Lazy[dict[str, Any]]):
    """The rows of a query: no list, its rows are made when they are looked at."""

    def __init__(self, answer: _native.QueryAnswer | None) -> None:
        self._of(answer)

    def __len__(self) -> int:
        return 0 if self._answer is None else len(self._answer)

    def _make(self, start: int, end: int) -> list[dict[str, Any]]:
        return [] if self._answer is None else self._answer.rows(start, end)

    __repr__ = _QueryRows.__str__

    def __reduce__(self) -> Any:
        return list, (list(self),)


def found(answer: _native.SearchAnswer, kwargs: dict[str, Any]) -> SearchResult:
    """What a search gives."""
    return SearchResult(answer, kwargs.get("round_decimal", -1), bool(kwargs.get("lazy", False)))


def read(answer: _native.QueryAnswer | None, kwargs: dict[str, Any]) -> Any:
    """What a query gives: ``Rows``, or ``LazyRows``."""
    return LazyRows(answer) if kwargs.get("lazy", False) else Rows(answer)


# Type number, dimension, and the type number of an array's elements.
_Kind = tuple[int, int, int]


def _described(columns: list[tuple[str, int, int, int]], key: str) -> dict[str, _Kind]:
    return {name: (number, dimension, element) for name, number, dimension, element in columns if name != key}


def _array(name: str, memory: Any, values: list[Any] | None) -> numpy.ndarray[Any, Any]:
    import numpy

    if memory is not None:
        return numpy.asarray(memory)
    if values is None:
        raise KeyError(f"there is no field {name!r} in the answer; ask for it in output_fields")
    return _objects(values)


def _objects(values: list[Any]) -> numpy.ndarray[Any, Any]:
    import numpy

    array = numpy.empty(len(values), dtype=object)
    array[:] = values
    return array


def _cells(array: numpy.ndarray[Any, Any]) -> Any:
    return list(array) if array.ndim > 1 else array


_ARROW_TYPES = {
    DataType.BOOL: "bool_",
    DataType.INT8: "int8",
    DataType.INT16: "int16",
    DataType.INT32: "int32",
    DataType.INT64: "int64",
    DataType.FLOAT: "float32",
    DataType.DOUBLE: "float64",
    DataType.VARCHAR: "string",
    DataType.TEXT: "string",
    DataType.GEOMETRY: "string",
    DataType.BINARY_VECTOR: "binary",
    DataType.FLOAT16_VECTOR: "binary",
    DataType.BFLOAT16_VECTOR: "binary",
    DataType.INT8_VECTOR: "binary",
}


def _arrow_type(number: int) -> Any:
    import pyarrow

    return getattr(pyarrow, _ARROW_TYPES[DataType(number)])() if number in _ARROW_TYPES else None


def _arrow(name: str, kind: _Kind, rows: _QueryHits | _QueryRows) -> pyarrow.Array:
    """The values of a field, in the type that the answer announces, whether or not there are any."""
    import pyarrow

    number, dimension, element = kind
    if number == DataType.FLOAT_VECTOR:
        array = rows.to_numpy(name)
        if array.ndim == 2:
            return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(array.reshape(-1)), dimension)
        return pyarrow.array(list(array), pyarrow.list_(pyarrow.float32(), dimension))
    values = rows._values(name)
    if number == DataType.JSON:
        from json import dumps

        return pyarrow.array([None if value is None else dumps(value) for value in values], pyarrow.string())
    if number == DataType.SPARSE_FLOAT_VECTOR:
        pairs = [None if value is None else list(value.items()) for value in values]
        return pyarrow.array(pairs, pyarrow.map_(pyarrow.uint32(), pyarrow.float32()))
    if number == DataType.ARRAY:
        inner = _arrow_type(element)
        return pyarrow.array(values, None if inner is None else pyarrow.list_(inner))
    return pyarrow.array(values, _arrow_type(number))
