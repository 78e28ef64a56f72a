"""The registry of named connections, with the verbs of PyMilvus's ``connections``.

>>> from milvus_connections import connections
>>> connections.add_connection(
...     default={"address": "localhost:19530"},
...     dev={"host": "localhost", "port": 19543},
... )
>>> connections.get_connection_addr("dev")
{'address': 'localhost:19543', 'user': ''}
"""

from __future__ import annotations

from json import loads
from os import environ
from typing import Any, Iterator, Mapping

from . import _native
from .exceptions import ConnectionConfigException
from .observation import Diagnosis, Events, Explanation, Status

__all__ = ["Connections", "GrpcHandler", "connections"]


class _DefaultDatabase(str):
    """The text ``default`` where nobody has said it: a database in a URI then counts."""

    __slots__ = ()


_NOT_GIVEN = _DefaultDatabase("default")

# What `MILVUS_CONN_ALIAS` said when this module was imported, as in PyMilvus.
_DEFAULT_ALIAS = environ.get("MILVUS_CONN_ALIAS") or "default"


class GrpcHandler:
    """The handle of a connected alias, as ``list_connections`` shows it.

    It has the name that programs written for PyMilvus look at. It always stands for the alias's present connection.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: _native.Connection) -> None:
        self._connection = connection

    @property
    def alias(self) -> str:
        """The alias."""
        return self._connection.alias

    @property
    def server_address(self) -> str:
        """The address, such as ``localhost:19530``."""
        return self._connection.address

    @property
    def state(self) -> str:
        """``connecting``, ``ready``, ``down``, ``closing``, ``closed``, or ``not connected``."""
        return self._connection.state

    def get_server_version(self) -> str:
        """The server's version; empty when it does not say."""
        return self._connection.server_version

    def status(self) -> Status | None:
        """The connection at this moment: channels, calls in flight, last error; ``None`` when there is none."""
        return Status.from_json(self._connection.status())

    def __repr__(self) -> str:
        return f"<GrpcHandler alias={self.alias!r} address={self.server_address!r} state={self.state!r}>"


class _Singleton(type):
    """``Connections()`` is the process's registry, however often it is called."""

    _instance: Connections | None = None

    def __call__(cls) -> Connections:
        if cls._instance is None:
            cls._instance = super().__call__()
        return cls._instance


class Connections(metaclass=_Singleton):
    """A registry of named connections to Milvus.

    ``connections`` is the one that a process shares; ``Connections()`` returns it. ``Connections.isolated()`` makes a private
    one, which reads neither the environment nor a profile file.

    A registry is a context manager: it disconnects all its aliases at the end.

    >>> with Connections.isolated() as private:
    ...     private.add_connection(dev={"address": "localhost:19530"})
    ...     private.get_connection_addr("dev")
    {'address': 'localhost:19530', 'user': ''}
    """

    _registry: _native.Registry
    _handlers: dict[str, GrpcHandler]

    def __init__(self) -> None:
        self._registry = _native.Registry()
        self._handlers = {}

    @classmethod
    def isolated(cls) -> Connections:
        """A registry of one's own, which knows what it is told and nothing else."""
        registry = cls.__new__(cls)
        registry._registry = _native.Registry(isolated=True)
        registry._handlers = {}
        return registry

    def add_connection(self, **kwargs: Mapping[str, Any]) -> None:
        """Registers the configurations of aliases. Touches no network.

        The name of each argument is an alias, its value a mapping with one or more of ``address``, ``uri``, ``host``,
        ``port``, ``user``, ``password``, ``token``; beyond PyMilvus also ``db_name``, ``secure``, ``ca_pem_path``,
        ``client_pem_path``, ``client_key_path``, ``server_pem_path``, ``server_name``, and the options of a connection, such
        as ``timeout``, ``call_timeout`` and ``max_channels`` (seconds and counts). All of it is kept for ``connect``.

        >>> connections.add_connection(
        ...     local={"uri": "http://localhost:19530"},
        ...     cloud={"uri": "https://in01-0123.api.example.com", "token": "an-api-key"},
        ... )
        >>> connections.get_connection_addr("cloud")
        {'address': 'in01-0123.api.example.com:443', 'user': '', 'secure': True}

        Raises ``ConnectionConfigException`` for a configuration that can't be used, with the alias and the field; entries
        before it stay, entries after it are not applied. And for an alias that is connected to another address.
        """
        for alias, config in kwargs.items():
            if not isinstance(config, Mapping):
                raise ConnectionConfigException(
                    message=f"the configuration of the alias {alias!r} must be a mapping such as "
                    f"{{'address': 'localhost:19530'}}, and a value of type {type(config).__name__} is given"
                )
            self._registry.add(alias, dict(config))

    def connect(
        self,
        alias: str = _DEFAULT_ALIAS,
        user: str = "",
        password: str = "",
        db_name: str = _NOT_GIVEN,
        token: str = "",
        **kwargs: Any,
    ) -> None:
        """Connects an alias, and returns when Milvus has answered with these credentials.

        With an ``address``, a ``uri``, or ``host`` and ``port``, the alias is connected to it and remembers it; without, it
        is connected as it was registered or connected before. All fields of ``add_connection`` can be given.

        Connecting again with the same configuration keeps the connection that is there.

        Raises ``ConnectionConfigException`` for what can't be used, and ``MilvusException`` with code 2 when no connection
        could be made: its message says why. The alias is then forgotten, as PyMilvus does.
        """
        self._connect(False, alias, user, password, db_name, token, kwargs)

    async def async_connect(
        self,
        alias: str = _DEFAULT_ALIAS,
        user: str = "",
        password: str = "",
        db_name: str = _NOT_GIVEN,
        token: str = "",
        **kwargs: Any,
    ) -> None:
        """As ``connect``, for asyncio. Cancelling it ends the connect, unless somebody else waits for the same one."""
        await self._connect(True, alias, user, password, db_name, token, kwargs)

    def _connect(
        self,
        asynchronous: bool,
        alias: str,
        user: str,
        password: str,
        db_name: str,
        token: str,
        options: dict[str, Any],
    ) -> Any:
        given = {**options, "user": user, "password": password, "token": token}
        if db_name is not _NOT_GIVEN:
            given["db_name"] = db_name
        return self._registry.connect(alias, given, asynchronous)

    def disconnect(self, alias: str) -> None:
        """Lets an alias's calls in flight finish, for a bounded time, and closes its connection. Its configuration stays.

        An alias that is unknown or not connected is fine.
        """
        self._registry.disconnect(alias, False, False)

    async def async_disconnect(self, alias: str) -> None:
        """As ``disconnect``, for asyncio."""
        await self._registry.disconnect(alias, False, True)

    def remove_connection(self, alias: str) -> None:
        """As ``disconnect``, and forgets the alias's configuration."""
        self._registry.disconnect(alias, True, False)

    async def async_remove_connection(self, alias: str) -> None:
        """As ``remove_connection``, for asyncio."""
        await self._registry.disconnect(alias, True, True)

    def has_connection(self, alias: str) -> bool:
        """Whether the alias has a live connection; being registered is not enough."""
        return self._registry.has(alias)

    def list_connections(self) -> list[tuple[str, GrpcHandler | None]]:
        """All aliases in the order in which they were first added, each with its handle when it is connected."""
        return [
            (alias, self._handler(alias) if connected else None)
            for alias, connected in self._registry.list()
        ]

    def get_connection_addr(self, alias: str) -> dict[str, Any]:
        """Where an alias leads, and as whom; ``{}`` when it is not known. Never a password, a token or key material."""
        address = self._registry.address(alias)
        return {} if address is None else loads(address)

    def _fetch_handler(self, alias: str = _DEFAULT_ALIAS) -> GrpcHandler:
        """The handle of a connected alias; raises ``ConnectionNotExistException`` when it is not connected."""
        return GrpcHandler(self._registry.get(alias))

    def _handler(self, alias: str) -> GrpcHandler | None:
        handler = self._handlers.get(alias)
        if handler is None:
            handler = self._handlers[alias] = GrpcHandler(self._registry.get(alias))
        return handler

    def status(self, alias: str | None = None) -> Any:
        """An alias and its connection at this moment, or, without an alias, the status of each.

        >>> connections.add_connection(dev={"host": "localhost", "port": 19543})
        >>> connections.status("dev").state
        'configured'

        ``None`` for an alias that is not known.
        """
        if alias is None:
            return Status.list_from_json(self._registry.status())
        return Status.from_json(self._registry.status(alias))

    def explain(self, alias: str = _DEFAULT_ALIAS, **kwargs: Any) -> Explanation:
        """Every value of an alias's configuration, with where it comes from; for a connect with ``kwargs``.

        >>> connections.add_connection(cloud={"uri": "https://cloud.example.com", "token": "hidden"})
        >>> explanation = connections.explain("cloud", timeout=5)
        >>> explanation["token"]
        Setting(name='token', value='set', source='entry, `token`')
        >>> explanation["timeout"].source
        'argument, `timeout`'
        """
        return Explanation.from_native(*self._registry.explain(alias, kwargs))

    def diagnose(self, alias: str = _DEFAULT_ALIAS, **kwargs: Any) -> Diagnosis:
        """Walks from the configuration to the server's version, and says at which step it fails and what to do.

        Uses a connection of its own, and changes nothing.
        """
        return Diagnosis.from_json(self._registry.diagnose(alias, kwargs, False))

    async def async_diagnose(self, alias: str = _DEFAULT_ALIAS, **kwargs: Any) -> Diagnosis:
        """As ``diagnose``, for asyncio."""
        return Diagnosis.from_json(await self._registry.diagnose(alias, kwargs, True))

    def events(self, timeout: float | None = None) -> Events:
        """What changes from now on, for ``for`` and for ``async for``; ends when nothing happens for ``timeout`` seconds.

        >>> private = Connections.isolated()
        >>> events = private.events(timeout=1)
        >>> private.add_connection(dev={"address": "localhost:19530"})
        >>> next(events)
        Event(alias='dev', change='added')
        """
        return Events(self._registry.events(), timeout)

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        for alias, _connected in self._registry.list():
            self.disconnect(alias)

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *_: object) -> None:
        for alias, _connected in self._registry.list():
            await self.async_disconnect(alias)

    def __iter__(self) -> Iterator[str]:
        return (alias for alias, _connected in self._registry.list())

    def __repr__(self) -> str:
        aliases = ", ".join(
            f"{alias!r}: {'connected' if connected else 'configured'}"
            for alias, connected in self._registry.list()
        )
        return f"<Connections {{{aliases}}}>"


connections = Connections()
