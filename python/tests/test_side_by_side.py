"""The same script through PyMilvus and through this package, on one server: equal results.

Each script runs in a process of its own with PyMilvus and in one with this package; only the import differs. What it
prints as JSON is compared, without what no two runs share (timestamps and numbers that the server makes up).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

PRELUDE = """
import asyncio, enum, inspect, json, sys
import numpy as np
PACKAGE, URI, NAME = sys.argv[1:4]
if PACKAGE == "pymilvus":
    import pymilvus as package
    from pymilvus import *
    from pymilvus import MilvusClient
    from pymilvus.exceptions import *
else:
    import milvus_connections as package
    from milvus_connections import *
    from milvus_connections import MilvusClient
    from milvus_connections.exceptions import *
DataType, RRFRanker = package.DataType, package.RRFRanker
said = {}

if PACKAGE == "asynchronous":
    LOOP = asyncio.new_event_loop()

    class Awaited:
        # What an awaited client and its iterators have, each call waited for.
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            found = getattr(self.inner, name)

            def call(*arguments, **named):
                async def wait():
                    value = found(*arguments, **named)
                    return await value if inspect.isawaitable(value) else value

                value = LOOP.run_until_complete(wait())
                return Awaited(value) if name.endswith("_iterator") else value

            return call if callable(found) else found

    class MilvusClient(Awaited):
        create_schema = staticmethod(AsyncMilvusClient.create_schema)
        prepare_index_params = staticmethod(AsyncMilvusClient.prepare_index_params)

        def __init__(self, *arguments, **named):
            super().__init__(AsyncMilvusClient(*arguments, **named))
            # The blocking client connects when it is made.
            self._connection()

def plain(value):
    # As JSON, and still of its type.
    if isinstance(value, dict):
        return {repr(key): plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return ["enum", type(value).__name__, value.value]
    if isinstance(value, tuple):
        return ["tuple", *map(plain, value)]
    if isinstance(value, list):
        return list(map(plain, value))
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, np.generic):
        return ["numpy", value.dtype.name, plain(value.item())]
    if isinstance(value, np.ndarray):
        return ["array", value.dtype.name, plain(value.tolist())]
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, (str, int, bool, type(None))):
        return value
    return [type(value).__name__, *map(plain, value)]

def say(name, value):
    said[name] = plain(value)

def fails(name, action):
    try:
        action()
    except Exception as error:
        code = getattr(error, "code", None)
        said[name] = [type(error).__name__, None if callable(code) else code]
    else:
        said[name] = "did not fail"

"""

CONNECT = "client = MilvusClient(URI)\n"

EPILOGUE = """
client.close()
print(json.dumps(said))
"""

COLLECTIONS = """
schema = MilvusClient.create_schema(enable_dynamic_field=True, description="all")
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("flag", DataType.BOOL)
schema.add_field("small", DataType.INT16)
schema.add_field("number", DataType.DOUBLE)
schema.add_field("text", DataType.VARCHAR, max_length=64)
schema.add_field("json", DataType.JSON)
schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
index = client.prepare_index_params()
index.add_index("vector", index_type="IVF_FLAT", metric_type="L2", nlist=16)
client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
described = client.describe_collection(NAME)
for own in ("collection_id", "created_timestamp", "update_timestamp"):
    described.pop(own, None)
say("describe_collection", described)
say("has_collection", [client.has_collection(NAME), client.has_collection(NAME + "_no")])
say("listed", NAME in client.list_collections())
say("indexes", client.list_indexes(NAME))
say("index", client.describe_index(NAME, "vector"))
say("no index", client.describe_index(NAME, "nothing") is None)
say("load state", str(client.get_load_state(NAME)["state"]))
random = np.random.default_rng(3)
vectors = random.random((40, 8), dtype=np.float32)
rows = [
    {"id": n, "flag": n % 2 == 0, "small": -n, "number": n / 3, "text": f"text {n}", "json": {"n": n, "l": [1, "a", None]},
     "tags": [n, n + 1], "vector": vectors[n] if n % 2 else vectors[n].tolist(), "free": n * 1.5, "maybe": None}
    for n in range(40)
]
done = client.insert(NAME, rows)
say("inserted", {"count": done["insert_count"], "ids": list(done["ids"])})
say("count", [dict(row) for row in client.query(NAME, filter="", output_fields=["count(*)"])])
say("query", [dict(row) for row in client.query(NAME, filter="id in [3, 17]", output_fields=["*"])])
say("some fields", [dict(row) for row in client.query(NAME, filter="small > -4", output_fields=["text", "free"])])
say("get", [dict(row) for row in client.get(NAME, ids=[5, 6], output_fields=["json", "vector", "tags"])])
say("limit", [row["id"] for row in client.query(NAME, filter="id >= 0", output_fields=["id"], limit=5, offset=3)])
found = client.search(NAME, vectors[:3].tolist(), limit=4, output_fields=["text", "json", "free"],
                      search_params={"metric_type": "L2", "params": {"nprobe": 16}})
say("search", [[dict(hit) for hit in hits] for hits in found])
say("attributes", [[hit.id, hit.distance, hit.entity.get("text"), hit["text"]] for hit in found[0]])
say("ids", [list(hits.ids) for hits in found])
say("arrays", [[hit["id"] for hit in hits] for hits in client.search(NAME, [vectors[7], vectors[8]], limit=2)])
say("filtered", [hit["id"] for hit in client.search(NAME, [vectors[0].tolist()], filter="flag == true", limit=3)[0]])
say("offset", [hit["id"] for hit in client.search(NAME, [vectors[0].tolist()], limit=3, offset=2)[0]])
say("vectors", [hit["entity"]["vector"] for hit in client.search(NAME, [vectors[0].tolist()], limit=2, output_fields=["vector"])[0]])
say("radius", [hit["id"] for hit in client.search(
    NAME, [vectors[0].tolist()], limit=10, search_params={"params": {"radius": 0.9, "range_filter": 0.0}})[0]])
say("rounded", [hit["distance"] for hit in client.search(NAME, [vectors[0].tolist()], limit=3, round_decimal=2)[0]])
say("upserted", client.upsert(NAME, [{**rows[1], "text": "new"}])["upsert_count"])
say("new", [dict(row) for row in client.get(NAME, ids=1, output_fields=["text"])])
say("deleted", client.delete(NAME, ids=[2, 4]))
say("left", client.query(NAME, filter="id < 6", output_fields=["id"]))
batches = client.query_iterator(NAME, batch_size=15, filter="id > 5", output_fields=["id"])
pages = []
while page := batches.next():
    pages.append([row["id"] for row in page])
batches.close()
say("batches", pages)
client.create_partition(NAME, "old")
say("partitions", [client.list_partitions(NAME), client.has_partition(NAME, "old"), client.has_partition(NAME, "no")])
client.create_alias(NAME, NAME + "_alias")
say("aliases", client.list_aliases(NAME)["aliases"] == [NAME + "_alias"])
say("alias", client.describe_alias(NAME + "_alias")["collection_name"] == NAME)
client.drop_alias(NAME + "_alias")
client.flush(NAME)
say("stats", sorted(client.get_collection_stats(NAME)))
fails("no collection", lambda: client.describe_collection(NAME + "_no"))
fails("wrong filter", lambda: client.query(NAME, filter="nothing at all"))
fails("missing field", lambda: client.insert(NAME, {"id": 1}))
fails("both", lambda: client.delete(NAME, ids=[1], filter="id > 1"))
fails("no rows", lambda: client.insert(NAME, "rows"))
fails("unknown output", lambda: client.search(NAME, [vectors[0].tolist()], anns_field="nothing"))
client.release_collection(NAME)
say("released", str(client.get_load_state(NAME)["state"]))
client.drop_collection(NAME)
say("dropped", client.has_collection(NAME))
"""

SIMPLE = """
client.create_collection(NAME, 4, metric_type="IP", id_type="string", max_length=32, consistency_level="Strong")
data = [{"id": f"key {n}", "vector": [n, 1.0, 0.5, 0.25], "color": ["red", "blue"][n % 2]} for n in range(6)]
say("insert", list(client.insert(collection_name=NAME, data=data)["ids"]))
say("search", [[dict(hit) for hit in hits] for hits in client.search(
    collection_name=NAME, data=[[1.0, 0.0, 0.0, 0.0]], filter='color == "red"', limit=2, output_fields=["color"])])
say("query", client.query(collection_name=NAME, filter='color like "bl%"', output_fields=["color"]))
say("get", client.get(collection_name=NAME, ids=["key 1", "key 3"], output_fields=["color"]))
say("delete", client.delete(collection_name=NAME, filter='color == "red"'))
say("rest", [row["id"] for row in client.query(NAME, filter='id != ""', output_fields=["id"])])
client.drop_collection(NAME)
"""

# How LangChain's vector store talks to a Milvus.
LANGCHAIN = """
schema = MilvusClient.create_schema(auto_id=True, enable_dynamic_field=False)
schema.add_field("text", DataType.VARCHAR, max_length=65535)
schema.add_field("pk", DataType.INT64, is_primary=True, auto_id=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
schema.add_field("source", DataType.VARCHAR, max_length=65535)
client.create_collection(collection_name=NAME, schema=schema, consistency_level="Session")
params = MilvusClient.prepare_index_params()
params.add_index(field_name="vector", index_type="AUTOINDEX", metric_type="L2", index_name="vector", params={})
client.create_index(collection_name=NAME, index_params=params)
client.load_collection(collection_name=NAME)
fields = [field["name"] for field in client.describe_collection(NAME)["fields"]]
say("fields", fields)
texts = [f"document {n}" for n in range(5)]
embeddings = [[float(n), 0.0, 1.0, 2.0] for n in range(5)]
inserted = client.insert(collection_name=NAME, data=[
    {"text": text, "vector": vector, "source": f"file {n}"} for n, (text, vector) in enumerate(zip(texts, embeddings))])
say("pks", len(inserted["ids"]) == len(set(inserted["ids"])) == 5)
results = client.search(collection_name=NAME, data=[[1.1, 0.0, 1.0, 2.0]], anns_field="vector",
    search_params={"metric_type": "L2", "params": {}}, limit=3, filter="", output_fields=["text", "source"], timeout=None)
documents = []
for result in results[0]:
    data = {name: result["entity"].get(name) for name in ("text", "source")}
    documents.append([data.pop("text"), data, round(result["distance"], 4)])
say("documents", documents)
pk = results[0][0].id
say("by key", [row["text"] for row in client.query(NAME, filter=f"pk in [{pk}]", output_fields=["text"])])
say("gone", len(client.delete(collection_name=NAME, ids=[pk])) > 0)
client.drop_collection(NAME)
"""


def run(script: str, package: str, uri: str, name: str, folder: Path, connect: str = CONNECT) -> Any:
    program = folder / f"with_{package}.py"
    program.write_text(PRELUDE + connect + textwrap.dedent(script) + EPILOGUE)
    done = subprocess.run(
        [sys.executable, str(program), package, uri, name],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        check=False,
    )
    assert done.returncode == 0, f"{package}:\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def server(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        pytest.fail(f"{variable} is not set: run `cargo xtask test`, or `cargo xtask servers -- pytest`")
    return f"http://{value}"


SCRIPTS = {"collections": COLLECTIONS, "simple": SIMPLE, "langchain": LANGCHAIN}
OURS = ["milvus_connections", "asynchronous"]


@pytest.mark.parametrize("variable", ["MILVUS_TEST_PLAIN", "MILVUS_TEST_LITE"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_both_give_the_same(script: str, variable: str, tmp_path: Path) -> None:
    uri = server(variable)
    name = f"side_by_side_{uuid4().hex[:12]}"
    theirs = run(SCRIPTS[script], "pymilvus", uri, name, tmp_path)
    for package in OURS:
        ours = run(SCRIPTS[script], package, uri, name, tmp_path)
        assert ours.keys() == theirs.keys()
        assert not {key: (value, ours[key]) for key, value in theirs.items() if ours[key] != value}, package


# What a database in a file answers otherwise than Milvus Lite, which PyMilvus uses for one.
OTHERWISE_ON_A_FILE: dict[str, set[str]] = {
    # As Milvus: numbers of fields, parameters of an index, its codes, a count of what is deleted. Milvus Lite has none, keeps
    # no description, describes an index that is not there, and names the keys that are gone.
    "collections": {"describe_collection", "index", "no index", "deleted", "wrong filter", "unknown output"},
    "simple": {"delete"},
    "langchain": set(),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_file_answers_as_milvus_lite(script: str, tmp_path: Path) -> None:
    theirs = run(SCRIPTS[script], "pymilvus", server("MILVUS_TEST_LITE"), f"file_{uuid4().hex[:12]}", tmp_path)
    ours = run(SCRIPTS[script], "milvus_connections", str(tmp_path / "docs.db"), "docs", tmp_path)
    assert ours.keys() == theirs.keys()
    assert {key for key, value in theirs.items() if ours[key] != value} == OTHERWISE_ON_A_FILE[script], {
        key: (value, ours[key]) for key, value in theirs.items() if ours[key] != value
    }


# Users, roles and privileges, on a server with authorization.
ACCESS = """
user, role = "u" + NAME[-8:], "r" + NAME[-8:]
client.create_user(user, "secret-1")
say("users", user in client.list_users())
client.create_role(role)
say("roles", [role in client.list_roles(), "admin" in client.list_roles()])
client.grant_role(user, role)
say("user", {**client.describe_user(user), "user_name": "", "roles": [name == role for name in client.describe_user(user)["roles"]]})
client.grant_privilege(role, "Collection", "Search", "*")
client.grant_privilege(role, "Global", "CreateCollection", "*")
described = client.describe_role(role)
say("role", sorted([item["object_type"], item["object_name"], item["privilege"], item["grantor_name"]] for item in described["privileges"]))
say("keys of a privilege", sorted(described["privileges"][0]))
client.revoke_privilege(role, "Collection", "Search", "*")
client.revoke_privilege(role, "Global", "CreateCollection", "*")
say("none left", client.describe_role(role)["privileges"])
client.revoke_role(user, role)
client.update_password(user, "secret-1", "secret-2")
other = MilvusClient(URI, user=user, password="secret-2")
fails("may not", lambda: other.create_collection(NAME, 4))
other.close()
fails("wrong password", lambda: MilvusClient(URI, token=user + ":nothing"))
client.drop_role(role)
client.drop_user(user)
say("gone", [user in client.list_users(), role in client.list_roles(), client.describe_user(user)])
"""


def test_users_and_roles_are_the_same(tmp_path: Path) -> None:
    script = 'client = MilvusClient(URI, token="root:Milvus")\n' + ACCESS
    uri = server("MILVUS_TEST_AUTH")
    name = f"side_by_side_{uuid4().hex[:12]}"
    said = [run(script, package, uri, name, tmp_path, "") for package in ("pymilvus", "milvus_connections")]
    # PyMilvus lets gRPC's own errors through.
    refused = [[one.pop(name) for name in ("may not", "wrong password")] for one in said]
    assert refused[0] != refused[1] and all(name == "MilvusException" for name, _code in refused[1]), refused
    assert said[0] == said[1]
