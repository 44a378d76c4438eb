"""A server-side cursor, read a chunk at a time, the next chunk on its way.

While one chunk is consumed the server already works on the next. That chunk
counts as a statement in flight: whoever wants the connection first takes it in
(`settle`), so any other query may run in the loop's body.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator
from functools import cache
from typing import Any

from psycopg import errors, generators, pq, sql
from psycopg.rows import tuple_row

from .. import _native
from . import ahead, results
from .held import Hold
from .psycopg import belongs_to_block

logger = logging.getLogger("django_async_fast")

BINARY = pq.Format.BINARY
FATAL_ERROR = pq.ExecStatus.FATAL_ERROR


def begin(
    plan: Any, cursor: Any, inner: Any, columns: int, size: int, hold: Hold | None
) -> Any:
    """Return the chunks of Django's open named `cursor`.

    `inner` is its psycopg cursor, None if that is not to be found; `hold` the
    transaction that was begun for it. It was declared as Django does; what is
    fetched from it may be binary.
    """
    if inner is None or inner.row_factory is not tuple_row:
        return LoadedChunks(plan, cursor, size)
    # DECLARE has described the columns: unlike a plain query's, their types are
    # known before the first row is asked for.
    oids = tuple([inner.pgresult.ftype(i) for i in range(columns)])
    if results.decoders(inner.connection).read_binary(inner.connection, oids):
        inner.format = BINARY
    return DecodedChunks(plan, cursor, inner, columns, size, hold)


class LoadedChunks:
    """Chunks of a cursor that is not psycopg's: it loads the values."""

    def __init__(self, plan: Any, cursor: Any, size: int) -> None:
        self._plan = plan
        self._cursor = cursor
        self._size = size

    def next_batch(self) -> Any:
        """Return the next chunk, or None after the last."""
        rows = self._cursor.fetchmany(self._size)
        return _native.rows.TupleBatch(self._plan, rows) if rows else None

    def close(self) -> None:
        """Close the server's cursor."""
        self._cursor.close()

    def abandon(self) -> None:
        """Leave the cursor for the connection to close."""
        _leave(self._cursor)


class DecodedChunks:
    """Chunks that the core decodes, the next one always on its way."""

    def __init__(
        self,
        plan: Any,
        cursor: Any,
        inner: Any,
        columns: int,
        size: int,
        hold: Hold | None,
    ) -> None:
        self._plan = plan
        self._cursor = cursor
        self._hold = hold
        self._inner = inner
        self._columns = columns
        self._size = size
        self._connection = inner.connection
        self._errors = cursor.db.wrap_database_errors
        name = sql.Identifier(inner.name).as_bytes(self._connection)
        self._command = b"FETCH FORWARD %d FROM %s" % (size, name)
        self._arrived: deque[Any] = deque()
        self._arriving: Any = None
        self._exhausted = False
        self._unsettled = ahead.unsettled(self._connection)

    def next_batch(self) -> Any:
        """Return the next chunk, or None after the last."""
        if self._exhausted:
            return None
        with self._errors, self._lock():
            if not self._arrived:
                if self._failure is not None:
                    raise self._failure
                self._request()
                self._connection.wait(self._arriving)
            result = self._arrived.popleft()
            if result.status == FATAL_ERROR:
                raise _failed(result)
            if result.ntuples < self._size:
                self._exhausted = True
            elif self._failure is None:
                self._request_ahead()
        if not result.ntuples:
            return None
        return results.decoders(self._connection).batch(
            self._plan, self._connection, self._inner, result, self._columns
        )

    def settle(self) -> None:
        """Take in the chunk in flight, on behalf of another statement."""
        if belongs_to_block(self._connection):
            # Cancelled with that statement, the chunk would be missing here.
            self._connection.wait(self._arriving, resumable=True)
        elif not self._connection.closed:
            self._connection.wait(self._arriving)
        self._unsettled.remove(self)

    def close(self) -> None:
        """Close the server's cursor; a chunk in flight is taken in first."""
        self._arrived.clear()
        if self._hold is not None and self._hold.open:
            # The cursor first: a commit would store what is left of its rows.
            try:
                with self._errors, self._lock():
                    self._connection.wait(self._inner._close_gen())
                    self._hold.settle()
            except BaseException:
                self.abandon()
                raise
            self._inner._close()
        with self._errors:
            self._cursor.close()

    def abandon(self) -> None:
        """Leave cursor and chunk for the connection to clear away."""
        _leave(self._cursor, self._hold)

    def _lock(self) -> Any:
        """Return what `with` takes the connection for the stream's own statement."""
        if self._hold is None or not self._hold.open:
            return self._connection.lock
        self._hold.reader_is_back()
        return self._connection.lock.keeping(self._hold)

    @property
    def _failure(self) -> errors.Error | None:
        """Why there are no more rows on the server, if they could not be stored."""
        return None if self._hold is None else self._hold.failure

    def _request_ahead(self) -> None:
        self._request()
        self._unsettled.append(self)
        if self._hold is not None and self._hold.open:
            self._hold.reader_has_a_chunk()

    def _request(self) -> None:
        pgconn = self._connection.pgconn
        if self._inner.format == BINARY:
            pgconn.send_query_params(self._command, None, result_format=BINARY)
        else:
            pgconn.send_query(self._command)
        pgconn.flush()  # what the socket does not take goes out in `_arrival`
        self._arriving = self._arrival(pgconn)

    def _arrival(self, pgconn: Any) -> Generator[Any, Any, None]:
        # It puts the chunk where it belongs: whoever awaits it may be broken
        # off at the moment it comes.
        yield from generators.send(pgconn)
        found = yield from generators.fetch_many(pgconn)
        self._arrived.extend(found[-1:])


def _failed(result: Any) -> errors.Error:
    error = errors.error_from_result(result)
    if isinstance(error, errors.InvalidCursorName):
        error.add_note(
            "The session of this stream has been another one since its last chunk, as "
            "behind a pooler in transaction mode: set DISABLE_SERVER_SIDE_CURSORS in "
            "DATABASES."
        )
    return error


class Orphan:
    """A server-side cursor that nobody will close: its iterator was dropped."""

    def __init__(self, inner: Any, hold: Hold | None) -> None:
        self._connection = inner.connection
        # If it was declared in a transaction it may have ended with that one,
        # and closing it would break the transaction of today: psycopg asks
        # first for a cursor that it has not described.
        inner._described = inner._described and inner._withhold
        self._hold = hold
        self._closing = inner._close_gen()

    def settle(self) -> None:
        """Close it, before the connection's next statement."""
        try:
            self._connection.wait(self._closing, resumable=True)
            if self._hold is not None:
                self._hold.settle()
        except Exception as exc:
            logger.warning("could not close an abandoned cursor: %s", exc)
        self._connection.unsettled.remove(self)


@cache
def _careful_class(base: Any) -> type[Any]:
    class ServerSideCursor(base):
        # The layout of the base, be it Django's or psycopg's own with slots.
        __slots__ = ()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            return _or_leave(self, super().execute, *args, **kwargs)

        def close(self) -> None:
            try:
                _or_leave(self, super().close)
            except Exception:
                self._close()  # the server has none of this name
                raise

        def __del__(self) -> None:
            if self._described:  # else there is nothing to warn about
                super().__del__()

    return ServerSideCursor


def _or_leave(cursor: Any, method: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return method(*args, **kwargs)
    except BaseException as exc:
        # Django closes the cursor of a query that fails, not that of one that
        # is cancelled: it would stay open on the server.
        if not isinstance(exc, Exception):
            _leave(cursor)
        raise


def careful(cursor: Any) -> Any:
    """Let the connection close `cursor` if its query, or close(), is broken off."""
    kind: Any = type(cursor)
    cursor.__class__ = _careful_class(kind)
    return cursor


def _leave(cursor: Any, hold: Hold | None = None) -> None:
    from ..whole import psycopg_cursor

    inner = psycopg_cursor(cursor)
    if inner is None or inner.closed:
        return
    inner._close()  # without a word to the server, nor a warning
    connection = inner.connection
    if not belongs_to_block(connection) or connection.closed:
        return
    if hold is None:
        open_ones = (each for each in connection.unsettled if isinstance(each, Hold))
        hold = next(open_ones, None)
    # First in, last settled: a chunk of it may be in flight.
    if hold is not None and hold.open:
        # In the hold's place: the cursor is closed before the transaction ends.
        hold.reader_is_back()
        connection.unsettled[connection.unsettled.index(hold)] = Orphan(inner, hold)
    else:
        connection.unsettled.insert(0, Orphan(inner, None))
