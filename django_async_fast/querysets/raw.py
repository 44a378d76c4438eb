"""Instances from SQL of the project's own (`Model.objects.raw()`), built by the core.

Django's iterable executes the query, and only then knows what its columns are; so does
this one. A query may have effects and must not run twice: where the core has no plan,
Django's iterable goes on with the cursor that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from itertools import islice
from typing import Any

from django.db import connections
from django.db.models.query import RawModelIterable
from django.db.models.sql.query import RawQuery

from .. import _native
from ..drivers.psycopg import fetched_rows, results
from ..unpatched import Unpatched
from . import whole_results
from .plans import plan_cache
from .plans.row_plan import Declined, raw
from .streams import in_slices, nothing

_unpatched = Unpatched((RawQuery, RawQuery))


class _Executed(RawQuery):
    """A query whose cursor is open already, to be iterated over once."""

    def __iter__(self) -> Iterator[Any]:
        self.__class__ = RawQuery
        return iter(self.cursor)


class RawRows:
    """The batches of one iteration over a RawQuerySet; executes at the first call."""

    def __init__(self, iterable: Any) -> None:
        self._iterable = iterable
        self._query = iterable.queryset.query
        self._advance: Callable[[], Any] = self._start

    def __call__(self) -> Any:
        return self._advance()

    def close(self) -> None:
        """End the iteration, and close its cursor as Django does."""
        self._advance = nothing
        if self._query.cursor:
            self._query.cursor.close()

    def _start(self) -> Any:
        queryset, query = self._iterable.queryset, self._query
        db = queryset.db
        wrapper = connections[db]
        if not (type(query) is RawQuery and _unpatched.holds()):
            return self._leave_to_django()
        query._execute_query()
        compiler = wrapper.ops.compiler("SQLCompiler")(query, wrapper, db)
        loads = wrapper.vendor != "postgresql"
        inner = fetched_rows.readable(query.cursor, fetched_rows.OF_RAW)
        try:
            if not loads and not whole_results.is_to_be_read(inner):
                raise Declined("its rows are fetched from the cursor")
            plan = raw(queryset, compiler, plan_cache.common)
        except Declined:
            query.__class__ = _Executed
            return self._leave_to_django()
        if loads:
            self._advance = self._loaded(plan, iter(query.cursor), wrapper)
            return self._advance()
        self._advance = self.close
        return whole_results.batch(plan, inner, len(queryset.columns))

    def _loaded(
        self, plan: Any, rows: Iterator[Any], wrapper: Any
    ) -> Callable[[], Any]:
        """Return a source of the rows that a driver loads, as they are asked for."""

        def advance() -> Any:
            if found := list(islice(rows, self._iterable.chunk_size)):
                return results.loaded(plan, found, wrapper)
            return self.close()

        return advance

    def _leave_to_django(self) -> Any:
        rows = iterate.__wrapped__(self._iterable)
        self._advance = in_slices(rows, self._iterable.chunk_size)
        return self._advance()


@wraps(RawModelIterable.__iter__)
def iterate(self: Any) -> Iterator[Any]:
    """`RawModelIterable.__iter__`: the core builds the instances."""
    rows: Iterator[Any] = _native.rows.RowIterator(RawRows(self))
    return rows
