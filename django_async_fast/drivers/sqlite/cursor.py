"""A cursor of Python's sqlite3 whose calls its connection orders and awaits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from itertools import chain, islice
from typing import Any

from .statement_kinds import StatementKind, busy_timeout, kind_of

_END: Any = object()


@cache
def cursor_class(factory: Any) -> Any:
    """Return the class of cursors of `factory` for a connection on the loop."""
    if not isinstance(factory, type) or issubclass(factory, Cursor):
        return factory
    return type(factory.__name__, (Cursor, factory), {"__module__": factory.__module__})


class Cursor(sqlite3.Cursor):
    """Mixed into a class of cursors."""

    # The connection of ours that has made it.
    connection: Any
    # Whether more rows may come: the file is locked for reading.
    reading = False
    # What is left of a result of which everything has been fetched.
    _remaining: Iterator[Any] | None = None
    # The rows that earlier attempts of an `executemany()` have changed.
    _before = 0

    @property
    def rowcount(self) -> int:
        """The number of rows that the last statement has changed."""
        count: int = sqlite3.Cursor.rowcount.__get__(self)
        return count + self._before

    def execute(self, sql: str, *args: Any) -> Any:
        kind = self._begin(sql)
        execute: Callable[..., Any] = super().execute
        if kind is StatementKind.WRITE and not self.connection.in_transaction:
            execute = self._execute_to_the_end
        elif kind is StatementKind.OTHER and (timeout := busy_timeout(sql)) is not None:
            return self._execute_busy_timeout(timeout, sql, *args)
        return self.connection.run(kind, sql, execute, sql, *args)

    def _begin(self, sql: str) -> StatementKind:
        self.reading = False
        self._remaining = None
        self._before = 0
        return kind_of(sql)

    def _execute_to_the_end(self, *args: Any) -> Any:
        # Only then does it commit: with RETURNING, when its last row is fetched. If the
        # file is locked at that point, all of it is to be done again.
        super().execute(*args)
        if self.description is not None:
            self._remaining = iter(super().fetchall())
        return self

    def _execute_busy_timeout(self, milliseconds: str, sql: str, *args: Any) -> Any:
        """Run a PRAGMA of the timeout, which is ours to keep."""
        connection = self.connection
        if milliseconds:
            connection.timeout = max(int(milliseconds), 0) / 1000
        sql = f"SELECT {round(connection.timeout * 1000)} AS timeout"
        connection.run(StatementKind.OTHER, sql, super().execute, sql)
        return self

    def executemany(self, sql: str, params: Iterable[Any], *args: Any) -> Any:
        kind = self._begin(sql)
        call = super().executemany, sql, _RemainingParams(params), *args
        return self.connection.run(kind, sql, self._executemany, *call)

    def _executemany(
        self, call: Any, sql: str, params: _RemainingParams, *args: Any
    ) -> Any:
        before = self.connection.total_changes
        try:
            return call(sql, params.again(), *args)
        except sqlite3.OperationalError:
            # Without a transaction each is one: those before the last are done.
            self._before += self.connection.total_changes - before
            raise

    def executescript(self, script: str) -> Any:
        # Where it has stopped at a lock is not known: SQLite waits for it itself.
        self._begin("")
        connection = self.connection
        connection.session_changed = True
        wait = f"PRAGMA busy_timeout = {round(connection.timeout * 1000)}"
        execute, ask = super().executescript, sqlite3.Cursor(connection).execute

        def run() -> Any:
            ask(wait)
            try:
                return execute(script)
            finally:
                ask("PRAGMA busy_timeout = 0")

        return connection.run(StatementKind.GOES_ON, "", run)

    def fetchone(self) -> Any:
        if self._remaining is not None:
            return next(self._remaining, None)
        row = self.connection.run(StatementKind.GOES_ON, "", super().fetchone)
        if row is None:
            self._end()
        return row

    def fetchmany(self, size: int | None = None) -> list[Any]:
        size = self.arraysize if size is None else size
        if self._remaining is not None:
            return list(islice(self._remaining, size))
        rows = self.connection.run(StatementKind.GOES_ON, "", super().fetchmany, size)
        self.reading = len(rows) == size
        if not self.reading:
            self._end()  # Django asks again to hear of it, which is known
        return rows

    def fetchall(self) -> list[Any]:
        if self._remaining is not None:
            return list(self._remaining)
        rows = self.connection.run(StatementKind.GOES_ON, "", super().fetchall)
        self._end()
        return rows

    def __next__(self) -> Any:
        if self._remaining is not None:
            return next(self._remaining)
        row = self.connection.run(
            StatementKind.GOES_ON, "", self._step, super().__next__
        )
        if row is _END:
            self._end()
            raise StopIteration
        self.reading = True
        return row

    def _step(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except StopIteration:  # which the loop must not see
            return _END

    def _end(self) -> None:
        self.reading = False
        self._remaining = iter(())

    def close(self) -> None:
        """Close the cursor; a statement that has rows left is over."""
        self.reading = False
        self._remaining = None
        if (later := self.connection.closed_meanwhile) is not None:
            later.append(self)  # SQLite would have the loop wait for the thread
        elif not self.connection.closed:
            self.connection.enter_soon(super().close)
            if self.connection.lock_queue.waiting:
                self.connection.lock_queue.wake()

    def __del__(self) -> None:
        if self.connection.lock_queue.cache is not None:
            # Now SQLite might wait for a statement of this thread.
            self.connection.enter_soon(self._end_statement)

    def _end_statement(self) -> None:
        with suppress(Exception):  # the connection may be closed, or another thread's
            super().close()


class _RemainingParams:
    """The parameters of an `executemany()`, from the last ones that were taken."""

    def __init__(self, params: Iterable[Any]) -> None:
        self._left = iter(params)
        self._last: list[Any] = []

    def again(self) -> Iterator[Any]:
        """Return those that are left; the last ones that were taken come again."""
        for params in chain(self._last, self._left):
            self._last = [params]
            yield params
