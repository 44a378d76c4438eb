"""What a connection has on its way, and how the next statement takes it in first.

A block's connection keeps such a list itself, and one of its open cursors. To one of
Django's own, for synchronous code, both come with the lock that psycopg takes before
every statement.
"""

import weakref
from typing import Any

from .connection import belongs_to_block


class SettlingLock:
    """Stands in for psycopg's `Connection.lock`: takes in what is on its way.

    It knows its lock and what is unsettled, not the connection: psycopg warns of a
    connection that is dropped open, and a cycle would put that off.
    """

    __slots__ = ("_lock", "cursors", "unsettled")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.unsettled: list[Any] = []
        self.cursors: list[weakref.ref[Any]] = []

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the connection, with nothing on the wire."""
        self._lock.acquire()
        try:
            while self.unsettled:
                self.unsettled[-1].settle()
        except BaseException:
            self._lock.release()
            raise

    def release(self) -> None:
        """Give the connection back."""
        self._lock.release()


def unsettled(connection: Any) -> list[Any]:
    """Return what the connection's next statement must settle first, as a list."""
    found: list[Any] = _keeper(connection).unsettled
    return found


def cursors(connection: Any) -> list[weakref.ref[Any]]:
    """Return references to the server-side cursors that streams read from."""
    found: list[weakref.ref[Any]] = _keeper(connection).cursors
    return found


def note_cursor(cursor: Any) -> None:
    """Note a server-side cursor, to be closed when its connection is given back."""
    noted = cursors(cursor.connection)
    noted.append(weakref.ref(cursor, noted.remove))


def may_have_streams(connection: Any) -> bool:
    """Tell whether a stream may have been begun on the connection."""
    lock = getattr(connection, "lock", None)
    return isinstance(lock, SettlingLock) or belongs_to_block(connection)


def _keeper(connection: Any) -> Any:
    if belongs_to_block(connection):
        return connection
    lock = connection.lock
    if not isinstance(lock, SettlingLock):
        # Once, and while nothing is on its way: who waits for the old one is no danger.
        lock = connection.lock = SettlingLock(lock)
    return lock
