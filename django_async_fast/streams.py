"""From a queryset's iterable to the batches that the core consumes.

`Stream` executes what Django compiled, as `SQLCompiler.execute_sql` does, and
hands out results whole. `AsyncStream` is the same, awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import closing
from itertools import islice
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connections
from django.db.backends.utils import CursorWrapper
from django.db.models.sql import compiler as django_compiler
from django.db.models.sql.compiler import SQLCompiler

from . import _native, bridge, formats
from .plan import Declined, models, plain_key

# What `Stream` does in Django's place. A compiler with its own version, or a
# tool that has replaced Django's, is left to do its work.
_BYPASSED = {
    name: getattr(SQLCompiler, name)
    for name in ("execute_sql", "results_iter", "apply_converters")
    if getattr(SQLCompiler, name).__code__.co_filename == django_compiler.__file__
}

_cursor_iter = django_compiler.cursor_iter

# Plans of plain instances, by what decides about them: a query by key spends as
# long on its plan as on its row.
_plain: dict[Any, tuple[Any, bool]] = {}

PlanMaker = Callable[[Any, Any, dict[str, Any]], Any]


def why_not(compiler: Any) -> str:
    """Return why Django's own code must run this query, or ''."""
    connection = compiler.connection
    if connection.vendor != "postgresql":
        return f"the backend of '{connection.alias}' is not PostgreSQL"
    kind = type(compiler)
    if len(_BYPASSED) < 3 or any(
        getattr(kind, name) is not function for name, function in _BYPASSED.items()
    ):
        return f"{kind.__name__} is not Django's own compiler"
    if django_compiler.cursor_iter is not _cursor_iter:
        return "cursor_iter() has been replaced"
    return ""


def psycopg_cursor(cursor: Any) -> Any:
    """Return the psycopg 3 cursor inside Django's wrappers, or None."""
    from psycopg import Cursor

    while isinstance(cursor, CursorWrapper):
        cursor = cursor.cursor
    return cursor if isinstance(cursor, Cursor) else None


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
        self._in_block = bridge.in_bridge()
        # Why Django's own code builds the rows; '' where the core does.
        self.reason = ""

    def __call__(self) -> Any:
        return self._advance()

    def close(self) -> None:
        """End the iteration; closes its cursor on the server if that is possible."""
        # An iterator of a block may be finalised anywhere: off the bridge there
        # is nobody to await the server.
        self._end(abandon=self._in_block and not bridge.can_wait())

    def abandon(self) -> None:
        """End the iteration where no I/O is possible."""
        self._end(abandon=True)

    def _end(self, abandon: bool) -> None:
        self._advance = _nothing
        chunks, self._chunks = self._chunks, None
        if chunks is None:
            return
        if abandon:
            chunks.abandon()
        else:
            chunks.close()

    # ----- beginning

    def _start(self) -> Any:
        queryset = self._iterable.queryset
        compiler = queryset.query.get_compiler(queryset.db)
        if reason := why_not(compiler):
            return self._leave_to_django(reason)
        try:
            sql, params = compiler.as_sql()
            if not sql:
                raise EmptyResultSet
        except EmptyResultSet:
            self._advance = _nothing
            return None
        try:
            plan, binary = plan_for(self._make_plan, queryset, compiler)
        except Declined as declined:
            return self._leave_to_django(str(declined))
        if self._iterable.chunked_fetch:
            return self._begin_chunks(compiler, plan, binary, sql, params)
        self._advance = _nothing
        return self._whole(compiler, plan, binary, sql, params)

    def _whole(
        self, compiler: Any, plan: Any, binary: bool, sql: str, params: Any
    ) -> Any:
        columns = compiler.col_count
        if not binary:
            return _in_text(compiler, plan, columns, sql, params)
        try:
            return whole(compiler.connection, plan, columns, sql, params)
        except unknown_type() as unknown:
            formats.remember_text(compiler.select[unknown.column][0])
            _plain.clear()
        return _in_text(compiler, plan, columns, sql, params)

    def _begin_chunks(
        self, compiler: Any, plan: Any, binary: bool, sql: str, params: Any
    ) -> Any:
        connection = compiler.connection
        cursor = connection.chunked_cursor()
        inner = psycopg_cursor(cursor)
        if binary and _can_be_binary(inner):
            inner.format = 1
        with connection.wrap_database_errors:
            hold = None if inner is None else _hold(inner)
        try:
            _send(cursor, sql, params)
        finally:
            if hold is not None:
                hold.declared()
        if not binary and inner is not None:
            _learn(compiler, inner)
        size = self._iterable.chunk_size
        self._chunks = _chunks(plan, cursor, inner, compiler.col_count, size, hold)
        self._advance = self._next_chunk
        return self._next_chunk()

    def _next_chunk(self) -> Any:
        batch = self._chunks.next_batch()
        if batch is None:
            self.close()
        return batch

    # ----- where the core has no plan

    def _leave_to_django(self, reason: str) -> Any:
        self.reason = reason
        rows = self._django_iter(self._iterable)
        size = self._iterable.chunk_size

        def advance() -> Any:
            items = list(islice(rows, size))
            return _native.rows.ListBatch(items) if items else None

        self._advance = advance
        return advance()


def plan_for(make_plan: Any, queryset: Any, compiler: Any) -> tuple[Any, bool]:
    """Return a compiled query's plan, and whether its result may be binary.

    Raises Declined. The plan of plain instances is made once and kept.
    """
    key = plain_key(queryset, compiler) if make_plan is models else None
    return _plain.get(key) or _make(make_plan, queryset, compiler, key)


def is_stale(key: Any, made: Any) -> bool:
    """Tell whether what `plan_for()` made for this key would be made anew."""
    return _plain.get(key) is not made


def _make(make_plan: Any, queryset: Any, compiler: Any, key: Any) -> tuple[Any, bool]:
    fields = [column[0] for column in compiler.select[: compiler.col_count]]
    if compiler.has_composite_fields(fields):
        raise Declined("a composite primary key is selected as a tuple")
    if queryset.query.combinator and make_plan is not models:
        # Its rows can be wider than its own SELECT: union() of values().
        raise Declined("a combined query's columns are known when it has run")
    connection = compiler.connection
    converters = compiler.get_converters(fields)
    common = {
        "width": len(fields),
        "converters": [
            (i, tuple(functions), expression)
            for i, (functions, expression) in converters.items()
        ],
        # For the converters; a plan that is kept must not keep it.
        "connection": connection if converters else None,
        "translate_error": _translator(connection.alias),
    }
    plan = make_plan(queryset, compiler, common)
    made = plan, formats.binary_possible(fields)
    if key is not None and not converters:
        _plain[key] = made
    return made


def whole(wrapper: Any, plan: Any, columns: int, sql: str, params: Any) -> Any:
    """Return all rows of a query whose result may be binary, as a batch.

    Raises what the query does, and UnknownType once it has run.
    """
    from .drivers import results, statement

    raw = statement.unobserved(wrapper)
    if raw is not None and results.binary_agrees(raw):
        result = statement.fetch(wrapper, raw, sql, params)
        return results.batch(plan, raw, None, result, columns)
    with closing(wrapper.cursor()) as cursor:
        inner = psycopg_cursor(cursor)
        if _can_be_binary(inner):
            inner.format = 1
        _send(cursor, sql, params)
        return _batch(plan, cursor, inner, columns)


def _in_text(compiler: Any, plan: Any, columns: int, sql: str, params: Any) -> Any:
    with closing(compiler.connection.cursor()) as cursor:
        _send(cursor, sql, params)
        inner = psycopg_cursor(cursor)
        if inner is not None:
            _learn(compiler, inner)
        return _batch(plan, cursor, inner, columns)


def _send(cursor: Any, sql: str, params: Any) -> None:
    try:
        cursor.execute(sql, params)
    except Exception as exc:
        # A server-side cursor may fail to close on a broken connection.
        try:
            cursor.close()
        except DatabaseError:
            raise exc from None
        raise


def _nothing() -> None:
    return None


def _can_be_binary(inner: Any) -> bool:
    if inner is None:
        return False
    from .drivers import results

    # Only Django's own cursors can be asked for binary with client-side
    # parameters; see `seams.py`.
    return hasattr(inner, "_daf_binary") and results.binary_agrees(inner.connection)


def _learn(compiler: Any, inner: Any) -> None:
    """Take note of the types that came as text, for the next query."""
    from .drivers import results

    expressions = [column[0] for column in compiler.select[: compiler.col_count]]
    oids = [inner.pgresult.ftype(i) for i in range(len(expressions))]
    connection = inner.connection
    kinds = results.decoders(connection).kinds
    if formats.learn(expressions, oids, lambda oid: kinds.knows(oid, connection)):
        _plain.clear()


def _hold(inner: Any) -> Any:
    """Return the transaction to read a WITH HOLD cursor in, in a block."""
    from .drivers import held, psycopg

    connection = inner.connection
    if not inner.withhold or not psycopg.belongs_to_block(connection):
        return None
    return held.Hold(connection)


def _chunks(
    plan: Any,
    cursor: Any,
    inner: Any,
    columns: int,
    size: int,
    hold: Any,
) -> Any:
    from .drivers import chunks

    return chunks.begin(plan, cursor, inner, columns, size, hold)


def _batch(plan: Any, cursor: Any, inner: Any, columns: int) -> Any:
    if inner is None:
        return _native.rows.TupleBatch(plan, cursor.fetchall())
    from .drivers import results

    return results.batch(plan, inner.connection, inner, inner.pgresult, columns)


def unknown_type() -> type[Any]:
    """Return the error of a binary result that the core cannot read."""
    from .drivers import results

    return results.UnknownType


def _translator(alias: str) -> Callable[[BaseException], BaseException]:
    # By alias, because the plan may be kept.
    def translate(exc: BaseException) -> BaseException:
        try:
            with connections[alias].wrap_database_errors:
                raise exc
        except BaseException as translated:
            return translated

    return translate


class AsyncStream:
    """A Stream whose batches are awaited."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __call__(self) -> Coroutine[Any, Any, Any]:
        return bridge.run(self._stream)

    async def aclose(self) -> None:
        """End the iteration and close its cursor on the server."""
        await bridge.run(self._stream.close)

    def abandon(self) -> None:
        """End the iteration where nobody can await."""
        self._stream.abandon()
