"""Objects of a queryset from rows that somebody else has fetched: asyncpg, a file."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar, overload

from django.core.exceptions import EmptyResultSet
from django.db.models import Model, QuerySet
from django.db.models.expressions import ColPairs

from .. import _native
from ..drivers.psycopg import results
from .iterables import PLANS
from .plans import plan_cache
from .plans.row_plan import Declined

T = TypeVar("T", bound=Model)

# Rows that are built at once.
SIZE = 500


@overload
def from_rows(queryset: QuerySet[T], rows: AsyncIterable[Any]) -> AsyncIterator[T]: ...


@overload
def from_rows(queryset: QuerySet[T], rows: Iterable[Any]) -> Iterator[T]: ...


def from_rows(queryset: Any, rows: Any) -> Any:
    """Iterate over what `queryset` makes of `rows`, without a query.

    A row is a sequence of values in the order of the queryset's columns: a tuple, an
    asyncpg Record, a row of sqlite3's. They are what the database's driver under
    Django gives. `select_related()`, `only()`, `annotate()`, `values()` are as in a
    query; `prefetch_related()` is not looked at. Of an asynchronous iterable the
    result is one.

    Raises TypeError for rows that are no sequences, ValueError where their length is
    not the number of columns.
    """
    build = _builder(queryset)
    if isinstance(rows, AsyncIterable):
        return _asynchronous(build, rows)
    return _synchronous(build, iter(rows))


def _synchronous(build: Any, rows: Iterator[Any]) -> Iterator[Any]:
    while batch := list(islice(rows, SIZE)):
        yield from build(batch)


async def _asynchronous(build: Any, rows: AsyncIterable[Any]) -> AsyncIterator[Any]:
    batch = []
    async for row in rows:
        batch.append(row)
        if len(batch) == SIZE:
            for each in build(batch):
                yield each
            batch = []
    for each in build(batch):
        yield each


def _builder(queryset: Any) -> Any:
    """Return the function that makes objects of a list of rows."""
    query = queryset.query.clone()
    compiler = query.get_compiler(queryset.db)
    with suppress(EmptyResultSet):  # its columns are known all the same
        compiler.as_sql()
    make = _from_the_core(queryset, compiler) or _from_django(queryset, query, compiler)
    expressions = [each[0] for each in compiler.select]
    width = sum(
        len(each.targets) if isinstance(each, ColPairs) else 1 for each in expressions
    )

    def build(rows: list[Any]) -> Iterable[Any]:
        return make([_checked(row, width) for row in rows])

    return build


def _checked(row: Any, width: int) -> tuple[Any, ...]:
    results.check_row(row)
    values = tuple(row)
    if len(values) != width:
        raise ValueError(
            f"A row has {len(values)} values, the queryset {width} columns."
        )
    return values


def _from_the_core(queryset: Any, compiler: Any) -> Any:
    make_plan = PLANS.get(queryset._iterable_class)
    if not _native.COMPILED or make_plan is None:
        return None
    try:
        plan, _ = plan_cache.plan_for(make_plan, queryset, compiler)
    except Declined:
        return None
    return lambda rows: _native.rows.items(results.loaded(plan, rows))


def _from_django(queryset: Any, query: Any, compiler: Any) -> Any:
    """Return what lets Django's iterable believe that the rows are its query's."""
    kind = queryset._iterable_class
    iterate = getattr(kind.__iter__, "__wrapped__", kind.__iter__)
    queryset = queryset._chain()
    queryset.query = query
    query.get_compiler = lambda *args, **kwargs: compiler

    def make(rows: list[Any]) -> Iterable[Any]:
        compiler.execute_sql = lambda *args, **kwargs: [rows]
        found: Iterable[Any] = iterate(kind(queryset))
        return found

    return make
