"""A server-side cursor, read a chunk at a time, the next chunk on its way.

While one chunk is consumed the server already works on the next, where nobody could
tell: the query is plain and the server quiet. That chunk counts as a statement in
flight: whoever wants the connection first takes it in (`settle`), so any other query
may run in the loop's body. Elsewhere a chunk is fetched when the reader asks for it.

In: an open named cursor of Django's, and the row plan.
Out: batches, a chunk each.
Next: `rust/src/row.rs`.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from collections.abc import Generator
from typing import Any, NamedTuple

from django.db import InterfaceError
from psycopg import errors, generators, pq, sql

from ... import bridge
from . import prefetch, prefetch_allowed, results
from .connection import belongs_to_block, inner_cursor
from .held_transaction import HeldTransaction
from .open_cursors import abandon
from .plain_queries import Reads

BINARY = pq.Format.BINARY
FATAL_ERROR = pq.ExecStatus.FATAL_ERROR


class Opened(NamedTuple):
    """Django's open named cursor, declared as Django does, and how it is read."""

    cursor: Any
    # Its psycopg cursor, None if rows are fetched from that as Django does.
    inner: Any
    columns: int
    # Rows of a chunk.
    size: int
    # What a plain query reads.
    reads: Reads | None
    # The transaction that was begun for it, if one was.
    transaction: HeldTransaction | None


def begin(plan: Any, opened: Opened, wrapper: Any) -> LoadedChunks | DecodedChunks:
    """Return the chunks of an open cursor, in binary where the core reads that."""
    inner = opened.inner
    if inner is None:
        return LoadedChunks(plan, opened, wrapper)
    # DECLARE has described the columns: unlike a plain query's, their types are
    # known before the first row is asked for.
    oids = tuple([inner.pgresult.ftype(i) for i in range(opened.columns)])
    if results.decoders(inner.connection).reads_binary(inner.connection, oids):
        inner.format = BINARY
    return DecodedChunks(plan, opened)


class LoadedChunks:
    """Chunks of a cursor that loads the values: not psycopg's, or not it alone."""

    def __init__(self, plan: Any, opened: Opened, wrapper: Any) -> None:
        self._plan, self._wrapper = plan, wrapper
        self._cursor, self._size = opened.cursor, opened.size

    def next_batch(self) -> Any:
        """Return the next chunk, or None after the last."""
        rows = self._cursor.fetchmany(self._size)
        return results.loaded(self._plan, rows, self._wrapper) if rows else None

    def close(self) -> None:
        """Close the server's cursor."""
        self._cursor.close()

    def abandon(self) -> None:
        """Leave the cursor for the connection to close; other drivers' do not wait."""
        if inner_cursor(self._cursor) is not None:
            abandon(self._cursor)
        elif bridge.can_wait():
            self._cursor.close()


class DecodedChunks:
    """Chunks that the core decodes, the next one on its way where nobody can tell."""

    def __init__(self, plan: Any, opened: Opened) -> None:
        self._plan = plan
        cursor, inner, self._columns, size, self._reads, self._transaction = opened
        self._cursor, self._inner, self._size = cursor, inner, size
        self._connection = inner.connection
        self._errors = cursor.db.wrap_database_errors
        self._name = sql.Identifier(inner.name).as_bytes(self._connection)
        self._command = b"FETCH FORWARD %d FROM %s" % (size, self._name)
        self._arrived: deque[Any] = deque()
        self._arriving: Any = None
        self._exhausted = False
        self._unsettled = prefetch.unsettled(self._connection)
        # Whether a chunk may be in flight; None if the server is to be asked.
        self._may_prefetch: bool | None = None
        # Who reads the next chunk, while it is read; whether somebody else has had the
        # connection since the last one.
        self._reader: object = None
        self._disturbed = False
        if not belongs_to_block(self._connection):
            prefetch.note_cursor(inner)

    def next_batch(self) -> Any:
        """Return the next chunk, or None after the last."""
        if self._exhausted:
            return None
        if self._inner.closed:
            raise _given_back()
        self._reader = _caller()
        try:
            with self._errors, self._lock():
                result = self._next_result()
                if result.ntuples < self._size:
                    self._exhausted = True
                    self._end_transaction()
                else:
                    self._prefetch()
        finally:
            self._reader = None
        if not result.ntuples:
            return None
        return results.decoders(self._connection).batch(
            self._plan, self._connection, self._inner, result, self._columns
        )

    def settle(self) -> None:
        """Take in the chunk in flight, perhaps on behalf of another statement."""
        if self._arriving is None:
            pass
        elif belongs_to_block(self._connection):
            # Cancelled with that statement, the chunk would be missing here.
            self._connection.wait(self._arriving, resumable=True)
        elif not self._connection.closed:
            self._connection.wait(self._arriving)
        self._unsettled.remove(self)
        self._disturbed = self._reader != _caller()

    def close(self) -> None:
        """Close the server's cursor; a chunk in flight is taken in first."""
        self._arrived.clear()
        if self._inner.closed:
            return
        if self._in_transaction:
            try:
                with self._errors, self._lock():
                    self._end_transaction()
            except BaseException:
                self.abandon()
                raise
        with self._errors:
            self._cursor.close()

    def abandon(self) -> None:
        """Leave cursor and chunk for the connection to clear away."""
        abandon(self._cursor, self._transaction)

    def _lock(self) -> Any:
        """Return what `with` takes the connection for the stream's own statement."""
        if not self._in_transaction:
            return self._connection.lock
        assert self._transaction is not None
        self._transaction.reader_is_back()
        return self._connection.lock.keeping(self._transaction)

    # ----- with the connection's lock

    @property
    def _in_transaction(self) -> bool:
        """Whether the transaction that was begun for it is still open."""
        return self._transaction is not None and self._transaction.open

    def _next_result(self) -> Any:
        if self._arrived:
            if self._disturbed:
                self._connection.wait(self._is_still_there())
        else:
            self._raise_failure()
            self._request()
            self._connection.wait(self._arriving)
        self._arriving = None
        result = self._arrived.popleft()
        if result.status == FATAL_ERROR:
            raise _failed(result)
        return result

    def _is_still_there(self) -> Generator[Any, Any, None]:
        """Raise what a FETCH would if the cursor is not.

        It may have ended with its transaction, or have been closed.
        """
        self._connection.pgconn.send_query(b"MOVE 0 FROM " + self._name)
        (result,) = yield from generators.execute(self._connection.pgconn)
        if result.status == FATAL_ERROR:
            raise _failed(result)

    def _prefetch(self) -> None:
        """Request the next chunk if nobody can tell."""
        disturbed, self._disturbed = self._disturbed, False
        if disturbed:
            # It may have been a SET; and the loop's body uses the connection.
            self._may_prefetch = None
        elif self._may_prefetch is None:
            self._ask_server()
        if self._in_transaction and self._transaction.is_over():  # type: ignore[union-attr]
            self._end_transaction(stay=True)
        if self._may_prefetch:
            self._request()
        if self._may_prefetch is not False:
            self._unsettled.append(self)  # also to see whether somebody comes
        if self._in_transaction:
            self._transaction.reader_has_a_chunk()  # type: ignore[union-attr]

    def _ask_server(self) -> None:
        stored = self._inner.withhold and not self._in_transaction
        if self._reads is None and not stored:
            self._may_prefetch = False
            return
        allowed = prefetch_allowed.ask(
            self._connection, None if stored else self._reads
        )
        if self._in_transaction and not all(allowed):
            self._end_transaction(stay=True)
            stored = True
        self._may_prefetch = allowed.chunks and (stored or allowed.tables)

    def _end_transaction(self, stay: bool = False) -> None:
        """Commit; the cursor is closed, or stays with the rest of its rows stored."""
        if not self._in_transaction:
            return
        assert self._transaction is not None
        if stay:
            self._transaction.settle()
        else:
            self._transaction.close(self._name)
            self._inner._close()
        self._raise_failure()

    def _raise_failure(self) -> None:
        """Raise why the rest of the rows could not be stored, if so."""
        if self._transaction is not None and self._transaction.failure is not None:
            raise self._transaction.failure

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


def _caller() -> object:
    """Return what tells the code that runs from all that might use the connection."""
    return bridge.current_call() or get_ident()


def _given_back() -> InterfaceError:
    return InterfaceError(
        "The connection that this iterator reads from has been given back: the block, "
        "or the request, that it belongs to has ended, or closed the connection. Read "
        "its rows before that, or begin another one."
    )


def _failed(result: Any) -> errors.Error:
    error = errors.error_from_result(result)
    if isinstance(error, errors.InvalidCursorName):
        error.add_note(
            "The session of this stream has been another one since its last chunk, as "
            "behind a pooler in transaction mode: set DISABLE_SERVER_SIDE_CURSORS in "
            "DATABASES."
        )
    return error
