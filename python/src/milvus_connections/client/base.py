"""What all verbs of a client share: the connection, its database, and the options of a call."""

from __future__ import annotations

from typing import Any, ClassVar, Mapping, NoReturn, Tuple

from .. import _native as native
from ..exceptions import MilvusException, ParamError
from ..index import IndexParams
from ..schema import CollectionSchema, FieldSchema, StructFieldSchema
from ..types import ConsistencyLevel, DataType, consistency_level

__all__ = ["ClientBase"]

# Seconds, the id under which the server traces the call, whether it is awaited.
Options = Tuple[Any, Any, bool]

_DEFAULT_URI = "http://localhost:19530"
# What PyMilvus's clients take and this one has no use for.
_UNUSED = ("dedicated", "cluster_id")


class ClientBase:
    """What a client knows without asking anybody."""

    _asynchronous: ClassVar[bool] = False

    def __init__(
        self,
        uri: str = _DEFAULT_URI,
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        self._native: native.Connection | None = None
        self._closed = False
        self._database = db_name
        self._alias: str | None = kwargs.pop("alias", None)
        # What programs written for PyMilvus tell clients apart by.
        self._using = self._alias or f"cm-{id(self)}"
        given = {"uri": uri, "user": user, "password": password, "token": token, "db_name": db_name, "timeout": timeout}
        given = {name: value for name, value in given.items() if value not in ("", None)}
        self._given = {**{name: value for name, value in kwargs.items() if name not in _UNUSED}, **given}

    def _alias_arguments(self) -> dict[str, Any]:
        """What beside the alias says where to connect; the database is chosen on the connection."""
        given = {name: value for name, value in self._given.items() if name != "db_name"}
        if given.get("uri") == _DEFAULT_URI:
            del given["uri"]
        return given

    def _in_database(self, connection: native.Connection) -> native.Connection:
        return connection.using_database(self._database) if self._database else connection

    def _opened(self, connection: native.Connection) -> native.Connection:
        # Two tasks may have opened a connection at the same time: the first one stays.
        if self._native is None:
            self._native = connection
        return self._native

    def _check_open(self) -> None:
        if self._closed:
            raise MilvusException(message="should create connection first")

    def _options(self, timeout: float | None, kwargs: Mapping[str, Any]) -> Options:
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
            raise ParamError(message=f"timeout value {timeout} is illegal")
        request_id = kwargs.get("client_request_id") or kwargs.get("client-request-id") or None
        return timeout, request_id, self._asynchronous

    @property
    def database(self) -> str:
        """The database that this client works in."""
        if self._native is not None:
            return self._native.database
        return self._database or "default"

    @property
    def connection(self) -> native.Connection | None:
        """The connection: its address, its state, its status. ``None`` before an asynchronous client's first call."""
        return self._native

    def get_server_type(self) -> str:
        """``"zilliz"`` for Zilliz Cloud, else ``"milvus"``.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-get_server_type")
        >>> client.get_server_type()
        'milvus'
        """
        address = self._native.address if self._native is not None else str(self._given.get("uri", ""))
        return "zilliz" if "zilliz" in address.lower() else "milvus"

    @property
    def is_self_hosted(self) -> bool:
        """Whether this is not Zilliz Cloud."""
        return self.get_server_type() == "milvus"

    @classmethod
    def create_schema(cls, **kwargs: Any) -> CollectionSchema:
        """An empty schema, to which fields are added.

        >>> from milvus_connections import MilvusClient
        >>> schema = MilvusClient.create_schema(enable_dynamic_field=True)
        >>> len(schema.add_field("id", DataType.INT64, is_primary=True))
        1
        """
        kwargs["check_fields"] = False
        return CollectionSchema([], **kwargs)

    @classmethod
    def create_struct_field_schema(cls, **kwargs: Any) -> StructFieldSchema:
        """An empty struct, to which fields are added.

        >>> from milvus_connections import DataType, MilvusClient
        >>> client = MilvusClient("memory:example-create_struct_field_schema")
        >>> part = client.create_struct_field_schema()
        >>> part.add_field("text", DataType.VARCHAR, max_length=100).fields[0].name
        'text'
        """
        return StructFieldSchema(**kwargs)

    @classmethod
    def create_field_schema(cls, name: str, data_type: DataType, desc: str = "", **kwargs: Any) -> FieldSchema:
        """A field; the keyword arguments are those of ``FieldSchema``.

        >>> from milvus_connections import DataType, MilvusClient
        >>> client = MilvusClient("memory:example-create_field_schema")
        >>> client.create_field_schema("title", DataType.VARCHAR, max_length=100).name
        'title'
        """
        return FieldSchema(name, data_type, desc, **kwargs)

    @classmethod
    def prepare_index_params(cls, field_name: str = "", **kwargs: Any) -> IndexParams:
        """Indexes, with one on ``field_name`` when it is given; others are added by ``add_index``.

        >>> from milvus_connections import MilvusClient
        >>> params = MilvusClient.prepare_index_params()
        >>> params.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        """
        params = IndexParams()
        if field_name:
            checked("field_name", field_name, str)
            params.add_index(field_name, **kwargs)
        return params

    def __repr__(self) -> str:
        name = type(self).__name__
        if self._closed:
            return f"<{name} closed>"
        if self._native is None:
            return f"<{name} not connected yet>"
        return f"<{name} address={self._native.address!r} database={self.database!r} state={self._native.state!r}>"


def checked(name: str, value: Any, kind: type) -> None:
    """Refuses a missing argument and one of the wrong type, with PyMilvus's texts."""
    if value is None:
        raise ParamError(message=f"missing required argument: [{name}]")
    if not isinstance(value, kind):
        raise ParamError(
            message=f"wrong type of argument [{name}], expected type: [{kind.__name__}], got type: [{type(value).__name__}]"
        )


def named(**names: Any) -> None:
    """Refuses what is no name: an empty one, or no text at all."""
    for name, value in names.items():
        if not isinstance(value, str) or not value:
            raise ParamError(message=f"`{name}` value {value} is illegal")


def level_of(kwargs: Mapping[str, Any]) -> tuple[int, int] | None:
    """The consistency level among keyword arguments, as the native functions take it."""
    level = kwargs.get("consistency_level")
    if level is None:
        return None
    number = consistency_level(level)
    timestamp = kwargs.get("guarantee_timestamp", 1) if number == ConsistencyLevel.Customized else 0
    return number, timestamp


# Keyword arguments by which PyMilvus does something else and which are not there, with what to use.
_REFUSED = {
    "_async": "use AsyncMilvusClient, or a thread of your own",
    "_callback": "use AsyncMilvusClient, or a thread of your own",
    "namespace": "use a field with is_partition_key=True, and a filter on it",
    "iterator_cp_file": "remember the last primary key, and go on with a filter",
    "is_embedding_list": "search with one vector for each query",
}


def refuse(kwargs: Mapping[str, Any]) -> None:
    """Refuses what would change the answer and is not there, instead of leaving it out."""
    for name in kwargs.keys() & _REFUSED.keys():
        if kwargs[name]:
            raise ParamError(message=f"`{name}` is not part of milvus_connections; {_REFUSED[name]}")


def texts_of(name: str, given: Any) -> list[str]:
    """A list of texts; one text is a list of itself."""
    if given is None:
        return []
    items = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(item, str) for item in items):
        raise ParamError(message=f"`{name}` value {given} is illegal")
    return items


def not_there(what: str, instead: str) -> NoReturn:
    """For what PyMilvus has and this package has not."""
    raise MilvusException(message=f"{what} is not part of milvus_connections; {instead}")
