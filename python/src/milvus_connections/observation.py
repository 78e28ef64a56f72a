"""What can be asked of a registry beyond its verbs: status, explanation, diagnosis and events, as objects that print well.

Each is made from what the native module says in JSON, which never holds a secret.
"""

from __future__ import annotations

from json import loads
from typing import Any, AsyncIterator, Iterator, Mapping, NamedTuple

from . import _native

__all__ = ["Diagnosis", "DiagnosisStep", "Event", "Events", "Explanation", "Setting", "Status"]


class _Record(Mapping[str, Any]):
    """A mapping whose keys are attributes too; records inside it are records."""

    __slots__ = ("_values",)

    _values: dict[str, Any]

    def __init__(self, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", values)

    def __getitem__(self, key: str) -> Any:
        return _wrapped(self._values[key])

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(self._values)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} can't be changed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._values,)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and lists, ready for ``json.dumps``."""
        return dict(self._values)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self._values.items() if value is not None)
        return f"{type(self).__name__}({shown})"


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return Status(value)
    if isinstance(value, list):
        return [_wrapped(entry) for entry in value]
    return value


class Status(_Record):
    """A snapshot: of an alias (``alias``, ``address``, ``database``, ``state``, ``last_error``, ``connection``), or of its
    connection (``state``, ``server``, ``channels``, ``calls_in_flight``, ``last_error`` and more).
    """

    __slots__ = ()

    @classmethod
    def from_json(cls, text: str | None) -> Status | None:
        """The status that the native module told; ``None`` for none."""
        values = None if text is None else loads(text)
        return None if values is None else cls(values)

    @classmethod
    def list_from_json(cls, text: str | None) -> list[Status]:
        """The statuses that the native module told."""
        return [cls(values) for values in loads(text or "[]")]


class Setting(NamedTuple):
    """A value of a configuration; ``set`` for a secret."""

    name: str
    value: Any
    source: str


class Explanation(Mapping[str, Setting]):
    """Every value of a configuration by its name. ``print`` shows a table."""

    __slots__ = ("_settings", "_table", "alias", "unused")

    alias: str
    unused: list[dict[str, str]]

    def __init__(self, values: dict[str, Any], table: str) -> None:
        self.alias = values["alias"]
        self.unused = values["unused"]
        self._settings = {setting["name"]: Setting(**setting) for setting in values["settings"]}
        self._table = table

    @classmethod
    def from_native(cls, text: str, table: str) -> Explanation:
        """The explanation that the native module told."""
        return cls(loads(text), table)

    def __getitem__(self, name: str) -> Setting:
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def __str__(self) -> str:
        return self._table

    def __repr__(self) -> str:
        return f"<Explanation of alias {self.alias!r}: {len(self)} settings; print() shows them>"


class DiagnosisStep(_Record):
    """One step: ``step``, ``outcome`` (``passed``, ``not_needed``, ``failed`` or ``not_reached``), ``micros``, ``detail``,
    and for a failure its ``meaning``, its ``hint`` and the server's ``answer``.
    """

    __slots__ = ()


class Diagnosis(_Record):
    """The steps from a configuration to Milvus's version, for each of the target's ``endpoints``. True when all is well.

    ``print`` shows the steps, and what to do about the one that failed.
    """

    __slots__ = ()

    @classmethod
    def from_json(cls, text: str) -> Diagnosis:
        """The diagnosis that the native module told."""
        return cls(loads(text))

    @property
    def steps(self) -> list[DiagnosisStep]:
        """The steps of all endpoints, in the order in which they were made."""
        return [DiagnosisStep(step) for endpoint in self._values["endpoints"] for step in endpoint["steps"]]

    @property
    def first_failure(self) -> DiagnosisStep | None:
        """The step that failed first; ``None`` when all is well."""
        return next((step for step in self.steps if step["outcome"] == "failed"), None)

    def __bool__(self) -> bool:
        return bool(self._values["healthy"])

    def __str__(self) -> str:
        lines = [f"alias {self._values['alias']!r} at {self._values['address']}"]
        for step in self.steps:
            if step["outcome"] in ("passed", "failed"):
                lines.append(f"  {step['step']:14}  {step['outcome']:6}  {step['detail']}".rstrip())
        failure = self.first_failure
        if failure is not None:
            lines += [f"  {text}" for text in (failure["meaning"], failure["hint"]) if text]
        return "\n".join(lines)

    def __repr__(self) -> str:
        failure = self.first_failure
        found = "all is well" if failure is None else f"{failure['step']} failed: {failure['meaning']}"
        return f"<Diagnosis of alias {self._values['alias']!r} at {self._values['address']}: {found}>"


class Event:
    """A change in a registry: its ``alias``, what ``change`` it was, when (``at``, seconds since 1970), and its details."""

    __slots__ = ("alias", "at", "change", "details")

    alias: str
    change: str
    at: float
    details: dict[str, Any]

    def __init__(self, values: dict[str, Any]) -> None:
        self.details = dict(values)
        self.alias = self.details.pop("alias")
        self.change = self.details.pop("change")
        self.at = self.details.pop("at")

    def __repr__(self) -> str:
        details = "".join(f", {name}={value!r}" for name, value in self.details.items())
        return f"Event(alias={self.alias!r}, change={self.change!r}{details})"


class Events(Iterator[Event], AsyncIterator[Event]):
    """The changes of a registry since this was made. A reader that falls far behind gets an event ``missed``."""

    __slots__ = ("_events", "_timeout")

    def __init__(self, events: _native.Events, timeout: float | None) -> None:
        self._events = events
        self._timeout = timeout

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        text = self._events.next(self._timeout, False)
        if text is None:
            raise StopIteration
        return Event(loads(text))

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        text = await self._events.next(self._timeout, True)
        if text is None:
            raise StopAsyncIteration
        return Event(loads(text))

    def __repr__(self) -> str:
        return "<Events of a registry>"
