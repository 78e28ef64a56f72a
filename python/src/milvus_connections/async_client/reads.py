# Made of `client` by tools/make_async.py; change that.
"""Reading: get, query, search, hybrid search, and iterations."""

from __future__ import annotations

from typing import Any, Callable

from .. import _native as native
from ..client.reads import batch_of
from ..exceptions import ParamError
from ..functions import Function, FunctionScore
from ..ranking import AnnSearchRequest, BaseRanker
from ..requests import beyond_keys, hybrid_arguments, keys_filter, query_arguments, search_arguments
from ..results import Rows, SearchResult, found, read
from ..client.base import checked, level_of, named, refuse
from .iterators import QueryIterator, SearchIterator
from ..client.rows import has_text_keys
from .rows import WritingRows

__all__ = ["ReadingRows"]


class ReadingRows(WritingRows):
    """Verbs that read rows."""

    async def get(
        self,
        collection_name: str,
        ids: list[Any] | str | int,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        **kwargs: Any,
    ) -> Rows:
        """Reads rows by primary key, any number of them. Keys without a row are left out.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:get')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', {'id': 1, 'vector': [0.5, 1.5], 'title': 'a'})
            (await client.get('docs', ids=1))[0]['title']
            # 'a'
        """
        named(collection_name=collection_name)
        refuse(kwargs)
        keys = list(ids) if isinstance(ids, (list, tuple)) else [ids]
        if not keys:
            return read(None, kwargs)
        if beyond_keys(kwargs):
            return await self.query(collection_name, "", output_fields, timeout, keys, partition_names, **kwargs)
        connection, options = await self._connection(), self._options(timeout, kwargs)
        schema = await native.schema(connection, options, collection_name, False)
        answer = await native.get(
            connection,
            options,
            collection_name,
            keys,
            has_text_keys(schema),
            list(output_fields or ["*"]),
            list(partition_names or []),
            level_of(kwargs),
        )
        return read(answer, kwargs)

    async def query(
        self,
        collection_name: str,
        filter: str = "",
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        ids: list[Any] | str | int | None = None,
        partition_names: list[str] | None = None,
        **kwargs: Any,
    ) -> Rows:
        """Reads rows by filter, or by primary key. Gives a list of dicts.

        ``limit``, ``offset``, ``filter_params``, ``consistency_level`` and ``order_by_fields`` are keyword arguments. So is
        ``lazy``: with ``lazy=True`` a dict is made when it is looked at, which is best for answers that are read as arrays
        or tables; they are a ``Sequence`` then, and no list.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:query')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', {'id': [1, 2], 'vector': [[0.5, 1.5], [2.5, 3.5]], 'year': [1999, 2024]})
            (await client.query('docs', filter='year > 2000', output_fields=['year']))[0]
            # {'id': 2, 'year': 2024}
            (await client.query('docs', filter='', output_fields=['count(*)']))[0]
            # {'count(*)': 2}
        """
        if filter and ids is not None:
            raise ParamError(
                message="Ambiguous parameter, either ids or filter should be specified, cannot support both."
            )
        named(collection_name=collection_name)
        refuse(kwargs)
        level = level_of(kwargs)
        connection, options = await self._connection(), self._options(timeout, kwargs)
        if ids is not None:
            keys = list(ids) if isinstance(ids, (list, tuple)) else [ids]
            if not keys or not beyond_keys(kwargs):
                return await self.get(collection_name, keys, output_fields, timeout, partition_names, **kwargs)
            schema = await native.schema(connection, options, collection_name, False)
            filter = keys_filter(schema.primary_key, keys)
        arguments = query_arguments(
            collection_name, filter, output_fields or ["*"], partition_names, level, kwargs
        )
        answer = await native.query(connection, options, arguments)
        return read(answer, kwargs)

    async def search(
        self,
        collection_name: str,
        data: Any = None,
        filter: str = "",
        limit: int = 10,
        output_fields: list[str] | None = None,
        search_params: dict[str, Any] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        anns_field: str | None = None,
        ranker: Function | FunctionScore | None = None,
        function_chains: Any = None,
        ids: Any = None,
        search_aggregation: Any = None,
        **kwargs: Any,
    ) -> SearchResult:
        """Searches the nearest rows to vectors, texts, or rows that are there (``ids``).

        ``data`` is a list of vectors (lists, arrays, bytes, sparse dicts) or texts, or a two-dimensional array. Gives for
        each of them a list of hits.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:search')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', {'id': [1, 2], 'vector': [[1.0, 0.0], [0.0, 1.0]], 'title': ['a', 'b']})
            hits = (await client.search('docs', [[1.0, 0.1]], limit=1, output_fields=['title']))[0]
            (hits[0]['id'], hits[0]['entity']['title'], round(hits[0]['distance'], 3))
            # (1, 'a', 0.995)
            hits.to_numpy().dtype
            # dtype('float32')

        ``filter_params``, ``offset``, ``group_by_field``, ``group_size``, ``round_decimal`` and ``consistency_level`` are
        keyword arguments; parameters of the index stand in ``search_params["params"]``. With ``lazy=True`` a hit is made
        when it is looked at, which is best for hits that are read as arrays or tables.
        """
        checked("collection_name", collection_name, str)
        named(collection_name=collection_name)
        if kwargs:
            refuse(kwargs)
        if function_chains or search_aggregation:
            kwargs.update(function_chains=function_chains, search_aggregation=search_aggregation)
        target, ann = search_arguments(
            collection_name,
            data,
            ids,
            anns_field,
            filter,
            limit,
            output_fields,
            search_params,
            partition_names,
            ranker,
            level_of(kwargs),
            kwargs,
        )
        answer = await native.search(await self._connection(), self._options(timeout, kwargs), target, ann)
        return found(answer, kwargs)

    async def hybrid_search(
        self,
        collection_name: str,
        reqs: list[AnnSearchRequest],
        ranker: BaseRanker | Function,
        limit: int = 10,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        **kwargs: Any,
    ) -> SearchResult:
        """Makes several searches in one collection and merges their hits.

        Example::

            from milvus_connections import AnnSearchRequest, RRFRanker
            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:hybrid_search')
            await client.create_collection('docs', dimension=2)
            _ = await client.insert('docs', {'id': [1, 2], 'vector': [[1.0, 0.0], [0.0, 1.0]]})
            near = AnnSearchRequest([[1.0, 0.1]], 'vector', {}, limit=2)
            far = AnnSearchRequest([[0.9, 0.2]], 'vector', {}, limit=2)
            (await client.hybrid_search('docs', [near, far], RRFRanker(), limit=1))[0].ids
            # [1]
        """
        checked("collection_name", collection_name, str)
        named(collection_name=collection_name)
        refuse(kwargs)
        target, searches, rank = hybrid_arguments(
            collection_name,
            reqs,
            ranker,
            limit,
            output_fields,
            partition_names,
            level_of(kwargs),
            kwargs,
        )
        answer = await native.hybrid_search(
            await self._connection(), self._options(timeout, kwargs), target, searches, rank
        )
        return found(answer, kwargs)

    async def query_iterator(
        self,
        collection_name: str,
        batch_size: int | None = 1000,
        limit: int | None = -1,
        filter: str | None = "",
        output_fields: list[str] | None = None,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> QueryIterator:
        """Reads all rows of a query, however many, a batch at a time.
        """
        named(collection_name=collection_name)
        refuse(kwargs)
        size = batch_of(batch_size)
        most = None if limit is None or limit == -1 else limit
        arguments = query_arguments(
            collection_name,
            filter,
            output_fields or [],
            partition_names,
            level_of(kwargs),
            {**kwargs, "limit": most},
        )
        pages = await native.query_pages(await self._connection(), self._options(timeout, kwargs), arguments, size)
        return QueryIterator(pages)

    async def search_iterator(
        self,
        collection_name: str,
        data: Any,
        batch_size: int | None = 1000,
        filter: str | None = None,
        limit: int | None = -1,
        output_fields: list[str] | None = None,
        search_params: dict[str, Any] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        anns_field: str | None = None,
        round_decimal: int = -1,
        *,
        external_filter_func: Callable[[Any], Any] | None = None,
        **kwargs: Any,
    ) -> SearchIterator:
        """Reads on and on in the order of nearness to one vector, a batch at a time.
        """
        named(collection_name=collection_name)
        refuse(kwargs)
        size = batch_of(batch_size)
        if data is not None and hasattr(data, "__len__") and len(data) != 1:
            raise ParamError(message=f"a search iterates over the neighbours of one vector, and {len(data)} are given")
        target, ann = search_arguments(
            collection_name,
            data,
            None,
            anns_field,
            filter,
            size,
            output_fields,
            search_params,
            partition_names,
            None,
            level_of(kwargs),
            {**kwargs, "round_decimal": round_decimal},
        )
        pages = await native.search_pages(await self._connection(), self._options(timeout, kwargs), target, ann, size)
        return SearchIterator(pages, limit, round_decimal, external_filter_func)
