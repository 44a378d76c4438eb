"""A block for each asynchronous request, until its response has been sent.

Nothing is opened before the first query. The block ends with the request, with
the asynchronous iterator of a streaming response, or when the client goes away.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.db.transaction import Atomic

from .. import _native, bridge
from ..bridge import stall_watch, users_code
from ..bridge.thread_local_values import new_thread_locals
from ..connections import lent_thread_locals, open_transactions
from ..connections.blocks import Block, entered_block, shared_block
from ..tasks import scopes
from ..transactions.atomic import roll_back_inside

logger = logging.getLogger("django_async_fast")

django_make_view_atomic = BaseHandler.make_view_atomic

# The life of the request that this context serves.
_life: ContextVar[Life | None] = ContextVar("daf_request", default=None)


async def respond(
    get_response: Callable[[Any], Any], request: Any, thread_waits: bool = False
) -> Any:
    """Await the response to `request` in a block of its own.

    `thread_waits` says that the request has a thread, which waits for this.
    """
    life = Life(f"{request.method} {request.path}", users_code.place())
    stall_watch.watch(life.block.loop)
    life.take_thread_locals(lent=thread_waits)
    try:
        with life.inside():
            response = await get_response(request)
    except GeneratorExit:
        life.abandon()
        raise
    except BaseException:
        await life.end()
        raise
    if response.streaming and response.is_async:
        # Not its public twin: that one wraps the iterator in a generator, and
        # closing the generator would not close the iterator.
        response.streaming_content = Stream(response._iterator, life)
    else:
        await life.end()
    return response


def in_request() -> bool:
    """Tell whether the caller serves a request that has its block."""
    life = _life.get()
    return life is not None and (life.joined or life.block.open)


class Life:
    """The block of one request, which is entered step by step."""

    __slots__ = (
        *("around", "before", "block", "joined", "name", "outer"),
        *("own_thread_locals", "scope", "thread_locals"),
    )

    def __init__(self, name: str, where: users_code.Place = None) -> None:
        # As Django writes paths to a log: a line break in one begins no line there.
        self.name = name.encode("unicode_escape").decode("ascii")
        shared = shared_block()
        self.joined = shared is not None
        self.block = shared or Block(False, where, name=name)
        # The scope that the caller is in, and the one that the request is in.
        self.around = self.scope = scopes.entered_scope.get()
        self.thread_locals = bridge.thread_locals.get()
        self.own_thread_locals = False

    def take_thread_locals(self, lent: bool) -> None:
        """Give the request's bridged calls `threading.local` values of their own.

        In stock Django they are in the thread that serves the synchronous code of one
        request; coroutines are in the loop's thread, and see its values. Values that a
        thread has lent are the request's if the thread is.
        """
        if not _native.COMPILED or self.joined:
            return
        inherited = self.thread_locals
        if inherited is None or (lent_thread_locals.is_lent(inherited) and not lent):
            self.thread_locals = new_thread_locals()
            self.own_thread_locals = True

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Enter the block in the current context, for a step of the request."""
        before = _life.get(), entered_block.get(), scopes.entered_scope.get()
        thread_locals = bridge.thread_locals.get()
        _life.set(self)
        entered_block.set(self.block)
        scopes.entered_scope.set(self.scope)
        bridge.thread_locals.set(self.thread_locals)
        try:
            yield
        finally:
            self.scope = scopes.entered_scope.get()
            _life.set(before[0])
            entered_block.set(before[1])
            scopes.entered_scope.set(before[2])
            bridge.thread_locals.set(thread_locals)

    async def end(self) -> None:
        """Roll back what the request has left open, give its connections back."""
        try:
            with self.inside():
                if self.joined or not self.block.close_at_once():
                    await bridge.run(self._end)
        finally:
            self._clear_thread_locals()

    def begin(self) -> None:
        """Let the context be the request's, whose block is entered as often as need be.

        What a context variable is set to costs as much as three that are read.
        """
        self.outer = _life.get()
        _life.set(self)

    def leave(self) -> None:
        """Let the context be of whoever has had it before `begin()`."""
        _life.set(self.outer)

    def __enter__(self) -> None:
        """Enter the block, for as long as it lasts, in a bridged call; also again."""
        block = self.block
        if not (block.open or self.joined):
            block = self.block = block.opened()
        self.before = entered_block.get()
        entered_block.set(block)

    def __exit__(self, *exc: object) -> None:
        try:
            if not (self.joined or self.block.wrappers):
                self.block.open = False  # nobody has asked for a connection
            elif not bridge.can_wait():
                self.abandon()
            elif self.joined or not self.block.close_at_once():
                self._end()
        finally:
            entered_block.set(self.before)
            if scopes.entered_scope.get() is not self.around:
                scopes.entered_scope.set(self.around)

    def abandon(self) -> None:
        """End the request where nothing can be awaited."""
        if not self.joined:
            self.block.abandon()
        self._clear_thread_locals()

    def _clear_thread_locals(self) -> None:
        # The contexts of the request's tasks may live on, and refer to them.
        if self.own_thread_locals:
            self.thread_locals.clear()

    def _end(self) -> None:
        if not self.joined:
            self._close()
            return
        try:
            for wrapper in self.block.built_wrappers():
                self._leave_atomics(wrapper)
                if not (wrapper.autocommit or wrapper.in_atomic_block):
                    open_transactions.restore_autocommit(wrapper, self.name)
        finally:
            scopes.entered_scope.set(self.around)

    def _leave_atomics(self, wrapper: Any) -> None:
        """Roll back what the request has begun in a block that it shares."""
        scope, outermost = scopes.entered_scope.get(), None
        while scope not in (None, self.around):
            if scope.open and scope.gate is wrapper.gate:
                outermost = scope
            scope = scope.entered_before
        if outermost is None:
            return
        try:
            roll_back_inside(wrapper, outermost.outer, self.name)
        except Exception:
            logger.exception("Rolling back what %s left open failed.", self.name)

    def _close(self) -> None:
        # The response is made: what is wrong with a connection now is for the
        # log, and the connection has been dropped.
        try:
            self.block.close()
        except Exception:
            logger.exception("Giving back the connections of %s failed.", self.name)


class Stream:
    """A response's asynchronous iterator, in the request's block until it ends."""

    def __init__(self, parts: AsyncIterator[Any], life: Life) -> None:
        self._parts = parts
        self._life: Life | None = life
        self._loop = asyncio.get_running_loop()
        self._unwatch = _close_when_cancelled(self)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        if self._life is None:
            raise StopAsyncIteration
        try:
            with self._life.inside():
                return await anext(self._parts)
        except GeneratorExit:
            self._abandon()
            raise
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the iteration, then the block."""
        life, self._life = self._life, None
        if life is None:
            return
        self._unwatch()
        try:
            if (aclose := getattr(self._parts, "aclose", None)) is not None:
                with life.inside():
                    await aclose()
        finally:
            await life.end()

    def close(self) -> None:
        """Have the loop close the stream. Django calls this in any thread."""
        if self._life is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        bridge.begin_task(self._loop, self.aclose())

    def _abandon(self) -> None:
        """End the block where nothing can be awaited, perhaps in another thread."""
        life, self._life = self._life, None
        if life is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(life.abandon)

    # A response that is dropped is closed by nobody. Not `close()`: what the
    # collector has finalised, such as Django's wrapper, is of no use any more.
    __del__ = _abandon


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


def make_view_atomic(self: BaseHandler, view: Callable[..., Any]) -> Any:
    """`BaseHandler.make_view_atomic`: ATOMIC_REQUESTS for an asynchronous view."""
    try:
        return django_make_view_atomic(self, view)
    except RuntimeError:  # which is how it refuses one
        if not in_request() or not iscoroutinefunction(view):
            raise
    return _atomic_requests(view)


def _atomic_requests(view: Callable[..., Any]) -> Any:
    """Return the `async def` view in the transactions that ATOMIC_REQUESTS asks for."""
    non_atomic_requests: set[str] = getattr(view, "_non_atomic_requests", set())
    for alias, settings in connections.settings.items():
        if settings["ATOMIC_REQUESTS"] and alias not in non_atomic_requests:
            view = Atomic(alias, True, False)(view)
    return view
