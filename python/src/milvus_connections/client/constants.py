"""Numbers and words under the module name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..types import ConsistencyLevel

__all__ = ["DEFAULT_CONSISTENCY_LEVEL", "DYNAMIC_FIELD_NAME", "MAX_BATCH_SIZE", "UNLIMITED", "ConsistencyLevel"]

DEFAULT_CONSISTENCY_LEVEL = ConsistencyLevel.Bounded
DYNAMIC_FIELD_NAME = "$meta"
MAX_BATCH_SIZE = 16384
UNLIMITED = -1
