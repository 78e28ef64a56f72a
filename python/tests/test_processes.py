"""Processes and threads: fork and spawn, threads, asyncio, the end of the interpreter, Ctrl-C. Each test is bounded."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest

from milvus_connections import Connections, MilvusClient, MilvusException, ParamError, _native

LIMIT = 50


def in_child(work: Callable[[], str]) -> str:
    """What ``work`` gives in a forked child; the child is killed when it takes too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT)
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {status}"
    return said


def own_connection(address: str) -> Any:
    return _native.Connection.open("own", {"address": address}, False)


# ---- fork


def test_a_child_connects_anew_and_leaves_its_parents_connections_alone(
    registry: Connections, stand_in: Any
) -> None:
    registry.connect("dev", address=stand_in.address)
    handle, own = registry._fetch_handler("dev")._connection, own_connection(stand_in.address)
    before = stand_in.calls("Connect")

    def work() -> str:
        assert not registry.has_connection("dev"), "nothing is connected in a child"
        assert registry.get_connection_addr("dev")["address"] == stand_in.address
        versions = handle.version(False), own.version(False), registry._fetch_handler("dev")._connection.version(False)
        assert registry.has_connection("dev"), "what was used is connected"
        registry.connect("dev")
        registry.disconnect("dev")
        return " ".join(versions)

    assert in_child(work) == "v2.6.0-stand-in " * 2 + "v2.6.0-stand-in"
    assert stand_in.calls("Connect") > before, "the child has dialed"
    after = stand_in.calls("Connect")
    assert registry.has_connection("dev")
    assert handle.version(False) == own.version(False) == "v2.6.0-stand-in"
    assert stand_in.calls("Connect") == after, "the parent has not"


def test_a_child_of_a_child_connects_anew_too(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    handle = registry._fetch_handler("dev")._connection
    assert in_child(lambda: in_child(lambda: handle.version(False))) == handle.version(False)


def test_a_client_is_used_in_a_child_and_in_its_parent(stand_in: Any, tmp_path: Any) -> None:
    with MilvusClient(f"http://{stand_in.address}") as client:
        before = stand_in.calls("Connect")
        assert in_child(lambda: str(client.list_databases())) == "['default', 'books']"
        after = stand_in.calls("Connect")
        assert after > before, "the child has dialed"
        assert client.list_databases() == ["default", "books"]
        assert stand_in.calls("Connect") == after, "the parent has not"
        # To close it in the child leaves it open in the parent.
        assert in_child(lambda: str(client.close())) == "None"
        assert client.list_databases() == ["default", "books"] and stand_in.calls("Connect") == after


def test_what_a_child_disconnects_stays_disconnected_in_it(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)

    def work() -> str:
        registry.disconnect("dev")
        try:
            registry._fetch_handler("dev")
        except MilvusException as error:
            return error.message
        return "connected"

    assert "should create connection first" in in_child(work)
    assert registry.has_connection("dev")


def test_forks_between_calls_of_other_threads(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    handle = registry._fetch_handler("dev")._connection
    version = handle.version(False)
    done = threading.Event()

    def call() -> int:
        calls = 0
        while not done.is_set():
            assert handle.version(False) == version
            calls += 1
        return calls

    with ThreadPoolExecutor(4) as threads:
        calling = [threads.submit(call) for _ in range(4)]
        try:
            said = [in_child(lambda: handle.version(False)) for _ in range(10)]
        finally:
            done.set()
        assert all(each.result() > 0 for each in calling)
    assert said == [version] * 10


def test_forks_while_other_threads_connect_and_close(stand_in: Any) -> None:
    done = threading.Event()

    def connect_and_close(number: int) -> int:
        times = 0
        while not done.is_set():
            # Options of its own make each connection a pool of its own.
            with MilvusClient(f"http://{stand_in.address}", call_timeout=10 + number) as client:
                client.list_collections()
            MilvusClient(f"memory:forked-{number}").close()
            times += 1
        return times

    def connect() -> str:
        with MilvusClient(f"http://{stand_in.address}") as client, MilvusClient("memory:forked-0") as embedded:
            return f"{client.list_databases()} {embedded.list_collections()}"

    with ThreadPoolExecutor(4) as threads:
        connecting = [threads.submit(connect_and_close, number) for number in range(4)]
        try:
            said = [in_child(connect) for _ in range(20)]
        finally:
            done.set()
        assert all(each.result() > 0 for each in connecting)
    assert said == ["['default', 'books'] []"] * 20


def test_a_child_lets_go_of_what_is_its_parents(registry: Connections, stand_in: Any) -> None:
    """What a child drops is not closed: threads that it does not have would have to do that."""
    registry.connect("dev", address=stand_in.address)
    held: dict[str, Any] = {
        "client": MilvusClient(f"http://{stand_in.address}", call_timeout=11),
        "embedded": MilvusClient("memory:dropped"),
        "events": registry.events(),
        "handle": registry._fetch_handler("dev"),
        "registry": Connections.isolated(),
    }
    held["registry"].connect("other", address=stand_in.address)
    held["embedded"].create_collection("docs", dimension=2)
    held["rows"] = held["embedded"].query_iterator("docs")
    before = stand_in.calls("ListDatabases")

    def let_go() -> str:
        import gc

        with pytest.raises(ParamError, match="another process"):
            held["rows"].next()
        assert list(held["events"]) == []
        held.clear()
        gc.collect()
        return "done"

    assert [in_child(let_go) for _ in range(3)] == ["done"] * 3
    assert held["client"].list_databases() == ["default", "books"]
    assert stand_in.calls("ListDatabases") == before + 1
    assert held["rows"].next() == []
    held["client"].close()


def test_asyncio_works_in_a_child(registry: Connections, address: str) -> None:
    async def call() -> str:
        await registry.async_connect("dev", address=address)
        return str(await registry._fetch_handler("dev")._connection.version(True))

    version = asyncio.run(call())
    assert in_child(lambda: asyncio.run(call())) == version


def test_a_child_learns_that_a_database_in_memory_is_its_parents(registry: Connections) -> None:
    with MilvusClient("memory:inherited") as client:
        client.create_collection("docs", dimension=2)
        registry.connect("dev", uri="memory:inherited")
        handle = registry._fetch_handler("dev")._connection

        def work() -> str:
            said = []
            for ask in (client.list_collections, lambda: handle.version(False)):
                try:
                    said.append(str(ask()))
                except MilvusException as error:
                    said.append(error.message)
            # What a child asks for itself is a database of its own.
            with MilvusClient("memory:inherited") as own:
                return " | ".join([*said, str(own.list_collections())])

        told = in_child(work).split(" | ")
        assert all("in the memory of the process that this one was forked from" in text for text in told[:2]), told
        assert told[2] == "[]" and client.list_collections() == ["docs"]


def test_a_child_learns_that_its_parent_has_the_database_file(registry: Connections, tmp_path: Any) -> None:
    registry.connect("file", uri=str(tmp_path / "demo.db"))
    handle = registry._fetch_handler("file")._connection
    assert handle.version(False)
    said = in_child(lambda: handle.version(False))
    assert str(os.getpid()) in said and "MilvusException" in said, said
    assert handle.version(False), "the parent's is as it was"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(run_program: Any, address: str, method: str) -> None:
    done = run_program(
        f"""
        import multiprocessing, warnings
        from milvus_connections import connections

        warnings.simplefilter("ignore", DeprecationWarning)
        connections.add_connection(dev={{"address": "{address}"}})

        def work(_):
            if not connections.has_connection("dev"):
                connections.connect("dev")
            return connections._fetch_handler("dev").get_server_version()

        if __name__ == "__main__":
            connections.connect("dev")
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                versions = set(pool.map(work, range(20)))
            versions.add(connections._fetch_handler("dev").get_server_version())
            print(len(versions), connections.has_connection("dev"))
        """
    )
    assert done.stdout.split() == ["1", "True"], done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_clients_in_the_processes_of_a_pool(run_program: Any, address: str, method: str) -> None:
    done = run_program(
        f"""
        import multiprocessing, warnings
        from milvus_connections import MilvusClient

        warnings.simplefilter("ignore", DeprecationWarning)
        # Made at the import of the module, as programs do: a forked child inherits it, a spawned one makes its own.
        client = MilvusClient("http://{address}")

        def work(_):
            return client.get_server_version()

        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                print(set(pool.map(work, range(4))) == {{work(0)}})
        """
    )
    assert done.stdout.strip() == "True", done.stderr


def test_an_exception_crosses_processes(registry: Connections, closed_address: str) -> None:
    import pickle

    with pytest.raises(MilvusException) as caught:
        registry.connect("dev", address=closed_address)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value)
    assert (copy.code, copy.message, copy.alias, copy.hint) == (
        caught.value.code,
        caught.value.message,
        "dev",
        caught.value.hint,
    )


# ---- threads and asyncio


def test_many_threads_share_a_connection(registry: Connections, stand_in: Any) -> None:
    registry.connect("dev", address=stand_in.address)
    handle = registry._fetch_handler("dev")._connection
    with ThreadPoolExecutor(32) as threads:
        versions = set(threads.map(lambda _: handle.version(False), range(320)))
    assert versions == {"v2.6.0-stand-in"}
    assert stand_in.calls("Connect") <= 4, "the pool's channels, not one for each thread"


def test_many_tasks_share_a_connection(registry: Connections, stand_in: Any) -> None:
    async def call() -> set[str]:
        await registry.async_connect("dev", address=stand_in.address)
        handle = registry._fetch_handler("dev")._connection
        return set(await asyncio.gather(*(handle.version(True) for _ in range(1000))))

    assert asyncio.run(call()) == {"v2.6.0-stand-in"}


def test_event_loops_one_after_another_and_side_by_side(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    handle = registry._fetch_handler("dev")._connection

    async def call() -> str:
        return str(await handle.version(True))

    def loop(_: int) -> str:
        return asyncio.run(call())

    versions = {loop(0), loop(1)}
    with ThreadPoolExecutor(4) as threads:
        versions |= set(threads.map(loop, range(16)))
    assert len(versions) == 1


def test_cancelling_a_task_cancels_the_call(registry: Connections, stand_in: Any) -> None:
    stand_in.ask("hang GetVersion")

    async def call() -> None:
        await registry.async_connect("dev", address=stand_in.address)
        handle = registry._fetch_handler("dev")._connection

        async def version() -> str:
            return str(await handle.version(True))

        task = asyncio.create_task(version())
        await asyncio.to_thread(stand_in.wait_for, "arrived", "GetVersion", 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(stand_in.wait_for, "cancelled", "GetVersion", 1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(version(), 0.05)
        await asyncio.to_thread(stand_in.wait_for, "cancelled", "GetVersion", 2)

    asyncio.run(call())


def test_what_a_cancelled_call_held_is_dropped_with_the_gil(registry: Connections, stand_in: Any) -> None:
    """Dropped without, it goes through a lock that a fork could leave taken in the child."""
    calls, droppers = 100, []

    class Recorded(asyncio.Future):  # type: ignore[type-arg]
        def __del__(self) -> None:
            droppers.append(threading.get_ident())

    class Loop(asyncio.SelectorEventLoop):
        def create_future(self) -> Any:
            return Recorded(loop=self)

    registry.connect("dev", address=stand_in.address)
    handle = registry._fetch_handler("dev")._connection
    stand_in.ask("hang GetVersion")

    async def cancel() -> None:
        waiting = [handle.version(True) for _ in range(calls)]
        await asyncio.to_thread(stand_in.wait_for, "arrived", "GetVersion", calls)
        for each in waiting:
            each.cancel()
        del waiting, each
        before = len(droppers)
        while len(droppers) < before + calls:
            await asyncio.sleep(0)

    interval = sys.getswitchinterval()
    # The loop keeps the GIL until it has let go of its own references.
    sys.setswitchinterval(5.0)
    loop = Loop()
    try:
        loop.run_until_complete(asyncio.wait_for(cancel(), LIMIT))
    finally:
        sys.setswitchinterval(interval)
        loop.close()
    assert set(droppers) - {threading.get_ident()}, "the delivering thread has dropped some"


def test_cancelling_a_connect_ends_the_dial(registry: Connections, stand_in: Any) -> None:
    stand_in.ask("hang Connect")

    async def connect() -> None:
        task = asyncio.create_task(registry.async_connect("dev", address=stand_in.address, timeout=60))
        await asyncio.to_thread(stand_in.wait_for, "arrived", "Connect", 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(stand_in.wait_for, "cancelled", "Connect", 1)

    asyncio.run(connect())
    assert not registry.has_connection("dev")


def test_an_answer_to_a_loop_that_is_closed_disturbs_nobody(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    handle = registry._fetch_handler("dev")._connection

    async def begin() -> None:
        for _ in range(20):
            handle.version(True)

    for _ in range(20):
        asyncio.run(begin())
    assert handle.version(False)


def test_an_awaitable_needs_a_running_loop(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    with pytest.raises(RuntimeError, match="no running event loop"):
        registry._fetch_handler("dev")._connection.version(True)


# ---- the end of the interpreter


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import sys; sys.exit(0)",
        "connections.disconnect('dev')",
        "del connections",
        "import asyncio; asyncio.run(begin(1))",
        "asyncio.run(begin(200))",
        "threading.Thread(target=lambda: handle.version(False), daemon=True).start(); arrived()",
        "[threading.Thread(target=spin, daemon=True).start() for _ in range(8)]; time.sleep(0.1)",
        "atexit.register(lambda: print(connections.has_connection('dev')))",
    ],
)
def test_the_interpreter_ends_with_open_connections_and_running_calls(
    run_program: Any, stand_in: Any, address: str, ending: str
) -> None:
    hangs = "arrived" in ending or "begin" in ending
    if hangs:
        stand_in.ask("hang GetVersion")
    began = time.monotonic()
    done = run_program(
        f"""
        import asyncio, atexit, threading, time
        from milvus_connections import connections

        connections.connect("dev", address="{stand_in.address if hangs else address}")
        handle = connections._fetch_handler("dev")._connection

        async def begin(calls):
            tasks = [asyncio.ensure_future(handle.version(True)) for _ in range(calls)]
            await asyncio.sleep(0.05)

        def spin():
            while True:
                handle.version(False)

        def arrived():
            time.sleep(0.3)

        {ending}
        """
    )
    assert done.stderr == ""
    assert time.monotonic() - began < LIMIT


# ---- Ctrl-C


@pytest.mark.parametrize("call", ["version", "connect", "events", "insert", "search"])
def test_ctrl_c_ends_a_long_call(stand_in: Any, call: str, tmp_path: Any) -> None:
    rpcs = {"version": "GetVersion", "connect": "Connect", "events": None, "insert": "Insert", "search": "Search"}
    rpc = rpcs[call]
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import signal, sys
            from milvus_connections import MilvusClient, connections

            # A shell starts what runs in its background with the signal ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if "{call}" != "connect":
                connections.connect("dev", address="{stand_in.address}")
            handle = "{call}" == "version" and connections._fetch_handler("dev")._connection
            client = "{call}" in ("insert", "search") and MilvusClient(alias="dev")
            print("ready", flush=True)
            sys.stdin.readline()
            try:
                if "{call}" == "connect":
                    connections.connect("dev", address="{stand_in.address}", timeout=60)
                elif handle:
                    handle.version(False)
                elif "{call}" == "insert":
                    client.insert("docs", [{{"id": 1, "vector": [0.5, 1.5]}}])
                elif client:
                    client.search("docs", [[0.5, 1.5]])
                else:
                    print("waiting", flush=True)
                    list(connections.events())
            except KeyboardInterrupt:
                print("interrupted", flush=True)
                sys.stdin.readline()
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    killer = threading.Timer(LIMIT, process.kill)
    killer.start()
    try:
        assert process.stdout.readline() == "ready\n"
        before = 0
        if rpc is not None:
            stand_in.ask(f"hang {rpc}")
            before = stand_in.calls(rpc)
        process.stdin.write("\n")
        process.stdin.flush()
        if rpc is None:
            assert process.stdout.readline() == "waiting\n"
        else:
            stand_in.wait_for("arrived", rpc, before + 1)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        if rpc is not None:
            stand_in.wait_for("cancelled", rpc, 1)
        process.stdin.close()
        assert process.wait(LIMIT) == 0
    finally:
        killer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_signal_handler_runs_while_a_call_waits(run_program: Any, stand_in: Any) -> None:
    stand_in.ask("hang GetVersion")
    done = run_program(
        f"""
        import signal
        from milvus_connections import connections

        class Enough(Exception):
            pass

        def enough(*_):
            raise Enough(connections.has_connection("dev"))

        connections.connect("dev", address="{stand_in.address}")
        handle = connections._fetch_handler("dev")._connection
        signal.signal(signal.SIGALRM, enough)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            handle.version(False)
        except Enough as error:
            print(error)
        """
    )
    assert done.stdout == "True\n"
    stand_in.wait_for("cancelled", "GetVersion", 1)
