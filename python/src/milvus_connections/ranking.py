"""The parts of a hybrid search: its searches, and how their hits are merged.

>>> WeightedRanker(0.3, 0.7).dict()
{'strategy': 'weighted', 'params': {'weights': [0.3, 0.7], 'norm_score': True}}
"""

from __future__ import annotations

from typing import Any

from .exceptions import DataTypeNotMatchException, ParamError

__all__ = ["AnnSearchRequest", "BaseRanker", "RRFRanker", "WeightedRanker"]


class BaseRanker:
    """How the hits of several searches become one list."""

    def dict(self) -> dict[str, Any]:
        """The strategy and its parameters."""
        return {}

    def __str__(self) -> str:
        return str(self.dict())


class RRFRanker(BaseRanker):
    """Reciprocal rank fusion: a hit counts ``1 / (k + rank)`` in each search."""

    def __init__(self, k: int = 60) -> None:
        self._k = k

    def dict(self) -> dict[str, Any]:
        return {"strategy": "rrf", "params": {"k": self._k}}


class WeightedRanker(BaseRanker):
    """The weighted sum of scores, a weight for each search."""

    def __init__(self, *nums: float, norm_score: bool = True) -> None:
        for weight in nums:
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise TypeError(f"Weight must be a number, got {type(weight)}")
        self._weights = list(nums)
        self._norm_score = norm_score

    def dict(self) -> dict[str, Any]:
        return {"strategy": "weighted", "params": {"weights": self._weights, "norm_score": self._norm_score}}


class AnnSearchRequest:
    """One search of a hybrid search."""

    def __init__(
        self,
        data: Any,
        anns_field: str,
        param: dict[str, Any],
        limit: int,
        expr: str | None = None,
        expr_params: dict[str, Any] | None = None,
        filter: str | None = None,
    ) -> None:
        if expr is not None and filter is not None:
            raise ParamError(message="Provide either 'expr' or 'filter', not both.")
        chosen = expr if filter is None else filter
        if chosen is not None and not isinstance(chosen, str):
            raise DataTypeNotMatchException(message=f"The type of expr must be string ,but {type(chosen)!r} is given.")
        self._data = data
        self._anns_field = anns_field
        self._param = param
        self._limit = limit
        self._expr = chosen
        self._expr_params = expr_params

    @property
    def data(self) -> Any:
        """The vectors or texts."""
        return self._data

    @property
    def anns_field(self) -> str:
        """The vector field."""
        return self._anns_field

    @property
    def param(self) -> dict[str, Any]:
        """The parameters of the search."""
        return self._param

    @property
    def limit(self) -> int:
        """How many hits it brings in."""
        return self._limit

    @property
    def expr(self) -> str | None:
        """The filter."""
        return self._expr

    @property
    def filter(self) -> str | None:
        """The filter."""
        return self._expr

    @property
    def expr_params(self) -> dict[str, Any] | None:
        """The values of the filter's placeholders."""
        return self._expr_params

    def __str__(self) -> str:
        return str({"anns_field": self.anns_field, "param": self.param, "limit": self.limit, "expr": self.expr})
