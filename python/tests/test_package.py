"""The package itself: what importing it costs, what it offers, and that its stubs and examples are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import milvus_connections


def test_importing_brings_nothing_heavy(run_program: Any) -> None:
    program = """
        import sys
        before = set(sys.modules)
        import milvus_connections
        from milvus_connections import connections
        heavy = {"numpy", "pandas", "grpc", "pyarrow", "google", "asyncio", "logging", "dotenv"} & set(sys.modules)
        ours = sorted(name for name in set(sys.modules) - before if name.startswith("milvus_connections"))
        print(sorted(heavy), ours)
    """
    # No time is asserted here, where other tests run at the same time; `cargo xtask bench python` measures it.
    modules = [f"milvus_connections{name}" for name in ("", "._native", ".exceptions", ".observation", ".registry")]
    assert run_program(program).stdout.strip() == f"[] {modules}"
    # What is no part of a client's work is not loaded with it either.
    client = """
        import sys
        from milvus_connections import MilvusClient
        with MilvusClient("memory:") as client:
            client.create_collection("docs", dimension=2)
            client.insert("docs", [{"id": 1, "vector": [1.0, 2.0]}])
            assert client.search("docs", [[1.0, 2.0]])[0][0]["id"] == 1
        print(sorted({"numpy", "pandas", "grpc", "pyarrow", "google", "asyncio"} & set(sys.modules)))
    """
    assert run_program(client).stdout.strip() == "[]"


def test_no_thread_is_started_before_a_call(run_program: Any) -> None:
    done = run_program(
        """
        import os
        from milvus_connections import connections
        connections.add_connection(dev={"address": "localhost:19530"})
        connections.get_connection_addr("dev"), connections.status(), connections.explain("dev")
        print(len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 1)
        """
    )
    assert done.stdout.strip() == "1"


def test_every_name_that_is_offered_is_there() -> None:
    for name in milvus_connections.__all__:
        assert getattr(milvus_connections, name) is not None
    assert set(milvus_connections.__all__) == set(milvus_connections._HOMES)
    assert set(milvus_connections.__all__) <= set(dir(milvus_connections))
    try:
        milvus_connections.no_such_name  # type: ignore[attr-defined]
    except AttributeError as error:
        assert "no_such_name" in str(error)


def test_every_public_thing_is_documented() -> None:
    import importlib
    import inspect
    import pkgutil

    missing = []
    for module in pkgutil.iter_modules(milvus_connections.__path__):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"milvus_connections.{module.name}")
        if not inspect.getdoc(loaded):
            missing.append(module.name)
        for name, thing in vars(loaded).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != loaded.__name__:
                continue
            if not inspect.getdoc(thing):
                missing.append(f"{module.name}.{name}")
            if isinstance(thing, type):
                missing += [
                    f"{module.name}.{name}.{member}"
                    for member, function in vars(thing).items()
                    if not member.startswith("_")
                    and (inspect.isfunction(function) or isinstance(function, property))
                    and not inspect.getdoc(getattr(thing, member))
                ]
    assert not missing, missing


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert milvus_connections.__version__ == version("milvus-connections")


def test_the_wheel_is_for_every_python_from_3_9_on() -> None:
    from importlib.metadata import distribution

    wheel = distribution("milvus-connections").read_text("WHEEL")
    assert wheel is not None and "Tag: cp39-abi3-" in wheel, wheel


def test_the_examples_of_the_packages_readme_run(run_program: Any, tmp_path: Path, monkeypatch: Any, address: str) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in readme.split("```python\n")[1:]]
    assert len(examples) == 4
    monkeypatch.chdir(tmp_path)
    said = [run_program(example.replace('"port": 19543', f'"port": {address.split(":")[1]}')).stdout for example in examples]
    assert said == [
        "",
        "document 0\n(10,)\n",
        "['document 0', 'document 1']\n",
        "",
    ]


def test_the_example_of_the_readme_runs(run_program: Any, tmp_path: Path, monkeypatch: Any) -> None:
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in readme.split("```python\n")[1:]]
    assert examples
    monkeypatch.chdir(tmp_path)
    for example in examples:
        assert run_program(example).stdout == "1 A first one\n"
