"""What a connection has on its way, and how the next statement takes it in first.

A block's connection keeps such a list itself. To one of Django's own, for synchronous
code, it comes with the lock that psycopg takes before every statement.
"""

from __future__ import annotations

from typing import Any

from .psycopg import belongs_to_block


class SettlingLock:
    """Stands in for psycopg's `Connection.lock`: takes in what is on its way.

    It knows its lock and what is unsettled, not the connection: psycopg warns of a
    connection that is dropped open, and a cycle would put that off.
    """

    __slots__ = ("_lock", "unsettled")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.unsettled: list[Any] = []

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
    if belongs_to_block(connection):
        found: list[Any] = connection.unsettled
        return found
    lock = connection.lock
    if not isinstance(lock, SettlingLock):
        # Once, and while nothing is on its way: who waits for the old one is no danger.
        lock = connection.lock = SettlingLock(lock)
    return lock.unsettled
