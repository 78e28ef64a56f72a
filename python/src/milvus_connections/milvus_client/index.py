"""Indexes under the module name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..index import IndexParam, IndexParams

__all__ = ["IndexParam", "IndexParams"]
