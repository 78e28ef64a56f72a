"""How programs use the package, in types: mypy checks this file, strictly, and the tests run it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import numpy as np

from milvus_connections import AnnSearchRequest, AsyncMilvusClient, DataType, Hit, Hits, MilvusClient, RRFRanker, SearchResult, connections
from milvus_connections.results import Rows


def test_a_program_with_types() -> None:
    client: MilvusClient
    with MilvusClient(f"memory:{uuid4().hex}") as client:
        schema = client.create_schema(enable_dynamic_field=True)
        schema.add_field("id", DataType.INT64, is_primary=True).add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
        client.create_collection("docs", schema=schema, index_params=index, consistency_level="Strong")
        inserted: dict[str, Any] = client.insert("docs", {"id": [1, 2], "vector": np.eye(2, dtype=np.float32)})
        assert inserted["insert_count"] == 2
        assert client.upsert("docs", [{"id": 2, "vector": [0.0, 2.0]}])["upsert_count"] == 1
        rows: Rows = client.query("docs", filter="id > 0", output_fields=["vector"], limit=10)
        first: dict[str, Any] = rows[0]
        assert first["id"] == 1 and rows.to_numpy("vector").shape == (2, 2)
        assert len(client.get("docs", ids=[1])) == 1 and client.get("docs", ids=[]).to_arrow().num_rows == 0
        found: SearchResult = client.search("docs", [[1.0, 0.0]], limit=2)
        hits: Hits = found[0]
        hit: Hit = hits[0]
        near: list[float] = hits.distances
        assert hit.id == 1 and hit["distance"] == near[0] == 0.0 and hits.to_numpy().dtype == np.float32
        one = AnnSearchRequest([[1.0, 0.0]], "vector", {}, limit=2)
        assert client.hybrid_search("docs", [one, one], RRFRanker(), limit=1)[0].ids == [1]
        for batch in client.query_iterator("docs", batch_size=1, output_fields=["id"]):
            assert len(batch) == 1
        names: list[str] = client.list_collections()
        assert names == ["docs"] and client.has_collection("docs")
        assert client.delete("docs", ids=[1])["delete_count"] == 1


def test_an_asynchronous_program_with_types() -> None:
    async def work() -> int:
        async with AsyncMilvusClient(f"memory:{uuid4().hex}") as client:
            await client.create_collection("docs", dimension=2, consistency_level="Strong")
            inserted: dict[str, Any] = await client.insert("docs", [{"id": 1, "vector": [1.0, 0.0]}])
            rows: Rows = await client.query("docs", filter="id > 0")
            found: SearchResult = await client.search("docs", [[1.0, 0.0]])
            total = 0
            async for batch in await client.query_iterator("docs"):
                total += len(batch)
            return len(rows) + len(found[0]) + int(inserted["insert_count"]) + total

    assert asyncio.run(work()) == 4


def test_the_registry_with_types() -> None:
    connections.add_connection(typed={"uri": f"memory:{uuid4().hex}"})
    connections.connect("typed")
    address: dict[str, Any] = connections.get_connection_addr("typed")
    listed: list[tuple[str, Any]] = connections.list_connections()
    assert address and "typed" in dict(listed) and connections.has_connection("typed")
    connections.remove_connection("typed")
