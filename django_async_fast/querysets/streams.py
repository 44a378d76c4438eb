"""From a queryset's iterable to the batches that the core consumes.

`Stream` executes what Django compiled, as `SQLCompiler.execute_sql` does, and
hands out results whole. `AsyncStream` is the same, awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db.models.sql import compiler as django_compiler
from django.db.models.sql.compiler import SQLCompiler

from .. import _native, bridge
from ..connections import block_threads
from ..drivers.psycopg import plain_queries, server_cursor
from ..drivers.psycopg.connection import belongs_to_block
from ..drivers.psycopg.fetched_rows import readable
from ..drivers.psycopg.held_transaction import HeldTransaction
from ..unpatched import UnpatchedFunctions, unpatched_class
from . import whole_results
from .plans import plan_cache
from .plans.row_plan import Declined, calls_project

# Rows that are built before the clock is looked at, and the seconds after which the
# loop has its turn.
PART = 256
TURN = 0.005

# What `Stream` does in Django's place. A compiler with its own version, or a
# tool that has replaced Django's, is left to do its work.
NOT_CALLED = "execute_sql", "results_iter", "apply_converters"


_cursor_iter = UnpatchedFunctions((django_compiler, "cursor_iter"))


def why_not(compiler: Any) -> str:
    """Return why Django's own code must run this query, or ''."""
    return why_not_kind(type(compiler))


def why_not_kind(kind: Any) -> str:
    """Return why a class of compilers must be left to its own work, or ''."""
    if not unpatched_class(kind, SQLCompiler, NOT_CALLED).holds():
        return f"{kind.__name__} is not Django's own compiler"
    if not _cursor_iter.holds():
        return "cursor_iter() has been replaced"
    return ""


class KnownStream(NamedTuple):
    """A stream's statement that need not be compiled, and what `fetch()` is given."""

    calls_project: bool
    wrapper: Any
    plan: Any
    types: Any
    columns: int
    sql: str
    params: Any


def _unknown(queryset: Any) -> tuple[None, None]:
    return None, None


# Returns the known statement of a queryset, and the alias if somebody was asked for it;
# `compiled/execution.py` sets it.
known_statement: Callable[[Any], tuple[KnownStream | None, str | None]] = _unknown


class Stream:
    """The batches of one iteration over a queryset; executes at the first call.

    Calling it returns the next batch, or None after the last.
    """

    def __init__(self, iterable: Any, make_plan: Any, django_iter: Any) -> None:
        self._iterable = iterable
        self._make_plan = make_plan
        self._django_iter = django_iter
        self._advance: Callable[[], Any] = self._start
        self._chunks: Any = None
        self._in_block = bridge.in_bridge() or block_threads.in_block_thread()
        # Whether its reader is a coroutine, which gives the loop its turn between rows.
        self.awaited = False
        # Whether code of the project's runs for each row: its queries need the bridge.
        self.calls_project = False
        # Why Django's own code builds the rows; '' where the core does.
        self.reason = ""

    def __call__(self) -> Any:
        return self._advance()

    def close(self) -> None:
        """End the iteration. In a block, the cursor is closed by the next statement.

        Perhaps Django's generator around it is collected, in anybody's turn: who waited
        there could not be told that his waiting was broken off.
        """
        self._end(wait=not self._in_block)

    def end(self) -> None:
        """End the iteration and close its cursor on the server."""
        self._end(wait=True)

    def abandon(self) -> None:
        """End the iteration where no I/O is possible."""
        self._end(wait=False)

    def _end(self, wait: bool) -> None:
        self._advance = nothing
        chunks, self._chunks = self._chunks, None
        if chunks is None:
            return
        if not wait:
            chunks.abandon()
        elif block_threads.in_block_thread():
            block_threads.run_on_loop(chunks.close)
        else:
            chunks.close()

    # ----- beginning

    def _start(self) -> Any:
        # Tools show what is in the frames around a query. The frame that has the
        # queryset is left before: its repr would be another query.
        begin = self._compiled()
        return begin()

    def _compiled(self) -> Callable[[], Any]:
        """Return what sends the query, or does what is to be done without it."""
        queryset, alias = self._iterable.queryset, None
        if self._iterable.chunked_fetch:
            known, alias = known_statement(queryset)
            if known is not None:
                self.calls_project = self.awaited and known.calls_project
                return self._beginning(*known[1:])
        compiler = queryset.query.get_compiler(alias or queryset.db)
        # Before it is compiled, which may change a combined query.
        reason = why_not(compiler) or plan_cache.why_not(self._make_plan, queryset)
        if reason:
            return partial(self._leave_to_django, reason)
        try:
            sql, params = compiler.as_sql()
            if not sql:
                raise EmptyResultSet
        except EmptyResultSet:
            self._advance = nothing
            return nothing
        try:
            plan, types = plan_cache.plan_for(self._make_plan, queryset, compiler)
        except Declined as declined:
            return partial(self._leave_to_django, str(declined))
        self.calls_project = self.awaited and calls_project(compiler)
        wrapper, columns = compiler.connection, compiler.col_count
        return self._beginning(wrapper, plan, types, columns, sql, params)

    def _beginning(self, *query: Any) -> Callable[[], Any]:
        """Return what sends `query`: a wrapper, a plan and so on, as `fetch()` has."""
        if self._iterable.chunked_fetch:
            begin = partial(self._begin_chunks, *query)
            if block_threads.in_block_thread():
                return partial(block_threads.run_on_loop, begin)
            return begin
        self._advance = nothing
        fetch = partial(whole_results.fetch, *query)
        # Who reads in a coroutine gives the loop its turn between rows.
        return fetch if self.awaited else partial(self._by_turns, fetch)

    def _by_turns(self, fetch: Callable[[], Any]) -> Any:
        """Return all rows, where many are built on the loop the first part of them."""
        batch = fetch()
        if len(batch) <= PART or not bridge.can_wait():
            return batch
        self._advance = in_parts(batch)
        return self._advance()

    def _begin_chunks(
        self,
        connection: Any,
        plan: Any,
        types: Any,
        columns: int,
        sql: str,
        params: Any,
    ) -> Any:
        cursor = connection.chunked_cursor()
        inner = readable(cursor)
        # A wrapper may send something else.
        reads = (
            None if connection.execute_wrappers else plain_queries.reads(sql, params)
        )
        with connection.wrap_database_errors:
            transaction = (
                _begin_transaction(inner)
                if self.awaited and reads is not None
                else None
            )
        try:
            whole_results.send(cursor, sql, params)
        finally:
            if transaction is not None:
                transaction.declared()
        if inner is not None and types.oids is None:
            whole_results.learn(types, inner, columns)
        size = self._iterable.chunk_size
        opened = server_cursor.Opened(cursor, inner, columns, size, reads, transaction)
        self._chunks = server_cursor.begin(plan, opened, connection)
        self._advance = self._next_chunk
        return self._next_chunk()

    def _next_chunk(self) -> Any:
        take = self._chunks.next_batch
        batch = (
            block_threads.run_on_loop(take)
            if block_threads.in_block_thread()
            else take()
        )
        if batch is None:
            self.end()
        return batch

    # ----- where the core has no plan

    def _leave_to_django(self, reason: str) -> Any:
        self.reason = reason
        rows = self._django_iter(self._iterable)
        self._advance = in_slices(rows, self._iterable.chunk_size)
        return self._advance()


def in_parts(batch: Any) -> Callable[[], Any]:
    """Return a source of the parts of `batch`; between them the loop has its turn."""
    starts = iter(range(0, len(batch), PART))
    since = monotonic()

    def advance() -> Any:
        nonlocal since
        if (first := next(starts, None)) is None:
            return None
        if monotonic() - since >= TURN:
            bridge.await_(asyncio.sleep(0))
            since = monotonic()
        return _native.rows.Part(batch, first, PART)

    return advance


def in_slices(rows: Iterator[Any], size: int) -> Callable[[], Any]:
    """Return a source of batches of objects that Django makes."""

    def advance() -> Any:
        items = list(islice(rows, size))
        return _native.rows.ListBatch(items) if items else None

    return advance


def nothing() -> None:
    """Return no batch: a source that has come to its end."""


def _begin_transaction(inner: Any) -> HeldTransaction | None:
    """Return the transaction to read a WITH HOLD cursor in, in a block."""
    if inner is None or not inner.withhold or not belongs_to_block(inner.connection):
        return None
    return HeldTransaction(inner.connection)


class AsyncStream:
    """A Stream whose batches are awaited."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        stream.awaited = True

    def __call__(self) -> Coroutine[Any, Any, Any]:
        return bridge.run(self._next)

    def _next(self) -> Any:
        batch = self._stream()
        if batch is None or not self._stream.calls_project:
            return batch
        return _native.rows.ListBatch(_native.rows.items(batch))

    async def aclose(self) -> None:
        """End the iteration and close its cursor on the server."""
        await bridge.run(self._stream.end)

    def abandon(self) -> None:
        """End the iteration where nobody can await."""
        self._stream.abandon()
