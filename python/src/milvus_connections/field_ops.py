"""How fields change in a partial upsert.

>>> FieldOp.array_append()
FieldOp('array_append')
"""

from __future__ import annotations

from typing import Any, Mapping

from .exceptions import ParamError

__all__ = ["FieldOp"]

_NAMES = ("replace", "array_append", "array_remove")


class FieldOp:
    """How a field changes: replaced, or, for an array, lengthened or shortened by the given elements."""

    def __init__(self, op: str) -> None:
        if op not in _NAMES:
            raise ParamError(message=f"no such change of a field: {op}")
        self.op = op

    @classmethod
    def replace(cls) -> FieldOp:
        """The new value replaces the old one."""
        return cls("replace")

    @classmethod
    def array_append(cls) -> FieldOp:
        """The new elements are added to the array."""
        return cls("array_append")

    @classmethod
    def array_remove(cls) -> FieldOp:
        """The elements are taken out of the array."""
        return cls("array_remove")

    def __repr__(self) -> str:
        return f"FieldOp({self.op!r})"


def changes_of(given: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Fields and how they change, as the native function takes them."""
    changes = []
    for field, change in (given or {}).items():
        name = getattr(change, "op", change)
        if not isinstance(name, str):
            raise ParamError(message=f"the change of field {field!r} must be a FieldOp or its name")
        changes.append((field, name.lower()))
    return changes
