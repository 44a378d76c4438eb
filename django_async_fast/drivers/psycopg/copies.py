"""A `COPY` in progress: the connection does nothing else until it ends.

psycopg holds the connection's lock meanwhile. Other tasks of a block wait for that; who
would wait for itself is told so. However a COPY is left, the connection is at rest
afterwards, or closed.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import InterfaceError

from ... import bridge
from .connection import belongs_to_block
from .transaction_status import ACTIVE, INERROR, INTRANS

# Bytes of one trip, either way.
SIZE = 64 * 1024


@contextmanager
def copying(cursor: Any, statement: Any, params: Any = None) -> Iterator[Any]:
    """Run a COPY by a cursor of Django's: `with copying(...) as copy`, psycopg's."""
    # The cursor of a connection in debug mode takes no parameters.
    args = (statement,) if params is None else (statement, params)
    try:
        with (
            cursor.db.wrap_database_errors,
            cursor.copy(*args) as copy,
            _alone(copy.connection),
        ):
            try:
                yield copy
            except GeneratorExit:
                if not can_end(copy.connection):
                    copy.connection.close()
                raise
    except BaseException:
        # Broken off at the moment it began, or once more while it was ended.
        connection = cursor.connection
        if connection.pgconn.transaction_status == ACTIVE:
            connection.close()
        raise


def can_end(connection: Any) -> bool:
    """Tell whether the caller can wait: not where an iterator is just collected."""
    return bridge.can_wait() or not belongs_to_block(connection)


@contextmanager
def _alone(connection: Any) -> Iterator[None]:
    """Refuse statements of who runs the COPY: they would wait for their own end."""
    if belongs_to_block(connection):
        connection.gate.copier = bridge.task_here()
        try:
            yield
        finally:
            connection.gate.copier = None
        return
    lock = connection.lock
    connection.lock = _Taken(connection)
    try:
        yield
    finally:
        connection.lock = lock


class _Taken:
    """Stands in for the lock of a connection that is not a block's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = connection.lock
        # Whether the COPY's reader has gone: then the next statement ends it.
        self.is_left = False

    def __enter__(self) -> Any:
        if not self.is_left:
            raise InterfaceError(
                "A COPY is under way on this connection, which can do nothing else "
                "before that ends. Fetch what the rows need before, or use another "
                "connection."
            )
        self._connection.open_copy.close()
        return self._lock.__enter__()

    def __exit__(self, *exc: object) -> None:
        self._lock.__exit__(*exc)


def read(copy: Any) -> tuple[bytes, int]:
    """Return the next rows of a `COPY ... TO`, about `SIZE` bytes, and their number.

    Nothing, and 0, at the end.
    """
    rows: tuple[bytes, int] = copy.connection.wait(_gather(copy))
    return rows


def _gather(copy: Any) -> Generator[Any, Any, tuple[bytes, int]]:
    rows: list[Any] = []
    size = 0
    while size < SIZE and (row := (yield from copy._read_gen())):
        rows.append(row)
        size += len(row)
    return b"".join(rows), len(rows)


_SAVEPOINT = b"SAVEPOINT django_async_fast_copy"


class Savepoint:
    """What a transaction goes on from when a COPY in it is left before its last row.

    The server can only break off the statement, and that spoils a transaction.
    """

    def __init__(self, cursor: Any) -> None:
        # Only what is one call of the bridge may use it: until the COPY begins, another
        # task's statement would be in it.
        connection = cursor.connection
        status = connection.pgconn.transaction_status
        self._is_set = status == INTRANS or (
            status != INERROR and not connection.autocommit
        )
        if self._is_set:
            cursor.execute(_SAVEPOINT)

    def release(self, copy: Any) -> None:
        """The COPY has come to its end."""
        self._send(copy.connection, b"RELEASE " + _SAVEPOINT)

    def roll_back(self, copy: Any, exc: BaseException) -> None:
        """Break off the COPY, before anybody else has the connection."""
        connection = copy.connection
        copy.finish(exc)
        if connection.pgconn.transaction_status == INERROR:
            self._send(connection, b"ROLLBACK TO " + _SAVEPOINT)
        self._send(connection, b"RELEASE " + _SAVEPOINT)

    def _send(self, connection: Any, command: bytes) -> None:
        if self._is_set and not connection.closed:
            connection.wait(connection._exec_command(command))


def leave(connection: Any) -> None:
    """Let statements of who runs the COPY wait for its end, which is on its way."""
    if belongs_to_block(connection):
        connection.gate.copier = None
    else:
        connection.lock.is_left = True
