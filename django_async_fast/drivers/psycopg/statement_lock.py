"""What stands in for psycopg's `Connection.lock`: the gate of a block's connection.

A `threading.Lock` held while a greenlet waits would freeze the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connection import Connection
    from .held_transaction import HeldTransaction


class StatementLock:
    """Takes the gate of a connection for one statement."""

    __slots__ = ("connection", "gate")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.gate = connection.gate

    def __exit__(self, *exc: object) -> None:
        self.gate.release()

    def acquire(self, keep: object = None) -> None:
        """Take the connection, with nothing on the wire; `keep` stays unsettled."""
        self.gate.acquire()
        # Perhaps while we waited: now the session may be another block's.
        if self.connection.returned or self.connection.unsettled:
            try:
                self.connection.settle(keep)
            except BaseException:
                self.gate.release()
                raise

    __enter__ = acquire

    @contextmanager
    def keeping(self, transaction: HeldTransaction) -> Iterator[None]:
        """Hold the lock as `with lock:` does, but leave `transaction` open if it is."""
        self.gate.acquire()
        try:
            # Whoever had the connection meanwhile may have begun to end it, no more.
            self.connection.settle(transaction if transaction.open else None)
            yield
        finally:
            self.gate.release()


class StatementLocks:
    """`Connection.lock`, made when asked for.

    The two would hold each other, and every block leave something to collect.
    """

    def __get__(self, connection: Any, owner: Any = None) -> Any:
        return self if connection is None else StatementLock(connection)
