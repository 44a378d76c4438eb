"""Rows of a queryset as PostgreSQL writes them: CSV, its own text format, or binary.

One COPY, and no row becomes a Python object. `copy_to()` writes to a file,
`copy_chunks()` is iterated over.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, suppress
from contextvars import copy_context
from typing import Any, Self

from django.db import InterfaceError, connections
from django.db.models import QuerySet

from .. import bridge
from ..connections.dispatch import run_sync
from ..drivers.psycopg import copies
from . import files, statements
from .callers import awaited, on_the_loop
from .statements import Format

_TRAILER = b"\xff\xff"


@on_the_loop
def copy_to(
    queryset: QuerySet[Any],
    file: Any,
    *,
    format: Format = "csv",
    header: bool = True,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write the rows of `queryset` to `file`; return how many there are.

    `file` is a path, or has a `write()` for bytes, or for text as `open(path, "w")`
    has; it may be `async def`. `header` names the columns in a first line, but in
    binary. `progress` is called with the number of rows so far.

    Raises NotSupportedError where the database is not PostgreSQL, and what the query
    raises. The connection is busy until the end.
    """
    export = Export(queryset, format, header)
    with ExitStack() as stack:
        stack.callback(export.close)
        piece = export.read()
        write = files.writer(file, format, stack)
        while piece:
            write(piece)
            if progress is not None:
                progress(export.rows)
            piece = export.read()
    return export.rows


acopy_to = awaited(copy_to, "Do as `copy_to()`, awaited.")


class Export:
    """A COPY out of a queryset; it begins with the first `read()`."""

    def __init__(self, queryset: QuerySet[Any], format: str, header: bool) -> None:
        if not isinstance(queryset, QuerySet):
            raise TypeError(f"COPY takes a QuerySet, not a {type(queryset).__name__}.")
        self._queryset = queryset
        self._format = format
        self._header = header and format != "binary"
        self._connection: Any = None
        self._is_given_back = False
        self._pieces: Any = self._run()
        # How many have been read.
        self.rows = 0

    def read(self) -> bytes:
        """Return the next rows, about 64 KB of them; nothing at the end."""
        if self._is_given_back:
            raise InterfaceError(
                "The connection that this COPY reads from has been given back: the "
                "block that it belongs to has ended. Read its rows before that."
            )
        return next(self._pieces, b"")

    def close(self) -> None:
        """End the COPY, before its last row too."""
        self._pieces.close()

    def give_back(self) -> None:
        """End the COPY; who reads on is told why there is no more."""
        if not self._pieces.gi_running:  # else a statement in flight, as any other
            self._is_given_back = True
            self._pieces.close()

    @property
    def is_open(self) -> bool:
        """Whether it has begun, and not ended."""
        return self._connection is not None

    def leave(self) -> None:
        """Be ended by somebody else; the reader's next statement waits for that."""
        copies.leave(self._connection)

    def _run(self) -> Generator[bytes, None, None]:
        queryset = self._queryset
        wrapper = connections[queryset.db]
        instead = "iterator() and Python's csv module"
        statements.check(wrapper, self._format, instead)
        with closing(wrapper.cursor()) as cursor:
            connection = cursor.connection
            compiler = queryset.query.get_compiler(queryset.db)
            statement = statements.out_of(compiler, connection, self._format)
            savepoint = copies.Savepoint(cursor)
            with copies.copying(cursor, statement) as copy:
                self._connection, connection.open_copy = connection, self
                try:
                    if self._header:
                        names = statements.names(queryset, compiler)
                        yield statements.header(names, self._format)
                    while piece := self._next(copy):
                        yield piece
                    self.rows = copy.cursor.rowcount
                    savepoint.release(copy)
                except GeneratorExit as exc:
                    if copies.can_end(connection):
                        savepoint.roll_back(copy, exc)
                    raise
                finally:
                    self._connection = connection.open_copy = None

    def _next(self, copy: Any) -> bytes:
        piece, rows = copies.read(copy)
        # The end of a binary file comes like a row.
        if self._format == "binary" and piece.endswith(_TRAILER):
            rows -= 1
        self.rows += rows
        return piece


class _Chunks:
    def __init__(
        self, queryset: QuerySet[Any], *, format: Format = "csv", header: bool = True
    ) -> None:
        self._export = Export(queryset, format, header)
        # In it the block is found, by whoever ends the COPY.
        self._context = copy_context()


class copy_chunks(_Chunks):
    """Iterate over the rows of `queryset` as bytes, about 64 KB at a time.

    `format` and `header` are those of `copy_to()`. The connection is busy until the
    last piece has been read, or `close()` has been called.
    """

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        piece = on_the_loop(self._export.read)()
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """End the COPY, before its last row too."""
        on_the_loop(self._export.close)()


class acopy_chunks(_Chunks):
    """Iterate as `copy_chunks()` does, in a coroutine: `async for chunk in ...`."""

    _loop: asyncio.AbstractEventLoop | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._loop = asyncio.get_running_loop()
        piece: bytes = await run_sync(self._export.read)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """End the COPY, before its last row too."""
        await run_sync(self._export.close)

    def __del__(self) -> None:
        if self._loop is None or not self._export.is_open or self._loop.is_closed():
            return
        self._export.leave()
        self._loop.call_soon_threadsafe(
            _end_soon, self._loop, self._export, context=self._context
        )


def _end_soon(loop: asyncio.AbstractEventLoop, export: Export) -> None:
    bridge.begin_task(loop, _end(export))


async def _end(export: Export) -> None:
    # Its block may have ended it already, or be about to.
    with suppress(Exception):
        await run_sync(export.close)
