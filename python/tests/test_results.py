"""Results are plain lists of plain dicts, for Python and for code that reads a list's memory; and arrays and tables."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Sequence
from typing import Any, Iterator
from uuid import uuid4

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest

from milvus_connections import DataType, MilvusClient
from milvus_connections.results import Hit, Hits, LazyHits, LazyRows, Rows, SearchResult

ROWS = 300


@pytest.fixture
def client() -> Iterator[MilvusClient]:
    with MilvusClient(f"memory:{uuid4().hex}") as client:
        client.create_collection("docs", dimension=2, metric_type="L2", consistency_level="Strong")
        rows = [{"id": n, "vector": [n, 1.0], "title": f"title {n}"} for n in range(ROWS)]
        client.insert("docs", rows)
        yield client


def rows_of(client: MilvusClient, count: int = ROWS, **more: Any) -> Any:
    return client.query("docs", filter="id >= 0", output_fields=["title"], limit=count, **more)


def plain(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "title": f"title {n}"} for n in range(count)]


def raw(items: list[Any]) -> list[Any]:
    """What C code finds in a list's memory, which no method of a subclass has a say in."""
    return [list.__getitem__(items, place) for place in range(list.__len__(items))]


@pytest.mark.parametrize("count", [3, ROWS])
def test_rows_are_there_for_code_that_reads_a_lists_memory(client: MilvusClient, count: int) -> None:
    assert raw(rows_of(client, count)) == plain(count)
    assert [1] + rows_of(client, count) == [1, *plain(count)]
    assert rows_of(client, count) + [1] == [*plain(count), 1]
    assert 2 * rows_of(client, count) == rows_of(client, count) * 2 == plain(count) * 2
    assert list(rows_of(client, count)) == [*rows_of(client, count)] == plain(count)
    assert orjson.loads(orjson.dumps(rows_of(client, count))) == plain(count)
    assert json.loads(json.dumps(rows_of(client, count))) == plain(count)
    assert pa.array(rows_of(client, count)).to_pylist() == plain(count)
    assert pa.Table.from_pylist(rows_of(client, count)).to_pylist() == plain(count)
    assert pd.DataFrame(rows_of(client, count)).to_dict("records") == plain(count)
    assert np.array(rows_of(client, count), dtype=object).tolist() == plain(count)
    extended: list[Any] = []
    extended.extend(rows_of(client, count))
    extended += rows_of(client, count)
    assert extended == plain(count) * 2
    assert [None] * count != rows_of(client, count)


def test_hits_are_there_for_code_that_reads_a_lists_memory(client: MilvusClient) -> None:
    def search() -> Any:
        return client.search("docs", [[0.0, 1.0], [9.0, 1.0]], limit=2, output_fields=["title", "vector"])

    def hit(n: int, distance: float) -> dict[str, Any]:
        return {"id": n, "distance": distance, "entity": {"title": f"title {n}", "vector": [n, 1.0]}}

    nearest = [[hit(0, 0.0), hit(1, 1.0)], [hit(9, 0.0), hit(8, 1.0)]]
    assert [raw(hits) for hits in raw(search())] == nearest
    assert all(type(one) is Hit for hits in raw(search()) for one in raw(hits))
    assert [1] + search()[0] == [1, *nearest[0]]
    assert 2 * search()[1] == nearest[1] * 2
    assert orjson.loads(orjson.dumps(search())) == json.loads(json.dumps(search())) == nearest
    assert pa.array(search()).to_pylist() == nearest
    assert search() == nearest and nearest == search()


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_results_are_copied_and_pickled(client: MilvusClient, again: Any) -> None:
    assert again(rows_of(client, 3)) == plain(3)
    found = client.search("docs", [[0.0, 1.0]], limit=2)
    assert again(found) == found and again(found[0]) == found[0] and again(found[0][0]) == found[0][0]
    assert again(found[0][0]).id == 0
    lazy = client.search("docs", [[0.0, 1.0]], limit=2, lazy=True)
    assert again(lazy) == found and again(rows_of(client, 3, lazy=True)) == plain(3)


def test_rows_are_lists(client: MilvusClient) -> None:
    rows = rows_of(client, 5)
    assert isinstance(rows, list) and isinstance(rows, Rows) and rows.materialize() is rows
    assert (rows[-1], rows[1:3], list(reversed(rows))) == (plain(5)[-1], plain(5)[1:3], plain(5)[::-1])
    assert sorted(rows, key=lambda row: -row["id"]) == plain(5)[::-1]
    rows[0]["mark"] = 1
    assert rows[0]["mark"] == 1 and rows.pop(0) == {**plain(1)[0], "mark": 1}
    rows.append({"id": 9})
    assert (len(rows), rows[-1]) == (5, {"id": 9})
    assert str(rows_of(client, 2)).startswith("data: [\"{'id': 0, 'title': 'title 0'}\"")


def test_lazy_rows_are_a_sequence_and_no_list(client: MilvusClient) -> None:
    rows = rows_of(client, lazy=True)
    assert isinstance(rows, LazyRows) and isinstance(rows, Sequence) and not isinstance(rows, list)
    assert rows == plain(ROWS) and plain(ROWS) == rows and rows != plain(3) and rows.materialize() == plain(ROWS)
    assert (rows[-1], rows[1:3], rows[4:0:-2]) == (plain(ROWS)[-1], plain(3)[1:3], [plain(5)[4], plain(5)[2]])
    assert list(rows) == plain(ROWS) and list(reversed(rows)) == plain(ROWS)[::-1]
    assert plain(3)[2] in rows and rows.index(plain(3)[2]) == 2 and len(rows) == ROWS
    for outside in (ROWS, -ROWS - 1):
        with pytest.raises(IndexError):
            rows[outside]
    # What reads a list's memory refuses it, instead of reading nothing.
    with pytest.raises(TypeError):
        json.dumps(rows)
    with pytest.raises(TypeError):
        [1] + rows
    assert client.get("docs", ids=[1], lazy=True, output_fields=["title"]) == plain(2)[1:]
    assert rows.to_numpy("id").tolist() == list(range(ROWS)) and len(rows.to_arrow()) == len(rows.to_pandas()) == ROWS


def test_lazy_hits_are_hits(client: MilvusClient) -> None:
    given = {"collection_name": "docs", "data": [[0.0, 1.0], [9.0, 1.0]], "limit": 3, "output_fields": ["title"]}
    lazy, made = client.search(**given, lazy=True, round_decimal=2), client.search(**given, round_decimal=2)
    assert isinstance(lazy, SearchResult) and isinstance(lazy[0], LazyHits) and isinstance(made[0], Hits)
    assert lazy == made and lazy[0].ids == made[0].ids and lazy[1].distances == made[1].distances
    assert str(lazy) == str(made) and lazy.to_arrow() == made.to_arrow()


def schema_with_text_keys(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("key", DataType.VARCHAR, max_length=20, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("bits", DataType.BINARY_VECTOR, dim=8)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=4, max_length=20)
    schema.add_field("counts", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4)
    schema.add_field("small", DataType.INT8)
    schema.add_field("free", DataType.JSON, nullable=True)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    index.add_index("bits", index_type="BIN_FLAT", metric_type="HAMMING")
    client.create_collection("typed", schema=schema, index_params=index, consistency_level="Strong")


def test_a_table_of_hits_has_one_type_for_each_column(client: MilvusClient) -> None:
    schema_with_text_keys(client)
    rows = [
        {"key": "a", "vector": [0, 0], "bits": b"\x01", "tags": ["x"], "counts": [], "small": 1, "free": {"n": 1}},
        {"key": "b", "vector": [5, 5], "bits": b"\x02", "tags": [], "counts": [3], "small": 2, "free": None},
    ]
    client.insert("typed", rows)
    fields = ["tags", "counts", "small", "free", "bits", "vector"]
    # The second query has no hit.
    found = client.search(
        "typed",
        [[0.0, 0.0], [900.0, 900.0]],
        anns_field="vector",
        limit=2,
        output_fields=fields,
        search_params={"params": {"radius": 100.0}},
    )
    assert [len(hits) for hits in found] == [2, 0]
    table = found.to_arrow()
    expected = {
        "query": pa.int32(),
        "key": pa.string(),
        "distance": pa.float32(),
        "tags": pa.list_(pa.string()),
        "counts": pa.list_(pa.int64()),
        "small": pa.int8(),
        "free": pa.string(),
        "bits": pa.binary(),
        "vector": pa.list_(pa.float32(), 2),
    }
    assert {field.name: field.type for field in table.schema} == expected
    assert table.column("key").to_pylist() == ["a", "b"] and table.column("tags").to_pylist() == [["x"], []]
    assert found[1].to_arrow().schema == found[0].to_arrow().schema
    assert found.to_pandas()["key"].tolist() == ["a", "b"]
    nothing = client.search("typed", [[900.0, 900.0]], anns_field="vector", search_params={"params": {"radius": 1.0}})
    assert len(nothing.to_arrow()) == len(nothing.to_pandas()) == 0
    # Columns without a value keep their kind too.
    empty = client.query("typed", filter='key == "b"', output_fields=["tags"]).to_arrow()
    assert pa.types.is_list(empty.schema.field("tags").type)
