"""What searches and queries are given, put into the shape that the native functions take."""

from __future__ import annotations

from typing import Any, Mapping

from .exceptions import DataTypeNotMatchException, MilvusException, ParamError
from .functions import Function, FunctionScore
from .ranking import AnnSearchRequest, BaseRanker
from .types import DataType, OmitZeroDict

__all__ = ["beyond_keys", "hybrid_arguments", "keys_filter", "query_arguments", "search_arguments", "written"]

# Parts of `search_params` and of keyword arguments that stand beside the parameters of the index.
_BESIDE = ("hints", "analyzer_name")
_NAMED = (
    "group_by_field",
    "group_size",
    "strict_group_size",
    "json_path",
    "strict_cast",
    "timezone",
    "time_fields",
)
# What PyMilvus has and this package has not, with what to use.
_MISSING = {
    "search_aggregation": "use group_by_field",
    "function_chains": "use a ranker",
    "highlighter": "mark the terms in the texts that come back",
}


def expression(given: Any) -> str:
    """A filter that is given, or none."""
    if given is not None and not isinstance(given, str):
        raise DataTypeNotMatchException(message=f"The type of expr must be string ,but {type(given)!r} is given.")
    return given or ""


def texts(name: str, given: Any) -> list[str]:
    """A list of texts that may be left out."""
    if given is None:
        return []
    if not isinstance(given, (list, tuple)) or not all(isinstance(item, str) for item in given):
        raise ParamError(message=f"`{name}` value {given} is illegal")
    return list(given)


def count(name: str, given: Any) -> int | None:
    """A number of rows that may be left out."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise ParamError(message=f"wrong type for {name}, expect int, got {type(given)}")
    if given < 0:
        raise ParamError(message=f"`{name}` value {given} is illegal")
    return given


def most(given: Any) -> int:
    """How many hits come back at most."""
    if isinstance(given, bool) or not isinstance(given, int) or given <= 0:
        raise ParamError(message=f"`limit` value {given} is illegal")
    return given


def refuse_missing(given: Mapping[str, Any]) -> None:
    """Refuses what is not there, instead of searching without it."""
    for name, instead in _MISSING.items():
        if given.get(name):
            raise MilvusException(message=f"{name} is not part of milvus_connections; {instead}")


def order(given: Any) -> str:
    """Fields to order by, as servers want them."""
    if isinstance(given, str):
        return given
    fields = []
    for item in given:
        if isinstance(item, dict):
            if not item.get("field"):
                raise ParamError(message="Invalid order_by_fields item: 'field' key is required and cannot be empty")
            fields.append(f"{item['field']}:{item.get('order', 'asc')}")
        else:
            fields.append(str(item))
    return ",".join(fields)


# What a query of rows by primary key can do that `get` can't.
_BEYOND_KEYS = frozenset(
    ("limit", "offset", "ignore_growing", "order_by_fields", "order_by", "group_by_fields", "timezone", "time_fields")
)


def beyond_keys(kwargs: Mapping[str, Any]) -> bool:
    """Whether rows by primary key are to be ordered, counted off or grouped, which is a query's work."""
    return any(kwargs[name] for name in kwargs.keys() & _BEYOND_KEYS)


def keys_filter(primary_key: tuple[str, int] | None, keys: list[Any]) -> str:
    """The filter that says primary keys.

    >>> keys_filter(("id", 5), [1, 2]), keys_filter(("name", 21), ["a", 'b"'])
    ('id in [1,2]', 'name in ["a","b\\\\""]')
    """
    name, number = primary_key or ("id", DataType.INT64)
    if number != DataType.VARCHAR:
        wrong = next((key for key in keys if isinstance(key, bool) or not hasattr(key, "__index__")), None)
        if wrong is not None:
            raise ParamError(message=f"`ids` are the numbers of the primary key {name}, not {type(wrong).__name__}")
        return f"{name} in [{','.join(str(key.__index__()) for key in keys)}]"
    escaped = (str(key).replace("\\", "\\\\").replace('"', '\\"') for key in keys)
    return f"{name} in [{','.join(f'{chr(34)}{key}{chr(34)}' for key in escaped)}]"


_JSON_TYPES = {
    DataType.INT8: "Int8",
    DataType.INT16: "Int16",
    DataType.INT32: "Int32",
    DataType.INT64: "Int64",
    DataType.BOOL: "Bool",
    DataType.VARCHAR: "VarChar",
    DataType.STRING: "VarChar",
}


def json_type(given: Any) -> str:
    """The type that values of JSON are grouped as, in a server's word."""
    name = _JSON_TYPES.get(given)
    if name is None:
        raise ParamError(message=f"Unsupported json cast type: {given}")
    return name


def query_arguments(
    collection_name: str,
    filter: Any,
    output_fields: Any,
    partition_names: Any,
    level: Any,
    kwargs: Mapping[str, Any],
) -> tuple[Any, ...]:
    """The arguments of a query, in the order in which the native function takes them."""
    if output_fields is not None and not isinstance(output_fields, (list, tuple)):
        raise ParamError(message="Invalid query format. 'output_fields' must be a list")
    parameters = {name: kwargs[name] for name in ("timezone", "time_fields") if kwargs.get(name) is not None}
    ordered = kwargs.get("order_by_fields") or kwargs.get("order_by")
    if ordered:
        parameters["order_by_fields"] = order(ordered)
    grouped = kwargs.get("group_by_fields") or []
    if not isinstance(grouped, list):
        raise TypeError("group_by_fields must be a list")
    if grouped:
        parameters["group_by_fields"] = ",".join(grouped)
    return (
        collection_name,
        expression(filter),
        kwargs.get("filter_params") or None,
        texts("output_fields", output_fields),
        texts("partition_names", partition_names),
        count("limit", kwargs.get("limit")),
        count("offset", kwargs.get("offset")),
        bool(kwargs.get("ignore_growing", False)),
        level,
        parameters,
    )


def _ann(
    data: Any,
    ids: Any,
    field: str | None,
    filter: str,
    filter_params: Any,
    limit: Any,
    param: Mapping[str, Any] | None,
    kwargs: Mapping[str, Any],
) -> tuple[Any, ...]:
    if not param and not kwargs:
        # Most searches: nothing beyond the vectors, a filter and a limit.
        return data, ids, field or None, filter, filter_params or None, most(limit), None, -1, False, {}, {}
    param = dict(param or {})
    params = param.pop("params", None) or {}
    if not isinstance(params, dict):
        raise ParamError(message=f"Search params must be a dict, got {type(params)}")
    params = dict(params)
    more: dict[str, Any] = {name: param[name] for name in _BESIDE if param.get(name) is not None}
    more.update({name: kwargs[name] for name in _NAMED if kwargs.get(name) is not None})
    if "offset" in kwargs and "offset" in param:
        raise ParamError(message="Provide offset both in kwargs and param, expect just one")
    offset = count("offset", kwargs.get("offset") or param.get("offset"))
    if offset:
        more["offset"] = offset
    if kwargs.get("group_by_fields"):
        more["group_by_fields"] = ",".join(kwargs["group_by_fields"])
    if kwargs.get("order_by_fields"):
        more["order_by_fields"] = order(kwargs["order_by_fields"])
    if kwargs.get("json_type") is not None:
        more["json_type"] = json_type(kwargs["json_type"])
    retain = kwargs.get("page_retain_order", param.get("page_retain_order"))
    if retain is not None:
        params["page_retain_order"] = retain
    metric_type = param.get("metric_type")
    for key, value in param.items():
        # PyMilvus takes parameters of the index on both levels, and refuses two values of one.
        if key in params and params[key] != value:
            raise ParamError(
                message=f"ambiguous parameter: {key}, in search_param: {value}, in search_param.params: {params[key]}"
            )
        params.setdefault(key, value)
    ignore_growing = params.pop("ignore_growing", False) or kwargs.get("ignore_growing", False)
    for key in ("offset", "metric_type", *_BESIDE):
        params.pop(key, None)
    return (
        data,
        ids,
        field or None,
        filter,
        filter_params or None,
        most(limit),
        metric_type or None,
        kwargs.get("round_decimal", -1),
        bool(ignore_growing),
        params,
        more,
    )


def _target(
    collection_name: str, output_fields: Any, partition_names: Any, level: Any, functions: list[Function], score: Any
) -> tuple[Any, ...]:
    return (
        collection_name,
        texts("output_fields", output_fields),
        texts("partition_names", partition_names),
        level,
        [function._native() for function in functions],
        score or {},
    )


def search_arguments(
    collection_name: str,
    data: Any,
    ids: Any,
    anns_field: Any,
    filter: Any,
    limit: Any,
    output_fields: Any,
    search_params: Any,
    partition_names: Any,
    ranker: Any,
    level: Any,
    kwargs: Mapping[str, Any],
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The arguments of a search: what belongs to the whole of it, and its vectors with their parameters."""
    if kwargs:
        refuse_missing(kwargs)
    if isinstance(ids, (int, str)):
        ids = [ids]
    if data is None and ids is None:
        raise ParamError(message="Either ids or data must be provided")
    if data is not None and ids is not None:
        raise ParamError(message="Either ids or data must be provided, not both")
    if ranker is None:
        functions, score = [], None
    elif isinstance(ranker, Function):
        functions, score = [ranker], None
    elif isinstance(ranker, FunctionScore):
        functions, score = ranker.functions, ranker.params
    else:
        raise ParamError(message="The search ranker must be a Function or FunctionScore.")
    target = _target(collection_name, output_fields, partition_names, level, functions, score)
    filter_params = kwargs.get("filter_params")
    ann = _ann(data, ids, anns_field, expression(filter), filter_params, limit, search_params, kwargs)
    return target, ann


def hybrid_arguments(
    collection_name: str,
    reqs: list[AnnSearchRequest],
    ranker: Any,
    limit: Any,
    output_fields: Any,
    partition_names: Any,
    level: Any,
    kwargs: Mapping[str, Any],
) -> tuple[tuple[Any, ...], list[tuple[Any, ...]], dict[str, Any]]:
    """The arguments of a hybrid search: what belongs to the whole of it, its searches, how they are merged."""
    refuse_missing(kwargs)
    if ranker is not None and not isinstance(ranker, (BaseRanker, Function)):
        raise ParamError(message="The hybrid search rerank must be a Function or a Ranker.")
    functions = [ranker] if isinstance(ranker, Function) else []
    strategy = ranker.dict() if isinstance(ranker, BaseRanker) else {}
    given = strategy.get("params", {})
    target = _target(collection_name, output_fields, partition_names, level, functions, None)
    inner = {name: kwargs[name] for name in ("round_decimal", "ignore_growing") if name in kwargs}
    searches = [
        _ann(req.data, None, req.anns_field, expression(req.expr), req.expr_params, req.limit, req.param, inner)
        for req in reqs
    ]
    names = ("group_by_field", "group_size", "strict_group_size", "rank_group_scorer")
    rank = {
        "strategy": strategy.get("strategy"),
        "k": given.get("k"),
        "weights": given.get("weights", []),
        "norm_score": given.get("norm_score", True),
        "limit": most(limit),
        "offset": count("offset", kwargs.get("offset")) or 0,
        "round_decimal": kwargs.get("round_decimal", -1),
        "more": {name: kwargs[name] for name in names if kwargs.get(name) is not None},
    }
    return target, searches, rank


def written(answer: Mapping[str, Any], name: str) -> OmitZeroDict:
    """What an insert or upsert gives."""
    return OmitZeroDict({name: answer["rows"], "ids": answer["ids"], "cost": answer["cost"]})
