"""Partial upserts, and iterators while others write, with PyMilvus. Arguments: URI, file of root's password."""

import json
import sys

from pymilvus import Collection, DataType, FieldOp, MilvusClient, MilvusException, connections

uri, password_file = sys.argv[1:]
password = open(password_file).read()
c = MilvusClient(uri, user="root", password=password)
vectors = [[float((i * k) % 17) - 8 for k in range(1, 9)] for i in range(100)]
done = []


def step(work):
    work()
    done.append(work.__name__)


def index(client):
    params = client.prepare_index_params()
    params.add_index("vector", index_type="FLAT", metric_type="L2")
    return params


def create(name):
    schema = c.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=3, max_length=8)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    c.create_collection(name, schema=schema, index_params=index(c), consistency_level="Strong")
    rows = [{"id": i, "n": i, "tags": ["a"], "vector": vectors[i], "color": "red", "size": i} for i in range(100)]
    c.insert(name, rows)


def row(name, key):
    found = c.query(name, filter=f"id == {key}", output_fields=["*"])[0]
    return {field: value for field, value in found.items() if field not in ("id", "vector")}


@step
def partial_upserts():
    create("partial")
    c.upsert("partial", [{"id": 1, "n": 10}, {"id": 2, "n": 20}], partial_update=True)
    assert row("partial", 1) == {"n": 10, "tags": ["a"], "color": "red", "size": 1}, row("partial", 1)
    c.upsert("partial", [{"id": 1, "color": "blue", "shape": "round"}], partial_update=True)
    assert row("partial", 1) == {"n": 10, "tags": ["a"], "color": "blue", "size": 1, "shape": "round"}


@step
def changes_of_arrays():
    c.upsert("partial", [{"id": 3, "tags": ["b", "a"]}], field_ops={"tags": FieldOp.array_append()})
    assert row("partial", 3) == {"n": 3, "tags": ["a", "b", "a"], "color": "red", "size": 3}, row("partial", 3)
    try:
        c.upsert("partial", [{"id": 3, "tags": ["c"]}], field_ops={"tags": FieldOp.array_append()})
        raise AssertionError("there is no room for a fourth")
    except MilvusException as error:
        assert "max capacity" in str(error), error
    c.upsert("partial", [{"id": 3, "tags": ["a"]}], field_ops={"tags": FieldOp.array_remove()})
    assert row("partial", 3)["tags"] == ["b"]


def all_of(iterator, disturb):
    keys = []
    while batch := iterator.next():
        keys += [hit["id"] if isinstance(hit, dict) else hit.id for hit in batch]
        disturb()
    iterator.close()
    return keys


def disturb(name):
    c.delete(name, filter="id % 3 == 0")
    new = [{"id": i, "n": -1, "tags": [], "vector": vectors[(i * 7) % 100]} for i in range(1, 130, 2)]
    c.upsert(name, new)


def search_iterator_v2(name):
    return c.search_iterator(name, data=[vectors[5]], batch_size=20, anns_field="vector", search_params={})


def search_iterator_v1(name):
    connections.connect("v1", uri=uri, user="root", password=password)
    collection = Collection(name, using="v1")
    param = {"metric_type": "L2", "params": {}}
    return collection.search_iterator([vectors[5]], "vector", param, batch_size=20)


@step
def query_iterators():
    create("queried")
    keys = all_of(c.query_iterator("queried", batch_size=20), lambda: disturb("queried"))
    assert keys == list(range(100)), keys


@step
def search_iterators():
    for version, make in [("v2", search_iterator_v2), ("v1", search_iterator_v1)]:
        name = f"searched_{version}"
        create(name)
        undisturbed = all_of(make(name), lambda: None)
        assert sorted(undisturbed) == list(range(100)), undisturbed
        keys = all_of(make(name), lambda: disturb(name))
        assert keys == undisturbed, (version, keys, undisturbed)


print(json.dumps(done))
