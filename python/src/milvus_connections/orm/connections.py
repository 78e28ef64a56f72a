"""The registry under the module name that programs written for PyMilvus import it by."""

from __future__ import annotations

from ..registry import Connections, connections

__all__ = ["Connections", "connections"]
