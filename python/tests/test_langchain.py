"""LangChain's vector store for Milvus, as it is published, with its clients replaced by these."""

from __future__ import annotations

import os
from typing import Any
from uuid import uuid4

import pytest

STORE = '''
import asyncio, importlib, sys

import pymilvus
import milvus_connections

# Only the import is replaced: these are the names that the vector store imports from pymilvus.
for name in ("AnnSearchRequest", "AsyncMilvusClient", "CollectionSchema", "DataType", "Function", "FunctionType",
             "MilvusClient", "MilvusException", "RRFRanker", "WeightedRanker"):
    setattr(pymilvus, name, getattr(milvus_connections, name))

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_milvus import Milvus

TEXTS = ["a red fox", "a blue whale", "a green frog", "a grey wolf"]


class Letters(Embeddings):
    """Counts letters: near texts have near vectors, and no model is needed."""

    def embed_documents(self, texts):
        return [[float(text.count(letter)) for letter in "abdefglnorw"] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


async def day_of_an_asynchronous_store(store):
    keys = await store.aadd_texts(["a black cat"], metadatas=[{"legs": 4}])
    found = await store.asimilarity_search("black cat", k=1)
    assert found[0].page_content == "a black cat", found
    await store.adelete(ids=keys)


def main(uri, collection):
    metadatas = [{"legs": legs} for legs in (4, 0, 4, 4)]
    store = Milvus.from_texts(
        TEXTS, Letters(), metadatas=metadatas, collection_name=collection, connection_args={"uri": uri},
        consistency_level="Strong", index_params={"index_type": "FLAT", "metric_type": "L2"}, drop_old=True,
        auto_id=True,
    )
    assert isinstance(store.client, milvus_connections.MilvusClient)
    assert isinstance(store.aclient, milvus_connections.AsyncMilvusClient)
    found = store.similarity_search_with_score("blue whale", k=2)
    assert (found[0][0].page_content, found[0][0].metadata["legs"]) == ("a blue whale", 0), found
    assert [document.page_content for document in store.similarity_search("whale", k=4, expr="legs == 4")].count("a blue whale") == 0
    assert len(store.max_marginal_relevance_search("wolf", k=2, fetch_k=4)) == 2
    retriever = store.as_retriever(search_kwargs={"k": 1})
    assert retriever.invoke("green frog")[0].page_content == "a green frog"
    keys = store.add_documents([Document(page_content="a white swan", metadata={"legs": 2})])
    assert len(keys) == 1 and store.similarity_search("white swan", k=1)[0].metadata["legs"] == 2
    assert store.get_pks("legs == 2") == [int(key) for key in keys]
    store.delete(ids=keys)
    assert store.similarity_search("white swan", k=1)[0].page_content != "a white swan"
    asyncio.run(day_of_an_asynchronous_store(store))
    assert len(store.similarity_search("a", k=10)) == len(TEXTS)
    again = Milvus(Letters(), collection_name=collection, connection_args={"uri": uri}, consistency_level="Strong", auto_id=True)
    assert again.similarity_search("grey wolf", k=1)[0].page_content == "a grey wolf"
    store.drop()
    print("done")


main(*sys.argv[1:])
'''


@pytest.mark.parametrize("place", ["file", "milvus"])
def test_the_vector_store_of_langchain(run_program: Any, place: str, tmp_path: Any) -> None:
    pytest.importorskip("langchain_milvus")
    uri = str(tmp_path / "docs.db")
    if place == "milvus":
        address = os.environ.get("MILVUS_TEST_PLAIN")
        if not address:
            pytest.fail("MILVUS_TEST_PLAIN is not set: run `cargo xtask test`, or `cargo xtask servers -- pytest`")
        uri = f"http://{address}"
    done = run_program(STORE, uri, f"langchain_{uuid4().hex[:12]}", env={"GRPC_VERBOSITY": "NONE"})
    assert done.stdout.splitlines()[-1] == "done", done.stderr
