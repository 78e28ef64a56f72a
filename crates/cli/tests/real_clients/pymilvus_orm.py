"""Everyday work with PyMilvus's ORM: connections, Collection, Partition, utility, db, Role. Arguments: URI, password file."""

import json
import sys

from pymilvus import (
    AnnSearchRequest,
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    MilvusException,
    Role,
    WeightedRanker,
    connections,
    db,
    utility,
)

uri, password_file = sys.argv[1:]
connections.connect("default", uri=uri, user="root", password=open(password_file).read())
done = []
fields = [
    FieldSchema("id", DataType.VARCHAR, is_primary=True, max_length=20),
    FieldSchema("v", DataType.FLOAT_VECTOR, dim=4),
    FieldSchema("w", DataType.FLOAT_VECTOR, dim=2),
    FieldSchema("tenant", DataType.INT64, is_partition_key=True),
]
assert not utility.has_collection("orm")
books = Collection("orm", CollectionSchema(fields, description="books"), num_partitions=4, consistency_level="Strong")
rows = [[f"k{n:02}" for n in range(40)], [[n, 1.0, 2.0, 3.0] for n in range(40)], [[1.0, n] for n in range(40)], [n % 3 for n in range(40)]]
assert books.insert(rows).insert_count == 40
books.create_index("v", {"index_type": "IVF_FLAT", "metric_type": "L2", "params": {"nlist": 4}}, index_name="by_v")
books.create_index("w", {"index_type": "FLAT", "metric_type": "IP", "params": {}}, index_name="by_w")
utility.wait_for_index_building_complete("orm", index_name="by_v")
assert utility.index_building_progress("orm", index_name="by_v")["pending_index_rows"] == 0
books.load()
utility.wait_for_loading_complete("orm")
assert utility.loading_progress("orm")["loading_progress"] == "100%"
books.flush()
assert books.num_entities == 40 and len(books.partitions) == 4 and books.description == "books"
done.append("collection")
hits = books.search([[7.0, 1.0, 2.0, 3.0]], "v", {"metric_type": "L2", "params": {"nprobe": 4}}, 3, expr="tenant == 1", output_fields=["tenant"])
assert hits[0][0].id == "k07" and hits[0][0].distance == 0 and hits[0][0].entity.get("tenant") == 1, hits
requests = [
    AnnSearchRequest([[7.0, 1.0, 2.0, 3.0]], "v", {"metric_type": "L2"}, 3),
    AnnSearchRequest([[0.0, 1.0]], "w", {"metric_type": "IP"}, 3),
]
assert len(books.hybrid_search(requests, WeightedRanker(0.5, 0.5), 4)[0]) == 4
assert len(books.query("tenant in [1, 2]", output_fields=["id"])) == 26
assert len(books.query("id like 'k1%'", output_fields=["id"], limit=4, offset=3)) == 4
iterator = books.query_iterator(batch_size=9, expr="tenant >= 0", output_fields=["id"])
found = []
while batch := iterator.next():
    found += batch
iterator.close()
assert len(found) == 40
iterator = books.search_iterator([[7.0, 1.0, 2.0, 3.0]], "v", {"metric_type": "L2"}, batch_size=5, limit=12)
found = []
while batch := iterator.next():
    found += batch.ids()
iterator.close()
assert len(set(found)) == 12 and found[0] == "k07", found
done.append("read")
assert books.upsert([["k00"], [[9.0] * 4], [[0.0, 0.0]], [2]]).upsert_count == 1
assert books.delete("id in ['k01', 'k02']").delete_count == 2
assert len(books.query("tenant >= 0", output_fields=["id"], limit=100)) == 38
books.compact()
books.wait_for_compaction_completed()
done.append("change")
utility.create_alias("orm", "al")
assert utility.list_aliases("orm") == ["al"] and Collection("al").num_entities > 0
utility.drop_alias("al")
assert books.has_index(index_name="by_v") and {i.index_name for i in books.indexes} == {"by_v", "by_w"}
books.release()
assert str(utility.load_state("orm")) == "NotLoad"
books.drop_index(index_name="by_v")
plain = Collection("plain", CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]))
partition = plain.create_partition("p1")
partition.insert([[[1.0, 2.0]]])
plain.create_index("v", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
partition.load()
partition.flush()
assert partition.num_entities == 1 and plain.has_partition("p1")
partition.release()
plain.drop_partition("p1")
utility.rename_collection("plain", "plainer")
done.append("administration")
db.create_database("orm_sales")
assert "orm_sales" in db.list_database()
db.using_database("orm_sales")
assert utility.list_collections() == []
db.using_database("default")
db.drop_database("orm_sales")
utility.create_user("orm_user", "secret-of-orm")
assert "orm_user" in utility.list_usernames()
role = Role("orm_role")
role.create()
role.add_user("orm_user")
role.grant("Collection", "orm", "Search")
assert [g.privilege for g in role.list_grants().groups] == ["Search"] and role.get_users() == ("orm_user",), role.get_users()
try:
    role.grant("Nonsense", "orm", "Search")
    raise AssertionError("granted on an object that does not exist")
except MilvusException as error:
    assert "not found the object type" in str(error), error
role.revoke("Collection", "orm", "Search")
role.remove_user("orm_user")
role.drop()
utility.update_password("orm_user", "secret-of-orm", "new-secret-of-orm")
utility.delete_user("orm_user")
done.append("users")
for name in utility.list_collections():
    utility.drop_collection(name)
connections.disconnect("default")
print(json.dumps(done))
