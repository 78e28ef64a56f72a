"""One step of `bench embedded` through PyMilvus. The same as src/bin/database_ours.rs does, step by step."""

import itertools
import json
import sys
import threading
import time

import numpy
from pymilvus import DataType, MilvusClient

COLLECTION, LIMIT, BATCH, CHECKED = "bench", 10, 1000, 20
SHARES = [0, 10, 100, 500]


def memory(name):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def floats(path, dimension):
    return numpy.fromfile(path, dtype="<f4").reshape(-1, dimension)


def create(client, job):
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=256)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=job["dimension"])
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type=job["metric"])
    client.create_collection(COLLECTION, schema=schema, index_params=indexes)


def rows(vectors, first):
    return [
        {"id": row, "n": row * 7919 % 1000, "text": f"the text of row {row}, as long as a title is", "vector": vector}
        for row, vector in enumerate(vectors, first)
    ]


def fill(job, _queries):
    vectors = floats(job["vectors"], job["dimension"])
    batches = [rows(vectors[first : first + BATCH], first) for first in range(0, len(vectors), BATCH)]
    client = MilvusClient(job["uri"])
    create(client, job)
    began = time.perf_counter()
    for batch in batches:
        client.insert(COLLECTION, batch)
    insert_rate = len(vectors) / (time.perf_counter() - began)
    client.flush(COLLECTION)
    outcome = {"insert_rate": insert_rate, "resident": memory("VmRSS:"), "resident_anonymous": memory("RssAnon:")}
    client.close()
    return outcome


def write_until_killed(job, _queries):
    vectors = floats(job["vectors"], job["dimension"])
    client = MilvusClient(job["uri"])
    create(client, job)
    first = 0
    for at in itertools.cycle(range(0, len(vectors), BATCH)):
        batch = rows(vectors[at : at + BATCH], first)
        client.insert(COLLECTION, batch)
        first += len(batch)
        print(first, flush=True)


def search(client, query, share):
    found = client.search(
        COLLECTION,
        data=[query],
        limit=LIMIT,
        filter=f"n < {share}" if share else "",
        anns_field="vector",
        consistency_level="Eventually",
    )
    return [hit["id"] for hit in found[0]]


def searches(client, queries, share, callers, seconds):
    counts, until, began = [0] * callers, seconds, time.perf_counter()

    def run(caller):
        while time.perf_counter() - began < until:
            search(client, queries[(caller * 7 + counts[caller]) % len(queries)], share)
            counts[caller] += 1

    threads = [threading.Thread(target=run, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def query_rate(client, seconds):
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += len(client.query(COLLECTION, filter="n < 100", output_fields=["id", "n", "text"]))
    return count / (time.perf_counter() - began)


def first_search(job, queries):
    began = time.perf_counter()
    client = MilvusClient(job["uri"])
    # Milvus Lite forgets at close that a collection was loaded.
    client.load_collection(COLLECTION)
    search(client, queries[0], 0)
    return client, (time.perf_counter() - began) * 1e3


def read(job, queries):
    client, first_search_ms = first_search(job, queries)
    outcome = {"first_search_ms": first_search_ms, "rates": []}
    for share in SHARES:
        outcome["rates"].append([searches(client, queries, share, callers, job["seconds"]) for callers in (1, 2)])
    outcome["query_rate"] = query_rate(client, job["seconds"])
    outcome["resident"], outcome["resident_anonymous"] = memory("VmRSS:"), memory("RssAnon:")
    outcome["hits"] = [[search(client, query, share) for query in queries[:CHECKED]] for share in SHARES]
    client.close()
    return outcome


def reopen(job, queries):
    client, first_search_ms = first_search(job, queries)
    count = client.query(COLLECTION, filter="", output_fields=["count(*)"], consistency_level="Strong")
    return {"first_search_ms": first_search_ms, "rows": count[0]["count(*)"]}


def main():
    job = json.loads(sys.stdin.readline())
    queries = [list(map(float, query)) for query in floats(job["queries"], job["dimension"])]
    steps = {"fill": fill, "read": read, "write_until_killed": write_until_killed, "reopen": reopen}
    print(json.dumps(steps[job["step"]](job, queries)), flush=True)


main()
