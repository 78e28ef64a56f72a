"""Everyday work with PyMilvus's AsyncMilvusClient. Arguments: URI, file of root's password."""

import asyncio
import json
import sys

from pymilvus import AnnSearchRequest, AsyncMilvusClient, DataType, Function, FunctionType, RRFRanker

uri, password_file = sys.argv[1:]


async def main():
    c = AsyncMilvusClient(uri, user="root", password=open(password_file).read())
    done = []
    await c.create_collection("quick", dimension=4)
    rows = [{"id": i, "vector": [i, 1, 2, 3], "n": i} for i in range(50)]
    parts = await asyncio.gather(*(c.insert("quick", rows[k : k + 10]) for k in range(0, 50, 10)))
    assert sum(part["insert_count"] for part in parts) == 50
    done.append("insert")
    found = await asyncio.gather(*(c.search("quick", data=[[k, 1, 2, 3]], limit=2, output_fields=["n"]) for k in range(20)))
    assert all(len(hits[0]) == 2 for hits in found)
    assert len(await c.query("quick", filter="n < 10", output_fields=["n"])) == 10
    assert len(await c.get("quick", ids=[1, 2])) == 2
    assert (await c.upsert("quick", {"id": 1, "vector": [0, 0, 0, 1], "n": 100}))["upsert_count"] == 1
    assert (await c.delete("quick", ids=[2]))["delete_count"] == 1
    assert len(await c.query("quick", filter="n == 100 or id == 2", output_fields=["n"])) == 1
    done.append("change")
    s = c.create_schema(auto_id=True)
    s.add_field("pk", DataType.INT64, is_primary=True)
    s.add_field("text", DataType.VARCHAR, max_length=200, enable_analyzer=True)
    s.add_field("dense", DataType.FLOAT_VECTOR, dim=4)
    s.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    s.add_function(Function(name="bm25", function_type=FunctionType.BM25, input_field_names=["text"], output_field_names=["words"]))
    i = c.prepare_index_params()
    i.add_index("dense", index_type="AUTOINDEX", metric_type="COSINE")
    i.add_index("words", index_type="AUTOINDEX", metric_type="BM25")
    await c.create_collection("texts", schema=s, index_params=i)
    await c.insert("texts", [{"text": f"the number {n} of many", "dense": [n, 1, 1, 1]} for n in range(20)])
    requests = [AnnSearchRequest([[1, 1, 1, 1]], "dense", {}, 5), AnnSearchRequest(["number 7"], "words", {}, 5)]
    fused = await c.hybrid_search("texts", requests, RRFRanker(), 5, output_fields=["text"])
    assert any("7" in hit["entity"]["text"] for hit in fused[0]), fused
    done.append("hybrid search")
    await c.create_partition("quick", "p1")
    assert await c.has_partition("quick", "p1")
    await c.release_collection("texts")
    await c.load_collection("texts")
    await c.flush("texts")
    assert sorted(await c.list_collections()) == ["quick", "texts"]
    assert (await c.describe_index("texts", "dense"))["metric_type"] == "COSINE"
    done.append("administration")
    for name in ("quick", "texts"):
        await c.drop_collection(name)
    assert not await c.has_collection("quick")
    await c.close()
    print(json.dumps(done))


asyncio.run(main())
