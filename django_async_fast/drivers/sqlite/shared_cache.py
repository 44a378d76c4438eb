"""A database that connections share by name, in memory or with `cache=shared`.

Who runs a statement on it has SQLite's mutex, also while the statement is stopped for
the loop's turn. Whoever else enters, to open or close a connection too, would stop the
thread for good: here he waits for his turn, and what need not wait is done later.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from ... import bridge

T = TypeVar("T")


def is_shared(path: str) -> bool:
    """Tell whether connections to `path` share a cache."""
    return path.startswith("file:") and "cache=shared" in path


class SharedCache:
    """One statement at a time, on one event loop."""

    __slots__ = ("_entered", "_left", "_waiting")

    def __init__(self) -> None:
        self._entered = False
        self._waiting: deque[Future[None]] = deque()
        self._left: list[Callable[[], Any]] = []

    def call(self, function: Callable[..., T], *args: Any, **params: Any) -> T:
        """Return what `function()` does when nobody else is in there."""
        while self._entered:
            self._wait()
        self._entered = True
        try:
            return function(*args, **params)
        finally:
            self._entered = False
            for turn in self._waiting:
                if not turn.done():
                    turn.set_result(None)
            while self._left:
                self._left.pop(0)()

    def call_soon(self, function: Callable[[], Any]) -> None:
        """Call `function()` when nobody is in there, perhaps now."""
        if self._entered:
            self._left.append(function)
        else:
            function()

    def _wait(self) -> None:
        loop = bridge.current_loop()
        assert loop is not None
        turn: Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            bridge.await_(turn)
        finally:
            self._waiting.remove(turn)
