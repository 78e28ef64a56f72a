"""The exceptions, with PyMilvus's names, codes and texts.

Every exception is a ``MilvusException``: ``code`` is Milvus's number, ``message`` says what was being done, under which
alias, at which address, what was answered and what to try.

>>> from milvus_connections import connections
>>> try:
...     connections.add_connection(dev={"address": "localhost"})
... except ConnectionConfigException as error:
...     print(error.code, error.alias)
...     print(error.message)
1 dev
the configuration of the alias "dev" can't be used: `address`: Illegal address: localhost, should be in form 'localhost:19530': it has no port
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ErrorCode(IntEnum):
    """Codes that programs compare with."""

    SUCCESS = 0
    UNEXPECTED_ERROR = 1
    RATE_LIMIT = 8
    FORCE_DENY = 9
    COLLECTION_NOT_FOUND = 100
    INDEX_NOT_FOUND = 700


class MilvusException(Exception):
    """What all exceptions of this package are.

    Beyond what PyMilvus's has, it says under which ``alias`` and at which ``address`` it happened, whether a write may have
    been ``applied`` (``"no"``, or ``"unknown"`` when the answer never came), how many ``attempts`` were made, and what to
    try next (``hint``). Each is ``None`` where it says nothing.
    """

    alias: str | None = None
    address: str | None = None
    applied: str | None = None
    attempts: int | None = None
    hint: str | None = None

    def __init__(
        self,
        code: int = ErrorCode.UNEXPECTED_ERROR,
        message: str = "",
        compatible_code: int = ErrorCode.UNEXPECTED_ERROR,
        *,
        is_input_error: bool = False,
        retriable: bool = False,
    ) -> None:
        super().__init__()
        self._code = code
        self._message = message
        self._compatible_code = compatible_code
        self._is_input_error = is_input_error
        self._retriable = retriable

    @property
    def code(self) -> int:
        """Milvus's code; 1 for what this side found out by itself, 2 for a connect that failed."""
        return self._code

    @property
    def message(self) -> str:
        """What happened, in words."""
        return self._message

    @property
    def compatible_code(self) -> int:
        """The code that servers before 2.3 used."""
        return self._compatible_code

    @property
    def is_input_error(self) -> bool:
        """Whether the server blames the request."""
        return self._is_input_error

    @property
    def retriable(self) -> bool:
        """Whether the server says that the same request may succeed later."""
        return self._retriable

    def __str__(self) -> str:
        return f"<{type(self).__name__}: (code={self.code}, message={self.message})>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process boundaries: `multiprocessing` pickles what a worker raises.
        return _restored, (type(self), self.__dict__.copy())


def _restored(kind: type[MilvusException], state: dict[str, Any]) -> MilvusException:
    exception = kind()
    exception.__dict__.update(state)
    return exception


class ParamError(MilvusException):
    """An argument can't be used; nothing was sent."""


class ConnectError(MilvusException):
    """No connection could be made."""


class MilvusUnavailableException(MilvusException):
    """The server can't be reached, or the connection to it broke."""


class CollectionNotExistException(MilvusException):
    """There is no such collection."""


class DescribeCollectionException(MilvusException):
    """A collection can't be described."""


class PartitionAlreadyExistException(MilvusException):
    """There is such a partition already."""


class IndexNotExistException(MilvusException):
    """There is no such index."""


class AmbiguousIndexName(MilvusException):
    """There are several indexes; name one."""


class CannotInferSchemaException(MilvusException):
    """No schema can be read from a data frame."""


class SchemaNotReadyException(MilvusException):
    """A schema is wrong, or lacks a part."""


class DataTypeNotMatchException(MilvusException):
    """A value has another type than its field."""


class DataTypeNotSupportException(MilvusException):
    """A type is not supported."""


class DataNotMatchException(MilvusException):
    """The rows or columns don't fit the schema; nothing was sent."""


class SchemaMismatchRetryableException(MilvusException):
    """The collection has another schema than the one that the request was made for."""


class ConnectionNotExistException(MilvusException):
    """The alias is not connected."""


class ConnectionConfigException(MilvusException):
    """A configuration can't be used; nothing was sent."""


class PrimaryKeyException(MilvusException):
    """The primary key is wrong."""


class PartitionKeyException(MilvusException):
    """The partition key is wrong."""


class ClusteringKeyException(MilvusException):
    """The clustering key is wrong."""


class FieldsTypeException(MilvusException):
    """The fields of a schema are no list of fields."""


class FunctionsTypeException(MilvusException):
    """The functions of a schema are no list of functions."""


class FieldTypeException(MilvusException):
    """A field of a schema is wrong."""


class AutoIDException(MilvusException):
    """``auto_id`` is wrong."""


class InvalidConsistencyLevel(MilvusException):
    """There is no such consistency level."""


class ServerVersionIncompatibleException(MilvusException):
    """The server is too old or too new for the call."""


class ExceptionsMessage:
    """Texts of exceptions about connections, for programs that compare with them."""

    NoHostPort = "connection configuration must contain 'host' and 'port'."
    HostType = "Type of 'host' must be str."
    PortType = "Type of 'port' must be str or int."
    ConnDiffConf = "Alias of %r already creating connections, but the configure is not the same as passed in."
    AliasType = "Alias should be string, but %r is given."
    ConnLackConf = "You need to pass in the configuration of the connection named %r ."
    ConnectFirst = "should create connection first."
