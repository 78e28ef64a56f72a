"""Keyword arguments: what PyMilvus acts on is done here too, or refused; nothing is left out in silence."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any, Iterator
from uuid import uuid4

import pymilvus
import pytest
from pymilvus.client import constants

import milvus_connections
from milvus_connections import (
    AnnSearchRequest,
    AsyncMilvusClient,
    BaseRanker,
    CollectionSchema,
    DataType,
    MilvusClient,
    MilvusException,
    ParamError,
    connections,
)
from milvus_connections.client.base import _REFUSED
from milvus_connections.exceptions import ConnectionConfigException
from milvus_connections.requests import _MISSING as MISSING


@pytest.fixture
def docs() -> Iterator[MilvusClient]:
    with MilvusClient(f"memory:{uuid4().hex}") as client:
        client.create_collection("docs", dimension=2, metric_type="L2", consistency_level="Strong")
        client.insert("docs", [{"id": n, "vector": [n, 1.0], "year": 2000 - n} for n in range(6)])
        yield client


def ids(rows: Any) -> list[int]:
    return [row["id"] for row in rows]


def test_rows_by_key_are_counted_off(docs: MilvusClient) -> None:
    keys = [5, 1, 3, 2]
    assert ids(docs.query("docs", ids=keys)) == [1, 2, 3, 5]
    assert ids(docs.query("docs", ids=keys, limit=2)) == [1, 2]
    assert ids(docs.query("docs", ids=keys, limit=2, offset=1)) == [2, 3]
    assert ids(docs.get("docs", ids=keys, limit=1)) == [1]
    assert ids(docs.query("docs", ids=keys, ignore_growing=False)) == [1, 2, 3, 5]


def test_the_key_zero_is_a_key(docs: MilvusClient) -> None:
    assert ids(docs.query("docs", ids=0)) == ids(docs.query("docs", ids=[0])) == ids(docs.get("docs", ids=0)) == [0]
    assert ids(docs.query("docs", ids=0, limit=3)) == [0]
    assert docs.query("docs", ids=[]) == docs.query("docs", ids=[], limit=3) == []
    with pytest.raises(ParamError, match="Ambiguous parameter"):
        docs.query("docs", filter="id > 0", ids=0)


def recorded(monkeypatch: Any, verb: str) -> list[Any]:
    """What the native function of a verb is given; the call is made without its last parameters."""
    given: list[Any] = []
    native = milvus_connections.client.reads.native  # type: ignore[attr-defined]
    real = getattr(native, verb)

    def call(connection: Any, options: Any, *arguments: Any) -> Any:
        given.append(arguments)
        *others, last = arguments
        return real(connection, options, *others, (*last[:-1], {}))

    monkeypatch.setattr(native, verb, call)
    return given


def test_rows_by_key_take_what_a_query_takes(docs: MilvusClient, monkeypatch: Any) -> None:
    given = recorded(monkeypatch, "query")
    for name, value, parameters in (
        ("order_by_fields", [{"field": "year", "order": "desc"}], {"order_by_fields": "year:desc"}),
        ("group_by_fields", ["year"], {"group_by_fields": "year"}),
        ("timezone", "Asia/Shanghai", {"timezone": "Asia/Shanghai"}),
        ("time_fields", "year", {"time_fields": "year"}),
    ):
        for verb in (docs.query, docs.get):
            verb("docs", ids=[1, 2], **{name: value})  # type: ignore[operator]
            ((arguments,),) = given
            assert (arguments[1], arguments[-1]) == ("id in [1,2]", parameters)
            given.clear()


def test_text_keys_are_quoted() -> None:
    with MilvusClient(f"memory:{uuid4().hex}") as client:
        client.create_collection("docs", dimension=2, id_type="string", max_length=20, consistency_level="Strong")
        keys = ["plain", "a'b", 'c"d', "e\\f", "ü"]
        client.insert("docs", [{"id": key, "vector": [1, 2]} for key in keys])
        for key in keys:
            assert ids(client.query("docs", ids=key, limit=2)) == [key]


def test_keys_of_another_type_are_refused(docs: MilvusClient) -> None:
    for wrong in (["a"], [1.5], [True], ["1] or id > 0 or id in [2"]):
        with pytest.raises(ParamError, match="ids"):
            docs.query("docs", ids=wrong, limit=1)


def calls(client: Any) -> dict[str, Any]:
    """Every verb on rows, for more keyword arguments."""
    row = {"id": 1, "vector": [1.0, 1.0]}
    ann = AnnSearchRequest([[0.0, 1.0]], "vector", {}, limit=2)
    ranker = milvus_connections.RRFRanker()
    return {
        "insert": lambda **more: client.insert("docs", row, **more),
        "upsert": lambda **more: client.upsert("docs", row, **more),
        "delete": lambda **more: client.delete("docs", ids=[1], **more),
        "get": lambda **more: client.get("docs", ids=[1], **more),
        "query": lambda **more: client.query("docs", filter="id > 0", **more),
        "search": lambda **more: client.search("docs", [[0.0, 1.0]], **more),
        "hybrid_search": lambda **more: client.hybrid_search("docs", [ann, ann], ranker, **more),
        "query_iterator": lambda **more: client.query_iterator("docs", **more),
        "search_iterator": lambda **more: client.search_iterator("docs", [[0.0, 1.0]], **more),
    }


@pytest.mark.parametrize("name", sorted(_REFUSED))
def test_what_is_not_there_is_refused(docs: MilvusClient, name: str) -> None:
    for call in calls(docs).values():
        with pytest.raises(ParamError, match=f"`{name}` is not part of milvus_connections; .+"):
            call(**{name: "something"})
        call(**{name: None})

    async def ask() -> None:
        async with AsyncMilvusClient("memory:refused") as client:
            for call in calls(client).values():
                with pytest.raises(ParamError, match=f"`{name}` is not part of milvus_connections; .+"):
                    await call(**{name: "something"})

    asyncio.run(ask())


def test_the_type_of_json_is_sent_by_name(docs: MilvusClient, monkeypatch: Any) -> None:
    given = recorded(monkeypatch, "search")
    docs.search("docs", [[0.0, 1.0]], group_by_field="meta", json_path="/n", json_type=DataType.INT64, strict_cast=True)
    ((_target, ann),) = given
    assert ann[-1] == {"group_by_field": "meta", "json_path": "/n", "json_type": "Int64", "strict_cast": True}
    with pytest.raises(ParamError, match="Unsupported json cast type"):
        docs.search("docs", [[0.0, 1.0]], json_type=DataType.FLOAT_VECTOR)


def test_an_unknown_ranker_is_refused(docs: MilvusClient) -> None:
    class Odd(BaseRanker):
        def dict(self) -> dict[str, Any]:
            return {"strategy": "odd", "params": {}}

    near = AnnSearchRequest([[0.0, 1.0]], "vector", {}, limit=2)
    with pytest.raises(ParamError, match='no such way to merge .*"odd"; use RRFRanker, WeightedRanker or a Function'):
        docs.hybrid_search("docs", [near, near], Odd())


def test_an_alias_and_an_address_are_both_heeded(address: str, closed_address: str) -> None:
    try:
        # As PyMilvus: a new alias is connected to what is given.
        with MilvusClient(f"http://{address}", alias="arguments") as client:
            assert client.get_server_version()
        assert connections.get_connection_addr("arguments")["address"] == address
        with MilvusClient(f"http://{address}", alias="arguments") as client:
            assert client.list_collections() is not None
        with MilvusClient(alias="arguments") as client:
            assert client.connection is not None and client.connection.address == address
        # One that is connected elsewhere is never used in silence.
        with pytest.raises(ConnectionConfigException, match="the configure is not the same"):
            MilvusClient(f"http://{closed_address}", alias="arguments")

        async def ask() -> None:
            async with AsyncMilvusClient(alias="arguments") as client:
                assert await client.get_server_version()
            with pytest.raises(ConnectionConfigException, match="the configure is not the same"):
                await AsyncMilvusClient(f"http://{closed_address}", alias="arguments").list_collections()

        asyncio.run(ask())
    finally:
        connections.remove_connection("arguments")


def test_a_token_beside_an_alias_is_used(guarded: Any) -> None:
    connections.add_connection(arguments={"address": guarded.address, "token": "root:wrong"})
    try:
        with pytest.raises(MilvusException):
            MilvusClient(alias="arguments")
        connections.add_connection(arguments={"address": guarded.address, "token": "root:wrong"})
        with MilvusClient(alias="arguments", token="root:Milvus") as client:
            assert client.list_databases() == ["default", "books"]
    finally:
        connections.remove_connection("arguments")


def test_structs_survive_a_description() -> None:
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    part = MilvusClient.create_struct_field_schema(description="parts")
    part.add_field("text", DataType.VARCHAR, max_length=20)
    part.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("parts", DataType.ARRAY, element_type=DataType.STRUCT, struct_schema=part, max_capacity=5, nullable=True)
    again = CollectionSchema.construct_from_dict(schema.to_dict())
    assert again.to_dict() == schema.to_dict() and len(again.struct_fields) == 1
    assert again.struct_fields[0].max_capacity == 5
    theirs = pymilvus.CollectionSchema.construct_from_dict(schema.to_dict())
    assert [field.name for field in theirs.struct_fields[0].fields] == [field.name for field in again.struct_fields[0].fields]


@pytest.mark.parametrize("name", ["refresh", "_refresh"])
def test_a_load_can_be_a_refresh(docs: MilvusClient, monkeypatch: Any, name: str) -> None:
    asked: list[str] = []
    native = milvus_connections.client.collections.native  # type: ignore[attr-defined]
    monkeypatch.setattr(native, "refresh_load", lambda *arguments: asked.append(arguments[2]))
    docs.load_collection("docs", **{name: False})
    assert asked == []
    docs.load_collection("docs", **{name: True})
    assert asked == ["docs"]
    with pytest.raises(ParamError, match="use refresh_load"):
        docs.load_partitions("docs", ["_default"], **{name: True})


# What PyMilvus reads of keyword arguments and this package does not, with the reason.
UNREAD = {
    "made up by PyMilvus for itself": {
        "address", "context", "cluster_id", "collection_id", "insert_param", "iterator",
        "query_iter_last_pk", "query_iter_last_element_offset", "reduce_stop_for_best", "schema",
        "search_iter_batch_size", "search_iter_id", "search_iter_last_bound", "search_iter_v2", "upsert_param",
        "expr_params", "iterator_session_ts",
    },
    "read by the native module": {
        "ca_pem_path", "client_key_path", "client_pem_path", "secure", "server_name", "server_pem_path",
    },
    "the same with an underscore": {
        "_load_fields", "_replica_number", "_resource_groups", "_skip_load_dynamic_field",
    },
    "of verbs that are not there": {"channel_names", "external_source", "external_spec"},
    "options of gRPC and of PyMilvus's handshake": {"option", "grpc_options"},
}  # fmt: skip
READERS = ("get", "pop", "setdefault")


def read_of_keywords(folder: Path, files: list[str]) -> set[str]:
    """The names that are read of ``kwargs`` in these files."""
    found: set[str] = set()

    def name_of(node: ast.expr) -> str | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Name) and isinstance(getattr(constants, node.id, None), str):
            return str(getattr(constants, node.id))
        return None

    def is_kwargs(node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == "kwargs"

    for file in files:
        for node in ast.walk(ast.parse(folder.joinpath(file).read_text("utf-8"))):
            name: str | None = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                if is_kwargs(node.func.value) and node.func.attr in READERS:
                    name = name_of(node.args[0])
            elif isinstance(node, ast.Subscript) and is_kwargs(node.value):
                name = name_of(node.slice)
            elif isinstance(node, ast.Compare) and is_kwargs(node.comparators[0]):
                name = name_of(node.left)
            if name is not None:
                found.add(name)
    return found


def test_every_keyword_that_pymilvus_reads_is_read_or_refused() -> None:
    theirs = Path(pymilvus.__file__).parent
    files = ["client/prepare.py", "client/grpc_handler.py", "client/async_grpc_handler.py"]
    files += [f"milvus_client/{name}.py" for name in ("base", "milvus_client", "async_milvus_client", "_utils", "index")]
    read = read_of_keywords(theirs, files)
    assert len(read) > 60 and {"group_by_field", "_async", "namespace"} <= read
    # The iterators take theirs out of a dict of another name.
    read.add(constants.ITERATOR_SESSION_CP_FILE)
    ours = Path(milvus_connections.__file__).parent
    texts = {
        node.value
        for file in ours.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } | {
        argument.arg
        for file in ours.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs)
    }
    unread = set().union(*UNREAD.values())
    lacking = sorted(read - texts - unread - set(MISSING) - set(_REFUSED))
    assert not lacking, lacking
    assert set(_REFUSED) <= read | {"_callback"}, "PyMilvus knows no such arguments"
