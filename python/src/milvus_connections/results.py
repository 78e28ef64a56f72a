"""What searches and queries give: lists of dicts, made of the received answer when somebody looks at them.

A ``SearchResult`` is a list with the ``Hits`` of each query; ``Hits`` is a list of ``Hit``; a ``Hit`` is a dict. A query
gives ``Rows``, a list of dicts. All of them know their numbers as numpy arrays, Arrow tables and pandas frames, without
going through rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, SupportsIndex, TypeVar

from .types import DataType, OmitZeroDict

if TYPE_CHECKING:
    import numpy
    import pandas
    import pyarrow

    from . import _native

__all__ = ["Hit", "Hits", "Rows", "SearchResult"]

_Row = TypeVar("_Row")

# More are not printed.
_SHOWN = 10
# So many items are made at a time when a list is read from its beginning.
_AT_A_TIME = 256


class _LazyList(list[_Row]):
    """A list whose items are made when they are looked at. Changing it makes all of them first."""

    # Whether all items are made, and any. Until then an item that is not made is None, which no item is.
    _is_made = False
    _is_begun = False

    def __init__(self, length: int) -> None:
        super().__init__([None] * length)  # type: ignore[list-item]

    def _make(self, start: int, end: int) -> list[_Row]:
        raise NotImplementedError

    def _item(self, place: int) -> _Row:
        item = list.__getitem__(self, place)
        if item is None and not self._is_made:
            (item,) = self._make(place, place + 1)
            list.__setitem__(self, place, item)
            self._is_begun = True
        return item

    def materialize(self) -> Any:
        """Makes all items; returns the list."""
        if not self._is_made:
            if self._is_begun:
                for place in range(len(self)):
                    self._item(place)
            else:
                list.__setitem__(self, slice(None), self._make(0, len(self)))
            self._is_made = True
        return self

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self._item(one) for one in range(*place.indices(len(self)))]
        index = place.__index__()
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError("list index out of range")
        return self._item(index)

    def __iter__(self) -> Iterator[_Row]:
        if len(self) <= _AT_A_TIME:
            self.materialize()
        return list.__iter__(self) if self._is_made else self._several_at_a_time()

    def _several_at_a_time(self) -> Iterator[_Row]:
        place = 0
        while place < len(self):
            end = min(place + _AT_A_TIME, len(self))
            some = list.__getitem__(self, slice(place, end))
            if not self._is_made and all(item is None for item in some):
                some = self._make(place, end)
                list.__setitem__(self, slice(place, end), some)
                self._is_begun = True
            for item in some:
                yield self._item(place) if item is None else item
                place += 1

    def __reversed__(self) -> Iterator[_Row]:
        return (self._item(place) for place in range(len(self) - 1, -1, -1))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _LazyList):
            other.materialize()
        self.materialize()
        return list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __contains__(self, item: object) -> bool:
        return any(item == own for own in self)

    def __str__(self) -> str:
        more = f" ... and {len(self) - _SHOWN} entities remaining" if len(self) > _SHOWN else ""
        return f"{self[:_SHOWN]}{more}"

    __repr__ = __str__

    def __reduce__(self) -> Any:
        # What is sent to another process is plain: a list of dicts.
        return list, (list(self),)

    def __add__(self, other: Any) -> Any:
        return list(self) + list(other)

    def __mul__(self, times: SupportsIndex) -> Any:
        return list(self) * times

    def copy(self) -> list[_Row]:
        return list(self)

    def index(self, *arguments: Any) -> int:
        self.materialize()
        return super().index(*arguments)

    def count(self, item: Any) -> int:
        self.materialize()
        return super().count(item)


def _changing(name: str) -> Any:
    method = getattr(list, name)

    def change(self: _LazyList[Any], *arguments: Any, **named: Any) -> Any:
        self.materialize()
        return method(self, *arguments, **named)

    change.__name__ = name
    change.__doc__ = method.__doc__
    return change


for _name in (
    "append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "__setitem__", "__delitem__", "__iadd__",
):
    setattr(_LazyList, _name, _changing(_name))


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


class Hits(_LazyList[Hit]):
    """The hits of one query, best first."""

    def __init__(self, answer: _native.SearchAnswer, query: int, round_decimal: int = -1) -> None:
        super().__init__(answer.count(query))
        self._answer = answer
        self._query = query
        self._round = round_decimal

    def _make(self, start: int, end: int) -> list[Hit]:
        return self._answer.hits(Hit, self._query, start, end, self._round)

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
            return numpy.asarray(memory if memory is not None else answer.ids(query))
        return _array(field, answer.memory(query, field), answer.values(query, field))

    def to_arrow(self) -> pyarrow.Table:
        """Primary key, score and fields as a table."""
        import pyarrow

        columns = self._columns()
        fields = {name: _arrow(name, number, dimension, self) for name, (number, dimension) in columns.items()}
        key = pyarrow.array(self.to_numpy(self._answer.primary_field))
        score = pyarrow.array(self.to_numpy())
        return pyarrow.table({self._answer.primary_field: key, "distance": score, **fields})

    def to_pandas(self) -> pandas.DataFrame:
        """Primary key, score and fields as a frame; a vector is an array in its cell."""
        import pandas

        key = {self._answer.primary_field: self.to_numpy(self._answer.primary_field), "distance": self.to_numpy()}
        return pandas.DataFrame({**key, **{name: _cells(self.to_numpy(name)) for name in self._columns()}})

    def _columns(self) -> dict[str, tuple[int, int]]:
        return _described(self._answer.columns(), self._answer.primary_field)

    def _values(self, name: str) -> list[Any]:
        return self._answer.values(self._query, name) or []


class SearchResult(list[Hits]):
    """The hits of each query of a search."""

    def __init__(self, answer: _native.SearchAnswer, round_decimal: int = -1) -> None:
        super().__init__(Hits(answer, query, round_decimal) for query in range(len(answer)))
        self._answer = answer
        self.recalls: list[float] | None = answer.recalls or None
        self.extra: dict[str, Any] = {"cost": answer.cost} if answer.cost else {}

    def materialize(self) -> None:
        """Makes all hits."""
        for hits in self:
            hits.materialize()

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
            return hits.to_arrow().add_column(0, "query", pyarrow.array([number] * len(hits), pyarrow.int32()))

        return pyarrow.concat_tables([numbered(number, hits) for number, hits in enumerate(self)])

    def to_pandas(self) -> pandas.DataFrame:
        """``Hits.to_pandas`` of all queries, with the number of the query in the column ``query``."""
        import pandas

        frames = [hits.to_pandas() for hits in self]
        for number, frame in enumerate(frames):
            frame.insert(0, "query", number)
        return pandas.concat(frames, ignore_index=True)

    def __str__(self) -> str:
        recalls = f",recalls: {self.recalls[:_SHOWN]}" if self.recalls else ""
        more = f" ... and {len(self) - _SHOWN} results remaining" if len(self) > _SHOWN else ""
        return f"data: {list(self)[:_SHOWN]}{recalls}{more}{f',{self.extra}' if self.extra else ''}"

    __repr__ = __str__

    def __reduce__(self) -> Any:
        return list, ([list(hits) for hits in self],)


class Rows(_LazyList[dict[str, Any]]):
    """The rows of a query."""

    def __init__(self, answer: _native.QueryAnswer) -> None:
        super().__init__(len(answer))
        self._answer = answer
        self.extra = OmitZeroDict(cost=answer.cost, iterator_session_ts=answer.session_timestamp)

    def _make(self, start: int, end: int) -> list[dict[str, Any]]:
        return self._answer.rows(start, end)

    def to_numpy(self, field: str) -> numpy.ndarray[Any, Any]:
        """The values of a field; numbers and vectors without a copy, read-only.

        A field of another kind, or with rows that have no value, is an array of objects.
        """
        return _array(field, self._answer.memory(field), self._answer.values(field))

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a table; dynamic fields as JSON in ``$meta``."""
        import pyarrow

        columns = _described(self._answer.columns(), "")
        return pyarrow.table({name: _arrow(name, *kind, self) for name, kind in columns.items()})

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a frame; a vector is an array in its cell."""
        import pandas

        columns = _described(self._answer.columns(), "")
        return pandas.DataFrame({name: _cells(self.to_numpy(name)) for name in columns})

    def _values(self, name: str) -> list[Any]:
        return self._answer.values(name) or []

    def __str__(self) -> str:
        more = " ..." if len(self) > _SHOWN else ""
        return f"data: {[str(row) for row in self[:_SHOWN]]}{more}, extra_info: {self.extra}"

    __repr__ = __str__


def _described(columns: list[tuple[str, int, int, bool]], key: str) -> dict[str, tuple[int, int]]:
    return {name: (number, dimension) for name, number, dimension, _dynamic in columns if name != key}


def _array(name: str, memory: Any, values: list[Any] | None) -> numpy.ndarray[Any, Any]:
    import numpy

    if memory is not None:
        return numpy.asarray(memory)
    if values is None:
        raise KeyError(f"there is no field {name!r} in the answer; ask for it in output_fields")
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
}


def _arrow(name: str, number: int, dimension: int, rows: Hits | Rows) -> pyarrow.Array:
    import pyarrow

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
    if number in _ARROW_TYPES:
        return pyarrow.array(values, getattr(pyarrow, _ARROW_TYPES[DataType(number)])())
    return pyarrow.array(values)
