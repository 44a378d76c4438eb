"""Connections that wait for the next block: to open one costs ten statements.

Kept for an event loop, an alias and what it was opened with; so many at most; where the
block that had it has left it as new. Closed with the loop, and when another file has
taken the place of theirs. A child process that was forked opens its own.
"""

from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ... import bridge
from ...tasks.gates import Gate
from .connection import Connection

# Each has a file or three open, and up to 2 MB of pages.
MAX_IDLE = 8


class IdleConnections:
    """The idle connections of one loop to one alias."""

    def __init__(self, known: Any) -> None:
        self.known = known
        self.connections: list[Connection] = []
        self.closer: AsyncGenerator[None] | None = None

    def close(self) -> None:
        """Close them; those that are out are closed when they come back."""
        self.known = None
        while self.connections:
            self.connections.pop().close()


_idle: WeakKeyDictionary[AbstractEventLoop, dict[str, IdleConnections]] = (
    WeakKeyDictionary()
)


def take(gate: Gate, known: Any) -> Connection | None:
    """Return a connection to the alias of `gate` that was opened so, or None."""
    idle = _of_alias(gate.alias)
    if idle is None or idle.known != known:
        return None
    while idle.connections:
        connection = idle.connections.pop()
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
    idle = _of_alias(connection.gate.alias)
    if idle is None or idle.known != known:
        idle = _begin(connection.gate.alias, known)
    connection.file, connection.idle = _file(path), idle


def give(connection: Any) -> None:
    """Keep a connection that a block has had, or close it."""
    idle = connection.idle
    if (
        idle is None
        or idle.known is None
        or len(idle.connections) >= MAX_IDLE
        or not connection.reset()
        or connection.file != _file(connection.path)
    ):
        connection.close()
        return
    idle.connections.append(connection)


def _file(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _of_alias(alias: str) -> IdleConnections | None:
    loop = bridge.current_loop()
    assert loop is not None
    return _idle.get(loop, {}).get(alias)


def _begin(alias: str, known: Any) -> IdleConnections:
    loop = bridge.current_loop()
    assert loop is not None
    if loop not in _idle:
        # Closed without a word: asyncio.run() ends what `_close_with_the_loop()` is.
        for dead in [loop for loop in _idle if loop.is_closed()]:
            for idle in _idle.pop(dead).values():
                idle.close()
    by_alias = _idle.setdefault(loop, {})
    if alias in by_alias:
        by_alias[alias].close()
    idle = by_alias[alias] = IdleConnections(known)
    idle.closer = _close_with_the_loop(idle)
    with suppress(StopIteration):
        idle.closer.__anext__().send(None)
    return idle


async def _close_with_the_loop(idle: IdleConnections) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        idle.close()
