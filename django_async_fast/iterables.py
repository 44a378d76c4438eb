"""Django's iterables and asynchronous iteration, fed by the core."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from django.db import connections
from django.db.models import query as django_query
from django.db.models.base import ModelState
from django.db.models.query import QuerySet

from . import _native, bridge, plan, raws
from .connections import current_block
from .streams import AsyncStream, Stream

PLANS: dict[type[Any], Callable[..., Any]] = {
    django_query.ModelIterable: plan.models,
    django_query.ValuesIterable: plan.dicts,
    django_query.ValuesListIterable: plan.tuples,
    django_query.NamedValuesListIterable: plan.named,
    django_query.FlatValuesListIterable: plan.flat,
}
DJANGO_ITER = {kind: kind.__iter__ for kind in PLANS}
django_base_aiter = django_query.BaseIterable.__aiter__
django_queryset_aiter = QuerySet.__aiter__
django_aiterator = QuerySet.aiterator


def _iterate_with_the_core(kind: type[Any]) -> Callable[[Any], Iterator[Any]]:
    make_plan, django_iter = PLANS[kind], DJANGO_ITER[kind]

    def __iter__(self: Any) -> Iterator[Any]:
        return _native.rows.RowIterator(Stream(self, make_plan, django_iter))

    __iter__.__doc__ = django_iter.__doc__
    __iter__._daf_kind = kind  # type: ignore[attr-defined]
    return __iter__


def iterable_aiter(self: Any) -> AsyncIterator[Any]:
    """`BaseIterable.__aiter__`: in a block, on the block's connection."""
    if current_block() is None:
        return django_base_aiter(self)
    kind = getattr(type(self).__iter__, "_daf_kind", None)
    if kind is None:
        # An iterable of the project's own, or no compiled core.
        return _iterate_on_the_bridge(self)
    stream = Stream(self, PLANS[kind], DJANGO_ITER[kind])
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


def queryset_aiter(self: Any) -> AsyncIterator[Any]:
    """`QuerySet.__aiter__`: fetch all on the bridge, then hand out."""
    if current_block() is None or not _native.COMPILED:
        return django_queryset_aiter(self)
    return _native.rows.AsyncRowIterator(_Fetched(self))


class _Fetched:
    """The one batch of a queryset that keeps its results."""

    def __init__(self, queryset: Any) -> None:
        self._queryset = queryset

    async def __call__(self) -> Any:
        queryset, self._queryset = self._queryset, None
        if queryset is None:
            return None
        await bridge.run(queryset._fetch_all)
        return _native.rows.ListBatch(queryset._result_cache)


def aiterator(self: Any, chunk_size: int = 2000) -> AsyncIterator[Any]:
    """`QuerySet.aiterator()`, without a generator around every row."""
    if (
        self._prefetch_related_lookups
        or chunk_size <= 0
        or not _native.COMPILED
        or current_block() is None
    ):
        return django_aiterator(self, chunk_size)
    settings = connections.settings[self.db]
    iterable = self._iterable_class(
        self,
        chunked_fetch=not settings.get("DISABLE_SERVER_SIDE_CURSORS"),
        chunk_size=chunk_size,
    )
    return aiter(iterable)


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield (owner, name, replacement, reason) for `seams.py`."""
    native = "in a block, iterate on the block's connection"
    yield django_query.BaseIterable, "__aiter__", iterable_aiter, native
    yield QuerySet, "__aiter__", queryset_aiter, native
    yield QuerySet, "aiterator", aiterator, native
    if not _native.COMPILED:
        return
    core = "the core builds the rows, for sync and async alike"
    for kind in PLANS:
        yield kind, "__iter__", _iterate_with_the_core(kind), core
    yield django_query.RawModelIterable, "__iter__", raws.iterate, core
    if "__del__" in vars(ModelState):
        finalizer = _native.rows.state_finalizer_for(ModelState)
        yield ModelState, "__del__", finalizer, "Django's costs 350 ns per instance"
    yield from _cursor_seams()


def _cursor_seams() -> Iterator[tuple[Any, str, Any, str]]:
    try:
        from django.db.backends.postgresql.base import CursorMixin

        from .drivers import cursor
    except ImportError:
        return  # no psycopg 3: nothing to ask in binary
    reason = "client-side parameters with a binary result"
    yield CursorMixin, "_execute_send", cursor.execute_send, reason
    yield CursorMixin, "_daf_binary", True, reason
