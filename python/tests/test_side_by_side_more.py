"""Side by side with PyMilvus, continued: what stands around rows, and what only newer servers have.

Where a server lacks something, both must fail; the exception's class and code are compared then, but for gRPC's own exceptions,
which PyMilvus lets through and which are a ``MilvusException`` with gRPC's code here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from test_side_by_side import OURS, run, server

# What an action gives, or how it fails.
TELL = """
def tell(name, action):
    try:
        say(name, action())
    except Exception as error:
        code = getattr(error, "code", None)
        said[name] = ["raised", type(error).__name__, None if callable(code) else code]
"""

DATABASES = """
database = "db_" + NAME[-12:]
say("listed before", database in client.list_databases())
client.create_database(database)
say("listed", database in client.list_databases())
fails("twice", lambda: client.create_database(database))
tell("described", lambda: client.describe_database(database)["name"] == database)
inside = MilvusClient(URI, db_name=database)
say("empty", inside.list_collections())
inside.create_collection(NAME, 4, consistency_level="Strong")
say("inside", inside.list_collections() == [NAME])
inside.insert(NAME, [{"id": n, "vector": [n, 1, 2, 3]} for n in range(3)])
say("rows inside", [row["id"] for row in inside.query(NAME, filter="id >= 0", output_fields=["id"])])
fails("not empty", lambda: client.drop_database(database))
say("not outside", NAME in client.list_collections())
fails("no such database", lambda: MilvusClient(URI, db_name=database + "_no").list_collections())
inside.drop_collection(NAME)
inside.close()
client.drop_database(database)
say("gone", database in client.list_databases())
tell("properties", lambda: client.alter_database_properties("default", {"database.max.collections": 1000}))
tell("no properties", lambda: client.drop_database_properties("default", ["database.max.collections"]))
fails("unknown", lambda: client.describe_database(database))
"""

RESOURCE_GROUPS = """
group = "rg_" + NAME[-12:]
say("default", "__default_resource_group" in client.list_resource_groups())
client.create_resource_group(group)
say("listed", group in client.list_resource_groups())
described = client.describe_resource_group(group)
say("described", [described.name == group, described.capacity, described.num_available_node,
    dict(described.num_loaded_replica), dict(described.num_outgoing_node), dict(described.num_incoming_node)])
tell("updated", lambda: client.update_resource_groups({group: {"requests": {"node_num": 0}, "limits": {"node_num": 0}}}))
fails("replicas of nothing", lambda: client.transfer_replica("__default_resource_group", group, NAME, 1))
client.drop_resource_group(group)
say("gone", group in client.list_resource_groups())
fails("unknown", lambda: client.describe_resource_group(group))
"""

PRIVILEGE_GROUPS = """
role, group = "r" + NAME[-8:], "g" + NAME[-8:]
client.create_role(role)
tell("create", lambda: client.create_privilege_group(group))
tell("add", lambda: client.add_privileges_to_group(group, ["Search", "Query"]))
tell("list", lambda: [sorted(item["privileges"]) for item in client.list_privilege_groups() if item["privilege_group"] == group])
tell("grant", lambda: client.grant_privilege_v2(role, "CollectionReadOnly", "*", "*"))
tell("revoke", lambda: client.revoke_privilege_v2(role, "CollectionReadOnly", "*", "*"))
tell("remove", lambda: client.remove_privileges_from_group(group, ["Query"]))
tell("drop", lambda: client.drop_privilege_group(group))
client.drop_role(role)
fails("no role", lambda: client.grant_privilege(role, "Collection", "Search", "*"))
fails("no such role", lambda: client.describe_role(role + "_no"))
fails("no such user", lambda: client.grant_role("nobody" + NAME[-8:], "admin"))
fails("short password", lambda: client.create_user("u" + NAME[-8:], "abc"))
"""

COMPACTION = """
client.create_collection(NAME, 4, consistency_level="Strong")
for batch in range(3):
    client.insert(NAME, [{"id": batch * 10 + n, "vector": [n, batch, 1, 2]} for n in range(10)])
    client.flush(NAME)
client.delete(NAME, ids=[1, 2, 3])
def compact():
    job = client.compact(NAME)
    say("is a number", isinstance(job, int))
    say("state", client.get_compaction_state(job) in ("Executing", "Completed", "UndefiedState"))
    plans = client.get_compaction_plans(job)
    say("plans", [plans.compaction_id == job, isinstance(plans.plans, list)])
tell("compact", compact)
tell("clustering", lambda: client.compact(NAME, is_clustering=True) and None)
fails("nothing to compact", lambda: client.compact(NAME + "_no"))
tell("stored", lambda: sorted(
    [segment.collection_name == NAME, segment.num_rows > 0, segment.state_name] for segment in client.list_persistent_segments(NAME))[:1])
tell("loaded", lambda: sorted({
    (segment.collection_name == NAME, segment.num_rows > 0, segment.state_name) for segment in client.list_loaded_segments(NAME)}))
tell("replicas", lambda: [[len(replica.shards) > 0, len(replica.group_nodes), replica.resource_group] for replica in client.describe_replica(NAME)])
tell("refreshed", lambda: client.refresh_load(NAME))
tell("truncated", lambda: client.truncate_collection(NAME))
client.drop_collection(NAME)
"""

HYBRID = """
schema = MilvusClient.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("one", DataType.FLOAT_VECTOR, dim=4)
def create():
    schema.add_field("two", DataType.FLOAT_VECTOR, dim=4)
    index = client.prepare_index_params()
    for name in ("one", "two"):
        index.add_index(name, index_type="FLAT", metric_type="L2")
    client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
    client.insert(NAME, [{"id": n, "one": [n, 0, 0, 0], "two": [0, 0, 0, 9 - n]} for n in range(10)])
    near = package.AnnSearchRequest([[2.2, 0, 0, 0]], "one", {"params": {}}, limit=5)
    far = package.AnnSearchRequest([[0, 0, 0, 3.2]], "two", {"params": {}}, limit=5, expr="id > 1")
    tell("rrf", lambda: [[hit["id"], hit["distance"]] for hit in client.hybrid_search(NAME, [near, far], RRFRanker(), limit=4)[0]][:1])
    tell("weighted", lambda: [hit["id"] for hit in client.hybrid_search(
        NAME, [near, far], package.WeightedRanker(0.9, 0.1), limit=3, output_fields=["one"])[0]])
    tell("k", lambda: len(client.hybrid_search(NAME, [near, far], RRFRanker(5), limit=2)[0]))
    client.drop_collection(NAME)
tell("two vectors", create)
fails("no searches", lambda: client.hybrid_search(NAME, [], RRFRanker()))
"""

ITERATORS = """
client.create_collection(NAME, 4, metric_type="L2", consistency_level="Strong")
client.insert(NAME, [{"id": n, "vector": [n, 0, 0, 0], "color": ["red", "blue"][n % 2]} for n in range(60)])
def pages(iterator):
    found = []
    while page := iterator.next():
        found.append([row["id"] for row in page])
    iterator.close()
    return found
say("all", pages(client.query_iterator(NAME, batch_size=25, output_fields=["id"])))
say("limited", pages(client.query_iterator(NAME, batch_size=25, limit=30, output_fields=["id"])))
say("filtered", pages(client.query_iterator(NAME, batch_size=10, filter='color == "red"', output_fields=["id", "color"])))
say("none", pages(client.query_iterator(NAME, batch_size=10, filter="id > 1000", output_fields=["id"])))
fails("batch of none", lambda: client.query_iterator(NAME, batch_size=0))
fails("batch too large", lambda: client.query_iterator(NAME, batch_size=100000))
fails("limit below", lambda: client.query_iterator(NAME, limit=-5))
def hits(**arguments):
    found, iterator = [], client.search_iterator(NAME, [[0.1, 0, 0, 0]], batch_size=10, **arguments)
    while page := iterator.next():
        found += [hit["id"] for hit in page]
    iterator.close()
    return found
tell("nearest", lambda: hits(limit=25))
tell("nearest red", lambda: hits(limit=12, filter='color == "red"', output_fields=["color"]))
fails("two vectors", lambda: client.search_iterator(NAME, [[0.0] * 4, [1.0] * 4]))
client.drop_collection(NAME)
"""

ALIASES = """
first, second, alias = NAME + "_a", NAME + "_b", NAME + "_now"
for number, name in enumerate((first, second)):
    client.create_collection(name, 4, consistency_level="Strong")
    client.insert(name, [{"id": number, "vector": [1, 2, 3, 4]}])
client.create_alias(first, alias)
say("reads the first", [row["id"] for row in client.query(alias, filter="id >= 0", output_fields=["id"])])
fails("twice", lambda: client.create_alias(first, alias))
fails("taken", lambda: client.create_alias(second, alias))
client.alter_alias(second, alias)
say("reads the second", [row["id"] for row in client.query(alias, filter="id >= 0", output_fields=["id"])])
say("searches", [hit["id"] for hit in client.search(alias, [[1, 2, 3, 4]], limit=3)[0]])
client.insert(alias, [{"id": 7, "vector": [1, 2, 3, 4]}])
say("writes", [row["id"] for row in client.query(second, filter="id >= 0", output_fields=["id"])])
tell("described", lambda: client.describe_alias(alias)["collection_name"] == second)
tell("listed", lambda: [client.list_aliases(second)["aliases"] == [alias], client.list_aliases(first)["aliases"]])
fails("drop what has an alias", lambda: client.drop_collection(second))
client.drop_alias(alias)
fails("gone", lambda: client.query(alias, filter="id >= 0"))
fails("of nothing", lambda: client.create_alias(NAME + "_no", alias))
tell("unknown", lambda: client.describe_alias(alias))
for name in (first, second):
    client.drop_collection(name)
"""

FIELDS = """
def rows(output_fields):
    return sorted((dict(row) for row in client.query(NAME, filter="id >= 0", output_fields=output_fields)), key=lambda row: row["id"])
schema = MilvusClient.create_schema(enable_dynamic_field=True)
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
schema.add_field("text", DataType.VARCHAR, max_length=20)
client.create_collection(NAME, schema=schema, consistency_level="Strong")
index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
client.create_index(NAME, index)
client.load_collection(NAME)
client.insert(NAME, [
    {"id": 1, "vector": [1, 2, 3, 4], "text": "a", "extra": {"deep": [1, {"x": None}]}, "n": 1},
    {"id": 2, "vector": np.array([1, 2, 3, 4], dtype=np.float32), "text": "", "n": "two", "ü": 3.5},
    {"id": 3, "vector": np.array([1, 2, 3, 4]) / 3, "text": "Grüße"},
])
say("all", rows(["*"]))
say("some dynamic", rows(["n", "extra"]))
say("the dynamic field", rows(["$meta"]))
say("filtered by dynamic", [row["id"] for row in client.query(NAME, filter="n == 1", output_fields=["id"])])
say("filtered by path", [row["id"] for row in client.query(NAME, filter='extra["deep"][0] == 1', output_fields=["id"])])
say("hits", [dict(hit) for hit in client.search(NAME, [[1, 2, 3, 4]], limit=3, output_fields=["n", "text"])[0]][-1:])
fails("too long", lambda: client.insert(NAME, {"id": 4, "vector": [1, 2, 3, 4], "text": "x" * 21}))
fails("no text", lambda: client.insert(NAME, {"id": 4, "vector": [1, 2, 3, 4]}))
fails("wrong type", lambda: client.insert(NAME, {"id": "four", "vector": [1, 2, 3, 4], "text": "x"}))
fails("wrong dimension", lambda: client.insert(NAME, {"id": 4, "vector": [1, 2, 3], "text": "x"}))
tell("partial", lambda: client.upsert(NAME, [{"id": 1, "text": "new"}], partial_update=True)["upsert_count"])
client.upsert(NAME, {"id": 2, "vector": [4, 3, 2, 1], "text": "whole"})
say("after", rows(["text", "n", "vector"]))
client.drop_collection(NAME)
"""

NULLABLE = """
schema = MilvusClient.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
schema.add_field("number", DataType.INT32, nullable=True)
schema.add_field("text", DataType.VARCHAR, max_length=20, default_value="nothing")
index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
client.insert(NAME, [
    {"id": 1, "vector": [1, 2, 3, 4], "number": 5, "text": "a"},
    {"id": 2, "vector": [1, 2, 3, 4], "number": None, "text": None},
    {"id": 3, "vector": [1, 2, 3, 4]},
])
say("rows", sorted((dict(row) for row in client.query(NAME, filter="id > 0", output_fields=["number", "text"])), key=lambda row: row["id"]))
say("hits", [hit["entity"]["number"] for hit in client.search(NAME, [[1, 2, 3, 4]], limit=1, output_fields=["number"], filter="id == 2")[0]])
tell("is null", lambda: [row["id"] for row in client.query(NAME, filter="number is null", output_fields=["id"])])
say("described", [[field["name"], field.get("nullable", False)] for field in client.describe_collection(NAME)["fields"]])
tell("partial", lambda: client.upsert(NAME, [{"id": 1, "text": "new"}], partial_update=True)["upsert_count"])
tell("after", lambda: dict(client.get(NAME, ids=[1], output_fields=["number", "text"])[0]))
client.drop_collection(NAME)
"""

# Milvus 2.3.5 has binary vectors beside those of floats, Milvus Lite sparse ones. No server here has those of half precision.
BINARY = """
schema = MilvusClient.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.BINARY_VECTOR, dim=16)
index = client.prepare_index_params("vector", index_type="BIN_FLAT", metric_type="HAMMING")
client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
def vector(n):
    return bytes([n, 255 - n])
say("inserted", client.insert(NAME, [{"id": n, "vector": vector(n)} for n in range(20)])["insert_count"])
say("rows", sorted((dict(row) for row in client.query(NAME, filter="id in [2, 3]", output_fields=["vector"])), key=lambda row: row["id"]))
found = client.search(NAME, [vector(5), vector(9)], limit=3, output_fields=["vector"])
# Neighbours at the same distance have no order.
say("hits", [[dict(hits[0]), [hit["distance"] for hit in hits]] for hits in found])
say("named metric", [hit["id"] for hit in client.search(NAME, [vector(5)], limit=1, search_params={"metric_type": "HAMMING"})[0]])
fails("wrong length", lambda: client.insert(NAME, [{"id": 1, "vector": bytes(3)}]))
client.drop_collection(NAME)
"""

SPARSE = """
schema = MilvusClient.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.SPARSE_FLOAT_VECTOR)
index = client.prepare_index_params("vector", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
def vector(n):
    return {n + 10: 0.5 + n, 100 + n: 1.0, 7: 0.25}
say("inserted", client.insert(NAME, [{"id": n, "vector": vector(n)} for n in range(20)])["insert_count"])
say("upserted", client.upsert(NAME, [{"id": 3, "vector": vector(30)}])["upsert_count"])
say("rows", sorted((dict(row) for row in client.query(NAME, filter="id in [2, 3]", output_fields=["vector"])), key=lambda row: row["id"]))
found = client.search(NAME, [vector(5), vector(9)], anns_field="vector", limit=3, output_fields=["vector"])
say("hits", [[dict(hits[0]), [round(hit["distance"], 3) for hit in hits]] for hits in found])
client.drop_collection(NAME)
"""

BM25 = """
schema = MilvusClient.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("text", DataType.VARCHAR, max_length=200, enable_analyzer=True)
schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
schema.add_function(package.Function("bm25", package.FunctionType.BM25, "text", "terms"))
index = client.prepare_index_params("terms", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
texts = ["a red fox jumps", "a blue whale", "the fox and the whale", "nothing of that", "fox fox fox"]
say("inserted", client.insert(NAME, [{"id": n, "text": text} for n, text in enumerate(texts)])["insert_count"])
for query in ("fox", "blue whale", "nobody"):
    tell(query, lambda: [[hit["id"], round(hit["distance"], 3), hit["entity"]["text"]] for hit in client.search(
        NAME, [query], anns_field="terms", limit=5, output_fields=["text"])[0]])
tell("filtered", lambda: [hit["id"] for hit in client.search(NAME, ["fox"], anns_field="terms", filter="id > 0", limit=1)[0]])
say("functions", [[function["name"], function["type"], list(function["input_field_names"])]
    for function in client.describe_collection(NAME)["functions"]])
client.drop_collection(NAME)
"""

GROUPS = """
client.create_collection(NAME, 4, metric_type="L2", consistency_level="Strong")
schema = MilvusClient.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
schema.add_field("color", DataType.VARCHAR, max_length=20)
index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
client.drop_collection(NAME)
client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
client.insert(NAME, [{"id": n, "vector": [n, 0, 0, 0], "color": ["red", "green", "blue"][n // 4]} for n in range(12)])
def hits(**more):
    return [[hit["id"], hit["entity"]["color"]] for hit in client.search(
        NAME, [[0.1, 0, 0, 0]], limit=3, output_fields=["color"], **more)[0]]
tell("grouped", lambda: hits(group_by_field="color"))
tell("groups of two", lambda: len(hits(group_by_field="color", group_size=2, strict_group_size=True)))
tell("of a template", lambda: hits(filter="id > {least}", filter_params={"least": 5}))
tell("of a list", lambda: hits(filter="color in {wanted}", filter_params={"wanted": ["red", "blue"]}))
tell("rows of a template", lambda: sorted(row["id"] for row in client.query(
    NAME, filter="color == {wanted}", filter_params={"wanted": "green"}, output_fields=["id"])))
tell("deleted by template", lambda: client.delete(NAME, filter="id == {gone}", filter_params={"gone": 3}))
tell("limited keys", lambda: len(client.query(NAME, ids=[1, 2, 4], limit=2)))
tell("the key zero", lambda: [row["id"] for row in client.query(NAME, ids=0, output_fields=["id"])])
client.drop_collection(NAME)
"""

BOTH = ["MILVUS_TEST_PLAIN", "MILVUS_TEST_LITE"]
PLAIN, LITE = [BOTH[0]], [BOTH[1]]
SCRIPTS = {
    "databases": (DATABASES, PLAIN),
    "resource groups": (RESOURCE_GROUPS, PLAIN),
    # PyMilvus waits for ever for a flush of Milvus Lite.
    "compaction": (COMPACTION, PLAIN),
    "hybrid": (HYBRID, BOTH),
    "iterators": (ITERATORS, BOTH),
    "aliases": (ALIASES, BOTH),
    "fields": (FIELDS, BOTH),
    "nullable": (NULLABLE, LITE),
    "binary": (BINARY, PLAIN),
    "sparse": (SPARSE, LITE),
    "bm25": (BM25, LITE),
    "groups": (GROUPS, BOTH),
}
CASES = [(name, variable) for name, (_, variables) in SCRIPTS.items() for variable in variables]

GRPC_UNIMPLEMENTED = 12
# What is refused here: before anything is sent, or instead of doing something plainer. PyMilvus sends it.
REFUSED = {
    ("compaction", "clustering"),
    ("compaction", "nothing to compact"),
    # The connect says it already.
    ("databases", "no such database"),
    ("fields", "partial"),
    ("binary", "wrong length"),
    ("groups", "deleted by template"),
    # Milvus 2.3.5 leaves the groups out: its hits are not of different colors.
    ("groups", "grouped"),
    ("groups", "groups of two"),
    ("groups", "of a list"),
    ("groups", "of a template"),
    ("groups", "rows of a template"),
    ("hybrid", "no searches"),
    # A Milvus before 2.4 has one vector field to a collection.
    ("hybrid", "two vectors"),
    ("iterators", "batch of none"),
    ("iterators", "limit below"),
    ("fields", "too long"),
    ("fields", "wrong dimension"),
}


@pytest.mark.parametrize(("name", "variable"), CASES)
def test_both_give_the_same(name: str, variable: str, tmp_path: Path) -> None:
    script = TELL + SCRIPTS[name][0]
    uri, collection = server(variable), f"more_{uuid4().hex[:12]}"
    theirs = run(script, "pymilvus", uri, collection, tmp_path)
    for package in OURS:
        assert not different(name, theirs, run(script, package, uri, collection, tmp_path)), package


def different(name: str, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """What is not the same, and ought to be."""
    refused = {key for script, key in REFUSED if script == name}
    assert ours.keys() == theirs.keys()
    kinds = {"ParamError", "DataNotMatchException", "MilvusException"}
    found = {}
    for key, value in theirs.items():
        own = ours[key]
        if key in refused and isinstance(own, list) and kinds & set(map(str, own)):
            continue
        lets_grpc_through = isinstance(value, list) and "_InactiveRpcError" in value
        if lets_grpc_through and isinstance(own, list) and own[-2:] == ["MilvusException", GRPC_UNIMPLEMENTED]:
            continue
        if value != own:
            found[key] = value, own
    return found


def test_privilege_groups_are_the_same(tmp_path: Path) -> None:
    script = 'client = MilvusClient(URI, token="root:Milvus")\n' + TELL + PRIVILEGE_GROUPS
    uri, collection = server("MILVUS_TEST_AUTH"), f"more_{uuid4().hex[:12]}"
    theirs, ours = (run(script, package, uri, collection, tmp_path, "") for package in ("pymilvus", "milvus_connections"))
    assert not different("privileges", theirs, ours)


# What a database in a file answers otherwise than Milvus Lite, which PyMilvus uses for one.
OTHERWISE_ON_A_FILE: dict[str, set[str]] = {
    # As Milvus: its codes, an alias that is given to the same collection again, a collection with an alias stays.
    "aliases": {"twice", "taken", "drop what has an alias", "unknown"},
    # As Milvus: an upsert replaces the whole row, dynamic fields too.
    "fields": {"after"},
    # As Milvus: the larger score is the better one. Milvus Lite gives it with a minus, and of another average length.
    "bm25": {"fox", "blue whale"},
    # Milvus Lite has no placeholders in filters, and heeds no limit of rows that are asked for by key.
    "groups": {"of a template", "of a list", "rows of a template", "deleted by template", "limited keys"},
}


@pytest.mark.parametrize("name", [name for name, (_, variables) in SCRIPTS.items() if "MILVUS_TEST_LITE" in variables])
def test_a_file_answers_as_milvus_lite(name: str, tmp_path: Path) -> None:
    script = TELL + SCRIPTS[name][0]
    theirs = run(script, "pymilvus", server("MILVUS_TEST_LITE"), f"file_{uuid4().hex[:12]}", tmp_path)
    found = different(name, theirs, run(script, "milvus_connections", str(tmp_path / "docs.db"), "docs", tmp_path))
    assert found.keys() == OTHERWISE_ON_A_FILE.get(name, set()), found
