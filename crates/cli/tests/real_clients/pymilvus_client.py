"""Everyday work with PyMilvus's MilvusClient. Arguments: URI, file of root's password, for TLS the authority's file, and for mutual TLS the
client's certificate and key."""

import json
import sys

from pymilvus import (
    AnnSearchRequest,
    DataType,
    Function,
    FunctionType,
    MilvusClient,
    MilvusException,
    RRFRanker,
    WeightedRanker,
)
from pymilvus.client.embedding_list import EmbeddingList

uri, password_file, *files = sys.argv[1:]
password = open(password_file).read()
if len(files) == 3:
    names = ["ca_pem_path", "client_pem_path", "client_key_path"]
    tls = {"secure": True, **dict(zip(names, files))}
else:
    # With one-way TLS this client takes its authorities from nowhere else.
    tls = {"secure": True, "server_pem_path": files[0]} if files else {}
# Through a Unix socket gRPC's C core names the socket's path as the authority, which is none in HTTP/2.
socket = {"grpc_options": {"grpc.default_authority": "localhost"}} if uri.startswith("unix:") else {}


def connect(user="root", password=password, **options):
    return MilvusClient(uri, user=user, password=password, **tls, **socket, **options)


def fails(work, words, code=None):
    try:
        work()
    except Exception as error:
        assert words in str(error), f"{words!r} is not in {error!s}"
        assert code is None or getattr(error, "code", None) == code, (code, error)
        return
    raise AssertionError(f"should have failed with {words!r}")


def all_of(iterator):
    rows = []
    while batch := iterator.next():
        rows.extend(batch)
    iterator.close()
    return rows


done = []


def step(work):
    work()
    done.append(work.__name__)


c = connect()
vectors = [[float((i * k) % 17) - 8 for k in range(1, 9)] for i in range(100)]


@step
def simple_collection():
    assert c.get_server_version()
    assert not c.has_collection("quick")
    c.create_collection("quick", dimension=8)
    described = c.describe_collection("quick")
    assert described["collection_name"] == "quick" and described["enable_dynamic_field"], described
    assert [f["name"] for f in described["fields"]] == ["id", "vector"]
    rows = [{"id": i, "vector": vectors[i], "color": ["red", "blue"][i % 2], "n": i} for i in range(100)]
    answer = c.insert("quick", rows)
    assert answer["insert_count"] == 100 and list(answer["ids"]) == list(range(100)), answer
    found = c.search("quick", data=[vectors[3]], limit=3, output_fields=["color", "n"])
    assert len(found) == 1 and len(found[0]) == 3 and found[0][0]["distance"] > 0.99
    found = c.search("quick", [vectors[3], vectors[4]], filter='color == "blue" and n > 10', limit=5, output_fields=["*"])
    assert len(found) == 2 and all(hit["entity"]["color"] == "blue" for hits in found for hit in hits)
    assert [row["id"] for row in c.query("quick", filter="n in [5, 6]", output_fields=["color"])] == [5, 6]
    assert c.query("quick", filter="", output_fields=["count(*)"])[0]["count(*)"] == 100
    assert [row["n"] for row in c.get("quick", ids=[1, 2], output_fields=["n"])] == [1, 2]
    assert len(c.query("quick", filter="n < {most}", filter_params={"most": 7}, output_fields=["n"])) == 7


@step
def changes():
    assert c.delete("quick", ids=[1, 2])["delete_count"] == 2
    assert c.get("quick", ids=[1, 2]) == []
    assert c.upsert("quick", [{"id": 3, "vector": vectors[0], "color": "green", "n": 333}])["upsert_count"] == 1
    assert c.get("quick", ids=[3])[0]["color"] == "green"
    assert c.delete("quick", filter="n >= 90 and n < 100")["delete_count"] == 10
    assert c.query("quick", filter="", output_fields=["count(*)"])[0]["count(*)"] == 88
    c.flush("quick")
    assert int(c.get_collection_stats("quick")["row_count"]) >= 88


@step
def iterators():
    rows = all_of(c.query_iterator("quick", batch_size=10, filter="n < 50", output_fields=["n"]))
    assert sorted(row["n"] for row in rows) == [0] + list(range(4, 50)), rows
    hits = all_of(c.search_iterator("quick", data=[vectors[3]], batch_size=7, limit=40, output_fields=["n"]))
    assert len({hit["id"] for hit in hits}) == 40, len(hits)


@step
def rich_collection():
    s = c.create_schema(auto_id=True, enable_dynamic_field=True)
    s.add_field("pk", DataType.INT64, is_primary=True)
    s.add_field("flag", DataType.BOOL)
    s.add_field("small", DataType.INT8)
    s.add_field("price", DataType.FLOAT, default_value=1.5)
    s.add_field("weight", DataType.DOUBLE, nullable=True)
    s.add_field("text", DataType.VARCHAR, max_length=200, enable_analyzer=True, enable_match=True)
    s.add_field("json", DataType.JSON)
    s.add_field("list", DataType.ARRAY, element_type=DataType.INT64, max_capacity=10)
    s.add_field("dense", DataType.FLOAT_VECTOR, dim=4)
    s.add_field("bits", DataType.BINARY_VECTOR, dim=16)
    s.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    s.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    s.add_function(Function(name="bm25", function_type=FunctionType.BM25, input_field_names=["text"], output_field_names=["words"]))
    i = c.prepare_index_params()
    i.add_index("dense", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64})
    i.add_index("bits", index_type="BIN_FLAT", metric_type="HAMMING")
    i.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    i.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    c.create_collection("rich", schema=s, index_params=i)
    rows = [
        {
            "flag": n % 2 == 0,
            "small": n,
            "text": f"hello world number {n}" if n % 3 else "quick brown fox",
            "json": {"k": n, "l": [n]},
            "list": [n, n + 1],
            "weight": None if n == 1 else n / 2,
            "dense": [float(n)] * 4,
            "bits": bytes([n, 255 - n]),
            "sparse": {n: 1.0, 100: 0.5},
            "extra": f"x{n}",
        }
        for n in range(10)
    ]
    assert len(c.insert("rich", rows)["ids"]) == 10
    rows = c.query("rich", filter="small < 3", output_fields=["*"])
    assert len(rows) == 3 and rows[1]["weight"] is None and rows[0]["price"] == 1.5 and rows[2]["extra"] == "x2", rows
    assert rows[1]["list"] == [1, 2] and rows[1]["json"] == {"k": 1, "l": [1]}
    assert c.query("rich", filter="json['k'] == 4 and extra == 'x4'", output_fields=["small"])[0]["small"] == 4
    assert len(c.query("rich", filter="array_contains(list, 5)", output_fields=["small"])) == 2
    assert len(c.query("rich", filter="weight is null", output_fields=["small"])) == 1
    found = c.search("rich", data=[[1.0] * 4], anns_field="dense", limit=3, output_fields=["extra"], search_params={"params": {"radius": 100.0, "range_filter": 3.0}})
    assert [hit["entity"]["extra"] for hit in found[0]] == ["x0", "x2", "x3"] or len(found[0]) == 3, found
    assert c.search("rich", data=[bytes([3, 252])], anns_field="bits", limit=2)[0][0]["distance"] == 0
    assert c.search("rich", data=[{7: 1.0}], anns_field="sparse", limit=1, output_fields=["small"])[0][0]["entity"]["small"] == 7
    assert len(c.search("rich", data=[[1.0] * 4], anns_field="dense", limit=3, group_by_field="flag")[0]) == 2


@step
def struct_arrays():
    clip = c.create_struct_field_schema()
    clip.add_field("title", DataType.VARCHAR, max_length=32)
    clip.add_field("second", DataType.INT32)
    clip.add_field("emb", DataType.FLOAT_VECTOR, dim=2)
    s = c.create_schema(enable_dynamic_field=True)
    s.add_field("id", DataType.INT64, is_primary=True)
    s.add_field("clips", DataType.ARRAY, element_type=DataType.STRUCT, struct_schema=clip, max_capacity=8)
    i = c.prepare_index_params()
    i.add_index("clips[emb]", index_type="HNSW", metric_type="MAX_SIM_L2", params={"M": 8, "efConstruction": 64})
    c.create_collection("films", schema=s, index_params=i)
    described = next(f for f in c.describe_collection("films")["fields"] if f["name"] == "clips")
    assert [f["name"] for f in described["struct_fields"]] == ["title", "second", "emb"], described
    films = [
        {"id": n, "clips": [{"title": f"t{k}", "second": n * 10 + k, "emb": [float(n), float(k)]} for k in range(n % 4)]}
        for n in range(12)
    ]
    assert c.insert("films", films)["insert_count"] == 12
    assert list(c.query("films", filter="id >= 0", output_fields=["clips"])) == films
    found = c.query("films", filter='match_least(clips, $[second] > 70 && $[title] != "t0", threshold=2)', output_fields=["id"])
    assert [row["id"] for row in found] == [7, 11], found
    found = c.query("films", filter="id > 2 and element_filter(clips, $[second] in [20, 72])", output_fields=["clips[title]"])
    assert [row["clips"] for row in found] == [[{"title": "t0"}, {"title": "t1"}, {"title": "t2"}]], found
    query = EmbeddingList([[7.0, 0.0], [7.0, 1.0]])
    found = c.search("films", data=[query], anns_field="clips[emb]", limit=2, output_fields=["clips"])
    assert [(hit["id"], hit["distance"]) for hit in found[0]] == [(7, 0.0), (6, 2.0)], found
    assert found[0][0]["entity"]["clips"] == films[7]["clips"], found
    assert c.upsert("films", [{"id": 7, "clips": films[3]["clips"]}])["upsert_count"] == 1
    assert c.get("films", ids=[7])[0]["clips"] == films[3]["clips"]
    fails(lambda: c.query("films", filter="match_any(clips, $[nope] > 1)"), "no member", 1100)


@step
def full_text_and_hybrid():
    found = c.search("rich", data=["brown fox"], anns_field="words", limit=4, output_fields=["text"])
    assert len(found[0]) == 4 and all("fox" in hit["entity"]["text"] for hit in found[0]), found
    assert len(c.query("rich", filter="text_match(text, 'fox')", output_fields=["text"])) == 4
    requests = [AnnSearchRequest([[1.0] * 4], "dense", {}, 5), AnnSearchRequest(["fox"], "words", {}, 5)]
    assert len(c.hybrid_search("rich", requests, RRFRanker(), 4, output_fields=["text"])[0]) == 4
    assert len(c.hybrid_search("rich", requests, WeightedRanker(0.3, 0.7), 4)[0]) == 4


@step
def partitions_aliases_indexes():
    c.create_partition("quick", "p1")
    assert c.has_partition("quick", "p1") and sorted(c.list_partitions("quick")) == ["_default", "p1"]
    c.insert("quick", [{"id": 1000, "vector": vectors[0]}], partition_name="p1")
    assert len(c.query("quick", filter="id >= 0", partition_names=["p1"], output_fields=["id"])) == 1
    c.release_partitions("quick", ["p1"])
    c.load_partitions("quick", ["p1"])
    c.release_partitions("quick", ["p1"])
    c.drop_partition("quick", "p1")
    c.create_alias("rich", "al")
    assert c.describe_alias("al")["collection_name"] == "rich" and "al" in c.list_aliases("rich")["aliases"]
    assert len(c.query("al", filter="small == 1", output_fields=["small"])) == 1
    c.alter_alias("quick", "al")
    c.drop_alias("al")
    assert c.list_indexes("quick") == ["vector"]
    assert c.describe_index("quick", "vector")["metric_type"] == "COSINE"
    c.release_collection("rich")
    assert str(c.get_load_state("rich")["state"]).endswith("NotLoad")
    fails(lambda: c.query("rich", filter="small < 3"), "not loaded", 101)
    c.drop_index("rich", "dense")
    i = c.prepare_index_params()
    i.add_index("dense", index_type="IVF_FLAT", metric_type="IP", params={"nlist": 4})
    c.create_index("rich", i)
    c.load_collection("rich")
    assert str(c.get_load_state("rich")["state"]).endswith("Loaded")
    c.add_collection_field("rich", "added", DataType.INT64, nullable=True, default_value=7)
    assert len(c.query("rich", filter="added == 7", output_fields=["added"], limit=2)) == 2
    c.rename_collection("rich", "richer")
    c.alter_collection_properties("richer", {"collection.ttl.seconds": 3600})
    assert c.describe_collection("richer")["properties"]["collection.ttl.seconds"] == "3600"


@step
def databases():
    c.create_database("sales")
    assert "sales" in c.list_databases() and c.describe_database("sales")["name"] == "sales"
    other = connect(db_name="sales")
    assert other.list_collections() == []
    other.create_collection("orders", dimension=4)
    assert other.list_collections() == ["orders"] and "orders" not in c.list_collections()
    fails(lambda: c.drop_database("sales"), "not empty")
    other.drop_collection("orders")
    other.close()
    fails(lambda: connect(db_name="nope").list_collections(), "database not found", 800)


@step
def users_and_roles():
    c.create_user("alice", "secret-of-alice")
    fails(lambda: c.create_user("alice", "secret-of-alice"), "already exists")
    assert "alice" in c.list_users()
    alice = connect("alice", "secret-of-alice")
    query = lambda: alice.query("quick", filter="id < 5", output_fields=["id"])
    fails(query, "PrivilegeQuery: permission deny to alice in the `default` database")
    fails(lambda: alice.create_collection("hers", dimension=4), "permission deny")
    fails(lambda: alice.create_user("bob", "secret-of-bob"), "PrivilegeCreateOwnership: permission deny")
    assert alice.list_collections() == []
    c.create_role("reader")
    c.grant_role("alice", "reader")
    c.grant_privilege_v2("reader", "Query", "quick", db_name="default")
    assert len(query()) > 0 and alice.list_collections() == ["quick"]
    fails(lambda: alice.insert("quick", [{"id": 1, "vector": vectors[0]}]), "PrivilegeInsert: permission deny")
    fails(lambda: alice.query("richer", filter="small < 5"), "permission deny")
    privileges = c.describe_role("reader")["privileges"]
    assert [(p["object_type"], p["object_name"], p["privilege"], p["db_name"]) for p in privileges] == [("Collection", "quick", "Query", "default")], privileges
    assert list(c.describe_user("alice")["roles"]) == ["reader"] and "reader" in c.list_roles()
    c.grant_privilege_v2("reader", "CollectionReadWrite", "*", db_name="*")
    assert alice.insert("quick", [{"id": 1, "vector": vectors[0]}])["insert_count"] == 1
    c.revoke_privilege_v2("reader", "CollectionReadWrite", "*", db_name="*")
    fails(lambda: alice.delete("quick", ids=[1]), "permission deny")
    c.create_privilege_group("writers")
    c.add_privileges_to_group("writers", ["Insert", "Delete"])
    c.grant_privilege_v2("reader", "writers", "quick", db_name="default")
    assert alice.delete("quick", ids=[1])["delete_count"] == 1
    fails(lambda: c.grant_privilege_v2("reader", "Serach", "quick"), "not found the privilege")
    # Everybody changes their own password; the old one is refused at once.
    alice.update_password("alice", "secret-of-alice", "another-secret")
    fails(query, "auth check failure")
    fails(lambda: connect("alice", "secret-of-alice").list_collections(), "auth check failure")
    alice = connect("alice", "another-secret")
    assert len(alice.query("quick", filter="id < 5", output_fields=["id"])) > 0
    fails(lambda: alice.update_password("alice", "not-the-old-one", "yet-another"), "old password not correct")
    c.revoke_role("alice", "reader")
    c.drop_user("alice")
    fails(lambda: alice.list_collections(), "auth check failure")
    c.drop_role("reader", force_drop=True)
    c.drop_privilege_group("writers")
    fails(lambda: connect("nobody", "nothing-at-all").list_collections(), "Fail connecting to server")


@step
def mistakes():
    fails(lambda: c.describe_collection("nope"), "can't find collection", 100)
    fails(lambda: c.search("quick", data=[[1.0] * 7], limit=3), "dimension")
    fails(lambda: c.query("quick", filter="n >"), "cannot parse expression", 1100)
    fails(lambda: c.insert("quick", [{"id": 1}]), "vector")
    fails(lambda: c.list_resource_groups(), "leave the call out")


@step
def clean_up():
    c.truncate_collection("quick")
    assert c.query("quick", filter="", output_fields=["count(*)"])[0]["count(*)"] == 0
    for name in c.list_collections():
        c.drop_collection(name)
    c.drop_database("sales")
    assert c.list_collections() == [] and c.list_databases() == ["default"]
    c.close()


print(json.dumps(done))
