"""What PyMilvus's clients have, these have too, with the same parameters; what is different is listed here and in the README."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pymilvus
import pytest

import milvus_connections
from milvus_connections import AsyncMilvusClient, MilvusClient, MilvusException
from milvus_connections.missing import _MISSING

README = Path(__file__).resolve().parent.parent.joinpath("README.md").read_text("utf-8")

# Verbs of ours that PyMilvus has not, or has not awaited.
BEYOND = {"connection", "database", "is_self_hosted"}
BEYOND_AWAITED = BEYOND | {"list_loaded_segments", "query_iterator", "search_iterator"}
CLIENTS = [
    pytest.param(pymilvus.MilvusClient, MilvusClient, BEYOND, id="blocking"),
    pytest.param(pymilvus.AsyncMilvusClient, AsyncMilvusClient, BEYOND_AWAITED, id="awaited"),
]


def public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults."""
    return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(("theirs", "ours", "beyond"), CLIENTS)
def test_every_verb_is_there_or_said_to_be_missing(theirs: Any, ours: Any, beyond: set[str]) -> None:
    lacking = public(theirs) - public(ours)
    assert lacking <= set(_MISSING), "fill them, or say in missing.py what to use"
    assert not set(_MISSING) & public(ours), "these are there"
    assert public(ours) - public(theirs) == beyond
    if theirs is pymilvus.MilvusClient:
        assert lacking == set(_MISSING), "PyMilvus has no such verbs"


@pytest.mark.parametrize(("theirs", "ours", "beyond"), CLIENTS)
def test_every_verb_has_the_same_parameters(
    theirs: Any, ours: Any, beyond: set[str]
) -> None:
    common = [name for name in sorted(public(theirs) & public(ours)) if callable(getattr(theirs, name))]
    assert len(common) > 70
    differing = {name for name in common if parameters(getattr(theirs, name)) != parameters(getattr(ours, name))}
    assert not differing, {name: (parameters(getattr(theirs, name)), parameters(getattr(ours, name))) for name in differing}


@pytest.mark.parametrize("verb", sorted(_MISSING))
def test_a_missing_verb_says_what_to_use(verb: str) -> None:
    with pytest.raises(MilvusException, match=f"{verb} is not part of milvus_connections; .+"):
        getattr(MilvusClient("memory:missing"), verb)("docs")
    with pytest.raises(MilvusException, match="is not part of"):
        getattr(AsyncMilvusClient("memory:missing"), verb)("docs")
    assert f"`{verb}`" in README, "the README lists what is not there"


def test_exported_names_are_those_of_pymilvus() -> None:
    """What one imports from ``pymilvus`` can be imported from here, but for its ORM and what the README names."""
    lacking = {name for name in pymilvus.__all__ if not hasattr(milvus_connections, name)}
    assert {name for name in lacking if f"`{name}`" not in README} == set()


def test_names_of_the_asynchronous_client() -> None:
    async def ask() -> None:
        async with AsyncMilvusClient("memory:names") as client:
            await client.create_collection("docs", dimension=2)
            assert str((await client.get_load_state("docs", partition_names=["_default"]))["state"]) == "Loaded"
            assert str((await client.get_load_state("docs", ["_default"]))["state"]) == "Loaded"
            with pytest.raises(MilvusException):
                await client.get_load_state("docs", ["nothing"])
            assert await client.list_collections(timeout=30) == ["docs"]

    asyncio.run(ask())
