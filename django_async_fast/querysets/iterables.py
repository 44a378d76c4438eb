"""Django's iterables and asynchronous iteration, fed by the core.

In: Django's iterable, when somebody iterates over it.
Out: an iterator of the core, over a stream of batches (`streams.py`).
Next: `querysets/plans/row_plan.py`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from itertools import islice
from types import FunctionType
from typing import Any

from django.db import connections
from django.db.models import query as django_query
from django.db.models.base import ModelState
from django.db.models.query import QuerySet

from .. import _native, bridge
from ..connections.blocks import Block, current_block
from ..unpatched import is_like
from . import raw
from .plans import row_plan
from .streams import AsyncStream, Stream

PLANS: dict[type[Any], Callable[..., Any]] = {
    django_query.ModelIterable: row_plan.models,
    django_query.ValuesIterable: row_plan.dicts,
    django_query.ValuesListIterable: row_plan.tuples,
    django_query.NamedValuesListIterable: row_plan.named,
    django_query.FlatValuesListIterable: row_plan.flat,
}


def _iterate_with_the_core(kind: type[Any]) -> Any:
    make_plan = PLANS[kind]

    @wraps(kind.__iter__)
    def __iter__(self: Any) -> Iterator[Any]:
        return _native.rows.RowIterator(Stream(self, make_plan, __iter__.__wrapped__))

    return __iter__


# What iterates as Django does, but with the core: kind of iterable -> its `__iter__`.
WITH_THE_CORE = {kind: _iterate_with_the_core(kind) for kind in PLANS}
_KINDS = {function: kind for kind, function in WITH_THE_CORE.items()}


@wraps(django_query.BaseIterable.__aiter__)
def iterable_aiter(self: Any) -> AsyncIterator[Any]:
    """`BaseIterable.__aiter__`: in a block, on the block's connection."""
    if current_block() is None:
        return iterable_aiter.__wrapped__(self)
    iterate: Any = type(self).__iter__
    # Not of what pretends to be ours: a tool's proxy is to be called.
    kind = _KINDS.get(iterate) if type(iterate) is FunctionType else None
    if kind is None:
        # An iterable of the project's own, or no compiled core.
        return _iterate_on_the_bridge(self)
    stream = Stream(self, PLANS[kind], iterate.__wrapped__)
    return _native.rows.AsyncRowIterator(AsyncStream(stream))


async def _iterate_on_the_bridge(iterable: Any) -> AsyncIterator[Any]:
    rows = await bridge.run(iter, iterable)
    try:
        while items := await bridge.run(take, rows, iterable.chunk_size):
            for item in items:
                yield item
    finally:
        if hasattr(rows, "close"):
            await bridge.run(rows.close)


def take(rows: Iterator[Any], count: int) -> list[Any]:
    """Return the next `count` items of `rows`, fewer at the end."""
    return list(islice(rows, count))


@wraps(QuerySet.__aiter__)
def queryset_aiter(self: Any) -> AsyncIterator[Any]:
    """`QuerySet.__aiter__`: fetch all on the bridge, then hand out."""
    block = current_block()
    if block is None or not _native.COMPILED:
        return queryset_aiter.__wrapped__(self)
    return _native.rows.AsyncRowIterator(_Fetched(self, block))


class _Fetched:
    """The one batch of a queryset that keeps its results."""

    def __init__(self, queryset: Any, block: Block) -> None:
        self._queryset = queryset
        self._block = block

    async def __call__(self) -> Any:
        if self._queryset is None:
            return None
        await self._block.run(self._queryset._fetch_all)
        items, self._queryset = self._queryset._result_cache, None
        return _native.rows.ListBatch(items)


@wraps(QuerySet.aiterator)
def aiterator(self: Any, chunk_size: int = 2000) -> AsyncIterator[Any]:
    """`QuerySet.aiterator()`, without a generator around every row."""
    if (
        self._prefetch_related_lookups
        or chunk_size <= 0
        or not _native.COMPILED
        or current_block() is None
    ):
        return aiterator.__wrapped__(self, chunk_size)
    settings = connections.settings[self.db]
    iterable = self._iterable_class(
        self,
        chunked_fetch=not settings.get("DISABLE_SERVER_SIDE_CURSORS"),
        chunk_size=chunk_size,
    )
    return aiter(iterable)


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield (owner, name, replacement, reason) for `seams/seam_list.py`."""
    native = "in a block, iterate on the block's connection"
    yield django_query.BaseIterable, "__aiter__", iterable_aiter, native
    yield QuerySet, "__aiter__", queryset_aiter, native
    yield QuerySet, "aiterator", aiterator, native
    if not _native.COMPILED:
        return
    core = "the core builds the rows, for sync and async alike"
    iterates = {**WITH_THE_CORE, django_query.RawModelIterable: raw.iterate}
    for kind, function in iterates.items():
        # One that a tool has put there runs, and Django's inside of it.
        if is_like(kind, kind, ("__iter__",)):
            yield kind, "__iter__", function, core
    if "__del__" in vars(ModelState):
        finalizer = _native.rows.state_finalizer_for(ModelState)
        yield ModelState, "__del__", finalizer, "Django's costs 350 ns per instance"
