"""Results under the module name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..results import Hit, Hits, SearchResult

__all__ = ["Hit", "Hits", "SearchResult"]
