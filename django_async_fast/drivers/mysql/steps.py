"""A coroutine of the driver's that a cancelled task leaves where it is.

asyncmy closes its connection where its coroutine is cancelled. What has been sent may
be read to its end instead, once the server has been told to end the statement.
"""

import asyncio
from asyncio import selector_events
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

from ... import _native

# Of asyncio's own loop, without TLS.
_DIRECT: Any = getattr(selector_events, "_SelectorSocketTransport", None)


class Steps:
    """Awaited, it goes on with the coroutine; broken off, it can be awaited again."""

    __slots__ = ("_coroutine", "_pending", "_protocol", "_replaced")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], driver: Any) -> None:
        self._coroutine = coroutine
        # What the coroutine waits for.
        self._pending: Any = None
        # Whether the protocol has been given another future in its place.
        self._replaced = False
        # asyncmy's, where the loop itself tells it of data, as its last deed.
        direct = type(driver._transport) is _DIRECT
        self._protocol = driver._proto if direct and _native.COMPILED else None

    def __await__(self) -> Generator[Any, None, Any]:
        while True:
            pending, protocol = self._pending, self._protocol
            if pending is not None and not self._replaced and not pending.done():
                # As a task does with what it is given.
                pending._asyncio_future_blocking = False
                if protocol is not None and protocol._read_waiter is pending:
                    self._replaced = True
                    yield from _until_data(protocol)
                else:
                    yield from _until(pending)
            if self._replaced:
                # asyncmy looks itself whether there is enough.
                self._replaced = False
                pending.set_result(None)
            try:
                self._pending = self._coroutine.send(None)
            except StopIteration as end:
                return end.value
            if self._pending is None:  # only the loop's turn
                yield

    def close(self) -> None:
        """Leave it for good."""
        self._coroutine.close()


class _ReadWaiter:
    """As much of a future as asyncmy's protocol asks for; its task goes on at once."""

    __slots__ = ("done", "set_result")

    def __init__(self, wait: Any) -> None:
        self.done = wait.done
        self.set_result = wait.resolve


def _until_data(protocol: Any) -> Generator[Any, None, None]:
    """Wait until the protocol has received something."""
    wait = _native.rows.Wait(loop=protocol._loop)
    protocol._read_waiter = _ReadWaiter(wait)
    yield from wait


def _until(pending: asyncio.Future[Any]) -> Generator[Any, None, None]:
    """Wait for `pending`, of which a cancellation is to know nothing."""
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
