"""Clients and indexes under the module name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..async_client import AsyncMilvusClient
from ..client import MilvusClient
from ..index import IndexParams

__all__ = ["AsyncMilvusClient", "IndexParams", "MilvusClient"]
