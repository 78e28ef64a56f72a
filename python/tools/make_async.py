"""Makes `async_client` from `client`: the same verbs, awaited.

There is one source for both clients. Run this after changing `client`; a test compares what it makes with what is there.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "milvus_connections"
MODULES = ["handle", "indexes", "collections", "rows", "iterators", "reads", "namespaces", "access", "maintenance"]
# Verbs that other verbs call.
INNER = "_connection|_prepared|list_persistent_segments|create_index|load_collection|refresh_load|get|query|describe_database|use_database|next"
HEAD = "# Made of `client` by tools/make_async.py; change that.\n"
# Not verbs: they ask nobody.
SYNCHRONOUS = {"__init__", "__repr__", "ids", "distances"}

INIT = '''"""``AsyncMilvusClient``: the verbs of ``MilvusClient``, awaited."""

from __future__ import annotations

from ..missing import Missing
from .maintenance import Maintenance

__all__ = ["AsyncMilvusClient"]


class AsyncMilvusClient(Maintenance, Missing):
    """As ``MilvusClient``, for asyncio. It connects with its first call; cancelling a task cancels its call.

    >>> import asyncio
    >>> async def nearest():
    ...     async with AsyncMilvusClient("memory:asynchronous") as client:
    ...         await client.create_collection("docs", dimension=2)
    ...         await client.insert("docs", [{"id": 1, "vector": [1.0, 0.0]}, {"id": 2, "vector": [0.0, 1.0]}])
    ...         found = await client.search("docs", [[0.9, 0.1]], limit=2)
    ...         return [hit["id"] for hit in found[0]]
    >>> asyncio.run(nearest())
    [1, 2]
    """

    async def __aenter__(self) -> AsyncMilvusClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
'''


# What PyMilvus's asynchronous client calls otherwise than its synchronous one.
OTHERWISE = {
    "collections": {
        'partition_name: str | None = "",\n        timeout': "partition_names: list[str] | None = None,\n        timeout",
        'texts_of("partition_name", partition_name or None)': 'texts_of("partition_names", partition_names)',
        "Whether a collection (or a partition) is": "Whether a collection (or some of its partitions) is",
        "def list_collections(self, **kwargs": "def list_collections(self, timeout: float | None = None, **kwargs",
        'self._options(kwargs.pop("timeout", None), kwargs)': "self._options(timeout, kwargs)",
        "refresh_load(self, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:": (
            "refresh_load(\n        self,\n        collection_name: str,\n        partition_names: list[str] | None = None,\n"
            "        timeout: float | None = None,\n        **kwargs: Any,\n    ) -> None:"
        ),
        '        named(collection_name=collection_name)\n        await native.refresh_load(': (
            "        named(collection_name=collection_name)\n        if partition_names:\n"
            '            raise ParamError(message="the load of some partitions can\'t be refreshed; leave `partition_names` out")\n'
            "        await native.refresh_load("
        ),
    },
    "access": {
        "        reset_connection: bool | None = False,\n": "",
        "bool(reset_connection)": 'bool(kwargs.get("reset_connection", False))',
    },
    "reads": {
        "        highlighter: Any = None,\n": "",
        "if function_chains or highlighter or search_aggregation:": "if function_chains or search_aggregation:",
        'beyond = {"function_chains": function_chains, "highlighter": highlighter}\n            kwargs.update(beyond, search_aggregation=search_aggregation)': (
            "kwargs.update(function_chains=function_chains, search_aggregation=search_aggregation)"
        ),
    },
    "maintenance": {
        " source_group": " source",
        " target_group": " target",
        "num_replicas": "num_replica",
        "        timeout: float | None = None,\n    ) -> None:\n        \"\"\"Moves": "        timeout: float | None = None,\n        **kwargs: Any,\n    ) -> None:\n        \"\"\"Moves",
        "configs: dict[str, Any], timeout: float | None = None)": "configs: dict[str, Any], timeout: float | None = None, **kwargs: Any)",
        "name: str, timeout: float | None = None)": "name: str, timeout: float | None = None, **kwargs: Any)",
        "(self, timeout: float | None = None) -> list[str]": "(self, timeout: float | None = None, **kwargs: Any) -> list[str]",
        "self._options(timeout, {})": "self._options(timeout, kwargs)",
    },
}


# Of a client, and not awaited.
ASKS_NOBODY = {"create_schema", "create_field_schema", "create_struct_field_schema", "prepare_index_params", "get_server_type"}


class Awaiting(ast.NodeTransformer):
    """Awaits what an example asks of its client."""

    def visit_Call(self, call: ast.Call) -> ast.AST:
        self.generic_visit(call)
        of = call.func
        is_client = isinstance(of, ast.Attribute) and isinstance(of.value, ast.Name) and of.value.id == "client"
        return ast.Await(call) if is_client and of.attr not in ASKS_NOBODY else call


def awaited_example(lines: list[str]) -> list[str]:
    """An example of the synchronous client as one of this one; its results stand behind it."""
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    if any("_iterator" in line for line in lines):
        return []
    made = [f"{indent}Example::", ""]
    for line in lines:
        stripped = line.strip()
        if not stripped.startswith(">>> "):
            made.append(f"{indent}    # {stripped}")
            continue
        tree = Awaiting().visit(ast.parse(stripped[4:].replace("MilvusClient", "AsyncMilvusClient")))
        made.append(f"{indent}    {ast.unparse(ast.fix_missing_locations(tree))}")
    return made


def with_awaited_examples(text: str) -> str:
    """The text of a module, its examples awaited."""
    lines: list[str] = []
    example: list[str] = []
    for line in [*text.split("\n")]:
        stripped = line.strip()
        if stripped.startswith(">>>") or (example and stripped and not stripped.startswith('"""')):
            example.append(line)
            continue
        if example:
            made = awaited_example(example)
            lines += made
            example = []
            if not made and lines and not lines[-1].strip():
                lines.pop()
        lines.append(line)
    return "\n".join(lines)


def awaited(module: str, text: str) -> str:
    """The text of a module with its calls awaited."""
    body, functions = re.split(r"\n\n\n(?=def )", text, maxsplit=1) if "\n\n\ndef " in text else (text, "")
    functions_beside = re.findall(r"^def (\w+)\(", functions, re.MULTILINE)
    text = with_awaited_examples(body.rstrip("\n") + "\n")
    # Functions beside the class stay where they are.
    text = re.sub(r"from \.base import", "from ..client.base import", text)
    text = re.sub(
        r"from \.rows import WritingRows, has_text_keys",
        "from ..client.rows import has_text_keys\nfrom .rows import WritingRows",
        text,
    )
    if functions_beside:
        names = ", ".join(sorted(functions_beside))
        text = re.sub(r"(\nfrom \.\.exceptions import|\nfrom \.\.types import)", rf"\nfrom ..client.{module} import {names}\1", text, count=1)
        constants = re.findall(r"^(_[A-Z_]+) = ", text, re.MULTILINE)
        for constant in constants:
            text = re.sub(rf"(?:# [^\n]*\n)?{constant} = [^\n]*\n+", "", text)
        text = re.sub(r"(__all__ = [^\n]*)\n+", r"\1\n\n\n", text)

    def define(found: re.Match[str]) -> str:
        is_verb = found[1] not in SYNCHRONOUS and not (module == "iterators" and found[1] == "close")
        return f"    {'async ' if is_verb else ''}def {found[1]}("

    text = re.sub(r"^    def (\w+)\(", define, text, flags=re.MULTILINE)
    text = re.sub(r"(?<!await )native\.([a-z_]+|Connection\.open)\(", r"await native.\1(", text)
    text = re.sub(rf"\bself\.({INNER})\(", r"await self.\1(", text)
    text = text.replace("self._pages.next(", "await self._pages.next(")
    text = text.replace("import prepared\n", "import prepared_beside\n").replace("return prepared(", "return await prepared_beside(")
    text = text.replace("connections.connect(", "await connections.async_connect(")
    text = text.replace("connection.close(self._asynchronous)", "await connection.close(self._asynchronous)")
    text = text.replace("async def __iter__(self) -> Iterator[", "async def __aiter__(self) -> AsyncIterator[")
    text = text.replace("Any, Callable, Iterator", "Any, AsyncIterator, Callable")
    text = text.replace("``for`` works too", "``async for`` works too")
    for sync, otherwise in OTHERWISE.get(module, {}).items():
        assert sync in text, f"{module} has no {sync}"
        text = text.replace(sync, otherwise)
    text = text.replace("    _asynchronous = False\n", "    _asynchronous = True\n")
    if module == "handle":
        text = text.replace('the verbs use."""\n', 'the verbs use."""\n\n    _asynchronous = True\n')
        text = text.replace('"MilvusClient", self._given', '"AsyncMilvusClient", self._given')
    return HEAD + text


def made() -> dict[str, str]:
    """All modules of `async_client`, by file name."""
    modules = {f"{name}.py": awaited(name, (PACKAGE / "client" / f"{name}.py").read_text("utf-8")) for name in MODULES}
    return {"__init__.py": HEAD + INIT, **modules}


def main() -> int:
    """Writes the modules."""
    folder = PACKAGE / "async_client"
    folder.mkdir(exist_ok=True)
    for name, text in made().items():
        (folder / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
