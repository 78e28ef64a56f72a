"""The client program around PyMilvus: one job on standard input, one line of JSON on standard output.

The same as src/client.rs does for the Rust peers. "asyncio" in the job chooses AsyncMilvusClient instead of threads.
"""

import asyncio
import json
import os
import sys
import threading
import time

DIMENSION, INSERT_ROWS, ANSWER_ROWS = 1024, 768, 2560
COLLECTION, KEY_FIELD, VECTOR_FIELD = "bench", "id", "vector"


def options(target, **more):
    """A target as arguments of MilvusClient."""
    found = {"uri": target["uri"], "token": target.get("token") or "", "db_name": target.get("database") or ""}
    if target.get("ca"):
        found["server_pem_path"] = target["ca"]
    if target.get("timeout"):
        found["timeout"] = target["timeout"]
    return {**found, **more}


def rows():
    """The rows of one insert, as numpy arrays: what PyMilvus takes fastest."""
    import numpy

    vectors = numpy.random.default_rng(1).random((INSERT_ROWS, DIMENSION), dtype=numpy.float32)
    return [{KEY_FIELD: number, VECTOR_FIELD: vector} for number, vector in enumerate(vectors)]


def resident_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def open_sockets():
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return count


DATA_DIMENSION, BATCH_ROWS, MESSAGE_ROWS = 768, 5_000, 1_000


def peak_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Meter:
    """As in src/data.rs."""

    def __init__(self):
        try:
            with open("/proc/self/clear_refs", "w") as refs:
                refs.write("5")
        except OSError:
            pass
        self.resident, self.began, self.processor = resident_bytes(), time.perf_counter(), time.process_time()

    def stop(self, size):
        seconds, processor = time.perf_counter() - self.began, time.process_time() - self.processor
        return {
            "seconds": seconds,
            "megabytes_per_second": size / 1e6 / seconds,
            "cpu_per_gigabyte": processor / (size / 1e9),
            "peak_megabytes": max(0, peak_bytes() - self.resident) / 1e6,
        }


def data_rows(count):
    import numpy

    return numpy.random.default_rng(1).random((count, DATA_DIMENSION), dtype=numpy.float32)


def insert_rows(target, rows, form):
    from pymilvus import Collection, MilvusClient
    from pymilvus import connections as aliases

    vectors = data_rows(rows)
    batches = [range(first, min(first + BATCH_ROWS, rows)) for first in range(0, rows, BATCH_ROWS)]
    if form == "columns":
        aliases.connect("default", uri=target["uri"], token=target.get("token") or "")
        collection = Collection(COLLECTION)
        meter = Meter()
        for batch in batches:
            collection.insert([list(batch), vectors[batch.start : batch.stop]])
        return meter.stop(vectors.nbytes)
    client = MilvusClient(**options(target))
    data = [[{KEY_FIELD: key, VECTOR_FIELD: vectors[key]} for key in batch] for batch in batches]
    meter = Meter()
    for batch in data:
        client.insert(COLLECTION, batch)
    return meter.stop(vectors.nbytes)


def load_file(target, path):
    import numpy
    from pymilvus import MilvusClient

    client = MilvusClient(**options(target))
    meter = Meter()
    vectors = numpy.load(path)
    for first in range(0, len(vectors), BATCH_ROWS):
        batch = vectors[first : first + BATCH_ROWS]
        client.insert(COLLECTION, [{KEY_FIELD: first + n, VECTOR_FIELD: vector} for n, vector in enumerate(batch)])
    client.flush(COLLECTION)
    return meter.stop(vectors.nbytes)


def pace(seconds, once):
    once()
    began, size = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        size += once()
    return size / 1e9 / (time.perf_counter() - began)


def coding(seconds):
    import numpy
    from pymilvus import DataType
    from pymilvus.client.prepare import Prepare
    from pymilvus.grpc_gen import milvus_pb2

    vectors = data_rows(MESSAGE_ROWS)
    rows = [{KEY_FIELD: key, VECTOR_FIELD: vector} for key, vector in enumerate(vectors)]
    fields = [
        {"name": KEY_FIELD, "type": DataType.INT64, "is_primary": True, "params": {}},
        {"name": VECTOR_FIELD, "type": DataType.FLOAT_VECTOR, "params": {"dim": DATA_DIMENSION}},
    ]

    def encode():
        Prepare.row_insert_param(COLLECTION, rows, "", fields).SerializeToString()
        return vectors.nbytes

    answer = milvus_pb2.QueryResults()
    field = answer.fields_data.add(field_name=VECTOR_FIELD, type=DataType.FLOAT_VECTOR)
    field.vectors.dim = DATA_DIMENSION
    field.vectors.float_vector.data.extend(vectors[:100].ravel().tolist())
    message = answer.SerializeToString()

    def decode():
        found = milvus_pb2.QueryResults.FromString(message)
        return numpy.array(found.fields_data[0].vectors.float_vector.data, dtype=numpy.float32).nbytes

    return {"encode": pace(seconds, encode), "decode": pace(seconds, decode)}


def connections(target, count, shared):
    from pymilvus import MilvusClient

    first = MilvusClient(**options(target, dedicated=not shared))
    first.get_server_version()
    memory, sockets = resident_bytes(), open_sockets()
    began = time.perf_counter()
    clients = [MilvusClient(**options(target, dedicated=not shared)) for _ in range(count)]
    seconds = time.perf_counter() - began
    time.sleep(0.3)
    grown = max(0, resident_bytes() - memory)
    return {"seconds": seconds, "bytes": grown, "sockets": open_sockets() - sockets, "clients": len(clients)}


def fail(target):
    from pymilvus import MilvusClient

    began = time.perf_counter()
    try:
        MilvusClient(**options(target)).list_collections()
        said = None
    except Exception as error:  # whatever a user would see
        said = str(error)
    return {"seconds": time.perf_counter() - began, "said": said}


class Counted:
    def __init__(self):
        self.counting = self.over = False
        self.times, self.bytes, self.failure = [], 0, None

    def one(self, began, size):
        if self.counting:
            self.times.append(time.perf_counter() - began)
            self.bytes += size

    def summary(self, callers, first, elapsed, processor):
        times = sorted(self.times)
        calls = len(times)
        percentile = lambda percent: times[min(calls * percent // 100, calls - 1)] * 1e6 if calls else 0.0
        return {
            "calls": calls,
            "rate": calls / elapsed,
            "p50_us": percentile(50),
            "p99_us": percentile(99),
            "cpu_us": processor * 1e6 / max(calls, 1),
            "first_ms": first * 1e3,
            "megabytes_per_second": self.bytes / 1e6 / (sum(times) / callers) if calls else 0.0,
        }


def repeat_threads(call, callers, seconds):
    began = time.perf_counter()
    call()
    first = time.perf_counter() - began
    counted = Counted()

    def caller():
        try:
            while not counted.over:
                began = time.perf_counter()
                counted.one(began, call())
        except Exception as error:
            counted.failure = error

    threads = [threading.Thread(target=caller) for _ in range(callers)]
    for thread in threads:
        thread.start()
    time.sleep(min(seconds / 4, 0.5))
    counted.counting = True
    began, processor = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    elapsed, processor = time.perf_counter() - began, time.process_time() - processor
    counted.counting, counted.over = False, True
    for thread in threads:
        thread.join()
    if counted.failure:
        raise counted.failure
    return counted.summary(callers, first, elapsed, processor)


async def repeat_tasks(call, callers, seconds):
    began = time.perf_counter()
    await call()
    first = time.perf_counter() - began
    counted = Counted()

    async def caller():
        while not counted.over:
            began = time.perf_counter()
            counted.one(began, await call())

    tasks = [asyncio.create_task(caller()) for _ in range(callers)]
    await asyncio.sleep(min(seconds / 4, 0.5))
    counted.counting = True
    began, processor = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    elapsed, processor = time.perf_counter() - began, time.process_time() - processor
    counted.counting, counted.over = False, True
    await asyncio.gather(*tasks)
    return counted.summary(callers, first, elapsed, processor)


def threads(target, kind, callers, seconds):
    from pymilvus import MilvusClient

    client = MilvusClient(**options(target))
    if kind == "small_calls":

        def call():
            client.get_server_version()
            return 0

    elif kind == "searches":
        vector = data_rows(1)[0].tolist()

        def call():
            found = client.search(COLLECTION, [vector], anns_field=VECTOR_FIELD, limit=10)
            assert len(found[0]) == 10
            return 0

    elif kind == "small_answers":

        def call():
            found = client.query(COLLECTION, filter=f"{KEY_FIELD} >= 0", output_fields=[VECTOR_FIELD])
            return len(found) * DATA_DIMENSION * 4

    elif kind == "inserts":
        data = rows()

        def call():
            client.insert(COLLECTION, data)
            return INSERT_ROWS * DIMENSION * 4

    else:

        def call():
            found = client.query(COLLECTION, filter=f"{KEY_FIELD} >= 0", output_fields=[VECTOR_FIELD])
            return len(found) * DIMENSION * 4

    return repeat_threads(call, callers, seconds)


async def tasks(target, kind, callers, seconds):
    from pymilvus import AsyncMilvusClient

    client = AsyncMilvusClient(**options(target))
    if kind == "small_calls":

        async def call():
            await client.get_server_version()
            return 0

    elif kind == "inserts":
        data = rows()

        async def call():
            await client.insert(COLLECTION, data)
            return INSERT_ROWS * DIMENSION * 4

    else:

        async def call():
            found = await client.query(COLLECTION, filter=f"{KEY_FIELD} >= 0", output_fields=[VECTOR_FIELD])
            return len(found) * DIMENSION * 4

    return await repeat_tasks(call, callers, seconds)


def faults(target, callers, seconds):
    """What src/faults.rs does, with threads."""
    import itertools

    from pymilvus import MilvusClient

    deadline = target.get("deadline") or 10.0
    client = MilvusClient(**options(target))
    vector = [0.1] * DIMENSION
    account = {"reads": 0, "reads_failed": 0, "not_applied": [], "unknown": [], "longest_ms": 0.0, "said": []}
    numbers, lock, times = itertools.count(), threading.Lock(), []
    origin = time.monotonic()
    account["began_ms"] = int(time.time() * 1e3)

    def caller(number):
        while time.monotonic() - origin < seconds:
            key = None if number % 2 == 0 else next(numbers)
            began, said = time.monotonic(), None
            try:
                if key is None:
                    client.get_server_version(timeout=deadline)
                else:
                    client.insert(COLLECTION, [{KEY_FIELD: key, VECTOR_FIELD: vector}], timeout=deadline)
            except Exception as error:
                said = str(error)
            ended = time.monotonic()
            with lock:
                account["longest_ms"] = max(account["longest_ms"], (ended - began) * 1e3)
                if said is None:
                    times.append(ended - origin)
                    account["reads"] += key is None
                else:
                    if key is None:
                        account["reads_failed"] += 1
                    else:
                        account["unknown"].append(key)
                    said = ("read: " if key is None else "insert: ") + said
                    if len(account["said"]) < 4 and said not in account["said"]:
                        account["said"].append(said)
            time.sleep(0.02)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    per = [0] * (int(max(times, default=0) * 100) + 1)
    for moment in times:
        per[int(moment * 100)] += 1
    return {**account, "inserts": next(numbers), "per_centisecond": per}


def main():
    job = json.loads(sys.stdin.readline())
    target, work = job["target"], job["work"]
    if job.get("core") is not None:
        os.sched_setaffinity(0, {job["core"]})
    if work == "first_answer":
        from pymilvus import MilvusClient

        MilvusClient(**options(target)).get_server_version()
        outcome = {}
    elif work == "fail":
        outcome = fail(target)
    elif "insert_rows" in work:
        outcome = insert_rows(target, **work["insert_rows"])
    elif "load_file" in work:
        outcome = load_file(target, **work["load_file"])
    elif "coding" in work:
        outcome = coding(**work["coding"])
    elif "faults" in work:
        outcome = faults(target, **work["faults"])
    elif "connections" in work:
        outcome = connections(target, **work["connections"])
    else:
        ((kind, how),) = work.items()
        run = lambda callers=1, seconds=1.0: (
            asyncio.run(tasks(target, kind, callers, seconds))
            if job.get("asyncio")
            else threads(target, kind, callers, seconds)
        )
        outcome = run(**how)
    print(json.dumps(outcome), flush=True)
    # Nothing is measured any more; closing down politely would only take time.
    os._exit(0)


main()
