"""AsyncMilvusClient: the same verbs, awaited; and that both clients are made of one source."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import milvus_connections
from milvus_connections import AnnSearchRequest, AsyncMilvusClient, MilvusClient, MilvusException, RRFRanker
from milvus_connections.exceptions import DataNotMatchException

SYNCHRONOUS = {"create_schema", "create_struct_field_schema", "create_field_schema", "prepare_index_params", "get_server_type"}


def verbs(client: type) -> dict[str, Any]:
    return {name: method for name, method in inspect.getmembers(client, callable) if not name.startswith("_")}


def test_both_clients_have_the_same_verbs() -> None:
    both = verbs(MilvusClient), verbs(AsyncMilvusClient)
    assert both[0].keys() == both[1].keys()
    for name, method in both[0].items():
        awaited = both[1][name]
        assert inspect.signature(method).parameters.keys() == inspect.signature(awaited).parameters.keys(), name
        assert inspect.iscoroutinefunction(awaited) == (name not in SYNCHRONOUS), name


def test_the_asynchronous_client_is_made_of_the_other() -> None:
    path = Path(__file__).resolve().parent.parent / "tools" / "make_async.py"
    spec = importlib.util.spec_from_file_location("make_async", path)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = Path(milvus_connections.__file__).parent / "async_client"
    made = tool.made()
    assert set(made) == {file.name for file in folder.glob("*.py")}
    for name, text in made.items():
        assert (folder / name).read_text("utf-8") == text, f"run tools/make_async.py: {name} is not what it makes"


def test_a_day_of_an_asynchronous_client() -> None:
    async def day() -> None:
        async with AsyncMilvusClient(f"memory:{uuid4().hex}") as client:
            assert client.connection is None
            await client.create_collection("docs", dimension=2, metric_type="L2", consistency_level="Strong")
            await client.insert("docs", [{"id": n, "vector": [n, 1.0], "title": f"t{n}"} for n in range(5)])
            assert (await client.get("docs", ids=2, output_fields=["title"]))[0]["title"] == "t2"
            found = await asyncio.gather(*(client.search("docs", [[n, 1.0]], limit=1) for n in range(5)))
            assert [result[0].ids for result in found] == [[n] for n in range(5)]
            one = AnnSearchRequest([[0.0, 1.0]], "vector", {}, limit=2)
            assert (await client.hybrid_search("docs", [one, one], RRFRanker(), limit=1))[0].ids == [0]
            batches = await client.query_iterator("docs", batch_size=2, output_fields=["id"])
            assert [len(batch) async for batch in batches] == [2, 2, 1]
            hits = await client.search_iterator("docs", [[0.0, 1.0]], batch_size=3)
            assert [(await hits.next()).ids(), (await hits.next()).ids(), await hits.next()] == [[0, 1, 2], [3, 4], []]
            assert (await client.upsert("docs", {"id": 1, "vector": [1, 1]}))["upsert_count"] == 1
            assert (await client.delete("docs", ids=[1]))["delete_count"] == 1
            with pytest.raises(DataNotMatchException, match="row 0, field `vector`"):
                await client.insert("docs", {"id": 1, "vector": [1]})
            await client.create_database("other")
            await client.use_database("other")
            assert await client.list_collections() == []
            assert (await client.get_server_version()) != ""
        with pytest.raises(MilvusException, match="should create connection first"):
            await client.list_collections()

    asyncio.run(day())


def test_an_error_comes_where_it_is_awaited() -> None:
    async def ask() -> None:
        client = AsyncMilvusClient("http://127.0.0.1:1", timeout=5)
        with pytest.raises(MilvusException) as caught:
            await client.list_collections()
        assert caught.value.code == 2

    asyncio.run(ask())
