"""Server-side cursors that are still open where their connection goes on or back.

An iterator that was dropped, a query that was broken off, a block that ends: the cursor
is closed by the connection's next statement, or before its pool gets it back.
"""

import logging
import sys
from functools import cache, wraps
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg import Error

from . import prefetch
from .connection import belongs_to_block, inner_cursor
from .held_transaction import HeldTransaction
from .transaction_status import INERROR

logger = logging.getLogger("django_async_fast")


class AbandonedCursor:
    """A server-side cursor whose iterator was dropped: the connection closes it."""

    def __init__(self, inner: Any, transaction: HeldTransaction | None) -> None:
        self._connection = inner.connection
        # If it was declared in a transaction it may have ended with that one,
        # and closing it would break the transaction of today: psycopg asks
        # first for a cursor that it has not described.
        inner._described = inner._described and inner._withhold
        self._transaction = transaction
        self._closing = inner._close_gen()

    def settle(self) -> None:
        """Close it, before the connection's next statement."""
        try:
            self._connection.wait(self._closing, resumable=True)
            if self._transaction is not None:
                self._transaction.settle()
        except Exception as exc:
            logger.warning("could not close an abandoned cursor: %s", exc)
        self._connection.unsettled.remove(self)


@cache
def _cursor_class(base: Any) -> type[Any]:
    class ServerSideCursor(base):
        # The layout of the base, be it Django's or psycopg's own with slots.
        __slots__ = ()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            if self._pgconn.pipeline_status:
                # Another task's statement, BEGIN with it. psycopg refuses a cursor
                # then, before it waits for its turn.
                with self.connection.lock:
                    self.connection._check_connection_ok()  # a lost one stays so
            return _or_abandon(self, super().execute, *args, **kwargs)

        def close(self) -> None:
            if self.closed:
                return  # perhaps with a connection that is another block's now
            if isinstance(sys.exception(), GeneratorExit):
                # Of a generator that is left, perhaps to the collector: whoever that
                # interrupts cannot be told that his waiting was broken off.
                abandon(self)
                return
            try:
                _or_abandon(self, super().close)
            except Exception:
                self._close()  # the server has none of this name
                raise

        def __del__(self) -> None:
            if self._described:  # else there is nothing to warn about
                super().__del__()

    return ServerSideCursor


def _or_abandon(cursor: Any, method: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return method(*args, **kwargs)
    except BaseException as exc:
        # Django closes the cursor of a query that fails, not that of one that
        # is cancelled: it would stay open on the server.
        if not isinstance(exc, Exception):
            # The server may have done it, or not: psycopg asks then.
            cursor._described = False
            abandon(cursor)
        raise


def close_if_broken_off(cursor: Any) -> Any:
    """Have the connection close `cursor` if its query, or close(), is broken off."""
    kind: Any = type(cursor)
    cursor.__class__ = _cursor_class(kind)
    prefetch.note_cursor(cursor)
    return cursor


def close_open_cursors(connection: Any) -> None:
    """Close what is still open on a connection that is about to be given back.

    Nothing is on its way on it then; who goes on reading is told why there is no more.
    """
    if not prefetch.may_have_streams(connection):
        return
    cursors = prefetch.cursors(connection)
    left = [each for ref in cursors if (each := ref()) is not None and not each.closed]
    cursors.clear()
    if not left and not prefetch.unsettled(connection):
        return
    try:
        with _lock_in_transaction(connection):
            if connection.pgconn.transaction_status == INERROR:
                connection.wait(connection._rollback_gen())
            for each in left:
                connection.wait(each._close_gen())
    except Error as exc:
        logger.warning("could not close a cursor that was left open: %s", exc)
    finally:
        for each in left:
            each._close()


def _lock_in_transaction(connection: Any) -> Any:
    """Return the connection's lock, for statements in a transaction held for a stream.

    What is left of its rows would be stored for nothing if it were ended first.
    """
    transaction = _transaction_of(connection)
    if transaction is None or not transaction.open:
        return connection.lock
    return connection.lock.keeping(transaction)


def _transaction_of(connection: Any) -> HeldTransaction | None:
    for each in prefetch.unsettled(connection):
        if isinstance(each, HeldTransaction):
            return each
    return None


def abandon(cursor: Any, transaction: HeldTransaction | None = None) -> None:
    """Have the connection of `cursor` close it, without waiting for the server."""
    inner = inner_cursor(cursor)
    if inner is None or inner.closed:
        return
    inner._close()  # without a word to the server, nor a warning
    connection = inner.connection
    if not belongs_to_block(connection) or connection.closed:
        return
    if transaction is None:
        transaction = _transaction_of(connection)
    # First in, last settled: a chunk of it may be in flight.
    if transaction is not None and transaction.open:
        # In its place: the cursor is closed before the transaction ends.
        place = connection.unsettled.index(transaction)
        connection.unsettled[place] = AbandonedCursor(inner, transaction)
        transaction.reader_has_gone()
    else:
        connection.unsettled.insert(0, AbandonedCursor(inner, None))


@wraps(DatabaseWrapper._close)
def close(self: Any) -> None:
    """`DatabaseWrapper._close`: what streams have open ends before the pool gets it."""
    connection = self.connection
    try:
        # Where there is no pool, all ends with the connection.
        if getattr(connection, "_pool", None):
            close_open_cursors(connection)
    finally:
        close.__wrapped__(self)
