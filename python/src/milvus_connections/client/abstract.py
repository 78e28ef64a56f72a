"""Searches, rankers and results under the module name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..ranking import AnnSearchRequest, BaseRanker, RRFRanker, WeightedRanker
from ..results import Hit, Hits, SearchResult

__all__ = ["AnnSearchRequest", "BaseRanker", "Hit", "Hits", "RRFRanker", "SearchResult", "WeightedRanker"]
