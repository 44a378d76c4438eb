"""Asynchronous cursors: Django's own cursor, each call of it on the bridge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from .. import bridge
from ..bridge.closed_coroutines import being_closed
from ..drivers.psycopg.copies import copying

if TYPE_CHECKING:
    from psycopg.sql import Composable

Query: TypeAlias = "str | bytes | Composable"
Params: TypeAlias = Sequence[Any] | Mapping[str, Any]
Row: TypeAlias = tuple[Any, ...]

# Properties of Django's and psycopg's cursors that need no I/O.
_PLAIN = {
    *("arraysize", "description", "lastrowid", "name", "query", "rowcount"),
    *("rownumber", "statusmessage"),
}


class AsyncCursor:
    """`async with conn.acursor() as cursor:`; opens on entry or first use.

    The methods are those of PEP 249 and of Django's cursor, as coroutines;
    database errors are `django.db`'s.
    """

    if TYPE_CHECKING:  # of the cursor below
        arraysize: int
        description: Sequence[Sequence[Any]] | None
        lastrowid: int
        name: str
        query: Any
        rowcount: int
        rownumber: int | None
        statusmessage: str | None

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self._cursor: Any = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await bridge.run(self._open)
        return self

    async def __aexit__(
        self, exc_type: Any = None, exc: Any = None, traceback: Any = None
    ) -> None:
        if being_closed(exc):
            self._closed, self._cursor = True, None  # its block ends as well
        else:
            await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        row = await self.fetchone()
        if row is None:
            raise StopAsyncIteration
        return row

    async def execute(self, sql: Query, params: Params | None = None) -> Self:
        """Run one statement; returns the cursor, so that calls can be chained."""
        await bridge.run(self._call, "execute", sql, params)
        return self

    async def executemany(self, sql: Query, param_list: Iterable[Params]) -> Self:
        """Run one statement with each of many sets of parameters."""
        await bridge.run(self._call, "executemany", sql, param_list)
        return self

    async def callproc(self, name: str, params: Sequence[Any] | None = None) -> Any:
        """Call a database function."""
        return await bridge.run(self._call, "callproc", name, params)

    async def fetchone(self) -> Row | None:
        """Return the next row, or None at the end."""
        row: Row | None = await bridge.run(self._call, "fetchone")
        return row

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next `size` rows (default: `arraysize`), fewer at the end."""
        args = () if size is None else (size,)
        return list(await bridge.run(self._call, "fetchmany", *args))

    async def fetchall(self) -> list[Row]:
        """Return all rows that are left."""
        return list(await bridge.run(self._call, "fetchall"))

    async def close(self) -> None:
        """Close the cursor; it cannot be used again."""
        self._closed = True
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await bridge.run(cursor.close)

    @asynccontextmanager
    async def copy(
        self, statement: Query, params: Params | None = None
    ) -> AsyncIterator[AsyncCopy]:
        """Run a `COPY`: `async with cursor.copy("COPY t FROM STDIN") as copy:`."""
        cursor = await bridge.run(self._open)
        manager = copying(cursor, statement, params)
        copy = AsyncCopy(await bridge.run(manager.__enter__))
        try:
            yield copy
        except BaseException as exc:
            if not await bridge.run(
                manager.__exit__, type(exc), exc, exc.__traceback__
            ):
                raise
        else:
            await bridge.run(manager.__exit__, None, None, None)

    def __getattr__(self, name: str) -> Any:
        if name in _PLAIN and self._cursor is not None:
            return getattr(self._cursor, name)
        raise AttributeError(
            f"{type(self).__name__!r} has no attribute {name!r}"
            + (" before the first execute()" if name in _PLAIN else "")
        )

    def _open(self) -> Any:
        if self._closed:
            raise self._wrapper.closed_cursor_error()
        if self._cursor is None:
            self._cursor = self._wrapper.cursor()
        return self._cursor

    def _call(self, method: str, *args: Any) -> Any:
        return getattr(self._open(), method)(*args)


class AsyncCopy:
    """psycopg's `Copy`, awaited. See its documentation for the formats."""

    def __init__(self, copy: Any) -> None:
        self._copy = copy

    async def read(self) -> bytes:
        """Return the next block of a `COPY ... TO`, empty at the end."""
        data: bytes = await bridge.run(self._copy.read)
        return data

    async def read_row(self) -> Row | None:
        """Return the next row of a `COPY ... TO`, None at the end."""
        row: Row | None = await bridge.run(self._copy.read_row)
        return row

    async def rows(self) -> AsyncIterator[Row]:
        """Iterate over the rows of a `COPY ... TO`."""
        while (row := await self.read_row()) is not None:
            yield row

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    async def write(self, buffer: bytes | str) -> None:
        """Send a block of a `COPY ... FROM`."""
        await bridge.run(self._copy.write, buffer)

    async def write_row(self, row: Sequence[Any]) -> None:
        """Send a row of a `COPY ... FROM`."""
        await bridge.run(self._copy.write_row, row)

    def set_types(self, types: Sequence[int | str]) -> None:
        """Name the columns' types, for binary copies and parsed rows."""
        self._copy.set_types(types)
