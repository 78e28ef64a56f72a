"""One piece of work with one of the two packages: one job on standard input, one line of JSON on standard output.

The same calls with the same arguments in both, but for the module that they come from; what differs is said where it does.
"""

import importlib
import json
import os
import sys
import threading
import time

ROWS, DIMENSION, ROWS_OF_A_CALL = 100_000, 768, 10_000
COLLECTION, LIMIT = "bench", 10


def megabytes(what="VmRSS"):
    """Memory of this process: what it has (`VmRSS`), or the most that it has had (`VmHWM`)."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class Peak:
    """The most memory that a block has beyond what was there before it."""

    def __enter__(self):
        with open("/proc/self/clear_refs", "w") as forget:
            forget.write("5")
        self.before = megabytes()
        return self

    def __exit__(self, *_):
        self.megabytes = megabytes("VmHWM") - self.before


def server_process(uri):
    """The id of the process that listens at this address of this machine."""
    port = int(uri.rpartition(":")[2])
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as sockets:
            rows += [line.split() for line in sockets][1:]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    for process in filter(str.isdigit, os.listdir("/proc")):
        folder = f"/proc/{process}/fd"
        try:
            if any(os.readlink(f"{folder}/{name}") in inodes for name in os.listdir(folder)):
                return int(process)
        except OSError:
            # It has ended, or is somebody else's.
            continue
    raise RuntimeError(f"nobody listens at {uri}")


def processor_seconds(process):
    with open(f"/proc/{process}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Timed:
    """Time on the clock and processor time of a block."""

    def __enter__(self):
        self.began, self.processor = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.began
        self.processor = time.process_time() - self.processor


def importing(module, _job):
    memory = megabytes()
    with Timed() as timed:
        package = importlib.import_module(module)
        package.connections, package.MilvusClient
    return {"ms": timed.seconds * 1e3, "megabytes": megabytes() - memory}


def connect(module, job):
    package = importlib.import_module(module)
    with Timed() as timed:
        package.connections.connect("bench", uri=job["uri"], token="root:Milvus")
    return {"ms": timed.seconds * 1e3, "cpu_ms": timed.processor * 1e3}


def client_of(module, job):
    package = importlib.import_module(module)
    return package.MilvusClient(uri=job["uri"], token="root:Milvus")


def random_vectors(count):
    import numpy

    return numpy.random.default_rng(1).random((count, DIMENSION), dtype=numpy.float32)


def insert_rows(module, job):
    client, vectors = client_of(module, job), random_vectors(ROWS)
    rows = [{"id": number, "vector": vector} for number, vector in enumerate(vectors)]
    client.insert(COLLECTION, rows[:10])
    inserted = 0
    with Peak() as peak, Timed() as timed:
        for start in range(0, ROWS, ROWS_OF_A_CALL):
            inserted += client.insert(COLLECTION, rows[start : start + ROWS_OF_A_CALL])["insert_count"]
    assert inserted == ROWS, inserted
    return {"ms": timed.seconds * 1e3, "cpu_ms": timed.processor * 1e3, "peak_megabytes": peak.megabytes}


def insert_columns(module, job):
    """Ours: ``MilvusClient.insert`` takes columns. PyMilvus has them in its older ``Collection`` only."""
    import numpy

    keys, vectors = numpy.arange(ROWS), random_vectors(ROWS)
    if module == "pymilvus":
        package = importlib.import_module(module)
        package.connections.connect("default", uri=job["uri"], token="root:Milvus")
        collection = package.Collection(COLLECTION)

        def insert(start, end):
            return collection.insert([keys[start:end], vectors[start:end]]).insert_count

    else:
        client = client_of(module, job)

        def insert(start, end):
            return client.insert(COLLECTION, {"id": keys[start:end], "vector": vectors[start:end]})["insert_count"]

    insert(0, 10)
    with Peak() as peak, Timed() as timed:
        inserted = sum(insert(start, start + ROWS_OF_A_CALL) for start in range(0, ROWS, ROWS_OF_A_CALL))
    assert inserted == ROWS, inserted
    return {"ms": timed.seconds * 1e3, "cpu_ms": timed.processor * 1e3, "peak_megabytes": peak.megabytes}


def search(module, job):
    """Each search reads the key, the distance and the title of every hit."""
    client, queries = client_of(module, job), random_vectors(job["queries"])

    def call():
        found = client.search(COLLECTION, data=queries, limit=LIMIT, output_fields=["title"])
        length = 0
        for hits in found:
            for hit in hits:
                length += hit["id"] + len(hit["entity"]["title"]) + (hit["distance"] > 0)
        return length

    return repeat(call, job["callers"], job["seconds"], server_process(job["uri"]))


def repeat(call, callers, seconds, server):
    expected = call()
    assert expected > 0
    counts, over, counting, failures = [0] * callers, threading.Event(), threading.Event(), []

    def caller(number):
        try:
            while not over.is_set():
                assert call() == expected
                counts[number] += counting.is_set()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    time.sleep(min(0.5, seconds / 4))
    counting.set()
    server_began = processor_seconds(server)
    with Timed() as timed:
        time.sleep(seconds)
    server_share = (processor_seconds(server) - server_began) * 100 / timed.seconds
    counting.clear()
    over.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    calls = sum(counts)
    return {
        "rate": calls / timed.seconds,
        "cpu_us": timed.processor * 1e6 / max(calls, 1),
        # Near 100 the server that does nothing is what holds the calls up, and not the client.
        "server_share": server_share,
    }


def main():
    job = json.loads(sys.stdin.readline())
    if job.get("core") is not None:
        os.sched_setaffinity(0, {job["core"]})
    work = {
        "import": importing,
        "connect": connect,
        "insert_rows": insert_rows,
        "insert_columns": insert_columns,
        "search": search,
    }[job["work"]]
    print(json.dumps(work(job["module"], job)), flush=True)
    # Nothing is measured any more; closing down politely would only take time.
    os._exit(0)


main()
