"""Rows on their way into a write: checked and put into columns, beside the event loop when there are many."""

from __future__ import annotations

from typing import Any

from .tables import columns_of

__all__ = ["prepared", "prepared_beside"]

# Rows that are prepared on the event loop itself: handing them to another thread would take longer.
_FEW = 128


def prepared(schema: Any, data: Any, upsert: bool | None) -> Any:
    """Rows that fit the schema, for one write; raises ``DataNotMatchException`` for others."""
    columns = columns_of(data)
    if columns is None:
        return schema.prepare(data, False, upsert)
    return schema.prepare(columns, True, upsert)


async def prepared_beside(schema: Any, data: Any, upsert: bool | None) -> Any:
    """As ``prepared``. Many rows are prepared on a thread of their own: event loops have other things to do meanwhile."""
    if rows_at_most(data) <= _FEW:
        return prepared(schema, data, upsert)
    from asyncio import to_thread

    return await to_thread(prepared, schema, data, upsert)


def rows_at_most(data: Any) -> int:
    """A bound of the number of rows that costs nothing to find."""
    if not isinstance(data, dict):
        return len(data) if hasattr(data, "__len__") else _FEW + 1
    most = _FEW + 1
    for value in data.values():
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            # No column: the dict is one row.
            return 1
        most = min(most, len(value))
    return most
