"""Connections that wait for the next block: to open one costs ten statements.

Kept for an event loop, an alias and what it was opened with; so many at most; where the
block that had it has left it as new. Closed with the loop, and when another file has
taken the place of theirs. A child process that was forked opens its own.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ... import bridge
from ...tasks.scopes import Gate
from .connection import Connection

# Each has a file or three open, and up to 2 MB of pages.
KEPT = 8


class Shelf:
    """The connections that one loop keeps for one alias."""

    def __init__(self, known: Any) -> None:
        self.known = known
        self.connections: list[Connection] = []
        self.closer: AsyncGenerator[None] | None = None

    def close(self) -> None:
        """Close them; those that are out are closed when they come back."""
        self.known = None
        while self.connections:
            self.connections.pop().close()


_shelves: WeakKeyDictionary[AbstractEventLoop, dict[str, Shelf]] = WeakKeyDictionary()


def take(gate: Gate, known: Any) -> Connection | None:
    """Return a connection to the alias of `gate` that was opened so, or None."""
    shelf = _shelf(gate.alias)
    if shelf is None or shelf.known != known:
        return None
    while shelf.connections:
        connection = shelf.connections.pop()
        if not connection.inherited and connection.file == _file(connection.path):
            connection.attach(gate, connection.path)
            return connection
        connection.close()
    return None


def note(connection: Any, known: Any) -> None:
    """Remember how `connection` was opened; with None, it will not be kept."""
    path = connection.path
    if known is None or path.startswith("file:"):
        return
    shelf = _shelf(connection.gate.alias)
    if shelf is None or shelf.known != known:
        shelf = _begin(connection.gate.alias, known)
    connection.file, connection.shelf = _file(path), shelf


def give(connection: Any) -> None:
    """Keep a connection that a block has had, or close it."""
    shelf = connection.shelf
    if (
        shelf is None
        or shelf.known is None
        or len(shelf.connections) >= KEPT
        or not connection.renew()
        or connection.file != _file(connection.path)
    ):
        connection.close()
        return
    shelf.connections.append(connection)


def _file(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _shelf(alias: str) -> Shelf | None:
    loop = bridge.current_loop()
    assert loop is not None
    return _shelves.get(loop, {}).get(alias)


def _begin(alias: str, known: Any) -> Shelf:
    loop = bridge.current_loop()
    assert loop is not None
    if loop not in _shelves:
        # Closed without a word: asyncio.run() ends what `_close_with_the_loop()` is.
        for dead in [loop for loop in _shelves if loop.is_closed()]:
            for shelf in _shelves.pop(dead).values():
                shelf.close()
    shelves = _shelves.setdefault(loop, {})
    if alias in shelves:
        shelves[alias].close()
    shelf = shelves[alias] = Shelf(known)
    shelf.closer = _close_with_the_loop(shelf)
    with suppress(StopIteration):
        shelf.closer.__anext__().send(None)
    return shelf


async def _close_with_the_loop(shelf: Shelf) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        shelf.close()
