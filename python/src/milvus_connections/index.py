"""What indexes of a collection should be.

>>> params = IndexParams()
>>> params.add_index("vector", index_type="HNSW", metric_type="COSINE", M=16, efConstruction=200)
>>> params[0].to_dict()["M"]
16
"""

from __future__ import annotations

from typing import Any

from .exceptions import ParamError

__all__ = ["IndexParam", "IndexParams"]


class IndexParam:
    """One index: the field, the type, the name, and its parameters."""

    def __init__(self, field_name: str, index_type: str, index_name: str, **kwargs: Any) -> None:
        self._field_name = field_name
        self._index_type = index_type
        self._index_name = index_name
        params = kwargs.pop("params", None) or {}
        if not isinstance(params, dict):
            raise ParamError(message=f"params must be a dict or None, got {type(params).__name__}: {params!r}")
        self._configs: dict[str, Any] = {**params, **kwargs}

    @property
    def field_name(self) -> str:
        """The field."""
        return self._field_name

    @property
    def index_name(self) -> str:
        """The name; empty when the server chooses it."""
        return self._index_name

    @property
    def index_type(self) -> str:
        """The type; empty when the server chooses it."""
        return self._index_type

    def get_index_configs(self) -> dict[str, Any]:
        """Type, metric and parameters in one dict, as they travel."""
        if self._index_type:
            self._configs["index_type"] = self._index_type
        return self._configs

    def to_dict(self) -> dict[str, Any]:
        """Everything in one dict."""
        return {
            "field_name": self._field_name,
            "index_type": self._index_type,
            "index_name": self._index_name,
            **self._configs,
        }

    def __eq__(self, other: object) -> bool:
        if isinstance(other, IndexParam):
            return self.to_dict() == other.to_dict()
        return isinstance(other, dict) and self.to_dict() == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.to_dict())


class IndexParams(list[IndexParam]):
    """The indexes of a collection."""

    def add_index(self, field_name: str, index_type: str = "", index_name: str = "", **kwargs: Any) -> None:
        """Adds an index on a field. ``metric_type`` and the parameters of the type are keyword arguments."""
        self.append(IndexParam(field_name, index_type, index_name, **kwargs))
