"""``MilvusClient`` under the module name that programs written for PyMilvus import it by."""

from __future__ import annotations

from ..client import MilvusClient

__all__ = ["MilvusClient"]
