"""``AsyncMilvusClient`` under the module name that programs written for PyMilvus import it by."""

from __future__ import annotations

from ..async_client import AsyncMilvusClient

__all__ = ["AsyncMilvusClient"]
