"""What the tests of the Python package share: servers, registries of a test's own, programs in processes of their own.

The real servers are found through the variables that ``cargo xtask test`` and ``cargo xtask servers -- COMMAND`` set. A
stand-in that speaks enough of the protocol to connect serves the tests that need faults, and tests run without servers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from milvus_connections import Connections

STAND_IN = Path(__file__).with_name("stand_in.py")

# What is read from the environment belongs to the tests that set it.
for _name in list(os.environ):
    if _name.startswith("MILVUS_") and not _name.startswith("MILVUS_TEST_"):
        del os.environ[_name]


class StandIn:
    """A server in a process of its own; ends with its standard input, and so with this process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(STAND_IN), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"},
        )
        self.address = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, command: str) -> str:
        """Sends a command, and returns what the server answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._line()

    def calls(self, rpc: str) -> int:
        """How many calls of that name have arrived."""
        return int(self.ask(f"calls {rpc}"))

    def wait_for(self, what: str, rpc: str, number: int) -> None:
        """Waits until that many calls have arrived (``arrived``) or have been cancelled (``cancelled``)."""
        assert self.ask(f"wait {what} {rpc} {number}") == "yes"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture(scope="session")
def shared_stand_in() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.stop()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A stand-in of this test's own."""
    server = StandIn()
    yield server
    server.stop()


@pytest.fixture
def guarded() -> Iterator[StandIn]:
    """A stand-in that wants ``root:Milvus``."""
    server = StandIn("--credentials", "root:Milvus")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def address(shared_stand_in: StandIn) -> str:
    """The address of a Milvus without authorization: the real one where there is one."""
    return os.environ.get("MILVUS_TEST_PLAIN") or shared_stand_in.address


@pytest.fixture
def closed_address() -> str:
    """An address at which nothing listens."""
    return "127.0.0.1:1"


def real(variable: str) -> str:
    """The address of a real server; a test that needs one fails without, it is not left out."""
    value = os.environ.get(variable)
    if not value:
        pytest.fail(f"{variable} is not set: run `cargo xtask test`, or `cargo xtask servers -- pytest`")
    return value


@pytest.fixture
def registry() -> Iterator[Connections]:
    """A registry of the test's own."""
    with Connections.isolated() as registry:
        yield registry


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a Python program in a process of its own, for at most a minute."""

    def run(source: str, *arguments: str, env: dict[str, str] | None = None, check: bool = True) -> Any:
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(source))
        done = subprocess.run(
            [sys.executable, str(program), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **(env or {})},
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run
