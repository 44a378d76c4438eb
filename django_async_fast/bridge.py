"""Run synchronous code on the event loop: where it would block, the loop awaits.

`run(fn)` calls `fn` in a greenlet on the loop's own thread. Code below it hands
every awaitable to `await_()`, which parks the greenlet until the loop has the
result. `drive(coroutine)` runs a coroutine in there, so that synchronous code that
it calls may wait too. This module is the only importer of greenlet.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import types
from asyncio import AbstractEventLoop, current_task
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from types import FrameType, TracebackType
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

# `lazy.py` looks at what a driven coroutine waits for without awaiting it.
noticed: Callable[[FrameType], None] | None = None

# The `threading.local` values that bridged calls in this context have in place of the
# thread's: what turns calls take would be seen by the others.
thread_locals: ContextVar[Any] = ContextVar("daf_thread_locals", default=None)


# Before 3.13 asyncio finds the running loop in what is exchanged with thread-locals.
_LOOP_IN_LOCALS = sys.version_info < (3, 13)


class BridgeError(RuntimeError):
    """An awaitable was handed over where nothing can await it."""


class _Worker(greenlet):
    """One greenlet that serves call after call, parked in between."""

    loop: AbstractEventLoop
    outcome: Any = None
    failure: BaseException | None = None
    # The task that drove this call is gone: nothing may be awaited any more.
    abandoned: bool = False
    # The thread-locals of the call, and where those that are parked are found in it.
    locals: Any = None
    parked: list[_Worker] | None = None
    # While a driven coroutine runs, with the loop in sight, the id of the task that
    # does (the task itself would be kept alive by its own greenlet). None in
    # synchronous code that is called through `run()`.
    task: int | None = None
    # What identifies a call in progress that a driven coroutine has made here.
    call: object = None

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
    worker = getcurrent()
    return type(worker) is _Worker and (worker.task is None or _stops(worker))


def can_wait() -> bool:
    """Tell whether `await_()` would wait: on the bridge, and somebody drives it."""
    return in_bridge() and not getcurrent().abandoned


def in_coroutine() -> bool:
    """Tell whether the caller sees a loop: a coroutine, or below one that is driven."""
    return _get_running_loop() is not None


def current() -> Any:
    """Return an object that identifies the bridged call in progress, or None.

    A driven coroutine is none; the functions that it awaits through `run()` are.
    """
    worker = getcurrent()
    if type(worker) is not _Worker or worker.task is not None:
        return None
    return worker.call or worker


def _stops(worker: _Worker) -> bool:
    """Tell whether code below a driven coroutine may stop its greenlet.

    Not the first step of another task, which an eager task factory takes in there.
    """
    return id(current_task(worker.loop)) == worker.task


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
    if type(worker) is not _Worker or worker.abandoned or worker.task is not None:
        return _await_in_driven(awaitable)
    try:
        return worker.parent.switch(awaitable)
    except GreenletExit:
        worker.abandoned = True
        raise


def _await_in_driven(awaitable: Awaitable[T]) -> T:
    """Do what `await_()` does where a driven coroutine has called synchronous code."""
    worker = _stoppable(awaitable)
    if noticed is not None:
        noticed(sys._getframe(2))
    try:
        return worker.parent.switch(awaitable)
    except GreenletExit:
        worker.abandoned = True
        raise
    finally:
        _set_running_loop(worker.loop)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end under `run()`: what it calls may use `await_()`.

    To the coroutine it is as if the task ran it, and what it awaits is the task's
    to wait for. Raises BridgeError as `await_()` does.
    """
    worker = _stoppable(coroutine)
    before, call = worker.task, worker.call
    step: Callable[..., Any] = coroutine.send
    value: Any = None
    try:
        while True:
            worker.task = id(current_task(worker.loop))
            _set_running_loop(worker.loop)
            try:
                value = step(value)
            except StopIteration as stop:
                return stop.value
            if worker.abandoned:
                raise RuntimeError("coroutine ignored GeneratorExit")
            try:
                value, step = worker.parent.switch(_yield(value)), coroutine.send
            except GreenletExit:
                worker.abandoned = True
                raise
            except BaseException as exc:
                # As the task threw it: without the frames of `_yield()`, `run()` and
                # this function.
                value = exc.with_traceback(_inner(exc.__traceback__, 3))
                step = coroutine.throw
    finally:
        try:
            coroutine.close()
        finally:
            worker.task, worker.call = before, call
            _set_running_loop(None if before is None else worker.loop)
        # A failure knows this frame.
        del step, value, coroutine


@types.coroutine
def _yield(value: Any) -> Generator[Any, Any, Any]:
    """Hand the task what a driven coroutine has handed to `drive()`."""
    return (yield value)


def _inner(traceback: TracebackType | None, frames: int) -> TracebackType | None:
    while traceback is not None and frames:
        traceback, frames = traceback.tb_next, frames - 1
    return traceback


def _stoppable(awaitable: Any) -> _Worker:
    """Return the worker that may be stopped for `awaitable`; raise BridgeError."""
    if can_wait():
        return getcurrent()
    _discard(awaitable)
    if not in_bridge():
        raise BridgeError(
            "Asynchronous I/O was attempted in synchronous code that does not run "
            "on the bridge. Call it as `await run_sync(function, ...)`, or use the "
            "async method (`aget`, `asave`, `async for`, ...)."
        )
    raise BridgeError("The task that ran this code is gone; it cannot wait.")


async def run(fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call the synchronous `fn` so that its database waits are awaited.

    Context variables are shared both ways; exceptions and cancellation pass
    through in both directions.
    """
    here = getcurrent()
    call = [kwargs, args, fn]
    del fn, args, kwargs
    if type(here) is _Worker and here.task is not None and can_wait():
        return _call(here, call)
    loop = asyncio.get_running_loop()
    # `_parked` is one of the thread-locals that may be exchanged.
    parked = here.parked if type(here) is _Worker else None
    if parked is None:
        parked = _parked.workers
    worker = parked.pop() if parked else _start()
    worker.loop = loop
    own = thread_locals.get()
    if own is not None:
        worker.locals, worker.parked = own, parked
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


def _call(worker: _Worker, function: list[Any]) -> Any:
    """Call `function` for a driven coroutine, whose own greenlet it may stop."""
    task, call = worker.task, worker.call
    worker.task, worker.call = None, object()
    _set_running_loop(None)
    try:
        return function.pop()(*function.pop(), **function.pop())
    finally:
        worker.task, worker.call = task, call
        _set_running_loop(worker.loop)


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
        if worker.locals is not None:
            if _LOOP_IN_LOCALS or timed_step is not None:
                return worker.locals.call(_step, loop, how, *args)
            return worker.locals.call(how, *args)
        return how(*args) if timed_step is None else timed_step(loop, how, *args)
    finally:
        _set_running_loop(running)


def _step(loop: AbstractEventLoop, how: Callable[..., Any], *args: Any) -> Any:
    """Take a step with the thread-locals of the call in place."""
    # Also where asyncio keeps the loop beside them: it remembers what it has set last.
    _set_running_loop(None)
    return how(*args) if timed_step is None else timed_step(loop, how, *args)


def _finish(worker: _Worker, parked: list[_Worker]) -> Any:
    outcome, failure = worker.outcome, worker.failure
    worker.outcome = worker.failure = worker.gr_context = None
    if worker.locals is not None:
        worker.locals = worker.parked = None
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
