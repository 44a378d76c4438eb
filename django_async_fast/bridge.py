"""Run synchronous code on the event loop: where it would block, the loop awaits.

`run(fn)` calls `fn` in a greenlet on the loop's own thread. Code below it hands
every awaitable to `await_()`, which parks the greenlet until the loop has the
result. This module is the only importer of greenlet.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from asyncio import AbstractEventLoop
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, TypeVar

from greenlet import GreenletExit as GreenletExit
from greenlet import getcurrent, greenlet

T = TypeVar("T")

# A parked greenlet keeps about 12 KB of stack; a fresh one costs 8 us more at
# its first wait. More than this many at rest are let go.
PARKED_PER_THREAD = 64

_FINISHED: Any = object()

# In debug mode `stalls.py` takes the steps, and times them; else one comparison.
timed_step: Callable[..., Any] | None = None


class BridgeError(RuntimeError):
    """An awaitable was handed over where nothing can await it."""


class _Worker(greenlet):
    """One greenlet that serves call after call, parked in between."""

    loop: AbstractEventLoop
    outcome: Any = None
    failure: BaseException | None = None
    # The task that drove this call is gone: nothing may be awaited any more.
    abandoned: bool = False

    def run(self) -> None:
        while True:
            # Not in this frame, which tools show: to show a queryset is a query.
            call = self.parent.switch(_FINISHED)
            try:
                self.outcome = call.pop()(*call.pop(), **call.pop())
            except BaseException as exc:
                # Without this frame: it outlives the call and holds the worker.
                tb = exc.__traceback__
                self.failure = exc.with_traceback(tb and tb.tb_next)
                del tb


class _Parked(threading.local):
    def __init__(self) -> None:
        self.workers: list[_Worker] = []


_parked = _Parked()


def in_bridge() -> bool:
    """Tell whether the caller may use `await_()`."""
    return type(getcurrent()) is _Worker


def can_wait() -> bool:
    """Tell whether `await_()` would wait: on the bridge, and somebody drives it."""
    worker = getcurrent()
    return type(worker) is _Worker and not worker.abandoned


def current() -> Any:
    """Return an object that identifies the bridged call in progress, or None."""
    worker = getcurrent()
    return worker if type(worker) is _Worker else None


def awaiting_frame() -> FrameType | None:
    """Return the innermost frame of the coroutines that await the caller, or None."""
    worker = getcurrent()
    if type(worker) is not _Worker or worker.parent is None:
        return None
    return worker.parent.gr_frame


def current_loop() -> AbstractEventLoop | None:
    """Return the loop that serves the caller, hidden or running, or None."""
    worker = getcurrent()
    if type(worker) is _Worker:
        return worker.loop
    return asyncio._get_running_loop()


def await_(awaitable: Awaitable[T]) -> T:
    """Wait for `awaitable` from synchronous code that runs under `run()`.

    Raises BridgeError outside of `run()`, and when the task that drove this
    call has been destroyed: then no I/O is possible any more.
    """
    worker = getcurrent()
    if type(worker) is not _Worker:
        _discard(awaitable)
        raise BridgeError(
            "Asynchronous I/O was attempted in synchronous code that does not run "
            "on the bridge. Call it as `await run_sync(function, ...)`, or use the "
            "async method (`aget`, `asave`, `async for`, ...)."
        )
    if worker.abandoned:
        _discard(awaitable)
        raise BridgeError("The task that ran this code is gone; it cannot wait.")
    try:
        return worker.parent.switch(awaitable)
    except GreenletExit:
        worker.abandoned = True
        raise


async def run(fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call the synchronous `fn` so that its database waits are awaited.

    Context variables are shared both ways; exceptions and cancellation pass
    through in both directions.
    """
    loop = asyncio.get_running_loop()
    parked = _parked.workers
    worker = parked.pop() if parked else _start()
    worker.loop = loop
    call = [kwargs, args, fn]
    del fn, args, kwargs
    waiting_for = _resume(worker, loop, worker.switch, call)
    while waiting_for is not _FINISHED:
        try:
            value = await waiting_for
        except BaseException as exc:
            if isinstance(exc, GeneratorExit):
                worker.abandoned = True
            waiting_for = _resume(
                worker, loop, worker.throw, type(exc), exc, exc.__traceback__
            )
        else:
            waiting_for = _resume(worker, loop, worker.switch, value)
            # The next wait may be long: do not keep this result alive meanwhile.
            value = None
    return _finish(worker, parked)


def _start() -> _Worker:
    """Return a new worker, as one at rest."""
    worker = _Worker()
    worker.switch()  # without a call: a greenlet keeps what it was started with
    return worker


def _resume(
    worker: _Worker, loop: AbstractEventLoop, how: Callable[..., Any], *args: Any
) -> Any:
    """Let `worker` go on until it waits or finishes; return what it waits for."""
    here = getcurrent()
    # Both can differ from one step to the next: a coroutine may be driven by
    # another task, or inside somebody else's greenlet.
    if worker.parent is not here:
        worker.parent = here
    worker.gr_context = here.gr_context
    # Synchronous code must find itself in the synchronous world: Django's
    # async_unsafe and the guards of others ask for the running loop. There is
    # none where the remains of a task are collected.
    running = _get_running_loop()
    _set_running_loop(None)
    try:
        return how(*args) if timed_step is None else timed_step(loop, how, *args)
    finally:
        _set_running_loop(running)


def _finish(worker: _Worker, parked: list[_Worker]) -> Any:
    outcome, failure = worker.outcome, worker.failure
    worker.outcome = worker.failure = worker.gr_context = None
    if not worker.abandoned and len(parked) < PARKED_PER_THREAD:
        parked.append(worker)
    if failure is None:
        return outcome
    try:
        raise failure
    finally:
        del failure  # else the traceback and this frame hold each other


def _discard(awaitable: Any) -> None:
    """Keep a coroutine that will not run from warning that it was never awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
