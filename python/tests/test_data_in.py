"""Rows in all the forms in which Python has them reach the collection unchanged."""

from __future__ import annotations

import threading
from typing import Any, Iterator
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from conftest import real
from milvus_connections import DataType, MilvusClient
from milvus_connections.exceptions import DataNotMatchException, ParamError

ROWS, DIM = 50, 8


@pytest.fixture
def client() -> Iterator[MilvusClient]:
    with MilvusClient(f"memory:{uuid4().hex}") as client:
        client.create_collection("docs", dimension=DIM, metric_type="L2", consistency_level="Strong")
        yield client


@pytest.fixture
def vectors() -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).random((ROWS, DIM), dtype=np.float32)


def stored(client: MilvusClient, collection: str = "docs", field: str = "vector") -> Any:
    found = client.query(collection, filter="id >= 0", output_fields=[field], limit=1000)
    return found.to_numpy(field)


def forms(vectors: np.ndarray[Any, Any], first: int = 0) -> dict[str, Any]:
    """The same rows, in every form; ``first`` is the first key."""
    ids = np.arange(len(vectors)) + first
    wide = np.zeros((len(vectors), DIM * 2), dtype=np.float32)
    wide[:, ::2] = vectors
    table = pa.table(
        {"id": ids, "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIM)}
    )
    return {
        "lists": [{"id": first + n, "vector": vector.tolist()} for n, vector in enumerate(vectors)],
        "tuples": [{"id": first + n, "vector": tuple(vector.tolist())} for n, vector in enumerate(vectors)],
        "arrays": [{"id": first + n, "vector": vector} for n, vector in enumerate(vectors)],
        "doubles": [{"id": first + n, "vector": vector.astype(np.float64)} for n, vector in enumerate(vectors)],
        "numpy scalars": [{"id": np.int64(first + n), "vector": list(vector)} for n, vector in enumerate(vectors)],
        "strided": [{"id": first + n, "vector": row[::2]} for n, row in enumerate(wide)],
        "bytes": [{"id": first + n, "vector": vector.tobytes()} for n, vector in enumerate(vectors)],
        "columns": {"id": ids, "vector": vectors},
        "columns of lists": {"id": ids.tolist(), "vector": vectors.tolist()},
        "columns of doubles": {"id": ids, "vector": vectors.astype(np.float64)},
        "fortran": {"id": ids, "vector": np.asfortranarray(vectors)},
        "strided columns": {"id": ids, "vector": wide[:, ::2]},
        "big-endian": {"id": ids, "vector": vectors.astype(">f4")},
        "arrow": table,
        "arrow in chunks": pa.concat_tables([table.slice(0, 20), table.slice(20)]),
        "record batch": table.to_batches()[0],
        "arrow lists": pa.table({"id": ids, "vector": pa.array(vectors.tolist(), pa.list_(pa.float32()))}),
        "frame": pd.DataFrame({"id": ids, "vector": list(vectors)}),
        "frame of lists": pd.DataFrame({"id": ids, "vector": vectors.tolist()}),
    }


@pytest.mark.parametrize("form", sorted(forms(np.zeros((1, DIM), dtype=np.float32))))
def test_a_form_of_rows(client: MilvusClient, vectors: np.ndarray[Any, Any], form: str) -> None:
    data = forms(vectors)[form]
    assert client.insert("docs", data)["ids"] == list(range(ROWS))
    np.testing.assert_array_equal(stored(client), vectors)


@pytest.mark.parametrize(
    ("data_type", "dtype", "dim"),
    [
        (DataType.FLOAT16_VECTOR, np.float16, 8),
        (DataType.INT8_VECTOR, np.int8, 8),
        (DataType.BINARY_VECTOR, np.uint8, 64),
        (DataType.BFLOAT16_VECTOR, np.float32, 8),
    ],
)
def test_vectors_of_other_types(client: MilvusClient, data_type: DataType, dtype: Any, dim: int) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True).add_field("vector", data_type, dim=dim)
    metric = "HAMMING" if data_type == DataType.BINARY_VECTOR else "L2"
    index = client.prepare_index_params("vector", index_type="AUTOINDEX", metric_type=metric)
    client.create_collection("typed", schema=schema, index_params=index, consistency_level="Strong")
    vectors = np.arange(2 * 8).reshape(2, 8).astype(dtype)
    client.insert("typed", {"id": [0, 1], "vector": vectors})
    client.upsert("typed", [{"id": 1, "vector": vectors[1]}])
    found = stored(client, "typed")
    if data_type == DataType.BFLOAT16_VECTOR:
        found = (found.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(found, vectors)
    query = vectors[1:] if data_type != DataType.BFLOAT16_VECTOR else vectors[1:].astype(np.float32)
    assert client.search("typed", query, limit=1)[0].ids == [1]
    assert client.search("typed", list(query), limit=1)[0].ids == [1]
    if data_type in (DataType.BINARY_VECTOR, DataType.INT8_VECTOR, DataType.FLOAT16_VECTOR):
        assert client.search("typed", [vectors[1].tobytes()], limit=1)[0].ids == [1]


def test_half_precision_is_never_taken_for_something_else(client: MilvusClient) -> None:
    # Twice as many halves have as many bytes as the field's floats.
    with pytest.raises(DataNotMatchException, match="16 dimensions"):
        client.insert("docs", {"id": [1], "vector": np.ones((1, 2 * DIM), dtype=np.float16)})
    client.insert("docs", {"id": [1], "vector": np.ones((1, DIM), dtype=np.float16)})
    np.testing.assert_array_equal(stored(client), np.ones((1, DIM), dtype=np.float32))


def test_sparse_vectors(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True).add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    index = client.prepare_index_params("terms", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    client.create_collection("sparse", schema=schema, index_params=index, consistency_level="Strong")
    client.insert("sparse", [{"id": 1, "terms": {3: 0.5, 1: 1.0}}, {"id": 2, "terms": [(7, 0.25), (2, 4)]}])
    client.insert("sparse", {"id": [3, 4], "terms": [{9: 1.0}, {8: 2.0}]})
    client.insert("sparse", [{"id": 5, "terms": {np.int64(11): np.float32(0.5)}}])
    found = client.query("sparse", filter="id > 0", output_fields=["terms"])
    assert [row["terms"] for row in found] == [{1: 1.0, 3: 0.5}, {2: 4.0, 7: 0.25}, {9: 1.0}, {8: 2.0}, {11: 0.5}]
    assert client.search("sparse", [{7: 1.0}, {9: 1.0}], limit=1)[1].ids == [3]
    assert client.search("sparse", [[(7, 1.0)]], limit=1)[0].ids == [2]


def test_nulls_of_tables(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True).add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("text", DataType.VARCHAR, max_length=9, nullable=True)
    schema.add_field("number", DataType.INT32, nullable=True)
    index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("nulls", schema=schema, index_params=index, consistency_level="Strong")
    given = {"text": ["a", None, "c"], "number": [None, 2, 3]}
    vectors = [[1.0, 2.0]] * 3
    client.insert("nulls", pa.table({"id": [1, 2, 3], "vector": pa.array(vectors, pa.list_(pa.float32(), 2)), **given}))
    frame = pd.DataFrame({"id": [4, 5, 6], "vector": vectors, "text": given["text"]})
    frame["number"] = pd.array(given["number"], dtype="Int32")
    client.insert("nulls", frame)
    found = client.query("nulls", filter="id > 0", output_fields=["text", "number"])
    for name in given:
        assert [row[name] for row in found] == given[name] * 2
        assert found.to_arrow().column(name).to_pylist() == given[name] * 2


def test_dynamic_fields_are_json(client: MilvusClient) -> None:
    free = {"n": np.int32(3), "f": np.float64(0.5), "a": np.arange(3), "deep": {"list": [np.bool_(True), None]}}
    client.insert("docs", {"id": 1, "vector": np.ones(DIM, dtype=np.float32), **free})
    row = client.get("docs", ids=1, output_fields=["n", "f", "a", "deep"])[0]
    assert row == {"id": 1, "n": 3, "f": 0.5, "a": [0, 1, 2], "deep": {"list": [True, None]}}


def test_columns_must_be_of_one_length(client: MilvusClient) -> None:
    with pytest.raises(DataNotMatchException, match="must all be same length.*\"id\" has 2 rows, \"vector\" has 1"):
        client.insert("docs", {"id": [1, 2], "vector": np.ones((1, DIM), dtype=np.float32)})


def test_queries_that_are_no_vectors(client: MilvusClient) -> None:
    for data, text in (
        ([0.5] * DIM, r"`data` is a list of them: give \[vector\]"),
        (np.ones(DIM, dtype=np.float32), "an array of two dimensions"),
        (7, "a list of vectors or texts, not int"),
        ([["a"] * DIM], "element 0 of a query vector is of type str"),
    ):
        with pytest.raises(ParamError, match=text):
            client.search("docs", data)
    with pytest.raises(DataNotMatchException, match="the vector has 2 dimensions, the field has 8"):
        client.search("docs", [[1.0, 2.0]])


def test_results_are_arrays_without_a_copy(client: MilvusClient, vectors: np.ndarray[Any, Any]) -> None:
    client.insert("docs", {"id": np.arange(ROWS), "vector": vectors, "year": list(range(ROWS))})
    found = client.search("docs", vectors[:3], limit=5, output_fields=["vector", "year"])
    hits = found[1]
    scores, ids, near = hits.to_numpy(), hits.to_numpy("id"), hits.to_numpy("vector")
    assert (scores.dtype, ids.dtype, near.dtype, near.shape) == (np.float32, np.int64, np.float32, (5, DIM))
    assert not near.flags.owndata and not near.flags.writeable
    np.testing.assert_array_equal(near, vectors[ids])
    np.testing.assert_array_equal(near[0], hits[0]["entity"]["vector"])
    del found, hits
    np.testing.assert_array_equal(near, vectors[ids])
    assert scores[0] == 0.0


def test_results_are_tables_and_frames(client: MilvusClient, vectors: np.ndarray[Any, Any]) -> None:
    client.insert("docs", {"id": np.arange(ROWS), "vector": vectors})
    found = client.search("docs", vectors[:2], limit=3, output_fields=["vector"])
    table = found.to_arrow()
    assert table.column_names == ["query", "id", "distance", "vector"]
    assert table.column("query").to_pylist() == [0, 0, 0, 1, 1, 1]
    assert table.column("id").to_pylist() == found[0].ids + found[1].ids
    np.testing.assert_array_equal(table.column("vector").to_pylist()[0], vectors[0])
    frame = found.to_pandas()
    assert list(frame.columns) == ["query", "id", "distance", "vector"] and len(frame) == 6
    rows = client.query("docs", filter="id < 3", output_fields=["vector"])
    assert rows.to_pandas()["id"].tolist() == [0, 1, 2]
    assert rows.to_arrow().num_rows == 3
    with pytest.raises(KeyError, match="ask for it in output_fields"):
        rows.to_numpy("nothing")


def test_threads_insert_and_search_at_once(client: MilvusClient, vectors: np.ndarray[Any, Any]) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            ids = np.arange(ROWS) + number * ROWS
            client.insert("docs", {"id": ids, "vector": vectors})
            for row in range(5):
                assert len(client.search("docs", vectors[row : row + 1], limit=3)[0]) == 3
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.query("docs", filter="", output_fields=["count(*)"]) == [{"count(*)": 8 * ROWS}]


@pytest.mark.parametrize("variable", ["MILVUS_TEST_PLAIN", "MILVUS_TEST_LITE"])
def test_every_form_of_rows_reaches_a_server(variable: str) -> None:
    name = f"forms_{uuid4().hex[:12]}"
    with MilvusClient(f"http://{real(variable)}") as client:
        client.create_collection(name, dimension=DIM, metric_type="L2", consistency_level="Strong")
        try:
            random = np.random.default_rng(8)
            expected = {}
            for place, form in enumerate(sorted(forms(np.zeros((1, DIM), dtype=np.float32)))):
                first, vectors = place * ROWS, random.random((ROWS, DIM), dtype=np.float32)
                client.insert(name, forms(vectors, first)[form])
                expected.update(zip(range(first, first + ROWS), vectors))
            found = client.query(name, filter="id >= 0", output_fields=["vector"], limit=len(expected) + 1)
            assert sorted(row["id"] for row in found) == sorted(expected)
            np.testing.assert_array_equal(found.to_numpy("vector"), [expected[row["id"]] for row in found])
            # What is searched for comes in as many forms.
            queries = random.random((3, DIM), dtype=np.float32)
            wide = np.zeros((3, DIM * 2), dtype=np.float32)
            wide[:, ::2] = queries
            nearest = [hits.ids for hits in client.search(name, queries, limit=3)]
            for data in (queries.tolist(), list(queries), queries.astype(np.float64), np.asfortranarray(queries), wide[:, ::2]):
                assert [hits.ids for hits in client.search(name, data, limit=3)] == nearest
        finally:
            client.drop_collection(name)


def test_binary_and_sparse_vectors_reach_a_server() -> None:
    cases: list[tuple[str, DataType, str, str, dict[str, int], list[Any], list[Any]]] = [
        (
            "MILVUS_TEST_PLAIN",
            DataType.BINARY_VECTOR,
            "BIN_FLAT",
            "HAMMING",
            {"dim": 16},
            [
                [{"id": 0, "vector": b"\x01\x02"}, {"id": 1, "vector": np.array([3, 4], dtype=np.uint8)}],
                {"id": [2, 3], "vector": np.array([[5, 6], [7, 8]], dtype=np.uint8)},
                {"id": [4, 5], "vector": np.asfortranarray(np.array([[9, 10], [11, 12]], dtype=np.uint8))},
            ],
            [[bytes([2 * n + 1, 2 * n + 2])] for n in range(6)],
        ),
        (
            "MILVUS_TEST_LITE",
            DataType.SPARSE_FLOAT_VECTOR,
            "SPARSE_INVERTED_INDEX",
            "IP",
            {},
            [
                [{"id": 0, "vector": {3: 0.5, 1: 1.0}}, {"id": 1, "vector": [(7, 0.25), (2, 4)]}],
                {"id": [2, 3], "vector": [{9: 1.0}, {8: 2.0}]},
            ],
            [{1: 1.0, 3: 0.5}, {2: 4.0, 7: 0.25}, {9: 1.0}, {8: 2.0}],
        ),
    ]
    for variable, data_type, index_type, metric, parameters, inserts, stored_vectors in cases:
        name = f"kinds_{uuid4().hex[:12]}"
        with MilvusClient(f"http://{real(variable)}") as client:
            schema = client.create_schema()
            schema.add_field("id", DataType.INT64, is_primary=True).add_field("vector", data_type, **parameters)
            index = client.prepare_index_params("vector", index_type=index_type, metric_type=metric)
            client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
            try:
                for data in inserts:
                    client.insert(name, data)
                found = client.query(name, filter="id >= 0", output_fields=["vector"], limit=100)
                assert [row["vector"] for row in sorted(found, key=lambda row: row["id"])] == stored_vectors
                query = stored_vectors[2][0] if data_type == DataType.BINARY_VECTOR else stored_vectors[2]
                assert client.search(name, [query], anns_field="vector", limit=1)[0].ids == [2]
            finally:
                client.drop_collection(name)


def test_other_threads_run_while_columns_are_checked(client: MilvusClient) -> None:
    """Columns of numbers are checked without the GIL: others have it for most of a long insert, and of a long search."""
    rows, dim = 20_000, 64
    client.create_collection("wide", dimension=dim, metric_type="L2")
    columns = {"id": np.arange(rows), "vector": np.random.default_rng(1).random((rows, dim), dtype=np.float32)}
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1

    def turns_of(call: Any) -> int:
        before = turns
        call()
        return turns - before

    other = threading.Thread(target=count)
    other.start()
    try:
        assert turns_of(lambda: client.insert("wide", columns)) > 0
        assert turns_of(lambda: client.search("wide", columns["vector"][:200], limit=10)) > 0
    finally:
        done.set()
        other.join()


def test_columns_that_are_checked_without_the_gil_are_checked_as_any_other(client: MilvusClient) -> None:
    rows = 2_000
    vectors = np.random.default_rng(1).random((rows, DIM), dtype=np.float32)

    def columns(**more: Any) -> dict[str, Any]:
        return {"id": np.arange(rows), "vector": vectors, **more}

    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True).add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("flag", DataType.BOOL).add_field("small", DataType.INT8).add_field("number", DataType.FLOAT)
    schema.add_field("text", DataType.VARCHAR, max_length=9, nullable=True)
    index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("many", schema=schema, index_params=index, consistency_level="Strong")
    good = columns(
        flag=np.arange(rows) % 2 == 0,
        small=(np.arange(rows) % 100).astype(np.int8),
        number=np.arange(rows, dtype=np.float32) / 4,
        text=[None if n % 3 == 0 else f"t{n}" for n in range(rows)],
        free=[n if n % 2 else f"free {n}" for n in range(rows)],
    )
    for form in (good, {**good, "vector": np.asfortranarray(vectors)}, {**good, "vector": vectors.astype(np.float64)}):
        assert client.upsert("many", form)["upsert_count"] == rows
        found = client.query("many", filter="id >= 0", output_fields=["*"], limit=rows)
        np.testing.assert_array_equal(found.to_numpy("vector"), vectors)
        assert [row["text"] for row in found] == good["text"] and [row["free"] for row in found] == good["free"]
        assert [(row["flag"], row["small"], row["number"]) for row in found[:3]] == [(True, 0, 0.0), (False, 1, 0.25), (True, 2, 0.5)]
    # What is no number or text is read as before, and so is what is wrong.
    odd = client.insert("many", {**good, "free": [{"n": n} for n in range(rows)]})
    assert odd["insert_count"] == rows
    broken = vectors.copy()
    broken[1500, 3] = np.nan
    for wrong, text in (
        ({"vector": broken}, "row 1500, field `vector`: element 3 is NaN"),
        ({"small": np.full(rows, 300)}, "row 0, field `small`"),
        ({"text": ["x" * 10] * rows}, "row 0, field `text`"),
        ({"id": [*range(rows - 1), "a"]}, f"row {rows - 1}, field `id`: expected Int64, found text"),
        ({"vector": vectors[:, :4]}, "row 0, field `vector`: the vector has 4 dimensions"),
        ({"flag": good["flag"][:-1]}, "must all be same length"),
    ):
        with pytest.raises(DataNotMatchException, match=text):
            client.insert("many", {**good, **wrong})
