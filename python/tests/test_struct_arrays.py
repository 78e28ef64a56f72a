"""Lists of structs go in and come out as PyMilvus has them: lists of dicts."""

from __future__ import annotations

from typing import Any, Iterator
from uuid import uuid4

import numpy as np
import pytest

from milvus_connections import DataType, MilvusClient
from milvus_connections.exceptions import MilvusException


@pytest.fixture
def client() -> Iterator[MilvusClient]:
    with MilvusClient(f"memory:{uuid4().hex}") as client:
        clip = client.create_struct_field_schema()
        clip.add_field("title", DataType.VARCHAR, max_length=32)
        clip.add_field("second", DataType.INT32)
        clip.add_field("emb", DataType.FLOAT_VECTOR, dim=2)
        clip.add_field("bits", DataType.BINARY_VECTOR, dim=8)
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("clips", DataType.ARRAY, element_type=DataType.STRUCT, struct_schema=clip, max_capacity=8, nullable=True)
        indexes = client.prepare_index_params()
        indexes.add_index("clips[emb]", index_type="HNSW", metric_type="MAX_SIM_COSINE", M=8, efConstruction=64)
        indexes.add_index("clips[bits]", index_type="BIN_FLAT", metric_type="MAX_SIM_HAMMING")
        client.create_collection("films", schema=schema, index_params=indexes, consistency_level="Strong")
        yield client


def film(number: int) -> dict[str, Any]:
    clips = [
        {"title": f"t{place}", "second": number * 10 + place, "emb": [float(number), float(place)], "bits": bytes([place])}
        for place in range(number % 4)
    ]
    return {"id": number, "clips": None if number == 5 else clips}


def read(film: dict[str, Any]) -> dict[str, Any]:
    """As a query gives it: vectors of bytes stand in a list of their own."""
    clips = film["clips"]
    return {**film, "clips": clips and [{**clip, "bits": [clip["bits"]]} for clip in clips]}


def test_structs_come_back(client: MilvusClient) -> None:
    films = [film(number) for number in range(12)]
    assert client.insert("films", films)["insert_count"] == 12
    found = client.query("films", filter="id >= 0", output_fields=["clips"])
    assert list(found) == [read(film) for film in films]
    found = client.query("films", filter="match_any(clips, $[second] == 72)", output_fields=["clips[title]"])
    assert list(found) == [{"id": 7, "clips": [{"title": "t0"}, {"title": "t1"}, {"title": "t2"}]}]


def test_vectors_of_structs_may_be_arrays(client: MilvusClient) -> None:
    given = film(7)
    for clip in given["clips"]:
        clip["emb"] = np.array(clip["emb"], dtype=np.float32)
    client.insert("films", [given])
    assert list(client.query("films", filter="id == 7", output_fields=["clips"])) == [read(film(7))]
    client.upsert("films", {"id": [8], "clips": [film(7)["clips"]]})
    assert list(client.query("films", filter="id == 8", output_fields=["clips"])) == [{**read(film(7)), "id": 8}]


def test_a_row_of_its_own_is_no_set_of_columns(client: MilvusClient) -> None:
    assert client.insert("films", film(3))["insert_count"] == 1
    client.upsert("films", film(6))
    found = client.query("films", filter="id >= 0", output_fields=["clips"])
    assert list(found) == [read(film(3)), read(film(6))]


def test_structs_that_do_not_fit_are_refused(client: MilvusClient) -> None:
    for wrong in ({"title": 1}, {"emb": [1.0]}, {"more": 1}):
        row = film(1)
        row["clips"][0].update(wrong)
        with pytest.raises(MilvusException, match=f"clips.*{next(iter(wrong))}"):
            client.insert("films", [row])
    assert list(client.query("films", filter="id >= 0", output_fields=["id"])) == []
