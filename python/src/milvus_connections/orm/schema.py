"""Schemas and functions under the module name that programs written for PyMilvus import them by."""

from __future__ import annotations

from ..functions import Function, FunctionScore
from ..schema import CollectionSchema, FieldSchema, StructFieldSchema

__all__ = ["CollectionSchema", "FieldSchema", "Function", "FunctionScore", "StructFieldSchema"]
