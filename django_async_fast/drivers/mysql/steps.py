"""A coroutine of the driver's that a cancelled task leaves where it is.

asyncmy closes its connection where its coroutine is cancelled. What has been sent may
be read to its end instead, once the server has been told to end the statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


class Steps:
    """Awaited, it goes on with the coroutine; broken off, it can be awaited again."""

    __slots__ = ("_coroutine", "_pending")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        # What the coroutine waits for.
        self._pending: Any = None

    def __await__(self) -> Generator[Any, None, Any]:
        while True:
            if self._pending is not None and not self._pending.done():
                yield from _until(self._pending)
            try:
                self._pending = self._coroutine.send(None)
            except StopIteration as end:
                return end.value
            if self._pending is None:  # only the loop's turn
                yield

    def close(self) -> None:
        """Leave it for good."""
        self._coroutine.close()


def _until(pending: asyncio.Future[Any]) -> Generator[Any, None, None]:
    """Wait for `pending`, of which a cancellation is to know nothing."""
    # As a task does with what it is given.
    pending._asyncio_future_blocking = False
    over = pending.get_loop().create_future()
    tell = partial(_settle, over)
    pending.add_done_callback(tell)
    try:
        yield from over
    finally:
        pending.remove_done_callback(tell)


def _settle(over: asyncio.Future[None], pending: asyncio.Future[Any]) -> None:
    if not over.done():
        over.set_result(None)
