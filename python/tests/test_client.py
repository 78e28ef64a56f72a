"""MilvusClient against the engine in this process: every verb, its arguments, its shapes, its errors."""

from __future__ import annotations

import json
import pickle
from typing import Any, Iterator
from uuid import uuid4

import pytest

from milvus_connections import (
    AnnSearchRequest,
    CollectionSchema,
    DataType,
    FieldSchema,
    Function,
    FunctionType,
    LoadState,
    MilvusClient,
    MilvusException,
    ParamError,
    RRFRanker,
    WeightedRanker,
    connections,
)
from milvus_connections.exceptions import DataNotMatchException, DataTypeNotMatchException, PrimaryKeyException


@pytest.fixture
def client() -> Iterator[MilvusClient]:
    with MilvusClient(f"memory:{uuid4().hex}") as client:
        yield client


@pytest.fixture
def docs(client: MilvusClient) -> MilvusClient:
    client.create_collection("docs", dimension=2, metric_type="L2", consistency_level="Strong")
    rows = [{"id": n, "vector": [n, 1.0], "title": f"title {n}", "year": 2000 + n} for n in range(5)]
    assert client.insert("docs", rows) == {"insert_count": 5, "ids": [0, 1, 2, 3, 4], "cost": 0}
    return client


def schema_of_everything() -> CollectionSchema:
    schema = MilvusClient.create_schema(enable_dynamic_field=True, description="everything")
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("tiny", DataType.INT8)
    schema.add_field("small", DataType.INT16)
    schema.add_field("plain", DataType.INT32)
    schema.add_field("number", DataType.FLOAT)
    schema.add_field("double", DataType.DOUBLE)
    schema.add_field("text", DataType.VARCHAR, max_length=50, nullable=True)
    schema.add_field("json", DataType.JSON, nullable=True)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=4, max_length=20)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    return schema


def row_of_everything(key: int) -> dict[str, Any]:
    return {
        "id": key,
        "flag": key % 2 == 0,
        "tiny": key,
        "small": -key,
        "plain": key * 1000,
        "number": key / 2,
        "double": key / 3,
        "text": f"text {key}",
        "json": {"key": key, "list": [1, None, "a"], "nested": {"x": 1.5}},
        "tags": ["a", "b"],
        "vector": [key, 0.25, 0.5, 1.0],
        "dynamic": f"free {key}",
    }


def test_a_simple_collection_is_described_as_pymilvus_does(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    described = client.describe_collection("docs")
    assert [(field["name"], field["type"]) for field in described["fields"]] == [
        ("id", DataType.INT64),
        ("vector", DataType.FLOAT_VECTOR),
    ]
    assert described["fields"][0]["is_primary"] is True
    assert described["fields"][1]["params"] == {"dim": 4}
    assert described["enable_dynamic_field"] is True
    assert described["consistency_level_name"] == "Bounded"
    assert client.list_indexes("docs") == ["vector"]
    assert client.get_load_state("docs") == {"state": LoadState.Loaded}
    assert repr(client.get_load_state("docs")["state"]) == "<LoadState: Loaded>"


def test_collections_are_created_renamed_and_dropped(client: MilvusClient) -> None:
    client.create_collection("a", schema=schema_of_everything())
    assert client.has_collection("a") and not client.has_collection("b")
    client.rename_collection("a", "b")
    assert client.list_collections() == ["b"]
    client.drop_collection("b")
    client.drop_collection("b")
    assert client.list_collections() == []


def test_a_schema_survives_the_server(client: MilvusClient) -> None:
    schema = schema_of_everything()
    index = client.prepare_index_params("vector", index_type="HNSW", metric_type="COSINE", M=8, efConstruction=64)
    client.create_collection("docs", schema=schema, index_params=index, num_shards=1)
    described = client.describe_collection("docs")
    again = CollectionSchema.construct_from_dict(described)
    assert [field.to_dict() for field in again.fields] == [field.to_dict() for field in schema.fields]
    assert described["description"] == "everything"
    found = client.describe_index("docs", "vector")
    assert found is not None
    assert (found["index_type"], found["metric_type"], found["M"]) == ("HNSW", "COSINE", "8")
    assert found["state"] == "Finished"
    assert client.describe_index("docs", "nothing") is None


def test_every_type_of_field_survives(client: MilvusClient) -> None:
    index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("docs", schema=schema_of_everything(), index_params=index, consistency_level="Strong")
    rows = [row_of_everything(key) for key in range(3)]
    rows[1]["text"] = None
    del rows[2]["json"]
    client.insert("docs", rows)
    found = client.query("docs", filter="id >= 0", output_fields=["*"])
    expected = [dict(row) for row in rows]
    expected[2]["json"] = None
    assert [{**row, "double": row["double"]} for row in found] == expected
    assert client.get("docs", ids=[1], output_fields=["text", "json"]) == [
        {"id": 1, "text": None, "json": rows[1]["json"]}
    ]


def test_hits_are_dicts_and_more(docs: MilvusClient) -> None:
    found = docs.search("docs", [[0.0, 1.0], [4.0, 1.0]], limit=2, output_fields=["title", "year"])
    assert [len(found), len(found[0]), found[1].ids] == [2, 2, [4, 3]]
    hit = found[0][0]
    assert hit == {"id": 0, "distance": 0.0, "entity": {"title": "title 0", "year": 2000}}
    assert (hit["title"], hit.id, hit.distance, hit.entity["year"], hit.get("nothing", 7)) == ("title 0", 0, 0.0, 2000, 7)
    assert hit.fields == {"title": "title 0", "year": 2000}
    assert hit.title == "title 0"
    with pytest.raises(AttributeError):
        _ = hit.nothing
    assert isinstance(found, list) and isinstance(found[0], list) and isinstance(hit, dict)
    assert json.loads(json.dumps(found))[0][1]["entity"]["year"] == 2001
    assert pickle.loads(pickle.dumps(found))[1][0]["id"] == 4
    assert found[0].distances == [0.0, 1.0]
    assert [hit["id"] for hits in found for hit in hits] == [0, 1, 4, 3]
    assert "title 0" in str(found) and "title 0" in repr(found[0])


def test_searches_take_parameters(docs: MilvusClient) -> None:
    one = docs.search("docs", [[0.0, 1.0]], filter="year > 2001", limit=1)
    assert one[0].ids == [2]
    template = docs.search("docs", [[0.0, 1.0]], filter="year in {years}", filter_params={"years": [2003, 2004]})
    assert template[0].ids == [3, 4]
    near = docs.search("docs", [[0.0, 1.0]], search_params={"metric_type": "L2", "params": {"radius": 5.0}})
    assert near[0].ids == [0, 1, 2]
    rest = docs.search("docs", [[0.0, 1.0]], limit=2, offset=2)
    assert rest[0].ids == [2, 3]
    rounded = docs.search("docs", [[0.123456, 1.0]], limit=1, round_decimal=2)
    assert rounded[0][0]["distance"] == 0.02
    for bad, text in (({"limit": 0}, "limit"), ({"data": None}, "Either ids or data")):
        with pytest.raises(ParamError, match=text):
            docs.search(**{"collection_name": "docs", "data": [[0.0, 1.0]], **bad})
    with pytest.raises(ParamError, match="ambiguous parameter"):
        docs.search("docs", [[0.0, 1.0]], search_params={"ef": 1, "params": {"ef": 2}})


def test_queries_take_parameters(docs: MilvusClient) -> None:
    assert docs.query("docs", filter="", output_fields=["count(*)"]) == [{"count(*)": 5}]
    assert [row["id"] for row in docs.query("docs", filter="id >= 0", limit=2, offset=1)] == [1, 2]
    assert docs.query("docs", ids=[3], output_fields=["title"]) == [{"id": 3, "title": "title 3"}]
    assert docs.get("docs", ids=[]) == []
    with pytest.raises(ParamError, match="Ambiguous parameter"):
        docs.query("docs", filter="id > 0", ids=[1])
    with pytest.raises(DataTypeNotMatchException, match="The type of expr must be string"):
        docs.query("docs", filter=3)  # type: ignore[arg-type]
    with pytest.raises(MilvusException):
        docs.query("docs", filter="id >>> 3")


def test_hybrid_searches_merge(docs: MilvusClient) -> None:
    one = AnnSearchRequest([[0.0, 1.0]], "vector", {"params": {}}, limit=3)
    two = AnnSearchRequest([[1.0, 1.0]], "vector", {}, limit=3, filter="year > 2000")
    assert docs.hybrid_search("docs", [one, two], RRFRanker(), limit=1)[0].ids == [1]
    found = docs.hybrid_search("docs", [one, two], WeightedRanker(0.9, 0.1), limit=2, output_fields=["title"])
    assert found[0][0]["entity"]["title"] == "title 0"
    with pytest.raises(ParamError, match="weights"):
        docs.hybrid_search("docs", [one, two], WeightedRanker(0.9), limit=2)


def test_full_text_search(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True, auto_id=True)
    schema.add_field("text", DataType.VARCHAR, max_length=200, enable_analyzer=True)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, "text", "terms"))
    index = client.prepare_index_params("terms", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection("docs", schema=schema, index_params=index, consistency_level="Strong")
    client.insert("docs", [{"text": "a red fox"}, {"text": "a blue whale"}])
    found = client.search("docs", ["whale"], anns_field="terms", limit=1, output_fields=["text"])
    assert found[0][0]["entity"]["text"] == "a blue whale"


def test_rows_are_replaced_and_deleted(docs: MilvusClient) -> None:
    assert docs.upsert("docs", {"id": 1, "vector": [9.0, 9.0], "title": "new"})["upsert_count"] == 1
    assert docs.get("docs", ids=1, output_fields=["title"])[0]["title"] == "new"
    assert docs.delete("docs", ids=[1, 2])["delete_count"] == 2
    assert docs.delete("docs", filter="year == 2003")["delete_count"] >= 1
    assert [row["id"] for row in docs.query("docs", filter="id >= 0")] == [0, 4]
    with pytest.raises(ParamError, match="Ambiguous filter parameter"):
        docs.delete("docs", ids=[1], filter="id == 1")
    with pytest.raises(TypeError, match="wrong type of argument ids"):
        docs.delete("docs", ids=[1.5])
    with pytest.raises(DataTypeNotMatchException):
        docs.delete("docs")


def test_text_keys(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=2, id_type="string", max_length=20, consistency_level="Strong")
    assert client.insert("docs", {"id": "a'b\"c", "vector": [1, 2]})["ids"] == ["a'b\"c"]
    assert client.get("docs", ids="a'b\"c")[0]["id"] == "a'b\"c"
    assert client.search("docs", [[1.0, 2.0]])[0].to_numpy("id").tolist() == ["a'b\"c"]
    assert client.delete("docs", ids="a'b\"c")["delete_count"] == 1


def test_iterations_end_with_an_empty_batch(docs: MilvusClient) -> None:
    rows = docs.query_iterator("docs", batch_size=2, filter="year > 2000", output_fields=["year"])
    assert [len(rows.next()), len(rows.next()), rows.next(), rows.next()] == [2, 2, [], []]
    rows.close()
    limited = docs.query_iterator("docs", batch_size=2, limit=3)
    assert [row["id"] for batch in limited for row in batch] == [0, 1, 2]
    hits = docs.search_iterator("docs", [[0.0, 1.0]], batch_size=2, limit=3, output_fields=["title"])
    first = hits.next()
    assert (first.ids(), first.distances(), first[0]["entity"]["title"]) == ([0, 1], [0.0, 1.0], "title 0")
    assert [hit.id for batch in hits for hit in batch] == [2]
    odd = docs.search_iterator(
        "docs", [[0.0, 1.0]], batch_size=1, external_filter_func=lambda hits: [hit for hit in hits if hit.id % 2]
    )
    assert [batch.ids() for batch in odd] == [[1], [3]]
    with pytest.raises(ParamError, match="batch size"):
        docs.query_iterator("docs", batch_size=0)


def test_partitions_and_aliases(docs: MilvusClient) -> None:
    docs.create_partition("docs", "old")
    assert docs.has_partition("docs", "old") and docs.list_partitions("docs") == ["_default", "old"]
    docs.insert("docs", {"id": 7, "vector": [7, 1]}, partition_name="old")
    assert docs.query("docs", filter="id >= 0", partition_names=["old"], output_fields=["id"]) == [{"id": 7}]
    assert docs.get_partition_stats("docs", "old")["row_count"] == 1
    docs.release_partitions("docs", "old")
    docs.drop_partition("docs", "old")
    docs.create_alias("docs", "current")
    assert docs.describe_alias("current") == {"alias": "current", "collection_name": "docs", "db_name": "default"}
    assert docs.list_aliases("docs") == {"aliases": ["current"], "collection_name": "docs", "db_name": "default"}
    assert docs.query("current", filter="id == 0", output_fields=["id"]) == [{"id": 0}]
    docs.drop_alias("current")


def test_databases(client: MilvusClient) -> None:
    client.create_database("archive", properties={"database.replica.number": 1})
    assert sorted(client.list_databases()) == ["archive", "default"]
    assert client.describe_database("archive")["name"] == "archive"
    client.use_database("archive")
    client.create_collection("docs", dimension=2)
    with pytest.warns(DeprecationWarning, match="use_database"):
        client.using_database("default")
    assert (client.database, client.list_collections()) == ("default", [])
    with pytest.raises(MilvusException):
        client.use_database("nothing")
    client.use_database("archive")
    client.drop_collection("docs")
    client.use_database("default")
    client.drop_database("archive")


def test_what_goes_on_around_rows(docs: MilvusClient) -> None:
    docs.flush("docs")
    assert docs.get_collection_stats("docs")["row_count"] == 5
    docs.release_collection("docs")
    assert docs.get_load_state("docs") == {"state": LoadState.NotLoad}
    docs.load_collection("docs")
    docs.alter_collection_properties("docs", {"collection.ttl.seconds": 1000})
    assert docs.describe_collection("docs")["properties"]["collection.ttl.seconds"] == "1000"
    assert docs.get_server_version()
    assert docs.get_server_type() == "milvus" and docs.is_self_hosted


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"id": 1, "vector": [1.0]}, "row 0, field `vector`: the vector has 1 dimensions, the field has 2"),
        ({"id": "a", "vector": [1, 2]}, "field `id`: expected Int64, found text"),
        ({"id": 1}, "field `vector`: a value is required"),
        ({"id": 1, "vector": [1, float("nan")]}, "element 1 is NaN"),
        ({"id": 1, "vector": [1, 2], "free": object()}, "a value of type object can't be stored"),
        ({"id": 1, "vector": [1, 2], 3: 4}, "the name of a field is a str, not int"),
        ({"id": 1, "vector": [1, 2], "free": {3: 4}}, "JSON key must be str"),
    ],
)
def test_a_row_that_does_not_fit_is_named(client: MilvusClient, row: dict[Any, Any], text: str) -> None:
    client.create_collection("docs", dimension=2)
    with pytest.raises(DataNotMatchException) as caught:
        client.insert("docs", [row])
    assert text in caught.value.message
    assert client.query("docs", filter="", output_fields=["count(*)"], consistency_level="Strong") == [{"count(*)": 0}]


def test_a_row_in_the_middle_is_named(docs: MilvusClient) -> None:
    rows = [{"id": n, "vector": [1, 2]} for n in range(10)]
    rows[7] = {"id": 7, "vector": [1, 2, 3]}
    with pytest.raises(DataNotMatchException, match="row 7, field `vector`"):
        docs.insert("docs", rows)
    with pytest.raises(TypeError, match="wrong type of argument 'data'"):
        docs.insert("docs", "rows")
    assert docs.insert("docs", []) == {"insert_count": 0, "ids": []}


def test_a_value_that_contains_itself_is_refused(docs: MilvusClient) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    with pytest.raises(DataNotMatchException, match="nested too deeply"):
        docs.insert("docs", {"id": 9, "vector": [1, 2], "free": endless})


def test_schemas_that_are_wrong() -> None:
    with pytest.raises(PrimaryKeyException, match="Schema must have a primary key field"):
        CollectionSchema([FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2)])
    schema = MilvusClient.create_schema()
    schema.add_field("a", DataType.INT64, is_primary=True)
    with pytest.raises(PrimaryKeyException, match=r"Expected only one primary key field, got \[a, b, ...\]"):
        schema.add_field("b", DataType.INT64, is_primary=True)
    with pytest.raises(ParamError, match="must have exact 1 input"):
        schema.add_function(Function("f", FunctionType.BM25, ["a", "b"], "c"))
        schema.add_field("b", DataType.VARCHAR, max_length=5).add_field("c", DataType.SPARSE_FLOAT_VECTOR)
        schema.verify()


def test_what_is_not_there_says_what_to_use(docs: MilvusClient) -> None:
    with pytest.raises(MilvusException, match="optimize is not part of milvus_connections; use compact"):
        docs.optimize("docs")
    with pytest.raises(MilvusException, match="highlighter is not part of"):
        docs.search("docs", [[1.0, 2.0]], highlighter=object())
    with pytest.raises(AttributeError):
        docs.nothing_at_all()


def test_errors_of_the_server_have_its_code(client: MilvusClient) -> None:
    with pytest.raises(MilvusException) as caught:
        client.describe_collection("nothing")
    assert caught.value.code == 100
    with pytest.raises(ParamError, match="`collection_name` value  is illegal"):
        client.has_collection("")
    with pytest.raises(ParamError, match="timeout"):
        client.list_collections(timeout="soon")


def test_a_file_is_a_database(tmp_path: Any) -> None:
    path = str(tmp_path / "docs.db")
    with MilvusClient(path) as client:
        client.create_collection("docs", dimension=2)
        client.insert("docs", {"id": 1, "vector": [1, 2]})
    with MilvusClient(uri=path) as client:
        assert client.get("docs", ids=1)[0]["vector"] == [1.0, 2.0]


def test_an_alias_of_the_registry() -> None:
    connections.add_connection(embedded={"uri": "memory:alias"})
    try:
        client = MilvusClient(alias="embedded")
        client.create_collection("docs", dimension=2)
        client.close()
        assert connections.has_connection("embedded")
        assert MilvusClient(alias="embedded").list_collections() == ["docs"]
    finally:
        connections.remove_connection("embedded")


def test_a_closed_client_says_so(client: MilvusClient) -> None:
    other = MilvusClient("memory:closed")
    assert "address" in repr(other)
    other.close()
    other.close()
    assert repr(other) == "<MilvusClient closed>"
    with pytest.raises(MilvusException, match="should create connection first"):
        other.list_collections()


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(MilvusException) as caught:
        MilvusClient("http://127.0.0.1:1", token="root:secret", timeout=5)
    assert caught.value.code == 2
    assert "secret" not in str(caught.value)


def test_representations_help(docs: MilvusClient) -> None:
    """What a debugger or a notebook shows says what a thing is."""
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    index = MilvusClient.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
    near = AnnSearchRequest([[0.0, 1.0]], "vector", {}, limit=1)
    shown = {
        "client": (repr(docs), ["MilvusClient", "memory:", "default", "ready"]),
        "connection": (repr(docs.connection), ["Connection", "memory:"]),
        "schema": (repr(schema), ["'name': 'id'", "is_primary"]),
        "field": (repr(schema.fields[0]), ["'name': 'id'"]),
        "index": (repr(list(index)), ["vector", "FLAT", "L2"]),
        "request": (str(near), ["vector"]),
        "rows": (repr(docs.query("docs", filter="id == 1")), ["title 1", "extra_info"]),
        "hits": (repr(docs.search("docs", [[0.0, 1.0]], limit=1)), ["'distance': 0.0"]),
        "function": (repr(Function("f", FunctionType.BM25, "a", "b")), ["'name': 'f'"]),
        "group": (repr(LoadState.Loaded), ["LoadState", "Loaded"]),
    }
    for name, (text, parts) in shown.items():
        assert [part for part in parts if part not in text] == [], f"{name}: {text}"
        assert " object at 0x" not in text, f"{name}: {text}"
