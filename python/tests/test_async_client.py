"""AsyncMilvusClient: the same verbs, awaited; and that both clients are made of one source."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import textwrap
import threading
from itertools import takewhile
from pathlib import Path
from typing import Any, Awaitable, Callable
from uuid import uuid4

import pytest

import milvus_connections
from milvus_connections import AnnSearchRequest, AsyncMilvusClient, MilvusClient, MilvusException, RRFRanker
from milvus_connections.exceptions import DataNotMatchException

SYNCHRONOUS = {"create_schema", "create_struct_field_schema", "create_field_schema", "prepare_index_params", "get_server_type"}


def verbs(client: type) -> dict[str, Any]:
    return {name: method for name, method in inspect.getmembers(client, callable) if not name.startswith("_")}


# Where PyMilvus's clients differ; `test_like_pymilvus.py` compares these with PyMilvus's own.
PARAMETERS_DIFFER = {
    "describe_resource_group",
    "drop_resource_group",
    "get_load_state",
    "list_collections",
    "list_resource_groups",
    "refresh_load",
    "search",
    "transfer_replica",
    "update_password",
    "update_resource_groups",
}


def test_both_clients_have_the_same_verbs() -> None:
    both = verbs(MilvusClient), verbs(AsyncMilvusClient)
    assert both[0].keys() == both[1].keys()
    for name, method in both[0].items():
        awaited = both[1][name]
        alike = inspect.signature(method).parameters.keys() == inspect.signature(awaited).parameters.keys()
        assert alike == (name not in PARAMETERS_DIFFER), name
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


class Watched:
    """A value that remembers which threads have read it."""

    def __init__(self, readers: set[int]) -> None:
        self.readers = readers

    def tolist(self) -> int:
        self.readers.add(threading.get_ident())
        return 7


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_many_rows_are_prepared_beside_the_event_loop(form: str) -> None:
    def data(rows: int, readers: set[int]) -> Any:
        values = [Watched(readers) for _ in range(rows)]
        if form == "columns":
            return {"id": list(range(rows)), "vector": [[0.5, 1.5]] * rows, "number": values}
        return [{"id": n, "vector": [0.5, 1.5], "number": value} for n, value in enumerate(values)]

    async def insert() -> None:
        async with AsyncMilvusClient(f"memory:{uuid4().hex}") as client:
            await client.create_collection("docs", dimension=2)
            for rows, beside in ((5, False), (3000, True)):
                readers: set[int] = set()
                assert (await client.insert("docs", data(rows, readers)))["insert_count"] == rows
                assert len(readers) == 1 and (threading.get_ident() not in readers) == beside
            wrong = [{"id": n, "vector": [0.5, 1.5]} for n in range(2000)]
            wrong[1234]["vector"] = [0.5]
            with pytest.raises(DataNotMatchException, match="row 1234, field `vector`"):
                await client.upsert("docs", wrong)

    asyncio.run(insert())


ONE = AnnSearchRequest([[0.5, 1.5]], "vector", {}, limit=1)
VERBS: dict[str, tuple[str, Callable[[AsyncMilvusClient], Awaitable[Any]]]] = {
    "insert": ("Insert", lambda client: client.insert("docs", {"id": 1, "vector": [0.5, 1.5]})),
    "upsert": ("Upsert", lambda client: client.upsert("docs", {"id": 1, "vector": [0.5, 1.5]})),
    "delete": ("Delete", lambda client: client.delete("docs", ids=[1])),
    "get": ("Query", lambda client: client.get("docs", ids=[1])),
    "query": ("Query", lambda client: client.query("docs", filter="id > 1")),
    "search": ("Search", lambda client: client.search("docs", [[0.5, 1.5]])),
    "hybrid_search": ("HybridSearch", lambda client: client.hybrid_search("docs", [ONE, ONE], RRFRanker())),
    "describe": ("DescribeCollection", lambda client: client.describe_collection("docs")),
    "flush": ("Flush", lambda client: client.flush("docs")),
}


@pytest.mark.parametrize("verb", VERBS)
def test_cancelling_a_task_cancels_its_call(stand_in: Any, verb: str) -> None:
    rpc, call = VERBS[verb]

    async def cancel() -> None:
        async with AsyncMilvusClient(f"http://{stand_in.address}") as client:
            await client.describe_collection("docs")
            before = stand_in.calls(rpc)
            stand_in.ask(f"hang {rpc}")
            task = asyncio.ensure_future(call(client))
            await asyncio.to_thread(stand_in.wait_for, "arrived", rpc, before + 1)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(stand_in.wait_for, "cancelled", rpc, 1)
            # The connection serves the next call.
            assert await client.list_databases() == ["default", "books"]

    asyncio.run(cancel())


EXAMPLES = {
    verb: method.__doc__.split("Example::\n\n", 1)[1]
    for verb, method in inspect.getmembers(AsyncMilvusClient, inspect.isfunction)
    if "Example::" in (method.__doc__ or "")
}


def test_most_awaited_verbs_have_an_example() -> None:
    assert len(EXAMPLES) > 45


@pytest.mark.parametrize("verb", EXAMPLES)
def test_the_example_of_an_awaited_verb_runs(verb: str) -> None:
    lines = EXAMPLES[verb].splitlines()
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    # What stands behind the example is indented less.
    body = textwrap.dedent("\n".join(takewhile(lambda line: line.startswith(indent), lines)))
    found: dict[str, Any] = {}
    exec(f"async def example():\n{textwrap.indent(body, '    ')}", found)  # noqa: S102
    asyncio.run(found["example"]())
