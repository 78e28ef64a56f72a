"""Iterations: ``next()`` gives a batch, an empty one at the end, as PyMilvus's do; ``for`` works too."""

from __future__ import annotations

from typing import Any, Callable, Iterator

from ..results import Rows, SearchResult

__all__ = ["QueryIterator", "SearchIterator", "SearchPage"]


class QueryIterator:
    """The rows of a query, a batch at a time."""

    _asynchronous = False

    def __init__(self, pages: Any) -> None:
        self._pages = pages

    def next(self) -> list[dict[str, Any]]:
        """The next batch; an empty list after the last."""
        if self._pages is None:
            return []
        answer = self._pages.next(self._asynchronous)
        if answer is None:
            self.close()
            return []
        return Rows(answer)

    def close(self) -> None:
        """Ends the iteration."""
        self._pages = None

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        while batch := self.next():
            yield batch


class SearchPage(list[Any]):
    """A batch of hits."""

    def ids(self) -> list[Any]:
        """The primary keys."""
        return [hit.id for hit in self]

    def distances(self) -> list[float]:
        """The scores."""
        return [hit.distance for hit in self]


class SearchIterator:
    """The hits of a search, a batch at a time."""

    _asynchronous = False

    def __init__(
        self,
        pages: Any,
        limit: int | None,
        round_decimal: int = -1,
        external_filter_func: Callable[[Any], Any] | None = None,
    ) -> None:
        self._pages = pages
        self._left = None if limit is None or limit < 0 else limit
        self._round = round_decimal
        self._filter = external_filter_func

    def next(self) -> SearchPage:
        """The next batch; an empty one after the last."""
        while self._pages is not None and self._left != 0:
            answer = self._pages.next(self._asynchronous)
            if answer is None:
                break
            found = SearchResult(answer, self._round)
            hits: Any = found[0] if found else []
            kept = list(hits if self._filter is None else self._filter(hits))
            if self._left is not None:
                kept = kept[: self._left]
                self._left -= len(kept)
            # A filter may leave nothing of a batch; that is not the end.
            if kept:
                return SearchPage(kept)
        self.close()
        return SearchPage()

    def close(self) -> None:
        """Ends the iteration."""
        self._pages = None

    def __iter__(self) -> Iterator[SearchPage]:
        while batch := self.next():
            yield batch
