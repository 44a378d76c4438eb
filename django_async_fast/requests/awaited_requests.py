"""Requests whose responses are awaited, step by step, in a block of their own.

The block ends with the response, with the asynchronous iterator of a streaming one, or
when the client goes away.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .. import _native, bridge
from ..bridge import stall_watch, users_code
from ..bridge.thread_local_values import new_thread_locals
from ..connections import lent_thread_locals
from ..connections.blocks import entered_block
from ..tasks import scopes
from .request_block import RequestBlock, served_request


async def respond(
    get_response: Callable[[Any], Any], request: Any, thread_waits: bool = False
) -> Any:
    """Await the response to `request` in a block of its own.

    `thread_waits` says that the request has a thread, which waits for this.
    """
    name = f"{request.method} {request.path}"
    served = AwaitedRequest(name, users_code.place(), lent=thread_waits)
    stall_watch.watch(served.block.loop)
    try:
        with served.inside():
            response = await get_response(request)
    except GeneratorExit:
        served.abandon()
        raise
    except BaseException:
        await served.end()
        raise
    if response.streaming and response.is_async:
        # Not its public twin: that one wraps the iterator in a generator, and
        # closing the generator would not close the iterator.
        response.streaming_content = Stream(response._iterator, served)
    else:
        await served.end()
    return response


class AwaitedRequest(RequestBlock):
    """A request whose block is entered `inside()` each step, and ended once."""

    __slots__ = ("own_thread_locals", "scope", "thread_locals")

    def __init__(self, name: str, where: users_code.Place, lent: bool) -> None:
        super().__init__(name, where)
        # The scope that the request is in, from one step to the next.
        self.scope = self.around
        self.thread_locals = inherited = bridge.thread_locals.get()
        # In stock Django `threading.local` values are in the thread that serves the
        # synchronous code of one request; coroutines are in the loop's thread, and see
        # its values. Values that a thread has lent are the request's if the thread is.
        self.own_thread_locals = (
            _native.COMPILED
            and not self.joined
            and (
                inherited is None
                or (lent_thread_locals.is_lent(inherited) and not lent)
            )
        )
        if self.own_thread_locals:
            # Its synchronous code has its thread's, where Django's handler serves it.
            self.thread_locals = new_thread_locals(for_threads=False)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Enter the block in the current context, for a step of the request."""
        entered: list[tuple[ContextVar[Any], Any]] = [
            (served_request, self),
            (entered_block, self.block),
            (scopes.entered_scope, self.scope),
            (bridge.thread_locals, self.thread_locals),
        ]
        before = [(variable, variable.get()) for variable, _ in entered]
        for variable, value in entered:
            variable.set(value)
        try:
            yield
        finally:
            self.scope = scopes.entered_scope.get()
            for variable, value in before:
                variable.set(value)

    async def end(self) -> None:
        """Roll back what the request has left open, give its connections back."""
        try:
            with self.inside():
                if self.joined or not self.block.close_at_once():
                    await bridge.run(self.close)
        finally:
            self._clear_thread_locals()

    def abandon(self) -> None:
        super().abandon()
        self._clear_thread_locals()

    def _clear_thread_locals(self) -> None:
        # The contexts of the request's tasks may live on, and refer to them.
        if self.own_thread_locals:
            self.thread_locals.clear()


class Stream:
    """A response's asynchronous iterator, in the request's block until it ends."""

    def __init__(self, parts: AsyncIterator[Any], served: AwaitedRequest) -> None:
        self._parts = parts
        self._served: AwaitedRequest | None = served
        self._loop = asyncio.get_running_loop()
        self._unwatch = _close_when_cancelled(self)
        # A response that is dropped is closed by nobody. Not `__del__()`: the collector
        # would finalise the connections with the stream, before anybody ends the block.
        self._abandon = weakref.finalize(self, _abandon, self._loop, served)
        self._abandon.atexit = False

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        if self._served is None:
            raise StopAsyncIteration
        try:
            with self._served.inside():
                return await anext(self._parts)
        except GeneratorExit:
            self._served = None
            self._abandon()
            raise
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the iteration, then the block."""
        served, self._served = self._served, None
        if served is None:
            return
        self._unwatch()
        self._abandon.detach()
        try:
            if (aclose := getattr(self._parts, "aclose", None)) is not None:
                with served.inside():
                    await aclose()
        finally:
            await served.end()

    def close(self) -> None:
        """Have the loop close the stream. Django calls this in any thread."""
        if self._served is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        bridge.begin_task(self._loop, self.aclose())


def _abandon(loop: asyncio.AbstractEventLoop, served: AwaitedRequest) -> None:
    """End the block where nothing can be awaited, perhaps in another thread."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(served.abandon)


def _close_when_cancelled(stream: Stream) -> Callable[[], object]:
    """Close `stream` when the task that serves the request is cancelled.

    Django closes the response of a client that goes away, not that of a task
    which its server cancels. Its remains may wait for the garbage collector, and
    a connection with them. Returns what takes the order back.
    """
    found = weakref.ref(stream)

    def ended(task: asyncio.Task[Any]) -> None:
        # Ended otherwise, it may have handed the response to another task.
        if task.cancelled() and (stream := found()) is not None:
            stream.close()

    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(ended)
    return lambda: task.remove_done_callback(ended)
