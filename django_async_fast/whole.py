"""The rows of a query that are wanted all at once, as a batch for the core."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from django.db import DatabaseError
from django.db.backends.utils import CursorWrapper

from . import _native, drivers, formats, planning


def fetch(
    wrapper: Any,
    plan: Any,
    columns: int,
    sql: str,
    params: Any,
    template: bytes | None = None,
) -> Any:
    """Return all rows of a query whose result may be binary, as a batch.

    `template` is what `statement.template_of(sql)` returned, to save that. Raises what
    the query does, and UnknownType once it has run.
    """
    raw = drivers.statement.unobserved(wrapper)
    if raw is not None:
        decoders = drivers.results.decoders(raw)
        # Django gives a cursor the wrapper's time zone where it is another.
        if decoders.agree(raw) and decoders.zone == wrapper.timezone:
            result = drivers.statement.fetch(wrapper, raw, sql, params, template)
            return decoders.batch_again(plan, raw, result, columns)
    with closing(wrapper.cursor()) as cursor:
        inner = psycopg_cursor(cursor)
        if can_be_binary(inner):
            inner.format = 1
        send(cursor, sql, params)
        return batch(plan, cursor, inner, columns)


def fetch_text(compiler: Any, plan: Any, columns: int, sql: str, params: Any) -> Any:
    """Return all rows of a query that is asked for as text, as a batch."""
    with closing(compiler.connection.cursor()) as cursor:
        send(cursor, sql, params)
        inner = psycopg_cursor(cursor)
        if inner is not None:
            learn(compiler, inner)
        return batch(plan, cursor, inner, columns)


def send(cursor: Any, sql: str, params: Any) -> None:
    """Execute the query; its error, not that of closing `cursor`, is raised."""
    try:
        cursor.execute(sql, params)
    except Exception as exc:
        # A server-side cursor may fail to close on a broken connection.
        try:
            cursor.close()
        except DatabaseError:
            raise exc from None
        raise


def psycopg_cursor(cursor: Any) -> Any:
    """Return the psycopg 3 cursor inside Django's wrappers, or None."""
    from psycopg import Cursor

    while isinstance(cursor, CursorWrapper):
        cursor = cursor.cursor
    return cursor if isinstance(cursor, Cursor) else None


def can_be_binary(inner: Any) -> bool:
    """Tell whether a cursor's result can be binary, and mean what its text does."""
    if inner is None:
        return False
    # Only Django's own cursors can be asked for binary with client-side
    # parameters; see `seams.py`.
    connection = inner.connection
    return hasattr(inner, "_daf_binary") and drivers.results.decoders(connection).agree(
        connection
    )


def learn(compiler: Any, inner: Any) -> None:
    """Take note of the types that came as text, for the next query."""
    expressions = [column[0] for column in compiler.select[: compiler.col_count]]
    oids = [inner.pgresult.ftype(i) for i in range(len(expressions))]
    connection = inner.connection
    kinds = drivers.results.decoders(connection).kinds
    if formats.learn(expressions, oids, lambda oid: kinds.knows(oid, connection)):
        planning.forget()


def batch(plan: Any, cursor: Any, inner: Any, columns: int) -> Any:
    """Return the rows of an executed `cursor`, whose psycopg cursor is `inner`."""
    if inner is None:
        return _native.rows.TupleBatch(plan, cursor.fetchall())
    connection = inner.connection
    decoders = drivers.results.decoders(connection)
    return decoders.batch(plan, connection, inner, inner.pgresult, columns)
